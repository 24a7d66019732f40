"""One event, one record: firing rows open, hold, escalate and end an anomaly per rule and direction.

In: rows on which a rule is true. Out: events (opened, escalated, ended), each with the slot as it then stood.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import FOREVER, NEVER, kernel
from tapewatch.model import NS, Flag, Quality

STEPS_MAX = 80
"""Escalation steps that are remembered: prices from 1e-10 to 1e7 cannot reach 2^80 times any limit."""

LATE_NS = 10 * NS
"""Older than this when received, a row's quality is late."""

ENDED, OPENED, ESCALATED = 0, 1, 2
"""Values of `change`; on one row ends come first."""

STORY = [
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
    ("peak_observed", "f8"),
    ("peak_price", "i8"),
    ("peak_ts", "i8"),
    ("peak_reference", "i8"),
    ("peak_reference_n", "i8"),
    ("peak_reference_ts", "i8"),
    ("peak_left_ts", "i8"),  # when the next trade replaced the peak's reference; NEVER where that is no single trade
    ("last_ts", "i8"),
    ("triggers", "i8"),
    ("span", "i8"),  # second number of a range: last id of a gap
    ("escalation", "i8"),  # steps reached; their times are kept apart, because slots are copied often and reach few
]
"""What slots and events have in common."""

SLOT = np.dtype([("open", "u1"), *STORY, ("next_step", "f8")], align=True)
"""Event in progress; `next_step` is the size that escalates next: threshold times 2, 4, 8 …"""

SLOT_2 = np.dtype(
    [("open", "u1"), *(field for field in STORY if field[0] != "peak_left_ts"), ("next_step", "f8")], align=True
)
"""Slots as snapshots of version 2 hold them, before it was known when a price left the peak's reference."""

EVENT = np.dtype([("change", "i1"), *STORY, ("row", "i8"), ("at", "i8")], align=True)
"""What leaves: a slot as it stood at time `at`, on row `row` of its batch."""

_HISTORY = np.uint16(Flag.HISTORY)

QUALITIES: tuple[Quality, ...] = ("complete", "late", "gap")


@kernel
def was_history(row: np.void) -> int:
    """Tell whether a row was fetched as history at a warm start."""
    return 1 if row["flags"] & _HISTORY else 0


@kernel
def emit(slot: np.void, change: int, row: int, at: int, events: NDArray[np.void], count: int) -> int:
    """Copy a slot as it stands to the events; return their new count."""
    event = events[count]
    event["row"] = row
    event["at"] = at
    event["change"] = change
    event["direction"] = slot["direction"]
    event["quality"] = slot["quality"]
    event["history"] = slot["history"]
    event["opened_ts"] = slot["opened_ts"]
    event["key"] = slot["key"]
    event["price"] = slot["price"]
    event["reference"] = slot["reference"]
    event["reference_n"] = slot["reference_n"]
    event["reference_ts"] = slot["reference_ts"]
    event["observed"] = slot["observed"]
    event["threshold"] = slot["threshold"]
    event["peak_observed"] = slot["peak_observed"]
    event["peak_price"] = slot["peak_price"]
    event["peak_ts"] = slot["peak_ts"]
    event["peak_reference"] = slot["peak_reference"]
    event["peak_reference_n"] = slot["peak_reference_n"]
    event["peak_reference_ts"] = slot["peak_reference_ts"]
    event["peak_left_ts"] = slot["peak_left_ts"]
    event["last_ts"] = slot["last_ts"]
    event["triggers"] = slot["triggers"]
    event["span"] = slot["span"]
    event["escalation"] = slot["escalation"]
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


@kernel
def end_quiet(
    up: np.void, down: np.void, at: int, quiet_ns: int, row: int, events: NDArray[np.void], count: int
) -> int:
    """End what nothing has held for more than `quiet_ns` when time reaches `at`; return the new count of events."""
    if gone_quiet(up, at, quiet_ns):
        count = end(up, at, row, events, count)
    if gone_quiet(down, at, quiet_ns):
        count = end(down, at, row, events, count)
    return count


@kernel
def quiet_from(up: np.void, down: np.void, quiet_ns: int) -> int:
    """Find the first time at which an open anomaly has gone quiet."""
    first = FOREVER
    if up["open"] != 0:
        first = up["last_ts"] + quiet_ns + 1
    if down["open"] != 0:
        first = min(first, down["last_ts"] + quiet_ns + 1)
    return first


