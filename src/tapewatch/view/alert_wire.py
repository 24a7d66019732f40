"""What dashboard and browser say to each other about alerting, with the words in it, so that the browser only draws.

In: what `alerts` and `marks` found. Out: frozen values ready to be encoded. Times are seconds since the epoch, float64,
by the lanes' clock, and so are times of day in words: on a replay ours would say something else beside them.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from tapewatch.alert import DeliveryState, Label, Mark, Occasion, Silence
from tapewatch.figures import clock, day_clock, duration, number
from tapewatch.model import NS, Direction, Severity
from tapewatch.store.records import Attempt, Post
from tapewatch.view.alert_words import (
    LABEL_WORDS,
    OUTCOME_WORDS,
    SilenceState,
    delivery_words,
    matches_words,
    occasion_words,
    silence_state,
    silence_words,
    standing_words,
    told_words,
    why_words,
)
from tapewatch.view.alerts import (
    AlertLine,
    ChannelLine,
    MessageLine,
    MessageStory,
    Outcome,
    Standing,
    on_lanes_clock,
)
from tapewatch.view.marks import Precision, in_all
from tapewatch.view.wire import Row, Tone
from tapewatch.words import RULES, full_sentence, peak_words

SPANS_SHOWN: Final = 12
"""Days, or weeks, of which the precision is drawn."""


class StandingPicture(Struct, frozen=True):
    """What every page knows of alerting.

    Attributes
    ----------
    mark, said
        Others whenever something, or what somebody said of an anomaly, may have changed; who shows more reads again.
    """

    mark: str
    said: str
    tone: Tone
    word: str
    more: str


def standing_picture(now: Standing) -> StandingPicture:
    """Put alerting into a word."""
    return StandingPicture(now.mark, now.said, *standing_words(now))


class AlertPicture(Struct, frozen=True):
    """One row of the list of alerts.

    Attributes
    ----------
    at_ns
        The same in full, to ask for the page that follows.
    peak
        As the anomaly stood then.
    muted
        Whether its like was told lately; many of these in a row are folded into one.
    word, why
        "muted", "until 22:31 or a move above 2.10 %: last sent 21:31 at 64×"; `reason` is both in full.
    """

    seq: int
    channel: str
    occasion: Occasion
    happened: str
    at: float
    at_ns: str
    anomaly: str
    symbol: str
    type: str
    severity: Severity
    direction: Direction | None
    peak: str
    explain: str
    outcome: Outcome
    word: str
    why: str
    reason: str
    message: int | None
    delivery: DeliveryState | None
    size: float | None
    muted: bool


def alert_picture(line: AlertLine) -> AlertPicture:
    """Put an alert into words."""
    alert, anomaly = line.alert, line.alert.anomaly
    return AlertPicture(
        seq=alert.seq,
        channel=alert.channel,
        occasion=alert.occasion,
        happened=occasion_words(alert),
        at=alert.at / NS,
        at_ns=str(alert.at),
        anomaly=anomaly.id,
        symbol=anomaly.symbol,
        type=RULES.get(anomaly.rule, anomaly.rule),
        severity=anomaly.severity,
        direction=anomaly.direction,
        peak=peak_words(anomaly),
        explain=full_sentence(anomaly),
        outcome=line.outcome,
        word="waiting to be sent" if alert.verdict is None and alert.message else OUTCOME_WORDS[alert.verdict],
        why=why_words(line),
        reason=alert.reason,
        message=alert.message,
        delivery=line.delivery,
        size=None if anomaly.kind == "feed" else anomaly.size,
        muted=line.outcome == "held back" and alert.verdict not in ("silenced", "held"),
    )


class AttemptPicture(Struct, frozen=True):
    """One attempt to send a message."""

    tried: str
    took: str
    accepted: bool
    outcome: str


class MessagePicture(Struct, frozen=True):
    """A message as it was sent, and what became of it.

    Attributes
    ----------
    delivery
        "accepted 21:32:47, first try"; "not accepted, given up 21:40:02 after 12 tries".
    """

    number: int
    channel: str
    alerts: int
    subject: str
    text: str
    state: DeliveryState
    delivery: str
    error: str
    attempts: tuple[AttemptPicture, ...] = ()


def message_picture(
    post: Post, alerts: int, now_ns: int, attempts: Iterable[Attempt] = (), *, text: bool = True
) -> MessagePicture:
    """Put a message into words.

    Parameters
    ----------
    now_ns
        By the lanes' clock.
    text
        With what it says in full.
    """
    return MessagePicture(
        number=post.number,
        channel=post.channel,
        alerts=alerts,
        subject=post.letter.subject,
        text=post.letter.text if text else "",
        state=post.state,
        delivery=delivery_words(post, now_ns),
        error=post.error,
        attempts=tuple(
            AttemptPicture(
                day_clock(on_lanes_clock(each.tried_ts, post.at, post.made_ts), now_ns),
                f"{number(each.took_ms, 0)} ms",
                each.accepted,
                each.outcome,
            )
            for each in attempts
        ),
    )


def story_picture(story: MessageStory, now_ns: int) -> MessagePicture:
    """Put a message with its attempts into words."""
    return message_picture(story.post, len(story.alerts), now_ns, story.attempts)


class ChannelPicture(Struct, frozen=True):
    """A channel as a person should think of it."""

    name: str
    service: str
    takes: str
    state: Literal["unused", "working", "failing"]
    since: str
    accepted: str
    waiting: int
    undelivered: int
    error: str


def channel_picture(line: ChannelLine, wall_ns: int) -> ChannelPicture:
    """Put a channel into words: how long ago, not when, which would be by our clock and not that of the list."""
    row_ = line.row
    since = "" if row_.state == "unused" else f"for {duration((wall_ns - row_.since_ts) / NS)}"
    accepted = "nothing accepted yet"
    if row_.accepted_ts is not None:
        accepted = f"last accepted {duration((wall_ns - row_.accepted_ts) / NS)} ago"
    return ChannelPicture(
        name=row_.name,
        service=row_.service,
        takes=row_.takes,
        state=row_.state,
        since=since,
        accepted=accepted,
        waiting=line.waiting,
        undelivered=line.undelivered,
        error=row_.error,
    )


class SilencePicture(Struct, frozen=True):
    """A silence as a person should think of it.

    Attributes
    ----------
    matches
        What it covers, e.g. "BTC-* · high".
    """

    number: int
    matches: str
    since: float
    until: float
    state: SilenceState
    left: str
    note: str


def silence_picture(silence: Silence, lanes_ns: int) -> SilencePicture:
    """Put a silence into words."""
    return SilencePicture(
        number=silence.number,
        matches=matches_words(silence),
        since=silence.since / NS,
        until=silence.until / NS,
        state=silence_state(silence, lanes_ns),
        left=silence_words(silence, lanes_ns),
        note=silence.note,
    )


class PrecisionPicture(Struct, frozen=True):
    """How often a rule was right: in all, and in each of the latest spans, oldest first.

    Attributes
    ----------
    spans
        Shares of true ones among those judged, 0 … 1; None where nothing was judged.
    names
        Of the spans: the day each begins with, and how many count.
    """

    type: str
    words: str
    judged: int
    expected: int
    spans: tuple[float | None, ...]
    names: tuple[str, ...]


def precision_pictures(found: Sequence[Precision]) -> tuple[PrecisionPicture, ...]:
    """Put precision into words; spans are the latest ones in which any rule was judged."""
    starts = sorted({each.start for each in found})[-SPANS_SHOWN:]
    by_place = {(each.rule, each.start): each for each in found}
    pictures = []
    for whole in sorted(in_all(found), key=lambda each: list(RULES).index(each.rule) if each.rule in RULES else 99):
        spans = [by_place.get((whole.rule, start), Precision(whole.rule, start)) for start in starts]
        words = "–" if whole.share is None else f"{number(100 * whole.share, 0)} %"
        pictures.append(
            PrecisionPicture(
                type=RULES.get(whole.rule, whole.rule),
                words=words,
                judged=whole.judged,
                expected=whole.expected,
                spans=tuple(span.share for span in spans),
                names=tuple(f"{clock(span.start, '%Y-%m-%d')}: {span.true} of {span.judged} real" for span in spans),
            )
        )
    return tuple(pictures)


class MarkPicture(Struct, frozen=True):
    """What a person said of an anomaly."""

    anomaly: str
    label: Label | None
    word: str
    note: str
    marked: str


def mark_picture(mark: Mark, wall_ns: int) -> MarkPicture:
    """Put a mark into a word."""
    return MarkPicture(
        mark.anomaly_id, mark.label, LABEL_WORDS[mark.label], mark.note, day_clock(mark.marked_ts, wall_ns)
    )


class AnomalyPicture(Struct, frozen=True):
    """One anomaly, whatever its age: its row, who was told of it, and what was said of it."""

    row: Row | None
    told: tuple[str, ...]
    mark: MarkPicture | None


def anomaly_picture(found: Row | None, lines: Iterable[AlertLine], mark: MarkPicture | None) -> AnomalyPicture:
    """Gather what is known of an anomaly; what a channel was never to be told is left out."""
    return AnomalyPicture(found, tuple(told_words(each) for each in lines if each.outcome != "not taken"), mark)


class Overview(Struct, frozen=True):
    """All of the page of alerts but the list itself.

    Attributes
    ----------
    undelivered
        The newest of the messages that nobody took; `undelivered_in_all` says how many there are.
    """

    standing: StandingPicture
    channels: tuple[ChannelPicture, ...]
    undelivered: tuple[MessagePicture, ...]
    undelivered_in_all: int
    silences: tuple[SilencePicture, ...]
    precision: tuple[PrecisionPicture, ...]


def overview(
    now: Standing,
    wall_ns: int,
    *,
    undelivered: Sequence[MessageLine],
    silences: Sequence[Silence],
    precision: Sequence[Precision],
) -> Overview:
    """Gather it."""
    order = {"active": 0, "planned": 1, "past": 2}
    pictures = [silence_picture(each, now.lanes_ns) for each in silences]
    return Overview(
        standing=standing_picture(now),
        channels=tuple(channel_picture(each, wall_ns) for each in now.channels),
        undelivered=tuple(message_picture(each.post, each.alerts, now.lanes_ns, text=False) for each in undelivered),
        undelivered_in_all=now.undelivered,
        silences=tuple(sorted(pictures, key=lambda each: order[each.state])),
        precision=precision_pictures(precision),
    )
