"""Every kind of planted anomaly stands in the tape as its label says."""

import numpy as np
import pytest

from support.simulated import START_NS, prices
from tapewatch.model import NS, Direction
from tapewatch.simulate.market import Instrument, Prints
from tapewatch.simulate.plants import Kind, Label, plant
from tapewatch.simulate.products import PRODUCTS, Product

SEED = 5
LEAD_S, TAIL_S = 120, 60
AT_NS = START_NS + LEAD_S * NS

by_product = pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.id)
both_ways = pytest.mark.parametrize("direction", ["up", "down"])


def label(kind: Kind, seconds: float, size: float, direction: Direction | None = None, start_ns: int = AT_NS) -> Label:
    unit = {"silence": "s", "volatility_regime": "times"}.get(kind, "percent")
    return Label(kind, "", direction, start_ns, start_ns + int(seconds * NS), size, unit, ())  # type: ignore[arg-type]


def tape(product: Product, planted: Label) -> Prints:
    """Trade two minutes, the plant, and a minute more."""
    instrument = Instrument(product, 0, np.random.default_rng(SEED), steady=False)
    each = plant(planted)
    out = []
    for second in range(LEAD_S + 80 + TAIL_S):
        start_ns = START_NS + second * NS
        active = [each] if each.start_ns < start_ns + NS and each.end_ns >= start_ns else []
        out.append(instrument.second(start_ns, 1.0, active))
        if start_ns <= each.end_ns < start_ns + NS:
            instrument.settle(each.lasting)
    return np.concatenate(out)


def split(prints: Prints, planted: Label) -> tuple[Prints, Prints, Prints]:
    """Before, during and after."""
    ts = prints["ts"]
    before, after = ts < planted.start_ts, ts > planted.end_ts
    return prints[before], prints[~before & ~after], prints[after]


def percent(prints: Prints, reference: float) -> np.ndarray:
    return 100.0 * (prints["ticks"] / reference - 1.0)


@by_product
@both_ways
def test_a_slide_is_half_a_percent_over_nine_seconds_in_small_steps(product: Product, direction: Direction) -> None:
    planted = label("slide", 9.0, 0.5, direction)
    before, during, after = split(tape(product, planted), planted)
    sign = 1 if direction == "up" else -1
    moves = sign * percent(during, before["ticks"][-1])
    tick = 100.0 / before["ticks"][-1]
    assert during["ts"][-1] - during["ts"][0] == 9 * NS
    # What the quote was before it and the last print's side may each cost an increment.
    assert moves[-1] == pytest.approx(0.5, abs=0.03 + 2 * tick)
    assert np.abs(np.diff(moves)).max() <= 0.03 + 2 * tick
    # At no time has it gone much farther than an even walk would have.
    even = 0.5 * (during["ts"] - planted.start_ts) / (9 * NS)
    assert np.abs(moves - even).max() <= 0.04 + 2 * tick
    assert sign * np.median(percent(after[:5], before["ticks"][-1])) > 0.4


@by_product
@both_ways
def test_a_jump_is_one_step_that_stays(product: Product, direction: Direction) -> None:
    planted = label("jump", 3.0, 0.8, direction)
    before, during, after = split(tape(product, planted), planted)
    sign = 1 if direction == "up" else -1
    assert during["ts"][0] == planted.start_ts
    assert sign * percent(during[:1], before["ticks"][-1])[0] == pytest.approx(0.8, abs=0.12)
    assert np.all(sign * percent(during, before["ticks"][-1]) > 0.6)
    assert sign * np.median(percent(after[:20], before["ticks"][-1])) > 0.6


@by_product
def test_a_flash_crash_falls_for_three_seconds_and_comes_back(product: Product) -> None:
    planted = label("flash_crash", 10.0, 1.5, "down")
    before, during, after = split(tape(product, planted), planted)
    moves = percent(during, before["ticks"][-1])
    assert moves.min() == pytest.approx(-1.5, abs=0.12)
    bottom = during["ts"][np.argmin(moves)] - planted.start_ts
    assert 2 * NS < bottom < 5 * NS
    assert moves[-1] == pytest.approx(-0.15, abs=0.12)
    assert np.median(percent(after[:20], before["ticks"][-1])) == pytest.approx(-0.15, abs=0.12)
    assert len(during) > 5 * 10 * product.trades_per_s, "a crash is busy"
    falling = during[during["ts"] < planted.start_ts + 3 * NS]
    assert np.mean(falling["side"] < 0) > 0.7, "sellers press"


@by_product
@both_ways
def test_a_fat_finger_is_one_print(product: Product, direction: Direction) -> None:
    planted = label("fat_finger", 0.0, 3.0, direction)
    before, during, after = split(tape(product, planted), planted)
    sign = 1 if direction == "up" else -1
    assert len(during) == 1
    assert sign * percent(during, before["ticks"][-1])[0] == pytest.approx(3.0, abs=0.12)
    neighbours = np.concatenate([before[-10:], after[:10]])
    assert np.abs(percent(neighbours, before["ticks"][-1])).max() < 0.2


@by_product
def test_a_silence_has_no_print_and_loses_none(product: Product) -> None:
    planted = label("silence", 9.0, 9.0)
    before, during, after = split(tape(product, planted), planted)
    assert len(during) == 0
    assert after["ts"][0] - before["ts"][-1] >= 9 * NS
    assert after["trade_id"][0] == before["trade_id"][-1] + 1
    assert [plant(planted).mutes(AT_NS + n * NS) for n in (-1, 0, 8, 9)] == [False, True, True, False]


@pytest.mark.parametrize("product", PRODUCTS[:5], ids=lambda product: product.id)
def test_a_regime_multiplies_volatility_for_its_minute(product: Product) -> None:
    planted = label("volatility_regime", 70.0, 16.0)
    parts = split(tape(product, planted), planted)
    calm, wild, calm_again = (np.abs(ten_second_moves(part, product)).mean() for part in parts)
    assert wild > 5 * calm
    assert wild > 5 * calm_again


def ten_second_moves(prints: Prints, product: Product) -> np.ndarray:
    last = {int(ts) // (10 * NS): price for ts, price in zip(prints["ts"], prices(prints, product), strict=True)}
    return np.diff(np.log(list(last.values())))


@pytest.mark.parametrize("kind", ["flash_crash", "jump", "slide", "fat_finger"])
def test_extra_arrivals_reach_from_start_to_end_over_any_seconds(kind: Kind) -> None:
    seconds = {"flash_crash": 10.3, "jump": 3.0, "slide": 9.0, "fat_finger": 0.0}[kind]
    planted = label(kind, seconds, 1.0, "down", start_ns=AT_NS + 123_456_000)
    each = plant(planted)
    times = np.concatenate([each.extra_arrivals(AT_NS + n * NS) for n in range(-1, 13)])
    assert times[0] == planted.start_ts
    assert times[-1] == planted.end_ts
    assert np.all(np.diff(times) > 0)
    assert np.all(times % 1000 == 0)
