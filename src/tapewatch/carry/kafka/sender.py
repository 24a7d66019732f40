"""Rows to a topic: in order within each lane, once, and never dropped."""

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from tapewatch.carry import codec
from tapewatch.carry.codec import VERSION, VERSION_HEADER
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ledgers import Ledgers
from tapewatch.carry.kafka.topics import LEDGER_HEADER, ORIGIN_HEADER, End, partitions_of
from tapewatch.errors import ConfigError, FeedError
from tapewatch.model import Kind, Lane, Rows

try:
    from confluent_kafka import KafkaError, Producer
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

QUEUE_MESSAGES = 100_000
"""Messages that wait for the broker at once, some 50 MB; then the source is left alone."""

ANY_PARTITION = -1

Headers = list[tuple[str, str | bytes | None]]


def partition_of(lane: Lane, partitions: int) -> int:
    """Tell the partition of a lane, the same in every program and for ever."""
    return zlib.crc32(codec.key_of(lane)) % partitions


class Sender:
    """Send rows; idempotent, acknowledged by all replicas, never out of order, never dropped.

    Parameters
    ----------
    config
        Which brokers and topics.
    source
        Names the source in each row's origin.
    end
        What the topic's end says; rows that stand there already are not sent again.

    Attributes
    ----------
    trouble
        Why the broker does not take messages just now, for a person; None when all is well.
    acknowledged
        Messages that all replicas have.
    """

    def __init__(self, config: KafkaConfig, source: str, end: End) -> None:
        self.trouble: str | None = None
        self.acknowledged = 0
        self._topic, self._aside = config.trades, config.quarantine
        self._source = source
        self._sent = {partition: origin.row for partition, origin in end.last.items()}
        self._ledgers = Ledgers(end.ledgers)
        self._fatal: KafkaError | None = None
        self._producer = Producer(
            {
                **config.client(),
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.timeout.ms": 0,  # a message waits for its broker as long as it takes
                "queue.buffering.max.messages": QUEUE_MESSAGES,
                "error_cb": self._failed,
                "on_delivery": self._delivered,
            }
        )
        self._partitions = len(partitions_of(self._producer, self._topic))

    def send(self, rows: Rows, first: int) -> Iterator[int]:
        """Send rows in order, as fast as the queue takes them.

        Parameters
        ----------
        first
            Number of the first row in its source.

        Yields
        ------
        int
            How many rows are in the queue or were sent before, each time that it is full: the caller waits a little.
        """
        keys = [codec.key_of(lane) for lane in rows.lanes]
        places = [partition_of(lane, self._partitions) for lane in rows.lanes]
        columns = (rows.data[name].tolist() for name in ("lane", "kind", "trade_id", "aux"))
        for at, (message, lane, kind, trade_id, aux) in enumerate(zip(codec.encode(rows), *columns, strict=True)):
            place, row = places[lane], first + at
            self._ledgers.take(rows.lanes[lane], kind, trade_id, aux)
            if row <= self._sent.get(place, -1):
                continue
            headers: Headers = [_VERSION, (ORIGIN_HEADER, f"{self._source}:{row}".encode())]
            if kind == Kind.CLOCK:
                headers.append((LEDGER_HEADER, msgspec.json.encode(self._ledgers.of(rows.lanes[lane]))))
            while not self._queued(message, keys[lane], place, headers):
                yield at
        self._producer.poll(0)

    def set_aside(self, item: Struct) -> None:
        """Send what was set aside; where the queue is full it is only counted, as rows go first."""
        self._queued(msgspec.json.encode(item), None, None, [_VERSION])

    def poll(self) -> None:
        """Let acknowledgements come in.

        Raises
        ------
        FeedError
            The broker refused for good.
        """
        self._producer.poll(0)
        if self._fatal is not None:
            raise FeedError(f"Kafka: {self._fatal.str()}")

    def flush(self, timeout_s: float) -> int:
        """Wait for acknowledgements; tell how many messages have none."""
        return int(self._producer.flush(timeout_s))

    def _queued(self, message: bytes, key: bytes | None, place: int | None, headers: Headers) -> bool:
        topic, partition = (self._topic, place) if place is not None else (self._aside, ANY_PARTITION)
        try:
            self._producer.produce(topic, message, key, partition=partition, headers=headers)
        except BufferError:
            self.poll()
            return False
        return True

    def _delivered(self, error: KafkaError | None, _: Any) -> None:
        if error is None:
            self.acknowledged += 1
            self.trouble = None
        elif error.fatal() or not error.retriable():
            self._fatal = error

    def _failed(self, error: KafkaError) -> None:
        self.trouble = f"Kafka: {error.str()}"
        if error.fatal() or error.code() in _HOPELESS:
            self._fatal = error


_VERSION: tuple[str, str | bytes | None] = (VERSION_HEADER, str(VERSION).encode())
_HOPELESS = (
    KafkaError._AUTHENTICATION,  # noqa: SLF001  # librdkafka's public names
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)
