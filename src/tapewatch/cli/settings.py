"""Flags that several commands share, and the settings that come of them."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tapewatch.config import Settings

DEFAULT_FILE = Path("tapewatch.toml")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file; without it tapewatch.toml, where there is one."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting; may be given several times."),
]


def load(config: Path | None, overrides: list[str] | None) -> Settings:
    """Merge defaults, settings file, environment and ``--set``.

    Raises
    ------
    ConfigError
        The file cannot be read, or a setting is not ``section.key=value``.
    """
    file = config if config is not None else DEFAULT_FILE if DEFAULT_FILE.exists() else None
    return Settings.load(file, os.environ, overrides or [])
