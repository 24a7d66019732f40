"""No frame at all comes on a lane for some seconds.

Silence has no row of its own, so capture writes a CLOCK row each second; this rule compares the two
receive times in it and never reads a clock.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tapewatch.detect.anomaly import ESCALATED, OPENED, emit, end, escalate, was_history
from tapewatch.detect.kernels import kernel
from tapewatch.detect.rule import CLOCK, EVENTS_PER_ROW, Facts, Rule, RuleState, Work, drain, ns_of
from tapewatch.detect.words import number_text, plain_text
from tapewatch.model import CAUSES, NS, Cause


class SilentFeed(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `silent_feed`."""

    limit_s: Annotated[float, Meta(ge=0.1, le=3600, description="Report this many seconds without a frame")] = 5


@kernel
def _loop(
    data: NDArray[np.void],
    row: NDArray[np.int64],
    kind: NDArray[np.uint8],
    special: NDArray[np.int64],
    start: int,
    limit_ns: int,
    threshold: float,
    slots: NDArray[np.void],
    events: NDArray[np.void],
) -> tuple[int, int]:
    slot = slots[0]
    count = 0
    s = start
    while s < len(special) and count <= len(events) - EVENTS_PER_ROW:
        r = row[special[s]]
        if kind[special[s]] == CLOCK:
            now, heard = data[r]["recv_ts"], data[r]["aux"]
            if slot["open"] and heard > slot["reference_ts"]:
                count = end(slot, now, r, events, count)
            if now - heard >= limit_ns:
                observed = float(now - heard) / float(NS)
                fresh = slot["open"] == 0
                if fresh:
                    slot["open"] = 1
                    slot["history"] = was_history(data[r])
                    slot["opened_ts"] = now
                    slot["key"] = now
                    slot["span"] = data[r]["trade_id"]
                    slot["reference_ts"] = heard
                    slot["observed"] = observed
                    slot["threshold"] = threshold
                    slot["next_step"] = 2.0 * threshold
                    slot["peak_observed"] = 0.0
                    slot["triggers"] = 0
                    slot["escalation"] = 0
                slot["triggers"] += 1
                slot["last_ts"] = now
                if observed > slot["peak_observed"]:
                    slot["peak_observed"] = observed
                    slot["peak_ts"] = now
                    slot["peak_reference_ts"] = heard
                reached = escalate(slot, observed)
                if fresh:
                    count = emit(slot, OPENED, r, now, events, count)
                elif reached:
                    count = emit(slot, ESCALATED, r, now, events, count)
        s += 1
    return s, count


def scan(work: Work, state: RuleState, params: SilentFeed) -> bytes:
    """Fold one lane's new rows."""
    limit_ns, threshold = ns_of(params.limit_s), float(params.limit_s)
    return drain(
        lambda start: _loop(
            work.data, work.row, work.kind, work.special, start, limit_ns, threshold, state.slots, work.events
        ),
        work,
        len(work.special),
    )


def explain(facts: Facts, params: SilentFeed) -> str:
    """One sentence a trader understands."""
    venue, silence = facts.lane.venue, f"{number_text(facts.observed, 1)} s"
    if facts.span in (Cause.NEVER_CONNECTED, Cause.NO_FRAME):
        return f"no data from {venue} for {silence}: {CAUSES[facts.span]} (limit {limit(params)})"
    return f"no frame from {venue} for {silence} (limit {limit(params)})"


def limit(params: SilentFeed) -> str:
    """Say the limit in a few words."""
    return f"{plain_text(params.limit_s)} s"


RULE = Rule(
    name="silent_feed",
    words="Silent feed",
    severity="high",
    kind="feed",
    unit="s",
    params=SilentFeed,
    defaults={"*": SilentFeed()},
    queues={},
    scan=scan,
    explain=explain,
    limit=limit,
    window=None,
    about=(
        "Fires when no frame at all has come on the lane for limit_s, connected or not; ends with the first clock row "
        "that has heard a newer frame. Heartbeats are frames: a quiet market is not a silent feed."
    ),
    example="no frame from coinbase for 5.0 s (limit 5 s)",
    avoid="Below two seconds: heartbeats come once a second, and one late one would be an anomaly.",
)
