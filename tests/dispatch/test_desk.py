"""What is told and when: tapes that a person can read; the laws that hold for any tape stand next door."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from support.alerts import T0, TERMS, Seen, Tape
from tapewatch.alert import Silence
from tapewatch.dispatch.desk import Desk, Entry
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
    seen = Seen().take(tape, until_s=60)
    assert seen.told() == [
        (0, "symbol", ["BTC-USD"]),
        (1.5, "market", ["ETH-USD", "SOL-USD"]),
        (10, "market", ["ADA-USD", "DOGE-USD"]),
    ]
    assert [message.update for message in seen.messages] == [False, True, True]
    assert [message.earlier for message in seen.messages] == [(), ("BTC-USD",), ("BTC-USD", "ETH-USD", "SOL-USD")]
    assert seen.reasons()[1] == "in message 2, about 3 symbols"


def test_the_second_symbol_makes_an_event_market_wide_and_the_message_says_so() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(3, "ETH-USD")
    tape.escalated(8, tape.opened(3.2, "ETH-USD", rule="abs_jump"), 1)
    seen = Seen().take(tape, until_s=60)
    assert [(kind, symbols) for _, kind, symbols in seen.told()] == [
        ("symbol", ["BTC-USD"]),
        ("market", ["ETH-USD", "ETH-USD"]),
        ("symbol", ["ETH-USD"]),
    ]
    assert [message.earlier for message in seen.messages] == [(), ("BTC-USD",), ()]


def test_escalations_come_with_the_updates_which_become_rare() -> None:
    tape = Tape()
    first = tape.opened(0, escalation=1)
    for at_s, escalation in ((2, 2), (3, 2), (12, 3), (25, 3), (31, 3), (65, 4)):
        tape.escalated(at_s, first, escalation)
    seen = Seen(replace(TERMS, cool_down_ns=0)).take(tape, until_s=HOUR_S)
    assert [message[0] for message in seen.told()] == [0, 10, 30, 70]
    assert [len(message.alerts) for message in seen.messages] == [1, 2, 2, 2]


def test_updates_are_never_further_apart_than_the_longest_span() -> None:
    tape = Tape()
    first = tape.opened(0)
    for number in range(1, 60):
        tape.escalated(10 * number, first, 1)
    moments = [at_s for at_s, *_ in Seen(replace(TERMS, cool_down_ns=0)).take(tape, until_s=HOUR_S).told()]
    assert max(b - a for a, b in pairwise(moments)) == 120


def test_an_escalation_that_leaps_does_not_wait_for_the_update() -> None:
    tape = Tape()
    first = tape.opened(0)
    tape.escalated(1, first, 1)
    tape.escalated(2, first, 2)
    tape.escalated(2.2, first, 3)
    tape.escalated(4, first, 4)
    seen = Seen().take(tape, until_s=60)
    assert [at_s for at_s, *_ in seen.told()] == [0, 2.5, 10]
    assert [alert.anomaly.escalation for alert in seen.messages[1].alerts] == [1, 2, 3]


def test_a_third_symbol_that_leaps_does_not_wait_either() -> None:
    tape = Tape()
    for at_s, symbol, escalation in ((0, "BTC-USD", 0), (0.1, "ETH-USD", 0), (0.8, "DOGE-USD", 6)):
        tape.opened(at_s, symbol, escalation)
    assert [at_s for at_s, *_ in Seen().take(tape, until_s=60).told()] == [0, 0.6, 1.3]


def test_an_end_is_no_event_and_makes_none_market_wide() -> None:
    tape = Tape()
    first = tape.opened(0)
    tape.ended(100, first)
    tape.opened(103, "ETH-USD")
    tape.ended(104, tape.opened(103.5, "ETH-USD", rule="abs_jump"))
    seen = Seen(replace(TERMS, ends=True)).take(tape, until_s=300)
    assert [(at_s, kind) for at_s, kind, _ in seen.told()] == [
        (0, "symbol"),
        (100, "symbol"),
        (103, "symbol"),
        (113, "symbol"),
    ]


def test_an_end_does_not_overtake_what_it_ends() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(1, "ETH-USD")
    tape.ended(5, tape.opened(3, rule="abs_jump"))
    seen = Seen(replace(TERMS, ends=True)).take(tape, until_s=60)
    assert [(at_s, lanes) for at_s, _, lanes in seen.told()][2:] == [(10, ["BTC-USD"] * 2)]
    assert [alert.occasion for alert in seen.messages[2].alerts] == ["opened", "ended"]


def test_two_rules_that_end_on_one_trade_are_one_message() -> None:
    tape = Tape()
    first, second = tape.opened(0), tape.opened(0, rule="abs_jump")
    tape.ended(90, first)
    tape.ended(90, second)
    seen = Seen(replace(TERMS, ends=True)).take(tape, until_s=300)
    assert seen.told() == [(0, "symbol", ["BTC-USD"] * 2), (90, "symbol", ["BTC-USD"] * 2)]


def test_ends_that_follow_are_an_update_about_those_that_ended_alone() -> None:
    tape = Tape()
    opened = [tape.opened(0, symbol) for symbol in SYMBOLS]
    for at_s, ident in zip((90, 93, 94, 115), opened, strict=True):
        tape.ended(at_s, ident)
    seen = Seen(replace(TERMS, ends=True)).take(tape, until_s=300)
    assert [(message.update, message.earlier) for message in seen.messages[1:]] == [
        (False, ()),
        (True, ()),
        (True, ()),
    ]
    assert seen.told()[1:] == [
        (90, "symbol", ["BTC-USD"]),
        (100, "market", ["ETH-USD", "SOL-USD"]),
        (120, "symbol", ["ADA-USD"]),
    ]
    assert seen.reasons()[4:] == [
        "in message 2",
        "in message 3, about 2 symbols",
        "in message 3, about 2 symbols",
        "in message 4",
    ]


def test_an_event_ends_with_the_first_span_without_news_and_the_next_one_is_told_at_once() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(10.1, "ETH-USD")
    assert [at_s for at_s, *_ in Seen().take(tape, until_s=60).told()] == [0, 10.1]


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
    assert [symbols for *_, symbols in Seen(replace(TERMS, group_ns=0)).take(tape).told()] == [
        [each] for each in SYMBOLS
    ]


def test_each_channel_is_judged_on_its_own() -> None:
    tape = Tape()
    tape.opened(0, severity="low")
    seen = Seen(TERMS, Terms("log", "low")).take(tape, until_s=1)
    assert (seen.verdicts("phone"), seen.verdicts("log")) == (["unrouted"], ["told"])


def test_what_waits_for_a_channel_that_was_removed_ends_with_a_reason() -> None:
    tape = Tape()
    first = tape.opened(0)
    tape.escalated(1, first, 1)
    seen = Seen().take(tape, until_s=2)
    seen.stop(Terms("other"))
    assert seen.store()["/phone/market/0"] == b""
    assert seen.pass_to(60).verdicts() == ["told", "undelivered"]
    assert seen.reasons()[1] == "its channel was removed before it was told"


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
    other = replace(tape.entries[0].change.anomaly, venue="kraken", id="f" * 32)
    tape.entries.append(Entry(2, replace(tape.entries[0].change, anomaly=other)))
    assert Seen().take(tape, until_s=60).verdicts() == ["told", "told"]
