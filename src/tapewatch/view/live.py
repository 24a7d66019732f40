"""The live channel: the database is followed once per process, and every page is told what concerns it.

In: looks at the database, twenty a second. Out: messages to pages, at most ten a second each; what a page
cannot take in time is merged, and if even that becomes too much it is told to read afresh.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from msgspec import Raw, Struct

from tapewatch.model import BAR_WIDTHS, NS, Anomaly
from tapewatch.store.sql import Reader
from tapewatch.view.look import NOWHERE, News, Wanted, look
from tapewatch.view.queries import Filter, LiveBar, Place
from tapewatch.view.wire import ENCODER, Subscription, row

POLL_S = 0.05
"""Between two looks at the database."""

IDLE_S = 1.0
"""The same while no page is open."""

PUSH_S = 0.1
"""Between two messages to a page."""

PICTURE_S = 0.5
"""Between two looks at the verdict and the feed."""

BEAT_S = 5.0
"""A page hears something at least so often."""

PENDING_MAX = 2_000
"""Bars, or anomalies, that may wait for a page; one that falls further behind reads afresh."""

PAGES_MAX = 64
"""Pages that are served at the same time."""

Sleep = Callable[[float], Awaitable[None]]


class Message(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="live"):
    """What a page is told; a part that is absent has not changed.

    Attributes
    ----------
    number
        Of the subscription that is answered.
    epoch, revision, seq
        Where the page stands after this message; what it says when it comes back.
    bars
        Of the lane and width that it asked for: time, open, high, low, close, volume, count; each replaces what
        the page has of its bucket.
    prices
        Last price by ``venue:symbol``, where it has changed.
    happened
        Changes in their order: number, anomaly, what happened. The anomalies themselves stand in `rows`.
    """

    number: int
    epoch: str
    revision: int
    seq: int
    bars: list[tuple[float, ...]] = []
    prices: dict[str, float] = {}
    rows: list[Raw] = []
    happened: list[tuple[int, str, str]] = []
    now: Raw | None = None
    alerting: Raw | None = None
    watch: Raw | None = None
    tally: Raw | None = None


RESYNC = b'{"type":"resync"}'
BEAT = b'{"type":"beat"}'


class Parcel(Struct, frozen=True):
    """What one look means for all pages; its parts are encoded once."""

    news: News
    rows: dict[str, Raw]
    prices: dict[str, float]
    now: Raw | None
    alerting: Raw | None
    watch: Raw | None
    tallies: dict[Filter, Raw]


def pack(news: News, moved: Iterable[Anomaly], prices: dict[str, float]) -> Parcel:
    """Encode news for sending.

    Parameters
    ----------
    moved
        Anomalies that are open and that the pages do not know as they stand.
    prices
        Last price by ``venue:symbol``, where it has changed.
    """
    rows = {
        change.anomaly_id: _encoded(row(msgspec.json.decode(change.record, type=Anomaly))) for change in news.changes
    }
    return Parcel(
        news,
        rows=rows | {anomaly.id: _encoded(row(anomaly)) for anomaly in moved},
        prices=prices,
        now=None if news.now is None else _encoded(news.now),
        alerting=None if news.alerting is None else _encoded(news.alerting),
        watch=None if news.watch is None else _encoded(news.watch),
        tallies={wanted: _encoded(counted) for wanted, counted in news.tallies.items()},
    )


class _Waiting(Struct):
    # What a message will be made of; bars by their time, anomalies by their id.
    bars: dict[float, tuple[float, ...]] = {}
    prices: dict[str, float] = {}
    rows: dict[str, Raw] = {}
    happened: list[tuple[int, str, str]] = []
    now: Raw | None = None
    alerting: Raw | None = None
    watch: Raw | None = None
    tally: Raw | None = None


class Mailbox:
    """What waits for one page; newer news of a thing replace older ones.

    Parameters
    ----------
    wanted
        What the page has asked for.
    """

    def __init__(self, wanted: Subscription) -> None:
        self.wanted = wanted
        self.filter = wanted.filter
        self.filled = asyncio.Event()
        self._place = NOWHERE
        self._early: list[Parcel] | None = []
        self._behind = self._told = False
        self._waiting = _Waiting()

    def welcome(self, parcel: Parcel) -> None:
        """Put in what the page has missed, and behind it what came meanwhile."""
        early, self._early = self._early or [], None
        for each in (parcel, *early):
            self.offer(each)

    def offer(self, parcel: Parcel) -> None:
        """Put news in, but for what the page has been told already."""
        if self._early is not None:
            self._early.append(parcel)
            return
        if self._behind:
            return
        news, waiting = parcel.news, self._waiting
        nowhere = not self._place.epoch
        if nowhere or (news.place.epoch == self._place.epoch and news.place.revision > self._place.revision):
            waiting.bars |= {each.bar[0]: each.bar for each in news.bars if self._concerns(each)}
            waiting.prices |= parcel.prices
            waiting.happened += [(c.seq, c.anomaly_id, c.change) for c in news.changes if c.seq > self._place.seq]
            self._place = news.place
        waiting.rows |= parcel.rows
        waiting.now = parcel.now or waiting.now
        waiting.alerting = parcel.alerting or waiting.alerting
        waiting.watch = parcel.watch or waiting.watch
        waiting.tally = parcel.tallies.get(self.filter, waiting.tally)
        if not news.complete or max(len(waiting.bars), len(waiting.rows), len(waiting.happened)) > PENDING_MAX:
            self._behind = True
        if self._behind or waiting != _Waiting():
            self.filled.set()

    def take(self) -> bytes | None:
        """Take everything out as one message; None where there is nothing.

        A page that is told to read afresh is told nothing more; it will subscribe anew.
        """
        self.filled.clear()
        if self._behind:
            told, self._told = self._told, True
            return None if told else RESYNC
        waiting, self._waiting = self._waiting, _Waiting()
        if waiting == _Waiting():
            return None
        message = Message(
            self.wanted.number,
            self._place.epoch,
            self._place.revision,
            self._place.seq,
            bars=[waiting.bars[time] for time in sorted(waiting.bars)],
            prices=waiting.prices,
            rows=list(waiting.rows.values()),
            happened=waiting.happened,
            now=waiting.now,
            alerting=waiting.alerting,
            watch=waiting.watch,
            tally=waiting.tally,
        )
        return ENCODER.encode(message)

    def _concerns(self, each: LiveBar) -> bool:
        wanted = self.wanted
        return each.width == wanted.width and each.symbol == wanted.symbol and each.venue == wanted.venue


class Hub:
    """Follow the database and tell the pages.

    Parameters
    ----------
    clock
        Wall clock of who writes it, ns since the epoch.
    refresh_s
        Between two looks at watch-list and counts.
    differs
        Says how our clock differs from that of who writes the database, for a person.
    sleep
        The outside world.
    """

    def __init__(
        self,
        reader: Reader,
        clock: Callable[[], int],
        refresh_s: float,
        sleep: Sleep = asyncio.sleep,
        differs: Callable[[], str] = str,
    ) -> None:
        self.reader = reader
        self.sleep = sleep
        self._clock = clock
        self._differs = differs
        self._refresh_s = refresh_s
        self._place = NOWHERE
        self._picture_ns = self._panels_ns = 0  # when they were looked at last
        self._opened: dict[str, Anomaly] = {}
        self._tops: dict[tuple[str, str], float] = {}  # time of each lane's last bar
        self._said: dict[str, Raw] = {}
        self._boxes: set[Mailbox] = set()
        self._joined = asyncio.Event()
        self._followed = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more pages are served."""
        return len(self._boxes) >= PAGES_MAX

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.follow()
            await self._pause()

    async def follow(self) -> None:
        """Look once, and tell the pages."""
        now_ns = await self._now()
        wanted = Wanted(
            picture=_due(now_ns, self._picture_ns, PICTURE_S),
            panels=_due(now_ns, self._panels_ns, self._refresh_s),
            filters=tuple({box.filter for box in self._boxes}),
        )
        news = await asyncio.to_thread(look, self.reader, self._place, now_ns, wanted, self._differs())
        self._picture_ns = now_ns if wanted.picture or wanted.panels else self._picture_ns
        self._panels_ns = now_ns if wanted.panels else self._panels_ns
        self._tell(news)

    async def join(self, wanted: Subscription) -> Mailbox:
        """Tell a page all that it has missed, and from now on what is new."""
        await self._followed.wait()  # the first look finds the place only, not what led there
        box = Mailbox(wanted)
        self._boxes.add(box)  # before it looks, so that nothing falls between its look and ours
        self._joined.set()
        since = Place(wanted.epoch, wanted.revision, wanted.seq)
        try:
            wanted_now = Wanted(filters=(box.filter,))
            news = await asyncio.to_thread(look, self.reader, since, await self._now(), wanted_now, self._differs())
        except BaseException:
            self.leave(box)
            raise
        box.welcome(pack(news, news.opened or (), {}))
        return box

    async def _now(self) -> int:
        return await asyncio.to_thread(self._clock)  # it may look into the database

    def leave(self, box: Mailbox) -> None:
        """Forget a page."""
        self._boxes.discard(box)

    def _tell(self, news: News) -> None:
        moved: list[Anomaly] = []
        if news.opened is not None:
            moved = [each for each in news.opened if self._opened.get(each.id) != each]
            self._opened = {each.id: each for each in news.opened}
        if news.place.epoch != self._place.epoch:
            self._tops.clear()
            # Pages that are here have met the database before us, or not at all.
            news = msgspec.structs.replace(news, complete=not self._boxes)
        self._place = news.place
        self._followed.set()
        prices = self._prices(news.bars)
        if self._boxes:
            parcel = self._unsaid(pack(news, moved, prices))
            for box in self._boxes:
                box.offer(parcel)

    def _prices(self, bars: Iterable[LiveBar]) -> dict[str, float]:
        # A late trade touches an old bar, whose close is not the last price.
        prices = {}
        for each in bars:
            lane = (each.venue, each.symbol)
            if each.width == min(BAR_WIDTHS) and each.bar[0] >= self._tops.get(lane, 0.0):
                self._tops[lane] = each.bar[0]
                prices[":".join(lane)] = each.bar[4]
        return prices

    def _unsaid(self, parcel: Parcel) -> Parcel:
        # Leave out what all pages know already; one that joins later is told everything when it does.
        parts = {"now": parcel.now, "alerting": parcel.alerting, "watch": parcel.watch}
        fresh = {name: raw for name, raw in parts.items() if raw is not None and raw != self._said.get(name)}
        self._said |= fresh
        return msgspec.structs.replace(parcel, **{name: fresh.get(name) for name in parts})

    async def _pause(self) -> None:
        if self._boxes:
            await self.sleep(POLL_S)
            return
        self._joined.clear()
        waits = [asyncio.ensure_future(self._joined.wait()), asyncio.ensure_future(self.sleep(IDLE_S))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


def _due(now_ns: int, last_ns: int, period_s: float) -> bool:
    # A clock that was set back makes everything due.
    return not 0 <= now_ns - last_ns < period_s * NS


def _encoded(value: Struct | tuple[Struct, ...]) -> Raw:
    return Raw(ENCODER.encode(value))
