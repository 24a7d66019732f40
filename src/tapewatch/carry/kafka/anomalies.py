"""The log of changes to a compacted topic: for each anomaly, the record as it last stood."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from tapewatch import telemetry
from tapewatch.carry.codec import VERSION_BYTES, VERSION_HEADER, place_of
from tapewatch.carry.kafka.clients import made, partitions_of, words
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import Reader, header
from tapewatch.carry.kafka.sender import PROMISED
from tapewatch.errors import ConfigError, DatabaseAwayError, FeedError

try:
    from confluent_kafka import KafkaError, KafkaException, Producer
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

BATCH = 1_000
PAUSE_S = 0.05

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
        # What stands in the topic may be of an earlier database, whose numbers say nothing about this one's.
        self._ends = [seq if _logged(changes_after, seq, anomaly) else 0 for seq, anomaly in _ends(config)]
        self.seq = min(self._ends)
        self._refused = ""
        self._producer, _ = made(Producer, config, **PROMISED, on_delivery=self._delivered)

    def follow(self) -> bool:
        """Send what the log holds beyond the topic; what the queue does not take now is sent next time.

        Returns
        -------
        bool
            Whether the queue took all of it.

        Raises
        ------
        FeedError
            The broker refused a message for good; the next start sends it again.
        """
        self._heed(0)
        while batch := self._changes_after(self.seq, BATCH):
            for change in batch:
                key = change.anomaly_id.encode()
                place = place_of(key, len(self._ends))
                if change.seq <= self._ends[place]:
                    self.seq = change.seq
                    continue
                headers: list[tuple[str, str | bytes | None]] = [
                    (VERSION_HEADER, VERSION_BYTES),
                    (CHANGE_HEADER, change.change.encode()),
                    (SEQ_HEADER, str(change.seq).encode()),
                ]
                try:
                    self._producer.produce(self._topic, change.record.encode(), key, place, headers=headers)
                except BufferError:
                    return False
                except KafkaException as error:  # fatal, and not heard of yet
                    raise FeedError(f"Kafka: topic {self._topic}: {words(error.args[0])}") from None
                self.seq = change.seq
        return True

    def finish(self, timeout_s: float) -> int:
        """Send the rest of the log, and wait for answers; tell how many messages have none.

        Raises
        ------
        FeedError
            The broker refused a message for good; the next start sends it again.
        """
        with suppress(DatabaseAwayError):  # the next start reads the log again
            for _ in range(round(timeout_s / PAUSE_S)):
                if self.follow() and not len(self._producer):
                    break
                self._heed(PAUSE_S)
        waiting = len(self._producer)
        if waiting:
            telemetry.log(telemetry.UNSENT, messages=waiting)
        return waiting

    def _heed(self, timeout_s: float) -> None:
        # By poll alone: flush goes on to the next callback while an exception is set, which Python does not forgive.
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:  # only what is fatal comes as an exception
            self._refused = self._refused or words(error.args[0])
        if self._refused:
            raise FeedError(f"Kafka: topic {self._topic}: {self._refused}")

    def _delivered(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._refused = self._refused or words(error)


def _logged(changes_after: Callable[[int, int], Sequence[Logged]], seq: int, anomaly: str) -> bool:
    found = changes_after(seq - 1, 1)
    return bool(found) and (found[0].seq, found[0].anomaly_id) == (seq, anomaly)


def _ends(config: KafkaConfig) -> list[tuple[int, str]]:
    # Of each partition: each has its own leader, and one may have taken what another has not.
    found = []
    with Reader(config) as reader:
        for number in range(partitions_of(reader.consumer, config.anomalies)):
            last = (0, "")
            for message in reader.partition(config.anomalies, number).backwards():
                seq = header(message, SEQ_HEADER).decode(errors="replace")
                if seq.isdecimal():
                    last = (int(seq), (message.key() or b"").decode(errors="replace"))
                    break
            found.append(last)
    return found
