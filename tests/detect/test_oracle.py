"""The page of the rules, sentence by sentence, with values worked out by hand: rows, bars, rules.

Every example is put to the oracle and to the detector, which must agree on all that it comes to.
"""

from fractions import Fraction

import pytest

from support.agreement import agreed
from support.markets import START, Tape, ns, units
from support.oracle import Bar, Verdict
from tapewatch.model import Anomaly, Lane

BTC = Lane("coinbase", "BTC-USD")
LINK = Lane("coinbase", "LINK-USD")


def look(tape: Tape) -> Verdict:
    return agreed(tape.rows())


def opened(tape: Tape, rule: str) -> list[Anomaly]:
    return [c.anomaly for c in look(tape).changes if c.change == "opened" and c.anomaly.rule == rule]


def told(tape: Tape) -> list[tuple[str, str, str | None]]:
    return [(c.change, c.anomaly.rule, c.anomaly.direction) for c in look(tape).changes]


def level(seconds: int, price: str = "50000", lane: Lane = BTC) -> Tape:
    """Print the same price in each of so many seconds."""
    tape = Tape(lane)
    for second in range(seconds):
        tape.trade(second, price)
    return tape


# --- rows ---------------------------------------------------------------------------------------------------


def test_a_trade_not_above_the_highest_named_id_changes_nothing() -> None:
    tape = Tape(BTC).trade(0, 100, number=5).gap(1, 6, 8).trade(1, 200, number=8).trade(1, 200, number=5)
    verdict = look(tape.trade(1, 100, number=9))
    assert verdict.new == [True, True, False, False, True]
    assert {change.anomaly.rule for change in verdict.changes} == {"tape_gap"}


def test_the_first_trade_may_have_any_id() -> None:
    assert look(Tape(BTC).trade(0, 100, number=0)).new == [True]


def test_a_backward_time_takes_the_time_of_the_lanes_last_trade() -> None:
    (spike,) = opened(Tape(LINK).trade(20, 100).trade(12, 101), "pct_spike")
    assert (spike.opened_ts, spike.reference_ts) == (START + ns(20), START + ns(20))
    # The bar counts it where the venue said it was.
    bars = look(Tape(LINK).trade(20, 100).trade(12, 101)).bars
    assert {start for _, width, start in bars if width == 1} == {START + ns(12), START + ns(20)}


def test_a_gap_is_known_by_its_first_id() -> None:
    tape = Tape(BTC).trade(0, 100, number=5).gap(1, 5, 9).gap(1, 6, 8).gap(1, 6, 8).gap(1, 8, 12)
    assert look(tape).new == [True, False, True, False, False]


def test_late_trades_come_in_ascending_order_into_an_open_gap() -> None:
    tape = Tape(BTC).trade(0, 100).gap(1, 2, 5).trade(1, 100)
    for number in (2, 4, 4, 3, 5, 6):
        tape.late(2, 100, number)
    tape.filled(2, 2, 5).late(3, 100, 5)
    assert look(tape).new == [True] * 3 + [True, True, False, False, True, False] + [True, False]


def test_no_market_rule_sees_a_late_trade() -> None:
    tape = Tape(BTC).trade(0, 100).gap(1, 2, 2).trade(1, 100).late(2, 500, 2).filled(2, 2, 2).trade(3, 100)
    assert {rule for _, rule, _ in told(tape)} == {"tape_gap"}


def test_filled_closes_an_open_gap_of_just_its_range_once() -> None:
    tape = Tape(BTC).gap(0, 1, 3).filled(1, 1, 2).filled(1, 2, 3).filled(1, 1, 3).filled(1, 1, 3)
    assert look(tape).new == [True, False, False, True, False]


def test_a_clock_not_later_than_the_last_is_known() -> None:
    tape = Tape(BTC).clock(7, 1).clock(7, 1).clock("6.9", 1).clock("7.1", 1)
    verdict = look(tape)
    assert verdict.new == [True, False, False, True]
    assert verdict.open[0].triggers == 2


def test_the_65th_gap_gives_up_the_oldest() -> None:
    tape = Tape(BTC)
    for gap in range(65):
        tape.trade(gap, 100, number=2 * gap + 1).gap(gap, 2 * gap + 2, 2 * gap + 2)
    verdict = look(tape.late(65, 100, 2).filled(65, 2, 2).late(65, 100, 4).filled(65, 4, 4))
    assert verdict.new[-4:] == [False, False, True, True]
    assert [(c.change, c.anomaly.triggers) for c in verdict.changes] == [("opened", 1)]
    assert verdict.open[0].triggers == 65


