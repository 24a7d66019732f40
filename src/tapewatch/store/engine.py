"""A database's address becomes an engine, and a driver's error a sentence.

SQLite: WAL, synchronous NORMAL, a busy timeout, and transactions that begin when we say so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from tapewatch.errors import ConfigError, StoreError

BUSY_MS = 5_000
CHECKPOINT_PAGES = 2_000

PLAIN = {
    "disk is full": "the disk is full; what was committed before is safe. Free some space and start again",
    "disk I/O error": "the disk could not be read or written; what was committed before is safe",
    "locked": "another program keeps it locked; what was committed before is safe. Close that program and start again",
    "readonly": "it cannot be written; change its permissions or choose another file with --db",
    "read-only": "it cannot be written; change its permissions or choose another file with --db",
    "unable to open": "it cannot be opened; check the path and its permissions, or choose another file with --db",
    "not a database": "it is not a database of tapewatch; choose another file with --db",
    "malformed": "it is damaged; move it away and start with a new one",
}


def database_url(url_or_path: str | Path) -> URL:
    """Read a database's address: a URL, or the path of an SQLite file.

    Raises
    ------
    ConfigError
        Not an address of a database.
    """
    text = str(url_or_path)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError(f"--db expects a path or an address such as sqlite:///data/x.db, found {text!r}") from None
    if url.drivername.startswith("sqlite") and url.database in {None, "", ":memory:"}:
        raise ConfigError(f"--db expects a file, found {text!r}; a database in memory could not be shown")
    return url


def sqlite_path(url: URL) -> Path | None:
    """Path of an SQLite database; None for a server's."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def open_engine(url: URL, *, read_only: bool) -> Engine:
    """Make an engine; an SQLite file that is only read is neither created nor changed."""
    path = sqlite_path(url)
    if path is None:
        return create_engine(url)
    if read_only:
        url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url)

    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver would begin by itself, too late
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        if not read_only:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


@contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Turn what the world did to the database into a `StoreError`; our own mistakes pass as they are."""
    try:
        yield
    except DBAPIError as error:
        name = url.render_as_string(hide_password=True) if sqlite_path(url) is None else url.database
        words = str(error.orig)
        for part, plain in PLAIN.items():
            if part in words:
                raise StoreError(f"{name}: {plain}") from error
        if isinstance(error, OperationalError):
            raise StoreError(f"{name}: {words}") from error
        raise
