"""What Spark's workers do, without Spark: the same as a backtest, whatever the division into messages and batches."""

import random

import msgspec
import pyarrow as pa
import pytest

from support.markets import legal, seeded
from tapewatch.carry import codec
from tapewatch.detect.bars import fold as fold_bars
from tapewatch.detect.core import Detector, replay
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import SnapshotError
from tapewatch.model import Anomaly, Change, Lane, Rows
from tapewatch.runtime.pipeline import QUARANTINE_PER_COMMIT
from tapewatch.runtime.shards import MESSAGES, Packed, Told, fold, pack, read_told
from tapewatch.store.records import Quarantined

RULES = RuleBook.default()
PARTITIONS = 3


def messages_of(rows: Rows) -> list[list[tuple[int, bytes, bytes]]]:
    """Offset, key and value of each message, by partition: a lane's keep their order."""
    partitions: list[list[tuple[int, bytes, bytes]]] = [[] for _ in range(PARTITIONS)]
    for value, number in zip(codec.encode(rows), rows.data["lane"].tolist(), strict=True):
        lane = rows.lanes[number]
        partition = partitions[codec.part_of(lane, PARTITIONS)]
        partition.append((len(partition), codec.key_of(lane), value))
    return partitions


def some(partition: int, messages: list[tuple[int, bytes, bytes]], version: bytes | None = None) -> pa.RecordBatch:
    offsets, keys, values = (list(column) for column in zip(*messages, strict=True))
    count = len(offsets)
    columns = ([partition] * count, offsets, [0] * count, keys, values, [version] * count, [None] * count)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, MESSAGES, strict=True)], schema=MESSAGES
    )


def run(rows: Rows, shards: int, rng: random.Random) -> tuple[list[Told], dict[int, bytes]]:
    """Detect on a tape in micro-batches of chance, the pieces of a shard in no order."""
    left = messages_of(rows)
    state: dict[int, bytes] = {}
    told: list[Told] = []
    while any(left):
        pieces: dict[int, list[Packed]] = {}
        for partition in range(PARTITIONS):
            for _ in range(rng.randint(0, 3)):
                count = rng.randint(1, 200)
                taken, left[partition] = left[partition][:count], left[partition][count:]
                if taken:
                    for shard, piece in pack(some(partition, taken), "t", shards):
                        pieces.setdefault(shard, []).append(piece)
        for shard, parts in pieces.items():
            rng.shuffle(parts)
            blobs = [msgspec.msgpack.encode(part) for part in parts]
            state[shard], found = fold(RULES, state.get(shard), blobs)
            told.append(read_told(msgspec.msgpack.encode(found)))
    return told, state


@pytest.mark.parametrize(("seed", "shards"), [(1, 1), (2, 2), (3, 5)])
def test_the_same_changes_anomalies_and_bars_as_a_backtest(seed: int, shards: int) -> None:
    rows = legal(seeded(seed, 3000, 3))
    told, _ = run(rows, shards, random.Random(seed))  # noqa: S311  # no secret depends on it
    detector = Detector(RULES)
    wanted: dict[Lane, list[Change]] = {}
    bars: dict[tuple[object, ...], int] = {}
    for part, update in replay([rows], detector):
        for change in update.changes:
            wanted.setdefault(Lane(change.anomaly.venue, change.anomaly.symbol), []).append(change)
        increments = fold_bars(part, update.new)
        for bar in increments.data.tolist():
            key = (increments.lanes[bar[9]], bar[10], bar[0])
            bars[key] = bars.get(key, 0) + bar[8]
    found: dict[Lane, list[Change]] = {}
    for part_told in told:
        for change in part_told.changes:
            found.setdefault(Lane(change.anomaly.venue, change.anomaly.symbol), []).append(change)
    assert found == wanted
    assert sum(map(len, wanted.values())) > 10
    last: dict[str, Anomaly] = {}
    for part_told in told:
        last |= {anomaly.id: anomaly for anomaly in part_told.open_anomalies}
    for anomaly in detector.open_anomalies():
        assert last[anomaly.id] == anomaly


