"""The writing statements of a commit, the same for SQLite and PostgreSQL.

Both know ``INSERT … ON CONFLICT``, each in its own corner of SQLAlchemy; `upsert` is the only place that knows.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Table, case
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

from tapewatch.store import schema

Excluded = Any  # the namespace of the row that was to be inserted; each dialect has a type of its own
Changes = Callable[[Table, Excluded], dict[str, ColumnElement[Any]]]


def upsert(dialect: str, table: Table, key: Iterable[str], changes: Changes | None = None) -> Insert:
    """Make an insert that changes the row which is there already, or leaves it alone where `changes` is None."""
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    if changes is None:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    return insert.on_conflict_do_update(index_elements=list(key), set_=changes(table, insert.excluded))


def replace(table: Table, new: Excluded) -> dict[str, ColumnElement[Any]]:
    """Take the new row's values for all that is not the key."""
    return {column.name: new[column.name] for column in table.columns if not column.primary_key}


def merge_bar(bars: Table, new: Excluded) -> dict[str, ColumnElement[Any]]:
    """Merge an increment: open of the lowest id, close of the highest, extremes and sums."""
    old = bars.c

    def pick(new_wins: ColumnElement[bool], column: str) -> ColumnElement[Any]:
        return case((new_wins, new[column]), else_=old[column])

    earlier, later = new["open_id"] < old.open_id, new["close_id"] > old.close_id
    return {
        "open": pick(earlier, "open"),
        "open_id": pick(earlier, "open_id"),
        "close": pick(later, "close"),
        "close_id": pick(later, "close_id"),
        "high": pick(new["high"] > old.high, "high"),
        "low": pick(new["low"] < old.low, "low"),
        "volume": old.volume + new["volume"],
        "count": old["count"] + new["count"],
        "revision": new["revision"],
    }


class Statements:
    """The statements for one dialect, built once so that their compiled text is cached."""

    def __init__(self, dialect: str) -> None:
        self.changes = upsert(dialect, schema.changes, ("venue", "symbol", "ordinal"))
        self.anomalies = upsert(dialect, schema.anomalies, ("id",), replace)
        self.bars = upsert(dialect, schema.bars, ("venue", "symbol", "width", "ts"), merge_bar)
        self.feed = upsert(dialect, schema.feed, ("venue", "symbol"), replace)
        self.meta = upsert(dialect, schema.meta, ("key",), replace)
        self.state = upsert(dialect, schema.state, ("name",), replace)
