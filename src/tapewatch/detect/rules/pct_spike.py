"""The price rises from its window's lowest, or falls from its highest, by a share of it.

A percentage means the same on bitcoin and on a coin worth 20 cents, which is why this rule is armed everywhere.
"""

from typing import Annotated

from msgspec import Meta, Struct

from tapewatch.detect import excursion
from tapewatch.detect.rule import (
    Facts,
    QuietS,
    Rule,
    RuleState,
    WindowS,
    Work,
    check_decimals,
    ns_of,
    share_of,
)
from tapewatch.detect.words import number_text, plain_text


class PctSpike(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `pct_spike`."""

    threshold_pct: Annotated[
        float, Meta(ge=0.001, le=1000, description="Report a move of at least this many percent of the extreme")
    ] = 0.25
    window_s: WindowS = 10
    quiet_s: QuietS = 60

    def __post_init__(self) -> None:
        check_decimals(self.threshold_pct, 6, "threshold_pct")


def scan(work: Work, state: RuleState, params: PctSpike) -> bytes:
    """Fold one lane's new rows."""
    share = (0, *share_of(params.threshold_pct))
    return excursion.scan(work, state, ns_of(params.window_s), ns_of(params.quiet_s), share, params.threshold_pct)


def explain(facts: Facts, params: PctSpike) -> str:
    """One sentence a trader understands."""
    return excursion.sentence(facts, f"{number_text(abs(facts.observed), 2)} %", limit(params), ns_of(params.window_s))


def limit(params: PctSpike) -> str:
    """Say the limit in a few words."""
    return f"{number_text(params.threshold_pct, 2)} % in {plain_text(params.window_s)} s"


RULE = Rule(
    name="pct_spike",
    words="Fast move",
    severity="high",
    kind="market",
    unit="percent",
    params=PctSpike,
    defaults={"*": PctSpike()},
    queues=excursion.QUEUES,
    scan=scan,
    explain=explain,
    limit=limit,
    window=lambda params: ns_of(params.window_s),
    about=(
        "Fires when the price rose from the window's lowest, or fell from its highest, by at least threshold_pct "
        "within window_s. The window holds both its ends and the price in force when it opened."
    ),
    example="BTC-USD fell 3.18 % in 8.2 s, from 114,210.00 to 110,578.10 (limit 0.25 % in 10 s)",
    avoid="On a coin whose spread or price step is larger than the limit: every trade that crosses the spread fires.",
)
