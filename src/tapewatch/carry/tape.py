"""Recorded tapes, ours and foreign ones: paths in, blocks of rows in one order out.

Several tapes are merged by receive time, then venue, then symbol, the order within a lane kept; what comes
out does not depend on how the tape is cut into files and blocks.
"""

import glob
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tapewatch.carry import formats, recording
from tapewatch.carry.gaps import Gaps
from tapewatch.carry.merge import Source, first_key, merged
from tapewatch.carry.recording.recorder import Recorder
from tapewatch.carry.source import FOREIGN, BadRow, Reading, intact
from tapewatch.errors import ConfigError
from tapewatch.model import ROW, Kind, Lane, Rows

__all__ = ["BLOCK_BYTES", "BadRow", "Recorder", "Tape", "read"]

BLOCK_BYTES = 1 << 22
"""What is read at a time, of all files together: 65,536 rows of our own tape, about as many of a CSV."""

_SHARE_BYTES = 1 << 18  # less at a time would cost more than it saves

_PEEK_BYTES = 4096
_END_BYTES = 1 << 16  # of a file's beginning and end, for its fingerprint
_TRADED = (Kind.TRADE, Kind.LATE)


def read(
    paths: Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002
    symbol: str | None = None,
    as_traded: bool = False,
) -> Iterator[Rows]:
    """Read tapes as one; a shorthand for iterating over a `Tape`."""
    return iter(Tape(paths, form=format, symbol=symbol, as_traded=as_traded))


class Tape:
    """One or more recorded tapes, read as one.

    Parameters
    ----------
    paths
        Files, folders (a recording, or whatever tapes lie in it and below) and patterns like ``day-*.csv.gz``.
    form
        Name of the format; None to find it out file by file.
    symbol
        Names the lane where a file does not say it, or says it otherwise.
    as_traded
        Put each lane's trades in ascending order of id, and leave out what only the feed knew: gaps and clocks.
        This needs the whole tape in memory, 64 bytes a row; otherwise it is a block for each file that is open.
    on_bad
        Is told each row that went to quarantine.
    on_progress
        Is told how many more bytes of the files have been read; in all `size`.
    block_bytes
        How much is read at a time.

    Attributes
    ----------
    files
        What will be read, in order of name.
    skipped
        Files found in folders that no reader knows.
    size
        Bytes of all files.

    Raises
    ------
    ConfigError
        A path or pattern names nothing, there is no such format, or the symbol is no name; a file is of no known
        format, or of another one, which is raised by iterating, as it is come upon.
    TapeError
        A file is damaged; raised by iterating.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        form: str | None = None,
        symbol: str | None = None,
        as_traded: bool = False,
        on_bad: Callable[[BadRow], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        if symbol is not None and (not symbol or re.search(r"\s", symbol)):
            raise ConfigError(f"--symbol: expected a name like BTC-USD, found {symbol!r}")
        self._form = None if form is None else formats.named(form)
        self._as_traded = as_traded
        self._reading = Reading(symbol, block_bytes, on_bad or _nobody, on_progress or _nobody)
        self.skipped: list[Path] = []
        self.files = [found for path in paths for found in self._found(path)]
        if not self.files:
            raise ConfigError(f"{', '.join(map(str, paths))}: expected recorded tapes, found none")
        self.size = sum(_size(path) for path in self.files)

    def __iter__(self) -> Iterator[Rows]:
        blocks = self._by_id(self._merged()) if self._as_traded else map(Gaps().fill, self._merged())
        return (rows for rows in blocks if len(rows.data))

    def fingerprint(self) -> str:
        """Tell this tape from another one, and from what it was before somebody changed it.

        Returns
        -------
        str
            Hex digest over how it is to be read and, of each file, its name, its size and both its ends; of a
            recording, which may go on growing, the name that it carries instead. A change of equal length in the
            middle of a large file is not noticed.

        Raises
        ------
        ConfigError, TapeError
            A file is of no known format, or damaged at its beginning.
        """
        seen = hashlib.sha256(repr((self._form, self._reading.symbol, self._as_traded)).encode())
        for path in self.files:
            first_key(self._peek(path))
            seen.update(repr(recording.named(path) or (path.name, *_ends(path))).encode())
        return seen.hexdigest()

    def _peek(self, path: Path) -> Iterator[Rows]:
        return formats.rows_of(path, self._form, Reading(self._reading.symbol, _PEEK_BYTES, _nobody, _nobody))

    def _found(self, path: str | Path) -> list[Path]:
        given = Path(path)
        if given.exists():
            return self._tapes(given, asked_for=True)
        matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []  # noqa: PTH207
        if not matches:
            raise ConfigError(f"{path}: expected a recorded tape, found no such file")
        return [found for match in matches for found in self._tapes(Path(match), asked_for=True)]

    def _tapes(self, path: Path, *, asked_for: bool = False) -> list[Path]:
        if path.is_dir():
            if recording.is_recording(path):
                return [path]
            inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
            return [found for each in inside for found in self._tapes(each)]
        if asked_for or self._form is not None or formats.is_tape(path):
            return [path]
        self.skipped.append(path)
        return []

    def _merged(self) -> Iterator[Rows]:
        if len(self.files) == 1:
            return formats.rows_of(self.files[0], self._form, self._reading)
        share = max(self._reading.block_bytes // len(self.files), min(self._reading.block_bytes, _SHARE_BYTES))
        reading = self._reading._replace(block_bytes=share)
        sources = []
        for path in self.files:
            first = first_key(self._peek(path))
            sources.append(Source(first, partial(formats.rows_of, path, self._form, reading)))
        return merged(sources)

    def _by_id(self, blocks: Iterator[Rows]) -> Iterator[Rows]:
        parts: dict[Lane, list[NDArray[np.void]]] = {}
        for rows in blocks:
            traded = rows.data[np.isin(rows.data["kind"], _TRADED)]
            for number in np.unique(traded["lane"]).tolist():
                parts.setdefault(rows.lanes[number], []).append(traded[traded["lane"] == number])
        sources = []
        for lane in list(parts):
            data = np.concatenate(parts.pop(lane))
            data = data[np.argsort(data["trade_id"], kind="stable")]
            data["lane"] = 0
            data["kind"] = Kind.TRADE
            data["flags"] &= ~np.uint16(FOREIGN)
            rows = Rows((lane,), data)
            sources.append(Source(first_key(iter([rows])), partial(self._pieces, rows)))
        return merged(sources)

    def _pieces(self, rows: Rows) -> Iterator[Rows]:
        step = max(self._reading.block_bytes // ROW.itemsize, 1)
        return (rows.part(start, start + step) for start in range(0, len(rows.data), step))


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in (recording.files(path) if path.is_dir() else [path]))


def _ends(path: Path) -> tuple[int, bytes, bytes]:
    with intact(str(path)), path.open("rb") as file:
        first = file.read(_END_BYTES)
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_BYTES))
        return size, first, file.read()


def _nobody(_: object) -> None:
    """Listen to nothing."""
