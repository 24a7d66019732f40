"""A database's address becomes an engine: a path is an SQLite file, ``postgresql://…`` a server's database.

SQLite: WAL, synchronous NORMAL, a busy timeout, and transactions that begin when we say so.
PostgreSQL: readers see one commit (REPEATABLE READ, READ ONLY); a writer has one session and no other.
"""

import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from tapewatch.errors import ConfigError

BUSY_MS = 5_000
CHECKPOINT_PAGES = 2_000

POSTGRESQL = "postgresql+psycopg"
DRIVERS = {"sqlite": "sqlite", "postgres": POSTGRESQL, "postgresql": POSTGRESQL, POSTGRESQL: POSTGRESQL}
"""What stands in front of ``://``, and the driver that is meant."""

CONNECT_S = 10
UNANSWERED_MS = 30_000
"""A server that acknowledges nothing for so long is lost: its machine went without a word."""

SECRETS = ("password", "sslpassword")


def database_url(url_or_path: str | Path) -> URL:
    """Read a database's address: a URL, or the path of an SQLite file.

    Raises
    ------
    ConfigError
        Not an address of a database.
    """
    text = str(url_or_path)
    scheme, is_url, _ = text.partition("://")
    if not is_url:
        return URL.create("sqlite", database=text)
    expected = "--db expects a path or an address such as postgresql://user@host:5432/name"
    if scheme not in DRIVERS:
        raise ConfigError(f"{expected}, found one of {scheme!r}")
    try:
        url = make_url(text).set(drivername=DRIVERS[scheme])
    except (ArgumentError, ValueError):
        # Whatever is wrong with it, there may be a password in it.
        raise ConfigError(f"{expected}, found {re.sub('//.*@', '//***@', text)!r}") from None
    if url.drivername == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ConfigError(f"--db expects a file, found {text!r}; a database in memory could not be shown")
    if url.drivername == POSTGRESQL and not url.database:
        raise ConfigError(f"{expected}, found no name of a database in {name_of(url)}")
    return url


def name_of(url: URL) -> str:
    """Name a database to a person: its path, or its address without what is secret."""
    path = sqlite_path(url)
    if path is not None:
        return str(url.database)
    plain = url.difference_update_query(SECRETS).set(drivername="postgresql")
    return plain.render_as_string(hide_password=True)


def apart(url_or_path: str | Path) -> tuple[str, dict[str, str]]:
    """Take the password out of an address: it goes to a child in the environment, where no list of processes shows it.

    >>> apart("postgresql://me:secret@host/name")
    ('postgresql+psycopg://me@host/name', {'PGPASSWORD': 'secret'})
    """
    url = database_url(url_or_path)
    password = url.password or url.query.get("password")
    if sqlite_path(url) is not None or password is None:
        return str(url_or_path), {}
    open_part = URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, url.difference_update_query(SECRETS).query
    )
    return open_part.render_as_string(), {"PGPASSWORD": str(password)}


def sqlite_path(url: URL) -> Path | None:
    """Path of an SQLite database; None for a server's."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def open_engine(url: URL, *, read_only: bool) -> Engine:
    """Make an engine; a database that is only read is neither created nor changed.

    Raises
    ------
    ConfigError
        The driver is not installed.
    """
    path = sqlite_path(url)
    return _postgresql(url, read_only=read_only) if path is None else _sqlite(url, path, read_only=read_only)


def hold_one_session(engine: Engine, gone: Exception) -> None:
    """Let an engine that has connected go on with that session only; where it would need another one, raise."""

    def refuse(*_: Any) -> None:
        raise gone

    event.listen(engine, "do_connect", refuse)


def _sqlite(url: URL, path: Path, *, read_only: bool) -> Engine:
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


def _postgresql(url: URL, *, read_only: bool) -> Engine:
    arguments = {
        "application_name": f"tapewatch (process {os.getpid()} on {socket.gethostname()})"[:63],
        "connect_timeout": CONNECT_S,
        "tcp_user_timeout": UNANSWERED_MS,
    }
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    try:
        if read_only:
            return create_engine(
                url,
                connect_args=arguments,
                pool_pre_ping=True,
                isolation_level="REPEATABLE READ",
                execution_options={"postgresql_readonly": True},
            )
        return create_engine(url, connect_args=arguments, pool_size=1, max_overflow=0)
    except ImportError:
        raise ConfigError(
            "PostgreSQL needs the driver psycopg, which is not installed: pip install 'tapewatch[postgres]'"
        ) from None
