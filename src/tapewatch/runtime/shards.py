"""What Spark's workers do: messages in, packed by shard; a shard's rows and its state in, what became known out.

A shard is a part of all lanes. It has one state and costs one call per micro-batch, however many lanes it holds.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct

from tapewatch.carry import codec
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import SnapshotError
from tapewatch.model import BAR, ROW, Anomaly, Bars, Change, Lane, Rows
from tapewatch.runtime.pipeline import Pipeline
from tapewatch.runtime.source import LaneStatus
from tapewatch.store.records import Clock, Commit, FeedRow, Quarantined

PACKED = "shard int, packed binary"
"""Columns of what `pack` gives out."""

TOLD = "told binary"
"""Column of what `fold` gives out."""

STATE = "state binary"
"""Column of a shard's state."""


class Packed(Struct, array_like=True):
    """Rows of one shard that came from one partition in one go.

    Attributes
    ----------
    topic, partition, offset
        Of the first message, which give the order.
    rows
        Records of dtype ROW.
    refused
        Messages that are no rows, on the shard that notes them.
    """

    topic: str
    partition: int
    offset: int
    lanes: list[Lane]
    rows: bytes
    refused: list[Quarantined]


class Told(Struct, array_like=True):
    """What became known of one shard in one micro-batch."""

    now_ts: int
    changes: list[Change]
    open_anomalies: list[Anomaly]
    bars: list[tuple[list[Lane], bytes]]
    quarantine: list[Quarantined]
    feed: list[FeedRow]


class _Kept(Struct, array_like=True):
    detector: bytes
    feed: list[FeedRow]


_packed = msgspec.msgpack.Decoder(Packed)
_told = msgspec.msgpack.Decoder(Told)
_kept = msgspec.msgpack.Decoder(_Kept)


class Messages(NamedTuple):
    """Messages as they come from one partition, in order."""

    topic: str
    partition: int
    offsets: list[int]
    times_us: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    versions: list[bytes | None]


def shard_of(lane: Lane, shards: int) -> int:
    """Tell the shard that a lane belongs to, the same in every process and for ever."""
    return zlib.crc32(codec.key_of(lane)) % shards


def pack(messages: Messages, shards: int) -> list[tuple[int, Packed]]:
    """Make rows of messages, and divide them among the shards."""
    reasons = _unreadable(messages)
    readable = [at for at in range(len(messages.values)) if at not in reasons]
    rows, refused = codec.decode([messages.values[at] or b"" for at in readable])
    reasons |= {readable[at]: reason for at, reason in refused}
    kept = [at for at in readable if at not in reasons] if refused else readable
    keys = [codec.key_of(lane) for lane in rows.lanes]
    wrong = [
        row
        for row, (at, lane) in enumerate(zip(kept, rows.data["lane"].tolist(), strict=True))
        if messages.keys[at] != keys[lane]
    ]
    for row in wrong:
        expected = keys[rows.data["lane"][row]].decode()
        reasons[kept[row]] = f"key: expected {expected!r}, found {messages.keys[kept[row]]!r}"
    data = np.delete(rows.data, wrong) if wrong else rows.data
    shard = (
        np.array([shard_of(lane, shards) for lane in rows.lanes], np.int64)[data["lane"]]
        if len(data)
        else np.empty(0, np.int64)
    )
    found = {number: data[shard == number].tobytes() for number in np.unique(shard).tolist()}
    if reasons:
        found.setdefault(messages.partition % shards, b"")
    bad = [_refused(messages, at, reasons[at]) for at in sorted(reasons)]
    return [
        (
            number,
            Packed(
                messages.topic,
                messages.partition,
                messages.offsets[0],
                list(rows.lanes),
                part,
                bad if number == messages.partition % shards else [],
            ),
        )
        for number, part in found.items()
    ]


def _unreadable(messages: Messages) -> dict[int, str]:
    version = str(codec.VERSION).encode()
    if set(messages.versions) == {version} and None not in messages.values:
        return {}
    reasons = {}
    for at, (found, value) in enumerate(zip(messages.versions, messages.values, strict=True)):
        if found != version:
            reasons[at] = f"header {codec.VERSION_HEADER}: expected version {codec.VERSION}, found {found!r}"
        elif value is None:
            reasons[at] = "expected a row as JSON, found a message without a value"
    return reasons


