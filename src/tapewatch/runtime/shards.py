"""What Spark's workers do: messages in, packed by shard; a shard's rows and its state in, what became known out.

A shard is a part of all lanes. It has one state and costs one call per micro-batch, however many lanes it holds.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from numpy.typing import NDArray

from tapewatch.carry import codec
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import SnapshotError
from tapewatch.model import BAR, ROW, Anomaly, Bars, Change, Lane, Rows
from tapewatch.runtime.pipeline import QUARANTINE_PER_COMMIT, Pipeline
from tapewatch.runtime.source import LaneStatus
from tapewatch.store.records import RAW_MAX, Clock, Commit, FeedRow, Quarantined

MESSAGES = pa.schema(
    [
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("time_us", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("version", pa.binary()),
        ("aside", pa.string()),
    ]
)
"""Columns of messages, in the order of each partition.

``version`` is null where it is ours, else what was found; ``aside`` is null for messages of the topic of rows, else
the topic of what was set aside.
"""

PACKED = "shard int, packed binary"
"""Columns of what `pack` gives out."""

TOLD = "told binary"
"""Column of what `fold` gives out."""

STATE = "state binary"
"""Column of a shard's state."""

Source = tuple[str, str | None]
"""Venue and symbol of what was set aside; no symbol where it names none."""


class Packed(Struct, array_like=True):
    """Rows of one shard that came from one partition in one go.

    Attributes
    ----------
    partition, offset
        Of the first message, which give the order.
    rows
        Records of dtype ROW.
    refused
        Input that is no row: of many, the first ones.
    counts
        How much there was of it.
    """

    partition: int
    offset: int
    lanes: list[Lane]
    rows: bytes
    refused: list[Quarantined]
    counts: list[tuple[Source, int]]


class Told(Struct, array_like=True):
    """What became known of one shard in one micro-batch.

    Attributes
    ----------
    now_ts
        The latest receive time, ns; 0 where there was no row.
    unnamed
        How many inputs that name no lane were set aside.
    feed
        Of the lanes that this micro-batch told something about.
    """

    now_ts: int
    changes: list[Change]
    open_anomalies: list[Anomaly]
    bars: list[tuple[list[Lane], bytes]]
    quarantine: list[Quarantined]
    unnamed: int
    feed: list[FeedRow]


class _Kept(Struct, array_like=True):
    detector: bytes
    feed: list[FeedRow]


_packed = msgspec.msgpack.Decoder(Packed)
_told = msgspec.msgpack.Decoder(Told)
_kept = msgspec.msgpack.Decoder(_Kept)
_set_aside = msgspec.json.Decoder(Quarantined)


def pack(messages: pa.RecordBatch, topic: str, shards: int) -> list[tuple[int, Packed]]:
    """Make rows of messages, and divide them among the shards.

    Parameters
    ----------
    messages
        Of one partition, with the columns of `MESSAGES`.
    topic
        Of the rows.
    """
    values = messages.column("value").to_pylist()
    reasons = _unreadable(messages)
    passed = _passed_on(messages, values, reasons)
    kept = np.delete(np.arange(len(values)), [*reasons, *passed])
    rows, refused = codec.decode(values if len(kept) == len(values) else [values[at] for at in kept.tolist()])
    reasons |= {int(kept[at]): reason for at, reason in refused}
    kept = np.delete(kept, [at for at, _ in refused])
    data = _of_their_key(rows, messages.column("key"), kept, reasons)

    partition = messages.column("partition")[0].as_py()
    home = partition % shards
    found = {
        number: Packed(partition, messages.column("offset")[0].as_py(), list(rows.lanes), part.tobytes(), [], [])
        for number, part in _divided(rows.lanes, data, shards)
    }
    aside = [(home, _refused(messages, at, topic, reasons[at])) for at in sorted(reasons)]
    aside += [
        (home if item.symbol is None else codec.part_of(Lane(item.venue, item.symbol), shards), item)
        for item in passed.values()
    ]
    for number, item in aside:
        part = found.setdefault(number, Packed(partition, 0, [], b"", [], []))
        part.refused.append(item)
    for part in found.values():
        part.counts = list(Counter((item.venue, item.symbol) for item in part.refused).items())
        del part.refused[QUARANTINE_PER_COMMIT:]
    return list(found.items())


