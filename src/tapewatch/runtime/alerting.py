"""Alerting as a loop: the log of changes in; what is decided into the outbox, and from there to the channels."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from tapewatch import telemetry
from tapewatch.alert import Message
from tapewatch.clock import Clock
from tapewatch.dispatch.desk import Desk, Entry
from tapewatch.dispatch.memory import Memory
from tapewatch.dispatch.message import Writer, lead
from tapewatch.dispatch.stages import Terms
from tapewatch.dispatch.totals import Span
from tapewatch.errors import ConfigError, DatabaseAwayError, SnapshotError
from tapewatch.figures import clock, duration
from tapewatch.model import NS, SIMULATED, Anomaly, Severity
from tapewatch.runtime.alert_requests import Asked, answer_all, decided
from tapewatch.runtime.process import Say
from tapewatch.runtime.sender import Sender, Sending
from tapewatch.runtime.watchdog import PAGE, Watchdog
from tapewatch.store.outbox import Outbox
from tapewatch.store.records import Attempt, ChannelRow, Fresh, Kept, Post, Source, origin
from tapewatch.store.records import Clock as LanesClock
from tapewatch.store.sight import Pulse
from tapewatch.words import SEVERITIES

T = TypeVar("T")

LOOK_EVERY_S = 0.1
"""How often the log is looked at."""

STALE_S = 15.0
"""Without a look for so long, something hangs."""

BEAT_NS = 10 * NS
"""How often readers of the database are told that somebody is there."""

ROWS = 500
"""Alerts that are stored in one transaction, more or less: whoever detects waits for it, where both write."""

REST_S = 0.05
"""What is left to others between two such transactions."""

OLD_NS = 120 * NS
"""A message about what is longer ago than that says so."""

AHEAD_NS = 60 * NS
"""Capture takes trades that are so far ahead of our clock."""

HOUR_NS = 3_600 * NS

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0)


class Means(NamedTuple):
    """What alerting works with.

    Attributes
    ----------
    channels
        Each with what is routed to it, for a person.
    chart_of
        Draws the chart of an anomaly of an outbox's database, by its id.
    traded
        Reads what a lane of an outbox's database has traded, as `totals.Spans` does.
    watchdog
        Looks whether tapewatch itself is well.
    """

    open_outbox: Callable[[], Outbox]
    channels: Sequence[tuple[Sending, str]]
    terms: Sequence[Terms]
    writer: Writer
    chart_of: Callable[[Outbox, str], bytes | None]
    traded: Callable[[Outbox, str, int, int], Span | None]
    clock: Clock
    say: Say
    keep_trying_s: float
    watchdog: Watchdog
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Alerting:
    """Tell what happens in a database, until cancelled.

    Attributes
    ----------
    away
        Why the database cannot be used; None when it can.
    position
        Number of the last change that was judged and stored.
    """

    def __init__(self, means: Means) -> None:
        self.away: str | None = "the database is not open yet"
        self.position = 0
        self.waiting: dict[str, int] = {}
        self.looked_ns = means.clock.monotonic_ns()
        self._means = means

    def describe(self) -> dict[str, Any]:
        """Tell how far it has come, as JSON."""
        return {"position": self.position, "waiting": self.waiting}

    def trouble(self) -> str | None:
        """Tell why nothing is told; None when all is well."""
        if self.away is not None:
            return self.away
        late_s = (self._means.clock.monotonic_ns() - self.looked_ns) / NS
        return f"the log has not been looked at for {late_s:.0f} s" if late_s > STALE_S else None

    async def run(self, first: Outbox) -> None:
        """Tell until cancelled; where the database goes away, open it again.

        Parameters
        ----------
        first
            An open outbox, owned by this from now on.

        Raises
        ------
        StoreError
            The database refuses for good.
        """
        outbox: Outbox | None = first
        tries = 0
        while True:
            try:
                if outbox is None:
                    outbox = await asyncio.to_thread(self._means.open_outbox)
                    tries = 0
                await _Session(self, self._means, outbox).run()
            except DatabaseAwayError as error:
                self.away = str(error)
                telemetry.log(telemetry.DATABASE_AWAY, error=error)
            finally:
                if outbox is not None:
                    outbox.close()
                    outbox = None
            await self._means.sleep(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1


class _Session:
    """Alerting on one open outbox."""

    def __init__(self, alerting: Alerting, means: Means, outbox: Outbox) -> None:
        self._alerting = alerting
        self._means = means
        self._outbox = outbox
        self._lanes = LanesClock(0, 0)
        self._pulse = Pulse(means.clock)
        self._lanes_ns = self._present_ns = means.clock.now_ns()
        self._writer_ns = means.clock.wall_ns()
        self._moved = (0, 0)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")  # it has one connection
        self._senders: dict[str, Sender] = {}
        self._source: Source | None = None
        self._batch = max(1, ROWS // max(1, len(means.terms)))
        self._desk = Desk(means.terms)

    async def run(self) -> None:
        kept = await self._in_thread(self._outbox.kept)
        memory = kept.memory
        self._means.watchdog.begin(memory.pop(PAGE, b""))
        if not memory:
            self._desk = Desk(self._means.terms, Memory(position=kept.position, number=kept.number))
        else:
            try:
                self._desk = Desk.restore(self._means.terms, memory)
            except SnapshotError as error:  # starting again cannot help
                raise ConfigError(f"{self._outbox.name}: {error}; go on with the version that wrote it") from None
        await self._man(kept)
        tasks = [asyncio.ensure_future(sender.run()) for sender in self._senders.values()]
        tasks.append(asyncio.ensure_future(self._follow()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # the first one's is raised, the others' are like it
            self._thread.shutdown(cancel_futures=True)

    async def _man(self, kept: Kept) -> None:
        # Every channel gets its sender, and what waited for it; what waited for a channel that is no more ends.
        stood = {row.name: row for row in kept.channels}
        for channel, takes in self._means.channels:
            self._senders[channel.name] = Sender(
                channel,
                takes,
                stood.get(channel.name),
                record=self._record,
                load=partial(self._load, channel.name),
                waiting=kept.waiting.get(channel.name, 0),
                chart_of=partial(self._means.chart_of, self._outbox),
                bundle=self._means.writer.bundle,
                clock=self._means.clock,
                say=self._means.say,
                keep_trying_s=self._means.keep_trying_s,
                sleep=self._means.sleep,
            )
        rows = [sender.row for sender in self._senders.values()]
        await self._in_thread(partial(self._outbox.stand, rows, self._means.clock.wall_ns()))

    async def _follow(self) -> None:
        beat_ns = self._means.clock.monotonic_ns()
        while True:
            behind = await self._look()
            if self._means.clock.monotonic_ns() - beat_ns > BEAT_NS:
                beat_ns = self._means.clock.monotonic_ns()
                # By the clock of who writes, with which readers compare it: ours may be another machine's.
                await self._in_thread(partial(self._outbox.beat, self._writer_ns))
            self._alerting.position, self._alerting.away = self._desk.position, None
            self._alerting.looked_ns = self._means.clock.monotonic_ns()
            self._alerting.waiting = {name: sender.waiting for name, sender in self._senders.items()}
            await self._means.sleep(REST_S if behind else LOOK_EVERY_S)

    async def _look(self) -> bool:
        before, now = self._desk.position, self._means.clock.now_ns()
        fresh, asked, standing = await self._in_thread(partial(self._read, before, now))
        behind = fresh.behind > 0
        telemetry.ALERTS_BEHIND.set(fresh.behind)
        entries = [Entry(seq, change) for seq, change in fresh.changes]
        self._desk.take(entries, fresh.silences, self._present_ns if self._lanes.live else None, standing)
        self._desk.skip(fresh.read)
        if fresh.clock is not None and not behind:
            # The venue's clock may run ahead of ours: what has happened is not waited for.
            newest = max((entry.change.at for entry in entries), default=0)
            self._desk.advance(max(self._due(), min(newest, self._due() + AHEAD_NS)), standing)
        notices = await self._in_thread(partial(self._means.watchdog.look, self._outbox, fresh, self._standing))
        for notice in notices:
            self._desk.announce(self._lanes_ns, notice.text, well=notice.well, but=notice.but)
        new = self._desk.collect()
        if self._desk.position == before and not (new.alerts or new.messages or asked.answers or notices):
            return False
        posts = await asyncio.to_thread(self._posts, new.messages, now)
        changed = self._desk.changed() | (self._means.watchdog.page() if notices else {})
        decision = decided(asked, self._desk.position, now, memory=changed, alerts=new.alerts, posts=posts)
        await self._in_thread(partial(self._outbox.commit, decision))
        posts += await self._in_thread(partial(self._outbox.some, asked.retries)) if asked.retries else []
        for post in posts + [self._sample(channel, now) for channel in asked.samples]:
            if post.channel in self._senders:
                self._senders[post.channel].put(post)
        for alert in new.alerts:
            if alert.verdict is not None:
                telemetry.ALERTS.labels(alert.channel, alert.verdict).inc()
        return behind

    def _read(self, after: int, now: int) -> tuple[Fresh, Asked, dict[str, Anomaly]]:
        fresh = self._outbox.fresh(after, self._batch)
        self._source = fresh.source
        if fresh.clock is not None:
            self._lanes = fresh.clock
            # By the clock of who writes: ours may be another machine's, or was set. What comes through Kafka may be far
            # behind it.
            wall_ns = self._pulse.wall_ns(fresh.clock)
            self._lanes_ns, self._writer_ns = fresh.clock.lanes_ns(wall_ns), wall_ns
            behind = fresh.source is not None and fresh.source.kind == "kafka"
            self._present_ns = wall_ns if behind else self._lanes_ns
        asked = answer_all(self._outbox, fresh, self._lanes_ns, now, tuple(self._senders))
        return fresh, asked, self._as_they_stand(fresh)

    def _as_they_stand(self, fresh: Fresh) -> dict[str, Anomaly]:
        # Read only where something may be told: what happens, and what is due.
        due = self._desk.next
        if not fresh.changes and (due is None or due > self._due()):
            return {}
        return self._outbox.standing({change.anomaly.id for _, change in fresh.changes} | self._desk.watched)

    def _due(self) -> int:
        # What is due must come even where a tape stands still, and the lanes' clock with it.
        now, lanes_ns, (furthest, when) = self._means.clock.monotonic_ns(), self._lanes_ns, self._moved
        if not furthest - HOUR_NS < lanes_ns <= furthest:  # a tape may be read anew
            self._moved = furthest, when = lanes_ns, now
        return furthest + now - when

    def _posts(self, messages: Sequence[Message], now: int) -> list[Post]:
        return [self._post(message, now) for message in messages]  # in a thread: a long digest takes its time

    def _post(self, message: Message, now: int) -> Post:
        venues = {alert.anomaly.venue for alert in message.alerts}
        where = origin(self._source, SIMULATED if SIMULATED in venues else None, live=self._lanes.live)
        try:
            words = [] if message.kind == "health" else origin_words(where, message.at)
            said = replace(message, note=" ".join([*words, message.note]).strip())
            letter = self._means.writer.write(said, partial(self._means.traded, self._outbox))
            first = lead(message).id if message.anomalies and message.kind != "digest" else None
        except Exception as error:  # noqa: BLE001  # whatever an anomaly holds, one that cannot be worded stops no other
            telemetry.log(telemetry.UNWORDED, message=message.number, error=error)
            letter, first = self._means.writer.bare(message), None
        age_ns = self._present_ns - message.at if self._lanes.live else 0
        old = f"[{duration(age_ns / NS)} ago] " if age_ns > OLD_NS and message.kind != "digest" else ""
        # The same tape may be told again, from another database: a receiver must not take that for a repetition.
        key = blake2b(f"{self._outbox.epoch} {letter.key}".encode(), digest_size=16).hexdigest()
        return Post(
            message.number,
            message.channel,
            message.kind,
            message.at,
            now,
            replace(letter, key=key, subject=f"{badge(where)}{old}{letter.subject}"),
            _severity(message),
            first,
        )

    @property
    def _standing(self) -> list[ChannelRow]:
        return [sender.row for sender in self._senders.values()]

    def _sample(self, channel: str, now: int) -> Post:
        message = Message(0, channel, "sample", now, ())
        return Post(0, channel, "sample", now, now, self._means.writer.write(message))

    async def _record(self, post: Post, attempt: Attempt, row: ChannelRow) -> int:
        return await self._in_thread(partial(self._outbox.tried, post, attempt, row))

    async def _load(self, channel: str, limit: int) -> list[Post]:
        return await self._in_thread(partial(self._outbox.waiting, channel, limit))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _severity(message: Message) -> Severity | None:
    if message.kind == "health":
        return None if message.well else "high"
    return min((each.severity for each in message.anomalies), key=SEVERITIES.index)


def badge(where: Sequence[str]) -> str:
    """Say in front of a message that it is about no live market, so that nobody acts on it.

    >>> badge(["Simulated", "Replay"]), badge([])
    ('[Simulated, Replay] ', '')
    """
    return f"[{', '.join(where)}] " if where else ""


def origin_words(where: Sequence[str], at: int) -> list[str]:
    """Say the same in sentences; `at` is the lanes' clock, ns.

    >>> origin_words(["Replay"], 1_760_100_000_000_000_000)
    ['Replay of 2025-10-10: nothing of this happens now.']
    """
    said = {
        "Simulated": "Simulated: no real market moved.",
        "Replay": f"Replay of {clock(at, '%Y-%m-%d')}: nothing of this happens now.",
    }
    return [said[word] for word in where]
