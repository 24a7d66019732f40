"""The loop of the two rules that look for slow moves: rows in, firings folded into events.

Time is cut into steps, seconds or minutes. The window of a trade is the step that it lies in and as many before as fill
it; up is measured from the lowest price of the completed ones among them, down from the highest. So nothing that a
trade is compared with changes while its step lasts, and most pieces of trades need two comparisons.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.anomaly import end, end_quiet, fire, gone_quiet, hold, quiet_from
from tapewatch.detect.kernels import FOREVER, NEVER, kernel, least_of, reaches, writable
from tapewatch.detect.rule import CLOCK, EVENTS_PER_ROW, FRESH, TRADE, Facts, RuleState, Work, drain, share_of
from tapewatch.detect.window import STRETCH
from tapewatch.detect.words import number_text, plain_text, price_text, span_text
from tapewatch.model import NS

STEP = np.dtype([("end", "i8"), ("low", "i8"), ("low_ts", "i8"), ("high", "i8"), ("high_ts", "i8")])
"""The step in progress: the first second behind it (0: none), its extremes and when they traded last."""

POINT = np.dtype([("price", "i8"), ("ts", "i8")])
"""The extreme of a completed step, and when it traded last."""

QUEUES = {"step": STEP, "low": POINT, "high": POINT}

HEAD, MIDDLE, TAIL = 0, 1, 2
"""Ends of a queue. From head to middle each point is lower (higher) than all behind it; the steps completed since
stand behind, as they came. They are sorted out many at a time, since nobody asks for a window's exact extreme while
that of a longer time makes nothing fire."""


@kernel
def _append(queue: NDArray[np.void], ends: NDArray[np.int64], best: np.void, sign: int, price: int, ts: int) -> None:
    """Put a completed step's lowest (sign 1) or highest (-1) price behind the others, and keep the `best` of these."""
    queue[ends[TAIL]]["price"] = price
    queue[ends[TAIL]]["ts"] = ts
    ends[TAIL] += 1
    if sign * price <= sign * best["price"]:
        best["price"] = price
        best["ts"] = ts


@kernel
def _sort_out(queue: NDArray[np.void], ends: NDArray[np.int64], best: np.void, sign: int, start: int) -> None:
    """Drop every point that one behind it outdoes or equals, and what lies before a window that begins at `start`."""
    middle, tail = ends[MIDDLE], ends[TAIL]
    bound, place = FOREVER, tail
    j = tail - 1
    while j >= middle and queue[j]["ts"] >= start:
        price, ts = queue[j]["price"], queue[j]["ts"]
        queue[place - 1]["price"] = price  # written always and kept by moving on, as a branch would cost more
        queue[place - 1]["ts"] = ts
        place -= int(sign * price < bound)
        bound = min(bound, sign * price)
        j -= 1
    while middle > ends[HEAD] and sign * queue[middle - 1]["price"] >= bound:
        middle -= 1
    for j in range(place, tail):
        queue[middle]["price"] = queue[j]["price"]
        queue[middle]["ts"] = queue[j]["ts"]
        middle += 1
    ends[MIDDLE] = ends[TAIL] = middle
    best["price"] = FOREVER if sign > 0 else 0


@kernel
def _settle(queue: NDArray[np.void], ends: NDArray[np.int64], best: np.void, sign: int, start: int) -> tuple[int, int]:
    """Find the extreme of a window that begins at `start`, and when it traded; FOREVER or 0 where it has none.

    While the front is not used up, all that stands behind it lies in the window.
    """
    while ends[HEAD] < ends[MIDDLE] and queue[ends[HEAD]]["ts"] < start:
        ends[HEAD] += 1
    if ends[HEAD] == ends[MIDDLE]:
        _sort_out(queue, ends, best, sign, start)
    price, ts = best["price"], best["ts"]
    if ends[HEAD] < ends[MIDDLE] and sign * queue[ends[HEAD]]["price"] < sign * price:
        price, ts = queue[ends[HEAD]]["price"], queue[ends[HEAD]]["ts"]
    return price, ts


@kernel
def _close(queue: NDArray[np.void], ends: NDArray[np.int64], best: np.void, sign: int, start: int) -> None:
    """Leave the points that may still matter and no others: the same however the rows were divided."""
    _settle(queue, ends, best, sign, start)
    _sort_out(queue, ends, best, sign, start)


