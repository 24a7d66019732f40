"""Rows to and from Apache Kafka: `Rows` in, messages on a topic; and what a topic's end says about each lane.

The only file that imports confluent_kafka. Messages of a lane keep their order: one key, one partition.
"""

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from tapewatch.carry import codec
from tapewatch.carry.codec import VERSION, VERSION_HEADER
from tapewatch.detect.core import Ledger
from tapewatch.errors import ConfigError, FeedError
from tapewatch.model import Kind, Lane, Rows

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

ORIGIN_HEADER = "origin"
"""``SOURCE:ROW``: which source a row comes from, and its number there; a restarted producer goes on behind it."""

LEDGER_HEADER = "ledger"
"""On a clock: ``[highest id, [[first, last], …]]``, what the lane's tape has named when it ticked."""

REACH_S = 60.0
"""How far back from a partition's end a restarted producer looks; a clock ticks once a second."""

QUEUE_MESSAGES = 100_000
"""Messages that wait for the broker at once, some 50 MB; then the source is left alone."""

RETRY_S = 0.2
ANY_PARTITION = -1
DAY_MS = 86_400_000


Headers = list[tuple[str, str | bytes | None]]


class KafkaConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``kafka``."""

    brokers: Annotated[str, Meta(min_length=1, description="Addresses of brokers, host:port, separated by commas")] = (
        "127.0.0.1:9092"
    )
    trades: Annotated[str, Meta(min_length=1, description="Topic of the rows")] = "tapewatch.trades"
    anomalies: Annotated[str, Meta(min_length=1, description="Topic of the anomalies, compacted")] = (
        "tapewatch.anomalies"
    )
    quarantine: Annotated[str, Meta(min_length=1, description="Topic of what was set aside")] = "tapewatch.quarantine"
    partitions: Annotated[int, Meta(ge=1, le=10_000, description="Partitions of a topic that is made")] = 4
    replication: Annotated[
        int, Meta(ge=-1, le=9, description="Replicas of a topic that is made; -1: the broker's")
    ] = -1
    retention_days: Annotated[float, Meta(gt=0, le=3650, description="How long rows are kept")] = 7.0
    options: Annotated[
        dict[str, str], Meta(description="Any setting of librdkafka, e.g. security.protocol and sasl.username")
    ] = {}
    option_files: Annotated[
        dict[str, str], Meta(description="The same with the value in a file, for secrets: sasl.password = PATH")
    ] = {}

    def client(self) -> dict[str, Any]:
        """Gather the settings that every client shares.

        Raises
        ------
        ConfigError
            A secret's file cannot be read.
        """
        secrets = {}
        for name, path in self.option_files.items():
            try:
                secrets[name] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"kafka.option_files.{name}: {path} cannot be read: {error.strerror}") from None
        return {"bootstrap.servers": self.brokers, "log_level": 2, **self.options, **secrets}


class Origin(NamedTuple):
    """Where a row comes from: the source, and the row's number there."""

    source: str
    row: int


class End(NamedTuple):
    """What the end of a topic says.

    Attributes
    ----------
    partitions
        How many the topic has.
    last
        The last row's origin by partition; partitions without rows are left out.
    ledgers
        Highest id named and open gaps of each lane that ticked lately.
    """

    partitions: int
    last: dict[int, Origin]
    ledgers: dict[Lane, Ledger]


def partition_of(lane: Lane, partitions: int) -> int:
    """Tell the partition of a lane, the same in every program and for ever."""
    return zlib.crc32(codec.key_of(lane)) % partitions


class Ledgers:
    """What each lane's tape has named: rows in, the ledger at any of them out."""

    def __init__(self, known: Mapping[Lane, Ledger]) -> None:
        self._highest = {lane: ledger.highest_id for lane, ledger in known.items()}
        self._open = {lane: dict(ledger.open_gaps) for lane, ledger in known.items()}

    def take(self, lane: Lane, kind: int, trade_id: int, aux: int) -> None:
        """Note one row, in the order of its lane."""
        if kind == Kind.TRADE:
            self._highest[lane] = max(self._highest.get(lane, -1), trade_id)
        elif kind == Kind.GAP:
            self._highest[lane] = max(self._highest.get(lane, -1), aux)
            self._open.setdefault(lane, {})[trade_id] = aux
        elif kind == Kind.FILLED:
            self._open.get(lane, {}).pop(trade_id, None)

    def of(self, lane: Lane) -> Ledger:
        """Tell a lane's ledger."""
        return Ledger(self._highest.get(lane, -1), tuple(sorted(self._open.get(lane, {}).items())))

    def all(self) -> dict[Lane, Ledger]:
        """Tell every lane's ledger."""
        return {lane: self.of(lane) for lane in self._highest}


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
        self._partitions = len(_partitions(self._producer, self._topic))

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
_LEADERLESS = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


