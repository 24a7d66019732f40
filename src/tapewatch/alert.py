"""The nouns of telling: an Alert is what might be told, a Message what is, a Silence and a Mark what a person said.

In: changes of anomalies. Out: frozen values that the desk, the store and the dashboards share. `at`, `since` and
`until` are ns by the lanes' clock, so a replayed tape is judged as it was lived; `made_ts` and its like are ns by ours.
"""

from fnmatch import fnmatchcase
from typing import Final, Literal

from msgspec import Struct

from tapewatch.model import Anomaly, Severity

Occasion = Literal["opened", "escalated", "ended"]
"""What happened to the anomaly."""

Verdict = Literal["sent", "grouped", "digest", "cooling", "small", "silenced", "held", "unrouted", "undelivered"]
"""How an alert ended.

``sent``: in a message about its symbol; ``grouped``: in one about several; ``digest``: in an hour's digest; each of
these only once the receiver has accepted that message. ``cooling`` (muted: the same was told lately), ``small`` (not
large enough to be told alone), ``silenced``, ``held`` (the feed is abnormal itself), ``unrouted`` (the channel does not
take it): judged, and not told. The next message counts all of these but the last, and names the largest.
``undelivered``: nobody took its message for a day.
"""

MessageKind = Literal["symbol", "market", "digest", "sample", "health"]
"""``health`` tells of tapewatch itself: its note is all that it says."""

DeliveryState = Literal["waiting", "sent", "undelivered", "dismissed"]
"""``dismissed``: undelivered, and a person has taken note of it."""

Label = Literal["true", "false", "expected"]
"""What a person says of an anomaly: a real event, a false alarm, or one that was known to come."""

TOLD: Final[tuple[Verdict, ...]] = ("sent", "grouped", "digest")
"""The verdicts of what reached somebody."""


class Alert(Struct, frozen=True):
    """One change of an anomaly that one channel might tell, and what became of it.

    Attributes
    ----------
    seq
        Number of the change in the log; with `channel` the alert's identity.
    anomaly
        As it stood after the change.
    verdict
        None while it waits: for its group, its digest, or the receiver.
    reason
        Why, or what it waits for, for a person; never empty once it was judged.
    message
        Number of the message that names it.
    """

    seq: int
    channel: str
    occasion: Occasion
    at: int
    anomaly: Anomaly
    verdict: Verdict | None = None
    reason: str = ""
    message: int | None = None


class HeldBack(Struct, frozen=True):
    """What a channel was not told since its last message.

    Attributes
    ----------
    since
        Of that message, or of the first of them where there was none; ns by the lanes' clock.
    count
        How many alerts, for any reason.
    silenced
        How many of these a person wanted to hear nothing of.
    largest
        Of the others, the largest of each symbol and direction, the largest first; only some of them.
    """

    since: int
    count: int
    silenced: int
    largest: tuple[Anomaly, ...]


class Began(Struct, frozen=True, array_like=True):
    """Where an event began on a lane: when, ns by the lanes' clock, and at which price in the quote currency."""

    at: int
    price: float


class Message(Struct, frozen=True):
    """What one channel is to be told.

    Attributes
    ----------
    number
        Counts the messages of a database from 1.
    alerts
        What it names, in the order of the log; one anomaly may be there several times, as it stood each time.
    update
        It goes on with what an earlier message of its event began.
    earlier
        Symbols that the event's earlier messages have told of and this one does not.
    note
        A sentence in front of it, e.g. why a digest; "" for none.
    well
        Of one about tapewatch itself: all is well again.
    grown
        Anomalies that an earlier message has told and that have grown much since, without a step of escalation.
    held
        What was held back since the last message; None: nothing.
    began
        Lane, as ``venue:symbol`` → where the event began on it.
    """

    number: int
    channel: str
    kind: MessageKind
    at: int
    alerts: tuple[Alert, ...]
    update: bool = False
    earlier: tuple[str, ...] = ()
    note: str = ""
    well: bool = False
    grown: tuple[Anomaly, ...] = ()
    held: HeldBack | None = None
    began: dict[str, Began] = {}

    @property
    def anomalies(self) -> list[Anomaly]:
        """Each anomaly that it tells of once, as it stood last, in the order in which they appeared."""
        return list({each.id: each for each in (*(alert.anomaly for alert in self.alerts), *self.grown)}.values())


class Letter(Struct, frozen=True):
    """A message as it is sent: written once, so that every attempt says the same.

    Attributes
    ----------
    key
        The same for every attempt, and for no other message: what a receiver may know a repetition by.
    """

    key: str
    subject: str
    text: str
    markdown: str
    html: str


class Silence(Struct, frozen=True):
    """A person wants to hear nothing of some anomalies for some time.

    Attributes
    ----------
    venue, symbol, rule
        Patterns with ``*`` and ``?``; of a symbol, capital letters or small ones.
    severity
        None: any.
    until
        ns by the lanes' clock; it holds from `since` to just before it.

    Examples
    --------
    >>> Silence(1, 0, 100, symbol="BTC-*").name
    'silence 1 (BTC-*)'
    """

    number: int
    since: int
    until: int
    venue: str = "*"
    symbol: str = "*"
    rule: str = "*"
    severity: Severity | None = None
    note: str = ""

    def covers(self, anomaly: Anomaly, at: int) -> bool:
        """Tell whether an anomaly is to be silent at a moment."""
        return (
            self.since <= at < self.until
            and self.severity in (None, anomaly.severity)
            and fnmatchcase(anomaly.venue, self.venue)
            and fnmatchcase(anomaly.symbol.upper(), self.symbol.upper())
            and fnmatchcase(anomaly.rule, self.rule)
        )

    @property
    def name(self) -> str:
        """Name it to a person: its number and what it matches."""
        return f"silence {self.number} ({self.matches})"

    @property
    def matches(self) -> str:
        """Say what it matches."""
        patterns = [part for part in (self.venue, self.symbol, self.rule) if part != "*"]
        return " ".join([*patterns, *([self.severity] if self.severity else [])]) or "everything"


class Mark(Struct, frozen=True):
    """What a person said of an anomaly.

    Attributes
    ----------
    label
        None: not judged.
    acknowledged_ts
        When somebody took note of it, ns by our clock; None: nobody did.
    """

    anomaly_id: str
    label: Label | None
    acknowledged_ts: int | None
    note: str
    marked_ts: int
