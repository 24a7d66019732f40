"""Rows over a real broker: what is sent comes back, in order, once; and what a topic's end says of it."""

import json
import time
from collections.abc import Iterable
from itertools import count

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from support.brokers import RunningBroker, messages, send
from support.markets import LANES, START, Tape, ns, seeded
from support.tapes import told
from tapewatch.carry import codec
from tapewatch.carry.kafka import ends
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import End, Origin, end_of, set_aside
from tapewatch.carry.kafka.sender import Sender, aside_prefix
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.detect.core import Ledger
from tapewatch.errors import ConfigError, FeedError
from tapewatch.model import Kind, Lane, Rows
from tapewatch.store.records import Quarantined

BTC, DOGE = LANES[:2]
NOWHERE = KafkaConfig(brokers="127.0.0.1:1")


def put(config: KafkaConfig, rows: Rows, first: int = 0, end: End | None = None) -> Sender:
    make_topics(config)
    sender = Sender(config, "s", end or end_of(config))
    for _ in sender.send(rows, first):
        sender.poll(0.01)
    while sender.unanswered:
        sender.poll(0.01)
    return sender


def send_for_ever(sender: Sender, rows: Rows, first: int) -> None:
    for at in count(first):
        for _ in sender.send(rows.part(at % len(rows.data), at % len(rows.data) + 1), at):
            sender.poll(0.01)


def found(config: KafkaConfig) -> list[Rows]:
    return [codec.decode([message.value() or b""])[0] for message in messages(config, config.trades)]


def of_lane(rows: Iterable[Rows], lane: Lane) -> list[tuple[int | float, ...]]:
    return [row for whose, row in told(rows) if whose == lane]


def settings(config: KafkaConfig, topic: str) -> dict[str, str]:
    admin = AdminClient(config.client())
    (future,) = admin.describe_configs([ConfigResource("topic", topic)]).values()
    return {name: entry.value for name, entry in future.result(10).items()}


def make(config: KafkaConfig, topic: str, partitions: int = 1, **others: str) -> None:
    named = {name.replace("_", "."): value for name, value in others.items()}
    admin = AdminClient(config.client())
    (future,) = admin.create_topics([NewTopic(topic, partitions, 1, config=named)]).values()
    future.result(10)


def test_every_kind_of_row_comes_back_in_the_order_of_its_lane(broker: RunningBroker) -> None:
    config = broker.config()
    rows = seeded(3, 2_000, 3)
    assert set(rows.data["kind"].tolist()) == set(Kind)
    sender = put(config, rows)
    again = found(config)
    for lane in rows.lanes:
        assert of_lane(again, lane) == of_lane([rows], lane)
    assert sender.acknowledged == len(again) == len(rows.data)


def test_a_message_tells_its_key_version_and_origin_and_lies_where_anyone_can_compute(broker: RunningBroker) -> None:
    config = broker.config()
    put(config, seeded(2, 300, 3), first=100)
    rows = set()
    for message in messages(config, config.trades):
        headers = dict(message.headers())
        assert headers["tapewatch"] == b"1"
        source, partitions, row = json.loads(message.value())["origin"].split(":")
        assert (source, partitions) == ("s", "4")
        rows.add(int(row))
        assert message.partition() == codec.part_of(Lane(*message.key().decode().split(":")), 4)
        assert message.key() == codec.key_of(codec.decode([message.value()])[0].lanes[0])
    assert rows == set(range(100, 100 + len(rows)))


def test_missing_topics_are_made_with_settings_that_keep_rows_and_the_last_word_on_each_anomaly(
    broker: RunningBroker,
) -> None:
    config = broker.config(partitions=3, retention_days=2.0)
    assert make_topics(config) == [config.trades, config.anomalies, config.quarantine]
    assert make_topics(config) == []
    kept = settings(config, config.trades)
    assert (kept["cleanup.policy"], kept["retention.ms"], kept["max.message.bytes"]) == (
        "delete",
        "172800000",
        "1048588",
    )
    assert settings(config, config.anomalies)["cleanup.policy"] == "compact"
    counts = {
        topic: len(found.partitions) for topic, found in AdminClient(config.client()).list_topics().topics.items()
    }
    assert [counts[topic] for topic in (config.trades, config.anomalies, config.quarantine)] == [3, 3, 1]


