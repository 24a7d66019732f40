"""What is told later: budgets, digests and cool-downs, what waits meanwhile, and the clocks that they go by."""

from collections import Counter

import msgspec
from msgspec.structs import replace

from support.alerts import T0, TERMS, Seen, Tape
from tapewatch.dispatch.desk import Entry
from tapewatch.dispatch.memory import Memory
from tapewatch.dispatch.piles import MOST
from tapewatch.dispatch.stages import Terms
from tapewatch.model import NS

HOUR_S = 3_600


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


def test_a_clock_that_was_ahead_once_switches_neither_cool_down_nor_budget_off() -> None:
    def run(*ahead_s: float) -> list[str]:
        tape = Tape()
        for at_s in ahead_s:
            tape.opened(at_s, "AHEAD-USD")
        for number in range(20):
            tape.opened(60 * number)  # one that cools down
            tape.opened(60 * number + 30, f"S{number}-USD")
        seen = Seen(replace(TERMS, budget=3))
        for entry in tape.entries:  # in the order of the log, as they are looked at
            seen.desk.take([entry], ())
            seen.keep(seen.desk.collect())
            seen.stop()
        assert {message.note for message in seen.pass_to(HOUR_S + 60).messages} == {""}
        return seen.verdicts()[len(ahead_s) :] + [
            "digest" if kind == "digest" else "alone" for _, kind, _ in seen.told()
        ]

    usual = run()
    assert usual == ["told", *["told", "cooling"] * 19, "told", *["alone"] * 3, "digest"]
    assert run(26 * HOUR_S) == usual


