"""Rows are recorded as they come: appended to a journal, which is sealed part by part as Parquet.

Rows come in, a recording (see `recording`) goes out that loses nothing flushed when the process is killed or the power
fails.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from tapewatch.carry.lanes import LaneTable
from tapewatch.carry.recording import Segment, journal, parquet, segments, tidy, whole
from tapewatch.errors import TapeError
from tapewatch.model import NS, ROW, Rows

PART_ROWS = 131_072
PART_NS = 15 * 60 * NS


class Recorder:
    """Writes one recording; made by `open`.

    Attributes
    ----------
    position
        Rows recorded since the recording began. A driver stores it in the transaction that commits what came of
        those rows, after `flush`, and hands it to `open` after a restart.
    recording
        Names the recording; it stands in every segment.
    """

    def __init__(self, folder: Path, recording: str, part_rows: int, part_ns: int) -> None:
        self.position = 0
        self.recording = recording
        self._folder = folder
        self._part_rows = part_rows
        self._part_ns = part_ns
        self._number = 1
        self._table = LaneTable(str(folder))
        self._file: IO[bytes] | None = None
        self._lanes_named = 0  # how many of the table's lanes the journal's first line names
        self._count = 0  # rows in the journal
        self._since: int | None = None  # recv_ts of its first row

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        rows_kept: int = 0,
        recording: str | None = None,
        part_rows: int = PART_ROWS,
        part_ns: int = PART_NS,
    ) -> Self:
        """Begin a recording in an empty folder, or go on with one.

        Parameters
        ----------
        folder
            Made where it is missing.
        rows_kept
            The position that was committed: what was recorded beyond it is cut off, because its consequences were
            lost too.
        recording
            The name of the recording to go on with, or to begin where the folder holds none. Without it the folder
            must hold none, so that nobody's recording is ever cut by mistake.
        part_rows, part_ns
            A segment is sealed when it holds so many rows, or when the receive times in it span so many ns.

        Raises
        ------
        TapeError
            The folder holds another recording, fewer rows than were committed, or cannot be written.
        """
        if folder.exists() and not folder.is_dir():
            raise TapeError(f"{folder}: expected a folder to record into, found a file")
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            found = segments(folder)
            names = {segment.recording for segment in found} - {""}
            held = sum(segment.held for segment in found)
            if names - {recording}:
                raise TapeError(
                    f"{folder}: expected an empty folder to record into, found another recording of {held} rows; "
                    "choose another folder"
                )
            if held < rows_kept:
                raise TapeError(
                    f"{folder}: expected the {rows_kept} rows that the database has seen recorded, found {held}; "
                    "record into another, empty folder (the database goes on as it is)"
                )
            tidy(folder)  # not before it is known that nobody else records here
            recorder = cls(folder, recording or os.urandom(8).hex(), part_rows, part_ns)
            recorder._resume(found, rows_kept)
        return recorder

    def append(self, rows: Rows) -> None:
        """Record rows in the order given; they are safe after the next `flush`.

        Raises
        ------
        TapeError
            The disk refuses.
        """
        if len(rows.data) == 0:
            return
        numbers = self._table.numbers(rows.lanes)
        data = rows.data.copy()
        data["lane"] = numbers[data["lane"]]
        first = int(data["recv_ts"][0])
        with _writable(self._folder):
            if self._is_due(first):
                self._seal()
            if self._file is None or self._lanes_named < len(self._table.lanes):
                self._begin()
            assert self._file is not None, "a journal was begun"
            self._file.write(data.tobytes())
        self._since = first if self._since is None else self._since
        self._count += len(data)
        self.position += len(data)

    def flush(self) -> None:
        """Bring everything appended to the disk: from here on it survives kill -9 and a loss of power.

        Raises
        ------
        TapeError
            The disk refuses.
        """
        if self._file is not None:
            with _writable(self._folder):
                _sync(self._file)

    def close(self) -> None:
        """Seal what is left, so that a finished recording is Parquet only.

        Raises
        ------
        TapeError
            The disk refuses.
        """
        with _writable(self._folder):
            self._seal()

    def _is_due(self, recv_ts: int) -> bool:
        long = self._since is not None and recv_ts - self._since >= self._part_ns
        return self._count >= self._part_rows or long

    def _path(self, suffix: str) -> Path:
        return self._folder / f"part-{self._number:05d}.{suffix}"

    def _begin(self) -> None:
        """Start a journal that names all lanes known by now; one with rows that names fewer is sealed."""
        self._seal()
        header = journal.header(self.recording, self._table.lanes)
        self._file = self._path("journal").open("xb")  # never over rows that could not be sealed
        self._file.write(header)
        parquet.sync_folder(self._folder)
        self._lanes_named = len(self._table.lanes)

    def _seal(self) -> None:
        """Make a Parquet part of the journal. The part counts from its rename on, the journal's end is tidying up."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._count:
            rows = whole(self._path("journal"))
            assert len(rows.data) == self._count, "the journal holds what was appended"
            parquet.write(self._path("parquet"), rows, self.recording)
        self._path("journal").unlink()
        self._number += bool(self._count)
        self._count = 0
        self._since = None

    def _resume(self, found: list[Segment], rows_kept: int) -> None:
        """Cut the end, last segment first, so that there is never a hole; then go on with the last journal."""
        held = sum(segment.held for segment in found)
        while found and (held > rows_kept or found[-1].held == 0):
            last = found.pop()
            kept = max(rows_kept - (held - last.held), 0)
            held -= last.held - kept
            if kept:
                last = _cut(last, kept)
                found.append(last)
                break
            last.path.unlink()
        self.position = held
        self._number = len(found) + 1
        if found and found[-1].path.suffix == ".journal":
            self._number -= 1
            self._continue(found[-1])
        parquet.sync_folder(self._folder)  # a part that was cut must not come back over what follows

    def _continue(self, last: Segment) -> None:
        found = journal.describe(last.path)
        assert found is not None, "a journal with rows has a first line"
        self._table.numbers(found.lanes)
        self._lanes_named = len(found.lanes)
        self._count = last.held
        self._since = int(whole(last.path).data["recv_ts"][0])
        self._file = last.path.open("r+b")
        self._file.truncate(found.start + last.held * ROW.itemsize)  # without a torn row
        self._file.seek(0, 2)


def _cut(segment: Segment, kept: int) -> Segment:
    """Keep the first rows of the last segment, as a journal."""
    path = segment.path.with_suffix(".journal")
    if segment.path.suffix == ".parquet":
        rows = whole(segment.path).part(0, kept)
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            file.write(journal.header(segment.recording, rows.lanes) + rows.data.tobytes())
            _sync(file)
        unfinished.replace(path)
        parquet.sync_folder(path.parent)
        segment.path.unlink()  # until here the part still counts, and the journal does not
    return segment._replace(path=path, held=kept)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TapeError(f"{folder}: cannot be recorded into: {error.strerror}") from None
