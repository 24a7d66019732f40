"""Laws of the desk, for any sequence of changes, growth, silences, stops and budgets."""

from itertools import groupby, pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from support.alerts import T0, Seen, Tape
from tapewatch.alert import Message, Silence
from tapewatch.dispatch import conversation, desk, piles
from tapewatch.dispatch.desk import Decided
from tapewatch.dispatch.memory import MOVES_MAX, NAMED_MAX, SENT_MAX, Memory
from tapewatch.dispatch.pace import EVENT_NS, GATHER_NS, GREAT_PART, LEAP, span_after
from tapewatch.dispatch.stages import Terms, great, reach
from tapewatch.dispatch.telling import HELD_MAX, page
from tapewatch.model import NS

HOUR_S = 3_600
END_S = 10 * HOUR_S
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")

steps = st.lists(
    st.tuples(
        st.sampled_from(("open", "open", "open", "escalate", "grow", "end", "silent")),
        st.sampled_from(SYMBOLS),
        st.sampled_from(("pct_spike", "abs_jump", "vol_breakout")),
        st.sampled_from(("high", "high", "high", "medium")),
        st.sampled_from(("up", "down")),
        st.one_of(st.floats(0, 20), st.floats(0, 900)),
        st.floats(1, 50),
    ),
    max_size=60,
)
all_terms = st.builds(
    replace,
    st.just(Terms("phone")),
    severity=st.sampled_from(("high", "low")),
    ends=st.booleans(),
    budget=st.sampled_from((1, 2, 4, 10, 1_000_000)),
    group_ns=st.sampled_from((0, 10 * NS)),
    cool_down_ns=st.sampled_from((0, 300 * NS, 3_600 * NS)),
    min_size=st.sampled_from((None, 1.0, 4.0)),
)
grouping = all_terms.map(lambda terms: replace(terms, group_ns=10 * NS))
hushes = st.lists(
    st.builds(
        lambda since, length, symbol: Silence(1, T0 + since * NS, T0 + (since + length) * NS, symbol=symbol),
        st.integers(0, 600),
        st.integers(1, 600),
        st.sampled_from(("*", "BTC-*")),
    ),
    max_size=2,
)

Moves = list[tuple[str, str, str, str, str, float, float]]


def tape_of(moves: Moves) -> Tape:
    tape, at_s = Tape(), 0.0
    running: dict[str, float] = {}
    for what, symbol, rule, severity, direction, pause_s, size in moves:
        at_s += pause_s
        if what == "open":
            fields = {"rule": rule, "severity": severity, "direction": direction}
            running[tape.opened(at_s, symbol, size, **fields)] = size
        elif what == "silent":
            running[tape.silent(at_s, symbol)] = 1.0
        elif running:
            ident = next(iter(running))
            if what == "end":
                running.pop(ident)
                tape.ended(at_s, ident)
            else:
                running[ident] *= 1 + size / 20
                (tape.escalated if what == "escalate" else tape.grew)(at_s, ident, running[ident])
    return tape


def lived(tape: Tape, seen: Seen, cuts: list[int]) -> Seen:
    """Judge a tape moment by moment as `Seen.take` does, and stop behind some of its moments."""
    for number, (at, together) in enumerate(groupby(tape.lived, key=lambda each: each[0])):
        seen.desk.advance(at - 1, seen.standing)
        happened = list(together)
        seen.standing |= {found.id: found for _, found, _ in happened}
        seen.desk.take([entry for *_, entry in happened if entry], seen.silences, None, seen.standing)
        if number in cuts:
            seen.keep(seen.desk.collect())
            seen.stop()
    return seen.pass_to(END_S)


@given(moves=steps, terms=all_terms, silences=hushes)
def test_every_alert_ends_in_one_verdict_or_in_one_message(moves: Moves, terms: Terms, silences: list[Silence]) -> None:
    tape = tape_of(moves)
    seen = Seen(terms, silences=silences).take(tape, until_s=END_S)
    wanted = [entry for entry in tape.entries if terms.ends or entry.change.change != "ended"]
    assert {seq for seq, _ in seen.alerts} == {entry.seq for entry in wanted}
    assert "waits" not in seen.verdicts()
    named = [(alert.seq, message.number) for message in seen.messages for alert in message.alerts]
    told = [(seq, alert.message) for (seq, _), alert in seen.alerts.items() if alert.verdict is None]
    assert sorted(named) == sorted(told), "each told alert stands in its message, and in no other"
    assert all(alert.verdict is None for message in seen.messages for alert in message.alerts)
    assert all(alert.at <= message.at for message in seen.messages for alert in message.alerts)
    assert all(message.anomalies for message in seen.messages), "none tells of nothing"
    assert seen.desk.next is None


