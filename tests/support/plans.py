"""How a database would carry out what is asked of it."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, event

# SQLite plans by rules; PostgreSQL by how many rows there are, which here are few.
of_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def plans(conn: Connection, read: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """Run `read` and explain each statement that it sent."""
    sent: list[tuple[str, tuple[object, ...]]] = []

    def remember(
        _conn: object, _cursor: object, statement: str, parameters: tuple[object, ...], _context: object, _many: object
    ) -> None:
        sent.append((statement, parameters))

    event.listen(conn.engine, "before_cursor_execute", remember)
    try:
        read()
    finally:
        event.remove(conn.engine, "before_cursor_execute", remember)
    assert sent, "nothing was asked of the database"
    for statement, parameters in sent:
        if not statement.startswith("SELECT"):
            continue
        for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            yield statement, row[3]
