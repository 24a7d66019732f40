"""Topics: made where they are missing, and what the end of one says about each lane."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tapewatch.carry import codec
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ledgers import Ledgers
from tapewatch.detect.core import Ledger
from tapewatch.errors import ConfigError, FeedError
from tapewatch.model import Lane

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
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

RETRY_S = 0.2
DAY_MS = 86_400_000

_LEADERLESS = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)


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
        partitions = partitions_of(consumer, config.trades, timeout_s)
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


def partitions_of(client: Any, topic: str, timeout_s: float = 10.0) -> list[int]:
    """List a topic's partitions.

    Raises
    ------
    FeedError
        No broker answers, or there is no such topic.
    """
    tries = max(1, round(timeout_s / RETRY_S))
    while True:
        tries -= 1
        try:
            found = client.list_topics(topic, timeout=timeout_s).topics[topic]
        except KafkaException as error:
            raise FeedError(f"Kafka: no broker answers: {error.args[0].str()}") from None
        if found.error is None:
            return sorted(found.partitions)
        if found.error.code() not in _LEADERLESS or tries == 0:
            raise FeedError(f"topic {topic}: {found.error.str()}")
        client.poll(RETRY_S)  # a topic that was just made is not known to every broker for a moment
