"""Rows to a topic: in order within each lane, once, and never dropped."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from tapewatch import telemetry
from tapewatch.carry import codec
from tapewatch.carry.codec import VERSION_BYTES, VERSION_HEADER
from tapewatch.carry.kafka.clients import REFUSALS, Heard, made, words
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import LEDGER_HEADER, ORIGIN_HEADER, End
from tapewatch.carry.kafka.ledgers import Ledgers
from tapewatch.carry.kafka.topics import batch_bytes
from tapewatch.errors import ConfigError, FeedError
from tapewatch.model import Kind, Rows

try:
    from confluent_kafka import KafkaError, KafkaException, Producer
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

QUEUE_MESSAGES = 100_000
"""Messages that wait for the broker at once, some 50 MB; then the source is left alone."""

WORD_S = 1.0
"""How long the reason of a fatal error may be on its way."""

TUNED = {
    "compression.type": "lz4",
    "linger.ms": 20,
    "queue.buffering.max.messages": QUEUE_MESSAGES,
    "reconnect.backoff.max.ms": 1_000,
}
"""What ``kafka.options`` may say otherwise."""

PROMISED = {
    "enable.idempotence": True,
    "enable.gapless.guarantee": True,  # where one message is refused, none behind it gets in
    "acks": "all",
    "message.timeout.ms": 0,  # a message waits for its broker as long as it takes
    "delivery.report.only.error": True,
}
"""What makes each row arrive once and in order."""

Headers = list[tuple[str, str | bytes | None]]

_HEADERS: Headers = [(VERSION_HEADER, VERSION_BYTES)]


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
    ledgers
        Whether clocks carry their lane's ledger: what a live source goes on from.

    Attributes
    ----------
    trouble
        Why the broker does not take messages just now, for a person; None when all is well.

    Raises
    ------
    ConfigError
        The broker refuses us, or a topic would lose rows.
    FeedError
        No broker answers.
    """

    def __init__(self, config: KafkaConfig, source: str, end: End, *, ledgers: bool = True) -> None:
        self.trouble: str | None = None
        self._topic, self._aside = config.trades, config.quarantine
        self._partitions = end.partitions
        self._origin = f"{source}:{end.partitions}:"
        self._aside_origin = aside_prefix(config, source).encode()
        self._last = {partition: origin.row for partition, origin in end.last.items()}
        self._last_of_all = max(self._last.values(), default=-1)
        self._ledgers = Ledgers(end.ledgers) if ledgers else None
        self._fatal = ""
        self._sent = self._counted = self._owed = 0
        tuned = {name: value for name, value in TUNED.items() if name not in config.options}
        self._producer, _ = made(
            Producer,
            config,
            **tuned,
            **PROMISED,
            **{"batch.size": batch_bytes(config), "error_cb": self._failed, "on_delivery": self._delivered},
        )

    @property
    def acknowledged(self) -> int:
        """Messages that all replicas have."""
        return self._counted

    @property
    def unanswered(self) -> int:
        """Messages that wait for the broker's answer."""
        return len(self._producer)

    @property
    def refused(self) -> bool:
        """Whether the broker refused for good: no message will be taken any more."""
        return bool(self._fatal)

    def send(self, rows: Rows, first: int) -> Iterator[None]:
        """Send rows in order, as fast as the queue takes them.

        Parameters
        ----------
        first
            Number of the first row in its source.

        Yields
        ------
        None
            Each time that the queue is full: the caller polls, waits a little, and goes on.

        Raises
        ------
        FeedError
            The broker refused for good, or a lane has a name that no message can carry.
        """
        for lane in rows.lanes:
            if (reason := codec.unfit(lane)) is not None:
                raise FeedError(f"{lane}: {reason}")
        keys = [codec.key_of(lane) for lane in rows.lanes]
        places = [codec.part_of(lane, self._partitions) for lane in rows.lanes]
        numbers = np.arange(first, first + len(rows.data))
        if first <= self._last_of_all:
            last = np.array([self._last.get(place, -1) for place in places], np.int64)
            new = numbers > last[rows.data["lane"]]
            rows, numbers = Rows(rows.lanes, rows.data[new]), numbers[new]
        topic, produce = self._topic, self._producer.produce
        columns = (rows.data[name].tolist() for name in ("lane", "kind", "trade_id", "aux", "ts"))
        origins = [f"{self._origin}{number}" for number in numbers.tolist()]
        for message, lane, kind, trade_id, aux, ts in zip(codec.encode(rows, origins), *columns, strict=True):
            headers = _HEADERS
            if self._ledgers is not None:
                self._ledgers.take(rows.lanes[lane], kind, trade_id, aux, ts)
                if kind == Kind.CLOCK:
                    told = msgspec.json.encode(self._ledgers.of(rows.lanes[lane]))
                    headers = [*_HEADERS, (LEDGER_HEADER, told)]
            try:
                produce(topic, message, keys[lane], places[lane], None, None, 0, headers)  # names cost a third more
            except (BufferError, KafkaException):
                while not self._queued(topic, message, keys[lane], places[lane], headers):
                    yield
            self._sent += 1
        self.poll()

    def set_aside(self, item: Struct, number: int) -> bool:
        """Send what was set aside, as JSON; tell whether the queue had room for it.

        Parameters
        ----------
        number
            Of the item in its source.
        """
        headers = [*_HEADERS, (ORIGIN_HEADER, self._aside_origin + b"%d" % number)]
        queued = self._queued(self._aside, msgspec.json.encode(item), None, 0, headers)
        self._sent += queued
        return queued

    def flush(self, timeout_s: float) -> int:
        """Wait for answers; tell how many messages have none."""
        try:
            self._producer.flush(timeout_s)
        except KafkaException as error:
            self._fatal = self._fatal or words(error.args[0])
        self.poll()
        return self.unanswered

    def close(self) -> None:
        """Forget what has no answer yet, so that nothing is sent behind our back."""
        self._producer.purge()
        self._heed(0)

    def poll(self, timeout_s: float = 0.0) -> None:
        """Let answers come in.

        Parameters
        ----------
        timeout_s
            How long to wait for a word of the broker's.

        Raises
        ------
        FeedError
            The broker refused for good.
        """
        self._heed(timeout_s)
        waiting = len(self._producer)
        counted = max(self._counted, self._sent - waiting)  # what waits may also be a word of librdkafka's
        telemetry.KAFKA_ACKNOWLEDGED.inc(counted - self._counted)
        self._counted = counted
        telemetry.KAFKA_WAITING.set(waiting)
        if self._fatal:
            raise FeedError(f"Kafka: {self._fatal}")
        if self.trouble is not None and self._counted >= self._owed:
            self.trouble = None

    def _queued(self, topic: str, message: bytes, key: bytes | None, place: int, headers: Headers) -> bool:
        try:
            self._producer.produce(topic, message, key, partition=place, headers=headers)
        except BufferError:
            return False
        except KafkaException as error:
            self._heed(WORD_S)  # it was said why, too
            self._fatal = self._fatal or f"topic {topic}: {words(error.args[0])}"
            raise FeedError(f"Kafka: {self._fatal}") from None
        return True

    def _heed(self, timeout_s: float) -> None:
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:  # only what is fatal comes as an exception
            self._fatal = self._fatal or words(error.args[0])

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._fatal = self._fatal or f"topic {message.topic()}: {words(error)}"

    def _failed(self, error: KafkaError) -> None:
        heard = Heard()
        heard(error)
        if error.fatal() or error.code() in REFUSALS:
            self._fatal = self._fatal or words(error)
        elif heard.reason:
            if self.trouble is None:
                telemetry.log(telemetry.KAFKA_TROUBLE, reason=heard.reason)
            self.trouble = f"Kafka: {heard.reason}"
        self._owed = self._sent


def aside_prefix(config: KafkaConfig, source: str) -> str:
    """Begin the origin of what a source sets aside; its number there follows."""
    return f"{source}:{config.trades}:"