def _unreadable(messages: pa.RecordBatch) -> dict[int, str]:
    reasons = {}
    version, value = messages.column("version"), messages.column("value")
    for at in pc.indices_nonzero(pc.is_valid(version)).to_pylist() if version.null_count < len(version) else ():
        found = version[at].as_py().decode(errors="replace") or "none"
        reasons[at] = f"header {codec.VERSION_HEADER}: expected version {codec.VERSION}, found {found}"
    if value.null_count:
        reasons |= dict.fromkeys(
            pc.indices_nonzero(pc.is_null(value)).to_pylist(), "expected a row as JSON, found a message without a value"
        )
    lengths = pc.binary_length(value)
    for at in pc.indices_nonzero(pc.greater(lengths, codec.MESSAGE_BYTES_MAX)).to_pylist():
        reasons[at] = f"expected at most {codec.MESSAGE_BYTES_MAX} bytes, found {lengths[at]}"
    return reasons


def _passed_on(messages: pa.RecordBatch, values: list[bytes | None], reasons: dict[int, str]) -> dict[int, Quarantined]:
    # What capture had set aside comes by a topic of its own, in messages that may be as long as a frame.
    aside = messages.column("aside")
    passed = {}
    for at in pc.indices_nonzero(pc.is_valid(aside)).to_pylist() if aside.null_count < len(aside) else ():
        reasons.pop(at, None)
        try:
            passed[at] = _set_aside.decode(values[at] or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reasons[at] = f"expected what was set aside, as JSON: {error}"
    return passed


def _of_their_key(rows: Rows, keys: Any, kept: NDArray[np.int64], reasons: dict[int, str]) -> NDArray[np.void]:
    # Order holds within a partition, and the key gives the partition: a row under another key may come out of order.
    if len(rows.data) == 0:
        return rows.data
    encoded = keys.dictionary_encode()
    places = {key: place for place, key in enumerate(encoded.dictionary.to_pylist())}
    expected = np.array([places.get(codec.key_of(lane), -1) for lane in rows.lanes])
    found = encoded.indices.fill_null(-2).to_numpy(zero_copy_only=False)[kept]
    wrong = np.flatnonzero(expected[rows.data["lane"]] != found)
    for row in wrong.tolist():
        key = codec.key_of(rows.lanes[rows.data["lane"][row]]).decode()
        at = int(kept[row])
        reasons[at] = f"key: expected {key!r}, found {_shown(keys[at].as_py())}"
    return np.delete(rows.data, wrong) if len(wrong) else rows.data


def _shown(key: bytes | None) -> str:
    return "none" if key is None else repr(key[:100].decode(errors="replace"))


def _divided(lanes: tuple[Lane, ...], data: NDArray[np.void], shards: int) -> Iterator[tuple[int, NDArray[np.void]]]:
    if len(data) == 0:
        return
    shard = np.array([codec.part_of(lane, shards) for lane in lanes], np.int32)[data["lane"]]
    for number in np.flatnonzero(np.bincount(shard)).tolist():
        yield number, data[shard == number]


def _refused(messages: pa.RecordBatch, at: int, topic: str, reason: str) -> Quarantined:
    names = ("aside", "partition", "offset", "time_us", "value")
    aside, partition, offset, time_us, value = (messages.column(name)[at].as_py() for name in names)
    place = f"{aside or topic}, partition {partition}, offset {offset}"
    return Quarantined(time_us * 1_000, "kafka", None, f"{place}: {reason}", (value or b"")[:RAW_MAX])


def packing(topic: str, labels: Sequence[int]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Make the function that Spark maps over the batches of a partition.

    Parameters
    ----------
    labels
        What Spark groups each shard by.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = pack(batch, topic, len(labels)) if len(batch) else []
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([labels[number] for number, _ in found], pa.int32()),
                    pa.array([msgspec.msgpack.encode(part) for _, part in found], pa.binary()),
                ],
                ["shard", "packed"],
            )
        _loaded("pack")

    return run


