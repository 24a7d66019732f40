"""`tapewatch detect` put together: Spark, the query, the store, health, and a few words."""

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from tapewatch import telemetry
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.errors import StoreError, TapewatchError, before_it_runs
from tapewatch.runtime import ports, spark
from tapewatch.runtime.jars import java
from tapewatch.runtime.process import Process, Say
from tapewatch.runtime.spark import DetectConfig, Sink
from tapewatch.store.jsonl import JsonLines
from tapewatch.store.records import Source
from tapewatch.store.sql import Store

HEALTH_PORT = 8713
TOLD_EVERY_S = 60.0
LOOK_EVERY_S = 0.5


class Settings(Struct, frozen=True):
    """What ``tapewatch detect`` needs of the configuration."""

    db: str
    jsonl: str | None
    health_port: int | None
    kafka: KafkaConfig
    detect: DetectConfig
    rules: Mapping[str, Any]
    cache: Path
    once: bool


async def serve(settings: Settings, say: Say) -> None:
    """Run ``tapewatch detect`` until a signal comes.

    Raises
    ------
    TapewatchError
        Something that a person can act on.
    """
    process = Process(say)
    process.listen_to_signals()
    async with AsyncExitStack() as stack:
        with before_it_runs():
            java()
            server = stack.enter_context(ports.bind(settings.health_port, HEALTH_PORT, "run.health_port"))
            identity = Source("kafka", f"{settings.kafka.brokers}/{settings.kafka.trades}")
            store = Store.open(settings.db, source=identity)
            stack.callback(store.close)
            jsonl = None
            if settings.jsonl is not None:
                jsonl = JsonLines.open(Path(settings.jsonl), store.changes_after)
                stack.callback(jsonl.close)
        sink = Sink(store, settings.detect.shards, process.clock.now_ns, jsonl)
        await asyncio.to_thread(make_topics, settings.kafka)
        job = Job(settings, sink)
        health = process.serve_health(server, job.describe, job.trouble)
        await process.together(job.run(process), [health])
        say("stopped", f"{job.describe()['rows']:,} rows; what was committed is safe")


class Job:
    """One query from its start to its end."""

    def __init__(self, settings: Settings, sink: Sink) -> None:
        self._settings = settings
        self._sink = sink
        self._query: Any = None
        self._rows = 0
        self._batch = -1

    def describe(self) -> dict[str, Any]:
        """Tell how far it has come, as JSON."""
        return {"rows": self._rows, "batch": self._batch}

    def trouble(self) -> str | None:
        """Tell why nothing is committed; None when something was."""
        return None if self._batch >= 0 else "no micro-batch committed yet"

    async def run(self, process: Process) -> None:
        """Start Spark and the query, and watch it until it fails or somebody stops us.

        Raises
        ------
        TapewatchError
            The query failed; says why.
        """
        settings = self._settings
        process.say("spark", f"starting ({settings.detect.master})")
        session = await asyncio.to_thread(spark.session, settings.detect, settings.cache)
        try:
            process.say(
                "spark", f"{session.version} after {process.seconds:.1f} s, its pages: {session.sparkContext.uiWebUrl}"
            )
            frame = spark.told_of(session, settings.kafka, settings.detect, settings.rules)
            self._query = await asyncio.to_thread(spark.start, frame, self._sink, settings.detect, once=settings.once)
            self._sink.check(self._query.id)
            await self._watch(process)
        finally:
            await asyncio.to_thread(self._end, session)

    async def _watch(self, process: Process) -> None:
        stopped = asyncio.create_task(process.stopping.wait())
        told_s = process.seconds
        while not stopped.done():
            await asyncio.wait((stopped,), timeout=LOOK_EVERY_S)
            self._measure()
            if not self._query.isActive:
                if (error := self._query.exception()) is not None or not self._settings.once:
                    raise _why(error)
                break
            if process.seconds - told_s >= TOLD_EVERY_S:
                told_s = process.seconds
                process.say("running", f"{self._rows:,} rows, micro-batch {self._batch}")
        stopped.cancel()

    def _measure(self) -> None:
        for progress in self._query.recentProgress:
            if progress.batchId <= self._batch:
                continue
            self._batch = progress.batchId
            self._rows += progress.numInputRows
            telemetry.SPARK_ROWS.inc(progress.numInputRows)
            telemetry.SPARK_BATCH_SECONDS.observe(progress.durationMs.get("triggerExecution", 0) / 1_000)
            for operator in progress.stateOperators:
                telemetry.SPARK_STATE_BYTES.set(operator.memoryUsedBytes)

    def _end(self, session: Any) -> None:
        with suppress(Exception):  # a cluster that is gone cannot be told to stop
            if self._query is not None:
                self._query.stop()
        session.stop()


def _why(error: Any) -> TapewatchError:
    if error is None:
        return TapewatchError("Spark: the query ended by itself")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ours = [line for line in lines if "tapewatch.errors." in line]
    if ours:
        return StoreError(ours[-1].partition("tapewatch.errors.")[2].partition(": ")[2])
    return TapewatchError(f"Spark: {lines[0][:500]}")


def forget(checkpoint: Path) -> None:
    """Remove a checkpoint, for a run that begins anew."""
    shutil.rmtree(checkpoint, ignore_errors=True)
