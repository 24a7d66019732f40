"""What is said of a message: the values from which templates make its letter, in a trader's words.

In: a `Message` and the dashboard's address. Out: a frozen `Page` of plain texts; formats escape them on their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from msgspec.structs import replace

from tapewatch.alert import HeldBack, Message, MessageKind
from tapewatch.dispatch import phrases
from tapewatch.dispatch.fields import Fact, Item, Page, Tally
from tapewatch.dispatch.headlines import Line, grouped, span, subject
from tapewatch.dispatch.phrases import against_limit, names_words, plain, ranked
from tapewatch.dispatch.stages import is_rare, reach
from tapewatch.dispatch.totals import Spans, Total, market_words, nowhere, row_words, total_words, totals_of
from tapewatch.figures import clock, day_clock, number
from tapewatch.model import Anomaly
from tapewatch.words import QUALITIES, RULES, SEVERITIES, SHAPES, lasted_words

ROWS_MAX: Final = 12
"""Lines of a list: with what stands around them a message stays below Discord's 2,000 characters."""

OTHERS_MAX: Final = 6
NAMES_MAX: Final = 12
NAMED_BEFORE_MAX: Final = 4
NOTE_MAX: Final = 500

HELD_MAX: Final = 5
"""Of what was held back, how many are named."""

ALSO_FROM: Final = 8.0
"""A row names further moves of its symbol that are so many times their limit, or slow."""

ALSO_MAX: Final = 5

TOTALS_MAX: Final = 4
"""Rows that say how far the event has carried their symbol."""

SAMPLE: Final = "A sample from tapewatch: this channel works"


def leading(kind: MessageKind, anomalies: Sequence[Anomaly]) -> Anomaly:
    """Find the anomaly to tell first.

    Of one symbol it is the one furthest over its limit among the worst; of several symbols the largest move.

    Parameters
    ----------
    anomalies
        At least one, as they stood last.
    """
    return ranked(anomalies)[0] if kind == "symbol" else grouped(anomalies)[0][0]


def page(message: Message, dashboard: str, spans: Spans = nowhere) -> Page:
    """Say a message.

    Parameters
    ----------
    dashboard
        Its address, without a slash at its end; "": there is none to link to.
    spans
        Knows what has traded.
    """
    blank = Page(
        kind=message.kind,
        channel=plain(message.channel),
        subject=SAMPLE,
        note=plain(message.note, NOTE_MAX),
        update=message.update,
        date=clock(message.at, "%Y-%m-%d"),
        link=dashboard,
    )
    anomalies = message.anomalies
    if message.kind == "sample":
        return blank
    if message.kind == "health":
        return replace(blank, subject=blank.note)
    assert anomalies, "a message that is no sample tells of something"
    past = message.kind == "digest"
    alone = message.kind == "symbol" or (not past and len({(each.venue, each.symbol) for each in anomalies}) == 1)
    venues = {each.venue for each in anomalies}
    until_ts = max(message.at, *(each.peak_ts for each in anomalies if each.kind == "market"), 0)
    totals = totals_of(message.began, until_ts, spans)
    items = _Items(message.at, dashboard, totals, several=len(venues) > 1, past=past)
    first = leading("symbol" if alone else message.kind, anomalies)
    groups = [] if alone else grouped(anomalies)
    members = next((group for group in groups if group[0] is first), (first,))
    told = items.row(members)
    others = [items.item(each) for each in ranked(anomalies) if each is not first][:OTHERS_MAX] if alone else []
    rows = [items.row(group) for group in groups[:ROWS_MAX]]
    rows = [row if place < TOTALS_MAX else replace(row, total="") for place, row in enumerate(rows)]
    held = [items.item(each) for each in message.held.largest[:HELD_MAX]] if message.held else []
    moments = [*(alert.at for alert in message.alerts), *(each.peak_ts for each in message.grown)]
    since, until = span(message) if past else (items.time(min(moments)), items.time(max(moments)))
    return replace(
        blank,
        subject=subject(message, anomalies, first, items.name),
        since=since,
        until=until,
        venues=phrases.venues_words(anomalies),
        lead=told,
        others=tuple(others),
        others_more=max(0, len(anomalies) - 1 - OTHERS_MAX) if alone else 0,
        facts=tuple(_facts(told, members, items)),
        rows=tuple(rows),
        rows_more=max(0, len(groups) - ROWS_MAX),
        earlier=names_words([plain(symbol) for symbol in message.earlier], NAMED_BEFORE_MAX),
        symbols=len({(each.venue, each.symbol) for each in anomalies}),
        anomalies=len(anomalies),
        tally=tuple(_tally(anomalies)),
        total="" if alone else market_words(totals, message.at),
        held=_held_words(message.held, items),
        held_rows=tuple(held),
        link=dashboard if past else told.link,
        named=(first, *(each.anomaly for each in [*others, *held]), *_shown(groups[:ROWS_MAX])),
    )


def _held_words(held: HeldBack | None, items: "_Items") -> str:
    if held is None:
        return ""
    silenced = f", {number(held.silenced, 0)} of them silenced" if held.silenced else ""
    return f"{number(held.count, 0)} held back since {items.time(held.since)}{silenced}"


