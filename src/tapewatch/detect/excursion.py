"""The loop of the two rules that look for a move within a window: rows in, firings folded into events.

Window of row i: the rows j ≤ i with ts_i − ts_j ≤ window, and the last row before them, whose price
is in force when the window opens. Up is measured from the lowest price in it, down from the highest.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.anomaly import end_quiet, fire, hold, quiet_from
from tapewatch.detect.kernels import kernel, least_of, reaches
from tapewatch.detect.rule import CLOCK, EVENTS_PER_ROW, FRESH, TRADE, Facts, RuleState, Work, drain
from tapewatch.detect.window import EXTREME, STRETCH, absorb, enter, expire, stretch
from tapewatch.detect.words import price_text, seconds_text
from tapewatch.model import PRICE_SCALE

QUEUES = {"low": EXTREME, "high": EXTREME}


@kernel
def when(queue: NDArray[np.void], head: int, ts: NDArray[np.int64], at: int, within: bool) -> tuple[int, int]:
    """Tell when the window's extreme traded and when the next trade replaced it.

    `within` the stretch it is row `at`, behind which another one has come; else it is the queue's head.
    """
    if within:
        return ts[at], ts[at + 1]
    return queue[head]["ts"], queue[head]["until"]


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
    k, count, full = start, 0, len(events) - EVENTS_PER_ROW * STRETCH
    while k < len(row) and count <= full:
        if kind[k] not in (TRADE, FRESH):
            if kind[k] == CLOCK and ts[k] != 0:
                count = end_quiet(up, down, ts[k], quiet_ns, row[k], events, count)
            k += 1
            continue
        if kind[k] == FRESH:
            low_head, low_tail, high_head, high_tail = 0, 0, 0, 0
        low_head, low_tail = enter(low, low_head, low_tail, price[k], ts[k], window_ns)
        high_head, high_tail = enter(high, high_head, high_tail, price[k], ts[k], window_ns)
        stop, lowest, highest = stretch(kind, ts, price, k, window_ns)
        lo, hi = min(lowest, low[low_head]["price"]), max(highest, high[high_head]["price"])
        least = least_of(lo, limit, den, share)  # nothing smaller reaches the limit, from whichever price
        if hi - lo >= least or ts[stop - 1] >= quiet_from(up, down, quiet_ns):
            lowest_yet, lowest_at, highest_yet, highest_at = price[k], k, price[k], k
            for i in range(k, stop):
                now, p, r = ts[i], price[i], row[i]
                gap = gap_ts[i] >= now - window_ns
                count = end_quiet(up, down, now, quiet_ns, r, events, count)
                if p <= lowest_yet:
                    lowest_yet, lowest_at = p, i
                if p >= highest_yet:
                    highest_yet, highest_at = p, i
                low_head = expire(low, low_head, now - window_ns)
                high_head = expire(high, high_head, now - window_ns)
                lo = min(lowest_yet, low[low_head]["price"])
                if p - lo >= least and reaches(p - lo, lo, limit, num, den, share):
                    observed = 100.0 * (float(p - lo) / float(lo)) if den != 0 else float(p - lo) / float(PRICE_SCALE)
                    if not hold(up, abs(observed), now):
                        since, left = when(low, low_head, ts, lowest_at, lo == lowest_yet)
                        count = fire(up, 1, data, r, now, lo, 1, since, left, observed, threshold, gap, events, count)
                hi = max(highest_yet, high[high_head]["price"])
                if hi - p >= least and reaches(hi - p, hi, limit, num, den, share):
                    observed = -100.0 * (float(hi - p) / float(hi)) if den != 0 else -float(hi - p) / float(PRICE_SCALE)
                    if not hold(down, abs(observed), now):
                        since, left = when(high, high_head, ts, highest_at, hi == highest_yet)
                        count = fire(
                            down, -1, data, r, now, hi, 1, since, left, observed, threshold, gap, events, count
                        )
        low_head, low_tail = absorb(low, low_head, low_tail, ts, price, k, stop, 1, lowest, window_ns)
        high_head, high_tail = absorb(high, high_head, high_tail, ts, price, k, stop, -1, highest, window_ns)
        k = stop
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
