"""kill -9 of every part at seeded points of a replay: nothing is found that a clean run does not find, and all of it.

`make test` has one replay in which each part is killed once; `make test-faults` has many, with long outages.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from support import databases
from support.brokers import RunningBroker, messages, send
from support.databases import PostgresqlDatabase, SqliteDatabase
from support.faults import (
    AFTER_S,
    Fault,
    Progress,
    Supervised,
    broker_away,
    database_away,
    points,
    replay,
)
from support.markets import in_order, legal, seeded
from support.parity import backtested, recorded, remembered, run_embedded, same
from support.pipeline import detect, done, produce
from support.runs import Memory, memory
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.model import NS, Anomaly, Change
from tapewatch.runtime.postgres import Server

PARTITIONS = 3
ROWS_PER_BATCH = 1_000
"""So that a detector which has fallen behind has many micro-batches in which it can be killed."""

POISON = b"\xff poison"
PARTS = ("producer", "driver", "broker", "database")


@pytest.fixture(scope="module")
def durable() -> Iterator[Server]:
    """Run a PostgreSQL that forgets nothing when it is killed."""
    with databases.postgresql(durable=True) as server:
        yield server


@pytest.fixture
def place(durable: Server) -> Iterator[PostgresqlDatabase]:
    database = databases.fresh(durable)
    yield database
    databases.drop(durable, database)


class Scene(NamedTuple):
    """A pipeline with a tape to replay, and what can be done to it."""

    broker: RunningBroker
    server: Server
    kafka: KafkaConfig
    producer: Supervised
    detector: Supervised
    rng: random.Random

    def fault(self, part: str, at: float, away_s: float) -> Fault:
        """Kill a part at a point of the replay."""
        after_s = self.rng.uniform(0, AFTER_S)
        match part:
            case "producer":
                return Fault(part, at, committed=False, after_s=after_s, strike=self.producer.kill)
            case "driver":
                return Fault(part, at, committed=True, after_s=after_s, strike=self.detector.kill)
            case "jvm":
                strike = lambda: self.detector.kill_child("java")  # noqa: E731
                return Fault(part, at, committed=True, after_s=after_s, strike=strike)
            case "broker":
                strike = lambda: broker_away(self.broker)  # noqa: E731
                return Fault(part, at, committed=False, after_s=after_s, strike=strike, away_s=away_s)
            case "database":
                strike = lambda: database_away(self.server)  # noqa: E731
                return Fault(part, at, committed=True, after_s=after_s, strike=strike, away_s=away_s)
            case _:
                return Fault(part, at, committed=False, after_s=after_s, strike=self._everything, away_s=away_s)

    def poison(self, at: float) -> Fault:
        """Let somebody else write into the topic."""

        def strike() -> None:
            send(self.kafka, POISON, key=b"coinbase:BTC-USD", partition=self.rng.randrange(PARTITIONS))

        return Fault("poison", at, committed=False, after_s=0.0, strike=strike)

    def _everything(self) -> Callable[[], None]:
        back = broker_away(self.broker), database_away(self.server)
        self.producer.kill()
        self.detector.kill()

        def mend() -> None:
            for start in back:
                start()

        return mend


def run_through(
    parts: list[str],
    seed: int,
    away_s: float,
    seconds: float,
    broker: RunningBroker,
    durable: Server,
    folder: Path,
    place: PostgresqlDatabase,
) -> None:
    """Replay a tape through everything that goes wrong, and compare with a clean run."""
    print(f"seed {seed}: {', '.join(parts)}")  # noqa: T201  # a failure must be repeatable
    rows = in_order(legal(seeded(seed, 12_000, 4)))
    tape = recorded(folder / "tape", rows)
    span_s = int(rows.data["recv_ts"][-1] - rows.data["recv_ts"][0]) / NS
    wanted = backtested([tape])
    clean = SqliteDatabase(folder / "clean.db")
    run_embedded([tape], clean)
    counters = memory(clean).counters
    assert sum(map(len, wanted.changes.values())) > 100

    kafka = broker.config(partitions=PARTITIONS)
    rng = random.Random(seed)  # noqa: S311  # no secret depends on it
    slowly = ("--speed", str(span_s / seconds))
    producer = Supervised("produce", produce(kafka, f"tape:{tape}", *slowly), folder / "produce.log")
    lines = folder / "changes.jsonl"
    command = [*detect(kafka, place, folder), "--set", "detect.shards=3", "--jsonl", str(lines)]
    few = ("--set", f"detect.rows_per_batch={ROWS_PER_BATCH}")
    detector = Supervised("detect", [*command, *few], folder / "detect.log")
    scene = Scene(broker, durable, kafka, producer, detector, rng)
    at = points(rng, len(parts) + 1)
    faults = [scene.fault(part, when, away_s) for part, when in zip(parts, at, strict=False)] + [scene.poison(at[-1])]
    told_again = sum(trades + duplicates for trades, duplicates, *_ in counters.values())
    try:
        detector.await_word("its pages")  # so that it can be killed in the middle of the replay
        replay([producer, detector], Progress(kafka, place, len(rows.data), told_again), faults)
    finally:
        producer.stop()
        detector.stop()
    done([*command, "--once"])

    assert producer.kills >= parts.count("producer") + parts.count("all")
    assert detector.kills >= parts.count("driver") + parts.count("jvm") + parts.count("all")
    found = memory(place)
    same(remembered(place), wanted)
    trades, gaps = (slice(0, 1), slice(3, 6))
    for lane, counts in counters.items():
        assert (found.counters[lane][trades], found.counters[lane][gaps]) == (counts[trades], counts[gaps])
    assert [raw for *_, raw in found.quarantine] == [POISON]
    told_to_others(kafka, lines, found)


def told_to_others(kafka: KafkaConfig, lines: Path, found: Memory) -> None:
    """Compare what others read: the file has the log, line by line; the topic ends with the last word on each."""
    written = [msgspec.json.decode(line) for line in lines.read_bytes().splitlines()]
    read = [
        Change(line["change"], line["at"], line["ordinal"], msgspec.convert(line["anomaly"], Anomaly))
        for line in written
    ]
    assert read == found.told()
    last = {(message.key() or b"").decode(): message.value() for message in messages(kafka, kafka.anomalies)}
    assert last == {change.anomaly.id: msgspec.json.encode(change.anomaly) for change in found.told()}


def test_a_replay_in_which_every_part_is_killed_once(
    broker: RunningBroker, durable: Server, place: PostgresqlDatabase, tmp_path: Path
) -> None:
    seed = 20251010
    parts = list(PARTS)
    random.Random(seed).shuffle(parts)  # noqa: S311
    run_through(parts, seed, 2.0, 25.0, broker, durable, tmp_path, place)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("part", [*PARTS, "jvm"])
def test_one_part_is_killed_again_and_again(
    part: str, seed: int, broker: RunningBroker, durable: Server, place: PostgresqlDatabase, tmp_path: Path
) -> None:
    run_through([part] * 3, seed, 1.0, 40.0, broker, durable, tmp_path, place)


@pytest.mark.long
@pytest.mark.parametrize("part", ["broker", "database"])
def test_a_server_is_away_for_half_a_minute(
    part: str, broker: RunningBroker, durable: Server, place: PostgresqlDatabase, tmp_path: Path
) -> None:
    run_through([part], 7, 30.0, 20.0, broker, durable, tmp_path, place)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 13))
def test_everything_is_killed_at_once(
    seed: int, broker: RunningBroker, durable: Server, place: PostgresqlDatabase, tmp_path: Path
) -> None:
    run_through(["all", "all"], seed, 1.0, 40.0, broker, durable, tmp_path, place)
