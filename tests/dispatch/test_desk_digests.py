"""What is told later: what is late, what waits meanwhile, the clocks that they go by, and how much is remembered."""

import msgspec
from msgspec.structs import replace

from support.alerts import EVEN, T0, TERMS, Seen, Tape
from tapewatch.dispatch.desk import Entry
from tapewatch.dispatch.memory import MOVES_MAX, NAMED_MAX, ChannelMemory, Memory
from tapewatch.dispatch.piles import MOST
from tapewatch.dispatch.stages import Terms
from tapewatch.model import NS

HOUR_S = 3_600


def many(count: int, pause_s: float = 1.0) -> Tape:
    tape = Tape()
    for number in range(count):
        tape.opened(pause_s * number, f"S{number}-USD")
    return tape


def remembered(seen: Seen) -> ChannelMemory:
    seen.store()
    return msgspec.json.decode(seen.stored[""], type=Memory).channels["phone"]


# -- what is late ------------------------------------------------------------------------------------------------------


def test_what_is_late_comes_in_one_digest() -> None:
    tape = many(30, 100)
    tape.opened(3 * HOUR_S - 10, "BTC-USD")
    seen = Seen().take(tape, now_s=3 * HOUR_S, until_s=3 * HOUR_S + 1)
    assert [kind for _, kind, _ in seen.told()] == ["symbol", "digest"]
    assert len(seen.messages[1].alerts) == 30
    assert seen.messages[1].note == "This goes back 3 h."


def test_what_waits_for_a_digest_says_so() -> None:
    seen = Seen().take(many(1), now_s=3 * HOUR_S, until_s=3 * HOUR_S)
    assert (seen.verdicts(), seen.reasons()) == (["waits"], ["late: for the digest of 10-11 00:00"])
    assert seen.pass_to(3 * HOUR_S + 1).reasons() == ["in message 1: the digest of 00:00"]


def test_a_digest_names_what_was_held_back_while_it_waited() -> None:
    tape = Tape()
    tape.opened(0, size=6)
    tape.opened(10, size=5)
    tape.opened(20, size=5.5)
    seen = Seen().take(tape, now_s=3 * HOUR_S, until_s=3 * HOUR_S + 1)
    assert [kind for _, kind, _ in seen.told()] == ["digest"]
    assert seen.held() == [(2, [("BTC-USD", 5.5)])]


def test_who_catches_up_with_much_that_is_late_has_one_digest_and_then_one_an_hour() -> None:
    seen, tape = Seen(), Tape()
    for look in range(40):
        tape.opened(look, f"S{look}-USD")
        seen.take(tape, now_s=3 * HOUR_S + look, until_s=3 * HOUR_S + look)
    seen.pass_to(4 * HOUR_S)
    assert [(at_s, kind) for at_s, kind, _ in seen.told()] == [(3 * HOUR_S + 0.5, "digest"), (4 * HOUR_S, "digest")]
    assert sum(len(message.alerts) for message in seen.messages) == 40


def test_a_digest_has_at_most_a_thousand_alerts_and_the_rest_comes_with_the_next_ones() -> None:
    seen = Seen(Terms("phone", late_ns=0)).take(many(2 * MOST + 51), now_s=HOUR_S - 1, until_s=HOUR_S - 1)
    assert seen.reasons()[0] == seen.reasons()[MOST - 1] == "late: for the digest of 21:59"
    assert seen.reasons()[MOST] == "late: for the digest of 22:00"
    assert seen.reasons()[-1] == "late: for the digest of 23:00"
    for hour in (1, 2, 3, 4):
        seen.stop()
        seen.pass_to(hour * HOUR_S)
    assert [(at_s, len(symbols)) for at_s, _, symbols in seen.told()] == [
        (HOUR_S - 0.5, MOST),
        (HOUR_S * 2, MOST),
        (HOUR_S * 3, 51),
    ]
    assert [message.note for message in seen.messages] == [
        "1,051 more in the next digests, one an hour.",
        "This goes back 1 h 43 min. 51 more in the next digests, one an hour.",
        "This goes back 2 h 27 min.",
    ]
    assert seen.verdicts() == ["told"] * (2 * MOST + 51)


