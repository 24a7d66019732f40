"""The topic of anomalies on a real broker: what it lacks is sent, what it has is not, what is refused is told."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from support.brokers import RunningBroker, messages
from tapewatch.carry.codec import place_of
from tapewatch.carry.kafka.anomalies import AnomalyTopic
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.errors import FeedError


class Entry(NamedTuple):
    seq: int
    anomaly_id: str
    change: str = "opened"
    record: str = "{}"


class Log(list[Entry]):
    """A log of changes, each of an anomaly of its own."""

    def after(self, seq: int, limit: int) -> Sequence[Entry]:
        return [entry for entry in self if entry.seq > seq][:limit]


def log(count: int) -> Log:
    return Log(Entry(seq, f"a{seq}") for seq in range(1, count + 1))


def seqs(config: KafkaConfig) -> list[int]:
    return sorted(int(dict(message.headers())["seq"]) for message in messages(config, config.anomalies))


def test_what_one_partition_lacks_is_sent_and_what_another_has_is_not_sent_again(broker: RunningBroker) -> None:
    config = broker.config(partitions=2)
    make_topics(config)
    whole = log(40)
    producer = Producer(config.client())
    for entry in whole:  # the leader of partition 1 was away from 21 on
        key = entry.anomaly_id.encode()
        if (place := place_of(key, 2)) == 0 or entry.seq <= 20:
            producer.produce(config.anomalies, b"{}", key, place, headers=[("seq", b"%d" % entry.seq)])
    assert producer.flush(10) == 0
    assert len(seqs(config)) < 40
    topic = AnomalyTopic(config, whole.after)
    assert topic.follow()
    assert topic.finish(10) == 0
    assert seqs(config) == list(range(1, 41))
    for message in messages(config, config.anomalies):
        assert message.partition() == place_of(message.key(), 2)


def test_a_full_queue_is_sent_to_its_end(broker: RunningBroker) -> None:
    config = broker.config(options={"queue.buffering.max.messages": "10"})
    make_topics(config)
    topic = AnomalyTopic(config, log(500).after)
    assert not topic.follow()
    assert topic.finish(20) == 0
    assert seqs(config) == list(range(1, 501))


def test_what_the_broker_refuses_is_told_and_sent_by_the_next_start(broker: RunningBroker) -> None:
    config = broker.config(partitions=1)
    make_topics(config)
    limit(config, 200)
    whole = Log([Entry(1, "a"), Entry(2, "b", record="x" * 5_000)])
    topic = AnomalyTopic(config, whole.after)
    for again in (topic.finish, topic.finish):
        with pytest.raises(FeedError, match=f"Kafka: topic {config.anomalies}: .*too large"):
            again(10)
    assert topic.seq <= 2
    limit(config, 100_000)
    assert AnomalyTopic(config, whole.after).finish(10) == 0
    assert seqs(config) == [1, 2]


def limit(config: KafkaConfig, size: int) -> None:
    change = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource(ResourceType.TOPIC, config.anomalies, incremental_configs=[change])
    admin = AdminClient(config.client())
    (future,) = admin.incremental_alter_configs([asked]).values()
    future.result(10)
