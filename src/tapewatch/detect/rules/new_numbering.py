"""The venue numbers a lane's trades anew: what it traded between the last old id and the first new one nobody knows."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tapewatch.detect.anomaly import OPENED, emit, end, was_history
from tapewatch.detect.kernels import kernel
from tapewatch.detect.rule import CLOCK, EVENTS_PER_ROW, Facts, Rule, RuleState, Work, drain
from tapewatch.model import NUMBERING, Kind

EPOCH = np.uint8(Kind.EPOCH)


class NewNumbering(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `new_numbering`: none."""


@kernel
def _loop(
    data: NDArray[np.void],
    row: NDArray[np.int64],
    kind: NDArray[np.uint8],
    special: NDArray[np.int64],
    start: int,
    slots: NDArray[np.void],
    events: NDArray[np.void],
) -> tuple[int, int]:
    slot = slots[0]
    count = 0
    s = start
    while s < len(special) and count <= len(events) - EVENTS_PER_ROW:
        r = row[special[s]]
        now = data[r]["recv_ts"]
        if kind[special[s]] == EPOCH:
            fresh = slot["open"] == 0
            if fresh:
                slot["open"] = 1
                slot["history"] = was_history(data[r])
                slot["opened_ts"] = now
                slot["key"] = data[r]["trade_id"]
                slot["span"] = data[r]["aux"]
                slot["observed"] = 1.0
                slot["threshold"] = 1.0
                slot["peak_observed"] = 1.0
                slot["peak_ts"] = now
                slot["triggers"] = 0
            slot["triggers"] += 1
            slot["last_ts"] = now
            if fresh:
                count = emit(slot, OPENED, r, now, events, count)
        elif kind[special[s]] == CLOCK and slot["open"]:
            count = end(slot, now, r, events, count)
        s += 1
    return s, count


def scan(work: Work, state: RuleState, params: NewNumbering) -> bytes:  # noqa: ARG001  # has none
    """Fold one lane's new rows."""
    return drain(
        lambda start: _loop(work.data, work.row, work.kind, work.special, start, state.slots, work.events),
        work,
        len(work.special),
    )


def explain(facts: Facts, params: NewNumbering) -> str:  # noqa: ARG001  # every rule is asked the same way
    """One sentence a trader understands."""
    symbol, first, last = facts.lane.symbol, facts.key % NUMBERING, facts.span % NUMBERING
    return f"{symbol} has its trades numbered anew, from {first} after {last}: trades between the two may be missing"


def limit(params: NewNumbering) -> str:  # noqa: ARG001  # every rule is asked the same way
    """Say the limit in a few words."""
    return "once"


RULE = Rule(
    name="new_numbering",
    words="New numbering",
    severity="high",
    kind="feed",
    unit="times",
    params=NewNumbering,
    defaults={"*": NewNumbering()},
    queues={},
    scan=scan,
    explain=explain,
    limit=limit,
    window=None,
    about=(
        "Fires when the venue begins to number a symbol's trades anew, which two heartbeats in a row must confirm. "
        "Ends with the next clock row."
    ),
    example="BTC-USD has its trades numbered anew, from 1 after 5000: trades between the two may be missing",
    avoid="Nowhere: it happens when a venue restarts from nothing, and then somebody should look.",
)
