"""Many rows at once: an upsert and its rows in; one statement each, or for PostgreSQL a COPY and one statement, out.

COPY into a temporary table and ``INSERT … SELECT … ON CONFLICT`` from there stores what row by row would, 1.4 to
3.2 times as fast from a thousand rows on (see ``benchmarks/bench_store.py``).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Integer, MetaData, Table, select
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.dml import Insert

from tapewatch.store.values import Values

COPY_MIN = 300
"""Rows from which on the way through a second table pays."""


def write(connection: Connection, statement: Insert, rows: Sequence[Values]) -> None:
    """Insert rows in their order.

    Parameters
    ----------
    statement
        As of `upsert`.
    rows
        All with the same columns.
    """
    if len(rows) < COPY_MIN or not isinstance(statement, PostgresqlInsert):
        if rows:
            connection.execute(statement, rows)
        return
    names = tuple(rows[0])
    coming = _coming(statement.table, names)
    chosen = select(*(coming.c[name] for name in names)).order_by(coming.c.position)  # numbers follow the order
    moved = statement.from_select(names, chosen)
    connection.execute(CreateTable(coming, if_not_exists=True))
    for part in _without_twins(rows, [column.name for column in statement.table.primary_key]):
        connection.execute(coming.delete())
        _copy(connection, coming, part)
        connection.execute(moved)


@lru_cache
def _coming(table: Table, names: tuple[str, ...]) -> Table:
    columns = [Column(name, table.c[name].type) for name in names]
    return Table(
        f"{table.name}_coming",
        MetaData(),
        *columns,
        Column("position", Integer),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
    )


def _without_twins(rows: Sequence[Values], key: Sequence[str]) -> Iterator[Sequence[Values]]:
    # A statement may not touch a row twice: what has the same key waits for the next one, in order.
    if not set(key) <= rows[0].keys():
        yield rows
        return
    while rows:
        first: dict[tuple[Any, ...], Values] = {}
        later = [row for row in rows if first.setdefault(tuple(row[name] for name in key), row) is not row]
        yield list(first.values())
        rows = later


def _copy(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    dialect, session = connection.dialect, connection.connection.driver_connection
    assert session is not None, "a connection that was checked out has a session"
    quoted = ", ".join(dialect.identifier_preparer.quote(column.name) for column in table.columns)
    types = [_type_name(column, dialect) for column in table.columns]
    error_type = dialect.loaded_dbapi.Error
    try:
        with (
            session.cursor() as cursor,
            cursor.copy(f"COPY {table.name} ({quoted}) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types(types)
            for position, row in enumerate(rows):
                copy.write_row((*row.values(), position))
    except error_type as error:
        # As SQLAlchemy would have, had it been asked.
        if lost := dialect.is_disconnect(error, session, None):
            connection.invalidate(error)
        raise DBAPIError.instance(
            "COPY", None, error, error_type, connection_invalidated=lost, dialect=dialect
        ) from error


def _type_name(column: Column[Any], dialect: Dialect) -> str:
    return column.type.compile(dialect).lower().partition(" collate")[0]