def test_lanes_do_not_touch_one_another() -> None:
    both = Tape(BTC, LINK).trade(0, 100, lane=0).trade(0, 101, lane=1).trade(1, 100, lane=0).trade(1, 102, lane=1)
    assert [(c.anomaly.symbol, c.ordinal) for c in look(both).changes] == [("LINK-USD", 0)]


# --- bars ---------------------------------------------------------------------------------------------------


def test_bars_count_new_trades_and_late_ones_where_they_happened() -> None:
    tape = Tape(LINK).trade("9.5", "1.00", number=10, size=1).gap("9.6", 11, 12).trade("10.2", "1.30", size=2)
    tape.trade("9.9", "0.90", size=4).late("9.7", "1.10", 12, size=8).filled(11, 11, 12, given_up=True)
    tape.trade("9.5", "5.00", number=10, size=99)
    bars = look(tape).bars
    second, minute = ns(1), ns(60)
    assert bars[LINK, 1, START + 9 * second] == Bar(
        10, 14, units("1.00"), units("1.10"), units("0.90"), units("0.90"), 13.0, 3
    )
    assert bars[LINK, 1, START + 10 * second] == Bar(13, 13, *[units("1.30")] * 4, 2.0, 1)
    assert bars[LINK, 10, START] == bars[LINK, 1, START + 9 * second]
    assert bars[LINK, 60, START // minute * minute] == Bar(
        10, 14, units("1.00"), units("1.30"), units("0.90"), units("0.90"), 15.0, 4
    )
    assert len(bars) == 5


# --- pct_spike and abs_jump ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "fires"), [("114240", 1), ("114239.99", 0), ("114180", 1), ("114180.01", 0)])
def test_thirty_dollars_fire_and_a_cent_less_does_not(price: str, fires: int) -> None:
    assert len(opened(Tape(BTC).trade(0, 114210).trade(1, price), "abs_jump")) == fires


@pytest.mark.parametrize(
    ("start", "price", "fires"),
    [
        ("400", "401", 1),
        ("400", "400.9999999999", 0),
        ("400", "399", 1),
        ("400", "399.0000000001", 0),
        # 0.25 % of 401 units is 1.0025: two units are needed.
        ("0.0000000401", "0.0000000403", 1),
        ("0.0000000401", "0.0000000402", 0),
        ("0.0000000001", "0.0000000002", 1),
        ("10000000", "9975000", 1),
        ("10000000", "9975000.0000000001", 0),
    ],
)
def test_a_quarter_percent_is_compared_exactly(start: str, price: str, fires: int) -> None:
    assert len(opened(Tape(LINK).trade(0, start).trade(1, price), "pct_spike")) == fires


def test_dollars_are_armed_for_bitcoin_only() -> None:
    assert opened(Tape(LINK).trade(0, 100).trade(1, 200), "abs_jump") == []


def test_the_window_has_both_ends_and_the_last_row_before_it() -> None:
    # At 21 s the window holds 11 s … 21 s, and the row at 10 s, whose price was in force when it opened.
    tape = Tape(LINK).trade(0, 90).trade(10, 100).trade(11, "100.1").trade(21, "100.2")
    assert [a.trade_id for a in opened(tape, "pct_spike")] == [2]
    (older,) = opened(Tape(LINK).trade(10, 100).trade(11, "100.1").trade(21, "100.25"), "pct_spike")
    assert (older.reference_price, older.reference_ts) == (100.0, START + ns(10))
    # A nanosecond later the row at 11 s is the last before the window and 100 is forgotten.
    assert opened(Tape(LINK).trade(10, 100).trade(11, "100.1").trade("21.000000001", "100.25"), "pct_spike") == []


def test_a_row_exactly_ten_seconds_old_lies_within() -> None:
    tape = Tape(LINK).trade(0, 100).trade(1, 100).trade(11, "100.25")
    (spike,) = opened(tape, "pct_spike")
    assert spike.explain == "LINK-USD rose 0.25 % in 10.0 s, from 100.00 to 100.25 (limit 0.25 % in 10 s)"


