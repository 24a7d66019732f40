"""The schema has a number: a new database gets the tables as they are, an old one the steps that it lacks."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    Table,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn
from sqlalchemy.sql.expression import FunctionElement

from tapewatch.errors import StoreError
from tapewatch.model import NS, size_of
from tapewatch.store.lock import lock_transaction
from tapewatch.store.schema import METADATA

Step = Callable[[Connection], None]


def _add_alerting(connection: Connection) -> None:
    """Add what alerting keeps; what is in the log by now is told to nobody."""
    tables = [METADATA.tables[name] for name in ALERTING]
    METADATA.create_all(connection, tables)
    newest = connection.execute(select(func.max(METADATA.tables["changes"].c.seq))).scalar() or 0
    connection.execute(insert(METADATA.tables["meta"]), {"key": "reader:alerts", "value": str(newest)})


def _let_messages_be_asked_for_again(connection: Connection) -> None:
    """Let messages be asked for again, and rare alerts be found fast; what waited to be told ends."""
    if "again_ts" not in {column["name"] for column in inspect(connection).get_columns("messages")}:
        connection.exec_driver_sql("ALTER TABLE messages ADD COLUMN again_ts BIGINT")
    for index in METADATA.tables["alerts"].indexes:
        index.create(connection, checkfirst=True)
    connection.exec_driver_sql("DROP INDEX IF EXISTS alerts_by_verdict")
    _forget_what_waited(connection)


class _Peak(Struct, frozen=True):
    """What an anomaly's size is made of, read from a record of the log."""

    peak_observed: float
    threshold: float
    peak_ts: int
    peak_reference_ts: int


def _say_what_is_true(connection: Connection) -> None:
    """Keep sizes, and what each lane takes in."""
    anomalies, alerts, changes = (METADATA.tables[name] for name in ("anomalies", "alerts", "changes"))
    _add_columns(connection, anomalies, "size", "peak_left_ts")
    _add_columns(connection, alerts, "size")
    _add_columns(connection, METADATA.tables["feed"], "warming", "blind_ts", "cause")
    a = anomalies.c
    peaks = select(a.id, a.rule, a.peak_observed, a.threshold, a.peak_ts, a.peak_reference_ts)
    sizes = [
        {"of": id_, "value": _size(rule, _Peak(*peak))}
        for id_, rule, *peak in connection.execute(peaks.where(a.rule.in_(WINDOWS_S))).all()
    ]
    told = (
        select(alerts.c.change_seq, alerts.c.rule, changes.c.record)
        .join(changes, changes.c.seq == alerts.c.change_seq)
        .where(alerts.c.rule.in_(WINDOWS_S))
        .distinct()
    )
    told_sizes = [
        {"of": seq, "value": _size(rule, msgspec.json.decode(record, type=_Peak))}
        for seq, rule, record in connection.execute(told).all()
    ]
    for key, size, found in ((a.id, a.size, sizes), (alerts.c.change_seq, alerts.c.size, told_sizes)):
        if found:
            statement = update(key.table).where(key == bindparam("of")).values({size: bindparam("value")})
            connection.execute(statement, found)
    _forget_what_waited(connection)


def _forget_what_waited(connection: Connection) -> None:
    # What alerting remembers is written in another form from here on: what it had not put into a message ends.
    alerts, state = METADATA.tables["alerts"], METADATA.tables["state"]
    connection.execute(delete(state).where(state.c.name.startswith("alerts")))
    waited = (alerts.c.verdict.is_(None), alerts.c.message.is_(None))
    ended = {"verdict": "undelivered", "reason": "not told: it waited while tapewatch was brought up to date"}
    connection.execute(update(alerts).where(*waited).values(ended))


WINDOWS_S = {"pct_spike": 10, "abs_jump": 10, "vol_breakout": 1, "mean_reversion_break": 60}
"""Seconds that the rules looked back when there were no sizes yet, unless somebody had changed that."""


def _size(rule: str, peak: _Peak) -> float:
    age = peak.peak_ts - peak.peak_reference_ts
    return size_of(peak.peak_observed, peak.threshold, age, WINDOWS_S[rule] * NS)


def _add_columns(connection: Connection, table: Table, *names: str) -> None:
    """Add columns that a table lacks, as the schema has them."""
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for name in names:
        if name not in there:
            column = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column}")


ALERTING = ("alerts", "messages", "attempts", "channels", "silences", "marks")

