"""What is easily done wrong at the desk: clocks ahead, silences set later, what comes along, what is remembered."""

from msgspec.structs import replace

from support.alerts import T0, TERMS, Seen, Tape
from tapewatch.alert import Silence
from tapewatch.dispatch.memory import Memory
from tapewatch.model import NS

HOUR_S = 3_600
EVEN = replace(TERMS, budget=10**6)
"""A budget so large that nothing runs short."""


def test_what_grows_after_a_person_silenced_it_is_not_told() -> None:
    tape = Tape()
    tape.grew(5, tape.opened(0, size=10), 40)
    hushed = Silence(1, T0 + 2 * NS, T0 + HOUR_S * NS, symbol="BTC-*")
    assert Seen(EVEN, silences=[hushed]).take(tape, until_s=HOUR_S).moments() == [0]


def test_what_grows_while_its_feed_is_silent_is_not_told() -> None:
    tape = Tape()
    first = tape.opened(0, size=10)
    tape.silent(1)
    tape.grew(5, first, 40)
    told = Seen(EVEN).take(tape, until_s=300).messages
    assert [message.grown for message in told] == [(), ()]


def test_a_small_alert_whose_clock_was_a_day_ahead_holds_up_no_other() -> None:
    tape = Tape()
    tape.opened(24 * HOUR_S, "AHEAD-USD", size=1)
    ahead = tape.entries.pop()
    tape.opened(60, size=1)
    seen = Seen(EVEN)
    seen.desk.take([ahead._replace(seq=1)], ())
    seen.desk.take([tape.entries[0]._replace(seq=2)], ())
    seen.pass_to(120)
    assert seen.alerts[2, "phone"].verdict == "small"


def test_a_small_move_that_comes_along_lowers_no_great_ones_bar() -> None:
    tape = Tape()
    tape.opened(0, size=30)
    for number, symbol in enumerate(("ETH-USD", "SOL-USD", "ADA-USD", "XRP-USD", "DOGE-USD")):
        tape.opened(20 + number / 10, symbol, size=1.1)
    tape.opened(21, size=1.1)
    tape.opened(60, size=7.9)  # far below 2 × 30 × 2^(−1/3)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert seen.verdicts()[-1] == "cooling"


def test_the_least_size_of_a_channel_holds_for_what_is_muted_too() -> None:
    tape = Tape()
    tape.opened(0, size=70)
    tape.opened(20, size=33)
    tape.opened(40, size=9)
    seen = Seen(replace(EVEN, min_size=64.0)).take(tape, until_s=HOUR_S)
    assert seen.verdicts() == ["told", "cooling", "cooling"]


def test_what_has_ended_is_not_remembered_for_ever() -> None:
    tape = Tape()
    for number in range(20):
        tape.ended(number * 400 + 200, tape.opened(number * 400, f"S{number}-USD", size=8))
    for terms in (EVEN, replace(EVEN, ends=True)):
        seen = Seen(terms).take(tape, until_s=5 * HOUR_S)
        memory: Memory = seen.desk._memory  # what is kept is what matters here
        assert memory.channels["phone"].named == {}


def test_held_back_since_is_of_the_last_message_about_the_market() -> None:
    tape = Tape()
    tape.opened(0, size=8)
    tape.opened(50, size=3)
    tape.silent(100, "ETH-USD")
    tape.opened(200, "SOL-USD", size=8)
    seen = Seen(EVEN).take(tape, until_s=HOUR_S)
    assert [None if each.held is None else (each.held.since - T0) / NS for each in seen.messages] == [None, None, 0]


def test_of_thousands_that_wait_for_others_none_is_forgotten() -> None:
    tape = Tape()
    for number in range(1_100):
        tape.opened(number / 1_000, "BTC-USD" if number % 2 else "ETH-USD", size=0.5)
    seen = Seen(replace(EVEN, group_ns=60 * NS)).take(tape, until_s=HOUR_S)
    assert set(seen.verdicts()) == {"small"}
