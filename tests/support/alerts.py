"""A market that a test tells in seconds: changes of anomalies for a desk, and what the desk makes of them."""

import math
from collections.abc import Sequence
from itertools import groupby

from msgspec.structs import replace

from support.records import anomaly
from tapewatch.alert import Alert, Message, Silence
from tapewatch.dispatch.desk import Decided, Desk, Entry
from tapewatch.dispatch.stages import Terms
from tapewatch.model import NS, Anomaly, Change, Lane

T0 = 1_760_130_000 * NS
"""2025-10-10 21:00:00 UTC."""

TERMS = Terms("phone")

EVEN = Terms("phone", budget=1_000_000, follow_up_max_ns=10 * NS)
"""No budget: whatever was told, ten seconds lie between two messages on one event."""

LIMIT = 0.25
"""What a move is measured by, in percent."""


class Tape:
    """Changes in the order in which they are told, each at a second after `T0`.

    A move is as many times its limit as its `size` says; of 8 times it is told however short a budget is.

    Attributes
    ----------
    entries
        The log.
    lived
        What happened, with its moment: anomalies as they stood then, and the entry of the log where there was one.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.lived: list[tuple[int, Anomaly, Entry | None]] = []
        self._now: dict[str, Anomaly] = {}

    def opened(self, at_s: float, symbol: str = "BTC-USD", size: float = 8.0, **fields: object) -> str:
        """Open an anomaly, and return its id."""
        at = T0 + round(at_s * NS)
        moments = {"opened_ts": at, "reference_ts": at - 3 * NS, "peak_reference_ts": at - 3 * NS}
        found = anomaly(len(self.entries) + 1, Lane("coinbase", symbol), **{**moments, **fields})
        found = _of_size(found, at, size)
        return self._tell("opened", at_s, replace(found, observed=found.peak_observed))

    def escalated(self, at_s: float, ident: str, size: float) -> str:
        """Let it reach a size, and say so."""
        return self._tell("escalated", at_s, _of_size(self._now[ident], T0 + round(at_s * NS), size))

    def grew(self, at_s: float, ident: str, size: float) -> None:
        """Let it reach a size between two steps of which changes tell."""
        at = T0 + round(at_s * NS)
        self._now[ident] = _of_size(self._now[ident], at, size)
        self.lived.append((at, self._now[ident], None))

    def ended(self, at_s: float, ident: str) -> str:
        """End it."""
        return self._tell("ended", at_s, replace(self._now[ident], ended_ts=T0 + round(at_s * NS)))

    def silent(self, at_s: float, symbol: str = "BTC-USD", steps: int = 0) -> str:
        """Let the lane's feed fall silent."""
        feed = {"rule": "silent_feed", "kind": "feed", "direction": None, "unit": "s", "threshold": 5.0}
        return self.opened(at_s, symbol, 2.0**steps, **feed)

    def _tell(self, kind: str, at_s: float, found: Anomaly) -> str:
        at = T0 + round(at_s * NS)
        self._now[found.id] = found
        entry = Entry(len(self.entries) + 1, Change(kind, at, len(self.entries), found))  # type: ignore[arg-type]
        self.entries.append(entry)
        self.lived.append((at, found, entry))
        return found.id


def _of_size(found: Anomaly, at: int, size: float) -> Anomaly:
    peak = size * found.threshold * (-1 if found.direction == "down" else 1)
    steps = math.floor(math.log2(size))
    return replace(
        found,
        size=size if found.kind == "market" else None,
        peak_observed=peak,
        escalation=max(found.escalation, steps),
        peak_ts=at,
        last_ts=at,
    )


class Seen:
    """A desk, all that it has decided, and the questions that tests ask about it."""

    def __init__(self, *terms: Terms, silences: Sequence[Silence] = ()) -> None:
        self.terms = terms or (TERMS,)
        self.desk = Desk(self.terms)
        self.silences = silences
        self.standing: dict[str, Anomaly] = {}
        self.alerts: dict[tuple[int, str], Alert] = {}
        self.messages: list[Message] = []
        self.stored: dict[str, bytes] = {}
        self._lived = 0

    def take(self, tape: Tape, now_s: float | None = None, until_s: float = 0) -> "Seen":
        """Judge what is new of a tape, moment by moment as it was lived, then let the time pass to `until_s`."""
        now = None if now_s is None else T0 + round(now_s * NS)
        new, self._lived = tape.lived[self._lived :], len(tape.lived)
        for at, together in groupby(new, key=lambda each: each[0]):
            self.desk.advance(at - 1, self.standing)
            happened = list(together)
            self.standing |= {found.id: found for _, found, _ in happened}
            self.desk.take([entry for *_, entry in happened if entry], self.silences, now, self.standing)
        return self.pass_to(until_s)

    def pass_to(self, at_s: float) -> "Seen":
        """Let the time pass."""
        self.desk.advance(T0 + round(at_s * NS), self.standing)
        return self.keep(self.desk.collect())

    def keep(self, decided: Decided) -> "Seen":
        """Take what was decided; no verdict may change."""
        for alert in decided.alerts:
            before = self.alerts.get((alert.seq, alert.channel))
            assert before is None or before.verdict is None, "a verdict is the last word"
            assert alert.reason, "whatever was judged has its reason"
            self.alerts[alert.seq, alert.channel] = alert
        self.messages += decided.messages
        return self

    def store(self) -> dict[str, bytes]:
        """Write down what the desk must not forget, as a database does, and return what was written."""
        changed = self.desk.changed()
        self.stored = {page: blob for page, blob in {**self.stored, **changed}.items() if blob}
        return changed

    def stop(self, *terms: Terms) -> None:
        """Stop, and go on with what was stored, perhaps on other terms."""
        self.store()
        self.terms = terms or self.terms
        self.desk = Desk.restore(self.terms, self.stored)

    def told(self) -> list[tuple[float, str, list[str]]]:
        """Second, kind and symbols of each message."""
        return [
            (
                (message.at - T0) / NS,
                message.kind,
                [alert.anomaly.symbol for alert in message.alerts] + [each.symbol for each in message.grown],
            )
            for message in self.messages
        ]

    def moments(self) -> list[float]:
        """Second of each message."""
        return [at_s for at_s, *_ in self.told()]

    def sizes(self) -> list[list[float | None]]:
        """How large each message says that its anomalies are."""
        return [[each.size for each in message.anomalies] for message in self.messages]

    def held(self) -> list[tuple[int, list[tuple[str, float | None]]] | None]:
        """Tell what each message says was held back: how many, and the largest with their sizes."""
        return [
            None if each is None else (each.count, [(found.symbol, found.size) for found in each.largest])
            for each in (message.held for message in self.messages)
        ]

    def verdicts(self, channel: str = "phone") -> list[str]:
        """How the channel's alerts stand, in the order of the log: a verdict, or a word for what waits."""
        mine = sorted(alert for alert in self.alerts if alert[1] == channel)
        return [_word(self.alerts[key]) for key in mine]

    def reasons(self, channel: str = "phone") -> list[str]:
        """Why, in the order of the log."""
        return [self.alerts[key].reason for key in sorted(self.alerts) if key[1] == channel]


def _word(alert: Alert) -> str:
    return alert.verdict or ("told" if alert.message is not None else "waits")
