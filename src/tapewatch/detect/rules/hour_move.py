"""The price has moved far within an hour: what the rules on minutes see as many small moves, or do not see at all.

The window is kept as the extremes of its minutes.
"""

from typing import Annotated

from msgspec import Meta, Struct

from tapewatch.detect import slide
from tapewatch.detect.rule import Facts, QuietS, Rule, RuleState, Work, check_decimals, ns_of
from tapewatch.model import NS

MINUTE_S = 60


class HourMove(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `hour_move`."""

    threshold_pct: Annotated[
        float, Meta(ge=0.001, le=1000, description="Report a move of at least this many percent of the extreme")
    ] = 8
    window_min: Annotated[
        int, Meta(ge=2, le=180, description="Minutes that are looked back, the one in progress included")
    ] = 60
    quiet_s: QuietS = 3_600

    def __post_init__(self) -> None:
        check_decimals(self.threshold_pct, 6, "threshold_pct")


def scan(work: Work, state: RuleState, params: HourMove) -> bytes:
    """Fold one lane's new rows."""
    return slide.scan(work, state, MINUTE_S, params.window_min * MINUTE_S, ns_of(params.quiet_s), params.threshold_pct)


def explain(facts: Facts, params: HourMove) -> str:
    """One sentence a trader understands."""
    return slide.sentence(facts, limit(params))


def limit(params: HourMove) -> str:
    """Say the limit in a few words."""
    return slide.limit_text(params.threshold_pct, params.window_min * MINUTE_S)


RULE = Rule(
    name="hour_move",
    words="Hour move",
    severity="high",
    kind="market",
    unit="percent",
    params=HourMove,
    defaults={
        "*": HourMove(),
        "BTC-*": HourMove(threshold_pct=4),
        "ETH-*": HourMove(threshold_pct=4),
    },
    queues=slide.QUEUES,
    scan=scan,
    explain=explain,
    limit=limit,
    window=lambda params: params.window_min * MINUTE_S * NS,
    about=(
        "Fires when the price rose from the lowest, or fell from the highest, of the completed minutes of its window "
        "by at least threshold_pct. The window is the minute in progress and those before it, window_min in all."
    ),
    example="BTC-USD fell 4.12 % in 37 min, from 114,210.00 to 109,504.50 (limit 4 % in 60 min)",
    avoid="To be told early: it speaks when much of a crash is over. It is for slides that no minute of them shows.",
    told_from=1.0,
)
