"""One channel's messages, one after the other: posts in, attempts and how the channel stands out.

What is tried, and how it ended, is stored before the next attempt; a killed process sends again what nobody stored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from msgspec.structs import replace

from tapewatch import telemetry
from tapewatch.alert import Letter
from tapewatch.clock import Clock
from tapewatch.dispatch.retry import Health, Receipt, next_try
from tapewatch.figures import duration
from tapewatch.model import NS, Severity
from tapewatch.runtime.process import Say, in_daemon_thread
from tapewatch.store.outbox import VERDICTS
from tapewatch.store.records import Attempt, ChannelRow, Post

SEND_S = 20.0
"""The longest that one attempt may take."""

STOP_S = 1.0
"""How long a stop waits for what is on its way."""

OLD_S = 600.0
"""A message that was written so long ago says so in its subject."""

HELD_MAX = 1_000
"""Messages that are held in memory; what waits beyond stands in the outbox alone."""

LATEST = 1 << 62


class Sending(Protocol):
    """What a channel must be able to do; see `tapewatch.dispatch.channel`."""

    name: str
    service: str
    takes_charts: bool

    def send(self, letter: Letter, chart: bytes | None, timeout_s: float, severity: Severity | None) -> Receipt:
        """Send a message, and tell what the receiver said; blocks."""


class Sender:
    """Send what one channel is to be told, in order, and again what was not accepted.

    Parameters
    ----------
    channel
        Sends; it is called in a thread of its own.
    takes
        What is routed to it, for a person.
    stood
        How it stood when alerting ended last.
    record
        Stores how an attempt ended, and tells how many alerts ended with it.
    load
        Reads what waits for the channel, what is due first in front, at most so many.
    waiting
        How many wait.
    chart_of
        Draws the chart of an anomaly, by its id; called in the channel's thread.
    keep_trying_s
        After so long a message is given up.

    Attributes
    ----------
    row
        How the channel stands.
    waiting
        How many messages nobody has accepted yet.
    """

    def __init__(
        self,
        channel: Sending,
        takes: str,
        stood: ChannelRow | None,
        *,
        record: Callable[[Post, Attempt, ChannelRow], Awaitable[int]],
        load: Callable[[int], Awaitable[list[Post]]],
        waiting: int,
        chart_of: Callable[[str], bytes | None],
        clock: Clock,
        say: Say,
        keep_trying_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.row = ChannelRow(channel.name, channel.service, takes, "unused", clock.now_ns())
        if stood is not None and stood.service == channel.service:
            self.row = replace(stood, takes=takes)
        self._channel = channel
        self._record = record
        self._load = load
        self.waiting = waiting
        self._chart_of = chart_of
        self._clock = clock
        self._sleep = sleep
        self._say = say
        self._keep_trying_s = keep_trying_s
        self._health = Health()
        self._posts: dict[int, Post] = {}
        self._samples: list[Post] = []
        self._refused: int | None = None
        self._news = asyncio.Event()

    def put(self, post: Post) -> None:
        """Take a message that stands in the outbox; a sample stands nowhere, and is tried once."""
        if post.kind == "sample":
            self._samples.append(post)
        else:
            self.waiting += post.number not in self._posts
            if len(self._posts) < HELD_MAX:
                self._posts[post.number] = post
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled.

        Raises
        ------
        StoreError
            How an attempt ended could not be stored.
        """
        while True:
            telemetry.MESSAGES_WAITING.labels(self._channel.name).set(self.waiting)
            if not self._posts and self.waiting:
                loaded = await self._load(HELD_MAX)
                self._posts = {post.number: post for post in loaded} | self._posts  # some may have come meanwhile
                if len(loaded) < HELD_MAX:
                    self.waiting = len(self._posts)
            self._news.clear()
            due_ts, post = self._next()
            wait_s = (due_ts - self._clock.now_ns()) / NS
            if post is None or wait_s > 0:
                await self._pause(None if post is None else wait_s)
            else:
                await self._try(post)

    async def _pause(self, wait_s: float | None) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._news.wait())]
        if wait_s is not None:
            waits.append(asyncio.ensure_future(self._sleep(wait_s)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _next(self) -> tuple[int, Post | None]:
        if self._samples:
            return 0, self._samples.pop(0)
        post = min(self._posts.values(), key=lambda each: (each.next_try_ts, each.number), default=None)
        return (LATEST, None) if post is None else (max(post.next_try_ts, self._health.pause_until), post)

    async def _try(self, post: Post) -> None:
        began_ts = self._clock.now_ns()
        receipt, stopped = await self._finish(in_daemon_thread(partial(self._send, post), self._channel.name))
        now = self._clock.now_ns()
        attempt = Attempt(post.number, began_ts, (now - began_ts) / 1e6, receipt.accepted, receipt.outcome)
        self._note_health(post, receipt, now)
        post = replace(post, attempts=post.attempts + 1, error="" if receipt.accepted else receipt.outcome)
        if receipt.accepted:
            post = replace(post, state="sent", done_ts=now)
        else:
            again = next_try(post.attempts, receipt, now, post.made_ts, post.letter.key, self._keep_trying_s)
            post = (
                replace(post, state="undelivered", done_ts=now) if again is None else replace(post, next_try_ts=again)
            )
        self._measure(post, receipt)
        if post.kind == "sample":
            said = "accepted" if receipt.accepted else f"not accepted: {receipt.outcome}"
            self._say("alerts", f"{self._channel.name}: the sample was {said}")
        ended = await self._record(post, attempt, self.row)
        if post.kind != "sample":
            if post.done_ts is None:
                self._posts[post.number] = post
            else:
                verdict = VERDICTS[post.kind] if receipt.accepted else "undelivered"
                telemetry.ALERTS.labels(self._channel.name, verdict).inc(ended)
                del self._posts[post.number]
                self.waiting -= 1
        if stopped:
            raise asyncio.CancelledError

    @staticmethod
    async def _finish(sending: asyncio.Future[Receipt]) -> tuple[Receipt, bool]:
        # At a stop what is on its way is waited for a moment: the receiver would get it twice.
        try:
            return await asyncio.shield(sending), False
        except asyncio.CancelledError:
            await asyncio.wait([sending], timeout=STOP_S)
            if not sending.done():
                raise
            return sending.result(), True

    def _send(self, post: Post) -> Receipt:
        # In the thread. A message without its picture is worth more than none.
        chart = None
        if self._channel.takes_charts and post.anomaly_id is not None:
            try:
                chart = self._chart_of(post.anomaly_id)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with the picture, the words go out
                telemetry.log(telemetry.CHART_FAILED, channel=self._channel.name, error=error)
        age_s = (self._clock.now_ns() - post.made_ts) / NS
        letter = post.letter
        if age_s > OLD_S:
            letter = replace(letter, subject=f"[{duration(age_s)} late] {letter.subject}")
        return self._channel.send(letter, chart, SEND_S, post.severity)

    def _note_health(self, post: Post, receipt: Receipt, now: int) -> None:
        row = self.row
        if receipt.permanent and self._health.works and self._refused in (None, post.number):
            self._refused = post.number  # it may be the message's own fault; a second one will tell
            self.row = replace(row, error=receipt.outcome)
            return
        self._refused = None if receipt.accepted else self._refused
        self._health, event = self._health.after(receipt, now)
        if receipt.accepted:
            since_ts = row.since_ts if row.state == "working" else now
            self.row = replace(row, state="working", since_ts=since_ts, accepted_ts=now, error="")
        else:
            since_ts = row.since_ts if row.state == "failing" else now
            self.row = replace(row, state="failing", since_ts=since_ts, error=receipt.outcome)
        if event == "failing":
            telemetry.log(telemetry.CHANNEL_FAILING, (row.name,), channel=row.name, outcome=receipt.outcome)
            self._say("alerts", f"{row.name} accepts nothing: {receipt.outcome}; its messages wait, all others go on")
        elif event is not None:
            telemetry.log(telemetry.CHANNEL_WORKING, channel=row.name)
            self._say("alerts", f"{row.name} accepts messages again")
            self._posts = {number: replace(post, next_try_ts=now) for number, post in self._posts.items()}

    def _measure(self, post: Post, receipt: Receipt) -> None:
        name = self._channel.name
        telemetry.ATTEMPTS.labels(name, "accepted" if receipt.accepted else "failed").inc()
        telemetry.CHANNEL_UP.labels(name).set(receipt.accepted)
        if post.state == "sent":
            assert post.done_ts is not None
            telemetry.MESSAGE_SECONDS.labels(name).observe((post.done_ts - post.made_ts) / NS)
        if post.state == "undelivered":
            telemetry.log(telemetry.UNDELIVERED, (name,), channel=name, message=post.number, outcome=post.error)
