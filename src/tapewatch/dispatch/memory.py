"""What the desk remembers from one decision to the next: plain values, stored with each of them."""

import msgspec
from msgspec import Struct

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


class ChannelMemory(Struct):
    """What the desk remembers of one channel.

    Attributes
    ----------
    told, named
        See `Scene`. A lane's are forgotten when they have cooled down by its own clock: lanes need not keep step, and
        a clock that was ahead once may not make the others forget. So there are at most as many as lanes times rules.
    groups
        By kind of anomaly: an exchange that falls silent is another event than a market that falls; and what ends is
        told together, but with no beginning.
    spent
        Clock hour → how many messages it had; of the hours around the last message's.
    digest_at
        When the next digest is due; None: nothing waits for one.
    late_at
        When a digest of what was late was put together last.
    """

    told: dict[str, dict[str, Told]] = msgspec.field(default_factory=dict)
    named: dict[str, int] = msgspec.field(default_factory=dict)
    groups: dict[str, Group] = msgspec.field(default_factory=dict)
    spent: dict[int, int] = msgspec.field(default_factory=dict)
    digest_at: int | None = None
    late_at: int | None = None


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
