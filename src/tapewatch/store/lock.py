"""One instance per database: a lock that is released however its process ends.

SQLite: a file beside the database, which the kernel lets go. PostgreSQL: an advisory lock of the writer's session.
"""

import fcntl
import os
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from tapewatch.errors import DatabaseAwayError, StoreError

CLASS = int.from_bytes(b"tape", "big")
"""First half of the advisory lock's number; the second is the schema, for a database may hold several of ours."""

PATIENCE_MS = 1_000
"""A session whose process was killed keeps its lock until the server notices."""


class Lock:
    """Hold ``NAME.lock`` beside a database until `release`.

    Raises
    ------
    StoreError
        Another process holds it, or the folder cannot be written.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(f"{database.name}.lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another place with --db") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise _taken(str(database), f"tapewatch (process {holder or 'unknown'})") from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next instance in; the file stays, for removing it would let two in at once."""
        os.close(self._file)


def lock_session(connection: Connection, name: str) -> None:
    """Lock the schema that a session writes to, until it ends.

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
    numbers = {"class": CLASS, "schema": schema}
    connection.execute(text(f"SET LOCAL lock_timeout = {PATIENCE_MS}"))
    try:
        connection.execute(text("SELECT pg_advisory_lock(:class, CAST(:schema AS oid)::int)"), numbers)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        connection.rollback()
        # Not a refusal: the holder may be a session whose process is gone, while its last statement still runs.
        raise _taken(name, _holder(connection, numbers), DatabaseAwayError) from None
    connection.commit()


def unlock_session(connection: Connection) -> None:
    """Let the next instance in at once, not only when the server notices that this session has ended."""
    connection.execute(text("SELECT pg_advisory_unlock_all()"))


def _holder(connection: Connection, numbers: dict[str, int]) -> str:
    query = """
        SELECT pid, application_name FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND classid = :class AND objid = :schema
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    found = connection.execute(text(query), numbers).one_or_none()
    session = f"tapewatch (session {found.pid} of the server)" if found else "tapewatch"
    return str(found.application_name or session) if found else session


def _taken(name: str, holder: str, kind: type[StoreError] = StoreError) -> StoreError:
    return kind(f"{name}: another {holder} is writing to it; stop that one or choose another database with --db")
