"""What the desk remembers from one decision to the next: plain values, stored with each of them."""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from tapewatch.alert import Alert, Began, HeldBack
from tapewatch.dispatch.stages import Told, lane_of, reach
from tapewatch.model import NS, Anomaly, Direction

VERSION = 2

NAMED_MAX: Final = 16
"""Anomalies that a ledger of what was held back remembers: a message names fewer."""

MOVES_MAX: Final = 256
"""Moves that are remembered to see whether others move along."""

SENT_MAX: Final = 1_000
"""Messages of an hour that are counted: a budget of more is none."""

HOUR_NS: Final = 3_600 * NS


Standing = Mapping[str, Anomaly]
"""Anomalies as they stand now, by id: their peaks may be larger than what the last change of them said."""


def larger(anomaly: Anomaly, standing: Standing) -> Anomaly:
    """Give an anomaly as it stands now, where it has grown since."""
    now = standing.get(anomaly.id)
    return anomaly if now is None or abs(now.peak_observed) <= abs(anomaly.peak_observed) else now


class Event(Struct):
    """What a channel is told together: the market's anomalies, or the feed's, until it has been quiet for a while.

    The first alert is told at once; what comes behind it waits until the channel may be told again.

    Attributes
    ----------
    last
        When its last message was written; None: none yet. Ns by the lanes' clock, like all times here.
    due
        When what waits is to be told; None: nothing waits.
    look_at
        When to look whether what was told has grown; None: not at all.
    began
        Lane → where the event began on it; of lanes that it has told.
    told
        Id → how large it was when it was told last.
    reached
        The largest of these.
    messages
        How many were written.
    """

    last: int | None = None
    due: int | None = None
    look_at: int | None = None
    began: dict[str, Began] = msgspec.field(default_factory=dict)
    told: dict[str, float] = msgspec.field(default_factory=dict)
    reached: float = 0.0
    messages: int = 0

    @property
    def next(self) -> int | None:
        """When it is to be looked at."""
        return min((moment for moment in (self.due, self.look_at) if moment is not None), default=None)

    def hurry(self, moment: int) -> None:
        """Tell what waits at a moment, or before."""
        self.due = moment if self.due is None else min(self.due, moment)


class Move(Struct, frozen=True, array_like=True):
    """A move of a lane, large or small: `weight` 1 is told alone."""

    at: int
    lane: str
    direction: Direction
    weight: float


class Ledger(Struct):
    """What a channel was not told since its last message; bounded, whatever comes.

    Attributes
    ----------
    since
        Of the first of them.
    """

    since: int = 0
    count: int = 0
    silenced: int = 0
    largest: dict[str, Anomaly] = msgspec.field(default_factory=dict)

    def add(self, alert: Alert) -> None:
        """Note an alert that was judged and not told."""
        if not self.count:
            self.since = alert.at
        self.count += 1
        anomaly = alert.anomaly
        if alert.verdict == "silenced":
            self.silenced += 1
            return
        if anomaly.kind == "feed":
            return
        key = f"{lane_of(alert)} {anomaly.direction}"
        if (before := self.largest.get(key)) is None or reach(anomaly) > reach(before):
            self.largest[key] = anomaly
        if len(self.largest) > NAMED_MAX:
            del self.largest[min(self.largest, key=lambda each: reach(self.largest[each]))]

    def close(self, since: int | None, standing: Standing, told: Collection[str]) -> HeldBack | None:
        """Hand over what was noted, as it stands now, and begin anew; None: there was nothing.

        Parameters
        ----------
        since
            When the last message was written; None: there was none.
        told
            Ids of what the message tells anyway.
        """
        if not self.count:
            return None
        current = (larger(each, standing) for each in self.largest.values() if each.id not in told)
        largest = sorted(current, key=lambda each: (-reach(each), each.sort_key()))
        closed = HeldBack(self.since if since is None else since, self.count, self.silenced, tuple(largest))
        self.count, self.silenced, self.largest = 0, 0, {}
        return closed


class ChannelMemory(Struct):
    """What the desk remembers of one channel.

    Attributes
    ----------
    told, named
        See `Scene`. A lane's are forgotten when they have cooled down by its own clock: lanes need not keep step, and
        a clock that was ahead once may not make the others forget. So there are at most as many as lanes times rules
        and directions.
    broad
        Direction → when several symbols that moved together were told, and how much they weighed.
    events
        By kind of anomaly: an exchange that falls silent is another event than a market that falls.
    sent
        By kind of anomaly, when the messages of the last hour were written: a feed's do not compete with a market's.
    moves
        Of the last seconds.
    alone_until
        Direction → until when the oldest of those waits that are too small to be told alone.
    held, held_at
        What was held back, and when a message told of it last.
    digest_at
        When the next digest is due; None: nothing waits for one.
    late_at
        When a digest of what was late was put together last.
    """

    told: dict[str, dict[str, Told]] = msgspec.field(default_factory=dict)
    broad: dict[str, Told] = msgspec.field(default_factory=dict)
    named: dict[str, int] = msgspec.field(default_factory=dict)
    events: dict[str, Event] = msgspec.field(default_factory=dict)
    sent: dict[str, list[int]] = msgspec.field(default_factory=dict)
    moves: list[Move] = msgspec.field(default_factory=list)
    alone_until: dict[str, int] = msgspec.field(default_factory=dict)
    held: Ledger = msgspec.field(default_factory=Ledger)
    held_at: int | None = None
    digest_at: int | None = None
    late_at: int | None = None

    def spent(self, kind: str, at: int, budget: int) -> float:
        """Tell which part of the hour's budget is spent at a moment, 0 … 1."""
        if budget > SENT_MAX:
            return 0.0
        recent = [each for each in self.sent.get(kind, ()) if abs(at - each) < HOUR_NS]
        return min(1.0, len(recent) / budget)

    def note_sent(self, kind: str, at: int) -> None:
        """Note a message; a clock that was set back or ran ahead for hours forgets those of elsewhere."""
        self.sent[kind] = [*(each for each in self.sent.get(kind, ()) if abs(at - each) < HOUR_NS), at][-SENT_MAX:]

    def forget(self, lane: str, past: int) -> None:
        """Forget what has cooled down on a lane, by the lane's own clock."""
        recent = {key: each for key, each in self.told.pop(lane, {}).items() if each.at > past}
        if recent:
            self.told[lane] = recent

    @property
    def next(self) -> int | None:
        """When something is due by itself; None: nothing waits."""
        moments = [each.next for each in self.events.values()] + [self.digest_at, *self.alone_until.values()]
        return min((moment for moment in moments if moment is not None), default=None)


class Memory(Struct):
    """All that the desk must not forget but what waits to be told, which may be much and stands in pages of its own.

    Attributes
    ----------
    position
        Number of the last change that was taken, by ``seq``.
    number
        Of the last message.
    ill
        Lane → id of an open feed anomaly → its rule.
    """

    version: int = VERSION
    position: int = 0
    number: int = 0
    ill: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    channels: dict[str, ChannelMemory] = msgspec.field(default_factory=dict)
