"""`tapewatch produce` on a real broker: killed, restarted, cut off from its broker, and told to stop."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from support.brokers import RunningBroker, messages
from support.markets import LANES, seeded
from support.runs import IDENTITY, tape
from support.tapes import Told, told
from support.virtual_time import PATIENCE_S
from tapewatch.carry import codec
from tapewatch.carry.kafka import sender
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.ends import end_of
from tapewatch.carry.source import BadRow
from tapewatch.carry.tape import Recorder, read
from tapewatch.clock import SystemClock
from tapewatch.detect.core import Ledger
from tapewatch.errors import ConfigError, FeedError
from tapewatch.model import Kind, Lane, Rows, RowTuple
from tapewatch.runtime.produce import Produce, source_id
from tapewatch.runtime.source import LaneStatus, Resume
from tapewatch.runtime.tape import TapeSource
from tapewatch.store.records import Quarantined, Source

BTC = LANES[0]


def market(seed: int, count: int, lanes: int) -> Rows:
    """Draw a tape, without the ranges that end before they begin: no capture lets them go, and no reader takes them."""
    rows = seeded(seed, count, lanes)
    ranged = np.isin(rows.data["kind"], (Kind.GAP, Kind.FILLED))
    return Rows(rows.lanes, rows.data[~ranged | (rows.data["aux"] >= rows.data["trade_id"])])


def sent(config: KafkaConfig) -> list[Rows]:
    return [codec.decode([message.value() or b""])[0] for message in messages(config, config.trades)]


def numbers(config: KafkaConfig) -> list[int]:
    """Numbers that the rows have in their source, all partitions together."""
    return sorted(
        int(json.loads(message.value())["origin"].rpartition(":")[2]) for message in messages(config, config.trades)
    )


def by_lane(rows: Sequence[Rows]) -> dict[Lane, list[Told]]:
    found: dict[Lane, list[Told]] = {}
    for row in told(rows):
        found.setdefault(row[0], []).append(row)
    return found


def produce_tape(config: KafkaConfig, blocks: Sequence[Rows | BadRow], **others: Any) -> Produce:
    source = TapeSource(IDENTITY, tape(blocks), speed=0, clock=SystemClock())
    return Produce(config, source, clock=SystemClock(), **others)


def run(made: Produce) -> Produce:
    async def bounded() -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            await made.run()

    asyncio.run(bounded())
    return made


def halves(rows: Rows) -> tuple[Rows, Rows]:
    middle = len(rows.data) // 2
    return rows.part(0, middle), rows.part(middle, len(rows.data))


def test_a_tape_is_sent_whole_and_a_second_start_adds_nothing(broker: RunningBroker) -> None:
    config, rows = broker.config(), market(1, 3_000, 3)
    assert set(rows.data["kind"].tolist()) == set(Kind)
    first = run(produce_tape(config, [rows]))
    assert by_lane(sent(config)) == by_lane([rows])
    assert first.describe()["acknowledged"] == first.rows == len(rows.data)
    assert first.describe()["waiting"] == 0
    again = run(produce_tape(config, [rows]))
    assert again.describe()["acknowledged"] == 0
    assert by_lane(sent(config)) == by_lane([rows])


@pytest.mark.parametrize("seed", range(4))
def test_a_tape_goes_on_where_each_partition_ends_however_uneven_they_are(broker: RunningBroker, seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201  # a failure must be repeatable
    rng = random.Random(seed)  # noqa: S311
    config, rows = broker.config(partitions=rng.choice((1, 3, 7))), market(seed, 800, 3)
    half = produce_tape(config, [rows])
    for lane in range(len(rows.lanes)):  # of each lane another part was acknowledged when the power went
        place = codec.part_of(rows.lanes[lane], config.partitions)
        same = [other for other in range(lane) if codec.part_of(rows.lanes[other], config.partitions) == place]
        if not same:
            until = rng.randrange(len(rows.data))
            of_place = [codec.part_of(each, config.partitions) == place for each in rows.lanes]
            for at in np.flatnonzero(np.array(of_place)[rows.data["lane"][:until]]).tolist():
                list(half._sender.send(rows.part(at, at + 1), at))
    while half._sender.unanswered:
        half._sender.poll(0.01)
    run(produce_tape(config, [rows]))
    assert by_lane(sent(config)) == by_lane([rows])


def test_what_a_tape_sets_aside_is_sent_once_with_its_reason(broker: RunningBroker) -> None:
    config, rows = broker.config(), market(2, 400, 2)
    bad = [BadRow("day.csv", line, "coinbase", "BTC-USD", 5, "price: found none", b"1,2,\xff") for line in (3, 9)]
    first, second = halves(rows)
    run(produce_tape(config, [bad[0], first, bad[1], second]))
    run(produce_tape(config, [bad[0], first, bad[1], second]))
    values = [
        codec.msgspec.json.decode(message.value(), type=Quarantined) for message in messages(config, config.quarantine)
    ]
    assert [value.reason for value in values] == [
        "day.csv, line 3: price: found none",
        "day.csv, line 9: price: found none",
    ]
    assert values[0] == Quarantined(5, "coinbase", "BTC-USD", values[0].reason, b"1,2,\xff")


def test_another_source_is_refused(broker: RunningBroker) -> None:
    config = broker.config()
    run(produce_tape(config, [market(1, 100, 1)]))
    other = TapeSource(Source("tape", "another"), tape([]), speed=0, clock=SystemClock())
    with pytest.raises(ConfigError, match="expected the rows of tape another, found those of another source"):
        Produce(config, other, clock=SystemClock())


def test_a_topic_whose_partitions_were_changed_is_refused(broker: RunningBroker) -> None:
    config = broker.config(partitions=2)
    run(produce_tape(config, [market(1, 100, 1)]))
    admin = AdminClient(config.client())
    (future,) = admin.create_partitions([NewPartitions(config.trades, 5)]).values()
    future.result(10)
    with pytest.raises(ConfigError, match=r"expected the 2 partitions .* found 5"):
        produce_tape(config, [market(1, 100, 1)])


def test_a_tape_that_is_damaged_in_the_middle_has_sent_what_came_before(broker: RunningBroker) -> None:
    config, rows = broker.config(), market(3, 500, 2)

    def broken(_: object) -> Any:
        yield rows
        raise FeedError("day.csv: damaged")

    source = TapeSource(IDENTITY, broken, speed=0, clock=SystemClock())
    with pytest.raises(FeedError, match="damaged"):
        run(Produce(config, source, clock=SystemClock()))
    assert by_lane(sent(config)) == by_lane([rows])


def start(config: KafkaConfig, tape_folder: Path, *flags: str) -> subprocess.Popen[str]:
    """Start the command; return once it says which topic it sends to."""
    named = [f"kafka.{name}={getattr(config, name)}" for name in ("anomalies", "quarantine", "partitions")]
    sets = [part for each in named for part in ("--set", each)]
    command = [sys.executable, "-m", "tapewatch", "produce", "--source", f"tape:{tape_folder}", "--speed", "0"]
    command += ["--brokers", config.brokers, "--topic", config.trades, *sets, *flags]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    said = []
    for line in child.stderr:
        said.append(line)
        if line.startswith("kafka"):
            return child
    child.communicate()
    raise AssertionError(f"it did not start: {''.join(said)}")


def recorded(folder: Path, rows: Rows) -> Path:
    recorder = Recorder.open(folder)
    recorder.append(rows)
    recorder.close()
    return folder


def filled(consumer: Consumer, config: KafkaConfig) -> int:
    """Count the messages in the topic of rows."""
    places = (TopicPartition(config.trades, number) for number in range(config.partitions))
    return sum(consumer.get_watermark_offsets(place, 10)[1] for place in places)


@pytest.mark.parametrize(
    ("kills", "seed"), [(3, 20251010), pytest.param(20, 7, marks=pytest.mark.long)], ids=["three times", "twenty times"]
)
def test_a_producer_that_is_killed_again_and_again_sends_each_row_once(
    broker: RunningBroker, tmp_path: Path, kills: int, seed: int
) -> None:
    print(f"seed {seed}")  # noqa: T201  # a failure must be repeatable
    config = broker.config()
    folder = recorded(tmp_path / "tape", market(seed, 40_000, 3))
    whole = list(read([folder]))
    total = sum(len(rows.data) for rows in whole)
    rng = random.Random(seed)  # noqa: S311
    reached = [0]
    consumer = Consumer({**config.client(), "group.id": "tests"})
    for life in range(1, kills + 1):
        child = start(config, folder)
        enough = rng.randrange(reached[-1], max(reached[-1] + 1, total * life // (kills + 1)))
        while filled(consumer, config) <= enough and child.poll() is None:
            pass
        child.kill()
        child.communicate()
        reached.append(filled(consumer, config))
    consumer.close()
    child = start(config, folder)
    _, said = child.communicate(timeout=6 * PATIENCE_S)
    assert child.returncode == 0, said
    assert by_lane(sent(config)) == by_lane(whole)
    assert any(0 < count < total for count in reached), reached


def test_a_broker_that_dies_in_the_middle_and_comes_back_has_each_row_once(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sender.TUNED, "queue.buffering.max.messages", 2_000)
    config, rows = broker.config(), market(11, 16_000, 3)

    async def scenario() -> list[str | None]:
        troubles: list[str | None] = []
        made = await asyncio.to_thread(
            produce_tape, config, [rows.part(at, at + 2_000) for at in range(0, len(rows.data), 2_000)]
        )
        running = asyncio.create_task(made.run())
        await until(lambda: made.describe()["acknowledged"] > 0, running)
        broker.kill()
        await until(lambda: made.trouble() is not None, running)
        troubles.append(made.trouble())
        await asyncio.to_thread(broker.start)
        async with asyncio.timeout(6 * PATIENCE_S):
            await running
        return [*troubles, made.trouble()]

    before, after = asyncio.run(scenario())
    assert before is not None
    assert before.startswith("Kafka: ")
    assert after is None
    assert numbers(config) == list(range(len(rows.data)))
    assert by_lane(sent(config)) == by_lane([rows])


async def until(condition: Callable[[], bool], running: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(6 * PATIENCE_S):
        while not condition():
            assert not running.done(), running.result()
            await asyncio.sleep(0.005)


REFUSED = "coinbase does not serve YFI-USD: YFI-USD is delisted"


class Venue:
    """A live source as a capture is one: what nobody takes while it waits is skipped, and told as a gap.

    Attributes
    ----------
    waiting_most
        Rows that ever waited at once; the source bounds them.
    """

    speed = 1.0
    ended: str | None = None
    room = 500
    refuses = False

    def __init__(self) -> None:
        self.identity = Source("simulated", seed=1)
        self.next_id = 0
        self.waiting: list[RowTuple] = []
        self.waiting_most = 0
        self.resumed: Resume | None = None
        self._missed: int | None = None

    async def start(self, resume: Resume) -> None:
        self.resumed = resume
        ledger = resume.ledgers.get(BTC, Ledger(-1, ()))
        if ledger.highest_id >= 0 and self.next_id > ledger.highest_id + 1:
            self._missed = ledger.highest_id + 1
        self.next_id = max(self.next_id, ledger.highest_id + 1)

    async def wait(self, _: float) -> None:
        await asyncio.sleep(0.001)
        self.trade(40)

    def trade(self, count: int) -> None:
        now_ns = time.time_ns()
        if len(self.waiting) >= self.room:
            self._missed = self.next_id if self._missed is None else self._missed
            self.next_id += count
            return
        if self._missed is not None:
            self.waiting.append((now_ns, now_ns, self._missed, 0, 0, 0.0, self.next_id - 1, 0, int(Kind.GAP), 0, 0))
            self._missed = None
        for _ in range(count):
            self.waiting.append((now_ns, now_ns, self.next_id, 0, 10**12, 1.0, 0, 0, int(Kind.TRADE), 1, 0))
            self.next_id += 1
        self.waiting.append((now_ns, now_ns, 0, 0, 0, 0.0, now_ns, 0, int(Kind.CLOCK), 0, 0))
        self.waiting_most = max(self.waiting_most, len(self.waiting))

    def take(self, limit: int) -> Rows | None:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return Rows.of([BTC], taken) if taken else None

    def quarantined(self) -> list[Quarantined]:
        return []

    def status(self) -> dict[Lane, LaneStatus]:
        refused = {Lane("coinbase", "YFI-USD"): LaneStatus("waiting", REFUSED)} if self.refuses else {}
        return {BTC: LaneStatus("live"), **refused}

    def now_ns(self) -> int:
        return time.time_ns()

    async def stop(self) -> None:
        pass


def test_what_a_live_source_misses_while_its_broker_is_away_becomes_a_gap(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sender.TUNED, "queue.buffering.max.messages", 2_000)
    config, venue = broker.config(), Venue()

    async def scenario() -> None:
        stopping = asyncio.Event()
        made = await asyncio.to_thread(Produce, config, venue, clock=SystemClock(), stopping=stopping)
        running = asyncio.create_task(made.run())
        await until(lambda: made.describe()["acknowledged"] > 500, running)
        await until(lambda: made.trouble() is None, running)
        venue.refuses = True
        assert made.trouble() == REFUSED
        venue.refuses = False
        broker.kill()
        await until(lambda: made.trouble() is not None and made.describe()["waiting"] >= 2_000, running)
        for _ in range(100):
            venue.trade(40)  # nobody takes it
        skipped = venue.next_id
        await asyncio.to_thread(broker.start)
        await until(lambda: made.trouble() is None and venue.next_id > skipped + 500, running)
        stopping.set()
        await running

    asyncio.run(scenario())
    assert venue.waiting_most <= venue.room + 42
    rows = sent(config)
    trades = [row[1][2] for row in told(rows) if row[1][7] == Kind.TRADE]
    gaps = [(row[1][2], row[1][6]) for row in told(rows) if row[1][7] == Kind.GAP]
    assert gaps
    missing = [trade_id for first, last in gaps for trade_id in range(first, last + 1)]
    assert sorted(trades + missing) == list(range(venue.next_id))
    newest = max(row[1][0] for row in told(rows) if row[1][7] == Kind.TRADE)
    assert end_of(config, source_id(venue.identity)).ledgers[BTC] == Ledger(venue.next_id - 1, tuple(gaps), newest)


def test_a_stop_while_the_broker_is_away_ends_and_the_next_start_tells_what_is_missing(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sender.TUNED, "queue.buffering.max.messages", 1_000)
    config, venue = broker.config(), Venue()

    async def live(stop_when: Callable[[Produce], bool], then: Callable[[], None] = lambda: None) -> None:
        stopping = asyncio.Event()
        made = await asyncio.to_thread(Produce, config, venue, clock=SystemClock(), stopping=stopping)
        running = asyncio.create_task(made.run())
        await until(lambda: made.describe()["acknowledged"] > 500, running)
        then()
        await until(lambda: stop_when(made), running)
        stopping.set()
        async with asyncio.timeout(PATIENCE_S):
            await running

    asyncio.run(live(lambda made: made.trouble() is not None and made.describe()["waiting"] >= 1_000, broker.kill))
    venue.waiting.clear()
    broker.start()
    asyncio.run(live(lambda _: True))
    rows = told(sent(config))
    trades = [row[1][2] for row in rows if row[1][7] == Kind.TRADE]
    (gap,) = [(row[1][2], row[1][6]) for row in rows if row[1][7] == Kind.GAP]
    assert sorted([*trades, *range(gap[0], gap[1] + 1)]) == list(range(venue.next_id))
