"""The log of changes as a file: one JSON object per line and change, in the order of ``seq``.

The file itself says how far it got, by its last whole line; so a restart neither repeats nor skips.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Raw, Struct

from tapewatch.errors import StoreError
from tapewatch.store.records import LoggedChange

BLOCK = 64 * 1024
BATCH = 1_000

ChangesAfter = Callable[[int, int], list[LoggedChange]]


class _Line(Struct, frozen=True):
    seq: int
    venue: str
    symbol: str
    ordinal: int
    change: str
    at: int
    anomaly: Raw


class JsonLines:
    """Follow a log of changes into a file; made by `open`.

    Attributes
    ----------
    seq
        Number of the last change that stands in the file.
    """

    def __init__(self, path: Path, file: int, changes_after: ChangesAfter, seq: int) -> None:
        self.path = path
        self.seq = seq
        self._file = file
        self._changes_after = changes_after

    @classmethod
    def open(cls, path: Path, changes_after: ChangesAfter) -> Self:
        """Continue a file, or begin one: a torn last line, from a process that was killed, is cut off first.

        Parameters
        ----------
        path
            The file; its folder is made where there is none.
        changes_after
            `Store.changes_after`.

        Raises
        ------
        StoreError
            The file cannot be written, or is the log of another database.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another --jsonl") from None
        try:
            seq = _resume(path, file, changes_after)
        except BaseException:
            os.close(file)
            raise
        return cls(path, file, changes_after, seq)

    def follow(self) -> int:
        """Append what the log holds beyond the file.

        Returns
        -------
        int
            How many lines were written.

        Raises
        ------
        StoreError
            The disk is full; the next `open` cuts the torn line off and goes on.
        """
        count = 0
        while batch := self._changes_after(self.seq, BATCH):
            text = memoryview(b"".join(_line(change) for change in batch))
            try:
                while text:
                    text = text[os.write(self._file, text) :]
            except OSError as error:
                raise StoreError(f"{self.path}: cannot be written ({error.strerror})") from None
            self.seq = batch[-1].seq
            count += len(batch)
        return count

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _line(change: LoggedChange) -> bytes:
    line = _Line(
        change.seq,
        change.venue,
        change.symbol,
        change.ordinal,
        change.change,
        change.at,
        Raw(change.record.encode()),
    )
    return msgspec.json.encode(line) + b"\n"


def _resume(path: Path, file: int, changes_after: ChangesAfter) -> int:
    # Cut a torn last line off, then read the number from the last whole one.
    size = os.fstat(file).st_size
    end = _newline_before(file, size)
    if end < size:
        os.ftruncate(file, end)
    if end == 0:
        return 0
    start = _newline_before(file, end - 1)
    last = os.pread(file, end - start, start)
    try:
        seq = msgspec.json.decode(last, type=_Line).seq
    except msgspec.DecodeError as error:
        raise StoreError(f"{path}: its last line is not a change ({error}); choose another --jsonl") from None
    logged = changes_after(seq - 1, 1)
    if not logged or _line(logged[0]) != last:
        raise StoreError(
            f"{path}: its last line (seq {seq}) is not in this database's log of changes; choose another --jsonl"
        )
    return seq


def _newline_before(file: int, stop: int) -> int:
    # Offset just behind the last newline in front of `stop`; 0 where there is none.
    while stop > 0:
        start = max(0, stop - BLOCK)
        found = os.pread(file, stop - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return 0
