"""The schedule of planted anomalies: soon, then every one to three minutes, on changing symbols."""

from itertools import islice, pairwise

import pytest

from support.simulated import START_NS
from tapewatch.model import NS
from tapewatch.simulate.plants import Label
from tapewatch.simulate.products import PRODUCTS, choose
from tapewatch.simulate.scenario import Scenario

KINDS = {"flash_crash", "jump", "slide", "volatility_regime", "fat_finger", "silence"}
seeds = pytest.mark.parametrize("seed", range(20))


def labels(seed: int, count: int = 60, symbols: tuple[str, ...] = (), start_ns: int = START_NS) -> list[Label]:
    return list(islice(Scenario(seed, choose(symbols), start_ns), count))


@seeds
def test_the_first_is_a_crash_of_bitcoin_within_twenty_seconds(seed: int) -> None:
    first = labels(seed, 1)[0]
    assert (first.kind, first.symbol, first.direction) == ("flash_crash", "BTC-USD", "down")
    assert 15 * NS <= first.start_ts - START_NS <= 20 * NS
    assert first.rules == ("pct_spike", "abs_jump")


def test_without_bitcoin_the_first_product_crashes() -> None:
    assert labels(1, 1, ("DOGE-USD", "LTC-USD"))[0].symbol == "DOGE-USD"


@seeds
@pytest.mark.parametrize("symbols", [(), ("BTC-USD", "ETH-USD", "SOL-USD"), ("ETH-USD",)])
def test_then_one_to_three_minutes_apart(seed: int, symbols: tuple[str, ...]) -> None:
    for one, other in pairwise(labels(seed, 60, symbols)):
        assert 60 * NS <= other.start_ts - one.start_ts <= 180 * NS


@seeds
def test_symbols_and_kinds_change_and_all_have_their_turn(seed: int) -> None:
    drawn = labels(seed, 40)
    assert all(one.symbol != other.symbol and one.kind != other.kind for one, other in pairwise(drawn))
    assert {label.kind for label in drawn[:8]} == KINDS
    assert {label.symbol for label in drawn[:14]} == {product.id for product in PRODUCTS}


@seeds
def test_one_symbol_has_time_to_calm_down(seed: int) -> None:
    for one, other in pairwise(labels(seed, 40, ("SOL-USD",))):
        assert other.start_ts - one.end_ts >= 74 * NS


@seeds
def test_sizes_and_durations_are_visible(seed: int) -> None:
    for label in labels(seed):
        seconds = (label.end_ts - label.start_ts) / NS
        expected = {
            "flash_crash": ("percent", 0.8, 2.2, 9, 12),
            "jump": ("percent", 0.45, 1.0, 3, 3),
            "slide": ("percent", 0.5, 0.5, 9, 9),
            "volatility_regime": ("times", 15, 18, 60, 75),
            "fat_finger": ("percent", 1.5, 4, 0, 0),
            "silence": ("s", 6, 8, 6, 8),
        }
        unit, smallest, largest, shortest, longest = expected[label.kind]
        assert label.unit == unit
        assert smallest <= label.size <= largest
        assert shortest <= seconds <= longest
        assert (label.direction is None) == (label.kind in {"silence", "volatility_regime"})


def test_the_same_seed_gives_the_same_schedule_moved_to_its_start() -> None:
    later = [
        (label.kind, label.symbol, label.direction, label.size, label.rules, label.start_ts - 90 * NS)
        for label in labels(3, start_ns=START_NS + 90 * NS)
    ]
    now = [(x.kind, x.symbol, x.direction, x.size, x.rules, x.start_ts) for x in labels(3)]
    assert now == later
    assert labels(3) != labels(4)


def test_a_rule_in_dollars_is_promised_for_bitcoin_alone_and_a_history_where_there_is_one() -> None:
    drawn = [label for seed in range(10) for label in labels(seed)]
    assert all(("abs_jump" in x.rules) == (x.symbol == "BTC-USD" and x.kind != "silence") for x in drawn)
    assert all(x.rules == ("silent_feed",) for x in drawn if x.kind == "silence")
    jumps = [x for x in drawn if x.kind == "jump"]
    cold = [x for x in jumps if "vol_breakout" not in x.rules]
    assert len(jumps) > len(cold) > 0
    # A quiet product needs some minutes until it has sixty seconds with trades; all have them after ten.
    assert all(x.start_ts - START_NS < 600 * NS for x in cold)
