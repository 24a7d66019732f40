"""Everything in one process: a source's rows in, commits to the store out, at most one every 50 ms.

Reception never waits for the disk: a commit is prepared between two batches and written by a thread of
its own, one at a time and in order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import msgspec

from tapewatch import telemetry
from tapewatch.clock import Clock as OurClock
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import SnapshotError, StoreError
from tapewatch.model import NS, Rows
from tapewatch.runtime.latency import Latency
from tapewatch.runtime.pipeline import DETECTOR, POSITION, Pipeline, Prepared
from tapewatch.runtime.recording import RECORDING, Recording
from tapewatch.runtime.requests import LIMITS, Limits, answer
from tapewatch.runtime.source import Position, Resume, RowSource, row_or_stop, unwell
from tapewatch.store.jsonl import JsonLines
from tapewatch.store.records import Answer, Clock, Commit, Request
from tapewatch.store.sql import Store

BATCH_ROWS = 4_096
"""Rows that are detected at a time."""

COMMIT_EVERY_NS = NS // 20
"""Least time from one commit to the next."""

HEARTBEAT_S = 1.0
"""Longest time without a commit: readers of the database tell by it that we are alive."""

STALE_NS = 5 * NS
"""Without a commit for so long, what the database shows is not now."""

COMMIT_ROWS = 65_536
"""Rows in one commit, which bounds its size on a tape that is replayed as fast as it goes."""


class Progress(NamedTuple):
    """How the runtime stands, for whoever asks.

    Attributes
    ----------
    rows, opened
        Rows detected and anomalies opened by this run.
    committed_ns
        When the last commit was done; None before the first.
    """

    rows: int
    opened: int
    committed_ns: int | None


class _Written(NamedTuple):
    done_ns: int
    requests: list[Request]


class Embedded:
    """Run a source into a store until it ends or `stop` is called.

    Parameters
    ----------
    store
        Open for writing, and owned by this from now on.
    source
        Whose rows; the store must belong to it.
    rules
        Section ``rules`` of the configuration; what a person has set in a dashboard since then comes on top.
    clock, sleep
        The outside world.
    recording, jsonl
        Where else the rows and the changes go.
    prepare
        What must be done before the first row; everything beside the loop is served meanwhile.
    linger
        Stay at the end of a finite source, answering requests, until `stop`.
    stopping
        Somebody else's way to `stop`.

    Attributes
    ----------
    latency
        From frame received to row committed.
    stored
        Set once the first row is stored.
    """

    def __init__(
        self,
        store: Store,
        source: RowSource,
        rules: Mapping[str, Any],
        *,
        clock: OurClock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        recording: Recording | None = None,
        jsonl: JsonLines | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        linger: bool = False,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self.source = source
        self.latency = Latency()
        self.stored = asyncio.Event()
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._recording = recording
        self._jsonl = jsonl
        self._prepare = prepare
        self._linger = linger
        self._limits = Limits.decode(rules, store.state(LIMITS))
        self._pipeline = resume(store, self._limits.book)
        self._rows_before = self._pipeline.position.rows
        self._requests: list[Request] = []
        self._answers: list[Answer] = []
        self._answered: set[int] = set()
        self._ask_again_ns = 0
        self._stopping = stopping or asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._writing: asyncio.Future[_Written] | None = None
        self._committed_ns: int | None = None
        self._committed_at = 0  # by the monotonic clock

    @property
    def progress(self) -> Progress:
        """How far this run has come."""
        rows = self._pipeline.position.rows - self._rows_before
        return Progress(rows, self._pipeline.opened, self._committed_ns)

    def describe(self) -> dict[str, Any]:
        """Tell how far this run has come and how fast, as JSON."""
        return {**self.progress._asdict(), "p50_ms": self.latency.p50_ms, "p99_ms": self.latency.p99_ms}

    def trouble(self) -> str | None:
        """Tell why readers of the database do not see the market as it is now; None when they do."""
        if self._committed_ns is None or not self.stored.is_set():
            return "no row stored yet"
        if (late_ns := self._clock.monotonic_ns() - self._committed_at) > STALE_NS:
            return f"no commit for {late_ns / NS:.1f} s"
        return unwell(self.source.status(), None if self.source.identity.kind == "tape" else self.source.now_ns())

    def stop(self) -> None:
        """Commit what has arrived, and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until the source ends or `stop` is called.

        Raises
        ------
        TapewatchError
            The source or the store gave up; everything committed until then is safe.
        """
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            if self._prepare is not None:
                await self._prepare()
            if not self._stopping.is_set():
                await self._go_on(stopped)
        finally:
            stopped.cancel()
            await self.source.stop()
            self._thread.shutdown()
            self._close()

    async def _go_on(self, stopped: asyncio.Task[Any]) -> None:
        await self.source.start(Resume(self._pipeline.position, self._pipeline.detector.ledgers()))
        await self._commit()  # empty, but it stores the name of the recording, before there is anything in it
        while not stopped.done() and (self.source.ended is None or self._linger):
            await self._tick(stopped)
        await self.source.stop()
        while self._detect():
            await self._commit()
        await self._commit()
        await self._written()

    async def _tick(self, stopped: asyncio.Task[Any]) -> None:
        await row_or_stop(self.source, stopped, HEARTBEAT_S)
        started_ns = self._clock.monotonic_ns()
        self._detect()
        await self._commit()
        left_ns = started_ns + COMMIT_EVERY_NS - self._clock.monotonic_ns()
        await self._sleep(max(0, left_ns) / NS)

    def _detect(self) -> int:
        count = 0
        while count < COMMIT_ROWS and (rows := self.source.take(BATCH_ROWS)) is not None:
            self._pipeline.take(rows)
            count += len(rows.data)
        telemetry.QUEUE_ROWS.set(count)
        return count

    async def _commit(self) -> None:
        for request in self._requests:
            self._answer(request)
        self._requests = []
        self._pipeline.refuse(self.source.quarantined())
        clock = Clock(
            now_ts=self.source.now_ns(),
            wall_ts=self._clock.wall_ns(),
            speed=self.source.speed if self.source.ended is None else 0.0,  # a tape's clock stands still at its end
            latency_p50_ms=self.latency.p50_ms,
            latency_p99_ms=self.latency.p99_ms,
        )
        statuses = self.source.status()
        if self.source.identity.kind != "tape":
            for lane, status in statuses.items():
                telemetry.LAST_FRAME.labels(*lane).set((status.last_frame_ts or 0) / NS)
        prepared = self._pipeline.prepare(clock, statuses)
        commit = msgspec.structs.replace(
            prepared.commit,
            answers=self._answers,
            state={**prepared.commit.state, LIMITS: self._limits.encode()},
        )
        self._answers = []
        at = self._pipeline.position.rows
        await self._written()
        self._writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, commit, prepared.rows, at)
        handed = (self.source.now_ns(), self._clock.monotonic_ns())
        self._writing.add_done_callback(partial(self._note, prepared, handed))

    async def _written(self) -> None:
        if self._writing is not None:
            await self._writing

    def _write(self, commit: Commit, rows: list[Rows], at: int) -> _Written:
        # In the thread: the recording first, because the commit says how much of it counts.
        started_ns = self._clock.monotonic_ns()
        if self._recording is not None:
            state = {**commit.state, RECORDING: self._recording.append(rows, at)}
            commit = msgspec.structs.replace(commit, state=state)
        self._store.commit(commit)
        done_ns = self._clock.monotonic_ns()
        telemetry.COMMITS.inc()
        telemetry.COMMIT_SECONDS.observe((done_ns - started_ns) / NS)
        telemetry.LAST_COMMIT.set(self._clock.wall_ns() / NS)
        if self._jsonl is not None:
            self._jsonl.follow()
        if done_ns < self._ask_again_ns:
            return _Written(done_ns, [])
        self._ask_again_ns = done_ns + round(HEARTBEAT_S * NS)
        return _Written(done_ns, self._store.pending_requests())

    def _note(self, prepared: Prepared, handed: tuple[int, int], writing: asyncio.Future[_Written]) -> None:
        if writing.cancelled() or writing.exception() is not None:
            return  # whoever waits for it raises it
        written = writing.result()
        self._committed_ns, self._committed_at = self._clock.now_ns(), written.done_ns
        if prepared.rows:
            self.stored.set()
        self._requests += written.requests
        if self.source.identity.kind != "tape":
            rows_ns, ticks = handed  # by the clock of the rows, as it stood before anybody set it
            self.latency.add(prepared.received(), rows_ns + written.done_ns - ticks)

    def _answer(self, request: Request) -> None:
        if request.seq in self._answered:
            return  # told again before its answer was stored
        text, limits = answer(request, self._limits)
        if limits is not self._limits:
            self._limits = limits
            self._pipeline.rearm(limits.book)
        self._answered.add(request.seq)
        self._answers.append(Answer(request.seq, self._clock.now_ns(), text))

    def _close(self) -> None:
        with ExitStack() as stack:  # one that fails must not keep the others open
            stack.callback(self._store.close)
            if self._jsonl is not None:
                stack.callback(self._jsonl.close)
            if self._recording is not None:
                stack.callback(self._recording.close)


def resume(store: Store, rules: RuleBook) -> Pipeline:
    """Go on where the database's last commit ends.

    Raises
    ------
    StoreError
        The detector's state cannot be read, or is another version's.
    """
    state, position = store.state(DETECTOR), store.state(POSITION)
    if state is None or position is None:
        return Pipeline(Detector(rules), feed=store.feed())
    try:
        return Pipeline(Detector.restore(rules, state), msgspec.json.decode(position, type=Position), store.feed())
    except (SnapshotError, msgspec.DecodeError) as error:
        raise StoreError(
            f"{store.name}: {error}; start with another database with --db "
            "(what this one holds can still be shown: tapewatch dashboard --db)"
        ) from None
