"""Our own tape: rows to Parquet and back, every column of ROW, lanes by name.

A file says in its metadata that it is a tape, of which version, and of which recording it is a part.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tapewatch.carry.arrow import numbers, of_numbers, of_texts
from tapewatch.carry.lanes import LaneTable
from tapewatch.carry.source import Reading, intact
from tapewatch.errors import TapeError
from tapewatch.model import ROW, Kind, Rows

VERSION = 1
"""Raised when the columns or their meaning change; a reader refuses a newer one."""

_VERSION_KEY = b"tapewatch.tape"
_RECORDING_KEY = b"tapewatch.recording"
_NAME = pa.dictionary(pa.int32(), pa.string())
_PLAIN = tuple(name for name in ROW.names or () if name != "lane")
_COUNTED = ("ts", "recv_ts", "trade_id", "sequence", "price", "aux")
SCHEMA = pa.schema([("venue", _NAME), ("symbol", _NAME), *((name, pa.from_numpy_dtype(ROW[name])) for name in _PLAIN)])


def write(path: Path, rows: Rows, recording: str) -> None:
    """Write rows as one file that is there as a whole or not at all.

    Raises
    ------
    OSError
        The disk refuses.
    """
    import pyarrow.parquet as pq

    lane = rows.data["lane"]
    columns = [_names(lane, [each.venue for each in rows.lanes]), _names(lane, [each.symbol for each in rows.lanes])]
    columns += [of_numbers(rows.data[name]) for name in _PLAIN]
    schema = SCHEMA.with_metadata({_VERSION_KEY: str(VERSION), _RECORDING_KEY: recording})
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        pq.write_table(
            pa.Table.from_arrays(columns, schema=schema),
            file,
            compression="zstd",
            use_dictionary=["venue", "symbol", "size", "kind", "side", "flags"],
            column_encoding=dict.fromkeys(_COUNTED, "DELTA_BINARY_PACKED"),
        )
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def read(path: Path, reading: Reading) -> Iterator[Rows]:
    """Read one file of our own tape, about ``block_bytes`` of rows at a time.

    Raises
    ------
    TapeError
        The file is damaged, is no tape of ours, or was written by a newer program.
    """
    import pyarrow.parquet as pq

    table = LaneTable(str(path), reading.symbol)
    with intact(str(path)), pq.ParquetFile(path) as file:
        check(path, file.schema_arrow)
        told, size, total = 0, path.stat().st_size, max(file.metadata.num_rows, 1)
        done = 0
        for batch in file.iter_batches(max(reading.block_bytes // ROW.itemsize, 1)):
            done += batch.num_rows
            reading.advance(size * done // total - told)
            told = size * done // total
            wanted = batch.select(SCHEMA.names)
            data = _rows(wanted if wanted.schema.equals(SCHEMA) else wanted.cast(SCHEMA), table, path)
            yield Rows(table.lanes, data)


def check(path: Path, schema: Any) -> None:
    """Refuse a Parquet file that is no tape of ours.

    Raises
    ------
    TapeError
        Saying what was expected and found.
    """
    found = (schema.metadata or {}).get(_VERSION_KEY, b"").decode()
    if not found.isdecimal():
        raise TapeError(f"{path}: expected a tape recorded by tapewatch, found a Parquet file without its version")
    if int(found) > VERSION:
        raise TapeError(f"{path}: expected a tape of version {VERSION} or older, found {found}: update tapewatch")
    if [name for name in SCHEMA.names if name not in schema.names]:
        raise TapeError(f"{path}: expected the columns {', '.join(SCHEMA.names)}, found {', '.join(schema.names)}")


def describe(path: Path) -> tuple[int, str]:
    """Tell how many rows a file of ours has and which recording it is a part of.

    Raises
    ------
    TapeError
        The file is damaged or no tape of ours.
    """
    import pyarrow.parquet as pq

    with intact(str(path)):
        schema = pq.read_schema(path)
        check(path, schema)
        return pq.read_metadata(path).num_rows, schema.metadata[_RECORDING_KEY].decode()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _names(lane: NDArray[np.int32], names: list[str]) -> Any:
    distinct = sorted(set(names))
    place = np.array([distinct.index(name) for name in names], np.int32)
    return pa.DictionaryArray.from_arrays(of_numbers(place[lane]), of_texts(distinct))


def _rows(batch: Any, table: LaneTable, path: Path) -> NDArray[np.void]:
    empty = [name for name in SCHEMA.names if batch[name].null_count]
    if empty:
        raise TapeError(f"{path}: expected a value in every row, found none in {', '.join(empty)}")
    data = np.zeros(batch.num_rows, ROW)
    for name in _PLAIN:
        data[name] = numbers(batch[name], ROW[name].type)
    data["lane"] = table.of(batch["venue"], batch["symbol"])
    kinds = set(np.unique(data["kind"]).tolist())
    if not kinds <= set(Kind):
        raise TapeError(f"{path}: expected rows of kinds 1 to {max(Kind)}, found {sorted(kinds - set(Kind))}")
    return data
