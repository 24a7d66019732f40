"""What people said of anomalies, and what follows from it: precision of each rule over time, labels as a file.

    mark(conn, anomaly_id) -> Mark | None
    marks(conn, limit) -> [Mark]                      newest first
    marks_of(conn, anomaly_ids) -> {id: Mark}         of those of some anomalies that have one
    precision(conn, step) -> [Precision]              per rule and day or week, oldest first
    in_all(found) -> [Precision]                      the same, all time together
    labels(reader, form) -> bytes                     CSV or lines of JSON, for whoever trains or counts

In: an open connection, or a reader. Out: frozen values, or a file's bytes. Pure reads.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, and_, select

from tapewatch.alert import TOLD, Label, Mark
from tapewatch.model import NS, Severity
from tapewatch.store import log, schema
from tapewatch.store.records import origin
from tapewatch.store.sql import Reader
from tapewatch.view.export import Form

A, M, AL = schema.anomalies.c, schema.marks.c, schema.alerts.c

# An outer join is carried out from the left: a search by the anomaly's id for each of a few marks. As an inner join
# SQLite would rather read all anomalies.
_MARKED = schema.marks.outerjoin(schema.anomalies, A.id == M.anomaly_id)

Step = Literal["day", "week"]

DAY_NS: Final = 86_400 * NS
WEEK_NS: Final = 7 * DAY_NS
MONDAY_NS: Final = 4 * DAY_NS
"""The epoch was a Thursday; the first Monday after it."""


class Precision(Struct, frozen=True):
    """How often a rule was right in a span of time, as far as people have said.

    Attributes
    ----------
    start
        Of the day or week in which the anomalies opened, ns, UTC; weeks begin on Monday. 0 for all time.
    true, false, expected
        How many anomalies were marked so. What was expected says nothing about the rule, and does not count.
    """

    rule: str
    start: int
    true: int = 0
    false: int = 0
    expected: int = 0

    @property
    def judged(self) -> int:
        """How many count."""
        return self.true + self.false

    @property
    def share(self) -> float | None:
        """True ones among those that count, 0 … 1; None where none does."""
        return self.true / self.judged if self.judged else None


class Labelled(Struct, frozen=True):
    """One line of the file of labels; times are ns.

    Attributes
    ----------
    told_by
        Channels that told of it, by name.
    origin
        "live", "simulated", "replay" or "simulated replay": what was marked on a tape is not what happened that day.
    """

    anomaly_id: str
    venue: str
    symbol: str
    rule: str
    severity: Severity
    opened_ts: int
    label: Label
    note: str
    marked_ts: int
    told_by: tuple[str, ...]
    origin: str


def mark(conn: Connection, anomaly_id: str) -> Mark | None:
    """Find what a person said of an anomaly; None: nothing yet."""
    columns = [M[name] for name in Mark.__struct_fields__]
    row = conn.execute(select(*columns).where(M.anomaly_id == anomaly_id)).first()
    return None if row is None else Mark(*row)


def marks(conn: Connection, limit: int = 2_000) -> list[Mark]:
    """List what people said, the latest first."""
    columns = [M[name] for name in Mark.__struct_fields__]
    query = select(*columns).order_by(M.marked_ts.desc(), M.anomaly_id).limit(limit)
    return [Mark(*row) for row in conn.execute(query)]


def marks_of(conn: Connection, anomaly_ids: Collection[str]) -> dict[str, Mark]:
    """Find what people said of some anomalies, by their id."""
    columns = [M[name] for name in Mark.__struct_fields__]
    return {row.anomaly_id: Mark(*row) for row in conn.execute(select(*columns).where(M.anomaly_id.in_(anomaly_ids)))}


def precision(conn: Connection, step: Step = "day") -> list[Precision]:
    """Count the labels per rule and day or week; spans in which nothing was marked are left out."""
    query = select(A.rule, A.opened_ts, M.label).select_from(_MARKED)
    counts: dict[tuple[int, str], Counter[Label]] = {}
    for rule, opened_ts, label in conn.execute(query.where(M.label.is_not(None))):
        counts.setdefault((_start(opened_ts, step), rule), Counter())[label] += 1
    return [
        Precision(rule, start, counted["true"], counted["false"], counted["expected"])
        for (start, rule), counted in sorted(counts.items())
    ]


def in_all(found: Iterable[Precision]) -> list[Precision]:
    """Add up all time, one entry a rule, by name."""
    sums: dict[str, Precision] = {}
    for each in found:
        so_far = sums.get(each.rule, Precision(each.rule, 0))
        sums[each.rule] = Precision(
            each.rule, 0, so_far.true + each.true, so_far.false + each.false, so_far.expected + each.expected
        )
    return [sums[rule] for rule in sorted(sums)]


def labels(reader: Reader, form: Form) -> bytes:
    """Write every label as a file, in the order in which the anomalies opened; without a database there is none."""
    found: list[Labelled] = []
    if reader.ready():
        with reader.connect() as conn:
            found = _labelled(conn)
    return _csv(found) if form == "csv" else b"".join(msgspec.json.encode(each) + b"\n" for each in found)


def _labelled(conn: Connection) -> list[Labelled]:
    of_marks = schema.marks.outerjoin(schema.alerts, and_(AL.anomaly_id == M.anomaly_id, AL.verdict.in_(TOLD)))
    told: dict[str, set[str]] = {}
    for anomaly_id, channel in conn.execute(select(M.anomaly_id, AL.channel).select_from(of_marks)):
        if channel is not None:
            told.setdefault(anomaly_id, set()).add(channel)
    columns = (A.id, A.venue, A.symbol, A.rule, A.severity, A.opened_ts, M.label, M.note, M.marked_ts)
    joined = select(*columns).select_from(_MARKED)
    rows = conn.execute(joined.where(M.label.is_not(None)).order_by(A.opened_ts, A.id))
    source, clock = log.source(conn), log.clock(conn)
    live = clock is None or clock.live
    return [
        Labelled(
            *row,
            told_by=tuple(sorted(told.get(row.id, ()))),
            origin=" ".join(origin(source, row.venue, live=live)).lower() or "live",
        )
        for row in rows
    ]


def _csv(found: list[Labelled]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Labelled.__struct_fields__)
    for each in found:
        writer.writerow((msgspec.structs.asdict(each) | {"told_by": " ".join(each.told_by)}).values())
    return text.getvalue().encode()


def _start(ts: int, step: Step) -> int:
    if step == "day":
        return ts - ts % DAY_NS
    return ts - (ts - MONDAY_NS) % WEEK_NS