def _refused(messages: Messages, at: int, reason: str) -> Quarantined:
    place = f"{messages.topic}, partition {messages.partition}, offset {messages.offsets[at]}"
    return Quarantined(
        messages.times_us[at] * 1_000, "kafka", None, f"{place}: {reason}", (messages.values[at] or b"")[:4096]
    )


def packing(shards: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Make the function that Spark maps over the batches of a partition."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            if not columns["offset"]:
                continue
            messages = Messages(
                columns["topic"][0],
                columns["partition"][0],
                columns["offset"],
                columns["time_us"],
                columns["key"],
                columns["value"],
                columns["version"],
            )
            found = pack(messages, shards)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([number for number, _ in found], pa.int32()),
                    pa.array([msgspec.msgpack.encode(part) for _, part in found], pa.binary()),
                ],
                ["shard", "packed"],
            )

    return run


def fold(rules: RuleBook, state: bytes | None, packed: Iterable[bytes]) -> tuple[bytes, Told]:
    """Detect on the rows of one shard in one micro-batch.

    Parameters
    ----------
    state
        What the last call returned; None before the first one.
    packed
        In any order; Spark promises none.
    """
    pipeline = _restored(rules, state)
    blocks = sorted(
        (_packed.decode(part) for part in packed), key=lambda block: (block.topic, block.partition, block.offset)
    )
    seen: dict[Lane, None] = {}
    now_ts = 0
    for block in blocks:
        rows = Rows(tuple(block.lanes), np.frombuffer(block.rows, ROW))
        pipeline.take(rows)
        pipeline.refuse(block.refused)
        if len(rows.data):
            now_ts = max(now_ts, int(rows.data["recv_ts"].max()))
            seen |= dict.fromkeys(rows.lanes[number] for number in np.unique(rows.data["lane"]).tolist())
    commit = pipeline.prepare(Clock(now_ts, 0), {lane: LaneStatus("live") for lane in seen}).commit
    told = Told(
        now_ts,
        list(commit.changes),
        list(commit.open_anomalies),
        [(list(bars.lanes), bars.data.tobytes()) for bars in commit.bars],
        list(commit.quarantine),
        list(commit.feed),
    )
    return msgspec.msgpack.encode(_Kept(pipeline.detector.snapshot(), told.feed)), told


def _restored(rules: RuleBook, state: bytes | None) -> Pipeline:
    if state is None:
        return Pipeline(Detector(rules))
    try:
        kept = _kept.decode(state)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"state of a shard: {error}") from None
    return Pipeline(Detector.restore(rules, kept.detector), feed=kept.feed)


def folding(rules: Mapping[str, Any]) -> Callable[[Any, Any, Any], Iterator[Any]]:
    """Make the function that Spark calls once per shard and micro-batch."""

    def run(_: Any, frames: Iterator[Any], state: Any) -> Iterator[Any]:
        import pandas as pd  # type: ignore[import-untyped]  # Spark asks for its frames

        packed = [part for frame in frames for part in frame["packed"]]
        before = state.get[0] if state.exists else None
        after, told = fold(RuleBook.of(rules), before, packed)
        state.update((after,))
        yield pd.DataFrame({"told": [msgspec.msgpack.encode(told)]})

    return run


def read_told(blob: bytes) -> Told:
    """Read what `folding` gave out."""
    return _told.decode(blob)


def joined(told: Iterable[Told], clock: Clock, state: Mapping[str, bytes]) -> Commit:
    """Make one commit of what all shards told."""
    parts = list(told)
    return Commit(
        clock,
        changes=[change for part in parts for change in part.changes],
        open_anomalies=[anomaly for part in parts for anomaly in part.open_anomalies],
        bars=[Bars(tuple(lanes), np.frombuffer(data, BAR)) for part in parts for lanes, data in part.bars],
        quarantine=[item for part in parts for item in part.quarantine],
        feed=[row for part in parts for row in part.feed],
        state=state,
    )
