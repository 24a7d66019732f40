"""The page of the rules, sentence by sentence: how many limits an anomaly is, and when the price left its reference.

Every example is put to the oracle and to the detector, which must agree on all that it comes to.
"""

import pytest

from support.agreement import agreed
from support.markets import START, Tape, ns
from tapewatch.model import Anomaly, Lane

LINK = Lane("coinbase", "LINK-USD")


def the_open(tape: Tape, rule: str = "pct_spike") -> Anomaly:
    return next(anomaly for anomaly in agreed(tape.rows()).open if anomaly.rule == rule)


def first(tape: Tape, rule: str = "pct_spike") -> Anomaly:
    return next(change.anomaly for change in agreed(tape.rows()).changes if change.anomaly.rule == rule)


def test_size_counts_limits_of_the_peak() -> None:
    # 1 % within 1 s of ten: four times 0.25 %; 2 % on the next row, eight times.
    assert first(Tape(LINK).trade(0, 100).trade(1, 101)).size == 4.0
    peaked = the_open(Tape(LINK).trade(0, 100).trade(1, 101).trade(2, 102))
    assert (peaked.observed, peaked.size) == (1.0, 8.0)


@pytest.mark.parametrize(("at", "size"), [("10", 4.0), ("40", 2.0), ("160", 1.0), ("1000", 0.4)])
def test_a_reference_older_than_the_window_has_a_limit_grown_by_the_root_of_its_age(at: str, size: float) -> None:
    # √(40 s / 10 s) is 2, so that the limit of 0.25 % is 0.5 %; it fires all the same.
    anomaly = first(Tape(LINK).trade(0, 100).trade(at, 101))
    assert (anomaly.observed, anomaly.size) == (1.0, size)


def test_size_is_that_of_the_peak_and_its_reference() -> None:
    # 1 % over 160 s is 1 limit; then 2.02 % from the 99 of one second before is 8.08.
    tape = Tape(LINK).trade(0, 100).trade(160, 101).trade(161, 99).trade(162, 101)
    told = next(a for a in agreed(tape.rows()).open if a.direction == "up")
    assert (told.observed, told.peak_observed) == (1.0, 100.0 * (2.0 / 99.0))
    assert told.size == 100.0 * (2.0 / 99.0) / 0.25


def test_size_of_the_rules_on_seconds_counts_their_own_windows() -> None:
    # Flat seconds: floors decide. A breakout's window is a second, a stretch's its sixty samples.
    tape = Tape(LINK)
    for second in range(61):
        tape.trade(second, 100)
    assert first(tape.trade(64, "100.24"), "vol_breakout").size == pytest.approx(1.0)  # twice 0.12, over 4 s
    stretch = first(tape, "mean_reversion_break")
    assert stretch.size == pytest.approx(0.24 / 0.2)


def test_feed_rules_have_no_size() -> None:
    tape = Tape(LINK).trade(0, 100).gap(1, 2, 9).clock(20, 10)
    for rule in ("silent_feed", "tape_gap"):
        anomaly = first(tape, rule)
        assert (anomaly.size, anomaly.peak_left_ts) == (None, None)


@pytest.mark.parametrize("between", [0, 1, 40])
def test_the_price_left_its_reference_with_the_next_trade(between: int) -> None:
    # The lowest price is that of second 1 and stands for nine seconds; the jump takes less than one.
    tape = Tape(LINK).trade(0, "100.1").trade(1, 100)
    for step in range(between):
        tape.trade(f"10.{step:03d}", "100.1")
    anomaly = first(tape.trade("10.5", 101))
    assert (anomaly.reference_ts, anomaly.peak_ts) == (START + ns(1), START + ns("10.5"))
    assert anomaly.peak_left_ts == START + ns("10" if between else "10.5")


def test_rules_on_seconds_have_no_moment_at_which_the_price_left() -> None:
    tape = Tape(LINK)
    for second in range(61):
        tape.trade(second, 100)
    tape.trade(61, 101)
    assert [first(tape, rule).peak_left_ts for rule in ("vol_breakout", "mean_reversion_break")] == [None, None]
