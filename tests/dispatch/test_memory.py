"""What is remembered of what was told and what was not: how much at most, and for how long."""

from msgspec.structs import replace

from support.alerts import T0
from support.records import anomaly
from tapewatch.alert import Alert, HeldBack, Verdict
from tapewatch.dispatch.memory import NAMED_MAX, SENT_MAX, ChannelMemory, Ledger, larger
from tapewatch.dispatch.stages import Told
from tapewatch.model import NS, Anomaly, Lane


def move(number: int, size: float, symbol: str = "BTC-USD", **fields: object) -> Anomaly:
    return anomaly(number, Lane("coinbase", symbol), **{"size": size, "peak_observed": size / 4, **fields})


def held(found: Anomaly, verdict: Verdict = "cooling", at: int = T0) -> Alert:
    return Alert(1, "phone", "opened", at, found, verdict, "why")


def test_an_anomaly_is_taken_as_it_stands_where_it_has_grown() -> None:
    before, now = move(1, 2.0), move(1, 3.0)
    assert larger(before, {before.id: now}) == now
    assert larger(now, {before.id: before}) == now
    assert larger(before, {}) == before


def test_a_ledger_keeps_the_largest_of_each_symbol_and_direction() -> None:
    ledger = Ledger()
    largest = [move(2, 3.0), move(3, 2.5, direction="down"), move(4, 1.5, "ETH-USD")]
    for found in (move(1, 2.0), *largest, move(5, 1.2)):
        ledger.add(held(found))
    assert ledger.close(None, {}, set()) == HeldBack(T0, 5, 0, tuple(largest))
    assert ledger.close(None, {}, set()) is None, "it begins anew"


def test_a_ledger_counts_what_it_does_not_name() -> None:
    ledger = Ledger()
    ledger.add(held(move(1, 9.0), "silenced", T0 + 5))
    ledger.add(held(anomaly(2, kind="feed", rule="silent_feed", size=None)))
    assert ledger.close(None, {}, set()) == HeldBack(T0 + 5, 2, 1, ())


def test_a_ledger_says_since_when_and_leaves_out_what_the_message_tells_itself() -> None:
    ledger = Ledger()
    small, other = move(1, 1.5), move(2, 1.2, "ETH-USD")
    ledger.add(held(small))
    ledger.add(held(other))
    closed = ledger.close(T0 - NS, {other.id: replace(other, size=2.0, peak_observed=0.5)}, {small.id})
    assert closed == HeldBack(T0 - NS, 2, 0, (replace(other, size=2.0, peak_observed=0.5),))


def test_a_ledger_is_bounded_and_keeps_the_largest_of_all() -> None:
    ledger = Ledger()
    sizes = [1 + (7 * number % 100) / 100 for number in range(100)]
    for number, size in enumerate(sizes):
        ledger.add(held(move(number, size, f"S{number}-USD")))
        assert len(ledger.largest) <= NAMED_MAX
    closed = ledger.close(None, {}, set())
    assert closed is not None
    assert closed.count == 100
    assert [each.size for each in closed.largest] == sorted(sizes, reverse=True)[:NAMED_MAX]


def test_a_budget_is_that_of_any_hour_and_of_one_kind() -> None:
    memory = ChannelMemory()
    for minute in (0, 30, 59):
        memory.note_sent("market", T0 + minute * 60 * NS)
    assert memory.spent("market", T0 + 59 * 60 * NS, 6) == 0.5
    assert memory.spent("market", T0 + 60 * 60 * NS, 6) == 2 / 6
    assert memory.spent("market", T0 + 59 * 60 * NS, 2) == 1.0
    assert memory.spent("feed", T0 + 59 * 60 * NS, 1) == 0.0
    memory.note_sent("market", T0 + 121 * 60 * NS)
    assert len(memory.sent["market"]) == 1
    for number in range(2 * SENT_MAX):
        memory.note_sent("feed", T0 + number)
    assert len(memory.sent["feed"]) == SENT_MAX


def test_what_has_cooled_down_is_forgotten_lane_by_lane() -> None:
    told = {"pct_spike up": Told(T0, 2.0), "abs_jump up": Told(T0 + 1, 2.0)}
    memory = ChannelMemory(told={"a": dict(told), "b": dict(told)})
    memory.forget("a", T0)
    assert memory.told == {"a": {"abs_jump up": Told(T0 + 1, 2.0)}, "b": told}
    memory.forget("a", T0 + 1)
    assert memory.told == {"b": told}
