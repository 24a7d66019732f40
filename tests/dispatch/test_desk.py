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
        (110, "symbol"),
        (113, "symbol"),
    ]


def test_two_rules_that_end_on_one_trade_are_one_message() -> None:
    tape = Tape()
    first, second = tape.opened(0), tape.opened(0, rule="abs_jump")
    tape.ended(90, first)
    tape.ended(90, second)
    seen = Seen(replace(TERMS, ends=True)).take(tape, until_s=300)
    assert seen.told() == [(0, "symbol", ["BTC-USD"] * 2), (90, "symbol", ["BTC-USD"] * 2)]


def test_who_catches_up_with_much_that_is_late_has_one_digest_and_then_one_an_hour() -> None:
    seen = Seen()
    tape = Tape()
    for look in range(40):
        tape.opened(look, f"S{look}-USD")
        seen.take(tape, now_s=3 * HOUR_S + look, until_s=3 * HOUR_S + look)
    seen.pass_to(4 * HOUR_S)
    assert [(at_s, kind) for at_s, kind, _ in seen.told()] == [(3 * HOUR_S + 0.5, "digest"), (4 * HOUR_S, "digest")]
    assert sum(len(message.alerts) for message in seen.messages) == 40


def test_a_clock_that_is_set_back_does_not_hold_an_event_up() -> None:
    tape = Tape()
    tape.opened(2 * HOUR_S)
    tape.opened(10, "ETH-USD")
    seen = Seen().take(tape)
    late = Tape()
    late.entries = [Entry(9, tape.entries[1].change)]
    seen.desk.take(late.entries, ())
    assert "waits" not in seen.pass_to(2 * HOUR_S + 60).verdicts()


def test_what_waits_for_a_digest_is_written_once_and_not_with_each_that_comes() -> None:
    tape = Tape()
    for number in range(350):
        tape.opened(number, f"S{number}-USD")
    seen = Seen(replace(TERMS, budget=1)).take(tape, until_s=350)
    assert set(seen.desk.snapshot()) == {"", "/phone/0", "/phone/1", "/phone/2", "/phone/3"}
    tape.opened(400, "LAST-USD")
    seen.take(tape, until_s=400)
    assert set(seen.desk.changed()) == {"", "/phone/3"}
    seen.pass_to(HOUR_S)
    emptied = seen.desk.changed()
    assert [page for page, blob in emptied.items() if not blob] == ["/phone/0", "/phone/1", "/phone/2", "/phone/3"]
    assert set(seen.desk.snapshot()) == {""}


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


def test_beyond_the_budget_an_hour_has_one_digest_but_great_escalations_are_told() -> None:
    tape = Tape()
    for number in range(15):
        tape.opened(60 * number, f"S{number}-USD")
    great = tape.opened(960, "DOGE-USD", escalation=2)
    tape.escalated(1_060, great, 3)
    seen = Seen().take(tape, until_s=HOUR_S + 1)
    assert seen.verdicts() == ["told"] * 17
    assert [kind for _, kind, _ in seen.told()] == ["symbol"] * 11 + ["digest"]
    assert seen.told()[10] == (1_060, "symbol", ["DOGE-USD"])
    assert seen.told()[11][0] == HOUR_S
    assert len(seen.messages[11].alerts) == 6
    assert seen.reasons()[12] == "in message 12: the digest of 22:00"


def test_what_waits_for_a_digest_says_so() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(60, "ETH-USD")
    seen = Seen(replace(TERMS, budget=1)).take(tape, until_s=100)
    assert seen.verdicts() == ["told", "waits"]
    assert seen.reasons()[1] == "over the budget: for the digest of 22:00"


def test_the_next_hour_has_a_budget_of_its_own() -> None:
    tape = Tape()
    for number in range(4):
        tape.opened(1_000 * number, f"S{number}-USD")
    tape.opened(HOUR_S + 1, "ETH-USD")
    seen = Seen(replace(TERMS, budget=3)).take(tape, until_s=2 * HOUR_S)
    assert [kind for _, kind, _ in seen.told()] == ["symbol", "symbol", "symbol", "digest", "symbol"]


def test_what_is_late_comes_in_one_digest() -> None:
    tape = Tape()
    for number in range(30):
        tape.opened(100 * number, f"S{number}-USD")
    tape.opened(3 * HOUR_S - 10, "BTC-USD")
    seen = Seen().take(tape, now_s=3 * HOUR_S, until_s=3 * HOUR_S + 1)
    assert [kind for _, kind, _ in seen.told()] == ["symbol", "digest"]
    assert len(seen.messages[1].alerts) == 30
    assert seen.messages[1].note == "Nobody watched for up to 3 h."


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
    seen.desk = Desk.restore([Terms("other")], seen.desk.snapshot())
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
