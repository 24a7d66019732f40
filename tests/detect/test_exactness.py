"""Percentages, limits and floors compare exactly, from 1e-10 to 1e7: held against fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.markets import Tape
from tapewatch.detect.core import Detector
from tapewatch.detect.kernels import ceil_share, reaches
from tapewatch.detect.rule import share_of, units_of
from tapewatch.detect.rules import RuleBook
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE, Kind, Lane, Rows

BTC = Lane("coinbase", "BTC-USD")
HIGHEST = PRICE_MAX * PRICE_SCALE
prices = st.one_of(st.integers(1, HIGHEST), st.integers(1, 10**6), st.integers(HIGHEST - 10**6, HIGHEST))
percents = st.decimals(min_value="0.001", max_value="1000", places=3).map(float)


@given(value=st.integers(1, 90 * HIGHEST), percent=percents.filter(lambda p: p <= 100))
def test_share_is_rounded_up_without_overflow(value: int, percent: float) -> None:
    num, den = share_of(percent)
    want = -(-value * num // den)
    assert ceil_share(value, num, den) == want
    assert want == Fraction(repr(percent)) / 100 * value or want - 1 < Fraction(repr(percent)) / 100 * value < want


@settings(max_examples=400)
@given(price=prices, percent=percents, off=st.integers(-3, 3))
def test_share_is_reached_exactly(price: int, percent: float, off: int) -> None:
    num, den = share_of(percent)
    exact = Fraction(num, den) * price
    move = min(max(int(exact) + off, 0), HIGHEST)
    assert reaches(move, price, 0, num, den, num / den) == (move >= exact)


def fires(start: int, end: int, **rules: dict[str, float]) -> list[str | None]:
    every = {"pct_spike", "abs_jump", "vol_breakout", "mean_reversion_break"}
    off = {name: {"armed": False} for name in every - set(rules)}
    rows = Rows.of(
        [BTC], [(i, i, i + 1, 0, price, 1.0, 0, 0, Kind.TRADE, 1, 0) for i, price in enumerate((start, end))]
    )
    return [c.anomaly.direction for c in Detector(RuleBook.of({**rules, **off})).update(rows).changes]


@settings(max_examples=150)
@given(start=prices, percent=percents, off=st.integers(-1, 1), up=st.booleans())
def test_pct_spike_fires_exactly_at_its_limit(start: int, percent: float, off: int, up: bool) -> None:
    move = -int(-(Fraction(repr(percent)) / 100 * start) // 1) + off
    end = start + move if up else start - move
    if not 1 <= end <= HIGHEST or move <= 0:
        return
    want = abs(end - start) >= Fraction(repr(percent)) / 100 * start
    assert fires(start, end, pct_spike={"threshold_pct": percent}) == (["up" if up else "down"] if want else [])


@settings(max_examples=100)
@given(start=prices, limit=st.integers(1, 10**13), off=st.integers(-1, 1))
def test_abs_jump_fires_exactly_at_its_limit(start: int, limit: int, off: int) -> None:
    quote = float(f"{limit // PRICE_SCALE}.{limit % PRICE_SCALE:010d}")
    limit = units_of(quote)
    end = start + limit + off
    if end > HIGHEST or limit + off <= 0 or quote < 1e-10:
        return
    assert fires(start, end, abs_jump={"limit_quote": quote}) == (["up"] if off >= 0 else [])


@pytest.mark.parametrize(
    ("end", "fired"), [("100030", True), ("100029.99", False), ("99970", True), ("99970.01", False)]
)
def test_thirty_dollars_fire_and_a_cent_less_does_not(end: str, fired: bool) -> None:
    book = RuleBook.of({"pct_spike": {"armed": False}})
    rows = Tape(BTC).trade(0, "100000").trade(10, end).rows()
    assert bool(Detector(book).update(rows).changes) is fired


@pytest.mark.parametrize(("end", "fired"), [("100250", True), ("100249.9999999999", False)])
def test_a_quarter_percent_fires_and_a_unit_less_does_not(end: str, fired: bool) -> None:
    rows = Tape(Lane("coinbase", "ETH-USD")).trade(0, "100000").trade(10, end).rows()
    assert bool(Detector(RuleBook.default()).update(rows).changes) is fired


@settings(max_examples=40)
@given(
    base=st.integers(10**3, HIGHEST // 2),
    percent=st.decimals(min_value="0.001", max_value="50", places=3).map(float),
    off=st.integers(-1, 1),
)
def test_floors_of_calm_seconds_are_exact(base: int, percent: float, off: int) -> None:
    """With σ = 0 the floor alone decides, for the last second's price and for the mean."""
    move = -int(-(Fraction(repr(percent)) / 100 * base) // 1) + off
    if move <= 0 or base + move > HIGHEST:
        return
    calm = [(s * NS, s * NS, s + 1, 0, base, 1.0, 0, 0, Kind.TRADE, 1, 0) for s in range(62)]
    jump = (62 * NS, 62 * NS, 63, 0, base + move, 1.0, 0, 0, Kind.TRADE, 1, 0)
    book = RuleBook.of(
        {
            "pct_spike": {"armed": False},
            "abs_jump": {"armed": False},
            "slow_move": {"armed": False},
            "hour_move": {"armed": False},
            "vol_breakout": {"floor_pct": percent},
            "mean_reversion_break": {"floor_pct": percent},
        }
    )
    rules = [c.anomaly.rule for c in Detector(book).update(Rows.of([BTC], [*calm, jump])).changes]
    reached = move >= Fraction(repr(percent)) / 100 * base
    assert rules == (["vol_breakout", "mean_reversion_break"] if reached else [])


def test_sums_of_the_highest_prices_do_not_overflow() -> None:
    highest = [(s * NS, s * NS, s + 1, 0, HIGHEST, 1.0, 0, 0, Kind.TRADE, 1, 0) for s in range(92)]
    fall = (92 * NS, 92 * NS, 93, 0, 1, 1.0, 0, 0, Kind.TRADE, 1, 0)
    book = RuleBook.of({"mean_reversion_break": {"samples": 90}})
    changes = Detector(book).update(Rows.of([BTC], [*highest, fall])).changes
    stretch = next(c.anomaly for c in changes if c.anomaly.rule == "mean_reversion_break")
    assert stretch.reference_price == PRICE_MAX
    assert np.isclose(stretch.observed, -PRICE_MAX)
