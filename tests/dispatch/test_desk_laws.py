"""Laws of the desk, for any sequence of changes, silences, stops and budgets."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from support.alerts import T0, TERMS, Seen, Tape
from tapewatch.alert import Silence
from tapewatch.dispatch import desk, piles
from tapewatch.dispatch.desk import Decided
from tapewatch.dispatch.stages import Terms
from tapewatch.model import NS

HOUR_S = 3_600
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD")

steps = st.lists(
    st.tuples(
        st.sampled_from(("open", "open", "escalate", "end", "silent")),
        st.sampled_from(SYMBOLS),
        st.sampled_from(("pct_spike", "abs_jump", "vol_breakout")),
        st.sampled_from(("high", "high", "medium")),
        st.floats(0, 90),
        st.integers(0, 4),
    ),
    max_size=60,
)
all_terms = st.builds(
    replace,
    st.just(Terms("phone")),
    severity=st.sampled_from(("high", "low")),
    ends=st.booleans(),
    budget=st.integers(1, 4),
    group_ns=st.sampled_from((0, 10 * NS)),
    cool_down_ns=st.sampled_from((0, 300 * NS)),
)
hushes = st.lists(
    st.builds(
        lambda since, length, symbol: Silence(1, T0 + since * NS, T0 + (since + length) * NS, symbol=symbol),
        st.integers(0, 600),
        st.integers(1, 600),
        st.sampled_from(("*", "BTC-*")),
    ),
    max_size=2,
)


def tape_of(moves: list[tuple[str, str, str, str, float, int]]) -> Tape:
    tape, at_s = Tape(), 0.0
    running: dict[str, tuple[str, int]] = {}
    for what, symbol, rule, severity, pause_s, step in moves:
        at_s += pause_s
        if what == "open":
            running[tape.opened(at_s, symbol, step, rule=rule, severity=severity)] = (symbol, step)
        elif what == "silent":
            running[tape.silent(at_s, symbol)] = (symbol, 0)
        elif running:
            ident = next(iter(running))
            if what == "end":
                running.pop(ident)
                tape.ended(at_s, ident)
            else:
                running[ident] = (symbol, running[ident][1] + 1 + step)
                tape.escalated(at_s, ident, running[ident][1])
    return tape


END_S = 10 * HOUR_S


def within_budget(seen: Seen, terms: Terms) -> None:
    hours: dict[int, int] = {}
    for message in seen.messages:
        great = any(a.occasion != "ended" and a.anomaly.escalation >= terms.free_step for a in message.alerts)
        if message.kind != "digest" and not great:
            hour = message.at // (HOUR_S * NS)
            hours[hour] = hours.get(hour, 0) + 1
    assert all(count <= terms.budget for count in hours.values())


@given(moves=steps, terms=all_terms, silences=hushes)
def test_every_alert_ends_in_one_verdict_or_in_one_message(moves: list, terms: Terms, silences: list[Silence]) -> None:
    tape = tape_of(moves)
    seen = Seen(terms, silences=silences).take(tape, until_s=END_S)
    wanted = [entry for entry in tape.entries if terms.ends or entry.change.change != "ended"]
    assert {seq for seq, _ in seen.alerts} == {entry.seq for entry in wanted}
    assert "waits" not in seen.verdicts()
    named = [(alert.seq, message.number) for message in seen.messages for alert in message.alerts]
    told = [(seq, alert.message) for (seq, _), alert in seen.alerts.items() if alert.verdict is None]
    assert sorted(named) == sorted(told), "each told alert stands in its message, and in no other"
    assert all(alert.verdict is None for message in seen.messages for alert in message.alerts)
    assert seen.desk.next is None


@given(moves=steps, terms=all_terms, silences=hushes, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_stopping_and_dividing_do_not_matter(
    moves: list, terms: Terms, silences: list[Silence], cuts: list[int]
) -> None:
    tape = tape_of(moves)
    whole = Seen(terms, silences=silences).take(tape, until_s=END_S)
    parts = Seen(terms, silences=silences)
    for start, stop in pairwise([0, *sorted(cuts), len(tape.entries)]):
        parts.desk.take(tape.entries[start:stop], silences)
        parts.keep(parts.desk.collect())
        parts.stop()
    parts.pass_to(END_S)
    assert parts.alerts == whole.alerts
    assert parts.messages == whole.messages


@given(moves=steps, terms=all_terms, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_what_is_more_than_a_message_names_is_told_all_the_same(moves: list, terms: Terms, cuts: list[int]) -> None:
    tape = tape_of(moves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(piles, "PAGE", 2)
        patch.setattr(piles, "MOST", 4)
        patch.setattr(desk, "MOST", 4)
        whole, parts = Seen(terms).take(tape), Seen(terms)
        for start, stop in pairwise([0, *sorted(cuts), len(tape.entries)]):
            parts.desk.take(tape.entries[start:stop], ())
            parts.keep(parts.desk.collect())
            parts.stop()
        for hour in range(1, 40):
            whole.pass_to(hour * HOUR_S)
            parts.pass_to(hour * HOUR_S)
            parts.stop()
    assert (parts.alerts, parts.messages) == (whole.alerts, whole.messages)
    assert "waits" not in whole.verdicts()
    assert all(len(message.alerts) <= 4 for message in whole.messages)
    assert set(parts.stored) == {""}


@given(moves=steps, terms=all_terms, span_ns=st.sampled_from((60 * NS, 400 * NS, HOUR_S * NS)))
def test_lanes_may_stand_one_after_the_other(moves: list, terms: Terms, span_ns: int) -> None:
    tape = tape_of(moves)
    lanes = sorted(tape.entries, key=lambda entry: (entry.change.at // span_ns, entry.change.anomaly.symbol))
    seen, usual = Seen(terms), Seen(terms).take(tape, until_s=END_S)
    numbers = {}
    for seq, (before, change) in enumerate(lanes, 1):
        numbers[seq] = before
        seen.desk.take([desk.Entry(seq, change)], ())
    seen.pass_to(END_S)
    judged = {numbers[seq]: alert.verdict for (seq, _), alert in seen.alerts.items()}
    assert judged == {seq: alert.verdict for (seq, _), alert in usual.alerts.items()}
    within_budget(seen, terms)


@given(moves=steps, terms=all_terms)
def test_telling_twice_does_not_matter(moves: list, terms: Terms) -> None:
    tape = tape_of(moves)
    seen = Seen(terms).take(tape)
    seen.store()
    before = seen.stored
    seen.desk.take(tape.entries, ())
    assert seen.desk.collect() == Decided([], [])
    seen.store()
    assert seen.stored == before


@given(moves=steps, terms=all_terms)
def test_a_channel_is_told_no_more_than_its_budget_and_its_exceptions(moves: list, terms: Terms) -> None:
    within_budget(Seen(terms).take(tape_of(moves), until_s=END_S), terms)


@given(moves=steps)
def test_the_first_alert_of_a_symbol_is_told_within_half_a_second_or_with_its_event(moves: list) -> None:
    terms = replace(TERMS, severity="low", budget=10**6)
    seen = Seen(terms).take(tape_of(moves), until_s=END_S)
    began: dict[str, int] = {}
    for message in seen.messages:
        for alert in message.alerts:
            lane = f"{alert.anomaly.kind} {alert.anomaly.symbol}"
            late = message.at - alert.at
            if lane not in began and alert.occasion == "opened" and late > NS // 2:
                earlier = [m for m in seen.messages if m.number < message.number and m.at > alert.at - 10 * NS]
                assert any(m.kind == "market" for m in earlier), "only an event that is known to be market-wide waits"
            began.setdefault(lane, message.at)
