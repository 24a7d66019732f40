"""What is told and when: tapes that a person can read; the laws that hold for any tape stand next door."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from support.alerts import EVEN, T0, TERMS, Seen, Tape
from tapewatch.alert import Silence
from tapewatch.dispatch.desk import Desk
from tapewatch.dispatch.memory import Memory
from tapewatch.dispatch.stages import Terms
from tapewatch.errors import SnapshotError
from tapewatch.model import NS

HOUR_S = 3_600
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")


def test_the_first_alert_waits_for_nobody() -> None:
    tape = Tape()
    tape.opened(5)
    seen = Seen().take(tape, until_s=5)
    assert seen.told() == [(5, "symbol", ["BTC-USD"])]
    assert seen.reasons() == ["in message 1"]


def test_two_rules_on_one_trade_are_one_message() -> None:
    tape = Tape()
    tape.opened(5)
    tape.opened(5, rule="abs_jump")
    assert Seen().take(tape, until_s=60).told() == [(5, "symbol", ["BTC-USD", "BTC-USD"])]


def test_what_opens_on_several_symbols_is_one_market_wide_message() -> None:
    tape = Tape()
    for at_s, symbol in ((0, "BTC-USD"), (1, "ETH-USD"), (1.3, "SOL-USD"), (4, "ADA-USD"), (9, "DOGE-USD")):
        tape.opened(at_s, symbol)
    seen = Seen(EVEN).take(tape, until_s=60)
    assert seen.told() == [
        (0, "symbol", ["BTC-USD"]),
        (1.5, "market", ["ETH-USD", "SOL-USD"]),
        (11.5, "market", ["ADA-USD", "DOGE-USD"]),
    ]
    assert [message.update for message in seen.messages] == [False, True, True]
    assert [message.earlier for message in seen.messages] == [(), ("BTC-USD",), ("BTC-USD", "ETH-USD", "SOL-USD")]
    assert seen.reasons()[1] == "in message 2, about 3 symbols"


def test_the_second_symbol_makes_an_event_market_wide_and_the_message_says_so() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(3, "ETH-USD")
    tape.escalated(8, tape.opened(3.2, "ETH-USD", rule="abs_jump"), 16)
    seen = Seen(EVEN).take(tape, until_s=60)
    assert [(at_s, kind, symbols) for at_s, kind, symbols in seen.told()] == [
        (0, "symbol", ["BTC-USD"]),
        (3.5, "market", ["ETH-USD", "ETH-USD"]),
        (13.5, "symbol", ["ETH-USD"]),
    ]
    assert [message.earlier for message in seen.messages] == [(), ("BTC-USD",), ()]


def test_the_more_of_the_budget_is_spent_the_further_apart_are_the_messages_of_an_event() -> None:
    tape = Tape()
    first = tape.opened(0)
    for second in range(1, HOUR_S):
        tape.escalated(second, first, 8)
    seen = Seen(replace(TERMS, cool_down_ns=0)).take(tape, until_s=HOUR_S)
    spans = [round(b - a, 1) for a, b in pairwise(seen.moments())]
    # Ten seconds times 30 to the power of the part that is spent: 0.1, 0.2 … and never more than five minutes.
    assert spans[:10] == [14.1, 19.7, 27.7, 39.0, 54.8, 77.0, 108.1, 151.9, 213.5, 300.0]
    assert set(spans[10:-1]) == {300.0}


@pytest.mark.parametrize(("size", "moments"), [(7.9, [0, 10]), (8, [0, 5])])
def test_what_is_four_times_all_that_was_told_waits_for_half_of_the_least_span(
    size: float, moments: list[float]
) -> None:
    tape = Tape()
    first = tape.opened(0, size=2)
    tape.escalated(1, first, 4)
    tape.escalated(2.2, first, size)
    seen = Seen(EVEN).take(tape, until_s=60)
    assert (seen.moments(), seen.sizes()) == (moments, [[2], [size]])


def test_a_great_move_waits_for_about_a_third_of_the_span() -> None:
    tape = Tape()
    tape.opened(0, size=16)
    tape.opened(0, "ETH-USD", size=16)
    tape.opened(1, "SOL-USD", size=31.9)
    assert Seen(EVEN).take(tape, until_s=60).moments() == [0, 10]
    tape.opened(1, "ADA-USD", size=32)
    assert Seen(EVEN).take(tape, until_s=60).moments() == [0, 3.6]


def test_a_third_symbol_that_leaps_does_not_wait_either() -> None:
    tape = Tape()
    for at_s, symbol, size in ((0, "BTC-USD", 2), (0.1, "ETH-USD", 2), (0.8, "DOGE-USD", 16)):
        tape.opened(at_s, symbol, size)
    assert Seen(EVEN).take(tape, until_s=60).moments() == [0, 0.6, 5.6]


def test_an_end_makes_no_event_market_wide() -> None:
    tape = Tape()
    first = tape.opened(0)
    tape.opened(700, "ETH-USD")
    tape.ended(750, first)
    seen = Seen(replace(EVEN, ends=True)).take(tape, until_s=900)
    assert seen.told() == [(0, "symbol", ["BTC-USD"]), (700, "symbol", ["ETH-USD"]), (750, "symbol", ["BTC-USD"])]


def test_an_end_does_not_overtake_what_it_ends() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(1, "ETH-USD")
    tape.ended(5, tape.opened(3, rule="abs_jump"))
    seen = Seen(replace(EVEN, ends=True)).take(tape, until_s=60)
    assert [(at_s, lanes) for at_s, _, lanes in seen.told()][2:] == [(11.5, ["BTC-USD"] * 2)]
    assert [alert.occasion for alert in seen.messages[2].alerts] == ["opened", "ended"]


def test_two_rules_that_end_on_one_trade_are_one_message() -> None:
    tape = Tape()
    first, second = tape.opened(0), tape.opened(0, rule="abs_jump")
    tape.ended(90, first)
    tape.ended(90, second)
    seen = Seen(replace(TERMS, ends=True)).take(tape, until_s=300)
    assert seen.told() == [(0, "symbol", ["BTC-USD"] * 2), (90, "symbol", ["BTC-USD"] * 2)]


def test_ends_that_follow_are_told_with_the_span_between_them() -> None:
    tape = Tape()
    opened = [tape.opened(0, symbol) for symbol in SYMBOLS]
    for at_s, ident in zip((90, 93, 94, 115), opened, strict=True):
        tape.ended(at_s, ident)
    seen = Seen(replace(EVEN, ends=True)).take(tape, until_s=300)
    assert seen.told()[1:] == [
        (90, "symbol", ["BTC-USD"]),
        (100, "market", ["ETH-USD", "SOL-USD"]),
        (115, "symbol", ["ADA-USD"]),
    ]
    assert [message.update for message in seen.messages[1:]] == [True, True, True]
    assert seen.reasons()[4:] == [
        "in message 2",
        "in message 3, about 4 symbols",
        "in message 3, about 4 symbols",
        "in message 4",
    ]


@pytest.mark.parametrize(("at_s", "update", "kind"), [(600, True, "market"), (600.1, False, "symbol")])
def test_an_event_is_over_ten_minutes_after_its_last_message(at_s: float, update: bool, kind: str) -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(at_s, "ETH-USD")
    seen = Seen().take(tape, until_s=HOUR_S)
    assert seen.told()[1] == (at_s, kind, ["ETH-USD"]), "at once, so long after the one before"
    assert seen.messages[1].update is update


def test_a_silent_exchange_is_another_event_than_a_falling_market() -> None:
    tape = Tape()
    tape.opened(0)
    for symbol in SYMBOLS[1:]:
        tape.silent(1, symbol)
    assert Seen().take(tape, until_s=60).told() == [
        (0, "symbol", ["BTC-USD"]),
        (1, "market", list(SYMBOLS[1:])),
    ]


def test_while_a_feed_is_silent_its_market_is_held_back_and_told_again_after_it() -> None:
    tape = Tape()
    silent = tape.silent(0)
    tape.opened(1)
    tape.opened(2, "ETH-USD")
    tape.ended(3, silent)
    tape.opened(20, rule="abs_jump")
    seen = Seen().take(tape, until_s=60)
    assert seen.verdicts() == ["told", "held", "told", "told"]
    assert seen.reasons()[1] == "held back: feed silent"
    assert seen.held() == [None, (1, [("BTC-USD", 8)]), None]


def test_ends_are_told_where_they_are_wanted_and_the_opening_was_told() -> None:
    tape = Tape()
    told, low = tape.opened(0), tape.opened(1, "ETH-USD", severity="low")
    tape.ended(90, told)
    tape.ended(91, low)
    seen = Seen(replace(TERMS, ends=True)).take(tape, until_s=200)
    assert seen.verdicts() == ["told", "unrouted", "told", "unrouted"]
    assert [message.alerts[0].occasion for message in seen.messages] == ["opened", "ended"]
    assert Seen().take(tape, until_s=200).verdicts() == ["told", "unrouted"], "nobody asked for ends"


def test_without_grouping_each_alert_is_a_message() -> None:
    tape = Tape()
    for symbol in SYMBOLS:
        tape.opened(1, symbol)
    assert Seen(replace(TERMS, group_ns=0)).take(tape, until_s=1).told() == [
        (1, "symbol", ["BTC-USD"]),
        (1, "market", ["ETH-USD"]),
        (1, "symbol", ["SOL-USD"]),
        (1, "symbol", ["ADA-USD"]),
    ]


def test_each_channel_is_judged_on_its_own() -> None:
    tape = Tape()
    tape.opened(0, severity="low")
    seen = Seen(TERMS, Terms("log", "low")).take(tape, until_s=1)
    assert (seen.verdicts("phone"), seen.verdicts("log")) == (["unrouted"], ["told"])


def test_what_waits_for_a_channel_that_was_removed_ends_with_a_reason() -> None:
    tape = Tape()
    first = tape.opened(0)
    tape.escalated(1, first, 16)
    tape.opened(1, "ETH-USD", size=1.5)
    seen = Seen().take(tape, until_s=1.2)
    assert seen.verdicts() == ["told", "waits", "waits"]
    seen.stop(Terms("other"))
    assert seen.store()["/phone/market/0"] == b""
    assert seen.pass_to(60).verdicts() == ["told", "undelivered", "undelivered"]
    assert set(seen.reasons()[1:]) == {"its channel was removed before it was told"}


def test_a_silence_is_looked_up_when_something_happens() -> None:
    tape = Tape()
    tape.opened(0)
    hush = Silence(7, T0 - 1, T0 + NS, rule="pct_*")
    assert Seen(silences=(hush,)).take(tape).verdicts() == ["silenced"]


@pytest.mark.parametrize("blob", [b"{", b"[]", b'{"version": 99}'])
def test_a_memory_that_is_none_is_refused_in_one_sentence(blob: bytes) -> None:
    with pytest.raises(SnapshotError, match="what alerting remembers"):
        Desk.restore([TERMS], {"": blob})


def test_a_new_desk_begins_where_it_is_told_to() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(1, "ETH-USD")
    desk = Desk([TERMS], Memory(position=1))
    desk.take(tape.entries, ())
    assert [alert.seq for alert in desk.collect().alerts] == [2]
    assert desk.position == 2


def test_lanes_are_told_apart_by_venue() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(0, venue="kraken")
    assert Seen().take(tape, until_s=60).verdicts() == ["told", "told"]
