"""A market that a test tells in seconds: changes of anomalies for a desk, and what the desk makes of them."""

from collections.abc import Sequence

from msgspec.structs import replace

from support.records import anomaly
from tapewatch.alert import Alert, Message, Silence
from tapewatch.dispatch.desk import Decided, Desk, Entry
from tapewatch.dispatch.stages import Terms
from tapewatch.model import NS, Anomaly, Change, Lane

T0 = 1_760_130_000 * NS
"""2025-10-10 21:00:00 UTC."""

TERMS = Terms("phone")


class Tape:
    """Changes in the order in which they are told, each at a second after `T0`."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._open: dict[str, Anomaly] = {}

    def opened(self, at_s: float, symbol: str = "BTC-USD", escalation: int = 0, **fields: object) -> str:
        """Open an anomaly, and return its id."""
        found = anomaly(
            len(self.entries) + 1,
            Lane("coinbase", symbol),
            opened_ts=T0 + round(at_s * NS),
            escalation=escalation,
            peak_observed=0.27 * 2**escalation,
            **fields,
        )
        self._open[found.id] = found
        return self._tell("opened", at_s, found)

    def escalated(self, at_s: float, ident: str, escalation: int) -> str:
        """Let it reach so many steps."""
        found = replace(self._open[ident], escalation=escalation, peak_observed=0.27 * 2**escalation)
        self._open[ident] = found
        return self._tell("escalated", at_s, found)

    def ended(self, at_s: float, ident: str) -> str:
        """End it."""
        return self._tell("ended", at_s, replace(self._open.pop(ident), ended_ts=T0 + round(at_s * NS)))

    def silent(self, at_s: float, symbol: str = "BTC-USD") -> str:
        """Let the lane's feed fall silent."""
        return self.opened(at_s, symbol, rule="silent_feed", kind="feed", direction=None, unit="s")

    def _tell(self, kind: str, at_s: float, found: Anomaly) -> str:
        change = Change(kind, T0 + round(at_s * NS), len(self.entries), found)  # type: ignore[arg-type]
        self.entries.append(Entry(len(self.entries) + 1, change))
        return found.id


class Seen:
    """A desk, all that it has decided, and the questions that tests ask about it."""

    def __init__(self, *terms: Terms, silences: Sequence[Silence] = ()) -> None:
        self.terms = terms or (TERMS,)
        self.desk = Desk(self.terms)
        self.silences = silences
        self.alerts: dict[tuple[int, str], Alert] = {}
        self.messages: list[Message] = []
        self.stored: dict[str, bytes] = {}

    def take(self, tape: Tape, now_s: float | None = None, until_s: float = 0) -> "Seen":
        """Judge a tape, then let the time pass to `until_s`."""
        now = None if now_s is None else T0 + round(now_s * NS)
        self.desk.take(tape.entries, self.silences, now)
        return self.pass_to(until_s)

    def pass_to(self, at_s: float) -> "Seen":
        """Let the time pass."""
        self.desk.advance(T0 + round(at_s * NS))
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
            ((message.at - T0) / NS, message.kind, [alert.anomaly.symbol for alert in message.alerts])
            for message in self.messages
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
