"""The price moves by a fixed amount of the quote currency within a window.

What a desk with a position in one coin watches; meaningless across coins, so it is armed on BTC-* only.
"""

from typing import Annotated

from msgspec import Meta, Struct

from tapewatch.detect import excursion
from tapewatch.detect.rule import Facts, QuietS, Rule, RuleState, WindowS, Work, check_decimals, ns_of, units_of
from tapewatch.detect.words import move_text, plain_text, price_text


class AbsJump(Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `abs_jump`."""

    limit_quote: Annotated[
        float, Meta(ge=1e-10, le=1e7, description="Report a move of at least this much of the quote currency")
    ] = 30
    window_s: WindowS = 10
    quiet_s: QuietS = 60

    def __post_init__(self) -> None:
        check_decimals(self.limit_quote, 10, "limit_quote")


def scan(work: Work, state: RuleState, params: AbsJump) -> bytes:
    """Fold one lane's new rows."""
    units = (units_of(params.limit_quote), 0, 0)
    return excursion.scan(work, state, ns_of(params.window_s), ns_of(params.quiet_s), units, float(params.limit_quote))


def explain(facts: Facts, params: AbsJump) -> str:
    """One sentence a trader understands."""
    moved = move_text(facts.price, facts.reference)
    return excursion.sentence(facts, moved, limit(params), ns_of(params.window_s))


def limit(params: AbsJump) -> str:
    """Say the limit in a few words."""
    return f"{price_text(units_of(params.limit_quote))} in {plain_text(params.window_s)} s"


RULE = Rule(
    name="abs_jump",
    words="Dollar jump",
    severity="high",
    kind="market",
    unit="",
    params=AbsJump,
    defaults={"*": None, "BTC-*": AbsJump()},
    queues=excursion.QUEUES,
    scan=scan,
    explain=explain,
    limit=limit,
    window=lambda params: ns_of(params.window_s),
    about=(
        "Fires when the price rose from the window's lowest, or fell from its highest, by at least limit_quote of the "
        "quote currency within window_s. A move of exactly the limit fires."
    ),
    example="BTC-USD rose 31.20 in 8.2 s, from 114,210.00 to 114,241.20 (limit 30.00 in 10 s)",
    avoid="Where $30 is nothing (a calm bitcoin day above $100,000 has hundreds) or never reached (most other coins).",
)