def _shown(groups: Iterable[Line]) -> Iterable[Anomaly]:
    for members in groups:
        yield members[0]
        yield from _also(members)


def _also(members: Line) -> list[Anomaly]:
    # A rebound or a second wave must not hide behind the first.
    further = [each for each in members[1:] if each.kind == "market" and (is_rare(each) or reach(each) >= ALSO_FROM)]
    return sorted(further, key=lambda each: (not is_rare(each), -reach(each)))[:ALSO_MAX]


def _tally(anomalies: Sequence[Anomaly]) -> Iterable[Tally]:
    for severity in SEVERITIES:
        count = sum(each.severity == severity for each in anomalies)
        if count:
            yield Tally(SHAPES[severity], severity.capitalize(), count)


def _facts(told: Item, members: Line, items: "_Items") -> Iterable[Fact]:
    first = told.anomaly
    if told.quality:
        yield Fact("Note", told.quality)
    if phrases.as_opened(first):
        yield Fact("Opened", f"{told.opened} UTC{against_limit(first)}")
    else:
        yield Fact("Opened", f"{told.opened} UTC: {phrases.opening(first)}")
    if told.reached:
        yield Fact("Reached", told.reached)
    if first.rule == "silent_feed" and phrases.as_opened(first) and first.reference_ts is not None:
        yield Fact("Last frame", f"{items.time(first.reference_ts)} UTC")
    if told.held and first.rule != "silent_feed":  # which says how long it was silent, and that is what matters
        yield Fact("Lasted", told.held)
    if told.ended:
        yield Fact("Over since", f"{told.ended} UTC")
    if (total := items.total(first)) is not None:
        yield Fact("Since", f"{items.time(total.since)}: {total_words(total, items.now)}")
    if len(members) > 1 and first.rule == "silent_feed":
        yield Fact("Symbols", names_words(sorted({plain(each.symbol) for each in members}), NAMES_MAX))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Items:
    # Says anomalies as one message does: its moment decides which times need a date, its venues what names need one.

    def __init__(self, now: int, dashboard: str, totals: Mapping[str, Total], *, several: bool, past: bool) -> None:
        self.now, self._dashboard, self._totals, self._several, self._past = now, dashboard, totals, several, past

    def time(self, ts: int) -> str:
        return day_clock(ts, self.now)

    def total(self, anomaly: Anomaly) -> Total | None:
        return self._totals.get(f"{anomaly.venue}:{anomaly.symbol}") if anomaly.kind == "market" else None

    def name(self, anomaly: Anomaly) -> str:
        symbol = plain(anomaly.symbol)
        return f"{symbol} on {plain(anomaly.venue)}" if self._several else symbol

    def row(self, members: Line) -> Item:
        lanes = {(each.venue, each.symbol) for each in members}
        item = replace(
            self.item(members[0]),
            count=len(members),
            also=self._also_words(members[0], _also(members)),
            tail=phrases.tail(members[0], len(members) if len(lanes) == 1 else 1, past=self._past),
        )
        return item if len(lanes) == 1 else replace(item, name=f"{len(lanes)} symbols")

    def _also_words(self, first: Anomaly, anomalies: Sequence[Anomaly]) -> str:
        # A fast, a slow and an hour's move may be one: it is said once.
        said = {f"{phrases.move(each)} at {self.time(each.peak_ts)}": each for each in (first, *anomalies)}
        told = ", ".join(list(said)[1:])
        return f"also {told}" if told else ""

    def item(self, anomaly: Anomaly) -> Item:
        over = anomaly.ended_ts is not None
        total = self.total(anomaly)
        return Item(
            name=self.name(anomaly),
            symbol=plain(anomaly.symbol),
            venue=plain(anomaly.venue),
            rule=RULES.get(anomaly.rule, plain(anomaly.rule)),
            severity=anomaly.severity.capitalize(),
            shape=SHAPES[anomaly.severity],
            arrow=phrases.arrow(anomaly),
            what=phrases.what(anomaly),
            size=phrases.size(anomaly),
            move=phrases.move(anomaly),
            pace=phrases.pace(anomaly) or phrases.from_mean(anomaly),
            reference=phrases.start(anomaly),
            price=phrases.end(anomaly),
            ratio=phrases.times_limit(anomaly),
            limit=phrases.limit(anomaly),
            opened=self.time(anomaly.opened_ts),
            peaked=self.time(anomaly.peak_ts),
            ended=self.time(anomaly.last_ts) if over else "",
            explain=plain(anomaly.explain, phrases.SENTENCE_MAX),
            sentence=phrases.sentence(anomaly, self.now),
            reached=phrases.reached(anomaly, self.now),
            state="over" if over else "open",
            held=lasted_words(anomaly) if over else "",
            quality="" if anomaly.quality == "complete" else _lowered(QUALITIES[anomaly.quality]),
            link=f"{self._dashboard}/?anomaly={quote(anomaly.id, safe='')}" if self._dashboard else "",
            line=phrases.line(anomaly),
            tail="",
            count=1,
            also="",
            total="" if total is None else row_words(total, self.now),
            anomaly=anomaly,
        )
