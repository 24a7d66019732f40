"""The page of the rules, sentence by sentence: slow moves, with values worked out by hand.

Every example is put to the oracle and to the detector, which must agree on all that it comes to.
"""

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.agreement import agreed, book
from support.markets import START, Seconds, Tape, ns
from support.oracle import Armed
from support.recorded import cascade
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook, hour_move, slow_move
from tapewatch.errors import ConfigError
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE, Anomaly, Change, Kind, Lane, Rows

BTC = Lane("coinbase", "BTC-USD")
LINK = Lane("coinbase", "LINK-USD")


def told(tape: Tape, rule: str = "slow_move") -> list[Change]:
    return [change for change in agreed(tape.rows()).changes if change.anomaly.rule == rule]


def opened(tape: Tape, rule: str = "slow_move") -> list[Anomaly]:
    return [change.anomaly for change in told(tape, rule) if change.change == "opened"]


def slide(*prints: tuple[Seconds, str], lane: Lane = LINK) -> Tape:
    tape = Tape(lane)
    for at, price in prints:
        tape.trade(at, price)
    return tape


# --- a tape that a person can read --------------------------------------------------------------------------


def test_a_slide_that_no_ten_seconds_of_it_show() -> None:
    # Eight cents of a hundred dollars every four seconds: 0.24 % from the price in force ten seconds before is no fast
    # move, and 3.04 % in 152 s is a slow one.
    tape = Tape(LINK)
    for step in range(48):
        tape.trade(4 * step, f"{100 - step * 8 / 100:.2f}")
    (slow,) = opened(tape)
    assert (slow.opened_ts, slow.price, slow.severity, slow.unit) == (START + ns(152), 96.96, "high", "percent")
    assert (slow.reference_price, slow.reference_ts, slow.threshold) == (100.0, START, 3.0)
    assert slow.explain == "LINK-USD fell 3.04 % in 2 min 32 s, from 100.00 to 96.96 (limit 3 % in 5 min)"
    (standing,) = [anomaly for anomaly in agreed(tape.rows()).open if anomaly.rule == "slow_move"]
    assert (standing.peak_observed, standing.peak_price, standing.triggers) == (pytest.approx(-3.76), 96.24, 10)
    assert standing.size == pytest.approx(3.76 / 3)
    assert not opened(tape, "pct_spike")


def test_an_hour_that_no_five_minutes_of_it_show() -> None:
    # A tenth of a percent a minute, downwards: 0.5 % in five minutes, 4 % in forty.
    tape = Tape(BTC)
    for minute in range(45):
        tape.trade(60 * minute, str(100_000 - 100 * minute))
    (hour,) = opened(tape, "hour_move")
    assert hour.explain == "BTC-USD fell 4.00 % in 40 min, from 100,000.00 to 96,000.00 (limit 4 % in 60 min)"
    assert not opened(tape, "slow_move")


# --- which steps count --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "fires"), [("0.9", 0), ("0.999999999", 0), ("1", 1), ("1.5", 1)])
def test_the_second_in_progress_is_not_compared_with(at: str, fires: int) -> None:
    assert len(opened(slide((0, "100"), (at, "97")))) == fires


@pytest.mark.parametrize(("at", "fires"), [("59.999999999", 0), ("60", 1)])
def test_the_minute_in_progress_is_not_compared_with(at: str, fires: int) -> None:
    assert len(opened(slide((0, "100"), (at, "92")), "hour_move")) == fires


@pytest.mark.parametrize(("at", "fires"), [("299.999999999", 1), ("300", 0)])
def test_five_minutes_are_the_second_in_progress_and_the_299_before_it(at: str, fires: int) -> None:
    assert len(opened(slide(("0.9", "100"), (at, "97")))) == fires


@pytest.mark.parametrize(("at", "fires"), [("3599.999999999", 1), ("3600", 0)])
def test_an_hour_is_the_minute_in_progress_and_the_59_before_it(at: str, fires: int) -> None:
    assert len(opened(slide(("59", "100"), (at, "92")), "hour_move")) == fires


def test_the_price_in_force_when_the_window_opens_does_not_count() -> None:
    tape = slide((0, "100"), (360, "95"))
    assert [a.explain for a in opened(tape, "pct_spike")] == [
        "LINK-USD fell 5.00 % from its last trade 360.0 s before, from 100.00 to 95.00 (limit 0.25 % in 10 s)"
    ]
    assert not opened(tape, "slow_move")
    assert len(opened(slide((0, "100"), (360, "92")), "hour_move")) == 1


