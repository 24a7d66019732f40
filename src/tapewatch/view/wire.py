"""What dashboard and browser say to each other: anomalies, feed, watch-list and counts as plain JSON.

In: what `queries`, `status` and `verdict` found. Out: frozen values ready to be encoded, with the words in
them, so that the browser only draws. Times are seconds since the epoch, float64 (exact to a microsecond).
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from tapewatch.figures import clock, duration, number
from tapewatch.model import NS, Anomaly, Direction, Severity
from tapewatch.view.queries import Filter
from tapewatch.view.status import Status
from tapewatch.view.untold import untold
from tapewatch.view.verdict import Verdict, feed_words, source_words, verdict_words
from tapewatch.words import (
    RULES,
    SEVERITIES,
    FeedWord,
    detail_parts,
    full_sentence,
    peak_words,
    pips,
    ratio,
    sentence,
    size_words,
    state_words,
)

Tone = Literal["", "warn", "bad"]
Name = Annotated[str, Meta(max_length=64, pattern=r"^[^\0]*$")]
"""Of a venue, a symbol, a channel; PostgreSQL has no place for NUL."""


Size = Annotated[float, Meta(ge=0, le=1e6)]
"""Times its limit."""


class Subscription(Struct, frozen=True, forbid_unknown_fields=True):
    """What a page asks for: a lane's bars and the filter for its counts, and how far it has got.

    Attributes
    ----------
    epoch
        Of the database that `revision` and `seq` belong to; "" for a page that knows nothing yet.
    revision, seq
        Last revision of a bar and last number of a change that the page knows.
    number
        Comes back in every message, so that a page can tell those that answer an earlier wish.
    """

    number: Annotated[int, Meta(ge=0)]
    venue: Name
    symbol: Name
    width: Literal[1, 10, 60]
    epoch: Annotated[str, Meta(max_length=200)] = ""
    revision: Annotated[int, Meta(ge=0)] = 0
    seq: Annotated[int, Meta(ge=0)] = 0
    severities: tuple[Severity, ...] = SEVERITIES
    rules: Annotated[tuple[Name, ...], Meta(max_length=20)] = ()
    directions: tuple[Direction, ...] = ()
    symbols: Annotated[tuple[Name, ...], Meta(max_length=8)] = ()
    recency_s: Annotated[int, Meta(ge=60, le=31 * 86_400)] = 3_600
    min_size: Size = 0.0

    @property
    def filter(self) -> Filter:
        """The same as the queries take it."""
        return Filter(self.severities, self.rules, self.directions, self.symbols, self.recency_s, self.min_size)


class Row(Struct, frozen=True):
    """An anomaly as the browser shows it; the meaning of the fields is that of `Anomaly` and of the words.

    Attributes
    ----------
    size
        How many times its limit it is; None for a feed's, which is not measured so. `limit` is the same in words.
    """

    id: str
    venue: str
    symbol: str
    rule: str
    type: str
    severity: Severity
    kind: str
    direction: Direction | None
    opened: float
    last: float
    ended: float | None
    peak_at: float
    peak: str
    ratio: float
    size: float | None
    limit: str
    pips: int
    state: str
    sentence: str
    explain: str
    details: tuple[str, ...]


def row(anomaly: Anomaly) -> Row:
    """Put an anomaly into words."""
    return Row(
        id=anomaly.id,
        venue=anomaly.venue,
        symbol=anomaly.symbol,
        rule=anomaly.rule,
        type=RULES.get(anomaly.rule, anomaly.rule),
        severity=anomaly.severity,
        kind=anomaly.kind,
        direction=anomaly.direction,
        opened=anomaly.opened_ts / NS,
        last=anomaly.last_ts / NS,
        ended=None if anomaly.ended_ts is None else anomaly.ended_ts / NS,
        peak_at=anomaly.peak_ts / NS,
        peak=peak_words(anomaly),
        ratio=ratio(anomaly),
        size=None if anomaly.kind == "feed" else ratio(anomaly),
        limit=size_words(anomaly),
        pips=pips(anomaly),
        state=state_words(anomaly),
        sentence=sentence(anomaly),
        explain=full_sentence(anomaly),
        details=detail_parts(anomaly, clock(anomaly.peak_ts)),
    )


class Banner(Struct, frozen=True):
    """A line across the page that says what is wrong with the picture, and what to do: `command` can be copied."""

    tone: Literal["bad", "warn", "calm"]
    title: str
    text: str
    more: str = ""
    command: str = ""


class Figure(Struct, frozen=True):
    """One figure of the foot bar: what, how much, and whether that is well."""

    label: str
    value: str
    tone: Tone = ""


class Now(Struct, frozen=True):
    """The feed and the verdict as a person should read them.

    Attributes
    ----------
    now, speed
        The lanes' clock when this was made, s, and how fast it runs; 0 where it stands.
    source, source_more
        Where the data come from: "Simulated", "Replay", "Kafka", "Coinbase", and a sentence; "" before there is one.
    headline, rest, counts, severity
        The verdict: "Abnormal now", "ENA-USD rose 11.06 %, 44× the limit", open events by severity, the worst.
    worst
        Id of the anomaly that `rest` speaks of.
    certain
        Whether it can be told of every lane that it is within its limits, or not.
    as_of
        Time of day that prices and verdict stand for; "" while live.
    last
        Time of the last frame of any lane, s; None before the first.
    """

    now: float
    speed: float
    state: FeedWord
    replay: bool
    source: str
    source_more: str
    word: str
    more: str
    banner: Banner | None
    headline: str
    rest: str
    severity: Severity | None
    worst: str | None
    certain: bool
    counts: dict[Severity, int]
    as_of: str
    last: float | None
    figures: tuple[Figure, ...]


def now_picture(now: Status, judged: Verdict, command: str = "") -> Now:
    """Put the feed and the verdict into words.

    Parameters
    ----------
    command
        What a person may type where nobody writes the database; "": nobody can say.
    """
    word, more = feed_words(now)
    headline, rest = verdict_words(judged, now)
    source, source_more = source_words(now.source)
    moving = now.running and now.state not in ("ended", "stopped")
    last = max((each.last_frame_ts for each in now.feed if each.last_frame_ts is not None), default=None)
    return Now(
        now=now.now_ns / NS,
        speed=now.speed if moving else 0.0,
        state=now.state,
        replay=now.replay,
        source=source,
        source_more=source_more,
        word=word,
        more=more,
        banner=_banner(now, command),
        headline=headline,
        rest=rest,
        severity=judged.severity,
        worst=None if judged.worst is None else judged.worst.id,
        certain=bool(now.feed) and not untold(now),
        counts=judged.counts,
        as_of="" if now.state in ("live", "waiting") else clock(now.as_of_ns),
        last=None if last is None else last / NS,
        figures=_figures(now),
    )


def trouble(message: str, wall_ns: int) -> Now:
    """Say that the database cannot be read; `message` is the sentence of the error."""
    return Now(
        now=wall_ns / NS,
        speed=1.0,
        state="stopped",
        replay=False,
        source="",
        source_more="",
        word="No database",
        more="",
        banner=Banner("bad", "The database cannot be read.", _sentence(message)),
        headline="No verdict",
        rest="the database cannot be read",
        severity=None,
        worst=None,
        certain=False,
        counts=dict.fromkeys(SEVERITIES, 0),
        as_of="",
        last=None,
        figures=(),
    )


STOPPED: Final = "Capture was stopped."
NOBODY_CAN_TELL: Final = "Whether anything is abnormal, nobody can tell."


def _banner(now: Status, command: str) -> Banner | None:
    as_of = f"Prices and the verdict are as of {clock(now.as_of_ns)} UTC."
    why = _sentence(now.reason)
    match now.state:
        case "stale" if not now.running:
            again = "Go on with:" if command else f"Start tapewatch {now.program} again; this page goes on by itself."
            return Banner("bad", "Not running.", f"{why} {as_of}", again, command)
        case "stale" | "reconnecting":
            title = "Silent feed." if now.state == "stale" else "Connection lost."
            return Banner("bad", title, f"{why} {as_of}", _next_try(now))
        case "no data" | "blind":
            why = _sentence(now.reason.removeprefix("no data: "))
            title = "No data." if now.state == "no data" else "Blind."
            return Banner("bad", title, f"{why} {NOBODY_CAN_TELL}", _next_try(now))
        case "ended":
            return Banner(
                "calm", f"Replay finished at {clock(now.as_of_ns)}.", "Prices and the verdict are as of then."
            )
        case "stopped":
            return Banner("calm", STOPPED, as_of if why == STOPPED else f"{why} {as_of}".strip())
        case "live" if now.reason:
            return Banner("warn", "Part of the feed is silent.", why)
        case "live" if now.differs:
            return Banner("calm", "Two clocks.", f"{_sentence(now.differs)} Ages here are counted by ours.")
        case _:
            return None


def _next_try(now: Status) -> str:
    if now.next_try_s is None:
        return ""
    due = f"in {duration(now.next_try_s)}" if now.next_try_s >= 1 else "now"
    return f"Reconnecting, try {now.attempts + 1} {due}."


def _figures(now: Status) -> tuple[Figure, ...]:
    latency: tuple[Figure, ...] = ()
    if now.latency_p50_ms is not None and now.latency_p99_ms is not None:
        words = f"{number(now.latency_p50_ms, 0)} ms, p99 {number(now.latency_p99_ms, 0)} ms"
        latency = (Figure("frame to store", words),)
    gaps = [f"{number(now.gaps_open, 0)} open" if now.gaps_open else "", f"{number(now.gaps_filled, 0)} filled"]
    gaps += [f"{number(now.gaps_given_up, 0)} given up" if now.gaps_given_up else ""]
    any_gap = now.gaps_open or now.gaps_filled or now.gaps_given_up
    return (
        *_connections(now),
        *latency,
        Figure("trades", f"{number(now.trades_per_min, 0)} a minute"),
        Figure("gaps", ", ".join(part for part in gaps if part) if any_gap else "0", "warn" if now.gaps_open else ""),
        Figure("quarantined", number(now.quarantined, 0), "warn" if now.quarantined else ""),
        Figure("duplicates", number(now.duplicates, 0)),
        Figure("reconnects", number(now.reconnects, 0)),
    )


def _connections(now: Status) -> list[Figure]:
    # One figure a venue, from the lane that is worst off: lanes of a venue share its connection.
    if not now.feed:
        return [Figure("feed", "not running")]
    figures = []
    for venue in sorted({each.venue for each in now.feed}):
        lanes = [each for each in now.feed if each.venue == venue]
        lost = [each for each in lanes if each.state == "reconnecting"]
        since = [each.connected_ts for each in lanes if each.connected_ts is not None]
        name = "simulated exchange" if now.simulated else venue
        if not now.running and now.state == "stale":
            figures.append(Figure(name, "not running", "bad"))
        elif lost:
            figures.append(Figure(name, f"reconnecting, try {max(each.attempts for each in lost) + 1}", "bad"))
        elif now.state in ("ended", "stopped"):
            figures.append(Figure(name, "end of tape" if now.state == "ended" else "stopped"))
        elif now.replay:
            figures.append(Figure(name, f"tape, {number(now.speed, 0 if now.speed >= 1 else 1)}×"))
        elif since:
            figures.append(Figure(name, f"connected {duration((now.now_ns - min(since)) / NS)}"))
        else:  # by way of Kafka: who captures does not tell since when
            known = any(each.state == "live" for each in lanes)
            figures.append(Figure(name, "live" if known else "waiting"))
    return figures


def _sentence(words: str) -> str:
    text = words[:1].upper() + words[1:]
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


ENCODER = msgspec.json.Encoder()
