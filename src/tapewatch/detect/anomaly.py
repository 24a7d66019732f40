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
NOTHING = -1
"""What `fire` answers when the firing row is no event of its own."""


@kernel
def was_history(row: np.void) -> int:
    """Tell whether a row was fetched as history at a warm start."""
    return 1 if row["flags"] & _HISTORY else 0


@kernel
def emit(slot: np.void, change: int, row: int, at: int, events: NDArray[np.void], count: int) -> int:
    """Copy a slot as it stands to the events; return their new count."""
    events[count] = slot
    events[count]["row"] = row
    events[count]["at"] = at
    events[count]["change"] = change
    return count + 1


@kernel
def gone_quiet(slot: np.void, at: int, quiet_ns: int) -> bool:
    """Tell whether an anomaly is open and nothing has held it for more than `quiet_ns` when time reaches `at`."""
    return bool(slot["open"] != 0 and at - slot["last_ts"] > quiet_ns)


@kernel
def end(slot: np.void, at: int, row: int, events: NDArray[np.void], count: int) -> int:
    """End an anomaly; return the new count of events."""
    count = emit(slot, ENDED, row, at, events, count)
    slot["open"] = 0
    return count


# The two functions below take records and no arrays: numba counts references to arrays with locked
# instructions at every call, which on rows that fire costs more than all the rest.


@kernel
def fire(
    slot: np.void,
    direction: int,
    row: np.void,
    ts: int,
    reference: int,
    reference_n: int,
    reference_ts: int,
    observed: float,
    threshold: float,
    gap_inside: bool,
) -> int:
    """Fold one firing trade into its anomaly: open it, or count, hold, peak and escalate.

    Peak, hold and escalation compare printed values; the limit is that of the opening row.
    Returns OPENED, ESCALATED or NOTHING.
    """
    size = abs(observed)
    if slot["open"] == 0:
        late = row["recv_ts"] - row["ts"] > LATE_NS
        slot["open"] = 1
        slot["direction"] = direction
        slot["quality"] = 2 if gap_inside else (1 if late else 0)
        slot["history"] = was_history(row)
        slot["opened_ts"] = ts
        slot["key"] = row["trade_id"]
        slot["price"] = row["price"]
        slot["reference"] = reference
        slot["reference_n"] = reference_n
        slot["reference_ts"] = reference_ts
        slot["observed"] = observed
        slot["threshold"] = threshold
        slot["next_step"] = 2.0 * threshold
        slot["peak_observed"] = 0.0
        slot["last_ts"] = ts
        slot["triggers"] = 0
        slot["escalation"] = 0
        answer = OPENED
    else:
        answer = NOTHING
    slot["triggers"] += 1
    peak = abs(slot["peak_observed"])
    if 2.0 * size >= peak:
        slot["last_ts"] = ts
    if size > peak:
        slot["peak_observed"] = observed
        slot["peak_price"] = row["price"]
        slot["peak_ts"] = ts
        slot["peak_reference"] = reference
        slot["peak_reference_n"] = reference_n
        slot["peak_reference_ts"] = reference_ts
        if escalate(slot, size, ts) and answer == NOTHING:
            answer = ESCALATED
    return answer


@kernel
def escalate(slot: np.void, size: float, ts: int) -> bool:
    """Note each step of 2, 4, 8 … times the limit that `size` reaches first; tell whether one was."""
    if size < slot["next_step"]:
        return False
    while size >= slot["next_step"] and slot["escalation"] < STEPS_MAX:
        slot["steps"][slot["escalation"]] = ts
        slot["escalation"] += 1
        slot["next_step"] *= 2.0
    return True