def test_the_reference_is_the_latest_row_at_the_extreme() -> None:
    up = Tape(BTC).trade(0, 100).trade(1, 101).trade(2, 100).trade(3, 101).trade(4, 130)
    (jump,) = opened(up, "abs_jump")
    assert (jump.reference_price, jump.reference_ts) == (100.0, START + ns(2))
    assert (jump.observed, jump.threshold, jump.unit, jump.price) == (30.0, 30.0, "USD", 130.0)
    down = Tape(BTC).trade(0, 200).trade(1, 199).trade(2, 200).trade(3, 199).trade(4, 170)
    (jump,) = opened(down, "abs_jump")
    assert (jump.reference_price, jump.reference_ts, jump.observed) == (200.0, START + ns(2), -30.0)


def test_the_latest_row_at_the_extreme_is_found_again_when_an_older_extreme_leaves() -> None:
    tape = Tape(BTC).trade(0, 90).trade(1, 100).trade(2, 101).trade(3, 100).trade(4, 101).trade(12, 130)
    (jump,) = opened(tape, "abs_jump")
    assert (jump.reference_price, jump.reference_ts, jump.observed) == (100.0, START + ns(3), 30.0)


def test_percent_is_observed_with_its_sign() -> None:
    (up,) = opened(Tape(LINK).trade(0, 100).trade(1, 150), "pct_spike")
    (down,) = opened(Tape(LINK).trade(0, 100).trade(1, 50), "pct_spike")
    assert (up.observed, down.observed, up.direction, down.direction) == (50.0, -50.0, "up", "down")
    assert (up.threshold, up.unit, up.severity, up.kind) == (0.25, "percent", "high", "market")


def test_both_directions_can_fire_on_one_row() -> None:
    # 102 starts an up; 101 lies 1 % above the low and 0.98 % below the high.
    verdict = look(Tape(LINK).trade(0, 100).trade(1, 102).trade(2, 101))
    assert [(a.direction, a.triggers, a.trade_id) for a in verdict.open] == [("up", 2, 2), ("down", 1, 3)]


# --- vol_breakout and mean_reversion_break ------------------------------------------------------------------


@pytest.mark.parametrize(("price", "fires"), [("50015", 1), ("50014.99", 0), ("49985", 1), ("49985.01", 0)])
def test_a_flat_market_leaves_the_breakout_to_its_floor(price: str, fires: int) -> None:
    found = opened(level(61).trade(61, price), "vol_breakout")
    assert len(found) == fires
    assert all((a.threshold, a.reference_price, a.reference_ts) == (15.0, 50000.0, START + ns(60)) for a in found)


def test_the_breakout_waits_for_one_sample_more_than_returns() -> None:
    # The row under test completes the second before it: 60 seconds are 59 returns and a base too few.
    assert opened(level(60).trade(60, 50015), "vol_breakout") == []
    (only,) = opened(level(61).trade(61, 50015), "vol_breakout")
    assert (only.severity, only.unit, only.direction, only.observed) == ("medium", "USD", "up", 15.0)


def test_the_second_in_progress_is_no_sample() -> None:
    # Both prints of second 60 are tested against 60 samples; the first of second 61 sees 61.
    assert opened(level(60).trade(60, 50000).trade("60.9", 50015), "vol_breakout") == []
    (only,) = opened(level(60).trade(60, 50000).trade("60.9", 50001).trade(61, 50016), "vol_breakout")
    assert (only.reference_price, only.reference_ts) == (50001.0, START + ns("60.9"))


def test_seconds_without_a_trade_do_not_count_and_a_base_may_be_old() -> None:
    (only,) = opened(level(61).trade(1000, 50015), "vol_breakout")
    assert only.reference_ts == START + ns(60)
    tape = Tape(BTC)
    for second in range(61):
        tape.trade(7 * second, 50000)
    assert len(opened(tape.trade(500, 50015), "vol_breakout")) == 1


@pytest.mark.parametrize(("price", "fires"), [("50029.99", 0), ("50030.00", 1), ("49970.01", 0), ("49970.00", 1)])
def test_the_breakout_measures_sigma_of_returns(price: str, fires: int) -> None:
    # 61 samples 50000, 50010, …, 50000 have 30 returns each of a = 10/50000 and −b = −10/50010, so
    # σ = (a + b)/2 and 3 σ · 50000 = 29.997.
    tape = Tape(BTC)
    for second in range(61):
        tape.trade(second, 50000 + 10 * (second % 2))
    found = opened(tape.trade(61, price), "vol_breakout")
    assert len(found) == fires
    limit = 3 * (Fraction(10, 50000) + Fraction(10, 50010)) / 2 * 50000
    assert all(a.threshold == pytest.approx(float(limit), rel=1e-9) for a in found)


