"""The largest, not the first: what is muted, too small, told together, told again when it has grown, or counted."""

import pytest
from msgspec.structs import replace

from support.alerts import EVEN, TERMS, Seen, Tape

HOUR_S = 3_600
DOWN = {"direction": "down"}


# -- muted -------------------------------------------------------------------------------------------------------------


def test_what_was_just_told_is_muted_until_a_move_is_above_a_bar_that_halves() -> None:
    tape = Tape()
    tape.opened(0, size=3)
    tape.opened(60, size=4.7)  # below 2 × 3 / 2^(1/3) = 4.76
    tape.opened(120, size=3.8)  # above 2 × 3 / 2^(2/3) = 3.78
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert seen.verdicts() == ["told", "cooling", "told"]
    assert seen.reasons()[1] == "muted until 22:00 or a move above 1.19 %: last sent 21:00 at 3.0×"
    assert seen.held() == [None, (1, [("BTC-USD", 4.7)])]


def test_the_bar_stays_at_what_was_told_until_the_hour_is_over() -> None:
    tape = Tape()
    tape.opened(0, size=3)
    tape.opened(HOUR_S - 1, size=3)
    tape.opened(HOUR_S, size=3)
    assert Seen(EVEN).take(tape, until_s=HOUR_S + 60).verdicts() == ["told", "cooling", "told"]


def test_a_reversal_speaks() -> None:
    tape = Tape()
    tape.opened(0, size=6)
    tape.opened(30, size=3, **DOWN)
    tape.opened(40, size=3)
    tape.opened(50, size=3, **DOWN)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert seen.verdicts() == ["told", "told", "cooling", "cooling"], "each direction has a bar of its own"


def test_however_short_the_budget_a_reversal_within_a_minute_is_told() -> None:
    tape = Tape()
    tape.opened(0, size=8)
    tape.opened(60, size=2, **DOWN)
    tape.opened(0, "ETH-USD", size=8)
    tape.opened(60.1, "ETH-USD", size=2, **DOWN)
    seen = Seen(replace(TERMS, budget=1)).take(tape, until_s=HOUR_S)
    assert seen.verdicts() == ["told", "told", "told", "small"]


def test_a_great_move_is_told_whatever_was_told_before() -> None:
    tape = Tape()
    first = tape.opened(0, size=100)
    tape.escalated(200, first, 130)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert (seen.verdicts(), seen.moments()) == (["told", "told"], [0, 200])


def test_a_muted_move_of_eight_times_its_limit_comes_with_the_next_message() -> None:
    tape = Tape()
    tape.opened(0, size=16)
    tape.opened(60, size=9)
    tape.opened(100, "ETH-USD", size=3)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert seen.told()[1:] == [(100, "market", ["BTC-USD", "ETH-USD"])]
    assert seen.held() == [None, None], "it was told"


def test_a_muted_move_of_eight_times_its_limit_comes_at_the_latest_after_eight_minutes() -> None:
    tape = Tape()
    tape.opened(0, size=16)
    tape.opened(60, size=9)
    seen = Seen(EVEN).take(tape, until_s=100)
    assert seen.reasons()[1] == "told with its event at 21:09:00"
    assert seen.pass_to(HOUR_S).told()[1:] == [(540, "symbol", ["BTC-USD"])]


def test_a_feed_that_grows_is_told_with_each_doubling_and_never_twice() -> None:
    tape = Tape()
    silent = tape.silent(0)
    tape.escalated(5, silent, 2)
    tape.escalated(6, silent, 2)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert seen.verdicts() == ["told", "told", "cooling"]
    assert seen.reasons()[2] == "muted until 22:00: last sent 21:00 at 2.0×"


# -- too small ---------------------------------------------------------------------------------------------------------


def test_what_is_too_small_to_be_told_alone_waits_for_others_and_is_then_counted() -> None:
    tape = Tape()
    tape.opened(0, size=1.9)
    seen = Seen(EVEN).take(tape, until_s=9)
    assert seen.verdicts() == ["waits"]
    assert seen.reasons() == ["1.9× its limit, told alone from 2.0×; or with others that move along until 21:00:10"]
    seen.pass_to(10)
    assert (seen.verdicts(), seen.reasons()) == (["small"], ["1.9× its limit, told alone from 2.0×"])
    tape.opened(20, "ETH-USD", size=3)
    assert seen.take(tape, until_s=30).held() == [(1, [("BTC-USD", 1.9)])]