def fold(rules: RuleBook, state: bytes | None, packed: Iterable[bytes]) -> tuple[bytes, Told]:
    """Detect on the rows of one shard in one micro-batch.

    Parameters
    ----------
    state
        What the last call returned; None before the first one.
    packed
        In any order; Spark promises none.

    Raises
    ------
    SnapshotError
        The state is that of another version of the program.
    """
    pipeline = _restored(rules, state)
    blocks = sorted(
        (_packed.decode(part) for part in packed), key=lambda block: (block.partition, block.offset, block.lanes == [])
    )
    rows = _gathered(blocks)
    pipeline.take(rows)
    pipeline.refuse([item for block in blocks for item in block.refused])
    counts: Counter[Source] = Counter()
    for block in blocks:
        counts.update(dict(block.counts))
    statuses = {rows.lanes[number]: LaneStatus("live") for number in np.flatnonzero(np.bincount(rows.data["lane"]))}
    for (venue, symbol), count in counts.items():
        if symbol is not None:
            statuses[Lane(venue, symbol)] = LaneStatus("live", quarantined=count)
    now_ts = int(rows.data["recv_ts"].max(initial=0))
    commit = pipeline.prepare(Clock(now_ts, 0), statuses).commit
    told = Told(
        now_ts,
        list(commit.changes),
        list(commit.open_anomalies),
        [(list(bars.lanes), bars.data.tobytes()) for bars in commit.bars],
        list(commit.quarantine),
        sum(count for (_, symbol), count in counts.items() if symbol is None),
        [row for row in commit.feed if row.lane in statuses],
    )
    return msgspec.msgpack.encode(_Kept(pipeline.detector.snapshot(), list(commit.feed))), told


def _gathered(blocks: list[Packed]) -> Rows:
    # Lane by lane, each in its order: the detector's work is divided by lane, and a lane's call costs as much for one
    # row as for thousands.
    lanes: dict[Lane, int] = {}
    parts = [np.empty(0, ROW)]
    for block in blocks:
        data = np.frombuffer(block.rows, ROW).copy()
        numbers = np.array([lanes.setdefault(lane, len(lanes)) for lane in block.lanes], np.int32)
        data["lane"] = numbers[data["lane"]] if len(data) else 0
        parts.append(data)
    data = np.concatenate(parts)
    number = data["lane"].astype(np.min_scalar_type(len(lanes)))  # of 16 bits, which is sorted in one pass
    return Rows(tuple(lanes), data[np.argsort(number, kind="stable")])


def _restored(rules: RuleBook, state: bytes | None) -> Pipeline:
    if state is None:
        return Pipeline(Detector(rules))
    try:
        kept = _kept.decode(state)
        return Pipeline(Detector.restore(rules, kept.detector), feed=kept.feed)
    except (msgspec.DecodeError, SnapshotError) as error:
        raise SnapshotError(
            f"detect.checkpoint: expected the state of this version of tapewatch ({error}); go on with the version "
            "that wrote it, or begin anew with another checkpoint and database"
        ) from None


def folding(rules: Mapping[str, Any]) -> Callable[[Any, Any, Any], Iterator[Any]]:
    """Make the function that Spark calls once per shard and micro-batch."""

    def run(_: Any, frames: Iterator[Any], state: Any) -> Iterator[Any]:
        import pandas as pd  # type: ignore[import-untyped]  # Spark asks for its frames

        packed = [part for frame in frames for part in frame["packed"]]
        before = state.get[0] if state.exists else None
        after, told = fold(RuleBook.of(rules), before, packed)
        state.update((after,))
        yield pd.DataFrame({"told": [msgspec.msgpack.encode(told)]})
        _loaded("fold")

    return run


@cache
def _loaded(_: str) -> None:
    # Spark's worker collects garbage after each task, and would look at each object of our libraries: 85 ms of a core.
    gc.collect()
    gc.freeze()


def read_told(blob: bytes) -> Told:
    """Read what `folding` gave out."""
    return _told.decode(blob)


def joined(told: Iterable[Told], clock: Clock, unnamed: int, state: Mapping[str, bytes]) -> Commit:
    """Make one commit of what all shards told.

    Parameters
    ----------
    unnamed
        How many inputs that name no lane were set aside so far, these included.
    """
    parts = list(told)
    return Commit(
        clock,
        changes=[change for part in parts for change in part.changes],
        open_anomalies=[anomaly for part in parts for anomaly in part.open_anomalies],
        bars=[Bars(tuple(lanes), np.frombuffer(data, BAR)) for part in parts for lanes, data in part.bars],
        quarantine=[item for part in parts for item in part.quarantine],
        unnamed=unnamed,
        feed=[row for part in parts for row in part.feed],
        state=state,
    )
