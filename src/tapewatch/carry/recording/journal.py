"""The segment of a recording in progress: rows appended to a plain file, readable at any moment.

One line of JSON, padded to a whole number of rows, names version, recording and lanes; then rows of
64 bytes each, as in memory, little-endian. What kill -9 leaves behind is a whole number of rows and
perhaps a torn one, which is ignored.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import numpy as np

from tapewatch.carry.lanes import LaneTable
from tapewatch.carry.source import Reading, intact
from tapewatch.errors import TapeError
from tapewatch.model import ROW, Lane, Rows

VERSION = 1
_DISK_ROW = ROW.newbyteorder("<")
_HEADER_BYTES_MAX = 1 << 20


class Header(msgspec.Struct, frozen=True):
    """First line of a journal."""

    tapewatch_journal: int
    recording: str
    lanes: tuple[tuple[str, str], ...]


class Journal(NamedTuple):
    """A journal as it stands on disk.

    Attributes
    ----------
    lanes, recording
        From its header.
    start
        Bytes before the first row.
    held
        Whole rows.
    """

    recording: str
    lanes: tuple[Lane, ...]
    start: int
    held: int


def header(recording: str, lanes: tuple[Lane, ...]) -> bytes:
    """Encode the first line: its length is a multiple of a row's, so that rows lie aligned."""
    line = msgspec.json.encode(Header(VERSION, recording, tuple(lanes)))
    return line.ljust(-(-(len(line) + 1) // ROW.itemsize) * ROW.itemsize - 1) + b"\n"


def describe(path: Path) -> Journal | None:
    """Tell what a journal holds; None where even its first line is torn.

    Raises
    ------
    TapeError
        The file is no journal, or was written by a newer program.
    """
    with intact(str(path)), path.open("rb") as file:
        return _describe(path, file)


def read(path: Path, reading: Reading) -> Iterator[Rows]:
    """Read the whole rows that a journal holds now, about ``block_bytes`` at a time.

    Raises
    ------
    TapeError
        The file is no journal, or cannot be read.
    """
    with intact(str(path)), path.open("rb") as file:
        found = _describe(path, file)
        if found is None:
            return
        table = LaneTable(str(path), reading.symbol)
        numbers = table.numbers(found.lanes)
        left = found.held
        reading.advance(file.seek(found.start))
        while left > 0:
            data = np.fromfile(file, _DISK_ROW, min(left, max(reading.block_bytes // ROW.itemsize, 1))).astype(ROW)
            if len(data) == 0:  # cut since it was described
                return
            left -= len(data)
            reading.advance(data.nbytes)
            data["lane"] = numbers[data["lane"]]
            yield Rows(table.lanes, data)


def _describe(path: Path, file: IO[bytes]) -> Journal | None:
    line = file.readline(_HEADER_BYTES_MAX)
    size = file.seek(0, 2)
    if not line.endswith(b"\n"):
        return None
    try:
        head = msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as error:
        raise TapeError(f"{path}: expected a recording's journal, found something else: {error}") from None
    if head.tapewatch_journal > VERSION:
        raise TapeError(f"{path}: expected a journal of version {VERSION}, found {head.tapewatch_journal}")
    lanes = tuple(Lane(*names) for names in head.lanes)
    return Journal(head.recording, lanes, len(line), (size - len(line)) // ROW.itemsize)