@given(moves=steps, terms=all_terms, silences=hushes, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_stopping_and_dividing_do_not_matter(
    moves: Moves, terms: Terms, silences: list[Silence], cuts: list[int]
) -> None:
    tape = tape_of(moves)
    whole = Seen(terms, silences=silences).take(tape, until_s=END_S)
    parts = lived(tape, Seen(terms, silences=silences), cuts)
    assert parts.alerts == whole.alerts
    assert parts.messages == whole.messages


@given(moves=steps, terms=all_terms, silences=hushes, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_a_log_that_is_read_in_parts_is_judged_as_if_read_at_once(
    moves: Moves, terms: Terms, silences: list[Silence], cuts: list[int]
) -> None:
    tape = tape_of(moves)
    whole, parts = Seen(terms, silences=silences), Seen(terms, silences=silences)
    whole.desk.take(tape.entries, silences)
    whole.pass_to(END_S)
    for start, stop in pairwise([0, *sorted(cuts), len(tape.entries)]):
        parts.desk.take(tape.entries[start:stop], silences)
        parts.keep(parts.desk.collect())
        parts.stop()
    parts.pass_to(END_S)
    assert (parts.alerts, parts.messages) == (whole.alerts, whole.messages)


@given(moves=steps, terms=all_terms, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_what_is_more_than_a_message_names_is_told_all_the_same(moves: Moves, terms: Terms, cuts: list[int]) -> None:
    tape = tape_of(moves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(piles, "PAGE", 2)
        patch.setattr(piles, "MOST", 4)
        patch.setattr(conversation, "MOST", 4)
        whole, parts = Seen(terms), lived(tape, Seen(terms), cuts)
        whole.take(tape, until_s=END_S)
    assert (parts.alerts, parts.messages) == (whole.alerts, whole.messages)
    assert "waits" not in whole.verdicts()
    assert all(len(message.alerts) <= 4 for message in whole.messages)
    whole.store()
    assert set(whole.stored) == {""}


@given(moves=steps, terms=all_terms)
def test_telling_twice_does_not_matter(moves: Moves, terms: Terms) -> None:
    tape = tape_of(moves)
    seen = Seen(terms).take(tape)
    seen.store()
    before = seen.stored
    seen.desk.take(tape.entries, ())
    assert seen.desk.collect() == Decided([], [])
    seen.store()
    assert seen.stored == before


@given(moves=steps, terms=all_terms, span_ns=st.sampled_from((60 * NS, 400 * NS, HOUR_S * NS)))
def test_lanes_may_stand_one_after_the_other_where_nothing_depends_on_others(
    moves: Moves, terms: Terms, span_ns: int
) -> None:
    # Without a budget and without grouping each lane is judged by what was told on it, and by its own clock.
    terms = replace(terms, budget=10**9, group_ns=0)
    tape = tape_of(moves)
    lanes = sorted(tape.entries, key=lambda entry: (entry.change.at // span_ns, entry.change.anomaly.symbol))
    seen, usual, numbers = Seen(terms), Seen(terms), {}
    for entry in tape.entries:
        usual.desk.take([entry], ())
    for seq, (before, change) in enumerate(lanes, 1):
        numbers[seq] = before
        seen.desk.take([desk.Entry(seq, change)], ())
    usual.pass_to(END_S)
    seen.pass_to(END_S)
    judged = {numbers[seq]: alert.verdict for (seq, _), alert in seen.alerts.items()}
    assert judged == {seq: alert.verdict for (seq, _), alert in usual.alerts.items()}


def events_of(messages: list[Message]) -> list[list[Message]]:
    """Put together the messages of each event: one kind of anomaly, none more than ten minutes after the one before."""
    events: list[list[Message]] = []
    for kind in ("market", "feed"):
        last = None
        for message in messages:
            if message.kind == "digest" or message.anomalies[0].kind != kind:
                continue
            if last is None or message.at - last > EVENT_NS:
                events.append([])
            events[-1].append(message)
            last = message.at
    return events


@given(moves=steps, terms=grouping)
def test_two_messages_of_an_event_are_apart_as_the_budget_wants_it_with_three_exceptions(
    moves: Moves, terms: Terms
) -> None:
    seen = Seen(terms).take(tape_of(moves), until_s=END_S)
    of_kind = {kind: [m for m in seen.messages if m.anomalies[0].kind == kind] for kind in ("market", "feed")}
    for event in events_of(seen.messages):
        reached, lanes = 0.0, set[str]()
        for before, message in pairwise(event):
            mine = of_kind[message.anomalies[0].kind]
            reached = max([reached, *map(reach, (a for a in before.anomalies if _is_news(before, a.id)))])
            lanes |= {each.symbol for each in before.anomalies}
            sent = sum(message.at - HOUR_S * NS < each.at < message.at for each in mine)
            least = span_after(terms, 0.0 if terms.budget > SENT_MAX else min(1.0, sent / terms.budget))
            news = [alert for alert in message.alerts if alert.occasion != "ended"]
            if any(great(alert.anomaly, terms) for alert in news):
                least *= GREAT_PART
            if reached and any(reach(alert.anomaly) >= LEAP * reached for alert in news):
                least = min(least, terms.group_ns // 2)
            if len(lanes) == 1 and {alert.anomaly.symbol for alert in news if alert.occasion == "opened"} - lanes:
                least = min(least, GATHER_NS)
            assert message.at - before.at >= int(least) - 1


def _is_news(message: Message, ident: str) -> bool:
    return any(a.anomaly.id == ident and a.occasion != "ended" for a in message.alerts) or any(
        each.id == ident for each in message.grown
    )


@given(moves=steps, terms=grouping)
def test_messages_in_any_hour_are_bounded(moves: Moves, terms: Terms) -> None:
    seen = Seen(terms).take(tape_of(moves), until_s=END_S)
    for event in events_of(seen.messages):
        for first in event:
            hour = [each for each in event if first.at <= each.at < first.at + HOUR_S * NS]
            greatest = max(reach(each) for message in hour for each in message.anomalies)
            leaps = 1 + int(greatest).bit_length() / 2  # each of them is four times as large as all before
            spent = min(terms.budget, len(hour))
            usual = spent + HOUR_S * NS / (GREAT_PART * terms.follow_up_max_ns)
            assert len(hour) <= usual + leaps + 1


@given(moves=steps, terms=all_terms)
def test_little_is_remembered_and_nothing_waits_for_ever(moves: Moves, terms: Terms) -> None:
    seen = Seen(terms).take(tape_of(moves), until_s=END_S)
    seen.store()
    memory = msgspec.json.decode(seen.stored[""], type=Memory).channels["phone"]
    assert len(memory.moves) <= MOVES_MAX
    assert len(memory.held.largest) <= NAMED_MAX
    assert all(len(event.told) <= conversation.TRACKED_MAX for event in memory.events.values())
    assert all(len(event.began) <= len(SYMBOLS) for event in memory.events.values())
    assert set(seen.stored) == {""}
    assert memory.alone_until == {}


@given(moves=steps, terms=all_terms, silences=hushes)
def test_what_is_largest_since_the_last_message_is_told_or_named_by_the_next_one(
    moves: Moves, terms: Terms, silences: list[Silence]
) -> None:
    seen = Seen(terms, silences=silences).take(tape_of(moves), until_s=END_S)
    back = [alert for alert in seen.alerts.values() if alert.verdict in ("cooling", "small", "held", "silenced")]
    told_ends = [alert for alert in back if alert.occasion == "ended"]
    market = [message for message in seen.messages if message.anomalies[0].kind == "market"]
    assert sum(message.held.count for message in market if message.held) <= len(back) - len(told_ends), "each once"
    for before, message in pairwise([None, *market]):
        # What is small is held back only when it has waited for others.
        since = before.at + terms.group_ns if before else T0 - 1
        surely = [
            alert.anomaly
            for alert in back
            if since < alert.at < message.at - terms.group_ns
            and alert.verdict != "silenced"
            and alert.anomaly.kind == "market"
            and alert.occasion != "ended"
        ]
        if surely:
            assert message.held is not None
            assert message.held.count >= len(surely)
            named = page(message, "").named
            assert max(map(reach, named)) >= max(map(reach, surely))


@given(moves=steps, terms=all_terms)
def test_nothing_is_called_the_largest_that_was_not(moves: Moves, terms: Terms) -> None:
    seen = Seen(terms).take(tape_of(moves), until_s=END_S)
    for message in seen.messages:
        if message.held is not None:
            sizes = [reach(each) for each in message.held.largest]
            assert sizes == sorted(sizes, reverse=True)
            assert len({(each.symbol, each.direction) for each in message.held.largest}) == len(sizes)
            assert len(page(message, "").held_rows) == min(len(sizes), HELD_MAX)


@given(moves=steps)
def test_without_a_budget_what_is_large_enough_is_told_within_half_a_second_or_with_its_event(moves: Moves) -> None:
    terms = Terms("phone", "low", budget=10**9, follow_up_max_ns=10 * NS)
    seen = Seen(terms).take(tape_of(moves), until_s=END_S)
    for message in seen.messages:
        for alert in message.alerts:
            late = message.at - alert.at
            assert late <= 480 * NS + terms.group_ns
            if reach(alert.anomaly) >= 8 and alert.occasion == "opened" and late > NS // 2:
                kind = alert.anomaly.kind
                earlier = [m for m in seen.messages if m.number < message.number and m.anomalies[0].kind == kind]
                soon = any(m.at > alert.at - terms.group_ns for m in earlier)
                assert soon or alert.anomaly.kind == "market", "it waits only where something was just told"
