"""The extremes of a window that moves with the trades: rows in, lowest or highest price and its time out.

A queue keeps what may still become the extreme: every row that is lower (higher) than all rows after it.
Rows enter it many at a time, a stretch; within one, whoever asks compares with the stretch's own extreme so far.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import kernel
from tapewatch.detect.rule import TRADE

STRETCH = 32
"""Trades of a window that are looked at together."""

EXTREME = np.dtype([("price", "i8"), ("ts", "i8"), ("until", "i8")])
"""Entry of a monotonic queue: a price, when it traded, and when the next trade replaced it (0: not yet)."""


@kernel
def stretch(
    kind: NDArray[np.uint8], ts: NDArray[np.int64], price: NDArray[np.int64], first: int, window_ns: int
) -> tuple[int, int, int]:
    """Find where the trades end that are looked at together from `first` on, and their lowest and highest price.

    They are at most STRETCH, and none of them leaves the window before the last one.
    """
    lowest = highest = price[first]
    stop = first + 1
    last = min(first + STRETCH, len(kind))
    latest = ts[first] + window_ns
    while stop < last and kind[stop] == TRADE and ts[stop] <= latest:
        lowest = min(lowest, price[stop])
        highest = max(highest, price[stop])
        stop += 1
    return stop, lowest, highest


@kernel
def expire(queue: NDArray[np.void], head: int, start: int) -> int:
    """Drop what left a window that begins at `start`; return the new head.

    A row stays while its price was in force at some time of the window, that is until the row
    after it lies before the window's start: the last row before the window stays.
    """
    while queue[head]["until"] < start:
        head += 1
    return head


@kernel
def enter(queue: NDArray[np.void], head: int, tail: int, price: int, ts: int, window_ns: int) -> tuple[int, int]:
    """Let a new row at `ts` replace the last one and drop what left its window; return the new head and tail.

    An empty window is opened by the row itself, so that it always has an extreme.
    """
    if tail == head:
        queue[tail]["price"] = price
        queue[tail]["ts"] = ts
        tail += 1
    queue[tail - 1]["until"] = ts
    return expire(queue, head, ts - window_ns), tail


@kernel
def absorb(
    queue: NDArray[np.void],
    head: int,
    tail: int,
    ts: NDArray[np.int64],
    price: NDArray[np.int64],
    first: int,
    stop: int,
    sign: int,
    extreme: int,
    window_ns: int,
) -> tuple[int, int]:
    """Append the rows first … stop to a queue of lowest (sign 1) or highest (-1) prices; return its head and tail.

    What is kept of the rows is lower than everything after it: found from the last row back to the
    latest one at their `extreme`. A row at the same price takes over, so that the head is always the
    latest row at its price.
    """
    head = expire(queue, head, ts[stop - 1] - window_ns)
    last = sign * extreme
    while tail > head and sign * queue[tail - 1]["price"] >= last:
        tail -= 1
    free = place = tail + stop - first
    bound = sign * price[stop - 1] + 1
    until = 0
    i = stop
    while bound != last:
        # written always and kept by moving on: which rows are kept cannot be predicted, so a branch would cost more
        i -= 1
        p = sign * price[i]
        queue[place - 1]["price"] = price[i]
        queue[place - 1]["ts"] = ts[i]
        queue[place - 1]["until"] = until
        place -= int(p < bound)
        bound = min(bound, p)
        until = ts[i]
    for j in range(place, free):
        queue[tail]["price"] = queue[j]["price"]
        queue[tail]["ts"] = queue[j]["ts"]
        queue[tail]["until"] = queue[j]["until"]
        tail += 1
    return head, tail
