"""What the end of a topic says: how far each partition was filled, and what each lane's tape has named by then."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple, Self

import msgspec

from tapewatch.carry import codec
from tapewatch.carry.kafka.clients import ANSWER_S, listed, made, partitions_of, patient
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ledgers import Ledgers
from tapewatch.detect.core import Ledger
from tapewatch.errors import ConfigError, FeedError
from tapewatch.model import Lane

try:
    from confluent_kafka import Consumer, KafkaError, TopicPartition
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

ORIGIN_HEADER = "origin"
"""``SOURCE:TOPIC:NUMBER`` of what was set aside. A row says its own in its message: each header costs the sender and
Spark a microsecond a row, and a name in the message next to nothing."""

LEDGER_HEADER = "ledger"
"""On the clock of a live lane: ``[highest id, [[first, last], …], time]``, what its tape has named when it ticked, and
the time of its last trade."""

REACH_S = 60.0
"""How far back from our last row we look for clocks; each lane's ticks once a second."""

FARTHER = 4
"""By how much farther back we look each time that a lane's clock was not found."""

CHUNK = 10_000
PAUSE_S = 0.1

_ORIGIN = re.compile(r"([^:]+):([1-9]\d{0,8}):(\d{1,18})", re.ASCII)


class Origin(NamedTuple):
    """Where a row comes from: the source, the topic's partitions when it was sent, and its number in the source.

    In its message: ``SOURCE:PARTITIONS:ROW``.
    """

    source: str
    partitions: int
    row: int


class End(NamedTuple):
    """What the end of a topic says.

    Attributes
    ----------
    partitions
        How many the topic has.
    last
        Origin of the last row by partition; partitions without rows of ours are left out.
    expired
        Whether a partition has lost messages and holds no row of ours.
    ledgers
        Highest id named, open gaps and time of the last trade of each lane that ticked lately; empty where they were
        not wanted.
    """

    partitions: int
    last: dict[int, Origin]
    expired: bool
    ledgers: dict[Lane, Ledger]


def end_of(config: KafkaConfig, ledgers_of: str | None = None, timeout_s: float = ANSWER_S) -> End:
    """Look at the end of the topic of rows; what others have sent to it is passed over.

    Parameters
    ----------
    ledgers_of
        The source whose ledgers are wanted: a minute of its rows is read for them.

    Raises
    ------
    ConfigError
        The broker refuses us, or there is no such topic.
    FeedError
        No broker answers.
    """
    last: dict[int, Origin] = {}
    known: dict[Lane, Ledger] = {}
    expired = False
    with Reader(config, timeout_s) as reader:
        count = partitions_of(reader.consumer, config.trades, timeout_s)
        for number in range(count):
            partition = reader.partition(config.trades, number)
            newest = _newest(partition)
            if newest is None:
                expired |= partition.low > 0
                continue
            message, last[number] = newest
            if last[number].source == ledgers_of:
                known |= _ledgers(partition, message)
    return End(count, last, expired, known)


def set_aside(config: KafkaConfig, prefix: str, timeout_s: float = ANSWER_S) -> int:
    """Tell how many inputs of a source were set aside: one more than the last number behind `prefix`."""
    with Reader(config, timeout_s) as reader:
        partitions_of(reader.consumer, config.quarantine, timeout_s)
        for message in reader.partition(config.quarantine, 0).backwards():
            said = header(message, ORIGIN_HEADER).decode(errors="replace")
            number = said.removeprefix(prefix)
            if number != said and number.isdecimal():
                return int(number) + 1
    return 0


