"""What one channel is told, and when: judged alerts in, messages out.

A part of the desk, and like it a pure fold: what it remembers stands in its `ChannelMemory` and in the piles.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from tapewatch.alert import Alert, Began, HeldBack, Message, MessageKind, Silence
from tapewatch.dispatch.memory import HOUR_NS, ChannelMemory, Event, Standing, larger
from tapewatch.dispatch.pace import EVENT_NS, GATHER_NS, GROWN, is_broad, moment_of, note_move, span_after
from tapewatch.dispatch.piles import MOST, Piles
from tapewatch.dispatch.stages import (
    Scene,
    Terms,
    Told,
    bar,
    inhibit,
    judge,
    key_of,
    lane_of,
    needed_size,
    not_left_out,
    reach,
    silence,
)
from tapewatch.figures import clock, day_clock, duration, number
from tapewatch.model import NS, Anomaly, Change

DIGEST: Final = "digest"
"""What waits for the channel's next digests, beside what waits for its events or is too small to be told alone."""

HELD_BACK: Final = ("cooling", "small", "held", "silenced")
"""The verdicts of what is held back: the next message counts it."""

TRACKED_MAX: Final = 200
"""Anomalies of an event that are looked at again, to see whether they have grown."""


class Conversation:
    """One channel's part of the desk.

    Parameters
    ----------
    decide
        Takes alerts that are new or were decided anew.
    send
        Takes a message without its number, and gives it one.
    """

    def __init__(
        self,
        terms: Terms,
        memory: ChannelMemory,
        ill: Mapping[str, Mapping[str, str]],
        piles: Piles,
        decide: Callable[[Alert], None],
        send: Callable[[Message], None],
    ) -> None:
        self.terms = terms
        self.memory = memory
        self.silences: Sequence[Silence] = ()
        self._ill = ill
        self._piles = piles
        self._decide = decide
        self._send = send

    def take(self, seq: int, change: Change, now: int | None) -> None:
        """Judge a change of the log; see `Desk.take`."""
        terms, memory = self.terms, self.memory
        if change.change == "ended" and not terms.ends:
            memory.named.pop(change.anomaly.id, None)
            return
        alert = Alert(seq, terms.channel, change.change, change.at, change.anomaly)
        memory.forget(lane_of(alert), alert.at - terms.cool_down_ns)
        spent = memory.spent(alert.anomaly.kind, alert.at, terms.budget)
        alert = judge(alert, Scene(terms, self.silences, self._ill, memory.told, memory.named, spent, now))
        if change.change == "ended":
            memory.named.pop(change.anomaly.id, None)
        if alert.verdict in (None, "cooling", "small"):
            note_move(memory, alert, terms)
            if alert.verdict is not None and (self._joins(alert) or is_broad(memory, alert, terms)):
                self._take_along(alert, now)
                alert = replace(alert, verdict=None, reason="")
        if alert.verdict is None:
            self._accept(alert, now)
        elif alert.verdict == "cooling" and not_left_out(alert.anomaly, terms):
            self._gather(replace(alert, verdict=None, reason=""), alert.at, muted=True)
        elif alert.verdict == "small" and terms.group_ns:
            self._wait_for_others(alert)
        else:
            self._hold_back(alert)

    def turn(self, moment: int, now: int, standing: Standing) -> None:
        """Tell what is due at a moment; `now` is the latest moment that is looked at, ns by the lanes' clock."""
        memory = self.memory
        for direction in [each for each, until in memory.alone_until.items() if until <= moment]:
            self._give_up_waiting(direction, moment)
        for kind, event in memory.events.items():
            if event.due is not None and event.due <= moment:
                self._tell(kind, event, moment, standing)
            if event.look_at is not None and event.look_at <= moment:
                self._look_again(kind, event, moment, standing)
        if memory.digest_at is not None and memory.digest_at <= moment:
            self._send_digest(memory.digest_at, now, standing)

    def watched(self) -> set[str]:
        """Name the anomalies whose standing matters when something is told."""
        return {ident for event in self.memory.events.values() for ident in event.told} | {
            each.id for each in self.memory.held.largest.values()
        }

    def close(self) -> None:
        """End what waits: the channel is no more."""
        piles = [*self.memory.events, *map(_alone, ("up", "down", "")), DIGEST]
        for pile in map(self._pile, piles):
            while alerts := self._piles.take(pile):
                for alert in alerts:
                    why = "its channel was removed before it was told"
                    self._decide(replace(alert, verdict="undelivered", reason=why))

    def _pile(self, name: str) -> str:
        return f"/{self.terms.channel}/{name}"

    def _hold_back(self, alert: Alert) -> None:
        if alert.verdict in HELD_BACK and alert.occasion != "ended" and not self._was_told(alert.anomaly):
            self.memory.held.add(alert)
            if alert.anomaly.kind == "market" and alert.verdict != "silenced":
                self._look_soon(alert.at)
        self._decide(alert)

    def _was_told(self, anomaly: Anomaly) -> bool:
        # An earlier step of what a message has told since is not kept from anybody.
        event = self.memory.events.get(anomaly.kind)
        return event is not None and event.told.get(anomaly.id, 0.0) >= reach(anomaly)

    def _look_soon(self, at: int) -> None:
        terms, event = self.terms, self.memory.events.setdefault("market", Event())
        if event.look_at is None:
            event.look_at = at + max(NS, span_after(terms, self.memory.spent("market", at, terms.budget)))

    def _wait_for_others(self, alert: Alert) -> None:
        direction = alert.anomaly.direction or ""
        until = alert.at + self.terms.group_ns
        until = self.memory.alone_until[direction] = min(until, self.memory.alone_until.get(direction, until))
        self._piles.add(self._pile(_alone(direction)), alert)
        others = f"{alert.reason}; or with others that move along until {clock(until)}"
        self._decide(replace(alert, verdict=None, reason=others))

    def _give_up_waiting(self, direction: str, moment: int) -> None:
        until, pile = self.memory.alone_until.pop(direction), self._pile(_alone(direction))
        for alert in self._take_all(pile):
            due = alert.at + self.terms.group_ns
            if due <= max(moment, until) or alert.at > moment + HOUR_NS:
                self._hold_back(replace(alert, reason=alert.reason.partition(";")[0]))
            else:
                self.memory.alone_until[direction] = min(due, self.memory.alone_until.get(direction, due))
                self._piles.add(pile, alert)

    def _take_all(self, pile: str) -> list[Alert]:
        alerts: list[Alert] = []
        while more := self._piles.take(pile):
            alerts += more
        return alerts

    def _joins(self, alert: Alert) -> bool:
        # Several symbols have just begun to move together, and their message still waits.
        event, broad = self.memory.events.get("market"), self.memory.broad.get(alert.anomaly.direction or "")
        waits = event is not None and event.due is not None and alert.occasion != "ended"
        return waits and broad is not None and 0 <= alert.at - broad.at <= self.terms.group_ns

    def _take_along(self, alert: Alert, now: int | None) -> None:
        # What moved along a moment ago was too small alone, and is not any more.
        direction = alert.anomaly.direction or ""
        if self.memory.alone_until.pop(direction, None) is not None:
            for each in self._take_all(self._pile(_alone(direction))):
                self._accept(replace(each, verdict=None, reason=""), now, alert.at)

    def _accept(self, alert: Alert, now: int | None, moment: int | None = None) -> None:
        terms, memory, anomaly = self.terms, self.memory, alert.anomaly
        if alert.occasion != "ended":
            told, key = memory.told.setdefault(lane_of(alert), {}), key_of(anomaly)
            before = told.get(key)
            if before is None or anomaly.kind == "feed" or 2 * reach(anomaly) >= bar(before, alert.at, terms):
                told[key] = Told(alert.at, reach(anomaly))  # a small one that came along lowers no bar
            memory.named[anomaly.id] = alert.at
        if now is not None and now - alert.at > terms.late_ns:
            self._put_off_late(alert, now)
        elif alert.occasion == "ended" and memory.digest_at and self._piles.holds(self._pile(DIGEST), anomaly.id):
            self._put_off(alert, memory.digest_at, "with what it is about")
        else:
            self._gather(alert, alert.at if moment is None else moment)

    def _gather(self, alert: Alert, moment: int, *, muted: bool = False) -> None:
        terms, kind = self.terms, alert.anomaly.kind
        event = self._event_at(kind, moment)
        before = self._piles.add(self._pile(kind), alert)
        spent = self.memory.spent(kind, moment, terms.budget)
        event.hurry(moment_of(event, alert, terms, spent, moment, muted=muted))
        if alert.occasion != "ended":
            self.memory.named.setdefault(alert.anomaly.id, alert.at)
        when = f"told with its event at {clock(event.due or alert.at)}"
        late = f"told with a later message on its event: {number(before, 0)} wait before it"
        self._decide(replace(alert, reason=when if before < MOST else late))

    def _event_at(self, kind: str, moment: int) -> Event:
        event = self.memory.events.get(kind)
        if event is None or _is_over(event, moment):
            event = self.memory.events[kind] = Event(due=None if event is None else event.due)
        return event

    def _tell(self, kind: str, event: Event, moment: int, standing: Standing, grown: tuple[Anomaly, ...] = ()) -> None:
        event.due = None
        waiting = [_as_it_stands(alert, standing) for alert in self._piles.take(self._pile(kind))]
        if not waiting and not grown:
            return
        if self._piles.count(self._pile(kind)):
            event.due = moment + max(NS, self.terms.follow_up_max_ns)
        memory, terms = self.memory, self.terms
        moved = [alert.anomaly for alert in waiting if alert.occasion != "ended"] + list(grown)
        lanes = {lane_of(alert) for alert in waiting} | {_lane(each) for each in grown}
        earlier = [lane for lane in event.began if lane not in lanes]
        second = len(event.began) == 1 and bool(earlier) and bool(moved)  # which makes the event market-wide
        market = len(lanes) > 1 or second
        for each in moved:
            self._note_told(event, each)
        memory.named |= {each.id: moment for each in grown}
        self._write(
            "market" if market else "symbol",
            moment,
            waiting,
            f", about {len(lanes) + len(earlier)} symbols" if market else "",
            update=event.messages > 0,
            earlier=tuple(lane.partition(":")[2] for lane in earlier) if market else (),
            grown=grown,
            held=None if kind == "feed" else self._close_held(moment, standing, {each.id for each in moved}),
            began={lane: event.began[lane] for lane in lanes if lane in event.began},
        )
        memory.note_sent(kind, moment)
        event.last, event.messages = moment, event.messages + 1
        event.look_at = (
            moment + span_after(terms, memory.spent(kind, moment, terms.budget)) if kind == "market" else None
        )

    def _close_held(self, moment: int, standing: Standing, told: Collection[str]) -> HeldBack | None:
        since, self.memory.held_at = self.memory.held_at, moment
        return self.memory.held.close(since, standing, told)

    def _note_told(self, event: Event, anomaly: Anomaly) -> None:
        size, lane, key = reach(anomaly), _lane(anomaly), key_of(anomaly)
        told = self.memory.told.setdefault(lane, {})
        before = told.get(key, Told(anomaly.peak_ts, 0.0))
        if size > before.size:  # it has grown since it was taken up, or since it was held back
            told[key] = Told(max(before.at, anomaly.peak_ts), size)
        if anomaly.reference_ts is not None and anomaly.reference_price is not None:
            event.began.setdefault(lane, Began(anomaly.reference_ts, anomaly.reference_price))
        else:
            event.began.setdefault(lane, Began(anomaly.opened_ts, 0.0))
        event.told[anomaly.id] = size
        event.reached = max(event.reached, size)
        while len(event.told) > TRACKED_MAX:
            event.told.pop(next(iter(event.told)))

    def _look_again(self, kind: str, event: Event, moment: int, standing: Standing) -> None:
        # Between two steps a move grows without a change: what was told, and what was held back as too small.
        event.look_at = None
        spent = self.memory.spent(kind, moment, self.terms.budget)
        scene = Scene(self.terms, self.silences, self._ill, self.memory.told, self.memory.named, spent)
        held = {each.id: reach(each) for each in self.memory.held.largest.values() if each.id not in event.told}
        known = (standing.get(ident) for ident in sorted(event.told.keys() | held))
        open_now = [each for each in known if each is not None and _may_grow(each, moment)]
        grown = [
            each
            for each in open_now
            if reach(each) >= needed_size(each, scene, each.peak_ts)
            and self._has_grown(each, event.told, held, moment)
            and _is_wanted(Alert(0, self.terms.channel, "escalated", moment, each), scene)
        ]
        event.told = {ident: size for ident, size in event.told.items() if not _is_done(standing.get(ident), moment)}
        if grown:
            self._tell(kind, self._event_at(kind, moment), moment, standing, tuple(grown))
        elif open_now:
            event.look_at = moment + max(NS, span_after(self.terms, spent))

    def _has_grown(self, anomaly: Anomaly, told: Mapping[str, float], held: Mapping[str, float], at: int) -> bool:
        if anomaly.id in told:
            return reach(anomaly) >= GROWN * told[anomaly.id]
        last = self.memory.told.get(_lane(anomaly), {}).get(key_of(anomaly))
        return reach(anomaly) > max(held[anomaly.id], 0.0 if last is None else bar(last, at, self.terms))

    def _put_off_late(self, alert: Alert, now: int) -> None:
        # One digest at once, and then one an hour: who catches up with a lot finds it bit by bit.
        memory = self.memory
        lately = memory.late_at is not None and memory.late_at <= now < memory.late_at + HOUR_NS
        if memory.late_at != now and not lately:
            memory.late_at = now
        at = now + GATHER_NS if memory.late_at == now else (now // HOUR_NS + 1) * HOUR_NS
        self._put_off(alert, at, "late")

    def _put_off(self, alert: Alert, at: int, why: str) -> None:
        memory = self.memory
        memory.digest_at = at if memory.digest_at is None else min(memory.digest_at, at)
        full = self._piles.add(self._pile(DIGEST), alert) // MOST
        due = (memory.digest_at // HOUR_NS + full) * HOUR_NS if full else memory.digest_at
        told = day_clock(due, alert.at)[: -len(":00")]
        self._decide(replace(alert, reason=f"{why}: for the digest of {told}"))

    def _send_digest(self, at: int, now: int, standing: Standing) -> None:
        pile = self._pile(DIGEST)
        alerts = [_as_it_stands(alert, standing) for alert in self._piles.take(pile)]
        left = self._piles.count(pile)
        self.memory.digest_at = (now // HOUR_NS + 1) * HOUR_NS if left else None
        age_s = (now - min(alert.at for alert in alerts)) / NS
        notes = [f"This goes back {duration(age_s)}."] if age_s > (self.terms.late_ns + HOUR_NS) / NS else []
        notes += [f"{number(left, 0)} more in the next digests, one an hour."] if left else []
        about = f": the digest of {clock(at, '%H:%M')}"
        held = self._close_held(at, standing, {alert.anomaly.id for alert in alerts})
        self._write("digest", at, alerts, about, note=" ".join(notes), held=held)

    def _write(self, kind: MessageKind, at: int, alerts: Sequence[Alert], about: str, **told: Any) -> None:
        self._send(
            Message(0, self.terms.channel, kind, at, tuple(replace(each, reason=about) for each in alerts), **told)
        )


def _alone(direction: str) -> str:
    return f"alone {direction}"


def _is_over(event: Event, at: int) -> bool:
    # A clock that was set back, or ahead once, must not hold an event up.
    if event.last is None:
        return event.due is not None and event.due < at - HOUR_NS
    return at - event.last > EVENT_NS or at < event.last - HOUR_NS


def _is_wanted(alert: Alert, scene: Scene) -> bool:
    return silence(alert, scene).verdict is None and inhibit(alert, scene).verdict is None


def _may_grow(anomaly: Anomaly, moment: int) -> bool:
    return anomaly.ended_ts is None and moment - anomaly.peak_ts <= EVENT_NS


def _is_done(anomaly: Anomaly | None, moment: int) -> bool:
    return anomaly is not None and anomaly.ended_ts is not None and moment - anomaly.last_ts > EVENT_NS


def _lane(anomaly: Anomaly) -> str:
    return f"{anomaly.venue}:{anomaly.symbol}"


def _as_it_stands(alert: Alert, standing: Standing) -> Alert:
    # Between two steps a peak grows without a change; what is said is true when it is said.
    return alert if alert.occasion == "ended" else replace(alert, anomaly=larger(alert.anomaly, standing))
