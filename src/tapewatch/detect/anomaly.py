"""One event, one record: firing rows open, hold, escalate and end an anomaly per rule and direction.

In: rows on which a rule is true. Out: events (opened, escalated, ended), each with the record as it
then stood, and at the border of the house `Anomaly` values.
"""

import hashlib
import math
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import kernel
from tapewatch.model import NS, PRICE_SCALE, Direction, Flag, Lane, Quality

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
    size = abs(observed)
    fresh = slots[d]["open"] == 0
    if fresh:
        slots[d]["open"] = 1
        slots[d]["direction"] = 1 - 2 * d
        slots[d]["opened_ts"] = ts
        slots[d]["key"] = data[row]["trade_id"]
        slots[d]["price"] = data[row]["price"]
        slots[d]["reference"] = reference
        slots[d]["reference_n"] = reference_n
        slots[d]["reference_ts"] = reference_ts
        slots[d]["observed"] = observed
        slots[d]["threshold"] = threshold
        slots[d]["history"] = 1 if data[row]["flags"] & _HISTORY else 0
        late = data[row]["recv_ts"] - data[row]["ts"] > LATE_NS
        slots[d]["quality"] = 2 if gap_inside else (1 if late else 0)
        slots[d]["triggers"] = 0
        slots[d]["escalation"] = 0
        slots[d]["steps"][:] = 0
        slots[d]["peak_observed"] = 0.0
        slots[d]["last_ts"] = ts
    slots[d]["triggers"] += 1
    peak = abs(slots[d]["peak_observed"])
    if 2.0 * size >= peak:
        slots[d]["last_ts"] = ts
    if size > peak:
        slots[d]["peak_observed"] = observed
        slots[d]["peak_price"] = data[row]["price"]
        slots[d]["peak_ts"] = ts
        slots[d]["peak_reference"] = reference
        slots[d]["peak_reference_n"] = reference_n
        slots[d]["peak_reference_ts"] = reference_ts
    reached = escalate(slots, d, size, ts)
    if fresh:
        return emit(slots, d, OPENED, row, ts, events, count)
    if reached:
        return emit(slots, d, ESCALATED, row, ts, events, count)
    return count


@kernel
def escalate(slots: NDArray[np.void], d: int, size: float, ts: int) -> bool:
    """Note each step of 2, 4, 8 … times the limit that `size` reaches first; return whether one was."""
    step = slots[d]["escalation"]
    before = step
    limit = slots[d]["threshold"]
    while step < STEPS_MAX and size >= math.ldexp(limit, step + 1):
        slots[d]["steps"][step] = ts
        step += 1
    slots[d]["escalation"] = step
    return bool(step > before)


def anomaly_id(lane: Lane, rule: str, direction: Direction | None, parameters: dict[str, str], key: int) -> str:
    """Name an anomaly, the same everywhere and for ever: BLAKE2b of what makes it this one.

    Parameters
    ----------
    parameters
        All parameters of the rule that are set, names sorted, values as decimal strings.
    key
        The opening row's trade id; the receive time for a silence.
    """
    text = msgspec.json.encode([lane.venue, lane.symbol, rule, direction, parameters, key])
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def iso(ts: int) -> str:
    """Write ns since the epoch as ISO 8601 UTC with nine decimals.

    >>> iso(1_760_131_294_977_231_000)
    '2025-10-10T21:21:34.977231000Z'
    """
    seconds, ns = divmod(ts, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"


def printed(units: int, count: int = 1) -> float:
    """Print a price, or the mean of `count` prices given as their sum: one division of float64."""
    return float(units) / float(count * PRICE_SCALE)
