"""The pipeline in tests: the commands as processes of their own, on a real broker and a real database."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from support.databases import Database
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.clock import SystemClock
from tapewatch.runtime import jars
from tapewatch.runtime import spark as runtime
from tapewatch.runtime.sink import Sink
from tapewatch.runtime.spark import DetectConfig
from tapewatch.store.records import Source
from tapewatch.store.sql import Store

LONG_S = 300.0
"""A dead-man's limit, not a figure."""


def topics(config: KafkaConfig) -> list[str]:
    """Write a test's own topics as flags."""
    names = ("brokers", "trades", "anomalies", "quarantine", "partitions")
    return [part for name in names for part in ("--set", f"kafka.{name}={getattr(config, name)}")]


def detect(config: KafkaConfig, database: Database, folder: Path, *flags: str) -> list[str]:
    """Write the command line of a detector; its checkpoint lies in `folder`."""
    place = ("--db", database.url, "--checkpoint", str(folder / "checkpoint"), "--master", "local[2]")
    return [sys.executable, "-m", "tapewatch", "detect", *topics(config), *place, *flags]


def produce(config: KafkaConfig, source: str, *flags: str) -> list[str]:
    """Write the command line of a producer."""
    return [sys.executable, "-m", "tapewatch", "produce", "--source", source, "--speed", "0", *topics(config), *flags]


def done(command: list[str], code: int = 0, **environment: str) -> str:
    """Run a command to its end, which must come with this exit code; give out all that it said."""
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_S,
        env={**os.environ, **environment},
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == code, said
    return said


@contextmanager
def spark(config: DetectConfig) -> Iterator[Any]:
    """Run a Spark of this process's own, for many queries, and leave nothing of it."""
    session = runtime.session(config, jars.cache())
    context = session.sparkContext
    gateway = context._gateway
    try:
        yield session
    finally:
        session.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # on which the JVM ends
        gateway.proc.wait(LONG_S)
        type(context)._gateway = type(context)._jvm = None


def catch_up(session: Any, kafka: KafkaConfig, config: DetectConfig, database: Database) -> int:
    """Detect all that a topic holds now, as the command does; tell how many micro-batches there were so far."""
    open_store = partial(Store.open, database.url, source=Source("kafka", kafka.trades))
    with closing(Sink(open_store, config.shards, {}, SystemClock().now_ns, threading.Event().wait)) as sink:
        frame = runtime.told_of(session, kafka, config, {})
        runtime.start(frame, sink, config, once=True).awaitTermination()
        assert sink._last is not None
        return sink._last.number + 1
