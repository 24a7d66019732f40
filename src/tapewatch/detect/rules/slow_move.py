"""The price has moved far within minutes: too slow for the rules on seconds, too fast to wait for an hour's sum.

The window is kept as the extremes of its seconds.
"""

from typing import Annotated

from msgspec import Meta, Struct

from tapewatch.detect import slide
from tapewatch.detect.rule import Facts, QuietS, Rule, RuleState, Work, check_decimals, ns_of
from tapewatch.model import NS


class SlowMove(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `slow_move`."""

    threshold_pct: Annotated[
        float, Meta(ge=0.001, le=1000, description="Report a move of at least this many percent of the extreme")
    ] = 3
    window_s: Annotated[
        int, Meta(ge=10, le=300, description="Seconds that are looked back, the one in progress included")
    ] = 300
    quiet_s: QuietS = 300

    def __post_init__(self) -> None:
        check_decimals(self.threshold_pct, 6, "threshold_pct")


def scan(work: Work, state: RuleState, params: SlowMove) -> bytes:
    """Fold one lane's new rows."""
    return slide.scan(work, state, 1, params.window_s, ns_of(params.quiet_s), params.threshold_pct)


def explain(facts: Facts, params: SlowMove) -> str:
    """One sentence a trader understands."""
    return slide.sentence(facts, limit(params))


def limit(params: SlowMove) -> str:
    """Say the limit in a few words."""
    return slide.limit_text(params.threshold_pct, params.window_s)


RULE = Rule(
    name="slow_move",
    words="Slow move",
    severity="high",
    kind="market",
    unit="percent",
    params=SlowMove,
    defaults={
        "*": SlowMove(),
        "BTC-*": SlowMove(threshold_pct=1.5),
        "ETH-*": SlowMove(threshold_pct=1.5),
    },
    queues=slide.QUEUES,
    scan=scan,
    explain=explain,
    limit=limit,
    window=lambda params: params.window_s * NS,
    about=(
        "Fires when the price rose from the lowest, or fell from the highest, of the completed seconds of its window "
        "by at least threshold_pct. The window is the second in progress and those before it, window_s in all."
    ),
    example="BTC-USD fell 1.62 % in 3 min 40 s, from 114,210.00 to 112,359.80 (limit 1.5 % in 5 min)",
    avoid="On coins that move by three percent every few minutes: there the hour says more.",
    told_from=1.0,
)
