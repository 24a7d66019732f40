"""Options that commands share: the configuration file, and single settings on top of it."""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from tapewatch.config import Settings
from tapewatch.errors import ConfigError, TapewatchError

if TYPE_CHECKING:
    from sqlalchemy import Connection

DEFAULT_FILE = Path("tapewatch.toml")
SECTIONS = ("alerts", "capture", "dashboard", "detect", "exchange", "kafka", "rules", "run", "stack", "top")

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
HealthOption = Annotated[
    int | None, typer.Option("--health-port", min=1, max=65_535, help="Port of /healthz, /readyz and /metrics.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file; default: tapewatch.toml where it exists."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Set one value, over file and environment; repeatable."),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print lines of JSON.")]


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


def typed(command: str, flags: Mapping[str, object], set_: list[str] | None) -> str:
    """Spell a command as a person may type it to go on with what it did; what may be secret is left out."""
    from tapewatch.store.engine import apart

    given = [(f"--{name}", str(value)) for name, value in flags.items() if value is not None]
    given += [("--set", each) for each in set_ or () if not each.startswith("alerts")]
    public = [(flag, apart(value)[0].replace("+psycopg", "") if flag == "--db" else value) for flag, value in given]
    return " ".join(["tapewatch", command, *(shlex.join(pair) for pair in public)])


@contextmanager
def reading(given: Settings, db: str | None) -> Iterator[tuple["Connection", int]]:
    """Open a database for reading; with the connection comes what time it is where the lanes are, ns."""
    from tapewatch.store.sql import Store
    from tapewatch.view.nearby import require
    from tapewatch.view.status import status

    reader = Store.read(db_of(given, db))
    try:
        require(reader)
        with reader.connect() as conn:
            yield conn, status(conn, time.time_ns()).now_ns
    finally:
        reader.close()


def show_all(found: list[Any], json: bool, table: Callable[[list[Any]], None]) -> None:
    """Print what was found as a table, or as lines of JSON."""
    if not json:
        table(found)
        return
    for each in found:
        typer.echo(msgspec.json.encode(each))


def db_of(given: Settings, db: str | None) -> str:
    """Tell which database is meant."""
    from tapewatch.runtime.opening import RunConfig

    return given.with_flags("run", db=db).section("run", RunConfig).db


def ask(given: Settings, db: str | None, kind: str, arguments: dict[str, Any], about: str = "") -> None:
    """Ask alerting for something, and print its answer, and in front of it what it is about.

    Raises
    ------
    TapewatchError
        It refuses, or nobody answers.
    """
    from tapewatch.runtime import alert_requests

    answer = alert_requests.ask(db_of(given, db), kind, arguments)
    done, _, words = answer.partition(": ")
    if done != "done":
        raise TapewatchError(words)
    typer.echo(f"{about}{words}")
