"""Trade ids were skipped: the tape is not complete while the gap is open."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tapewatch.detect.anomaly import OPENED, emit, end, was_history
from tapewatch.detect.kernels import kernel
from tapewatch.detect.rule import EVENTS_PER_ROW, Facts, Rule, RuleState, Work, drain
from tapewatch.model import Kind

GAP, FILLED, EPOCH = np.uint8(Kind.GAP), np.uint8(Kind.FILLED), np.uint8(Kind.EPOCH)


class TapeGap(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `tape_gap`: none."""


@kernel
def _loop(
    data: NDArray[np.void],
    row: NDArray[np.int64],
    kind: NDArray[np.uint8],
    gaps_open: NDArray[np.int64],
    special: NDArray[np.int64],
    start: int,
    slots: NDArray[np.void],
    events: NDArray[np.void],
) -> tuple[int, int]:
    slot = slots[0]
    count = 0
    s = start
    while s < len(special) and count <= len(events) - EVENTS_PER_ROW:
        k = special[s]
        r = row[k]
        now = data[r]["recv_ts"]
        if kind[k] == GAP:
            observed = float(data[r]["aux"] - data[r]["trade_id"] + 1)
            fresh = slot["open"] == 0
            if fresh:
                slot["open"] = 1
                slot["history"] = was_history(data[r])
                slot["opened_ts"] = now
                slot["key"] = data[r]["trade_id"]
                slot["span"] = data[r]["aux"]
                slot["observed"] = observed
                slot["threshold"] = 1.0
                slot["peak_observed"] = 0.0
                slot["triggers"] = 0
            slot["triggers"] += 1
            slot["last_ts"] = now
            if observed > slot["peak_observed"]:
                slot["peak_observed"] = observed
                slot["peak_ts"] = now
            if fresh:
                count = emit(slot, OPENED, r, now, events, count)
        elif kind[k] in (FILLED, EPOCH) and slot["open"] and gaps_open[k] == 0:
            count = end(slot, now, r, events, count)
        s += 1
    return s, count


def scan(work: Work, state: RuleState, params: TapeGap) -> bytes:  # noqa: ARG001  # has none
    """Fold one lane's new rows."""
    return drain(
        lambda start: _loop(
            work.data, work.row, work.kind, work.gaps_open, work.special, start, state.slots, work.events
        ),
        work,
        len(work.special),
    )


def explain(facts: Facts, params: TapeGap) -> str:  # noqa: ARG001  # every rule is asked the same way
    """One sentence a trader understands."""
    if facts.key == facts.span:
        return f"1 trade missing, id {facts.key}"
    return f"{facts.span - facts.key + 1} trades missing, ids {facts.key} to {facts.span}"


def limit(params: TapeGap) -> str:  # noqa: ARG001  # every rule is asked the same way
    """Say the limit in a few words."""
    return "1 trade"


RULE = Rule(
    name="tape_gap",
    words="Missing trades",
    severity="high",
    kind="feed",
    unit="trades",
    params=TapeGap,
    defaults={"*": TapeGap()},
    queues={},
    scan=scan,
    explain=explain,
    limit=limit,
    window=None,
    about=(
        "Fires when trade ids are skipped and did not come in time; one anomaly while any gap of the lane is open. "
        "Ends when the last open gap is filled or given up."
    ),
    example="7 trades missing, ids 1201 to 1207",
    avoid="On venues whose ids are not contiguous: there a jump means nothing, and no GAP row is made.",
)