def test_elsewhere_the_floors_are_percentages() -> None:
    # 0.12 % of 100 is 0.12, and 0.20 % is 0.20.
    assert opened(level(61, "100", LINK).trade(61, "100.1199999999"), "vol_breakout") == []
    (breakout,) = opened(level(61, "100", LINK).trade(61, "100.12"), "vol_breakout")
    assert (breakout.observed, breakout.threshold) == (0.12, 0.12)
    assert opened(level(61, "100", LINK).trade(61, "99.8000000001"), "mean_reversion_break") == []
    (stretch,) = opened(level(61, "100", LINK).trade(61, "99.8"), "mean_reversion_break")
    assert (stretch.observed, stretch.threshold, stretch.unit) == (-0.2, 0.2, "USD")


@pytest.mark.parametrize(("price", "fires"), [("50025", 1), ("50024.99", 0), ("49975", 1), ("49975.01", 0)])
def test_a_flat_market_leaves_the_stretch_to_its_floor(price: str, fires: int) -> None:
    found = opened(level(60).trade(60, price), "mean_reversion_break")
    assert len(found) == fires
    assert all((a.threshold, a.reference_price, a.reference_ts) == (25.0, 50000.0, START + ns(59)) for a in found)


def test_the_stretch_waits_for_its_samples() -> None:
    assert opened(level(59).trade(59, 60000), "mean_reversion_break") == []


@pytest.mark.parametrize(("price", "fires"), [("101.5", 1), ("101.4999999999", 0), ("99.5", 1), ("99.5000000001", 0)])
def test_the_stretch_measures_sigma_of_samples(price: str, fires: int) -> None:
    # 30 samples of 100 and 30 of 101: mean 100.5, σ 0.5, so 1.0 is the limit; the floor is 0.201.
    tape = Tape(LINK)
    for second in range(60):
        tape.trade(second, 100 + second % 2)
    found = opened(tape.trade(60, price), "mean_reversion_break")
    assert len(found) == fires
    assert all((a.reference_price, a.threshold, a.severity) == (100.5, 1.0, "low") for a in found)
    assert all(abs(a.observed) == 1.0 for a in found)


def test_only_the_last_samples_count() -> None:
    # A price of long ago, in none of the last 60 returns or samples, leaves σ at 0.
    wild = Tape(BTC).trade(0, 10)
    for second in range(1, 62):
        wild.trade(second, 50000)
    assert [a.trade_id for a in opened(wild.trade(62, 50025), "mean_reversion_break")] == [63]
    assert [a.trade_id for a in opened(wild, "vol_breakout")] == [63]


# --- outages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "fires"), [("10", 1), ("10.000000001", 0)])
def test_nothing_is_compared_across_an_outage(at: str, fires: int) -> None:
    assert len(opened(Tape(LINK).trade(0, 100).gap(1, 2, 2).trade(at, 200), "pct_spike")) == fires


def test_an_outage_that_was_filled_is_one_still() -> None:
    tape = Tape(LINK).trade(0, 100).gap(1, 2, 2).late(2, 150, 2).filled(2, 2, 2).trade(11, 200)
    assert opened(tape, "pct_spike") == []


def test_a_pause_without_a_gap_is_no_outage() -> None:
    assert len(opened(Tape(LINK).trade(0, 100).trade(500, 200), "pct_spike")) == 1
    # The GAP came before an earlier trade.
    assert len(opened(Tape(LINK).gap(0, 1, 1).trade(1, 100).trade(500, 200), "pct_spike")) == 1


def test_an_outage_forgets_all_samples_and_the_second_in_progress() -> None:
    tape = level(61).gap(61, 62, 62).trade(100, 50000)
    for second in range(101, 160):
        tape.trade(second, 50000)
    # Samples anew: seconds 100 … 159 are sixty; the one in progress at the outage (60) is not among them.
    assert opened(tape.trade(160, 50015), "vol_breakout") == []
    (only,) = opened(tape.trade("160.5", 50000).trade(161, 50015), "vol_breakout")
    assert only.trade_id == tape.next_id[0] - 1


def test_a_shorter_gap_keeps_the_samples() -> None:
    assert len(opened(level(61).gap(61, 62, 62).trade(70, 50015), "vol_breakout")) == 1


# --- feed rules ---------------------------------------------------------------------------------------------


