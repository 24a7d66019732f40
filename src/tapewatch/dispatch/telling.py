"""What is said of a message: the values from which templates make its letter, in a trader's words.

In: a `Message` and the dashboard's address. Out: a frozen `Page` of plain texts; formats escape them on their own.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.alert import Alert, Message, MessageKind
from tapewatch.dispatch import phrases
from tapewatch.dispatch.headlines import Line, grouped, span, subject
from tapewatch.dispatch.phrases import against_limit, names_words, plain, ranked
from tapewatch.figures import clock, day_clock
from tapewatch.model import Anomaly
from tapewatch.words import QUALITIES, RULES, SEVERITIES, SHAPES, lasted_words

ROWS_MAX: Final = 12
"""Lines of a list: with what stands around them a message stays below Discord's 2,000 characters."""

OTHERS_MAX: Final = 6
NAMES_MAX: Final = 12
NAMED_BEFORE_MAX: Final = 4
NOTE_MAX: Final = 500

SAMPLE: Final = "A sample from tapewatch: this channel works"


class Fact(Struct, frozen=True):
    """One fact: "Reached", "4× the limit at 14:58:03, 32× at 14:58:12".

    Attributes
    ----------
    label
        A word or two; with `text` behind it, it reads as a sentence.
    """

    label: str
    text: str


class Item(Struct, frozen=True):
    """One anomaly as a message tells it: as it stood last. Every text is plain; "" where there is nothing to say.

    Attributes
    ----------
    name
        "DOGE-USD"; "DOGE-USD on kraken" in a message about several venues; "10 symbols" for one silence on all of them.
    symbol, venue
        As the venue calls them.
    rule
        "Fast move".
    severity, shape
        "High" and its "◆".
    arrow
        "▼", "▲", "‖" for a feed, "✓" for what is over; twice where it has escalated.
    what
        "fell 8.31 % in 6 s", "stands 1.20 % above its 60 s average", "silent for 20 s", "misses 7 trades".
    size
        How large it became: "−8.31 %", "−141.03 USDC (0.12 %)", "20 s silent", "7 trades missing".
    move
        The same in percent, so that rows compare.
    pace
        "in 6 s", "in under 1 s"; "from its 60 s average".
    reference, price
        From where and to where, at its largest: "0.24864", "0.22798".
    ratio
        "33×": how many times its limit.
    limit
        "0.25 % in 10 s".
    opened, peaked, ended
        Times in UTC, "14:58:01"; with the date where it is not the message's.
    explain
        The sentence of its opening, exactly as it is stored.
    sentence
        How it stands: that sentence, or what it has become since.
    reached
        "4× the limit at 14:58:03, 32× at 14:58:12": when it escalated after its opening.
    state
        "open" or "over".
    held
        "4 min, 1,412 trades over the limit".
    quality
        "trades are missing in what it was compared with"; "" when the data were complete.
    link
        Its address in the dashboard.
    line
        "Dollar jump: fell 141.03 USDC (0.12 %) in 3.7 s, 4.7× its limit".
    tail
        "Fast move, 2 more, over": what ends a line of a list.
    count
        How many anomalies stand behind a line of a list: of the same symbol, or of one silence.
    anomaly
        The record itself, with all its numbers.
    """

    name: str
    symbol: str
    venue: str
    rule: str
    severity: str
    shape: str
    arrow: str
    what: str
    size: str
    move: str
    pace: str
    reference: str
    price: str
    ratio: str
    limit: str
    opened: str
    peaked: str
    ended: str
    explain: str
    sentence: str
    reached: str
    state: str
    held: str
    quality: str
    link: str
    line: str
    tail: str
    count: int
    anomaly: Anomaly


class Tally(Struct, frozen=True):
    """How many anomalies of one severity there are: "◆", "High", 12."""

    shape: str
    severity: str
    count: int


class Page(Struct, frozen=True):
    """What a template may use. Every text is plain; "" where there is nothing to say.

    Attributes
    ----------
    kind
        "symbol", "market", "digest", "sample", or "health", whose note is all that it says.
    channel
        Name of the channel.
    subject
        What fits on a lock screen: "▼ DOGE-USD fell 0.52 % in 8 s".
    note
        A sentence to stand in front.
    update
        Whether it goes on with an earlier message.
    date
        "2025-10-10", in UTC.
    since, until
        Time of its first and of its last alert, "14:58:01" in UTC; of a digest the hours or minutes that it covers,
        "14:00", with their dates where they are of several days.
    venues
        "coinbase", "coinbase and kraken", "3 venues".
    lead
        The anomaly to tell first; none in a sample.
    facts
        Of the lead: what its sentence leaves out.
    others
        Further anomalies of the lead's symbol, the worst first; `others_more` says how many were left off.
    rows
        One item per symbol, the largest first, where there are several; `rows_more` says how many were left off.
    earlier
        Symbols that the event's earlier messages told of: "ADA-USD, BCH-USD and 7 more".
    symbols, anomalies
        How many there are in all.
    tally
        The anomalies by severity, the worst first.
    link
        Of the lead in the dashboard; of the dashboard in a digest; "" where no address of it is set.
    """

    kind: MessageKind
    channel: str
    subject: str
    note: str
    update: bool
    date: str
    since: str = ""
    until: str = ""
    venues: str = ""
    lead: Item | None = None
    others: tuple[Item, ...] = ()
    others_more: int = 0
    facts: tuple[Fact, ...] = ()
    rows: tuple[Item, ...] = ()
    rows_more: int = 0
    earlier: str = ""
    symbols: int = 0
    anomalies: int = 0
    tally: tuple[Tally, ...] = ()
    link: str = ""


