"""One event, one record: firing rows open, hold, escalate and end an anomaly per rule and direction.

In: rows on which a rule is true. Out: events (opened, escalated, ended), each with the slot as it then stood.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import kernel
from tapewatch.model import NS, Flag, Quality

STEPS_MAX = 80
"""Escalation steps that are remembered: prices from 1e-10 to 1e7 cannot reach 2^80 times any limit."""

LATE_NS = 10 * NS
"""Older than this when received, a row's quality is late."""

ENDED, OPENED, ESCALATED = 0, 1, 2
"""Values of `change`; on one row ends come first."""

SLOT = np.dtype(
    [
        # set where the record leaves as an event
        ("row", "i8"),  # index of the row in its batch
        ("at", "i8"),
        ("change", "i1"),
        ("ordinal", "i8"),
        # state of the event in progress
        ("open", "u1"),
        ("direction", "i1"),  # +1 up, -1 down, 0 none
        ("quality", "u1"),  # index into QUALITIES
        ("history", "u1"),
        ("opened_ts", "i8"),
        ("key", "i8"),  # what makes the id unique: trade id, or time of a silence
        ("price", "i8"),
        ("reference", "i8"),  # price, or sum of `reference_n` prices
        ("reference_n", "i8"),
        ("reference_ts", "i8"),
        ("observed", "f8"),
        ("threshold", "f8"),
        ("next_step", "f8"),  # threshold times 2, 4, 8 …: the size that escalates next
        ("peak_observed", "f8"),
        ("peak_price", "i8"),
        ("peak_ts", "i8"),
        ("peak_reference", "i8"),
        ("peak_reference_n", "i8"),
        ("peak_reference_ts", "i8"),
        ("last_ts", "i8"),
        ("triggers", "i8"),
        ("span", "i8"),  # second number of a range: last id of a gap
        ("escalation", "i8"),
        ("steps", "i8", (STEPS_MAX,)),
    ],
    align=True,
)

_HISTORY = np.uint16(Flag.HISTORY)

QUALITIES: tuple[Quality, ...] = ("complete", "late", "gap")
UP, DOWN = 0, 1
"""Slots of a market rule; feed rules have the first one only."""


@kernel
def emit(slots: NDArray[np.void], d: int, change: int, row: int, at: int, events: NDArray[np.void], count: int) -> int:
    """Copy the record as it stands to the events; return their new count."""
    events[count] = slots[d]
    events[count]["row"] = row
    events[count]["at"] = at
    events[count]["change"] = change
    return count + 1


@kernel
def was_history(data: NDArray[np.void], row: int) -> int:
    """Tell whether a row was fetched as history at a warm start."""
    return 1 if data[row]["flags"] & _HISTORY else 0


@kernel
def end_quiet(slots: NDArray[np.void], quiet_ns: int, at: int, row: int, events: NDArray[np.void], count: int) -> int:
    """End what has been quiet for more than `quiet_ns` when time reaches `at`, up before down."""
    for d in range(2):
        if slots[d]["open"] and at - slots[d]["last_ts"] > quiet_ns:
            count = emit(slots, d, ENDED, row, at, events, count)
            slots[d]["open"] = 0
    return count


@kernel
def fire(
    slots: NDArray[np.void],
    d: int,
    data: NDArray[np.void],
    row: int,
    ts: int,
    reference: int,
    reference_n: int,
    reference_ts: int,
    observed: float,
    threshold: float,
    gap_inside: bool,
    events: NDArray[np.void],
    count: int,
) -> int:
    """Fold one firing trade into its anomaly: open it, or count, hold, peak and escalate.

    Peak, hold and escalation compare printed values; the limit is that of the opening row.
    Returns the new count of events.
    """
    if slots[d]["open"] == 0:
        _open(slots, d, data, row, ts, reference, reference_n, reference_ts, observed, threshold, gap_inside)
        _peak(slots, d, data, row, ts, reference, reference_n, reference_ts, observed)
        escalate(slots, d, abs(observed), ts)
        return emit(slots, d, OPENED, row, ts, events, count)
    slots[d]["triggers"] += 1
    size = abs(observed)
    peak = abs(slots[d]["peak_observed"])
    if 2.0 * size >= peak:
        slots[d]["last_ts"] = ts
        if size > peak:
            _peak(slots, d, data, row, ts, reference, reference_n, reference_ts, observed)
            if size >= slots[d]["next_step"]:
                escalate(slots, d, size, ts)
                return emit(slots, d, ESCALATED, row, ts, events, count)
    return count


@kernel
def _open(
    slots: NDArray[np.void],
    d: int,
    data: NDArray[np.void],
    row: int,
    ts: int,
    reference: int,
    reference_n: int,
    reference_ts: int,
    observed: float,
    threshold: float,
    gap_inside: bool,
) -> None:
    late = data[row]["recv_ts"] - data[row]["ts"] > LATE_NS
    slots[d]["open"] = 1
    slots[d]["direction"] = 1 - 2 * d
    slots[d]["quality"] = 2 if gap_inside else (1 if late else 0)
    slots[d]["history"] = was_history(data, row)
    slots[d]["opened_ts"] = ts
    slots[d]["key"] = data[row]["trade_id"]
    slots[d]["price"] = data[row]["price"]
    slots[d]["reference"] = reference
    slots[d]["reference_n"] = reference_n
    slots[d]["reference_ts"] = reference_ts
    slots[d]["observed"] = observed
    slots[d]["threshold"] = threshold
    slots[d]["next_step"] = 2.0 * threshold
    slots[d]["last_ts"] = ts
    slots[d]["triggers"] = 1
    slots[d]["escalation"] = 0
    slots[d]["steps"][:] = 0


@kernel
def _peak(
    slots: NDArray[np.void],
    d: int,
    data: NDArray[np.void],
    row: int,
    ts: int,
    reference: int,
    reference_n: int,
    reference_ts: int,
    observed: float,
) -> None:
    slots[d]["peak_observed"] = observed
    slots[d]["peak_price"] = data[row]["price"]
    slots[d]["peak_ts"] = ts
    slots[d]["peak_reference"] = reference
    slots[d]["peak_reference_n"] = reference_n
    slots[d]["peak_reference_ts"] = reference_ts


@kernel
def escalate(slots: NDArray[np.void], d: int, size: float, ts: int) -> None:
    """Note each step of 2, 4, 8 … times the limit that `size` reaches first."""
    while size >= slots[d]["next_step"] and slots[d]["escalation"] < STEPS_MAX:
        slots[d]["steps"][slots[d]["escalation"]] = ts
        slots[d]["escalation"] += 1
        slots[d]["next_step"] *= 2.0
