"""What the desk remembers from one decision to the next: plain values, stored with each of them."""

import msgspec
from msgspec import Struct

from tapewatch.alert import Alert
from tapewatch.dispatch.stages import Told

VERSION = 1


class Group(Struct):
    """One event of a channel: what is told together.

    Its first alert is told at once. The first opening on a second symbol makes it market-wide and is told half a second
    later, and so is an escalation that leaps; whatever else comes waits for the next update. Updates come ``group_ns``
    after the first message, then after twice as long each, up to ``follow_up_max_ns``; the first of these spans in
    which nothing came ends the event.

    Attributes
    ----------
    due
        When something is to be told before the next update; None: nothing.
    update_at, span
        The next update, and the time from the last one to it.
    lanes
        Lanes that it has told.
    reached
        The most steps of escalation that it has told.
    messages
        How many were written.
    """

    began: int
    due: int | None
    update_at: int
    span: int
    waiting: list[Alert] = msgspec.field(default_factory=list)
    lanes: list[str] = msgspec.field(default_factory=list)
    reached: int = 0
    messages: int = 0

    @property
    def next(self) -> int:
        """When it is to be looked at, ns by the lanes' clock."""
        return self.update_at if self.due is None else min(self.due, self.update_at)

    def hurry(self, moment: int) -> None:
        """Tell at a moment what waits by then."""
        self.due = moment if self.due is None else min(self.due, moment)


class Channel(Struct):
    """What the desk remembers of one channel.

    Attributes
    ----------
    told, named
        See `Scene`.
    groups
        By kind of anomaly: an exchange that falls silent is another event than a market that falls; and what ends is
        told together, but with no beginning.
    hour, spent
        The clock hour of the last message, and how many it had.
    waiting, digest_at
        How many wait for a digest, and when that is due.
    late_at
        When a digest of what was late was put together last.
    """

    told: dict[str, Told] = msgspec.field(default_factory=dict)
    named: dict[str, int] = msgspec.field(default_factory=dict)
    groups: dict[str, Group] = msgspec.field(default_factory=dict)
    hour: int = -1
    spent: int = 0
    waiting: int = 0
    digest_at: int | None = None
    late_at: int | None = None


class Memory(Struct):
    """All that the desk must not forget but what waits for digests, which may be much and stands in pages of its own.

    Attributes
    ----------
    position
        Number of the last change that was taken, by ``seq``.
    now
        Latest moment that it has heard of, ns by the lanes' clock.
    number
        Of the last message.
    ill
        Lane → id of an open feed anomaly → its rule.
    """

    version: int = VERSION
    position: int = 0
    now: int = 0
    number: int = 0
    ill: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    channels: dict[str, Channel] = msgspec.field(default_factory=dict)
