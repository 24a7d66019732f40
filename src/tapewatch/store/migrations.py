"""The schema has a number: a new database gets the tables as they are, an old one the steps that it lacks."""

from collections.abc import Callable, Sequence

from sqlalchemy import Column, Connection, DateTime, Integer, MetaData, Table, func, insert, inspect, select

from tapewatch.errors import StoreError
from tapewatch.store.schema import METADATA

Step = Callable[[Connection], None]

STEPS: Sequence[Step] = ()
"""What was changed after schema 1, in order: the first entry leads to schema 2, and so on. Entries never change."""

_own = MetaData()
migrations = Table(
    "migrations",
    _own,
    Column("number", Integer, primary_key=True),
    Column(
        "applied_at", DateTime, nullable=False, server_default=func.current_timestamp()
    ),  # the database's clock, UTC
)


def migrate(connection: Connection, name: str, steps: Sequence[Step] = STEPS) -> None:
    """Bring a database to the program's schema, inside the caller's transaction.

    Raises
    ------
    StoreError
        It was written by a newer program, or it is somebody else's.
    """
    latest = 1 + len(steps)
    tables = set(inspect(connection).get_table_names()) - {"sqlite_sequence"}
    if not tables:
        _own.create_all(connection)
        METADATA.create_all(connection)
        connection.execute(insert(migrations), [{"number": number} for number in range(1, latest + 1)])
        return
    found = schema_number(connection, name)
    if found > latest:
        raise _newer(name, found, latest)
    for number in range(found + 1, latest + 1):
        steps[number - 2](connection)
        connection.execute(insert(migrations), {"number": number})


def schema_number(connection: Connection, name: str) -> int:
    """Return the schema's number of a database that has tables.

    Raises
    ------
    StoreError
        It is not a database of tapewatch.
    """
    if not inspect(connection).has_table("migrations"):
        raise StoreError(f"{name}: it is not a database of tapewatch; choose another file with --db")
    return int(connection.execute(select(func.max(migrations.c.number))).scalar_one() or 0)


def check_readable(connection: Connection, name: str, steps: Sequence[Step] = STEPS) -> bool:
    """Tell whether a database holds tables yet; a reader accepts only the program's own schema.

    Raises
    ------
    StoreError
        It was written by a newer or by an older program, or it is somebody else's.
    """
    if not inspect(connection).get_table_names():
        return False
    found, latest = schema_number(connection, name), 1 + len(steps)
    if found > latest:
        raise _newer(name, found, latest)
    if found < latest:
        raise StoreError(
            f"{name}: its schema {found} is older than this program's {latest}; start tapewatch run on it once"
        )
    return True


def _newer(name: str, found: int, latest: int) -> StoreError:
    return StoreError(
        f"{name}: a newer tapewatch wrote it (schema {found}, this one knows {latest}); "
        "update tapewatch or choose another file with --db"
    )
