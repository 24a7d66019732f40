"""What both dashboards ask of a database: anomalies, changes, bars and counts.

In: an open connection and what a person wants to see. Out: frozen values. Pure reads, for SQLite and
PostgreSQL; whoever calls several of them for one picture does so in one transaction.
"""

from collections import Counter

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, case, func, select, tuple_

from tapewatch.model import NS, Anomaly, Direction, Lane, Severity
from tapewatch.store import log
from tapewatch.store.bars import COLUMNS, chart
from tapewatch.store.records import LoggedChange
from tapewatch.store.schema import anomalies as anomalies_table
from tapewatch.store.schema import bars as bars_table
from tapewatch.store.schema import changes as changes_table
from tapewatch.store.values import anomaly_of
from tapewatch.words import RULES, SEVERITIES

A = anomalies_table.c
B = bars_table.c

DAY_NS = 86_400 * NS

TAIL_MAX = 5_000
"""Changes, or bars, that `tail` tells at most; who is further behind reads afresh."""


class Filter(Struct, frozen=True):
    """What a person wants to see; an empty field does not restrict.

    Attributes
    ----------
    recency_s
        Only anomalies that opened in the last so many seconds, or are still open; None for all.
    min_size
        Only anomalies of at least so many times their limit; those of a feed have no size. 0 for all.
    until_ns
        Only anomalies that opened before; `recency_s` counts back from there, and what was open then is left out.
    """

    severities: tuple[Severity, ...] = ()
    rules: tuple[str, ...] = ()
    directions: tuple[Direction, ...] = ()
    symbols: tuple[str, ...] = ()
    recency_s: int | None = 3_600
    min_size: float = 0.0
    until_ns: int | None = None

    def matches(self, anomaly: Anomaly, now_ns: int) -> bool:
        """Tell whether an anomaly that is at hand would be listed."""
        return (
            (not self.severities or anomaly.severity in self.severities)
            and (not self.rules or anomaly.rule in self.rules)
            and (not self.directions or anomaly.direction in self.directions)
            and (not self.symbols or anomaly.symbol in self.symbols)
            and (not self.min_size or (anomaly.size or 0.0) >= self.min_size)
            and (anomaly.opened_ts >= self.since(now_ns) or (anomaly.ended_ts is None and self.until_ns is None))
            and (self.until_ns is None or anomaly.opened_ts < self.until_ns)
        )

    def since(self, now_ns: int) -> int:
        """Earliest opening, ns, of an anomaly that has ended and is listed."""
        end_ns = now_ns if self.until_ns is None else self.until_ns
        return 0 if self.recency_s is None else end_ns - self.recency_s * NS


def anomalies(
    conn: Connection, wanted: Filter, now_ns: int, limit: int, before: tuple[int, str] | None = None
) -> list[Anomaly]:
    """List anomalies, newest first.

    Parameters
    ----------
    before
        (opened_ts, id) of the last one of the page before.
    """
    query = select(*log.ANOMALY).where(A.opened_ts >= wanted.since(now_ns), *_choices(wanted))
    if before is not None:
        query = query.where(A.opened_ts <= before[0], tuple_(A.opened_ts, A.id) < tuple_(*before))
    found = [anomaly_of(row) for row in conn.execute(query.order_by(A.opened_ts.desc(), A.id.desc()).limit(limit))]
    if len(found) < limit:
        earlier = _still_open(conn, wanted, now_ns)
        found += [each for each in earlier if before is None or (each.opened_ts, each.id) < before]
    return found[:limit]


def largest(conn: Connection, wanted: Filter, now_ns: int, limit: int) -> list[Anomaly]:
    """List anomalies, the largest first: by how many times their limit they are; what has no size comes last."""
    query = select(*log.ANOMALY).where(A.opened_ts >= wanted.since(now_ns), *_choices(wanted))
    order = (func.coalesce(A.size, 0.0).desc(), A.opened_ts.desc(), A.id.desc())
    found = [anomaly_of(row) for row in conn.execute(query.order_by(*order).limit(limit))]
    found += _still_open(conn, wanted, now_ns)
    return sorted(found, key=lambda each: (each.size or 0.0, each.opened_ts, each.id), reverse=True)[:limit]


def open_anomalies(conn: Connection, before_ns: int | None = None) -> list[Anomaly]:
    """List all that are open now, newest first; or those of them that opened before a moment."""
    query = select(*log.ANOMALY).where(A.ended_ts.is_(None))
    if before_ns is not None:
        query = query.where(A.opened_ts < before_ns)
    return [anomaly_of(row) for row in conn.execute(query.order_by(A.opened_ts.desc(), A.id.desc()))]


