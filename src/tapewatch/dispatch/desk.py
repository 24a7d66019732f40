"""Where it is decided what is told: changes of anomalies in, judged alerts and messages out.

A pure fold with explicit state, like detection: no I/O and no clock. Its memory goes into the transaction that stores
what it decided, so that a killed process goes on as if nothing had happened.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import msgspec
from msgspec.structs import replace

from tapewatch.alert import Alert, Message, MessageKind, Silence
from tapewatch.dispatch.memory import VERSION, ChannelMemory, Group, Memory
from tapewatch.dispatch.piles import MOST, Piles
from tapewatch.dispatch.stages import Scene, Terms, Told, judge, lane_of
from tapewatch.errors import SnapshotError
from tapewatch.figures import clock, day_clock, duration, number
from tapewatch.model import NS, Change

GATHER_NS = NS // 2
"""How long the second symbol of an event waits for a third; the first one waits for nobody."""

LEAP = 2
"""Steps of escalation above what an event has told that do not wait for its next update: four times as far."""

HOUR_NS = 3_600 * NS

HOURS = 24
"""Clock hours before and behind the last message's whose budgets are remembered: lanes need not keep step."""

MAIN = ""
"""Name of the snapshot's first page."""

DIGEST = "digest"
"""What waits for a channel's next digests, beside what waits for updates on its events."""


class Entry(NamedTuple):
    """A change and its number in the log."""

    seq: int
    change: Change


class Decided(NamedTuple):
    """What was decided since somebody asked last.

    Attributes
    ----------
    alerts
        Those that are new or were decided anew; one with a verdict changes no more.
    messages
        To be sent.
    """

    alerts: list[Alert]
    messages: list[Message]


