"""The venue trades on a lane, and for some seconds none of it gets through, whatever the cause.

Detection cannot see what does not reach it, so capture says it in each second's CLOCK row: `sequence` is since when,
`trade_id` is why (`Cause`).
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


class BlindFeed(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `blind_feed`."""

    limit_s: Annotated[
        float, Meta(ge=0.1, le=3600, description="Report this many seconds without a trade taken, while there are some")
    ] = 5


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
            now, since = data[r]["recv_ts"], data[r]["sequence"]
            if slot["open"] and since == 0:
                count = end(slot, now, r, events, count)
            if since > 0 and now - since >= limit_ns:
                observed = float(now - since) / float(NS)
                fresh = slot["open"] == 0
                if fresh:
                    slot["open"] = 1
                    slot["history"] = was_history(data[r])
                    slot["opened_ts"] = now
                    slot["key"] = now
                    slot["span"] = data[r]["trade_id"]
                    slot["reference_ts"] = since
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
                    slot["peak_reference_ts"] = since
                reached = escalate(slot, observed)
                if fresh:
                    count = emit(slot, OPENED, r, now, events, count)
                elif reached:
                    count = emit(slot, ESCALATED, r, now, events, count)
        s += 1
    return s, count


def scan(work: Work, state: RuleState, params: BlindFeed) -> bytes:
    """Fold one lane's new rows."""
    limit_ns, threshold = ns_of(params.limit_s), float(params.limit_s)
    return drain(
        lambda start: _loop(
            work.data, work.row, work.kind, work.special, start, limit_ns, threshold, state.slots, work.events
        ),
        work,
        len(work.special),
    )


def explain(facts: Facts, params: BlindFeed) -> str:
    """One sentence a trader understands."""
    why = CAUSES.get(facts.span) or CAUSES[Cause.SEVERAL]
    return f"{facts.lane.symbol} blind for {number_text(facts.observed, 1)} s: {why} (limit {limit(params)})"


def limit(params: BlindFeed) -> str:
    """Say the limit in a few words."""
    return f"{plain_text(params.limit_s)} s"


RULE = Rule(
    name="blind_feed",
    words="Blind feed",
    severity="high",
    kind="feed",
    unit="s",
    params=BlindFeed,
    defaults={"*": BlindFeed()},
    queues={},
    scan=scan,
    explain=explain,
    limit=limit,
    window=None,
    about=(
        "Fires when the venue has traded for limit_s and none of it got through: told again, in quarantine, too late, "
        "not confirmed, not subscribed, not read. Ends with the first clock row that says that all is well."
    ),
    example="BTC-USD blind for 5.0 s: the venue trades and none gets through (all told again) (limit 5 s)",
    avoid="Below two seconds: a heartbeat may name a trade that is still on its way.",
)
