"""A real Kafka broker for tests: made, waited for, killed, started again, and topics that are a test's own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from support.missing import lacking
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.errors import FeedError, TapewatchError
from tapewatch.runtime import jars
from tapewatch.runtime.broker import Broker
from tapewatch.runtime.ports import bind

READY_S = 60.0

_numbers = count(1)


class RunningBroker:
    """A broker in a folder; after `kill` it starts again with what it had.

    Attributes
    ----------
    address
        Its host and port, the same after a new start.
    """

    def __init__(self, home: Path, settings: str = "", options: dict[str, str] | None = None) -> None:
        first = 19_092 + os.getpid() % 500 * 20  # below the ports of clients, and another one in each test process
        with bind(None, first, "kafka") as one, bind(None, first, "kafka") as other:  # held: else both get the same
            port, controller = (int(server.getsockname()[1]) for server in (one, other))
        self._broker = Broker(home, jars.fetched(jars.BROKER, jars.cache()), port, controller)
        self._broker.prepare()
        with (home / "server.properties").open("a") as file:
            file.write(settings)
        self._options = options or {}
        self._log = home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = self._broker.address

    def start(self) -> None:
        """Start, and return when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._broker.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + READY_S
        while True:
            try:
                names = {"trades": "ready", "anomalies": "ready.a", "quarantine": "ready.q"}
                make_topics(KafkaConfig(brokers=self.address, options=self._options, **names))
            except FeedError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
            else:
                return

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def config(self, *, partitions: int = 4, **others: object) -> KafkaConfig:
        """Name topics that nobody else uses; they are not made yet."""
        prefix = f"t{next(_numbers)}"
        names = {name: f"{prefix}.{name}" for name in ("trades", "anomalies", "quarantine")}
        return KafkaConfig(brokers=self.address, partitions=partitions, **{"options": self._options, **names, **others})


@contextmanager
def broker(settings: str = "", options: dict[str, str] | None = None) -> Iterator[RunningBroker]:
    """Run a broker that forgets everything; skip where there is no Java, but not in CI.

    Parameters
    ----------
    settings
        On top of ours, in its own words.
    options
        What a client then needs.
    """
    home = Path(tempfile.mkdtemp(prefix="tapewatch-kafka-"))
    try:
        made = RunningBroker(home, settings, options)
        made.start()
    except TapewatchError as error:
        shutil.rmtree(home, ignore_errors=True)
        lacking("Kafka", error)
    try:
        yield made
    finally:
        made.kill()
        shutil.rmtree(home)


def messages(config: KafkaConfig, topic: str, timeout_s: float = 10.0) -> list[Message]:
    """Read a topic from its beginning to its present end; in order within a partition."""
    consumer = Consumer({**config.client(), "group.id": "tests", "enable.auto.commit": False, "fetch.wait.max.ms": 10})
    found = []
    try:
        for partition in sorted(consumer.list_topics(topic, timeout=timeout_s).topics[topic].partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout_s)
            consumer.assign([TopicPartition(topic, partition, low)])
            while high > low:
                message = consumer.poll(timeout_s)
                assert message is not None, f"{topic}: no message within {timeout_s} s"
                assert message.error() is None, message.error()
                found.append(message)
                low = message.offset() + 1
    finally:
        consumer.close()
    return found


def send(
    config: KafkaConfig,
    value: bytes | None,
    *,
    key: bytes | None = None,
    partition: int = 0,
    headers: dict[str, bytes] | None = None,
) -> None:
    """Put one message of any kind into the topic of rows."""
    producer = Producer(config.client())
    producer.produce(config.trades, value, key, partition=partition, headers=list((headers or {}).items()))
    assert producer.flush(10) == 0