def ids(conn: Connection, beginning: str, limit: int = 100) -> list[str]:
    """List ids of anomalies that begin so."""
    after = f"{beginning}g"  # behind every hexadecimal digit
    return list(conn.scalars(select(A.id).where(A.id >= beginning, A.id < after).order_by(A.id).limit(limit)))


def between(conn: Connection, lane: Lane, start_ns: int, end_ns: int, limit: int = 2_000) -> list[Anomaly]:
    """List what was abnormal on a lane at some time in start … end, newest first; for a chart's markers and ribbon.

    What opened more than a day before `start_ns` and has ended is left out.
    """
    of_lane = select(*log.ANOMALY).where(A.symbol == lane.symbol, A.venue == lane.venue)
    inside = of_lane.where(A.opened_ts >= start_ns, A.opened_ts < end_ns)
    reaching_in = of_lane.where(A.opened_ts >= start_ns - DAY_NS, A.opened_ts < start_ns, A.ended_ts >= start_ns)
    found = [each for each in open_anomalies(conn, start_ns) if (each.venue, each.symbol) == lane]
    for query in (reaching_in, inside):
        rows = conn.execute(query.order_by(A.opened_ts.desc(), A.id.desc()).limit(limit))
        found += [anomaly_of(row) for row in rows]
    return sorted(found, key=lambda each: (each.opened_ts, each.id), reverse=True)


class LiveBar(Struct, frozen=True):
    """A stored bar as it stands after a commit that touched it; replaces what a reader had of its bucket."""

    venue: str
    symbol: str
    width: int
    bar: tuple[float, ...]


class Tail(Struct, frozen=True):
    """What is new since a reader looked last.

    Attributes
    ----------
    seq, revision
        Where the reader stands now; what it asks with next time.
    complete
        False where too much happened since: nothing is told, the reader must read afresh.
    """

    changes: list[LoggedChange]
    bars: list[LiveBar]
    seq: int
    revision: int
    complete: bool = True


def tail(conn: Connection, after_change_seq: int, after_revision: int, limit: int = TAIL_MAX) -> Tail:
    """Read the changes after a position in their log and the bars touched after a revision."""
    log = changes_table.c
    news = select(changes_table).where(log.seq > after_change_seq).order_by(log.seq).limit(limit + 1)
    touched = (
        select(B.venue, B.symbol, B.width, B.revision, *COLUMNS)
        .where(B.revision > after_revision)
        .order_by(B.revision)
        .limit(limit + 1)
    )
    changes = [LoggedChange(**row._mapping) for row in conn.execute(news)]  # noqa: SLF001  # SQLAlchemy's public name
    rows = conn.execute(touched).all()
    if len(changes) > limit or len(rows) > limit:
        return Tail([], [], *ends(conn), complete=False)
    live = [
        LiveBar(row.venue, row.symbol, row.width, bar.item())
        for row, bar in zip(rows, chart([tuple(each)[-len(COLUMNS) :] for each in rows]), strict=True)
    ]
    seq = changes[-1].seq if changes else after_change_seq
    return Tail(changes, live, seq, rows[-1].revision if rows else after_revision)


def ends(conn: Connection) -> tuple[int, int]:
    """Find the last position in the log of changes and the last revision of a bar, from which `tail` goes on."""
    seq = conn.execute(select(func.max(changes_table.c.seq))).scalar_one()
    revision = conn.execute(select(func.max(B.revision))).scalar_one()
    return seq or 0, revision or 0


class Place(Struct, frozen=True):
    """A moment of one database: what a reader that comes back says, to be told what it has missed.

    Attributes
    ----------
    epoch
        Which database: another one under the same name has another epoch.
    revision
        Number of its last commit.
    seq
        Last position in its log of changes.
    """

    epoch: str
    revision: int
    seq: int


def place(conn: Connection) -> Place:
    """Read where the database stands."""
    clock = log.clock(conn)
    seq = conn.execute(select(func.max(changes_table.c.seq))).scalar_one()
    return Place(log.epoch(conn), 0 if clock is None else clock.revision, seq or 0)


class Counts(Struct, frozen=True):
    """How many anomalies there are, by what a filter chooses from.

    Each distribution is under the other choices of the filter but not under its own: so it shows what
    choosing differently would bring.

    Attributes
    ----------
    total
        Under the whole filter.
    severities, rules, directions
        Every severity, rule and direction, also those that did not happen.
    sizes
        How many are at least 2, 4 and 8 times their limit, of each severity.
    """

    total: int
    severities: dict[Severity, int]
    rules: dict[str, int]
    directions: dict[Direction, int]
    sizes: dict[Severity, tuple[int, ...]]