def test_a_topic_that_is_there_is_left_as_it_is_and_its_partitions_count(broker: RunningBroker) -> None:
    config = broker.config(partitions=4)
    make(config, config.trades, 2, retention_ms="1000000")
    lanes = [Lane("coinbase", symbol) for symbol in ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "ADA-USD", "LTC-EUR")]
    tape = Tape(*lanes)
    for number in range(len(lanes)):
        tape.trade(0, "1", lane=number)
    put(config, tape.rows())
    assert settings(config, config.trades)["retention.ms"] == "1000000"
    assert {message.partition() for message in messages(config, config.trades)} == {0, 1}


@pytest.mark.parametrize(
    ("name", "others", "words"),
    [
        ("trades", {"cleanup_policy": "compact"}, "expected cleanup.policy delete, found compact"),
        ("trades", {"max_message_bytes": "500"}, "expected max.message.bytes of 8192 or more, found 500"),
        ("quarantine", {"max_message_bytes": "500"}, "expected max.message.bytes of 8192 or more, found 500"),
    ],
)
def test_a_topic_that_would_lose_rows_is_refused(
    broker: RunningBroker, name: str, others: dict[str, str], words: str
) -> None:
    config = broker.config()
    make(config, getattr(config, name), **others)
    make_topics(config)
    with pytest.raises(ConfigError, match=words):
        Sender(config, "s", end_of(config))


def test_a_topic_of_small_messages_gets_small_batches(broker: RunningBroker) -> None:
    config = broker.config(options={"compression.type": "none", "linger.ms": "100"})
    make(config, config.trades, max_message_bytes="10000")
    rows = seeded(4, 3_000, 3)
    put(config, rows)
    assert len(found(config)) == len(rows.data)


def test_what_the_broker_refuses_while_it_runs_is_never_passed_over(broker: RunningBroker) -> None:
    config = broker.config(options={"compression.type": "none"})
    make(config, config.trades)
    rows = seeded(4, 400, 3)
    sender = put(config, rows.part(0, 10))
    change = ConfigEntry("max.message.bytes", "60", incremental_operation=AlterConfigOpType.SET)
    asked = ConfigResource("topic", config.trades, incremental_configs=[change])
    admin = AdminClient(config.client())
    (future,) = admin.incremental_alter_configs([asked]).values()
    future.result(10)
    with pytest.raises(FeedError, match=f"Kafka: .*{config.trades}.*too large"):
        send_for_ever(sender, rows, 10)
    assert sender.refused
    sent = [
        int(json.loads(message.value())["origin"].rpartition(":")[2]) for message in messages(config, config.trades)
    ]
    assert sent == list(range(len(sent)))  # up to where it was refused, and nothing behind it


def test_a_name_that_no_message_can_carry_ends_the_sending(broker: RunningBroker) -> None:
    config = broker.config()
    make_topics(config)
    sender = Sender(config, "s", end_of(config))
    rows = Tape(Lane("coinbase", "a:b")).trade(0, "1").rows()
    with pytest.raises(FeedError, match="coinbase:a:b: symbol: expected a name of 1 to 64"):
        list(sender.send(rows, 0))


def test_the_end_tells_the_last_row_of_each_partition_and_what_each_lane_has_named(broker: RunningBroker) -> None:
    config = broker.config()
    tape = Tape(BTC, DOGE).trade(0, "100").gap("0.5", 2, 4).clock(1, 1).trade("1.5", "101").clock(1, 1, lane=1)
    put(config, tape.rows(), first=7)
    end = end_of(config, "s")
    places = [codec.part_of(lane, 4) for lane in (BTC, DOGE)]
    assert len(set(places)) == 2
    assert end.last == {places[0]: Origin("s", 4, 10), places[1]: Origin("s", 4, 11)}
    assert end.ledgers == {BTC: Ledger(5, ((2, 4),), START + ns("1.5")), DOGE: Ledger(-1, ())}
    assert not end.expired
    assert not end_of(config, "another").ledgers


