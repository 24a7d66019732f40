"""One look at the database: everything that a screen shows, read in one transaction.

In: an open connection, the wall clock and an `Ask`. Out: a `Picture`, which the panels only draw.
"""

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray
from sqlalchemy import Connection

from tapewatch.alert import Mark
from tapewatch.errors import StoreError
from tapewatch.model import NS, Anomaly, Lane
from tapewatch.store.bars import read_bars
from tapewatch.store.sql import Reader
from tapewatch.view import alerts, marks, queries
from tapewatch.view.alerts import AlertLine, Standing
from tapewatch.view.indicators import Bands, bollinger
from tapewatch.view.queries import Counts, Filter
from tapewatch.view.status import Status, Watch, status, watchlist
from tapewatch.view.verdict import Entry, Verdict, grouped, verdict
from tapewatch.words import size_rank

ZOOMS = (1, 2, 5, 10, 30, 60, 300, 900, 3_600)
"""Widths of a bar that a person can choose, in seconds."""

AUTO_ZOOMS = ZOOMS[:5]
"""Widths that are chosen for a person, by how much there is to show."""

DAY_S = 86_400


class Ask(Struct, frozen=True):
    """What a person wants to look at.

    Attributes
    ----------
    lane
        Of the chart; None for the first one that the filter names, or the first of all.
    columns
        Bars that the chart has room for.
    width_s
        Of a bar; None for a width at which what is known fills the chart.
    end_ns
        Right edge of the chart; None for now.
    until_ns
        Nothing that opened later is listed: the screen is paused. None for no limit.
    told
        Id of the anomaly of which is read who was told; None for none.
    largest_first
        List by size, not by time.
    """

    filter: Filter = Filter()
    lane: Lane | None = None
    columns: int = 80
    width_s: int | None = None
    end_ns: int | None = None
    until_ns: int | None = None
    limit: int = 200
    mean_bars: int = 20
    sigmas: float = 2.0
    told: str | None = None
    largest_first: bool = False


class Chart(Struct, frozen=True):
    """A lane's bars with what is drawn over them.

    Attributes
    ----------
    bars, bands
        Shape (n,); with the bars before the left edge that the first mean needs.
    marks
        What was abnormal in the span, newest first.
    start_s, end_s
        Left edge and right edge, seconds since the epoch; `start_s` is the start of a bar.
    auto
        Whether the width of the bars was chosen for the person.
    """

    watch: Watch
    width_s: int
    start_s: int
    end_s: int
    bars: NDArray[np.void]
    bands: Bands
    marks: list[Anomaly]
    mean_bars: int
    sigmas: float
    auto: bool


class Picture(Struct, frozen=True):
    """Everything that a screen shows.

    Attributes
    ----------
    complete
        Whether `entries` are all that there are.
    hours
        Openings per hour of the last day, dtype HISTOGRAM.
    marks
        What people said of the entries, by id.
    told
        Of the anomaly that was asked for.
    """

    status: Status
    verdict: Verdict
    watch: list[Watch]
    entries: list[Entry]
    complete: bool
    counts: Counts
    hours: NDArray[np.void]
    chart: Chart | None
    standing: Standing = Standing()
    marks: dict[str, Mark] = {}
    told: list[AlertLine] = []


def read(conn: Connection, wall_ns: int, ask: Ask, differs: str = "") -> Picture:
    """Read a picture.

    Parameters
    ----------
    wall_ns
        Wall clock of who writes it, ns since the epoch.
    differs
        How ours differs from that, for a person.
    """
    now = structs.replace(status(conn, wall_ns), differs=differs)
    watch = watchlist(conn, now)
    before = None if ask.until_ns is None else (ask.until_ns + 1, "")
    if ask.largest_first:
        listed = queries.largest(conn, ask.filter, now.now_ns, ask.limit)
    else:
        listed = queries.anomalies(conn, ask.filter, now.now_ns, ask.limit, before)
    chosen = min(watch, key=lambda each: (each.lane != ask.lane, each.symbol not in ask.filter.symbols), default=None)
    return Picture(
        status=now,
        verdict=verdict(queries.open_anomalies(conn)),
        watch=watch,
        entries=sorted(grouped(listed), key=_by_size) if ask.largest_first else grouped(listed),
        complete=len(listed) < ask.limit,
        counts=queries.counts(conn, ask.filter, now.now_ns),
        hours=queries.histogram(conn, Filter(), now.now_ns - (DAY_S - 3_600) * NS, now.now_ns),
        chart=None if chosen is None else _chart(conn, chosen, now, ask),
        standing=alerts.standing(conn, wall_ns),
        marks=marks.marks_of(conn, [each.id for each in listed]),
        told=[] if ask.told is None else alerts.alerts_of(conn, [ask.told]),
    )


def _by_size(entry: Entry) -> tuple[bool, float]:
    return size_rank(entry.anomaly)


def look(reader: Reader, wall_ns: int, ask: Ask, differs: str = "") -> tuple[Picture | None, str]:
    """Read a picture, or say in a sentence why there is none."""
    try:
        if not reader.ready():
            return None, f"There is no database {reader.name} yet."
        with reader.connect() as conn:
            picture = read(conn, wall_ns, ask, differs)
    except StoreError as error:
        return None, f"{error}."
    if not picture.status.feed:
        return None, f"The database {reader.name} is there, but nothing was captured into it yet."
    return picture, ""


def _chart(conn: Connection, watch: Watch, now: Status, ask: Ask) -> Chart:
    width_s = ask.width_s or _fitting(conn, watch.lane, now.now_ns, ask.columns)
    end_s = (ask.end_ns or ask.until_ns or now.now_ns) // NS
    start_s = (end_s // width_s - ask.columns + 1) * width_s
    first = (start_s - (ask.mean_bars - 1) * width_s) * NS
    limit = ask.columns + ask.mean_bars
    bars = read_bars(conn, watch.lane, width_s, start_ns=first, end_ns=(end_s + 1) * NS, limit=limit)
    return Chart(
        watch=watch,
        width_s=width_s,
        start_s=start_s,
        end_s=end_s,
        bars=bars,
        bands=bollinger(bars["close"], ask.mean_bars, ask.sigmas),
        marks=queries.between(conn, watch.lane, start_s * NS, (end_s + 1) * NS),
        mean_bars=ask.mean_bars,
        sigmas=ask.sigmas,
        auto=ask.width_s is None,
    )


def _fitting(conn: Connection, lane: Lane, now_ns: int, columns: int) -> int:
    widest = AUTO_ZOOMS[-1]
    known = read_bars(conn, lane, 60, start_ns=now_ns - columns * widest * NS, end_ns=now_ns + NS)
    span_s = now_ns // NS - int(known["time"][0]) if len(known) else 0
    return next((width for width in AUTO_ZOOMS if span_s <= columns * width), widest)
