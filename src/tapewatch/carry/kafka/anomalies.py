"""The log of changes to a compacted topic: for each anomaly, the record as it last stood."""

from collections.abc import Callable, Sequence
from typing import Protocol

from tapewatch.carry.codec import VERSION_BYTES, VERSION_HEADER
from tapewatch.carry.kafka.clients import made, partitions_of
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import Reader, header
from tapewatch.errors import ConfigError

try:
    from confluent_kafka import Producer
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

BATCH = 1_000

CHANGE_HEADER = "change"
"""``opened``, ``escalated`` or ``ended``."""

SEQ_HEADER = "seq"
"""Number in the log of changes; who starts again goes on behind the highest one."""


class Logged(Protocol):
    """One entry of the log of changes."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def anomaly_id(self) -> str:
        """Whose change it is."""

    @property
    def change(self) -> str:
        """What changed."""

    @property
    def record(self) -> str:
        """The anomaly as JSON."""


class AnomalyTopic:
    """Follow a log of changes into the topic of anomalies, at least once, in order for each anomaly.

    Parameters
    ----------
    config
        Which brokers and topic.
    changes_after
        Gives out the log from a number on, at most so many entries.

    Attributes
    ----------
    seq
        Number of the last change that was sent.
    """

    def __init__(self, config: KafkaConfig, changes_after: Callable[[int, int], Sequence[Logged]]) -> None:
        self._topic = config.anomalies
        self._changes_after = changes_after
        last = _last(config)
        logged = changes_after(last[0] - 1, 1) if last else ()
        # What stands in the topic may be of an earlier database, whose numbers say nothing about this one's.
        known = bool(logged) and (logged[0].seq, logged[0].anomaly_id) == last
        self.seq = last[0] if last and known else 0
        settings = {"enable.idempotence": True, "acks": "all", "message.timeout.ms": 0}
        self._producer, _ = made(Producer, config, **settings)

    def follow(self) -> int:
        """Send what the log holds beyond the topic; what the queue does not take now is sent next time.

        Returns
        -------
        int
            How many messages were queued.
        """
        count = 0
        while batch := self._changes_after(self.seq, BATCH):
            for change in batch:
                headers: list[tuple[str, str | bytes | None]] = [
                    (VERSION_HEADER, VERSION_BYTES),
                    (CHANGE_HEADER, change.change.encode()),
                    (SEQ_HEADER, str(change.seq).encode()),
                ]
                try:
                    self._producer.produce(
                        self._topic, change.record.encode(), change.anomaly_id.encode(), headers=headers
                    )
                except BufferError:
                    self._producer.poll(0)
                    return count
                self.seq = change.seq
                count += 1
        self._producer.poll(0)
        return count

    def flush(self, timeout_s: float) -> int:
        """Wait for acknowledgements; tell how many messages have none."""
        return int(self._producer.flush(timeout_s))


def _last(config: KafkaConfig) -> tuple[int, str] | None:
    found = []
    with Reader(config) as reader:
        for number in range(partitions_of(reader.consumer, config.anomalies)):
            for message in reader.partition(config.anomalies, number).backwards():
                seq = header(message, SEQ_HEADER).decode(errors="replace")
                if seq.isdecimal():
                    found.append((int(seq), (message.key() or b"").decode(errors="replace")))
                    break
    return max(found, default=None)