def last_of(alerts: Iterable[Alert]) -> list[Anomaly]:
    """Give each anomaly once, as it stood last, in the order in which they appeared."""
    return list({alert.anomaly.id: alert.anomaly for alert in alerts}.values())


def leading(kind: MessageKind, anomalies: Sequence[Anomaly]) -> Anomaly:
    """Find the anomaly to tell first.

    Of one symbol it is the one furthest over its limit among the worst; of several symbols the largest move.

    Parameters
    ----------
    anomalies
        At least one, as they stood last.
    """
    return ranked(anomalies)[0] if kind == "symbol" else grouped(anomalies, past=kind == "digest")[0][0]


def page(message: Message, dashboard: str) -> Page:
    """Say a message.

    Parameters
    ----------
    dashboard
        Its address, without a slash at its end; "": there is none to link to.
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
    anomalies = last_of(message.alerts)
    if message.kind == "sample":
        return blank
    if message.kind == "health":
        return replace(blank, subject=blank.note)
    assert anomalies, "a message that is no sample tells of something"
    past = message.kind == "digest"
    alone = message.kind == "symbol" or (not past and len({(each.venue, each.symbol) for each in anomalies}) == 1)
    venues = {each.venue for each in anomalies}
    items = _Items(message.at, dashboard, several=len(venues) > 1, past=past)
    first = leading("symbol" if alone else message.kind, anomalies)
    groups = [] if alone else grouped(anomalies, past=past)
    members = next((group for group in groups if group[0] is first), (first,))
    told = items.row(members)
    others = [items.item(each) for each in ranked(anomalies) if each is not first] if alone else []
    moments = [alert.at for alert in message.alerts]
    since, until = span(message) if past else (items.time(min(moments)), items.time(max(moments)))
    return replace(
        blank,
        subject=subject(message, anomalies, first, items.name),
        since=since,
        until=until,
        venues=phrases.venues_words(anomalies),
        lead=told,
        others=tuple(others[:OTHERS_MAX]),
        others_more=max(0, len(others) - OTHERS_MAX),
        facts=tuple(_facts(told, members, items)),
        rows=tuple(items.row(group) for group in groups[:ROWS_MAX]),
        rows_more=max(0, len(groups) - ROWS_MAX),
        earlier=names_words([plain(symbol) for symbol in message.earlier], NAMED_BEFORE_MAX),
        symbols=len({(each.venue, each.symbol) for each in anomalies}),
        anomalies=len(anomalies),
        tally=tuple(_tally(anomalies)),
        link=dashboard if past else told.link,
    )


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
    if len(members) > 1 and first.rule == "silent_feed":
        yield Fact("Symbols", names_words(sorted({plain(each.symbol) for each in members}), NAMES_MAX))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Items:
    # Says anomalies as one message does: its moment decides which times need a date, its venues what names need one.

    def __init__(self, now: int, dashboard: str, *, several: bool, past: bool) -> None:
        self._now, self._dashboard, self._several, self._past = now, dashboard, several, past

    def time(self, ts: int) -> str:
        return day_clock(ts, self._now)

    def name(self, anomaly: Anomaly) -> str:
        symbol = plain(anomaly.symbol)
        return f"{symbol} on {plain(anomaly.venue)}" if self._several else symbol

    def row(self, members: Line) -> Item:
        lanes = {(each.venue, each.symbol) for each in members}
        item = replace(
            self.item(members[0]),
            count=len(members),
            tail=phrases.tail(members[0], len(members) if len(lanes) == 1 else 1, past=self._past),
        )
        return item if len(lanes) == 1 else replace(item, name=f"{len(lanes)} symbols")

    def item(self, anomaly: Anomaly) -> Item:
        over = anomaly.ended_ts is not None
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
            sentence=phrases.sentence(anomaly, self._now),
            reached=phrases.reached(anomaly, self._now),
            state="over" if over else "open",
            held=lasted_words(anomaly) if over else "",
            quality="" if anomaly.quality == "complete" else _lowered(QUALITIES[anomaly.quality]),
            link=f"{self._dashboard}/?anomaly={quote(anomaly.id, safe='')}" if self._dashboard else "",
            line=phrases.line(anomaly),
            tail="",
            count=1,
            anomaly=anomaly,
        )