def test_silence_is_five_seconds_without_a_frame() -> None:
    assert opened(Tape(BTC).clock("4.999999999", 0), "silent_feed") == []
    (silence,) = opened(Tape(BTC).clock(5, 0), "silent_feed")
    assert (silence.observed, silence.threshold, silence.unit) == (5.0, 5.0, "s")
    assert (silence.trade_id, silence.reference_ts, silence.opened_ts) == (None, START, START + ns(5))
    assert (silence.price, silence.reference_price, silence.peak_price, silence.peak_reference_price) == (None,) * 4
    assert (silence.severity, silence.kind, silence.direction, silence.quality) == ("high", "feed", None, "complete")
    assert silence.explain == "no frame from coinbase for 5.0 s (limit 5 s)"


def test_silence_grows_by_doubling_and_ends_with_a_newer_frame() -> None:
    tape = Tape(BTC)
    for second in (5, 9, 10, 30, 40):
        tape.clock(second, 0)
    verdict = look(tape.clock(41, "40.5"))
    assert [(c.change, c.at - START, c.anomaly.escalation) for c in verdict.changes] == [
        ("opened", ns(5), 0),
        ("escalated", ns(10), 1),
        ("escalated", ns(30), 2),
        ("escalated", ns(40), 3),
        ("ended", ns(41), 3),
    ]
    ended = verdict.changes[-1].anomaly
    assert ended.escalated_ts == (START + ns(10), START + ns(30), START + ns(40))
    assert (ended.last_ts, ended.ended_ts, ended.triggers) == (START + ns(40), START + ns(40), 5)
    assert (ended.peak_observed, ended.peak_ts, ended.peak_reference_ts) == (40.0, START + ns(40), START)


def test_one_clock_can_end_a_silence_and_open_the_next() -> None:
    tape = Tape(BTC).clock(5, 0).clock(12, 6)
    assert told(tape) == [
        ("opened", "silent_feed", None),
        ("ended", "silent_feed", None),
        ("opened", "silent_feed", None),
    ]
    # A frame of the same time, or an older one, ends nothing.
    assert told(Tape(BTC).clock(6, 1).clock(7, 1).clock(8, 0)) == [("opened", "silent_feed", None)]


def test_the_peak_of_a_silence_is_its_longest() -> None:
    # The time of the last frame should not step back; where it does, a later clock may tell of less silence.
    (silence,) = look(Tape(BTC).clock(6, 1).clock(8, 0).clock("8.5", 1)).open
    assert (silence.peak_observed, silence.peak_ts, silence.peak_reference_ts) == (8.0, START + ns(8), START)
    assert (silence.last_ts, silence.triggers) == (START + ns("8.5"), 3)


def test_missing_trades_are_one_anomaly_while_any_gap_is_open() -> None:
    tape = Tape(BTC).trade(0, 100).gap(1, 2, 4).trade(1, 100).gap(2, 6, 12).filled(3, 2, 4)
    assert told(tape) == [("opened", "tape_gap", None)]
    (gap,) = look(tape).open
    assert (gap.trade_id, gap.observed, gap.threshold, gap.unit) == (2, 3.0, 1.0, "trades")
    assert (gap.peak_observed, gap.peak_ts, gap.last_ts, gap.triggers) == (7.0, START + ns(2), START + ns(2), 2)
    assert (gap.reference_ts, gap.peak_reference_ts, gap.escalation) == (None, None, 0)
    verdict = look(tape.filled(4, 6, 12, given_up=True))
    assert (verdict.changes[-1].change, verdict.changes[-1].at) == ("ended", START + ns(4))
    assert verdict.changes[-1].anomaly.ended_ts == START + ns(2)


def test_a_smaller_gap_holds_too_but_is_no_peak() -> None:
    (gap,) = look(Tape(BTC).trade(0, 100).gap(1, 2, 10).gap(2, 11, 11)).open
    assert (gap.peak_observed, gap.last_ts, gap.triggers) == (9.0, START + ns(2), 2)


def test_feed_rules_tell_the_time_of_receipt() -> None:
    tape = Tape(BTC).trade(0, 100)
    tape.gap(1, 2, 3)
    ts, _recv, *rest = tape.tuples[-1]
    tape.tuples[-1] = (ts, START + ns(9), *rest)
    (change,) = look(tape).changes
    assert (change.at, change.anomaly.opened_ts, change.anomaly.last_ts) == (START + ns(9),) * 3
