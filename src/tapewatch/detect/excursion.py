"""The loop of the two rules that look for a move within a window: rows in, firings folded into events.

Window of row i: the rows j ≤ i with ts_i − ts_j ≤ window, and the last row before them, whose price
is in force when the window opens. Up is measured from the lowest price in it, down from the highest.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.anomaly import NOTHING, emit, end, fire, gone_quiet
from tapewatch.detect.kernels import EXTREME, advance, kernel, push_high, push_low, reaches
from tapewatch.detect.rule import CLOCK, EVENTS_PER_ROW, FRESH, TRADE, Facts, RuleState, Work, drain
from tapewatch.detect.words import price_text, seconds_text
from tapewatch.model import PRICE_SCALE

QUEUES = {"low": EXTREME, "high": EXTREME}


@kernel
def _loop(
    data: NDArray[np.void],
    row: NDArray[np.int64],
    kind: NDArray[np.uint8],
    ts: NDArray[np.int64],
    price: NDArray[np.int64],
    gap_ts: NDArray[np.int64],
    start: int,
    window_ns: int,
    quiet_ns: int,
    limit: int,
    num: int,
    den: int,
    threshold: float,
    low: NDArray[np.void],
    high: NDArray[np.void],
    ends: NDArray[np.int64],
    slots: NDArray[np.void],
    events: NDArray[np.void],
) -> tuple[int, int]:
    low_head, low_tail, high_head, high_tail = ends[0], ends[1], ends[2], ends[3]
    share = float(num) / float(den) if den != 0 else 0.0
    up, down = slots[0], slots[1]
    count = 0
    k = start
    rows = len(row)
    full = len(events) - EVENTS_PER_ROW
    while k < rows and count <= full:
        what = kind[k]
        if what in (TRADE, FRESH):
            now, p = ts[k], price[k]
            if gone_quiet(up, now, quiet_ns):
                count = end(up, now, row[k], events, count)
            if gone_quiet(down, now, quiet_ns):
                count = end(down, now, row[k], events, count)
            if what == FRESH:
                low_head, low_tail, high_head, high_tail = 0, 0, 0, 0
            low_head = advance(low, low_head, low_tail, now, window_ns)
            high_head = advance(high, high_head, high_tail, now, window_ns)
            low_tail = push_low(low, low_head, low_tail, p, now)
            high_tail = push_high(high, high_head, high_tail, p, now)
            lo, hi = low[low_head]["price"], high[high_head]["price"]
            if reaches(p - lo, lo, limit, num, den, share):
                observed = 100.0 * (float(p - lo) / float(lo)) if den != 0 else float(p - lo) / float(PRICE_SCALE)
                gap = gap_ts[k] >= now - window_ns
                since = low[low_head]["ts"]
                told = fire(up, 1, data[row[k]], now, lo, 1, since, observed, threshold, gap)
                if told != NOTHING:
                    count = emit(up, told, row[k], now, events, count)
            if reaches(hi - p, hi, limit, num, den, share):
                observed = -100.0 * (float(hi - p) / float(hi)) if den != 0 else -float(hi - p) / float(PRICE_SCALE)
                gap = gap_ts[k] >= now - window_ns
                since = high[high_head]["ts"]
                told = fire(down, -1, data[row[k]], now, hi, 1, since, observed, threshold, gap)
                if told != NOTHING:
                    count = emit(down, told, row[k], now, events, count)
        elif what == CLOCK and ts[k] != 0:
            if gone_quiet(up, ts[k], quiet_ns):
                count = end(up, ts[k], row[k], events, count)
            if gone_quiet(down, ts[k], quiet_ns):
                count = end(down, ts[k], row[k], events, count)
        k += 1
    ends[0], ends[1], ends[2], ends[3] = low_head, low_tail, high_head, high_tail
    return k, count


def scan(
    work: Work,
    state: RuleState,
    window_ns: int,
    quiet_ns: int,
    limit: tuple[int, int, int],
    threshold: float,
) -> bytes:
    """Find moves of at least `limit` within the window.

    Parameters
    ----------
    limit
        (units of 1e-10, num, den): a fixed move, or with den > 0 the share num/den of the extreme.
    threshold
        The limit as printed, in percent or in the quote currency.
    """
    low, high = (work.scratch.room(name, state.queues[name], EXTREME, len(work.row)) for name in QUEUES)
    tails = (len(state.queues[name]) // EXTREME.itemsize for name in QUEUES)
    ends = np.array([0, next(tails), 0, next(tails)], dtype=np.int64)
    columns = work[:6]
    events = drain(
        lambda start: _loop(
            *columns, start, window_ns, quiet_ns, *limit, threshold, low, high, ends, state.slots, work.events
        ),
        work,
        len(work.row),
    )
    state.queues["low"] = low[ends[0] : ends[1]].tobytes()
    state.queues["high"] = high[ends[2] : ends[3]].tobytes()
    return events


def sentence(facts: Facts, moved: str, limit: str, window_ns: int) -> str:
    """Say how far, how fast, from where to where, and against which limit."""
    verb = "rose" if facts.direction > 0 else "fell"
    age = facts.opened_ts - facts.reference_ts
    when = f"in {seconds_text(age)} s" if age <= window_ns else f"from its last trade {seconds_text(age)} s before"
    return (
        f"{facts.lane.symbol} {verb} {moved} {when}, from {price_text(facts.reference)} to {price_text(facts.price)} "
        f"(limit {limit})"
    )