@kernel
def _follow(
    slot: np.void,
    sign: int,
    base: int,
    since: int,
    near: int,
    far: int,
    num: int,
    den: int,
    share: float,
    start: int,
    data: NDArray[np.void],
    row: NDArray[np.int64],
    ts: NDArray[np.int64],
    price: NDArray[np.int64],
    gap_ts: NDArray[np.int64],
    first: int,
    stop: int,
    quiet_ns: int,
    threshold: float,
    events: NDArray[np.void],
    count: int,
) -> int:
    """Fold the trades first … stop into the anomaly of one direction; return the new count of events.

    Parameters
    ----------
    base, since
        The extreme that they are compared with, and when it traded.
    near, far
        The one of their prices that moved least, and the one that moved most.
    start
        Of the window.
    """
    lasts = slot["open"] != 0 and not gone_quiet(slot, ts[stop - 1], quiet_ns)
    if lasts and reaches(sign * (near - base), base, 0, num, den, share):  # all of them fire
        least, most, peak = _size(near, base), _size(far, base), abs(slot["peak_observed"])
        if most <= peak and (2.0 * least >= peak or 2.0 * most < peak):  # all of them hold, or none does
            slot["triggers"] += stop - first
            slot["last_ts"] = ts[stop - 1] if 2.0 * least >= peak else slot["last_ts"]
            return count
    for i in range(first, stop):
        if gone_quiet(slot, ts[i], quiet_ns):
            count = end(slot, ts[i], row[i], events, count)
        move = sign * (price[i] - base)
        if reaches(move, base, 0, num, den, share) and not _holds(slot, move, base, ts[i]):
            gap, seen = gap_ts[i] >= start, sign * _size(price[i], base)
            count = fire(slot, sign, data, row[i], ts[i], base, 1, since, NEVER, seen, threshold, gap, events, count)
    return count


@kernel
def _holds(slot: np.void, move: int, base: int, ts: int) -> bool:
    """Do what `hold` does, and mostly without the division that a printed size needs."""
    peak, size = abs(slot["peak_observed"]), 100.0 * float(move)
    whole = peak * float(base)
    near_half, near_whole = abs(2.0 * size - whole) < 1e-12 * whole, size > whole * (1.0 - 1e-12)
    if slot["open"] == 0 or near_half or near_whole:
        return bool(hold(slot, 100.0 * (float(move) / float(base)), ts))
    slot["triggers"] += 1
    if 2.0 * size > whole:
        slot["last_ts"] = ts
    return True


@kernel
def _size(price: int, base: int) -> float:
    """Print a move in percent of what it is compared with, without its sign."""
    return 100.0 * (float(abs(price - base)) / float(base))


