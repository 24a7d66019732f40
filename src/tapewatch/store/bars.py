"""Bars as a chart takes them: an open connection and a lane in, float64 bars of any width out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from tapewatch.model import BAR_WIDTHS, NS, PRICE_SCALE, Lane
from tapewatch.store.schema import bars as bars_table

B = bars_table.c

SPAN_BARS_MAX = 3_600
"""Bars that a span of time is read from, more or less."""

COLUMNS = (B.ts, B.open, B.high, B.low, B.close, B.volume, B["count"], B.open_id, B.close_id)
"""Of the table, in the order of `CHART`."""

FIELDS = ("time", "open", "high", "low", "close", "volume", "count", "first_id", "last_id")

CHART = np.dtype([(name, "f8") for name in FIELDS])
"""A bar for a chart: start of the bucket in seconds since the epoch, prices in the quote currency, lowest and highest
id of its trades (exact below 2^53), all float64. Where a venue counts its trades, the ids tell how many are missing."""


def read_bars(
    conn: Connection, lane: Lane, width_s: int, *, start_ns: int = 0, end_ns: int | None = None, limit: int = 2_000
) -> NDArray[np.void]:
    """Read the newest bars of a lane that start in start … end.

    Parameters
    ----------
    width_s
        Any whole number of seconds; widths that are not stored are folded from the largest that divides them.

    Returns
    -------
    bars
        Shape (n ≤ limit,), dtype CHART, oldest first. Seconds without a trade have no bar.
    """
    assert width_s >= 1, "a bar lasts at least a second"
    stored = max(width for width in BAR_WIDTHS if width_s % width == 0)
    of_lane = [B.venue == lane.venue, B.symbol == lane.symbol, B.width == stored]
    inside = [B.ts >= start_ns - start_ns % (width_s * NS)]
    if end_ns is not None:
        inside.append(B.ts < end_ns)
    columns = select(*COLUMNS)
    query = columns.where(*of_lane, *inside).order_by(B.ts.desc()).limit(limit * (width_s // stored))
    rows = [tuple(row) for row in conn.execute(query)]
    rows.reverse()
    return fold(chart(rows), width_s)[-limit:]


def read_span(conn: Connection, lane: Lane, since: int, until: int) -> tuple[float, int, float, int, float] | None:
    """Read how far a lane's price went in a span of time, ns by the venue's clock, from bars of a fitting width.

    Returns
    -------
    low, low_ts, high, high_ts, last
        Prices in the quote currency, each extreme with the start of its bar; None where nothing traded.
    """
    width = next((width for width in BAR_WIDTHS if (until - since) <= SPAN_BARS_MAX * width * NS), BAR_WIDTHS[-1])
    inside = (B.venue == lane.venue, B.symbol == lane.symbol, B.width == width, B.ts <= until)
    query = select(B.ts, B.low, B.high, B.close).where(*inside, B.ts > since - width * NS).order_by(B.ts)
    rows = [tuple(row) for row in conn.execute(query)]
    if not rows:
        return None
    ts, low, high, close = np.array(rows, dtype=np.int64).T
    lowest, highest = int(low.argmin()), int(high.argmax())
    return (
        float(low[lowest]) / PRICE_SCALE,
        int(ts[lowest]),
        float(high[highest]) / PRICE_SCALE,
        int(ts[highest]),
        float(close[-1]) / PRICE_SCALE,
    )


def fold(narrow: NDArray[np.void], width_s: int) -> NDArray[np.void]:
    """Fold bars into wider ones.

    Parameters
    ----------
    narrow
        Shape (n,), dtype CHART, ascending in time, of a width that divides `width_s`.
    """
    if not len(narrow):
        return narrow
    bucket = narrow["time"] // width_s
    first = np.flatnonzero(np.diff(bucket, prepend=-1))
    last = np.append(first[1:], len(narrow)) - 1
    wide = np.empty(len(first), dtype=CHART)
    wide["time"] = bucket[first] * width_s
    wide["open"] = narrow["open"][first]
    wide["high"] = np.maximum.reduceat(narrow["high"], first)
    wide["low"] = np.minimum.reduceat(narrow["low"], first)
    wide["close"] = narrow["close"][last]
    for name in ("volume", "count"):
        wide[name] = np.add.reduceat(narrow[name], first)
    wide["first_id"] = np.minimum.reduceat(narrow["first_id"], first)
    wide["last_id"] = np.maximum.reduceat(narrow["last_id"], first)
    return wide


def chart(rows: Sequence[tuple[float, ...]]) -> NDArray[np.void]:
    """Make bars of rows of the table, as `COLUMNS` gives them.

    Returns
    -------
    bars
        Shape (n,), dtype CHART.
    """
    found = np.array(rows, dtype=CHART)
    found["time"] //= NS
    for name in ("open", "high", "low", "close"):
        found[name] /= PRICE_SCALE
    return found
