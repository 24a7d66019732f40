"""How soon, and what moves together: the numbers of each by hand."""

import math

import pytest
from msgspec.structs import replace

from support.alerts import EVEN, T0, TERMS
from support.records import anomaly
from tapewatch.alert import Alert, Began
from tapewatch.dispatch.memory import MOVES_MAX, ChannelMemory, Event, Move
from tapewatch.dispatch.pace import breadth, is_broad, moment_of, note_move, span_after
from tapewatch.dispatch.stages import Terms, Told
from tapewatch.model import NS, Lane


def alert(at_s: float = 0, symbol: str = "BTC-USD", occasion: str = "opened", **fields: object) -> Alert:
    found = anomaly(1, Lane("coinbase", symbol), **fields)
    return Alert(1, "phone", occasion, T0 + round(at_s * NS), found)  # type: ignore[arg-type]


@pytest.mark.parametrize(("spent", "span_s"), [(0.0, 10.0), (0.5, math.sqrt(3_000)), (1.0, 300.0)])
def test_the_span_grows_from_the_least_to_the_longest(spent: float, span_s: float) -> None:
    assert span_after(TERMS, spent) / NS == pytest.approx(span_s)


@pytest.mark.parametrize(("terms", "span_s"), [(replace(TERMS, group_ns=0), 0), (EVEN, 10)])
def test_a_span_that_cannot_grow_stays(terms: Terms, span_s: int) -> None:
    assert span_after(terms, 1.0) == span_s * NS


TOLD = Event(last=T0, began={"coinbase:BTC-USD": Began(T0, 1.0)}, reached=2.0, messages=1)
SEVERAL = Event(last=T0, began={f"coinbase:{name}": Began(T0, 1.0) for name in "AB"}, reached=2.0, messages=2)


@pytest.mark.parametrize(
    ("event", "what", "muted", "moment_s"),
    [
        (Event(), alert(3), False, 3),  # the first
        (Event(), alert(3), True, 483),
        (TOLD, alert(3), False, 10),
        (TOLD, alert(12), False, 12),
        (TOLD, alert(3), True, 483),
        (TOLD, alert(1, size=40.0, escalation=5), False, 3.6),  # great
        (TOLD, alert(1, occasion="ended", size=40.0, escalation=5), False, 10),  # what is over hurries no one
        (TOLD, alert(1, size=8.0), False, 5),  # four times all that was told
        (TOLD, alert(4.8, size=8.0), False, 5.3),  # gathered for half a second
        (TOLD, alert(1, size=8.0), True, 481),
        (TOLD, alert(1, size=7.9), False, 10),
        (TOLD, alert(1, "ETH-USD"), False, 1.5),  # the second symbol
        (TOLD, alert(1, "ETH-USD", "escalated"), False, 10),
        (TOLD, alert(1, "ETH-USD", "ended"), False, 10),
        (SEVERAL, alert(1, "ETH-USD"), False, 10),  # the third one
    ],
)
def test_when_an_alert_is_told(event: Event, what: Alert, muted: bool, moment_s: float) -> None:
    assert moment_of(event, what, EVEN, 0.0, what.at, muted=muted) == T0 + round(moment_s * NS)


def test_of_each_symbol_its_largest_weight_counts_and_they_add_up_as_if_independent() -> None:
    moves = [
        Move(T0, "A", "down", 0.3),
        Move(T0, "A", "down", 0.6),
        Move(T0, "B", "down", 0.8),
        Move(T0, "C", "up", 5.0),
    ]
    assert breadth(moves, "down") == (2, pytest.approx(1.0))
    assert breadth(moves, "up") == (1, 5.0)
    assert breadth([], "up") == (0, 0.0)


def remembered(*weights: float) -> ChannelMemory:
    return ChannelMemory(moves=[Move(T0, f"coinbase:S{n}", "up", weight) for n, weight in enumerate(weights)])


@pytest.mark.parametrize(
    ("weights", "terms", "broad"),
    [
        ((0.8, 0.6), TERMS, True),
        ((0.8, 0.59), TERMS, False),
        ((0.9,), TERMS, False),  # alone
        ((1.0,) * 9, replace(TERMS, group_ns=0), False),
    ],
)
def test_several_that_weigh_as_much_as_one_are_broad(weights: tuple[float, ...], terms: Terms, broad: bool) -> None:
    channel = remembered(*weights)
    assert is_broad(channel, alert(), terms) is broad
    assert (channel.broad != {}) is broad


@pytest.mark.parametrize(
    ("ago_s", "weight", "broad"),
    [(0, 3.9, False), (0, 4.1, True), (180, 2.1, True), (900, 1.9, False), (3_600, 1.0, True)],
)
def test_what_is_broad_has_a_bar_of_its_own_which_stays_at_two(ago_s: int, weight: float, broad: bool) -> None:
    channel = remembered(weight, 0.01)
    channel.broad["up"] = Told(T0 - ago_s * NS, 2.0)
    assert is_broad(channel, alert(), TERMS) is broad


def test_moves_are_remembered_for_as_long_as_others_may_move_along_and_no_more_than_a_number_of_them() -> None:
    channel = ChannelMemory()
    for at_s in (0, 5, 10, 11):
        note_move(channel, alert(at_s, f"S{at_s}-USD", size=1.5), TERMS)
    assert channel.moves == [Move(T0 + at_s * NS, f"coinbase:S{at_s}-USD", "up", 0.75) for at_s in (5, 10, 11)]
    note_move(channel, alert(12, occasion="ended"), TERMS)
    note_move(channel, alert(12, direction=None), TERMS)
    assert len(channel.moves) == 3
    for number in range(2 * MOVES_MAX):
        note_move(channel, alert(13, f"S{number}-USD"), TERMS)
    assert len(channel.moves) == MOVES_MAX
