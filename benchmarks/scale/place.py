"""Where the pipeline is measured: a real broker, a real PostgreSQL, Spark in this process, and a drawn market."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from support import pipeline
from support.brokers import RunningBroker, broker
from support.databases import fresh, postgresql
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import end_of
from tapewatch.carry.kafka.sender import Sender
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.clock import SystemClock
from tapewatch.model import NS, PRICE_SCALE, ROW, Kind, Lane, Rows
from tapewatch.runtime import spark
from tapewatch.runtime.postgres import Server
from tapewatch.runtime.progress import read
from tapewatch.runtime.sink import Sink
from tapewatch.runtime.spark import DetectConfig
from tapewatch.store.records import Source
from tapewatch.store.sql import Store

PER_SEND = 4_096
FULL_S = 0.005

KEPT = {"spark.sql.streaming.numRecentProgressUpdates": "1000"}
"""Whoever adds up what a query has done needs all its reports."""

_numbers = count()


class Run(NamedTuple):
    """One catching up.

    Attributes
    ----------
    rows
        Messages read.
    seconds
        From the start of the query to its end.
    state_bytes
        Of all shards, at the end.
    """

    rows: int
    seconds: float
    state_bytes: int

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


class Place(NamedTuple):
    """Broker, database server and folder."""

    broker: RunningBroker
    server: Server
    folder: Path


@contextmanager
def place() -> Iterator[Place]:
    """Start the servers, and end them."""
    with broker() as made, postgresql() as server, tempfile.TemporaryDirectory() as folder:
        yield Place(made, server, Path(folder))


def market(rows: int, symbols: int, rate: float = 5_000.0) -> Rows:
    """Draw trades of many symbols: each price walks, and jumps now and then; ids without gaps.

    Parameters
    ----------
    rate
        Trades a second, of all symbols together.
    """
    generator = np.random.default_rng(11)
    data = np.zeros(rows, ROW)
    data["ts"] = np.cumsum(generator.exponential(NS / rate, rows)).astype("i8") + 1_760_054_400 * NS
    data["recv_ts"] = data["ts"] + 20_000_000
    data["lane"] = generator.integers(0, symbols, rows)
    for lane in range(symbols):
        own = np.flatnonzero(data["lane"] == lane)
        jumps = (generator.random(len(own)) < 2e-4) * generator.normal(0, 4e-3, len(own))
        price = 10.0 ** (1 + lane % 5) * np.exp(np.cumsum(generator.normal(0, 2e-5, len(own)) + jumps))
        data["price"][own] = (price * 100).round().astype("i8") * (PRICE_SCALE // 100)
        data["trade_id"][own] = np.arange(1, len(own) + 1)
    data["size"] = generator.exponential(0.1, rows).round(6)
    data["side"] = generator.choice([-1, 1], rows)
    data["kind"] = Kind.TRADE
    return Rows(tuple(Lane("coinbase", f"S{lane:04}-USD") for lane in range(symbols)), data)


def fill(config: KafkaConfig, rows: Rows) -> None:
    """Send rows to topics of their own."""
    make_topics(config)
    sender = Sender(config, "drawn", end_of(config))
    for start in range(0, len(rows.data), PER_SEND):
        for _ in sender.send(rows.part(start, start + PER_SEND), start):
            sender.poll()
            time.sleep(FULL_S)
    assert sender.flush(60) == 0


def settings(**others: Any) -> DetectConfig:
    """Say how it is measured: two cores, two shards."""
    return DetectConfig(master="local[2]", ui_port=4999, options=KEPT, **others)


@contextmanager
def session(config: DetectConfig) -> Iterator[Any]:
    """Start Spark without its warnings, and end it."""
    with pipeline.spark(config) as made:
        made.sparkContext.setLogLevel("ERROR")
        yield made


def finished(query: Any, seconds: float) -> Run:
    """Put the reports of a query that has ended together."""
    reports = [report for progress in query.recentProgress if (report := read(progress.json)).ran]
    rows = sum(report.num_input_rows for report in reports)
    return Run(rows, seconds, max((report.state_bytes for report in reports), default=0))


def catch_up(made: Any, at: Place, kafka: KafkaConfig, config: DetectConfig) -> Run:
    """Detect on everything that a topic holds, into a database of its own."""
    config = replace(config, checkpoint=str(at.folder / f"checkpoint-{next(_numbers)}"))
    open_store = partial(Store.open, fresh(at.server).url, source=Source("kafka", kafka.trades))
    sink = Sink(open_store, config.shards, {}, SystemClock().now_ns, lambda _: True)
    frame = spark.told_of(made, kafka, config, {})
    started = time.perf_counter()
    query = spark.start(frame, sink, config, once=True)
    query.awaitTermination()
    seconds = time.perf_counter() - started
    sink.close()
    return finished(query, seconds)


def counted(made: Any, at: Place, frame: Callable[[Any], Any]) -> Run:
    """Run another query over the same messages, to nowhere."""
    checkpoint = str(at.folder / f"checkpoint-{next(_numbers)}")
    started = time.perf_counter()
    writer = frame(made).writeStream.option("checkpointLocation", checkpoint).foreachBatch(_collected)
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    return finished(query, time.perf_counter() - started)


def _collected(batch: Any, _: int) -> None:
    batch.collect()