SIZES = (2, 4, 8)
"""Sizes that a filter offers: at least so many times the limit."""


def counts(conn: Connection, wanted: Filter, now_ns: int) -> Counts:
    """Count anomalies by severity, rule and direction."""
    everything = Filter(symbols=wanted.symbols, recency_s=wanted.recency_s)
    # Grouped by a function of it, the severity tempts SQLite no more to read a whole index in that order.
    steps = sorted({*map(float, SIZES), wanted.min_size} - {0.0}, reverse=True)
    size = case(*((A.size >= least, least) for least in steps), else_=0.0)
    by = (func.lower(A.severity), A.rule, A.direction, size)
    recent = select(*by, func.count()).where(A.opened_ts >= wanted.since(now_ns), *_choices(everything)).group_by(*by)
    groups: Counter[tuple[Severity, str, Direction | None, float]] = Counter()
    for *group, n in conn.execute(recent):
        groups[tuple(group)] += n
    for each in _still_open(conn, everything, now_ns):
        reached = next((least for least in steps if (each.size or 0.0) >= least), 0.0)
        groups[each.severity, each.rule, each.direction, reached] += 1
    total = 0
    result = Counts(0, dict.fromkeys(SEVERITIES, 0), dict.fromkeys(RULES, 0), {"up": 0, "down": 0}, {})
    sizes = {severity: [0] * len(SIZES) for severity in SEVERITIES}
    for (severity, rule, direction, reached), n in groups.items():
        by_severity = not wanted.severities or severity in wanted.severities
        by_rule = not wanted.rules or rule in wanted.rules
        by_direction = not wanted.directions or direction in wanted.directions
        for at, least in enumerate(SIZES):
            sizes[severity][at] += n * (by_rule and by_direction and reached >= least)
        if reached < wanted.min_size:
            continue
        total += n * (by_severity and by_rule and by_direction)
        result.severities[severity] += n * (by_rule and by_direction)
        result.rules[rule] = result.rules.get(rule, 0) + n * (by_severity and by_direction)
        if direction:
            result.directions[direction] += n * (by_severity and by_rule)
    return msgspec.structs.replace(result, total=total, sizes={each: tuple(found) for each, found in sizes.items()})


HISTOGRAM = np.dtype([("time", "f8"), *((severity, "i8") for severity in SEVERITIES)])
"""Openings in one step of time: its start in seconds since the epoch, and the count of each severity."""


def histogram(conn: Connection, wanted: Filter, start_ns: int, end_ns: int, step_s: int = 3_600) -> NDArray[np.void]:
    """Count openings per step of time, stacked by severity; the filter's recency does not matter here.

    Returns
    -------
    steps
        Shape (n,), dtype HISTOGRAM: every step that touches start … end, also those in which nothing opened.
    """
    step = step_s * NS
    first, last = start_ns // step, -(-end_ns // step)
    steps = np.zeros(max(0, last - first), dtype=HISTOGRAM)
    steps["time"] = np.arange(first, first + len(steps)) * step_s
    bucket = (A.opened_ts - A.opened_ts % step).label("bucket")
    query = (
        select(bucket, A.severity, func.count())
        .where(A.opened_ts >= first * step, A.opened_ts < last * step, *_choices(wanted))
        .group_by(bucket, A.severity)
    )
    for start, severity, n in conn.execute(query):
        steps[severity][start // step - first] = n
    return steps


def _still_open(conn: Connection, wanted: Filter, now_ns: int) -> list[Anomaly]:
    # What is open is little, and has an index; asked together with the choices, SQLite would rather read all that is
    # old and of the right severity.
    since = wanted.since(now_ns)
    if not since or wanted.until_ns is not None:
        return []
    return [each for each in open_anomalies(conn, since) if wanted.matches(each, now_ns)]


def _choices(wanted: Filter) -> list[ColumnElement[bool]]:
    severities = wanted.severities if set(wanted.severities) != set(SEVERITIES) else ()
    chosen = (
        (A.severity, severities),
        (A.rule, wanted.rules),
        (A.direction, wanted.directions),
        (A.symbol, wanted.symbols),
    )
    bounds = [A.size >= wanted.min_size] if wanted.min_size else []
    if wanted.until_ns is not None:
        bounds.append(A.opened_ts < wanted.until_ns)
    return [*(column.in_(values) for column, values in chosen if values), *bounds]
