"""Options that commands share: the configuration file, and single settings on top of it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tapewatch.config import Settings
from tapewatch.errors import ConfigError

DEFAULT_FILE = Path("tapewatch.toml")
SECTIONS = ("capture", "dashboard", "detect", "exchange", "kafka", "rules", "run", "stack", "top")

DB_NAMES = ("--db", "--store")
DbOption = Annotated[
    str | None,
    typer.Option(
        *DB_NAMES,
        metavar="FILE|URL",
        help="Database: a file of SQLite, or postgresql://user@host/name.",
        show_default="data/tapewatch.db",
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Address to listen at; any but loopback lets others in.", show_default="127.0.0.1"
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file; default: tapewatch.toml where it exists."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Set one value, over file and environment; repeatable."),
]


def settings(config: Path | None, overrides: list[str] | None) -> Settings:
    """Merge file, environment and --set values.

    Raises
    ------
    ConfigError
        A file that was named does not exist, or anything in it is wrong.
    """
    path = config if config is not None else DEFAULT_FILE if DEFAULT_FILE.exists() else None
    chosen = Settings.load(path, os.environ, overrides or ())
    chosen.only(SECTIONS)
    return chosen


def say(topic: str, text: str) -> None:
    """Tell a person a few words."""
    typer.echo(f"{topic:<10} {text}", err=True)


def listed(names: str | None) -> list[str] | None:
    """Split a list that a person has typed."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def with_symbols(given: Settings, symbols: str | None) -> Settings:
    """Take the products that a person has named, where the source is one that can be asked for products.

    Raises
    ------
    ConfigError
        It is a tape.
    """
    if symbols is not None and str(given.plain("run").get("source", "")).startswith("tape:"):
        raise ConfigError("--symbols chooses what to capture; a tape brings its own symbols")
    return given.with_flags("capture", symbols=listed(symbols))


def shared(config: Path | None, set_: list[str] | None) -> tuple[str, ...]:
    """Spell the flags of settings again, for commands of ours that run beside this one."""
    named = () if config is None else ("--config", str(config))
    return (*named, *(part for value in set_ or () for part in ("--set", value)))
