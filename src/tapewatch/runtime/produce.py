"""Capture to Kafka: a source's rows in, messages on a topic out.

A queue that is full, or a broker that is away, slows the source down; a tape waits, and what a live feed
brings meanwhile and nobody takes becomes a GAP.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from msgspec import Struct

from tapewatch import telemetry
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import End, end_of, set_aside
from tapewatch.carry.kafka.sender import Sender, aside_prefix
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.clock import Clock
from tapewatch.errors import ConfigError, before_it_runs
from tapewatch.model import NS
from tapewatch.runtime import opening, ports
from tapewatch.runtime.process import LOOK_EVERY_S, Process, Say
from tapewatch.runtime.source import Position, Resume, RowSource, row_or_stop, unwell
from tapewatch.store.records import Quarantined, Source

BATCH_ROWS = 16_384
WAIT_S = 1.0
HEALTH_PORT = 8712
TAPE = "tape"
GATHER_S = 0.01
"""How long a row waits for others: sent one by one, each would cost what a hundred cost together."""

FULL_S = 0.02
"""How long to wait for room in the queue."""

GRACE_NS = 2 * NS
"""How long a stop waits for acknowledgements; a broker that is away must not keep us."""


def source_id(source: Source) -> str:
    """Name a source in few letters, the same in every process."""
    return f"{zlib.crc32(msgspec.json.encode(source)):08x}"


class Settings(Struct, frozen=True):
    """What ``tapewatch produce`` needs of the configuration."""

    source: opening.Settings
    kafka: KafkaConfig


class Produce:
    """Send what a source brings until it ends or `stopping` is set.

    Parameters
    ----------
    config
        Which brokers and topics.
    source
        Whose rows.
    clock, sleep
        The outside world.
    stopping
        Somebody else's way to stop it.

    Attributes
    ----------
    rows
        Rows that were taken from the source.

    Raises
    ------
    ConfigError
        The brokers refuse us, or the topic holds something else.
    FeedError
        No broker answers.
    """

    def __init__(
        self,
        config: KafkaConfig,
        source: RowSource,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self.rows = 0
        self.source = source
        self._clock = clock
        self._sleep = sleep
        self._stopping = stopping or asyncio.Event()
        self._last_ns: int | None = None
        self._failed = False
        identity = source.identity
        tape = identity.kind == TAPE
        name = source_id(identity)
        make_topics(config)
        end = end_of(config, None if tape else name)
        self._at = _position(end, identity, config)
        self._aside_at = set_aside(config, aside_prefix(config, name)) if tape else 0
        self._aside: list[Quarantined] = []
        self._sender = Sender(config, name, end, ledgers=not tape)
        self._resume = Resume(Position(rows=self._at, refused=self._aside_at), end.ledgers)

    def describe(self) -> dict[str, Any]:
        """Tell how far it has come, as JSON."""
        return {
            "rows": self.rows,
            "acknowledged": self._sender.acknowledged,
            "waiting": self._sender.unanswered,
            "last_ns": self._last_ns,
        }

    def trouble(self) -> str | None:
        """Tell why rows do not come, or do not reach the broker; None when they do."""
        if self._sender.trouble is not None:
            return self._sender.trouble
        if not self.rows:
            return "no row sent yet"
        return unwell(self.source.status(), None if self.source.identity.kind == TAPE else self.source.now_ns())

    async def run(self) -> None:
        """Run until the source ends or somebody stops it.

        Raises
        ------
        TapewatchError
            The source gave up, or the broker refused for good.
        """
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await self.source.start(self._resume)
            while not stopped.done() and self.source.ended is None:
                await row_or_stop(self.source, stopped, WAIT_S)
                await self._sleep(GATHER_S)
                await self._send()
            await self.source.stop()
            await self._send()
        except _NoRoom:
            pass  # what was taken and not sent is missing behind the topic's end, and the next start finds it there
        except BaseException:
            self._failed = True
            raise
        finally:
            stopped.cancel()
            await self.source.stop()
            try:
                if not self._sender.refused:
                    await self._flush()
            finally:
                self._sender.close()

    async def _send(self) -> None:
        while (rows := self.source.take(BATCH_ROWS)) is not None:
            for _ in self._sender.send(rows, self._at):
                await self._wait_for_room()
            count = len(rows.data)
            self._at += count
            self.rows += count
            telemetry.KAFKA_SENT.inc(count)
            self._last_ns = self._clock.now_ns()
            await self._sleep(0)
        self._aside = self._aside or self.source.quarantined()
        for item in self._aside:
            while not self._sender.set_aside(item, self._aside_at):
                await self._wait_for_room()
            self._aside_at += 1
        self._aside = []
        self._sender.poll()

    async def _wait_for_room(self) -> None:
        self._sender.poll()
        if self._stopping.is_set() and self._sender.trouble is not None:
            raise _NoRoom
        await self._sleep(FULL_S)

    async def _flush(self) -> None:
        # A finished tape waits as long as it takes; who stops it has said that he will not, and why it failed must be
        # told.
        until_ns: int | None = None
        while self._sender.unanswered:
            self._sender.poll()
            if self._stopping.is_set() or self._failed:
                until_ns = until_ns or self._clock.monotonic_ns() + GRACE_NS
                if self._clock.monotonic_ns() >= until_ns:
                    telemetry.log(telemetry.UNSENT, messages=self._sender.unanswered)
                    return
            await self._sleep(FULL_S)


class _NoRoom(Exception):  # noqa: N818  # nobody but `run` sees it
    """The queue is full, the broker is away, and somebody wants us to stop."""


def _position(end: End, source: Source, config: KafkaConfig) -> int:
    place = f"topic {config.trades}"
    other = "choose another topic with --topic NAME"
    if {origin.source for origin in end.last.values()} - {source_id(source)}:
        raise ConfigError(f"{place}: expected the rows of {source}, found those of another source; {other}")
    if before := {origin.partitions for origin in end.last.values()} - {end.partitions}:
        raise ConfigError(
            f"{place}: expected the {max(before)} partitions that it had when its last rows were sent, found "
            f"{end.partitions}: lanes would change their partitions and lose their order; {other}"
        )
    rows = [origin.row for origin in end.last.values()]
    if source.kind != TAPE:
        if end.expired:
            telemetry.log(telemetry.KAFKA_EXPIRED, topic=config.trades, reason="lanes begin anew: their rows are gone")
        return max(rows, default=-1) + 1
    if end.expired:
        raise ConfigError(f"{place}: expected the end of {source}, found that its rows have expired; {other}")
    return min(rows) if len(rows) == end.partitions else 0  # a partition without rows may lack the first ones


async def serve(settings: Settings, say: Say) -> None:
    """Run ``tapewatch produce`` until the source ends or a signal comes.

    Raises
    ------
    TapewatchError
        Something that a person can act on.
    """
    process = Process(say)
    process.listen_to_signals()
    async with AsyncExitStack() as stack:
        with before_it_runs():
            opened = opening.open_source(settings.source, process.clock, stack)
            source = await process.unless_stopped(asyncio.create_task(opened))
            if source is None:
                return
            run = settings.source.run
            server = stack.enter_context(ports.bind(run.health_port, HEALTH_PORT, "run.health_port", run.host))
        say("source", str(source.identity))
        made = asyncio.to_thread(Produce, settings.kafka, source, clock=process.clock, stopping=process.stopping)
        produce = await process.unless_stopped(asyncio.ensure_future(made))
        if produce is None:
            return
        say("kafka", f"{settings.kafka.brokers}, topic {settings.kafka.trades}")
        health = process.serve_health(server, produce.describe, produce.trouble)
        await process.together(produce.run(), [health, _tell(produce, process)])
        say("stopped", f"{source.ended or 'by a signal'}: {produce.rows:,} rows")


async def _tell(produce: Produce, process: Process) -> None:
    told: str | None = ""  # so that the first look is told, whatever it finds
    since_s = 0.0
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        trouble = produce.trouble()
        if trouble != told:
            waited = f"after {process.seconds - since_s:.1f} s"
            process.say("sending" if trouble is None else "waiting", trouble or waited)
            told, since_s = trouble, process.seconds