@pytest.mark.parametrize(("least", "verdict"), [(1.0, "told"), (4.0, "small")])
def test_a_channel_may_have_a_least_size_of_its_own(least: float, verdict: str) -> None:
    tape = Tape()
    tape.opened(0, size=3)
    assert Seen(replace(EVEN, min_size=least)).take(tape, until_s=60).verdicts() == [verdict]


def test_the_shorter_the_budget_the_larger_a_move_must_be() -> None:
    tape = Tape()
    for number, size in enumerate((2, 3.0, 3.2, 3.6, 3.8)):
        tape.opened(700 * number, f"S{number}-USD", size)
    seen = Seen().take(tape, until_s=HOUR_S)
    # Of ten messages one is told: 2 × 4^√0.1 = 3.1; two: 2 × 4^√0.2 = 3.72.
    assert seen.verdicts() == ["told", "small", "told", "small", "told"]
    assert seen.reasons()[1] == (
        "3.0× its limit, told alone from 3.1×: the largest first, as the hour's messages run short"
    )
    assert seen.held() == [None, (1, [("S1-USD", 3.0)]), (1, [("S3-USD", 3.6)])]


def test_eight_times_its_limit_is_told_when_the_budget_is_spent() -> None:
    tape = Tape()
    for number, size in enumerate((8, 7.9, 8)):
        tape.opened(700 * number, f"S{number}-USD", size)
    assert Seen(replace(TERMS, budget=1)).take(tape, until_s=HOUR_S).verdicts() == ["told", "small", "told"]


def test_messages_about_feeds_do_not_spend_what_moves_need() -> None:
    tape = Tape()
    for number in range(8):
        tape.silent(400 * number, f"S{number}-USD")
    tape.opened(3_000, size=2)
    assert Seen().take(tape, until_s=HOUR_S).verdicts() == ["told"] * 9


# -- told together -----------------------------------------------------------------------------------------------------


def test_small_moves_one_way_at_once_are_told_together() -> None:
    tape = Tape()
    tape.opened(0, size=1.2, **DOWN)
    tape.opened(4, "ETH-USD", size=1.2, **DOWN)
    tape.opened(6, "SOL-USD", size=1.2, **DOWN)  # √3 × 1.2 / 2 = 1.04
    seen = Seen(EVEN).take(tape, until_s=60)
    assert seen.told() == [(6, "market", ["BTC-USD", "ETH-USD", "SOL-USD"])]
    assert seen.verdicts() == ["told"] * 3


@pytest.mark.parametrize(
    ("symbol", "at_s", "direction"),
    [("ETH-USD", 11, "down"), ("ETH-USD", 4, "up"), ("BTC-USD", 4, "down")],
    ids=["too late", "the other way", "the same symbol"],
)
def test_what_does_not_move_along_is_not_told_together(symbol: str, at_s: float, direction: str) -> None:
    tape = Tape()
    tape.opened(0, size=1.9, **DOWN)
    tape.opened(at_s, symbol, size=1.9, rule="abs_jump", direction=direction)
    seen = Seen(EVEN).take(tape, until_s=60)
    assert (seen.told(), seen.verdicts()) == ([], ["small", "small"])


def test_a_broad_move_is_muted_too_until_more_moves() -> None:
    tape = Tape()
    for at_s, symbols in ((0, "AB"), (20, "CD"), (40, "EFGHIJ")):
        for symbol in symbols:
            tape.opened(at_s, f"{symbol}-USD", size=1.6)
    seen = Seen(EVEN).take(tape, until_s=600)
    # √2 × 0.8 = 1.13; the bar is twice that, 2.1 after twenty seconds and 1.94 after forty; √6 × 0.8 = 1.96.
    assert seen.verdicts() == [*["told"] * 2, *["small"] * 2, *["told"] * 6]
    assert seen.moments() == [0, 40]
    assert seen.held()[1] == (2, [("C-USD", 1.6), ("D-USD", 1.6)])


