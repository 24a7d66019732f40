"""How soon a channel may be told again, and what moves together: an event, a budget and moves in, moments out."""

import math
from collections.abc import Iterable
from typing import Final

from tapewatch.alert import Alert
from tapewatch.dispatch.memory import MOVES_MAX, ChannelMemory, Event, Move
from tapewatch.dispatch.stages import Terms, Told, bar, floor_of, great, lane_of, reach
from tapewatch.model import NS, Direction

GATHER_NS: Final = NS // 2
"""How long what hurries waits for more of it; the first alert of an event waits for nobody."""

LEAP: Final = 4.0
"""What is so many times as large as all that an event has told hurries."""

GREAT_PART: Final = 0.36
"""A great move waits for this part of the span between two messages: of five minutes 108 s."""

LATER_NS: Final = 480 * NS
"""What is muted and may not be left out comes at the latest so long after it happened."""

EVENT_NS: Final = 600 * NS
"""So long after its last message an event is over."""

GROWN: Final = 1.5
"""What has become so many times as large as it was told is told again."""

KEPT_BROAD: Final = 2.0
"""As `stages.KEPT`, for several symbols that move together."""


def span_after(terms: Terms, spent: float) -> int:
    """Give the time from one message to the next, ns: the longer, the more of the budget is spent."""
    if not terms.group_ns or terms.follow_up_max_ns <= terms.group_ns:
        return terms.group_ns
    return round(terms.group_ns * math.pow(terms.follow_up_max_ns / terms.group_ns, spent))


def moment_of(event: Event, alert: Alert, terms: Terms, spent: float, at: int, *, muted: bool) -> int:
    """Find when an alert is to be told.

    Parameters
    ----------
    at
        When that is asked, ns by the lanes' clock: it may have waited for others.
    muted
        It is named only because it is too large to be left out.
    """
    wait = at + LATER_NS if muted else at
    if event.last is None:
        return wait
    hurries = great(alert.anomaly, terms) and alert.occasion != "ended"
    span = span_after(terms, spent) * (GREAT_PART if hurries else 1.0)
    moment = max(wait, event.last + round(span))
    if muted or alert.occasion == "ended":
        return moment
    soon = at + GATHER_NS
    if event.reached and reach(alert.anomaly) >= LEAP * event.reached:
        moment = min(moment, max(soon, event.last + terms.group_ns // 2))
    second = alert.occasion == "opened" and len(event.began) == 1 and lane_of(alert) not in event.began
    if second and at <= event.last + terms.group_ns:
        moment = min(moment, soon)
    return moment


def note_move(channel: ChannelMemory, alert: Alert, terms: Terms) -> None:
    """Remember a move for as long as others may move along with it."""
    direction = alert.anomaly.direction
    if direction is None or alert.occasion == "ended":
        return
    weight = reach(alert.anomaly) / floor_of(alert.anomaly, terms)
    recent = [each for each in channel.moves if abs(alert.at - each.at) <= terms.group_ns]
    channel.moves = [*recent, Move(alert.at, lane_of(alert), direction, weight)][-MOVES_MAX:]


def breadth(moves: Iterable[Move], direction: Direction | None) -> tuple[int, float]:
    """Weigh what moves one way together, as if the symbols moved independently.

    Returns
    -------
    lanes, weight
        How many there are, and the root of the sum of the squares of each one's largest weight.
    """
    largest: dict[str, float] = {}
    for move in moves:
        if move.direction == direction:
            largest[move.lane] = max(largest.get(move.lane, 0.0), move.weight)
    return len(largest), math.sqrt(sum(weight * weight for weight in largest.values()))


def is_broad(channel: ChannelMemory, alert: Alert, terms: Terms) -> bool:
    """Tell whether several symbols move together with this one, and more than was told; if so, remember it."""
    direction = alert.anomaly.direction
    if direction is None or alert.occasion == "ended" or not terms.group_ns:
        return False
    lanes, weight = breadth(channel.moves, direction)
    told = channel.broad.get(direction)
    muted = told is not None and told.at <= alert.at < told.at + terms.cool_down_ns
    if lanes < 2 or weight < 1.0 or (told and muted and weight <= bar(told, alert.at, terms, KEPT_BROAD)):  # noqa: PLR2004  # several
        return False
    channel.broad[direction] = Told(alert.at, weight)
    return True