def test_a_lane_that_has_not_ticked_yet_is_known_by_its_rows(broker: RunningBroker) -> None:
    config = broker.config()
    put(config, Tape(BTC).trade(0, "100", number=41).gap("0.5", 42, 44).rows())
    assert end_of(config, "s").ledgers == {BTC: Ledger(44, ((42, 44),), START)}


def test_a_clock_that_ticked_long_ago_is_looked_for(broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "REACH_S", 0.0)
    config = broker.config()
    tape = Tape(BTC).gap(0, 1, 3).clock(1, 1)
    for at in range(2, 600):
        tape.trade(at, "100")
    sender = put(config, tape.rows().part(0, 2))
    for at in range(2, 600):
        list(sender.send(tape.rows().part(at, at + 1), at))
    while sender.unanswered:
        sender.poll(0.01)
    assert end_of(config, "s").ledgers == {BTC: Ledger(601, ((1, 3),), START + ns(599))}


def test_messages_of_others_at_the_end_are_passed_over(broker: RunningBroker) -> None:
    config = broker.config(partitions=1)
    put(config, Tape(BTC).trade(0, "100").clock(1, 1).rows())
    before = end_of(config, "s")
    for value in (b"hello", None, b"\xff", b"5", b'{"origin":"x"}', b'{"origin":"s:1:-5"}', b'{"origin":7}'):
        send(config, value)
    producer = Producer({**config.client(), "transactional.id": "somebody"})
    producer.init_transactions(10)
    soon_ms = time.time_ns() // 1_000_000 + 1_800_000
    for number in range(15):  # the marks of transactions hold offsets, too
        producer.begin_transaction()
        producer.produce(config.trades, b"later", timestamp=soon_ms + number)
        producer.commit_transaction(10)
    assert end_of(config, "s") == before
    assert before.last == {0: Origin("s", 1, 1)}


def test_an_empty_topic_and_one_whose_rows_have_expired_are_not_the_same(broker: RunningBroker) -> None:
    config = broker.config(partitions=1)
    make_topics(config)
    assert end_of(config) == End(1, {}, expired=False, ledgers={})
    put(config, seeded(5, 20, 1))
    place = TopicPartition(config.trades, 0, len(seeded(5, 20, 1).data))
    admin = AdminClient(config.client())
    (future,) = admin.delete_records([place]).values()
    future.result(10)
    assert end_of(config) == End(1, {}, expired=True, ledgers={})


def test_what_is_set_aside_is_counted_by_source_and_topic(broker: RunningBroker) -> None:
    config = broker.config()
    make_topics(config)
    sender = Sender(config, "s", end_of(config))
    for number in range(3):
        assert sender.set_aside(Quarantined(1, "coinbase", None, "not JSON", b"\xff"), number)
    while sender.unanswered:
        sender.poll(0.01)
    assert set_aside(config, aside_prefix(config, "s")) == 3
    assert set_aside(config, aside_prefix(config, "t")) == 0
    first = messages(config, config.quarantine)[0]
    assert first.value() == b'{"recv_ts":1,"venue":"coinbase","symbol":null,"reason":"not JSON","raw":"/w=="}'
    assert dict(first.headers())["tapewatch"] == b"1"


def test_an_address_where_nobody_answers_is_told_with_the_reason() -> None:
    with pytest.raises(FeedError, match=r"kafka.brokers 127\.0\.0\.1:1: no broker answers: .*Connection refused$"):
        make_topics(NOWHERE, timeout_s=1.0)


def test_an_option_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="No such configuration property"):
        make_topics(KafkaConfig(options={"no.such": "1"}))