def test_a_message_is_never_of_before_what_it_tells() -> None:
    tape = Tape()
    tape.opened(0, "ETH-USD", size=1.9)
    tape.opened(3, size=8)
    tape.opened(6, "SOL-USD", size=1.9)  # what waited since 0 is told with it
    seen = Seen(EVEN).take(tape, until_s=60)
    assert seen.told() == [(3, "symbol", ["BTC-USD"]), (6.5, "market", ["ETH-USD", "SOL-USD"])]


# -- as it stands ------------------------------------------------------------------------------------------------------


def test_a_message_tells_peaks_as_they_are_when_it_is_written() -> None:
    tape = Tape()
    tape.opened(0)
    second = tape.opened(2, rule="abs_jump")
    tape.grew(9, second, 11)
    seen = Seen(EVEN).take(tape, until_s=60)
    assert (seen.moments(), seen.sizes()) == ([0, 10], [[8], [11]])


def test_what_has_grown_by_half_since_it_was_told_is_told_again() -> None:
    tape = Tape()
    first = tape.opened(0, size=10)
    tape.grew(5, first, 15)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert (seen.told(), seen.sizes()) == ([(0, "symbol", ["BTC-USD"]), (10, "symbol", ["BTC-USD"])], [[10], [15]])
    assert [alert.anomaly.size for message in seen.messages for alert in message.alerts] == [10], "no alert of its own"
    assert seen.messages[1].update


def test_what_has_grown_less_is_not_told_again() -> None:
    tape = Tape()
    first = tape.opened(0, size=10)
    tape.grew(5, first, 14.9)
    assert Seen(EVEN).take(tape, until_s=HOUR_S).moments() == [0]


def test_what_was_too_small_and_grew_is_told() -> None:
    tape = Tape()
    tape.opened(0, "ETH-USD", size=8)
    small = tape.opened(20, size=1.5)
    tape.grew(29, small, 3)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert seen.verdicts() == ["told", "small"]
    assert seen.told()[1:] == [(30, "market", ["BTC-USD"])]
    assert (seen.sizes()[1], seen.held()[1]) == ([3], (1, []))


def test_what_grows_in_an_event_that_is_over_begins_another_one() -> None:
    tape = Tape()
    tape.opened(0, "ETH-USD", size=8)
    small = tape.opened(2_000, size=1.5)
    tape.grew(2_009, small, 8)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert seen.told()[1:] == [(2_010, "symbol", ["BTC-USD"])]
    assert (seen.messages[1].update, seen.messages[1].earlier) == (False, ())


# -- held back ---------------------------------------------------------------------------------------------------------


def test_a_message_names_the_largest_that_was_held_back_and_counts_all() -> None:
    tape = Tape()
    tape.opened(0, size=6)
    for number, size in enumerate((1.1, 1.9, 1.5)):
        tape.opened(20 * number + 20, f"S{number}-USD", size)
    tape.opened(90, size=5)
    tape.opened(91, size=5.5)
    tape.opened(200, "ETH-USD")
    tape.opened(300, "SOL-USD")
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    largest = [("BTC-USD", 5.5), ("S1-USD", 1.9), ("S2-USD", 1.5), ("S0-USD", 1.1)]
    assert seen.held() == [None, (5, largest), None], "of a symbol and a direction the largest; each counted once"
    held = seen.messages[1].held
    assert held is not None
    assert held.since == seen.messages[0].at


def test_what_the_channel_does_not_take_is_not_counted() -> None:
    tape = Tape()
    tape.opened(0, "ETH-USD", severity="low")
    tape.opened(20)
    assert Seen(EVEN).take(tape, until_s=60).held() == [None]


def test_what_was_held_back_is_named_as_it_stands() -> None:
    tape = Tape()
    tape.opened(0, size=6)
    muted = tape.opened(100, size=5)
    tape.grew(101, muted, 5.5)
    tape.opened(103, "ETH-USD")
    assert Seen(EVEN).take(tape, until_s=HOUR_S).held() == [None, (1, [("BTC-USD", 5.5)])]


def test_an_earlier_step_of_what_was_told_is_not_held_back() -> None:
    tape = Tape()
    tape.escalated(1, tape.opened(0, size=1), 2)  # at its limit it waits for others, a second later it is told
    tape.opened(HOUR_S, "ETH-USD", size=3)
    seen = Seen(EVEN).take(tape, until_s=2 * HOUR_S)
    assert seen.verdicts() == ["small", "told", "told"]
    assert seen.held() == [None, None]