@kernel
def _turn(
    step: np.void,
    low: NDArray[np.void],
    high: NDArray[np.void],
    ends: NDArray[np.int64],
    best: NDArray[np.void],
    second: int,
    step_s: int,
) -> None:
    """Complete the step in progress, if one is, and begin that of `second`."""
    if step["end"] != 0:
        _append(low, ends[0], best[0], 1, step["low"], step["low_ts"])
        _append(high, ends[1], best[1], -1, step["high"], step["high_ts"])
    step["end"] = second + 1 if step_s == 1 else (second // step_s + 1) * step_s
    step["low"], step["high"] = FOREVER, 0


@kernel
def _forget(step: np.void, low_ends: NDArray[np.int64], high_ends: NDArray[np.int64], best: NDArray[np.void]) -> None:
    """Start anew behind an outage."""
    step["end"], step["low"], step["high"] = 0, FOREVER, 0
    for ends in (low_ends, high_ends):
        ends[HEAD] = ends[MIDDLE] = ends[TAIL]
    best[0]["price"], best[1]["price"] = FOREVER, 0


@kernel
def _least(extreme: int, den: int, share: float) -> int:
    """Find a move from an extreme below which none fires; from none (FOREVER or 0) no price lies that far."""
    return 0 if extreme == FOREVER else least_of(extreme, 0, den, share)


@kernel
def _loop(
    data: NDArray[np.void],
    row: NDArray[np.int64],
    kind: NDArray[np.uint8],
    ts: NDArray[np.int64],
    price: NDArray[np.int64],
    gap_ts: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    lowest: NDArray[np.int64],
    highest: NDArray[np.int64],
    begin: int,
    step_s: int,
    window_s: int,
    quiet_ns: int,
    num: int,
    den: int,
    threshold: float,
    state: NDArray[np.void],
    low: NDArray[np.void],
    high: NDArray[np.void],
    ends: NDArray[np.int64],
    best: NDArray[np.void],
    slots: NDArray[np.void],
    events: NDArray[np.void],
) -> tuple[int, int]:
    up, down, step, low_ends, high_ends = slots[0], slots[1], state[0], ends[0], ends[1]
    share, start, exact = float(num) / float(den), (step["end"] - window_s) * NS, False
    lo, lo_ts = _settle(low, low_ends, best[0], 1, start)
    hi, hi_ts = _settle(high, high_ends, best[1], -1, start)
    rise, fall = _least(lo, den, share), _least(hi, den, share)
    quiet = quiet_from(up, down, quiet_ns)
    s, count, full = begin, 0, len(events) - EVENTS_PER_ROW * STRETCH
    while s < len(second) and count <= full:
        k, stop = first[s], first[s + 1]
        if kind[k] not in (TRADE, FRESH):
            if kind[k] == CLOCK and ts[k] != 0:
                count = end_quiet(up, down, ts[k], quiet_ns, row[k], events, count)
            s += 1
            continue
        if kind[k] == FRESH:
            _forget(step, low_ends, high_ends, best)
        if second[s] >= step["end"]:
            lo, hi = min(lo, step["low"]), max(hi, step["high"])
            rise, fall = _least(lo, den, share), _least(hi, den, share)
            _turn(step, low, high, ends, best, second[s], step_s)
            start, exact = (step["end"] - window_s) * NS, False
        bottom, top = price[lowest[s]], price[highest[s]]
        if top - lo >= rise or hi - bottom >= fall or ts[stop - 1] >= quiet:
            if not exact:  # what has left the window may have been in there
                lo, lo_ts = _settle(low, low_ends, best[0], 1, start)
                hi, hi_ts = _settle(high, high_ends, best[1], -1, start)
                rise, fall, exact = _least(lo, den, share), _least(hi, den, share), True
            count = _follow(
                up, 1, lo, lo_ts, bottom, top, num, den, share, start,
                data, row, ts, price, gap_ts, k, stop, quiet_ns, threshold, events, count,
            )  # fmt: skip
            count = _follow(
                down, -1, hi, hi_ts, top, bottom, num, den, share, start,
                data, row, ts, price, gap_ts, k, stop, quiet_ns, threshold, events, count,
            )  # fmt: skip
            quiet = quiet_from(up, down, quiet_ns)
        if bottom <= step["low"]:
            step["low"], step["low_ts"] = bottom, ts[lowest[s]]
        if top >= step["high"]:
            step["high"], step["high_ts"] = top, ts[highest[s]]
        s += 1
    _close(low, low_ends, best[0], 1, start)
    _close(high, high_ends, best[1], -1, start)
    return s, count


def scan(work: Work, state: RuleState, step_s: int, window_s: int, quiet_ns: int, percent: float) -> bytes:
    """Find moves of at least `percent` from the extremes of the window's completed steps."""
    step = writable(state.queues["step"] or np.array([(0, FOREVER, 0, 0, 0)], STEP).tobytes(), STEP)
    low, high = (work.scratch.room(name, state.queues[name], POINT, len(work.row)) for name in ("low", "high"))
    tails = (len(state.queues[name]) // POINT.itemsize for name in ("low", "high"))
    ends = np.array([(0, tail, tail) for tail in tails])
    best = np.array([(FOREVER, 0), (0, 0)], POINT)
    columns = (*work[:6], *work.pieces)
    params = (step_s, window_s, quiet_ns, *share_of(percent), percent)
    events = drain(
        lambda start: _loop(*columns, start, *params, step, low, high, ends, best, state.slots, work.events),
        work,
        len(work.pieces.second),
    )
    state.queues["step"] = step.tobytes()
    state.queues["low"] = low[ends[0, HEAD] : ends[0, TAIL]].tobytes()
    state.queues["high"] = high[ends[1, HEAD] : ends[1, TAIL]].tobytes()
    return events


def sentence(facts: Facts, limit: str) -> str:
    """Say how far, in how long, from where to where, and against which limit."""
    verb = "rose" if facts.direction > 0 else "fell"
    took = span_text(facts.opened_ts - facts.reference_ts)
    return (
        f"{facts.lane.symbol} {verb} {number_text(abs(facts.observed), 2)} % in {took}, "
        f"from {price_text(facts.reference)} to {price_text(facts.price)} (limit {limit})"
    )


def limit_text(percent: float, window_s: int) -> str:
    """Say a limit in a few words."""
    return f"{plain_text(percent)} % in {span_text(window_s * NS)}"
