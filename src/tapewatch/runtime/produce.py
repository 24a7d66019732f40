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
from tapewatch.carry.kafka.sender import Sender
from tapewatch.carry.kafka.topics import End, end_of, make_topics
from tapewatch.clock import Clock
from tapewatch.errors import ConfigError, before_it_runs
from tapewatch.runtime import opening, ports
from tapewatch.runtime.process import LOOK_EVERY_S, Process, Say
from tapewatch.runtime.source import Position, Resume, RowSource
from tapewatch.store.records import Source

BATCH_ROWS = 4_096
WAIT_S = 1.0
HEALTH_PORT = 8712
FULL_S = 0.02
"""How long to wait for room in the queue."""

GRACE_S = 2.0
"""How long a stop waits for acknowledgements; a broker that is away must not keep us."""


def source_id(source: Source) -> str:
    """Name a source in few letters, the same in every process."""
    return f"{zlib.crc32(msgspec.json.encode(source)):08x}"


class Settings(Struct, frozen=True):
    """What ``tapewatch produce`` needs of the configuration."""

    source: opening.Settings
    kafka: KafkaConfig


class Produce:
    """Send what a source brings until it ends or `stop` is called.

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
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._stopping = stopping or asyncio.Event()
        self._last_ns: int | None = None
        self._id = source_id(source.identity)
        make_topics(config)
        end = end_of(config)
        self._start = _position(end, source.identity, config)
        self._sender = Sender(config, self._id, end)
        self._resume = Resume(Position(rows=self._start), end.ledgers)

    def describe(self) -> dict[str, Any]:
        """Tell how far it has come, as JSON."""
        return {"rows": self.rows, "acknowledged": self._sender.acknowledged, "last_ns": self._last_ns}

    def trouble(self) -> str | None:
        """Tell why rows do not reach the broker; None when they do."""
        if self._sender.trouble is not None:
            return self._sender.trouble
        return None if self.rows else "no row sent yet"

    async def run(self) -> None:
        """Run until the source ends or `stop` is called.

        Raises
        ------
        TapewatchError
            The source gave up, or the broker refused for good.
        """
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await self.source.start(self._resume)
            at = self._start
            while not stopped.done() and self.source.ended is None:
                await asyncio.wait(
                    (asyncio.ensure_future(self.source.wait(WAIT_S)), stopped), return_when=asyncio.FIRST_COMPLETED
                )
                at = await self._send(at)
            await self.source.stop()
            await self._send(at)
        finally:
            stopped.cancel()
            await self.source.stop()
            await self._flush()

    async def _send(self, at: int) -> int:
        while (rows := self.source.take(BATCH_ROWS)) is not None:
            for _ in self._sender.send(rows, at):
                self._sender.poll()
                if self._stopping.is_set() and self._sender.trouble is not None:
                    return at
                await self._sleep(FULL_S)
            at += len(rows.data)
            self.rows += len(rows.data)
            self._last_ns = self._clock.now_ns()
        for item in self.source.quarantined():
            self._sender.set_aside(item)
        self._sender.poll()
        return at

    async def _flush(self) -> None:
        # A finished tape waits as long as it takes; who stops it has said that he will not.
        while self._sender.flush(0) and not self._stopping.is_set():
            self._sender.poll()
            await self._sleep(FULL_S)
        if left := self._sender.flush(GRACE_S):
            telemetry.log(telemetry.UNSENT, messages=left)


def _position(end: End, source: Source, config: KafkaConfig) -> int:
    mine = source_id(source)
    others = {origin.source for origin in end.last.values()} - {mine}
    if others:
        raise ConfigError(
            f"topic {config.trades}: holds the rows of another source than {source}; "
            "choose another topic with --set kafka.trades=NAME"
        )
    rows = [origin.row for origin in end.last.values()]
    if source.kind != "tape":
        return max(rows, default=-1) + 1
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
    told: str | None = None
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        trouble = produce.trouble()
        if trouble != told:
            process.say("sending" if trouble is None else "waiting", trouble or f"after {process.seconds:.1f} s")
            told = trouble