class Desk:
    """Judge what happens, for every channel.

    Parameters
    ----------
    terms
        One per channel.
    memory
        Of before; None: a new desk.
    piles
        What waits to be told, by channel and event, or for its digests.
    """

    def __init__(self, terms: Sequence[Terms], memory: Memory | None = None, piles: Piles | None = None) -> None:
        self._memory = memory or Memory()
        self._terms = {each.channel: each for each in terms}
        self._alerts: dict[tuple[int, str], Alert] = {}
        self._messages: list[Message] = []
        self._piles = piles or Piles({})
        for name in [name for name in self._memory.channels if name not in self._terms]:
            self._close(name, self._memory.channels.pop(name))
        for name in self._terms:
            self._memory.channels.setdefault(name, ChannelMemory())

    @classmethod
    def restore(cls, terms: Sequence[Terms], snapshot: Mapping[str, bytes]) -> Self:
        """Go on with all pages that `changed` wrote and that are not empty.

        What waits for a channel that is no more ends here.

        Raises
        ------
        SnapshotError
            It is no snapshot of this version.
        """
        try:
            memory = msgspec.json.decode(snapshot[MAIN], type=Memory)
            if memory.version != VERSION:
                raise SnapshotError(f"what alerting remembers is of version {memory.version}, expected {VERSION}")
            piles = Piles({name: page for name, page in snapshot.items() if name != MAIN})
        except (KeyError, ValueError, msgspec.DecodeError) as error:
            raise SnapshotError(f"what alerting remembers cannot be read: {error}") from None
        return cls(terms, memory, piles)

    def changed(self) -> dict[str, bytes]:
        """Write down the pages that are others than when it was asked last; an empty one is to be forgotten."""
        return {MAIN: msgspec.json.encode(self._memory), **self._piles.changed()}

    @property
    def position(self) -> int:
        """Number of the last change that was taken."""
        return self._memory.position

    @property
    def next(self) -> int | None:
        """When something is due by itself, ns by the lanes' clock; None: nothing waits."""
        moments = [group.next for each in self._memory.channels.values() for group in each.groups.values()]
        moments += [each.digest_at for each in self._memory.channels.values() if each.digest_at is not None]
        return min(moments, default=None)

    def take(self, entries: Iterable[Entry], silences: Sequence[Silence], now: int | None = None) -> None:
        """Judge changes of the log, in the order in which they happened; what was taken before is left alone.

        The log keeps the order of each lane; lanes that were detected together stand in it one after the other.

        Parameters
        ----------
        now
            The lanes' clock, ns; None: whenever the changes happened.
        """
        new = [entry for entry in entries if entry.seq > self._memory.position]
        self._memory.position = max((entry.seq for entry in new), default=self._memory.position)
        for entry in sorted(new, key=lambda entry: (entry.change.at, entry.seq)):
            self._turn(entry.change.at - 1)
            self._note_feed(entry.change)
            for name, terms in self._terms.items():
                self._judge(self._memory.channels[name], terms, entry, silences, now)

    def skip(self, seq: int) -> None:
        """Pass over what could not be read, up to a change of the log."""
        self._memory.position = max(self._memory.position, seq)

    def advance(self, now: int) -> None:
        """Tell what is due at a moment, ns by the lanes' clock."""
        self._turn(now)

    def announce(self, at: int, text: str, *, well: bool, but: Collection[str] = ()) -> None:
        """Tell all channels but some of tapewatch itself, whatever their budgets; `at` is ns by the lanes' clock."""
        for channel in self._terms:
            if channel not in but:
                self._memory.number += 1
                self._messages.append(Message(self._memory.number, channel, "health", at, (), note=text, well=well))

    def collect(self) -> Decided:
        """Hand over what was decided."""
        decided = Decided(list(self._alerts.values()), self._messages)
        self._alerts, self._messages = {}, []
        return decided

    def _judge(
        self, channel: ChannelMemory, terms: Terms, entry: Entry, silences: Sequence[Silence], now: int | None
    ) -> None:
        change = entry.change
        if change.change == "ended" and not terms.ends:
            channel.named.pop(change.anomaly.id, None)
            return
        alert = Alert(entry.seq, terms.channel, change.change, change.at, change.anomaly)
        _cool(channel.told, lane_of(alert), alert.at - terms.cool_down_ns)
        alert = judge(alert, Scene(terms, silences, self._memory.ill, channel.told, channel.named, now))
        if change.change == "ended":
            channel.named.pop(change.anomaly.id, None)
        if alert.verdict is not None:
            self._decide(alert)
            return
        if change.change != "ended":
            told = channel.told.setdefault(lane_of(alert), {})
            told[alert.anomaly.rule] = Told(alert.at, alert.anomaly.escalation)
            channel.named[alert.anomaly.id] = alert.at
        if now is not None and now - alert.at > terms.late_ns:
            self._put_off_late(channel, terms, alert, now)
        elif (
            change.change == "ended"
            and channel.digest_at
            and self._piles.holds(_pile(terms.channel, DIGEST), alert.anomaly.id)
        ):
            self._put_off(channel, terms, [alert], channel.digest_at, "with what it is about")
        elif terms.group_ns == 0:
            self._tell(channel, terms, alert.at, [alert])
        else:
            self._gather(channel, terms, alert)

    def _gather(self, channel: ChannelMemory, terms: Terms, alert: Alert) -> None:
        event: str = alert.anomaly.kind
        if alert.occasion == "ended" and not self._piles.holds(_pile(terms.channel, event), alert.anomaly.id):
            event = f"{event} over"
        group = channel.groups.get(event)
        if group is None or alert.at < group.began - HOUR_NS:  # a clock that was set back must not hold it up
            group = Group(alert.at, alert.at, alert.at + terms.group_ns, terms.group_ns)
            channel.groups[event] = group
        market_wide = len(group.lanes) > 1 and alert.at <= group.began + terms.group_ns
        another = alert.occasion == "opened" and lane_of(alert) not in group.lanes and not market_wide
        if another or (alert.occasion != "ended" and alert.anomaly.escalation >= group.reached + LEAP):
            group.hurry(alert.at + GATHER_NS)
        before = self._piles.add(_pile(terms.channel, event), alert)
        when = f"told with its event at {clock(group.next)}"
        late = f"told with a later update on its event: {number(before, 0)} wait before it"
        self._decide(replace(alert, reason=when if before < MOST else late))

    def _turn(self, now: int) -> None:
        # Everything that is due until a moment, in the order in which it was due.
        while (moment := self.next) is not None and moment <= now:
            for name, terms in self._terms.items():
                channel = self._memory.channels[name]
                for event in [event for event, group in channel.groups.items() if group.next <= moment]:
                    self._update(channel, terms, event, moment)
                if channel.digest_at is not None and channel.digest_at <= moment:
                    self._send_digest(channel, terms, channel.digest_at, now)

    def _update(self, channel: ChannelMemory, terms: Terms, event: str, moment: int) -> None:
        group = channel.groups[event]
        waiting, group.due = self._piles.take(_pile(terms.channel, event)), None
        if waiting:
            self._tell(channel, terms, moment, waiting, group)
        if moment < group.update_at:
            return
        if not waiting:
            del channel.groups[event]
            return
        group.span = max(group.span, min(2 * group.span, terms.follow_up_max_ns))
        group.update_at = moment + group.span

    def _tell(
        self, channel: ChannelMemory, terms: Terms, at: int, alerts: list[Alert], group: Group | None = None
    ) -> None:
        hour = at // HOUR_NS
        channel.spent = {each: count for each, count in channel.spent.items() if abs(each - hour) <= HOURS}
        spent = channel.spent.get(hour, 0)
        free = any(alert.occasion != "ended" and alert.anomaly.escalation >= terms.free_step for alert in alerts)
        if spent >= terms.budget and not free:
            self._put_off(channel, terms, alerts, (hour + 1) * HOUR_NS, "over the budget")
            return
        channel.spent[hour] = spent + 1
        group = group or Group(at, None, at, 0)
        lanes = {lane_of(alert) for alert in alerts}
        moved = {lane_of(alert) for alert in alerts if alert.occasion != "ended"}
        earlier = [lane for lane in group.lanes if lane not in lanes]
        second = len(group.lanes) == 1 and bool(earlier) and bool(moved)  # which makes the event market-wide
        market = len(lanes) > 1 or second
        about = f", about {len(lanes) + len(earlier)} symbols" if market else ""
        symbols = tuple(lane.partition(":")[2] for lane in earlier) if market else ()
        told = {"update": group.messages > 0, "earlier": symbols}
        self._send("market" if market else "symbol", terms.channel, at, alerts, about, **told)
        group.messages += 1
        group.lanes = sorted({*group.lanes, *moved})
        group.reached = max(group.reached, *(alert.anomaly.escalation for alert in alerts))

    def _put_off_late(self, channel: ChannelMemory, terms: Terms, alert: Alert, now: int) -> None:
        # One digest at once, and then one an hour: who catches up with a lot finds it bit by bit.
        lately = channel.late_at is not None and channel.late_at <= now < channel.late_at + HOUR_NS
        if channel.late_at != now and not lately:
            channel.late_at = now
        at = now + GATHER_NS if channel.late_at == now else (now // HOUR_NS + 1) * HOUR_NS
        self._put_off(channel, terms, [alert], at, "late")

    def _put_off(self, channel: ChannelMemory, terms: Terms, alerts: list[Alert], at: int, why: str) -> None:
        channel.digest_at = at if channel.digest_at is None else min(channel.digest_at, at)
        for alert in alerts:
            full = self._piles.add(_pile(terms.channel, DIGEST), alert) // MOST
            due = (channel.digest_at // HOUR_NS + full) * HOUR_NS if full else channel.digest_at
            told = day_clock(due, alert.at)[: -len(":00")]
            self._decide(replace(alert, reason=f"{why}: for the digest of {told}"))

    def _send_digest(self, channel: ChannelMemory, terms: Terms, at: int, now: int) -> None:
        alerts = self._piles.take(_pile(terms.channel, DIGEST))
        left = self._piles.count(_pile(terms.channel, DIGEST))
        channel.digest_at = (now // HOUR_NS + 1) * HOUR_NS if left else None
        age_s = (now - min(alert.at for alert in alerts)) / NS
        notes = [f"This goes back {duration(age_s)}."] if age_s > (terms.late_ns + HOUR_NS) / NS else []
        notes += [f"{number(left, 0)} more in the next digests, one an hour."] if left else []
        about = f": the digest of {clock(at, '%H:%M')}"
        self._send("digest", terms.channel, at, alerts, about, note=" ".join(notes))

    def _send(self, kind: MessageKind, channel: str, at: int, alerts: list[Alert], about: str, **told: Any) -> None:
        self._memory.number += 1
        named = tuple(
            replace(alert, message=self._memory.number, reason=f"in message {self._memory.number}{about}")
            for alert in alerts
        )
        self._messages.append(Message(self._memory.number, channel, kind, at, named, **told))
        for alert in named:
            self._decide(alert)

    def _decide(self, alert: Alert) -> None:
        self._alerts[alert.seq, alert.channel] = alert

    def _note_feed(self, change: Change) -> None:
        anomaly = change.anomaly
        if anomaly.kind != "feed":
            return
        name = f"{anomaly.venue}:{anomaly.symbol}"
        lane = self._memory.ill.setdefault(name, {})
        if change.change == "ended":
            lane.pop(anomaly.id, None)
        else:
            lane[anomaly.id] = anomaly.rule
        if not lane:
            del self._memory.ill[name]

    def _close(self, name: str, channel: ChannelMemory) -> None:
        for pile in [_pile(name, event) for event in (*channel.groups, DIGEST)]:
            while alerts := self._piles.take(pile):
                for alert in alerts:
                    self._decide(
                        replace(alert, verdict="undelivered", reason="its channel was removed before it was told")
                    )


def _pile(channel: str, event: str) -> str:
    return f"/{channel}/{event}"


def _cool(told: dict[str, dict[str, Told]], lane: str, past: int) -> None:
    # Forget what has cooled down, by the lane's own clock.
    recent = {rule: each for rule, each in told.pop(lane, {}).items() if each.at > past}
    if recent:
        told[lane] = recent