def test_digests_that_were_missed_do_not_come_all_at_once() -> None:
    seen = Seen(Terms("phone", late_ns=0)).take(many(3 * MOST, 0.01), now_s=60, until_s=60)
    moments = []
    for hour in (8.5, 8.6, 9.1, 9.9, 10, 11):
        before = len(seen.messages)
        seen.pass_to(hour * HOUR_S)
        moments += [(hour, len(message.alerts)) for message in seen.messages[before:]]
    assert moments == [(8.5, MOST), (9.1, MOST), (10, MOST)]


def test_an_end_goes_into_the_digest_with_what_it_is_about() -> None:
    tape = Tape()
    first = tape.opened(0)
    tape.ended(2 * HOUR_S, first)
    seen = Seen(Terms("phone", ends=True)).take(tape, now_s=2 * HOUR_S, until_s=2 * HOUR_S)
    assert seen.reasons()[1] == "with what it is about: for the digest of 23:00"
    assert [(kind, len(symbols)) for _, kind, symbols in seen.pass_to(3 * HOUR_S).told()] == [("digest", 2)]


# -- what waits --------------------------------------------------------------------------------------------------------


def test_a_message_names_at_most_a_thousand_alerts_and_the_next_one_the_rest() -> None:
    tape = Tape()
    tape.opened(0)
    for number in range(MOST + 20):
        tape.opened(2 + number / 1_000, f"S{number}-USD")
    seen = Seen().take(tape, until_s=2.1)
    for number in range(MOST + 20, 2 * MOST):
        tape.opened(4 + number / 1_000, f"S{number}-USD")
    seen.take(tape, until_s=9)
    waits = [reason for reason in seen.reasons() if reason.startswith("told with")]
    assert waits[0] == "told with its event at 21:00:22"
    assert waits[-1] == "told with a later message on its event: 1,498 wait before it"
    told = [(at_s, len(symbols)) for at_s, _, symbols in seen.pass_to(900).told()]
    assert [round(at_s, 1) for at_s, _ in told] == [0, 2.5, 22.2, 322.2], "the rest is not told at once"
    assert [count for _, count in told][2] == MOST
    assert sum(count for _, count in told) == 2 * MOST + 1


def test_what_waits_for_a_message_is_written_once() -> None:
    tape = Tape()
    first = tape.opened(0)
    for number in range(250):
        tape.escalated(1 + number / 100, first, 9)
    terms = replace(EVEN, cool_down_ns=0)
    seen = Seen(terms).take(tape, until_s=4)
    written = seen.store()
    assert set(written) == {"", "/phone/market/0", "/phone/market/1", "/phone/market/2"}
    tape.escalated(5, first, 9)
    seen.take(tape, until_s=5)
    assert set(seen.store()) == {"", "/phone/market/2"}
    seen.stop()
    assert [(at_s, len(symbols)) for at_s, _, symbols in seen.pass_to(60).told()] == [(0, 1), (10, 251)]
    seen.store()
    assert set(seen.stored) == {""}


def test_what_waits_for_a_digest_is_written_once_and_not_with_each_that_comes() -> None:
    tape = many(350)
    seen = Seen(Terms("phone", late_ns=0)).take(tape, now_s=400, until_s=400)
    pages = [f"/phone/digest/{number}" for number in range(4)]
    assert {page for page, blob in seen.store().items() if blob} == {"", *pages}
    tape.opened(400, "LAST-USD")
    seen.take(tape, now_s=400.1, until_s=400.1)
    assert {page for page, blob in seen.store().items() if blob} == {"", pages[3]}
    seen.pass_to(HOUR_S)
    assert [page for page, blob in seen.store().items() if not blob] == pages
    assert set(seen.stored) == {""}


