"""Records leave the house: a slot of state becomes an `Anomaly`, an event becomes a `Change`."""

from typing import Any, Literal

import numpy as np
from msgspec import Struct

from tapewatch.detect.anomaly import ENDED, QUALITIES, anomaly_id, iso, printed
from tapewatch.detect.rule import Facts, Rule, parameters
from tapewatch.model import Anomaly, Change, Direction, Lane

CHANGES: tuple[Literal["ended", "opened", "escalated"], ...] = ("ended", "opened", "escalated")
DIRECTIONS: dict[int, Direction | None] = {1: "up", -1: "down", 0: None}


def change_of(lane: Lane, rule: Rule, params: Struct, event: np.void, ordinal: int) -> Change:
    """Tell an event, with the record as it then stood."""
    change = int(event["change"])
    return Change(
        CHANGES[change], int(event["at"]), ordinal, record_of(lane, rule, params, event, ended=change == ENDED)
    )


def record_of(lane: Lane, rule: Rule, params: Struct, slot: np.void, *, ended: bool) -> Anomaly:
    """Build the record of a slot, open or just ended."""
    values: dict[str, Any] = dict(zip(slot.dtype.names or (), slot.item(), strict=True))
    direction = DIRECTIONS[values["direction"]]
    facts = Facts(
        lane=lane,
        direction=values["direction"],
        opened_ts=values["opened_ts"],
        price=values["price"],
        reference=values["reference"],
        reference_n=values["reference_n"],
        reference_ts=values["reference_ts"],
        observed=values["observed"],
        threshold=values["threshold"],
        key=values["key"],
        span=values["span"],
    )
    market = rule.kind == "market"
    silence = rule.unit == "s"
    return Anomaly(
        id=anomaly_id(lane, rule.name, direction, parameters(params), values["key"]),
        venue=lane.venue,
        symbol=lane.symbol,
        rule=rule.name,
        severity=rule.severity,
        kind=rule.kind,
        direction=direction,
        opened_ts=values["opened_ts"],
        opened_at=iso(values["opened_ts"]),
        trade_id=None if silence else values["key"],
        price=printed(values["price"]) if market else None,
        reference_price=printed(values["reference"], values["reference_n"]) if market else None,
        reference_ts=values["reference_ts"] if market or silence else None,
        observed=values["observed"],
        threshold=values["threshold"],
        unit=rule.unit or lane.symbol.rpartition("-")[2],
        peak_observed=values["peak_observed"],
        peak_price=printed(values["peak_price"]) if market else None,
        peak_ts=values["peak_ts"],
        peak_reference_price=printed(values["peak_reference"], values["peak_reference_n"]) if market else None,
        peak_reference_ts=values["peak_reference_ts"] if market or silence else None,
        last_ts=values["last_ts"],
        ended_ts=values["last_ts"] if ended else None,
        triggers=values["triggers"],
        escalation=values["escalation"],
        escalated_ts=tuple(int(ts) for ts in values["steps"][: values["escalation"]]),
        quality=QUALITIES[values["quality"]],
        history=bool(values["history"]),
        explain=rule.explain(facts, params),
    )
