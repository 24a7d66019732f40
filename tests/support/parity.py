"""What backtest, embedded run and pipeline find on one tape, in one comparable form; and tapes to try it on."""

import asyncio
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from support.brokers import RunningBroker
from support.databases import Database
from support.pipeline import catch_up, done, produce
from support.runs import SkippingTime, embedded, memory
from support.simulated import captured
from tapewatch.carry.tape import Recorder, read
from tapewatch.detect.bars import fold
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.model import Anomaly, Kind, Lane, Rows
from tapewatch.runtime import backtest as runtime
from tapewatch.runtime.spark import DetectConfig
from tapewatch.simulate.faults import Faults
from tapewatch.simulate.products import PRODUCTS

PIECE = 5_000
SHARDS = 3
PARTITIONS = 4

FAULTS = Faults(
    drop=0.005,
    straggle=0.01,
    duplicate=0.01,
    reorder=0.01,
    corrupt=0.002,
    absurd=0.002,
    unknown=0.002,
    silence=0.0003,
)
BAD_DAY = ("renumber:ETH-USD@1800",)

Told = tuple[int, str, int, str]
"""Ordinal, change, time and record, as the log has them."""


class Found(NamedTuple):
    """What there is to know of a tape.

    Attributes
    ----------
    lines
        The anomalies as a backtest writes them.
    changes
        Of each lane, by ordinal.
    bars
        (venue, symbol, width, ts) → everything but the volume.
    volumes
        The same → volume, a sum of floats whose order depends on how a tape is divided.
    """

    lines: bytes
    changes: dict[tuple[str, str], list[Told]]
    bars: dict[tuple[Any, ...], tuple[int, ...]]
    volumes: dict[tuple[Any, ...], float]

    def rules(self) -> set[str]:
        """Name the rules that fired."""
        return {msgspec.json.decode(line)["rule"] for line in self.lines.splitlines()}


def whole(paths: Sequence[Path]) -> Rows:
    """Read a tape at once."""
    lanes: dict[Lane, int] = {}
    parts = []
    for rows in read(paths):
        data = rows.data.copy()
        data["lane"] = np.array([lanes.setdefault(lane, len(lanes)) for lane in rows.lanes])[data["lane"]]
        parts.append(data)
    return Rows(tuple(lanes), np.concatenate(parts))


def backtested(paths: Sequence[Path]) -> Found:
    """Find what there is with the engine alone: the lines by a backtest, everything else in a single step."""
    rows = whole(paths)
    update = Detector(RuleBook.default()).update(rows)
    changes = defaultdict(list)
    for change in update.changes:
        found = change.anomaly
        record = msgspec.json.encode(found).decode()
        changes[found.venue, found.symbol].append((change.ordinal, change.change, change.at, record))
    bars = fold(rows, update.new)
    names = ("open_id", "close_id", "open", "high", "low", "close", "count")
    keyed = {(*bars.lanes[bar["lane"]], int(bar["width"]), int(bar["ts"])): bar for bar in bars.data}
    return Found(
        _lines(runtime.backtest(read(paths), RuleBook.default()).anomalies),
        dict(changes),
        {key: tuple(int(bar[name]) for name in names) for key, bar in keyed.items()},
        {key: float(bar["volume"]) for key, bar in keyed.items()},
    )


def remembered(database: Database) -> Found:
    """Read what a runtime has left in its database, with the driver alone."""
    kept = memory(database)
    changes = defaultdict(list)
    for venue, symbol, *told in kept.changes:
        changes[venue, symbol].append(tuple(told))
    return Found(
        _lines(sorted(kept.anomalies.values(), key=Anomaly.sort_key)),
        {lane: sorted(told) for lane, told in changes.items()},
        {key: tuple(values[:-1]) for key, values in kept.bars.items()},
        {key: values[-1] for key, values in kept.bars.items()},
    )


def run_embedded(paths: Sequence[Path], database: Database) -> None:
    """Run the embedded runtime over a tape to its end."""
    time = SkippingTime()
    asyncio.run(embedded(database.url, lambda _: read(paths), time, sleep=time.sleep).run())


def same(found: Found, wanted: Found) -> None:
    """Compare, and point at the first difference."""
    pairs = zip(found.lines.splitlines(), wanted.lines.splitlines(), strict=False)
    for number, (one, other) in enumerate(pairs):
        assert one == other, f"anomaly {number}"
    assert found.lines == wanted.lines
    assert found.changes.keys() == wanted.changes.keys()
    for lane, told in wanted.changes.items():
        for ordinal, (one, other) in enumerate(zip(found.changes[lane], told, strict=False)):
            assert one == other, f"{lane}, change {ordinal}"
        assert len(found.changes[lane]) == len(told), lane
    assert found.bars == wanted.bars
    assert found.volumes == pytest.approx(wanted.volumes, rel=1e-9)


def recorded(folder: Path, rows: Rows) -> Path:
    """Record rows in pieces, as a run does."""
    recorder = Recorder.open(folder, part_rows=20_000)
    for start in range(0, len(rows.data), PIECE):
        recorder.append(rows.part(start, start + PIECE))
    recorder.close()
    return folder


def told_again(rows: Rows, every: int, count: int) -> Rows:
    """Repeat the last `count` rows after each `every`, as a producer killed before its acknowledgement."""
    parts = [rows.data[max(0, start - count) : start + every] for start in range(0, len(rows.data), every)]
    return Rows(rows.lanes, np.concatenate(parts))


def hour(folder: Path) -> Path:
    """Record an hour of a simulated market with everything going wrong, some of it told twice."""
    rows = captured(PRODUCTS[:4], 11, 3_600, FAULTS, 8.0, BAD_DAY)
    assert set(rows.data["kind"].tolist()) == set(Kind)
    return recorded(folder / "hour", told_again(rows, 3_000, 700))


def cascade(shared: Path) -> Path:
    """Name a product of the cascade of 2025-10-10."""
    return shared / "cascade-2025-10-10" / "coinbase_trades_2025-10-10_BCH-USD.csv.gz"


def quiet(shared: Path) -> Path:
    """Name the quiet bitcoin day of 2025-10-04."""
    return shared / "quiet-2025-10-04" / "BTCUSDC-aggTrades-2025-10-04.zip"


class Pipeline:
    """Producer, broker, Spark and a database.

    Parameters
    ----------
    session
        Of Spark.
    folder
        For the checkpoint.
    """

    def __init__(self, broker: RunningBroker, session: Any, folder: Path) -> None:
        self._kafka = broker.config(partitions=PARTITIONS)
        self._session = session
        self._checkpoint = str(folder / "checkpoint")

    def run(self, tape: Path, rows_per_batch: int, database: Database) -> int:
        """Bring a tape to its end; tell how many micro-batches that took."""
        done(produce(self._kafka, f"tape:{tape}"))
        config = DetectConfig(
            checkpoint=self._checkpoint, shards=SHARDS, rows_per_batch=rows_per_batch, arrow_rows=5_000
        )
        return catch_up(self._session, self._kafka, config, database)


def agreed(tape: Path, pipeline: Pipeline, database: Database, embedded: Database, batches: int) -> Found:
    """Run a tape through all three; they must agree."""
    wanted = backtested([tape])
    run_embedded([tape], embedded)
    same(remembered(embedded), wanted)
    assert pipeline.run(tape, len(whole([tape]).data) // batches, database) >= batches
    same(remembered(database), wanted)
    return wanted


def _lines(anomalies: Sequence[Anomaly]) -> bytes:
    out = io.BytesIO()
    runtime.write(anomalies, out)
    return out.getvalue()
