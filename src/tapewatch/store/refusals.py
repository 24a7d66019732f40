"""A driver's error becomes one sentence that a person can act on, without the password."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from tapewatch.errors import DatabaseAwayError, StoreError
from tapewatch.store.engine import name_of

SAFE = "what was committed before is safe"
FULL = f"the disk is full; {SAFE}. Free some space and start again"
LOST = f"the connection was lost; {SAFE}. Start again when the server is back"

LOCKED = f"another program keeps it locked; {SAFE}. Close that program and start again"

PLAIN = {
    "disk is full": FULL,
    "disk I/O error": f"the disk could not be read or written; {SAFE}",
    "locked": LOCKED,
    "readonly": "it cannot be written; change its permissions or choose another database with --db",
    "read-only": "it cannot be written; change its permissions or choose another database with --db",
    "unable to open": "it cannot be opened; check the path and its permissions, or choose another database with --db",
    "not a database": "it is not a database of tapewatch; choose another database with --db",
    "malformed": "it is damaged; move it away and start with a new one",
}
"""What SQLite says, and what a person reads."""

UNREACHABLE = "there is no PostgreSQL that answers; start it, or check host and port in --db"
LOGIN = "the server does not let this user in; check user and password in --db"
BUSY = "the server takes no more connections; end some, or raise its max_connections"
STARTING = "the server is starting or stopping; try again in a moment"
NO_DATABASE = "the server has no database of that name; make it with createdb, or choose another one with --db"

TLS = "its TLS cannot be set up; check sslmode, sslrootcert, sslcert and sslkey in --db"

AWAY = (UNREACHABLE, BUSY, STARTING, LOST, LOCKED)
"""What may pass by itself."""

PLAIN_CONNECTING = {
    "certificate": TLS,  # before the words for a file that a socket is
    "private key file": TLS,
    "no password supplied": "the server wants a password; put it into --db, PGPASSWORD or ~/.pgpass",
    "authentication failed": LOGIN,
    "no pg_hba.conf entry": LOGIN,
    "is not permitted to log in": LOGIN,
    'role "': LOGIN,
    "permission denied for database": "this user may not connect to it; grant it the right, or use another user",
    'database "': NO_DATABASE,
    "too many": BUSY,
    "remaining connection slots": BUSY,
    "the database system is": STARTING,
    "could not translate host name": UNREACHABLE,
    "failed to resolve host": UNREACHABLE,
    "refused": UNREACHABLE,
    "No such file or directory": UNREACHABLE,
    "timeout expired": UNREACHABLE,
    "No route to host": UNREACHABLE,
    "unreachable": UNREACHABLE,
    "the connection is": LOST,
    "closed the connection": LOST,
}
"""What is said by who has no SQLSTATE: the driver, and a server that did not let us in."""

PLAIN_POSTGRESQL = {
    "08": LOST,
    "25006": "it cannot be written; it is a copy, or was opened for reading only",
    "28": LOGIN,
    "3D000": NO_DATABASE,
    "3F000": "there is no schema to write to; make the one that search_path names",
    "40001": f"another program wrote to it at the same time; {SAFE}. Close that program and start again",
    "40P01": f"another program's transaction stood in the way (deadlock); {SAFE}. Close that one and start again",
    "42501": "this user may not do that; grant it the rights on the database and its schema, or use another user",
    "42P01": "its tables are gone; start tapewatch run on it again",
    "53100": FULL,
    "53300": BUSY,
    "55P03": LOCKED,
    "57014": f"the server ended what took too long; {SAFE}",
    "57P03": STARTING,
    "57P": LOST,
    "58030": f"the server's disk could not be read or written; {SAFE}",
}
"""What PostgreSQL says, by the beginning of its SQLSTATE."""


@contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Turn what the world did to the database into a `StoreError`; our own mistakes pass as they are."""
    try:
        yield
    except DBAPIError as error:
        name, words = name_of(url), " ".join(str(error.orig).split())
        plain = _sqlite(words) if url.get_backend_name() == "sqlite" else _postgresql(error, words)
        if plain:
            raise (DatabaseAwayError if plain in AWAY else StoreError)(f"{name}: {plain}") from error
        if isinstance(error, OperationalError | InternalError | InterfaceError):
            raise StoreError(f"{name}: {words}") from error
        raise


def lost(url: URL) -> StoreError:
    """Say that the session with the server is gone."""
    return DatabaseAwayError(f"{name_of(url)}: {LOST}")


def _sqlite(words: str) -> str | None:
    return next((plain for part, plain in PLAIN.items() if part in words), None)


def _postgresql(error: DBAPIError, words: str) -> str | None:
    if error.connection_invalidated:
        return LOST
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return next((plain for start, plain in PLAIN_POSTGRESQL.items() if state.startswith(start)), None)
    if isinstance(error, OperationalError | InterfaceError):
        return next((plain for part, plain in PLAIN_CONNECTING.items() if part in words), None)
    return None
