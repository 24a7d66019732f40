"""Alerting without a sender: what it would have decided, and how sending would have ended, kept by the real outbox."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from support.views import NOW
from tapewatch.alert import Alert, Letter, Mark, Occasion, Silence, Verdict
from tapewatch.model import NS, Anomaly
from tapewatch.store.outbox import Outbox
from tapewatch.store.records import Attempt, ChannelRow, Decision, Post
from tapewatch.words import SEVERITIES

PHONE = ChannelRow("phone", "Slack", "High severity only, all rules", "working", NOW - 7_200 * NS, NOW - 40 * NS)
DESK = ChannelRow(
    "desk",
    "E-Mail",
    "medium and above: all rules; ends, too",
    "failing",
    NOW - 600 * NS,
    NOW - 4_000 * NS,
    "the mail server refused the sender: 535 authentication failed",
)


def letter(number: int, anomalies: Sequence[Anomaly]) -> Letter:
    """Write a message as its writer would, more or less."""
    first = anomalies[0]
    more = f" and {len(anomalies) - 1} more" if len(anomalies) > 1 else ""
    subject = f"▼ {first.explain.partition(' (')[0]}{more}"
    text = "\n".join([subject, "", *(f"{each.symbol}: {each.explain}" for each in anomalies), "", f"message {number}"])
    return Letter(f"key-{number}", subject, text, f"**{subject}**", f"<b>{subject}</b>")


class Telling:
    """Decide by hand, for a database whose log of changes is written already.

    Attributes
    ----------
    outbox
        The real one.
    number
        Of the last message.
    now_ns
        By both clocks.
    """

    def __init__(self, outbox: Outbox, channels: Sequence[ChannelRow], now_ns: int) -> None:
        self.outbox = outbox
        self.now_ns = now_ns
        self.number = 0
        self.position = 0
        self.channels = {row.name: row for row in channels}
        outbox.stand(channels, now_ns)
        outbox.beat(now_ns + 3_600 * NS)  # nobody moves the hand: it shall not be missed for an hour

    def judge(self, ident: str, channel: str, verdict: Verdict, reason: str, occasion: Occasion = "opened") -> Alert:
        """Keep an alert that is told to nobody."""
        alert = replace(self._alert(ident, channel, occasion), verdict=verdict, reason=reason)
        self._commit(alerts=[alert])
        return alert

    def wait(self, ident: str, channel: str, reason: str, occasion: Occasion = "opened") -> None:
        """Keep an alert that waits for its group or its digest."""
        self._commit(alerts=[replace(self._alert(ident, channel, occasion), reason=reason)])

    def send(
        self,
        channel: str,
        *idents: str,
        outcomes: Sequence[str] = ("accepted",),
        done: bool = True,
        occasion: Occasion = "opened",
    ) -> int:
        """Keep a message that tells some anomalies, and how each attempt to send it ended.

        Parameters
        ----------
        outcomes
            Of its attempts; "accepted" for one that was.
        done
            What was not accepted is given up.
        """
        self.number += 1
        number, now = self.number, self.now_ns
        alerts = [
            replace(self._alert(ident, channel, occasion), reason=f"in message {number}", message=number)
            for ident in idents
        ]
        anomalies, kind = [alert.anomaly for alert in alerts], "symbol" if len(idents) == 1 else "market"
        at = max(alert.at for alert in alerts)
        worst = min((each.severity for each in anomalies), key=SEVERITIES.index)
        post = Post(number, channel, kind, at, now - 30 * NS, letter(number, anomalies), worst, anomalies[0].id)
        self._commit(alerts=alerts, posts=[post])
        for tried, outcome in enumerate(outcomes, 1):
            accepted = outcome == "accepted"
            over = accepted or (done and tried == len(outcomes))
            post = replace(
                post,
                attempts=tried,
                error="" if accepted else outcome,
                state="sent" if accepted else "undelivered" if over else "waiting",
                done_ts=now + tried * NS if over else None,
                next_try_ts=now + 60 * NS,
            )
            attempt = Attempt(number, now + (tried - 31) * NS, 184.0, accepted, outcome)
            self.outbox.tried(post, attempt, self.channels.get(channel, next(iter(self.channels.values()))))
        return number

    def silence(self, since_s: float, until_s: float, **pattern: str) -> None:
        """Keep a silence from … to so many seconds from now."""
        self._commit(
            silences=[Silence(0, self.now_ns + round(since_s * NS), self.now_ns + round(until_s * NS), **pattern)]
        )

    def mark(self, ident: str, label: str | None, note: str = "", ago_s: float = 0) -> None:
        """Keep what a person said."""
        moment = self.now_ns - round(ago_s * NS)
        self._commit(marks=[Mark(ident, label, moment, note, moment)])

    def _alert(self, ident: str, channel: str, occasion: Occasion) -> Alert:
        # Read anew each time: the runtime may have written more.
        changes = self.outbox.fresh(0, 1_000_000).changes
        self.position = changes[-1][0]
        found = ((s, c) for s, c in changes if c.anomaly.id == ident and c.change == occasion)
        seq, change = next(found)
        return Alert(seq, channel, occasion, change.at, change.anomaly)

    def _commit(self, **what: object) -> None:
        self.outbox.commit(Decision(self.position, self.now_ns, {"": b"{}"}, **what))


@contextmanager
def telling(db: Path | str, *channels: ChannelRow, now_ns: int = NOW) -> Iterator[Telling]:
    """Be the one who tells a database's anomalies, to the phone and to the desk unless said otherwise."""
    outbox = Outbox.open(db)
    try:
        yield Telling(outbox, channels or (PHONE, DESK), now_ns)
    finally:
        outbox.close()
