"""One instance per database and role: a lock that is released however its process ends.

SQLite: a file beside the database, which the kernel lets go. PostgreSQL: an advisory lock of the writer's session.
"""

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from tapewatch.errors import DatabaseAwayError, StoreError


class Role(NamedTuple):
    """One of the two that write to a database, each alone.

    Attributes
    ----------
    doing
        What it does, for a person.
    suffix
        Of the file that is its lock.
    number
        First half of the advisory lock's number; the second is the schema, for a database may hold several of ours.
    """

    doing: str
    suffix: str
    number: int


WRITER = Role("is writing to it", ".lock", int.from_bytes(b"tape", "big"))
TELLER = Role("is telling its alerts", ".alerts.lock", int.from_bytes(b"tell", "big"))

PATIENCE_MS = 1_000
"""A session whose process was killed keeps its lock until the server notices."""


class Lock:
    """Hold a role's file beside a database until `release`.

    Raises
    ------
    StoreError
        Another process holds it, or the folder cannot be written.
    """

    def __init__(self, database: Path, role: Role = WRITER) -> None:
        path = database.with_name(f"{database.name}{role.suffix}")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another place with --db") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            # Whoever answers what a person asks of alerting holds its lock for a moment only.
            kind = DatabaseAwayError if role is TELLER else StoreError
            raise _taken(str(database), f"tapewatch (process {holder or 'unknown'})", role, kind) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next instance in; the file stays, for removing it would let two in at once."""
        os.close(self._file)


def lock_session(connection: Connection, name: str, role: Role = WRITER) -> None:
    """Lock the schema that a session writes to, for one role, until it ends.

    Raises
    ------
    DatabaseAwayError
        Another session holds it; says whose, where the server tells.
    StoreError
        There is no schema.
    """
    schema = connection.execute(text("SELECT oid FROM pg_namespace WHERE nspname = current_schema()")).scalar()
    if schema is None:
        raise StoreError(f"{name}: there is no schema to write to; make the one that search_path names")
    numbers = {"class": role.number, "schema": schema}
    connection.execute(text(f"SET LOCAL lock_timeout = {PATIENCE_MS}"))
    try:
        connection.execute(text("SELECT pg_advisory_lock(:class, CAST(:schema AS oid)::int)"), numbers)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        connection.rollback()
        # Not a refusal: the holder may be a session whose process is gone, while its last statement still runs.
        raise _taken(name, _holder(connection, numbers), role, DatabaseAwayError) from None
    connection.commit()


def lock_transaction(connection: Connection) -> None:
    """Wait until no other transaction makes tables in the database, and keep others waiting until this one ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:class, 0)"), {"class": int.from_bytes(b"migr", "big")})


def _holder(connection: Connection, numbers: dict[str, int]) -> str:
    query = """
        SELECT pid, application_name FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND classid = :class AND objid = :schema
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    found = connection.execute(text(query), numbers).one_or_none()
    session = f"tapewatch (session {found.pid} of the server)" if found else "tapewatch"
    return str(found.application_name or session) if found else session


def _taken(name: str, holder: str, role: Role, kind: type[StoreError] = StoreError) -> StoreError:
    return kind(f"{name}: another {holder} {role.doing}; stop that one or choose another database with --db")