def test_all_that_waits_for_a_channel_that_was_removed_ends_however_much_it_is() -> None:
    seen = Seen(Terms("phone", late_ns=0)).take(many(MOST + 2, 0.01), now_s=60, until_s=60)
    seen.stop(Terms("other"))
    assert seen.pass_to(HOUR_S).verdicts() == ["undelivered"] * (MOST + 2)


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_does_not_hold_an_event_up() -> None:
    tape = Tape()
    tape.opened(2 * HOUR_S)
    tape.opened(10, "ETH-USD")
    seen = Seen()
    for entry in tape.entries:
        seen.desk.take([entry], ())
    assert seen.pass_to(2 * HOUR_S + 60).verdicts() == ["told", "told"]


def test_a_clock_that_was_ahead_once_switches_neither_muting_nor_budget_off() -> None:
    def run(*ahead_s: float) -> list[str]:
        tape = Tape()
        for at_s in ahead_s:
            tape.opened(at_s, "AHEAD-USD")
        for number in range(20):
            tape.opened(60 * number, size=3)  # one that is muted
            tape.opened(60 * number + 30, f"S{number}-USD", size=7)
        seen = Seen(replace(TERMS, budget=3))
        for entry in tape.entries:  # in the order of the log, as they are looked at
            seen.desk.take([entry], ())
            seen.keep(seen.desk.collect())
            seen.stop()
        return seen.pass_to(HOUR_S + 60).verdicts()[len(ahead_s) :]

    usual = run()
    assert usual[:2] == ["told", "told"]
    assert usual.count("told") <= 5
    assert run(26 * HOUR_S) == usual


def test_a_lane_is_muted_by_its_own_clock_wherever_it_stands_in_the_log() -> None:
    tape = Tape()
    for number in range(40):  # for five hours
        tape.opened(450 * number, size=3)
        tape.opened(450 * number + 200, "ETH-USD", size=3)
    ordered, seen = Seen(EVEN).take(tape, until_s=10 * HOUR_S), Seen(EVEN)
    lanes = sorted(tape.entries, key=lambda entry: (entry.change.at // (4_500 * NS), entry.change.anomaly.symbol))
    for seq, entry in enumerate(lanes, 1):
        seen.desk.take([Entry(seq, entry.change)], ())
    seen.pass_to(10 * HOUR_S)
    assert [seen.verdicts()[lanes.index(entry)] for entry in tape.entries] == ordered.verdicts()
    assert ordered.verdicts().count("told") == 2 * 5, "each eighth of forty: every hour"


# -- what is remembered ------------------------------------------------------------------------------------------------


def test_what_is_no_longer_muted_by_its_lanes_clock_is_forgotten_and_so_are_the_hours_of_before() -> None:
    tape = Tape()
    for number in range(5):
        for rule in ("pct_spike", "abs_jump"):
            tape.opened(12 * HOUR_S * number, rule=rule)
    tape.opened(49.5 * HOUR_S, severity="low")
    memory = remembered(Seen().take(tape, until_s=50 * HOUR_S))
    assert memory.told == {}
    assert memory.sent == {"market": [T0 + 48 * HOUR_S * NS]}


def test_however_much_happens_little_is_remembered() -> None:
    tape = Tape()
    for number in range(3_000):
        tape.opened(number / 10, f"S{number % 40}-USD", size=1 + number % 7, direction=("up", "down")[number % 2])
    seen = Seen().take(tape, until_s=299)
    memory = remembered(seen)
    assert len(memory.moves) <= MOVES_MAX
    assert len(memory.held.largest) <= NAMED_MAX
    assert sum(map(len, memory.told.values())) <= 40 * 2
    assert len(memory.events["market"].told) <= 200
    assert len(memory.events["market"].began) <= 40
    assert len(seen.stored[""]) < 100_000
