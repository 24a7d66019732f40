"""`tapewatch detect` on a real broker and a real PostgreSQL: what is told, what is set aside, what is refused."""

from itertools import pairwise
from pathlib import Path

import msgspec
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from support.brokers import RunningBroker, messages, send
from support.databases import PostgresqlDatabase
from support.markets import Tape
from support.pipeline import detect, done
from support.runs import memory
from tapewatch.carry import codec
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import end_of
from tapewatch.carry.kafka.sender import Sender
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.model import SIMULATED, Lane, Rows
from tapewatch.store.records import Quarantined

LANE = Lane("coinbase", "BTC-USD")


def jumps(lane: Lane = LANE) -> Rows:
    """Trade a bitcoin that jumps twice."""
    tape = Tape(lane)
    for second in range(120):
        tape.trade(second, "100000" if second < 40 else "100500" if second < 80 else "99000")
    return tape.rows()


def fill(config: KafkaConfig, rows: Rows, first: int = 0) -> None:
    make_topics(config)
    sender = Sender(config, "s", end_of(config))
    for _ in sender.send(rows, first):
        sender.poll()
    assert sender.flush(10) == 0


def expire(config: KafkaConfig) -> None:
    """Let a topic forget all that it holds."""
    high = {message.partition(): (message.offset() or 0) + 1 for message in messages(config, config.trades)}
    places = [TopicPartition(config.trades, number, offset) for number, offset in high.items()]
    admin = AdminClient(config.client())
    for future in admin.delete_records(places).values():
        future.result(10)


def test_what_is_no_row_is_set_aside_and_everything_else_is_detected(
    broker: RunningBroker, postgresql_database: PostgresqlDatabase, tmp_path: Path
) -> None:
    config = broker.config(partitions=2)
    rows = jumps()
    fill(config, rows.part(0, 60))
    good = codec.encode(rows.part(59, 60))[0]
    key, version = codec.key_of(LANE), {"tapewatch": b"1"}
    poison: list[tuple[bytes | None, bytes | None, dict[str, bytes], str]] = [
        (good, key, {"tapewatch": b"2"}, "header tapewatch: expected version 1, found 2"),
        (good, key, {}, "header tapewatch: expected version 1, found none"),
        (good, key, {"other": b"1"}, "header tapewatch: expected version 1, found none"),
        (good, b"coinbase:ETH-USD", version, "key: expected 'coinbase:BTC-USD', found 'coinbase:ETH-USD'"),
        (good, None, version, "key: expected 'coinbase:BTC-USD', found none"),
        (None, key, version, "expected a row as JSON, found a message without a value"),
        (b"\xff\xfe", key, version, "expected a row as JSON"),
        (b"{", key, version, "expected a row as JSON"),
        (good.replace(b"100500", b"-1"), key, version, "price: expected"),
        (good.replace(b"100500", b"1e5"), key, version, "price: expected"),
        (b" " * 5000, key, version, "expected at most 4096 bytes, found 5000"),
    ]
    for value, name, headers, _ in poison:
        send(config, value, key=name, headers=headers)
    aside = Quarantined(7, "coinbase", "BTC-USD", "no price", b"{}")
    send(msgspec.structs.replace(config, trades=config.quarantine), msgspec.json.encode(aside), headers=version)
    fill(config, rows.part(60, 119), 60)
    traced = {"traceparent": b"00-ab-cd-01", "tapewatch": b"1"}  # another's header in front of ours
    send(config, codec.encode(rows.part(119, 120))[0], key=key, partition=codec.part_of(LANE, 2), headers=traced)

    said = done(detect(config, postgresql_database, tmp_path, "--once", "--jsonl", str(tmp_path / "c.jsonl")))
    assert "its pages: http://127.0.0.1:" in said
    found = memory(postgresql_database)
    assert {change[3] for change in found.changes} >= {"opened"}
    reasons = [row[2] for row in found.quarantine]
    for offset, (_, _, _, reason) in enumerate(poison):
        wanted = f"{config.trades}, partition 0, offset "
        assert any(text.startswith(wanted) and reason in text for text in reasons), (offset, reason, reasons)
    assert ("coinbase", "BTC-USD", "no price", b"{}") in found.quarantine
    assert found.counters["coinbase", "BTC-USD"][0] == 120
    assert found.counters["coinbase", "BTC-USD"][2] == 1
    assert postgresql_database.rows("SELECT value FROM meta WHERE key = 'unnamed'") == [(str(len(poison)),)]
    assert len((tmp_path / "c.jsonl").read_text().splitlines()) == len(found.changes)
    assert len(messages(config, config.trades)) == 120 + len(poison)
    told = messages(config, config.anomalies)
    last = {message.key().decode(): message.value() for message in told}
    records = {change.anomaly.id: msgspec.json.encode(change.anomaly) for change in found.told()}
    assert last == records
    seqs = [(message.partition(), int(dict(message.headers())["seq"])) for message in told]
    assert all(one[1] < other[1] for one, other in pairwise(seqs) if one[0] == other[0])
    assert len(told) == len(found.changes)

    again = done(detect(config, postgresql_database, tmp_path, "--once"))
    assert "0 rows" in again
    assert memory(postgresql_database) == found
    assert len(messages(config, config.anomalies)) == len(told)  # nothing is sent again

    refused = done(detect(config, postgresql_database, tmp_path, "--once", "--set", "detect.shards=3"), code=2)
    assert "detect.shards: expected 2" in refused
    refused = done(detect(config, postgresql_database, tmp_path / "other", "--once"), code=2)
    assert "detect.checkpoint: expected the one that" in refused


def test_a_state_of_another_version_and_rows_that_have_expired_are_refused(
    broker: RunningBroker, postgresql_database: PostgresqlDatabase, tmp_path: Path
) -> None:
    config = broker.config(partitions=2)
    rows = jumps(Lane(SIMULATED, "BTC-USD"))
    fill(config, rows.part(0, 60))
    command = detect(config, postgresql_database, tmp_path, "--once", "--set", "run.source=simulated")
    done(command)
    ((source,),) = postgresql_database.rows("SELECT value FROM meta WHERE key = 'source'")
    assert '"seed":7' in source  # so that nobody takes it for a market
    found = memory(postgresql_database)
    assert found.changes

    fill(config, rows.part(60, 90), 60)
    (tmp_path / "sitecustomize.py").write_text("from tapewatch.detect import core\ncore.VERSION += 1\n")
    refused = done(command, code=2, PYTHONPATH=str(tmp_path))
    assert "detect.checkpoint: expected the state of this version of tapewatch (detector's state: expected" in refused
    assert memory(postgresql_database) == found

    expire(config)
    fill(config, rows.part(90, 120), 90)
    refused = done(command, code=2)
    assert "Kafka no longer holds the messages with which the checkpoint wants to go on" in refused
    assert memory(postgresql_database) == found