def test_both_extremes_of_a_second_count_not_only_its_last_price() -> None:
    up, down = opened(slide(("0.1", "103"), ("0.2", "96.9"), ("0.3", "100"), (2, "100"), (3, "99.9")))[:2]
    assert (up.direction, up.reference_price, up.reference_ts) == ("up", 96.9, START + ns("0.2"))
    assert up.explain == "LINK-USD rose 3.20 % in 2 s, from 96.90 to 100.00 (limit 3 % in 5 min)"
    assert (down.direction, down.reference_price, down.price) == ("down", 103.0, 99.9)


def test_the_reference_is_the_latest_trade_at_the_extreme() -> None:
    (slow,) = opened(slide((0, "100"), ("7.1", "100"), ("7.2", "100"), ("7.3", "99"), (9, "97")))
    assert slow.reference_ts == START + ns("7.2")
    assert slow.explain.startswith("LINK-USD fell 3.00 % in 2 s")


def test_when_an_extreme_leaves_the_next_one_is_compared_with() -> None:
    # 100 of second 0 leaves with second 300; what remains is 98.5 of second 10.
    tape = slide((0, "100"), (10, "98.5"), (20, "98"), ("299.9", "97.1"), (300, "95.8"), ("300.1", "95.5"))
    (slow,) = opened(tape)
    assert (slow.trade_id, slow.reference_price) == (6, 98.5)


def test_a_backward_time_counts_in_the_second_of_the_trade_before() -> None:
    assert not opened(slide(("5.2", "100"), ("4.1", "96"), ("5.9", "96")))
    assert len(opened(slide(("5.2", "100"), ("4.1", "96"), ("6", "96")))) == 1


# --- limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "slow", "hour"),
    [("BTC-USD", 1.5, 4.0), ("BTC-USDC", 1.5, 4.0), ("ETH-USD", 1.5, 4.0), ("SOL-USD", 3.0, 8.0)],
)
def test_limits_by_symbol(symbol: str, slow: float, hour: float) -> None:
    tape = slide((0, "1000"), (60, "900"), lane=Lane("coinbase", symbol))
    assert [opened(tape, rule)[0].threshold for rule in ("slow_move", "hour_move")] == [slow, hour]


@pytest.mark.parametrize(("price", "fires"), [("97", 1), ("97.0000000001", 0)])
def test_three_percent_fires_and_a_unit_less_does_not(price: str, fires: int) -> None:
    assert len(opened(slide((0, "100"), (2, price)))) == fires


HIGHEST = PRICE_MAX * PRICE_SCALE
prices = st.one_of(st.integers(1, HIGHEST), st.integers(1, 10**6), st.integers(HIGHEST - 10**6, HIGHEST))
percents = st.decimals(min_value="0.001", max_value="1000", places=3).map(float)


