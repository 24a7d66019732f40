"""Databases for tests, the same for SQLite and PostgreSQL, and a PostgreSQL to hold the second kind.

Tests read and spoil them with the driver alone, so that the store does not check itself.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psutil
import psycopg
from sqlalchemy import make_url

from support.missing import lacking
from tapewatch.errors import TapewatchError
from tapewatch.runtime.postgres import Server, find

KINDS = ("sqlite", "postgresql")
ENDS_S = 10.0

_numbers = count(1)


class Database(Protocol):
    """A place for one database, in which there is nothing yet.

    Attributes
    ----------
    url
        What a person would give as --db.
    name
        What the store calls it.
    """

    url: str
    name: str

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read."""

    def execute(self, *statements: str) -> None:
        """Write, and commit; ``%s`` stands for nothing here."""

    def another(self) -> "Database":
        """Find a place for one more."""


class SqliteDatabase:
    """A file that may come to be in a folder that may come to be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = self.name = str(path)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def execute(self, *statements: str) -> None:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                for statement in statements:
                    connection.execute(statement)
        finally:
            connection.close()

    def another(self) -> "SqliteDatabase":
        return SqliteDatabase(self.path.with_name(f"{next(_numbers)}.db"))


class PostgresqlDatabase:
    """A database of a real server; another one is a schema of its own in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = make_url(url).set(drivername="postgresql")
        self.name = parsed.render_as_string(hide_password=True)
        self._plain = parsed.render_as_string(hide_password=False)

    def connect(self, **arguments: Any) -> psycopg.Connection:
        """Open a session of one's own."""
        return psycopg.connect(self._plain, **arguments)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query).fetchall()

    def execute(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def another(self) -> "PostgresqlDatabase":
        schema = f"s{next(_numbers)}"
        self.execute(f"CREATE SCHEMA {schema}")
        options = {"options": f"-csearch_path={schema}"}
        return PostgresqlDatabase(make_url(self.url).set(query=options).render_as_string(hide_password=False))


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[Server]:
    """Run a server that goes with its folder; skip where there is none, but not in CI."""
    home = Path(tempfile.mkdtemp(prefix="tapewatch-postgresql-"))  # pytest's own folders are closed to other accounts
    try:
        server = Server(home, find(), durable=durable)
        server.start()
    except TapewatchError as error:
        shutil.rmtree(home, ignore_errors=True)
        lacking("PostgreSQL", error)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


def kill(server: Server) -> None:
    """End it at once, and wait until it has ended: a signal takes its time to be carried out."""
    assert server.pid is not None
    process = psutil.Process(server.pid)
    process.kill()
    assert psutil.wait_procs([process], timeout=ENDS_S)[0]


def fresh(server: Server) -> PostgresqlDatabase:
    """Make a database that is a test's own."""
    name = f"t{next(_numbers)}"
    with psycopg.connect(_plain(server.url("postgres")), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return PostgresqlDatabase(server.url(name))


def drop(server: Server, database: PostgresqlDatabase) -> None:
    """Remove it, whoever still looks at it."""
    with psycopg.connect(_plain(server.url("postgres")), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {make_url(database.url).database} WITH (FORCE)")


def _plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)
