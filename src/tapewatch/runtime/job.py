"""`tapewatch detect` put together: Spark, the query, the store, health, and a few words."""

import asyncio
import re
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from tapewatch import errors, telemetry
from tapewatch.carry.kafka.anomalies import AnomalyTopic
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.topics import cluster_of, make_topics
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import ConfigError, TapewatchError, before_it_runs
from tapewatch.model import NS
from tapewatch.runtime import ports, spark
from tapewatch.runtime.jars import java
from tapewatch.runtime.process import Process, Say
from tapewatch.runtime.progress import Progress, measure, read
from tapewatch.runtime.sink import Sink
from tapewatch.runtime.source import unwell
from tapewatch.runtime.spark import DetectConfig
from tapewatch.store.jsonl import JsonLines
from tapewatch.store.records import Source
from tapewatch.store.sql import Store

HEALTH_PORT = 8713
TOLD_EVERY_S = 60.0
LOOK_EVERY_S = 0.5
GRACE_S = 2.0
"""How long a stop waits for the broker to take the last anomalies."""


SILENT_S = 60.0
PATIENCE = 5
"""A query that waits reports every ten seconds, one that works when a micro-batch is done."""


OURS = re.compile(r"tapewatch\.errors\.(\w+): (.+)")
LOST_ROWS = re.compile("KAFKA_DATA_LOSS|Some data may have been lost|OffsetOutOfRange|FAIL_ON_DATA_LOSS", re.IGNORECASE)


class Settings(Struct, frozen=True):
    """What ``tapewatch detect`` needs of the configuration.

    Attributes
    ----------
    seed
        Of the simulated market that fills the topic; None: it is not known to be one.
    """

    db: str
    jsonl: str | None
    health_port: int | None
    kafka: KafkaConfig
    detect: DetectConfig
    rules: Mapping[str, Any]
    cache: Path
    once: bool
    host: str = ports.HOST
    seed: int | None = None


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
            RuleBook.of(settings.rules)  # a wrong limit is told before anything is started
            java()
            server = stack.enter_context(
                ports.bind(settings.health_port, HEALTH_PORT, "run.health_port", settings.host)
            )
            await asyncio.to_thread(make_topics, settings.kafka)
            cluster = await asyncio.to_thread(cluster_of, settings.kafka)
            identity = Source("kafka", f"{cluster}/{settings.kafka.trades}", settings.seed)
            open_store = partial(Store.open, settings.db, source=identity)
            ended = threading.Event()  # Spark calls the sink on a thread of its own
            sink = Sink(open_store, settings.detect.shards, settings.rules, process.clock.wall_ns, ended.wait)
            stack.callback(sink.close)
            sink.followers.append(lambda: telemetry.LAST_COMMIT.set(process.clock.wall_ns() / NS))
            if settings.jsonl is not None:
                jsonl = JsonLines.open(Path(settings.jsonl), sink.changes_after)
                stack.callback(jsonl.close)
                sink.followers.append(jsonl.follow)
            if settings.detect.announce:
                topic = await asyncio.to_thread(AnomalyTopic, settings.kafka, sink.changes_after)
                stack.callback(topic.finish, GRACE_S)
                sink.followers.append(topic.follow)
        job = Job(settings, sink, ended)
        health = process.serve_health(server, job.describe, job.trouble)
        await process.together(job.run(process), [health])
        if not settings.once:
            await asyncio.to_thread(sink.rest)
        say("stopped", f"{job.describe()['rows']:,} rows; what was committed is safe")


class Job:
    """One query from its start to its end.

    Parameters
    ----------
    settings
        Of the command.
    sink
        Commits what the query finds.
    ended
        Set when the sink is to wait no more for a database that is away.
    """

    def __init__(self, settings: Settings, sink: Sink, ended: threading.Event) -> None:
        self._settings = settings
        self._ended = ended
        self._sink = sink
        self._query: Any = None
        self._rows = 0
        self._batch = -1
        self._last: Progress | None = None
        self._heard_s = 0.0
        self._silent_s = 0.0

    def describe(self) -> dict[str, Any]:
        """Tell how far it has come, as JSON."""
        lag = None if self._last is None else sum(self._last.lags().values())
        return {"rows": self._rows, "batch": self._batch, "lag": lag}

    def trouble(self) -> str | None:
        """Tell why nothing is committed; None when all is well."""
        if self._sink.trouble is not None:
            return self._sink.trouble
        if self._last is None:
            return "no micro-batch committed yet"
        patience_s = max(SILENT_S, PATIENCE * (self._settings.detect.trigger_s + self._last.seconds))
        if self._silent_s > patience_s:
            return f"Spark has said nothing for {self._silent_s:.0f} s"
        return unwell(self._sink.lanes) if self._sink.lanes else None

    async def run(self, process: Process) -> None:
        """Start Spark and the query, and watch it until it ends, fails, or somebody stops us.

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
            begin = partial(spark.start, frame, self._sink, settings.detect, once=settings.once)
            self._query = await asyncio.to_thread(begin)
            self._heard_s = process.seconds
            await self._watch(process)
        finally:
            await asyncio.to_thread(self._end, session)

    async def _watch(self, process: Process) -> None:
        stopped = asyncio.create_task(process.stopping.wait())
        told_s = process.seconds
        while not stopped.done():
            await asyncio.wait((stopped,), timeout=LOOK_EVERY_S)
            active = self._query.isActive  # asked first: what it did before its end is measured, too
            self._measure(process)
            if not active:
                if (error := self._query.exception()) is not None or not self._settings.once:
                    raise _why(error)
                break
            if self._last is not None and process.seconds - told_s >= TOLD_EVERY_S:
                told_s = process.seconds
                process.say("running", self._last.line(self._rows))
        stopped.cancel()

    def _measure(self, process: Process) -> None:
        for report in self._query.recentProgress:
            progress = read(report.json)
            key = (progress.batch_id, progress.timestamp)
            if self._last is not None and key <= (self._last.batch_id, self._last.timestamp):
                continue
            self._last, self._heard_s = progress, process.seconds
            measure(progress)
            if progress.ran:
                self._batch = progress.batch_id
                self._rows += progress.num_input_rows
        self._silent_s = process.seconds - self._heard_s

    def _end(self, session: Any) -> None:
        self._ended.set()
        with suppress(Exception):  # a cluster that is gone cannot be told to stop
            if self._query is not None:
                self._query.stop()
        session.stop()


def _why(error: Any) -> TapewatchError:
    # What one of our workers or the sink raised comes back as text, inside the texts of Spark's own exceptions.
    if error is None:
        return TapewatchError("Spark: the query ended by itself")
    text = str(error)
    if ours := OURS.findall(text):
        name, words = ours[-1]
        kind = getattr(errors, name, TapewatchError)
        if kind is errors.SnapshotError:  # starting again cannot help
            kind = ConfigError
        found: TapewatchError = kind(words.strip())
        return found
    if LOST_ROWS.search(text):
        return ConfigError(
            "Kafka no longer holds the messages with which the checkpoint wants to go on: they are older than the "
            "topic keeps. Begin anew with another checkpoint and database, and keep rows longer (kafka.retention_days)"
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return TapewatchError(f"Spark: {lines[0][:500]}")