STEPS: Sequence[Step] = (_add_alerting, _let_messages_be_asked_for_again, _say_what_is_true)
"""What was changed after schema 1, in order: the first entry leads to schema 2, and so on. Entries never change;
the first line of each one's docstring says to a person what it does."""

FIRST = "Make the tables."


class Migration(NamedTuple):
    """A step to a schema's number.

    Attributes
    ----------
    applied_at
        By the database's clock, UTC; None where it is still to be applied.
    """

    number: int
    words: str
    applied_at: datetime | None


class _UtcNow(FunctionElement[datetime]):
    type = DateTime()
    inherit_cache = True


@compiles(_UtcNow)
def _utc_now(*_: Any, **__: Any) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(_UtcNow, "postgresql")
def _utc_now_postgresql(*_: Any, **__: Any) -> str:
    return "TIMEZONE('utc', CURRENT_TIMESTAMP)"  # by itself it tells the session's time zone


_own = MetaData()
migrations = Table(
    "migrations",
    _own,
    Column("number", Integer, primary_key=True),
    Column("applied_at", DateTime, nullable=False, server_default=_UtcNow()),  # the database's clock, UTC
)


def migrate(connection: Connection, name: str, steps: Sequence[Step] = STEPS, *, fresh: bool = False) -> None:
    """Bring a database to the program's schema, inside the caller's transaction.

    Parameters
    ----------
    name
        What to call it to a person.
    fresh
        Remove our tables first, and no others.

    Raises
    ------
    StoreError
        It was written by a newer program, or it is somebody else's.
    """
    if connection.dialect.name == "postgresql":
        lock_transaction(connection)  # two that start at once would both make the tables
    latest, empty = 1 + len(steps), not _tables(connection)
    if fresh and not empty:
        schema_number(connection, name)
        METADATA.drop_all(connection)
        _own.drop_all(connection)
        empty = True
    if empty:
        _own.create_all(connection)
        METADATA.create_all(connection)
        connection.execute(insert(migrations), [{"number": number} for number in range(1, latest + 1)])
        return
    found = _known_number(connection, name, latest)
    for number in range(found + 1, latest + 1):
        steps[number - 2](connection)
        connection.execute(insert(migrations), {"number": number})


def history(connection: Connection, name: str, steps: Sequence[Step] = STEPS) -> list[Migration]:
    """List every migration that the program knows, and when it was applied.

    Raises
    ------
    StoreError
        It was written by a newer program, or it is somebody else's.
    """
    if not _tables(connection):
        return pending(steps)
    _known_number(connection, name, 1 + len(steps))
    applied: dict[int, datetime] = dict(connection.execute(select(migrations.c.number, migrations.c.applied_at)).all())
    return [each._replace(applied_at=applied.get(each.number)) for each in pending(steps)]


def pending(steps: Sequence[Step] = STEPS) -> list[Migration]:
    """List every migration that the program knows, as for a database that is not there yet."""
    words = [FIRST, *((step.__doc__ or step.__name__).strip().splitlines()[0] for step in steps)]
    return [Migration(number, said, None) for number, said in enumerate(words, start=1)]


def schema_number(connection: Connection, name: str) -> int:
    """Return the schema's number of a database that has tables.

    Raises
    ------
    StoreError
        It is not a database of tapewatch.
    """
    seen = inspect(connection)
    ours = {column.name for column in migrations.columns}
    if not seen.has_table("migrations") or not ours <= {column["name"] for column in seen.get_columns("migrations")}:
        raise StoreError(f"{name}: it is not a database of tapewatch; choose another database with --db")
    return int(connection.execute(select(func.max(migrations.c.number))).scalar_one() or 0)


def check_readable(connection: Connection, name: str, steps: Sequence[Step] = STEPS) -> bool:
    """Tell whether a database holds tables yet; a reader accepts only the program's own schema.

    Raises
    ------
    StoreError
        It was written by a newer or by an older program, or it is somebody else's.
    """
    if not _tables(connection):
        return False
    latest = 1 + len(steps)
    found = _known_number(connection, name, latest)
    if found < latest:
        raise StoreError(
            f"{name}: its schema {found} is older than this program's {latest}; "
            "tapewatch migrate brings it up, and so does tapewatch run"
        )
    return True


def _known_number(connection: Connection, name: str, latest: int) -> int:
    found = schema_number(connection, name)
    if found > latest:
        raise StoreError(
            f"{name}: a newer tapewatch wrote it (schema {found}, this one knows {latest}); "
            "update tapewatch or choose another database with --db"
        )
    return found


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"sqlite_sequence"}