class _Partition(NamedTuple):
    reader: "Reader"
    topic: str
    number: int
    low: int
    high: int

    def messages(self, start: int, stop: int) -> Iterator[Any]:
        """Give out what stands between two offsets; the marks of transactions hold an offset, too."""
        consumer, timeout_s = self.reader.consumer, self.reader.timeout_s
        consumer.assign([TopicPartition(self.topic, self.number, start)])
        at, empty = start, 0
        while at < stop:
            found = consumer.consume(min(CHUNK, stop - at), PAUSE_S)
            empty = 0 if found else empty + 1
            if empty * PAUSE_S > timeout_s:
                raise FeedError(f"topic {self.topic}: expected its messages within {timeout_s:.0f} s, found none")
            for message in found:
                error = message.error()
                if error is None and (message.offset() or 0) < stop:
                    at = (message.offset() or 0) + 1
                    yield message
                elif error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    return
                else:
                    raise FeedError(f"topic {self.topic}: cannot be read: {error.str()}")

    def backwards(self) -> Iterator[Any]:
        """Give out all messages, the newest first."""
        span, stop = 1, self.high
        while stop > self.low:
            start = max(self.low, stop - span)
            yield from reversed(list(self.messages(start, stop)))
            stop, span = start, min(10 * span, CHUNK)

    def since(self, time_ms: int) -> int:
        """Tell the offset of the first message of a time."""
        place = TopicPartition(self.topic, self.number, max(0, time_ms))
        (found,) = self.reader.consumer.offsets_for_times([place], self.reader.timeout_s)
        return max(self.low, min(int(found.offset), self.high - 1)) if found.offset >= 0 else self.low


class Reader:
    """Reads parts of topics, on its own account: it belongs to no group and commits nothing."""

    def __init__(self, config: KafkaConfig, timeout_s: float = ANSWER_S) -> None:
        settings = {
            "group.id": "tapewatch-end",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
        self.consumer, heard = made(Consumer, config, **settings)
        self.timeout_s = timeout_s
        listed(self.consumer, heard, config, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()

    def partition(self, topic: str, number: int) -> _Partition:
        """Look where a partition begins and ends."""
        place = TopicPartition(topic, number)
        low, high = patient(
            self.consumer,
            lambda: self.consumer.get_watermark_offsets(place, self.timeout_s),
            f"topic {topic}: its end cannot be read",
            self.timeout_s,
        )
        return _Partition(self, topic, number, low, high)


def header(message: Any, name: str) -> bytes:
    """Give a header's value; empty where there is none."""
    return dict(message.headers() or ()).get(name) or b""


def _origin(message: Any) -> Origin | None:
    found = _ORIGIN.fullmatch(codec.origin_of(message.value() or b""))
    if found is None:
        return None
    source, partitions, row = found.groups()
    return Origin(source, int(partitions), int(row))


def _newest(partition: _Partition) -> tuple[Any, Origin] | None:
    for message in partition.backwards():
        if (origin := _origin(message)) is not None:
            return message, origin
    return None


def _ledgers(partition: _Partition, newest: Any) -> dict[Lane, Ledger]:
    start = min(newest.offset(), partition.since(newest.timestamp()[1] - round(REACH_S * 1_000)))
    while True:
        found, clockless = _folded(partition.messages(start, partition.high))
        if not clockless or start == partition.low:
            return found.all()
        start = max(partition.low, partition.high - FARTHER * (partition.high - start))


def _folded(messages: Iterator[Any]) -> tuple[Ledgers, set[Lane]]:
    """Fold rows into ledgers; tell the lanes that have no clock among them: what they named before is not known."""
    ledgers = Ledgers({})
    seen, clocked = set[Lane](), set[Lane]()
    ours = (message for message in messages if _origin(message) is not None)
    while chunk := list(islice(ours, CHUNK)):
        rows, refused = codec.decode([message.value() or b"" for message in chunk])
        bad = {each.at for each in refused}
        kept = (message for at, message in enumerate(chunk) if at not in bad)
        columns = (rows.data[name].tolist() for name in ("lane", "kind", "trade_id", "aux", "ts"))
        for message, number, kind, trade_id, aux, ts in zip(kept, *columns, strict=True):
            lane = rows.lanes[number]
            if told := header(message, LEDGER_HEADER):
                ledgers.put(lane, msgspec.json.decode(told, type=Ledger))
                clocked.add(lane)
            else:
                ledgers.take(lane, kind, trade_id, aux, ts)
        seen |= set(rows.lanes)
    return ledgers, seen - clocked