def make_topics(config: KafkaConfig, timeout_s: float = 10.0) -> list[str]:
    """Make the topics that are missing, and tell which.

    Raises
    ------
    FeedError
        No broker answers, or it refuses.
    """
    admin = AdminClient(config.client())
    try:
        there = set(admin.list_topics(timeout=timeout_s).topics)
    except KafkaException as error:
        raise FeedError(f"kafka.brokers {config.brokers}: no broker answers: {error.args[0].str()}") from None
    kept = {"retention.ms": str(round(config.retention_days * DAY_MS))}
    wanted = {config.trades: kept, config.anomalies: {"cleanup.policy": "compact"}, config.quarantine: kept}
    missing = [
        NewTopic(name, config.partitions, config.replication, config=settings)
        for name, settings in wanted.items()
        if name not in there
    ]
    for name, made in admin.create_topics(missing).items() if missing else ():
        try:
            made.result(timeout_s)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise FeedError(f"topic {name}: cannot be made: {error.args[0].str()}") from None
    return [topic.topic for topic in missing]


def end_of(config: KafkaConfig, timeout_s: float = 10.0) -> End:
    """Look at the end of the topic of rows.

    Raises
    ------
    FeedError
        No broker answers.
    """
    consumer = Consumer({**config.client(), "group.id": "tapewatch-end", "enable.auto.commit": False})
    last: dict[int, Origin] = {}
    ledgers: dict[Lane, Ledger] = {}
    try:
        partitions = _partitions(consumer, config.trades, timeout_s)
        for partition in partitions:
            rows = list(_tail(consumer, config.trades, partition, timeout_s))
            if rows:
                last[partition] = rows[-1][0]
            ledgers |= _ledgers(rows)
    except KafkaException as error:
        raise FeedError(f"topic {config.trades}: its end cannot be read: {error.args[0].str()}") from None
    finally:
        consumer.close()
    return End(len(partitions), last, ledgers)


_Tail = tuple[Origin, bytes, bytes | None]


def _tail(consumer: Any, topic: str, partition: int, timeout_s: float) -> Iterator[_Tail]:
    """Give out origin, message and ledger of the rows in a partition's last minute."""
    place = TopicPartition(topic, partition)
    low, high = _bounds(consumer, place, timeout_s)
    if high <= low:
        return
    newest = _read(consumer, TopicPartition(topic, partition, high - 1), timeout_s)
    since = max(0, newest.timestamp()[1] - round(REACH_S * 1_000))
    (start,) = consumer.offsets_for_times([TopicPartition(topic, partition, since)], timeout_s)
    consumer.assign([TopicPartition(topic, partition, start.offset if start.offset >= 0 else low)])
    while True:
        message = _polled(consumer, timeout_s)
        headers = dict(message.headers() or ())
        source, _, row = headers.get(ORIGIN_HEADER, b"").decode(errors="replace").rpartition(":")
        if row.isdecimal():
            yield Origin(source, int(row)), message.value() or b"", headers.get(LEDGER_HEADER)
        if message.offset() >= high - 1:
            return


def _bounds(consumer: Any, place: Any, timeout_s: float) -> tuple[int, int]:
    tries = max(1, round(timeout_s / RETRY_S))
    while True:
        tries -= 1
        try:
            low, high = consumer.get_watermark_offsets(place, timeout_s)
        except KafkaException as error:
            if tries == 0 or (not error.args[0].retriable() and error.args[0].code() not in _LEADERLESS):
                raise
            consumer.poll(RETRY_S)  # a topic that was just made has no leader for a moment
        else:
            return low, high


def _ledgers(rows: list[_Tail]) -> dict[Lane, Ledger]:
    known: dict[Lane, Ledgers] = {}
    for _, message, ledger in rows:
        found, _ = codec.decode([message])
        if len(found.data) == 0:
            continue
        (lane,) = found.lanes
        row = found.data[0]
        if ledger is not None:
            known[lane] = Ledgers({lane: msgspec.json.decode(ledger, type=Ledger)})
        elif lane in known:
            known[lane].take(lane, int(row["kind"]), int(row["trade_id"]), int(row["aux"]))
    return {lane: ledgers.of(lane) for lane, ledgers in known.items()}


def _read(consumer: Any, place: Any, timeout_s: float) -> Any:
    consumer.assign([place])
    return _polled(consumer, timeout_s)


def _polled(consumer: Any, timeout_s: float) -> Any:
    message = consumer.poll(timeout_s)
    if message is None:
        raise FeedError(f"Kafka: no message within {timeout_s:.0f} s, though the topic holds some")
    if message.error() is not None:
        raise KafkaException(message.error())
    return message


def _partitions(client: Any, topic: str, timeout_s: float = 10.0) -> list[int]:
    try:
        found = client.list_topics(topic, timeout=timeout_s).topics[topic]
    except KafkaException as error:
        raise FeedError(f"Kafka: no broker answers: {error.args[0].str()}") from None
    if found.error is not None:
        raise FeedError(f"topic {topic}: {found.error.str()}")
    return sorted(found.partitions)