def test_what_is_no_row_is_noted_with_its_place_and_the_rest_goes_on() -> None:
    partition, messages = next((at, found) for at, found in enumerate(messages_of(legal(seeded(1, 300, 1)))) if found)
    messages = messages[:50]
    offset, key, value = messages[7]
    messages[7] = (offset, key, b"{}")
    messages[9] = (messages[9][0], b"coinbase:OTHER", messages[9][2])
    ((shard, piece),) = pack(some(partition, messages), "t", 1)
    assert shard == 0
    reasons = [item.reason for item in piece.refused]
    assert reasons[0].startswith(f"t, partition {partition}, offset 7: expected a row as JSON")
    assert reasons[1].startswith(f"t, partition {partition}, offset 9: key: expected")
    _, told = fold(RULES, None, [msgspec.msgpack.encode(piece)])
    assert [item.reason for item in told.quarantine] == reasons
    assert sum(row.trades + row.duplicates for row in told.feed) > 0
    assert value


def test_messages_of_another_version_are_all_set_aside() -> None:
    partition, messages = next((at, found) for at, found in enumerate(messages_of(legal(seeded(1, 300, 1)))) if found)
    for version in (b"2", b""):
        ((_, piece),) = pack(some(partition, messages, version), "t", 1)
        assert piece.rows == b""
        assert piece.counts == [(("kafka", None), len(messages))]
        assert 0 < len(piece.refused) <= QUARANTINE_PER_COMMIT
        assert f"expected version 1, found {version.decode() or 'none'}" in piece.refused[0].reason


def test_a_lane_has_the_same_shard_for_ever() -> None:
    assert [codec.part_of(Lane("coinbase", symbol), 7) for symbol in ("BTC-USD", "ETH-USD", "SOL-USD")] == [3, 2, 2]


def test_what_capture_set_aside_is_passed_on_and_counted_for_its_lane() -> None:
    partition, messages = next((at, found) for at, found in enumerate(messages_of(legal(seeded(1, 300, 1)))) if found)
    item = Quarantined(7, "coinbase", "BTC-USD", "no price", b"\xff{")
    unnamed = Quarantined(8, "coinbase", None, "not JSON", b"<")
    rows = some(partition, messages)
    values = [msgspec.json.encode(item), msgspec.json.encode(unnamed), b"?"]
    aside = some(5, [(at, b"", value) for at, value in enumerate(values)])
    aside = aside.set_column(6, "aside", pa.array(["q"] * 3))
    pieces = [piece for batch in (rows, aside) for _, piece in pack(batch, "t", 1)]
    _, told = fold(RULES, None, [msgspec.msgpack.encode(piece) for piece in pieces])
    assert told.quarantine[0] == Quarantined(0, "kafka", None, told.quarantine[0].reason, b"?")
    assert told.quarantine[0].reason.startswith("q, partition 5, offset 2: expected what was set aside, as JSON")
    assert told.quarantine[1:] == [item, unnamed]
    assert told.unnamed == 2
    assert {row.lane: row.quarantined for row in told.feed}[Lane("coinbase", "BTC-USD")] == 1


def test_a_message_above_the_limit_is_refused_with_its_length() -> None:
    ((_, piece),) = pack(some(0, [(3, b"k", b" " * 5000)]), "t", 1)
    assert piece.refused[0].reason == "t, partition 0, offset 3: expected at most 4096 bytes, found 5000"


def test_the_state_of_another_version_says_what_to_do() -> None:
    with pytest.raises(SnapshotError, match=r"detect\.checkpoint: expected the state of this version .* begin anew"):
        fold(RULES, msgspec.msgpack.encode([Detector(RULES).snapshot().replace(b"\x03", b"\x63", 1), []]), [])
