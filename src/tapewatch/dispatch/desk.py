"""Where it is decided what is told: changes of anomalies in, judged alerts and messages out.

A pure fold with explicit state, like detection: no I/O and no clock. Its memory goes into the transaction that stores
what it decided, so that a killed process goes on as if nothing had happened.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Self

import msgspec
from msgspec.structs import replace

from tapewatch.alert import Alert, Message, Silence
from tapewatch.dispatch.conversation import Conversation
from tapewatch.dispatch.memory import VERSION, ChannelMemory, Memory, Standing
from tapewatch.dispatch.piles import Piles
from tapewatch.dispatch.stages import Terms
from tapewatch.errors import SnapshotError
from tapewatch.model import Change

MAIN: Final = ""
"""Name of the snapshot's first page."""


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
        self._alerts: dict[tuple[int, str], Alert] = {}
        self._messages: list[Message] = []
        self._piles = piles or Piles({})
        wanted = {each.channel for each in terms}
        for name in [name for name in self._memory.channels if name not in wanted]:
            self._conversation(Terms(name), self._memory.channels.pop(name)).close()
        self._conversations = [
            self._conversation(each, self._memory.channels.setdefault(each.channel, ChannelMemory())) for each in terms
        ]

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
        moments = (each.memory.next for each in self._conversations)
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def watched(self) -> set[str]:
        """Ids of the anomalies whose standing matters when something is told."""
        return {ident for each in self._conversations for ident in each.watched()}

    def take(
        self,
        entries: Iterable[Entry],
        silences: Sequence[Silence],
        now: int | None = None,
        standing: Standing | None = None,
    ) -> None:
        """Judge changes of the log, in the order in which they happened; what was taken before is left alone.

        The log keeps the order of each lane; lanes that were detected together stand in it one after the other.

        Parameters
        ----------
        now
            The lanes' clock, ns; None: whenever the changes happened.
        standing
            Anomalies as they stand now; only what has grown beyond its last change matters.
        """
        for each in self._conversations:
            each.silences = silences
        new = [entry for entry in entries if entry.seq > self._memory.position]
        self._memory.position = max((entry.seq for entry in new), default=self._memory.position)
        for entry in sorted(new, key=lambda entry: (entry.change.at, entry.seq)):
            self.advance(entry.change.at - 1, standing)
            self._note_feed(entry.change)
            for each in self._conversations:
                if not each.terms.group_ns:  # what came at the same moment is a message of its own
                    each.turn(entry.change.at, entry.change.at, standing or {})
                each.take(entry.seq, entry.change, now)

    def skip(self, seq: int) -> None:
        """Pass over what could not be read, up to a change of the log."""
        self._memory.position = max(self._memory.position, seq)

    def advance(self, now: int, standing: Standing | None = None) -> None:
        """Tell what is due until a moment, ns by the lanes' clock, in the order in which it was due."""
        while (moment := self.next) is not None and moment <= now:
            for each in self._conversations:
                each.turn(moment, now, standing or {})

    def announce(self, at: int, text: str, *, well: bool, but: Collection[str] = ()) -> None:
        """Tell all channels but some of tapewatch itself, whatever their budgets; `at` is ns by the lanes' clock."""
        for each in self._conversations:
            channel = each.terms.channel
            if channel not in but:
                self._send(Message(0, channel, "health", at, (), note=text, well=well))

    def collect(self) -> Decided:
        """Hand over what was decided."""
        decided = Decided(list(self._alerts.values()), self._messages)
        self._alerts, self._messages = {}, []
        return decided

    def _conversation(self, terms: Terms, memory: ChannelMemory) -> Conversation:
        return Conversation(terms, memory, self._memory.ill, self._piles, self._decide, self._send)

    def _send(self, message: Message) -> None:
        # The reasons of its alerts say what it is about; its number comes in front.
        self._memory.number += 1
        number = self._memory.number
        named = tuple(
            replace(alert, message=number, reason=f"in message {number}{alert.reason}") for alert in message.alerts
        )
        self._messages.append(replace(message, number=number, alerts=named))
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