@kernel
def hold(slot: np.void, size: float, ts: int) -> bool:
    """Count a firing trade that neither opens an anomaly nor is its peak; tell whether it was such a one. Most are."""
    peak = abs(slot["peak_observed"])
    if slot["open"] == 0 or size > peak:
        return False
    slot["triggers"] += 1
    if 2.0 * size >= peak:
        slot["last_ts"] = ts
    return True


@kernel
def fire(
    slot: np.void,
    direction: int,
    data: NDArray[np.void],
    row: int,
    ts: int,
    reference: int,
    reference_n: int,
    reference_ts: int,
    left_ts: int | np.int64,
    observed: float,
    threshold: float,
    gap_inside: bool,
    events: NDArray[np.void],
    count: int,
) -> int:
    """Fold one firing trade that `hold` did not into its anomaly: open it, or make it the peak and escalate.

    Peak, hold and escalation compare printed values; the limit is that of the opening row.
    Returns the new count of events.
    """
    size = abs(observed)
    opens = slot["open"] == 0
    if opens:
        late = data[row]["recv_ts"] - data[row]["ts"] > LATE_NS
        slot["open"] = 1
        slot["direction"] = direction
        slot["quality"] = 2 if gap_inside else (1 if late else 0)
        slot["history"] = was_history(data[row])
        slot["opened_ts"] = ts
        slot["key"] = data[row]["trade_id"]
        slot["price"] = data[row]["price"]
        slot["reference"] = reference
        slot["reference_n"] = reference_n
        slot["reference_ts"] = reference_ts
        slot["observed"] = observed
        slot["threshold"] = threshold
        slot["next_step"] = 2.0 * threshold
        slot["triggers"] = 0
        slot["escalation"] = 0
    slot["triggers"] += 1
    slot["last_ts"] = ts
    slot["peak_observed"] = observed
    slot["peak_price"] = data[row]["price"]
    slot["peak_ts"] = ts
    slot["peak_reference"] = reference
    slot["peak_reference_n"] = reference_n
    slot["peak_reference_ts"] = reference_ts
    slot["peak_left_ts"] = left_ts
    if escalate(slot, size) or opens:
        count = emit(slot, OPENED if opens else ESCALATED, row, ts, events, count)
    return count


@kernel
def escalate(slot: np.void, size: float) -> bool:
    """Count each step of 2, 4, 8 … times the limit that `size` reaches first; tell whether one was."""
    if size < slot["next_step"]:
        return False
    while size >= slot["next_step"] and slot["escalation"] < STEPS_MAX:
        slot["escalation"] += 1
        slot["next_step"] *= 2.0
    return True


def steps_of(events: NDArray[np.void], steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """List the times of the steps that events count, one event's after another's.

    Parameters
    ----------
    events
        Dtype EVENT, of one rule on one lane, in their order. A step is reached at the first event that counts it.
    steps
        Shape (2, STEPS_MAX): times of the steps of the last anomaly that went up (or has no direction), and of the
        last that went down. Brought up to date.
    """
    told = np.empty(int(events["escalation"].sum()), np.int64)
    _follow(events, steps, told)
    return told


@kernel
def _follow(events: NDArray[np.void], steps: NDArray[np.int64], told: NDArray[np.int64]) -> None:
    place = 0
    for e in range(len(events)):
        side = 1 if events[e]["direction"] < 0 else 0
        if events[e]["change"] == OPENED:
            for step in range(STEPS_MAX):
                steps[side, step] = NEVER
        for step in range(events[e]["escalation"]):
            if steps[side, step] == NEVER:
                steps[side, step] = events[e]["at"]
            told[place] = steps[side, step]
            place += 1


@kernel
def order_keys(events: NDArray[np.void], order: int, rules: int, keys: NDArray[np.int64]) -> None:
    """Write the place of a rule's events among all of a block's: by row, ends first, by rule, up before down.

    No two of a block are equal. `order` is the rule's place among `rules`.
    """
    for e in range(len(events)):
        after_ends = 0 if events[e]["change"] == ENDED else 1
        place = (events[e]["row"] * 2 + after_ends) * rules + order
        keys[e] = place * 3 - events[e]["direction"]