@settings(max_examples=200)
@given(start=prices, percent=percents, off=st.integers(-1, 1), up=st.booleans(), rule=st.sampled_from(["slow", "hour"]))
def test_limits_compare_exactly(start: int, percent: float, off: int, up: bool, rule: str) -> None:
    exact = Fraction(repr(percent)) / 100 * start
    move = -int(-exact // 1) + off
    end = start + move if up else start - move
    if not 1 <= end <= HIGHEST or move <= 0:
        return
    window = {"window_s": 300} if rule == "slow" else {"window_min": 60}
    armed: Armed = {f"{rule}_move": {"threshold_pct": percent, "quiet_s": 300, **window}}
    tape = Rows.of([BTC], [(i * 60 * NS, 0, i, 0, p, 1.0, 0, 0, Kind.TRADE, 1, 0) for i, p in enumerate((start, end))])
    fired = [change.anomaly.direction for change in Detector(book(armed)).update(tape).changes]
    assert fired == ([("up" if up else "down")] if move >= exact else [])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"slow_move": {"window_s": 301}}, "301"),
        ({"slow_move": {"window_s": 12.5}}, "12.5"),
        ({"hour_move": {"window_min": 181}}, "181"),
        ({"hour_move": {"threshold_pct": 0.0000001}}, "threshold_pct"),
    ],
)
def test_bounds_of_parameters(rule: dict[str, dict[str, float]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RuleBook.of(rule)


# --- outages and gaps ---------------------------------------------------------------------------------------


def test_an_outage_forgets_completed_steps_and_the_one_in_progress() -> None:
    tape = Tape(LINK).trade(0, 100).trade(5, 99).gap(5, 3, 3).trade("15.5", 90)
    assert not opened(tape)
    assert not opened(tape.trade("15.9", 80))  # of the same second as the first trade behind the outage
    (slow,) = opened(tape.trade(16, 88))
    assert (slow.direction, slow.reference_price) == ("up", 80.0)


@pytest.mark.parametrize(("at", "quality"), [("310.9", "gap"), ("311", "complete")])
def test_a_gap_spoils_the_quality_within_the_window(at: str, quality: str) -> None:
    # The gap's time is 12 s; second 310 looks back to the beginning of second 11, and 311 to that of 12.
    tape = Tape(LINK).trade("11.5", 100).gap(12, 2, 3)
    for second in range(20, 310, 5):
        tape.trade(second, 100)
    (slow,) = opened(tape.trade(at, 97))
    assert slow.quality == ("gap" if at == "310.9" else quality)


# --- one event, one record ----------------------------------------------------------------------------------


def test_it_escalates_and_holds_like_any_other() -> None:
    changes = told(slide((0, "100"), (2, "97"), (4, "94"), (6, "88"), (8, "93"), (9, "95"), (10, "87")))
    down = [c for c in changes if c.anomaly.direction == "down"]
    assert [(c.change, c.anomaly.escalation, c.anomaly.observed) for c in down] == [
        ("opened", 0, -3.0),
        ("escalated", 1, -3.0),
        ("escalated", 2, -3.0),
    ]
    standing = next(a for a in agreed(slide((0, "100"), (2, "88"), (8, "95"), (9, "94")).rows()).open)
    assert (standing.triggers, standing.last_ts) == (3, START + ns(9))  # 5 % is less than half of 12 %, 6 % is half


def test_what_is_left_of_one_move_does_not_open_a_second() -> None:
    # 12 % down and half of it back: for the rest of the five minutes each trade fires and none holds.
    tape = slide((0, "100"), (10, "88"), (12, "95"))
    for second in range(20, 400, 10):
        tape.trade(second, "95")
    changes = [(c.change, c.anomaly.direction, c.at - START) for c in told(tape)]
    assert changes == [
        ("opened", "down", ns(10)),
        ("opened", "up", ns(12)),
        ("ended", "down", ns(320)),
    ]


# --- state --------------------------------------------------------------------------------------------------


def kept(detector: Detector) -> dict[str, int]:
    """Count the bytes that each rule keeps of the only lane."""
    ((_, _, _, _, _, rules),) = msgspec.msgpack.decode(detector.snapshot())[1]
    return {name: sum(map(len, slots)) + sum(map(len, queues)) for name, _, slots, queues in rules}


def test_the_state_of_a_lane_stays_below_16_kb_by_construction() -> None:
    # The worst there is: extremes that close in on each other, so that each second's matter for ever after.
    widest = RuleBook.of({"slow_move": {"window_s": 300}, "hour_move": {"window_min": 180}})
    tape, number = Tape(LINK), 0
    for minute in range(190):
        for second in range(0, 60, 1 if minute > 180 else 60):
            number += 1
            tape.trade(60 * minute + second, f"{200 - number / 100:.2f}")
            tape.trade(f"{60 * minute + second}.5", f"{100 + number / 100:.2f}")
    detector = Detector(widest)
    detector.update(tape.rows())
    sizes = kept(detector)
    assert sizes["slow_move"] > 2 * 299 * slow_move.RULE.queues["low"].itemsize
    assert sizes["hour_move"] > 2 * 179 * hour_move.RULE.queues["low"].itemsize
    assert sizes["slow_move"] + sizes["hour_move"] <= 16_384


@pytest.mark.slow
def test_a_day_of_the_crash_leaves_little(shared: Path) -> None:
    detector = Detector(RuleBook.default())
    detector.update(cascade(shared, "DOGE-USD"))
    sizes = kept(detector)
    assert 0 < sizes["slow_move"] + sizes["hour_move"] <= 16_384
