"""One channel's messages, one after the other: posts in, attempts and how the channel stands out.

What is tried, and how it ended, is stored before the next attempt; a killed process sends again what nobody stored.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from tapewatch import telemetry
from tapewatch.alert import Letter
from tapewatch.clock import Clock
from tapewatch.dispatch.retry import ASKED_LONGEST_S, Health, Receipt, next_try
from tapewatch.figures import duration
from tapewatch.model import NS, Severity
from tapewatch.runtime.process import Say, in_daemon_thread
from tapewatch.store.outbox import VERDICTS
from tapewatch.store.records import Attempt, ChannelRow, Post
from tapewatch.words import SEVERITIES

SEND_S = 20.0
"""The longest that one attempt may take."""

T = TypeVar("T")

STOP_S = 1.0
"""How long a stop waits for what is on its way."""

STORE_S = 10.0
"""How long a stop waits until it is stored what became of it: a busy database takes its time."""

LATE_S = 120.0
"""A message that was written so long ago says so in its subject."""

TOGETHER_FROM = 3
"""So many that are late go out as one: a person who could not be reached wants no flood when they can."""

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
    bundle
        Writes one letter of several, each with its moment by the lanes' clock, ns.
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
        bundle: Callable[[Sequence[tuple[int, Letter]]], Letter],
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
        self._bundle = bundle
        self._clock = clock
        self._sleep = sleep
        self._say = say
        self._keep_trying_s = keep_trying_s
        self._health = Health()
        if self.row.state == "failing":  # that was reported when it began
            self._health = Health(failing_since=self.row.since_ts, failures=1)
        self._posts: dict[int, Post] = {}
        self._samples: list[Post] = []
        self._refused: int | None = None
        self._at_fault: set[int] = set()
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
            if self.waiting > len(self._posts) and self._next()[0] > self._clock.now_ns():
                loaded = await self._load(HELD_MAX)
                self._posts = {post.number: self._soon(post) for post in loaded} | self._posts  # some came meanwhile
                if len(loaded) < HELD_MAX:
                    self.waiting = len(self._posts)
            self._news.clear()
            due_ts, post = self._next()
            if post is not None and post.kind == "sample":
                self._samples.remove(post)
            wait_s = (due_ts - self._clock.now_ns()) / NS
            if post is None or wait_s > 0:
                await self._pause(None if post is None else wait_s)
            else:
                await self._try(post)

    def _soon(self, post: Post) -> Post:
        # Stored by a clock that was an hour ahead, it would wait for an hour more than anybody wanted.
        latest_ts = self._clock.now_ns() + round(ASKED_LONGEST_S * NS)
        return replace(post, next_try_ts=self._clock.now_ns()) if post.next_try_ts > latest_ts else post

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
            return 0, self._samples[0]
        post = min(self._posts.values(), key=lambda each: (each.next_try_ts, each.number), default=None)
        return (LATEST, None) if post is None else (max(post.next_try_ts, self._health.pause_until), post)

    async def _try(self, post: Post) -> None:
        began_ts = self._clock.now_ns()
        posts = [post, *self._late_with(post, began_ts)]
        send = self._send if len(posts) == 1 else self._send_together
        receipt, stopped = await self._finish(in_daemon_thread(partial(send, posts), self._channel.name), STOP_S)
        now = self._clock.now_ns()
        self._note_health(post, receipt, now)
        if len(posts) > 1 and receipt.accepted:
            receipt = replace(receipt, outcome=f"{receipt.outcome}, {len(posts)} messages in one")
        for each in posts if receipt.accepted else posts[:1]:
            stopped |= await self._settle(each, receipt, began_ts, now)
        if stopped:
            raise asyncio.CancelledError

    def _late_with(self, post: Post, now: int) -> list[Post]:
        # What goes out together with a late message: all others that are late.
        late = [
            each
            for each in sorted(self._posts.values(), key=lambda each: each.number)
            if now - each.made_ts > LATE_S * NS and each.number not in self._at_fault
        ]
        numbers = [each.number for each in late]
        together = post.number in numbers and len(late) >= TOGETHER_FROM
        return [each for each in late if each.number != post.number] if together else []

    async def _settle(self, post: Post, receipt: Receipt, began_ts: int, now: int) -> bool:
        # Stores what became of a message, and tells whether a stop came meanwhile.
        attempt = Attempt(post.number, began_ts, (now - began_ts) / 1e6, receipt.accepted, receipt.outcome)
        post = replace(post, attempts=post.attempts + 1, error="" if receipt.accepted else receipt.outcome)
        if receipt.accepted:
            post = replace(post, state="sent", done_ts=now)
        else:
            since_ts = post.made_ts if post.again_ts is None else post.again_ts
            again = next_try(post.attempts, receipt, now, since_ts, post.letter.key, self._keep_trying_s)
            post = (
                replace(post, state="undelivered", done_ts=now) if again is None else replace(post, next_try_ts=again)
            )
        self._measure(post, receipt)
        if post.kind == "sample":
            said = "accepted" if receipt.accepted else f"not accepted: {receipt.outcome}"
            self._say("alerts", f"{self._channel.name}: the sample was {said}")
        storing = asyncio.ensure_future(self._record(post, attempt, self.row))
        ended, stopped = await self._finish(storing, STORE_S)
        if post.kind != "sample":
            if post.done_ts is None:
                self._posts[post.number] = post
            else:
                verdict = VERDICTS[post.kind] if receipt.accepted else "undelivered"
                telemetry.ALERTS.labels(self._channel.name, verdict).inc(ended)
                del self._posts[post.number]
                self._at_fault.discard(post.number)
                self.waiting -= 1
        return stopped

    @staticmethod
    async def _finish(work: asyncio.Future[T], longest_s: float) -> tuple[T, bool]:
        # At a stop what is on its way is waited for, and stored: the receiver would get it twice.
        try:
            return await asyncio.shield(work), False
        except asyncio.CancelledError:
            await asyncio.wait([work], timeout=longest_s)
            if not work.done():
                raise
            return work.result(), True

    def _send_together(self, posts: Sequence[Post]) -> Receipt:
        # In the thread.
        ordered = sorted(posts, key=lambda each: each.number)
        letter = self._bundle([(each.at, each.letter) for each in ordered])
        worst = min((each.severity for each in posts if each.severity), key=SEVERITIES.index, default=None)
        return self._channel.send(letter, None, SEND_S, worst)

    def _send(self, posts: Sequence[Post]) -> Receipt:
        # In the thread. A message without its picture is worth more than none.
        (post,), chart = posts, None
        if self._channel.takes_charts and post.anomaly_id is not None:
            try:
                chart = self._chart_of(post.anomaly_id)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with the picture, the words go out
                telemetry.log(telemetry.CHART_FAILED, channel=self._channel.name, error=error)
        age_s = (self._clock.now_ns() - post.made_ts) / NS
        letter = post.letter
        if age_s > LATE_S:
            letter = replace(letter, subject=f"[{duration(age_s)} late] {letter.subject}")
        return self._channel.send(letter, chart, SEND_S, post.severity)

    def _may_be_its_own_fault(self, post: Post) -> bool:
        # The first refusal may be the message's fault, or the channel's: the second one tells, or another's acceptance.
        if post.number in self._at_fault:
            return True
        first = self._refused is None
        self._refused = post.number if first else self._refused
        return first

    def _note_health(self, post: Post, receipt: Receipt, now: int) -> None:
        row = self.row
        if receipt.permanent and self._health.works and self._may_be_its_own_fault(post):
            self.row = replace(row, error=receipt.outcome)
            return
        if receipt.accepted:
            if self._refused not in (None, post.number):
                self._at_fault.add(self._refused)
            self._refused = None
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
        telemetry.CHANNEL_UP.labels(name).set(self._health.works)
        if post.state == "sent":
            assert post.done_ts is not None
            telemetry.MESSAGE_SECONDS.labels(name).observe((post.done_ts - post.made_ts) / NS)
        if post.state == "undelivered":
            telemetry.log(telemetry.UNDELIVERED, (name,), channel=name, message=post.number, outcome=post.error)