def test_lanes_that_stand_one_after_the_other_in_the_log_are_judged_each_by_its_own_clock() -> None:
    tape = Tape()
    for number in range(40):  # for five hours
        tape.opened(450 * number)
        tape.opened(450 * number + 200, "ETH-USD")
    ordered, seen = Seen().take(tape, until_s=10 * HOUR_S), Seen()
    lanes = sorted(tape.entries, key=lambda entry: (entry.change.at // (4_500 * NS), entry.change.anomaly.symbol))
    for seq, entry in enumerate(lanes, 1):
        seen.desk.take([Entry(seq, entry.change)], ())
    seen.pass_to(10 * HOUR_S)
    assert [seen.verdicts()[lanes.index(entry)] for entry in tape.entries] == ordered.verdicts()
    assert ordered.verdicts().count("told") == 10


def test_an_hour_has_one_budget_in_whatever_order_its_lanes_are_looked_at() -> None:
    seen = Seen(replace(TERMS, budget=2))
    for number in range(6):  # each of them goes through three hours
        tape = Tape()
        for hour in range(3):
            tape.opened(hour * HOUR_S + 60 * number, f"S{number}-USD")
        seen.desk.take([Entry(10 * number + seq, change) for seq, change in tape.entries], ())
    told = seen.pass_to(4 * HOUR_S).told()
    hours = Counter(at_s // HOUR_S for at_s, kind, _ in told if kind != "digest")
    assert (set(hours), max(hours.values())) == ({0, 1, 2}, 2)
    assert seen.verdicts() == ["told"] * 18


def test_what_has_cooled_down_by_its_lanes_clock_is_forgotten_and_so_are_the_hours_of_before() -> None:
    tape = Tape()
    for number in range(5):
        for rule in ("pct_spike", "abs_jump"):
            tape.opened(12 * HOUR_S * number, rule=rule)
    tape.opened(49.5 * HOUR_S, severity="low")
    seen = Seen().take(tape, until_s=50 * HOUR_S)
    seen.store()
    remembered = msgspec.json.decode(seen.stored[""], type=Memory).channels["phone"]
    assert remembered.told == {}
    assert [hour - T0 // (HOUR_S * NS) for hour in remembered.spent] == [24, 36, 48]


def test_a_digest_has_at_most_a_thousand_alerts_and_the_rest_comes_with_the_next_ones() -> None:
    tape = Tape()
    for number in range(2 * MOST + 51):
        tape.opened(number, f"S{number}-USD")
    seen = Seen(replace(TERMS, budget=1)).take(tape, until_s=HOUR_S - 1)
    assert seen.reasons()[1] == seen.reasons()[MOST] == "over the budget: for the digest of 22:00"
    assert seen.reasons()[MOST + 1] == "over the budget: for the digest of 23:00"
    assert seen.reasons()[-1] == "over the budget: for the digest of 10-11 00:00"
    for hour in range(1, 5):
        seen.stop()
        seen.pass_to(hour * HOUR_S)
    assert [(at_s / HOUR_S, len(symbols)) for at_s, kind, symbols in seen.told() if kind == "digest"] == [
        (1, MOST),
        (2, MOST),
        (3, 50),
    ]
    assert [message.note for message in seen.messages] == [
        "",
        "1,050 more in the next digests, one an hour.",
        "50 more in the next digests, one an hour.",
        "This goes back 2 h 27 min.",
    ]
    assert seen.verdicts() == ["told"] * (2 * MOST + 51)


def test_digests_that_were_missed_do_not_come_all_at_once() -> None:
    tape = Tape()
    for number in range(3 * MOST):
        tape.opened(number / 100, f"S{number}-USD")
    seen = Seen(replace(TERMS, group_ns=0, budget=1)).take(tape, until_s=60)
    moments = []
    for hour in (8.5, 8.6, 9.1, 9.9, 10, 11):
        before = len(seen.messages)
        seen.pass_to(hour * HOUR_S)
        moments += [(hour, len(message.alerts)) for message in seen.messages[before:]]
    assert moments == [(8.5, MOST), (9.1, MOST), (10, MOST - 1)]


def test_an_update_names_at_most_a_thousand_alerts_and_the_next_one_the_rest() -> None:
    tape = Tape()
    tape.opened(0)
    for number in range(MOST + 20):
        tape.opened(2 + number / 1_000, f"S{number}-USD")
    seen = Seen().take(tape, until_s=2.1)
    for number in range(MOST + 20, 2 * MOST):
        tape.opened(4 + number / 1_000, f"S{number}-USD")
    seen.take(tape, until_s=9)
    waits = [reason for reason in seen.reasons() if reason.startswith("told with")]
    assert waits[0] == "told with its event at 21:00:10"
    assert waits[-1].startswith("told with a later update on its event: 1,")
    told = [(at_s, len(symbols)) for at_s, _, symbols in seen.pass_to(600).told()]
    assert [at_s for at_s, _ in told] == [0, 2.5, 10, 30]
    assert [count for _, count in told][2] == MOST
    assert sum(count for _, count in told) == 2 * MOST + 1


def test_what_waits_for_an_update_is_written_once() -> None:
    tape = Tape()
    first = tape.opened(0)
    for number in range(250):
        tape.escalated(1 + number / 100, first, 1)
    seen = Seen(replace(TERMS, cool_down_ns=0)).take(tape, until_s=4)
    written = seen.store()
    assert set(written) == {"", "/phone/market/0", "/phone/market/1", "/phone/market/2"}
    assert len(written[""]) < 1_000
    tape.escalated(5, first, 1)
    seen.take(tape, until_s=5)
    assert set(seen.store()) == {"", "/phone/market/2"}
    seen.stop()
    assert [(at_s, len(symbols)) for at_s, _, symbols in seen.pass_to(60).told()] == [(0, 1), (10, 251)]
    seen.store()
    assert set(seen.stored) == {""}


def test_what_cools_down_says_when_the_last_one_was_taken_up_told_or_not() -> None:
    tape = Tape()
    tape.opened(0)
    tape.opened(60, "ETH-USD")
    tape.opened(120, "ETH-USD")
    seen = Seen(replace(TERMS, budget=1)).take(tape, until_s=200)
    assert seen.verdicts() == ["told", "waits", "cooling"]
    assert seen.reasons()[2] == "cooling down until 22:01:00: taken up at 21:01:00"


def test_what_waits_for_a_digest_is_written_once_and_not_with_each_that_comes() -> None:
    tape = Tape()
    for number in range(350):
        tape.opened(number, f"S{number}-USD")
    seen = Seen(replace(TERMS, budget=1)).take(tape, until_s=350)
    pages = [f"/phone/digest/{number}" for number in range(4)]
    assert {page for page, blob in seen.store().items() if blob} == {"", *pages}
    tape.opened(400, "LAST-USD")
    seen.take(tape, until_s=400)
    assert {page for page, blob in seen.store().items() if blob} == {"", pages[3]}
    seen.pass_to(HOUR_S)
    assert [page for page, blob in seen.store().items() if not blob] == pages
    assert set(seen.stored) == {""}


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
    assert seen.messages[1].note == "This goes back 3 h."


def test_all_that_waits_for_a_channel_that_was_removed_ends_however_much_it_is() -> None:
    tape = Tape()
    for number in range(MOST + 2):
        tape.opened(number, f"S{number}-USD")
    seen = Seen(replace(TERMS, budget=1)).take(tape, until_s=MOST + 20)
    seen.stop(Terms("other"))
    assert seen.pass_to(HOUR_S).verdicts() == ["told", *["undelivered"] * (MOST + 1)]
