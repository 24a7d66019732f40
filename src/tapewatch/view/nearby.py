"""A database that must be there: a reader in, an error that names those that are there instead out."""

from pathlib import Path

from tapewatch.errors import ConfigError, TapewatchError, before_it_runs
from tapewatch.store.engine import sqlite_path
from tapewatch.store.sql import Reader, Store

PLACES = (Path("data"), Path())
"""Folders where commands put databases, beside the one that was asked for."""

NAMED_MAX = 3


def require(reader: Reader) -> None:
    """Make sure that there is a database.

    Raises
    ------
    ConfigError
        There is none, and the newest ones near by are named; or it cannot be read.
    """
    with before_it_runs():
        if reader.ready():
            return
    file = sqlite_path(reader.url)
    found = [f"--db {path}" for path in databases(*() if file is None else (file.parent,))[:NAMED_MAX]]
    hint = f"try {' or '.join(found)}" if found else "tapewatch demo makes one to look at"
    raise ConfigError(f"--db expects a database, found none at {reader.name}; {hint}")


def databases(*folders: Path) -> list[Path]:
    """Find databases of ours in some folders and in the usual ones, the newest first."""
    files = {file.resolve(): file for folder in (*folders, *PLACES) for file in folder.glob("*.db") if file.is_file()}
    newest_first = sorted(files.values(), key=lambda file: file.stat().st_mtime, reverse=True)
    return [file for file in newest_first if _ours(file)]


def _ours(file: Path) -> bool:
    reader = Store.read(file)
    try:
        return reader.ready()
    except TapewatchError:
        return False
    finally:
        reader.close()
