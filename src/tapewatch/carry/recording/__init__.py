"""A recording is a folder of segments: ``part-00001.parquet`` … and at its end a ``part-NNNNN.journal``.

A folder comes in, its rows go out in the order in which they were recorded. Each row is in exactly one
segment at any moment: a Parquet part counts from its rename on, and the journal of its number no more.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tapewatch.carry.recording import journal, parquet
from tapewatch.carry.source import BadRow, Reading, compression
from tapewatch.errors import TapeError
from tapewatch.model import ROW, Lane, Rows

_NAME = re.compile(r"part-(\d{5,})\.(parquet|journal)")
_ALL_AT_ONCE = 1 << 40


class Segment(NamedTuple):
    """One file of a recording: how many rows it holds, and which recording it names."""

    path: Path
    held: int
    recording: str


def is_recording(folder: Path) -> bool:
    """Tell whether a folder holds a recording."""
    return bool(_numbered(folder))


def files(folder: Path) -> list[Path]:
    """List a recording's files in order; a journal that is already sealed is not listed.

    Raises
    ------
    TapeError
        A segment is missing.
    """
    found: dict[int, Path] = {}
    for number, path in _numbered(folder):
        if number not in found or path.suffix == ".parquet":
            found[number] = path
    for wanted, number in enumerate(sorted(found), 1):
        if number != wanted:
            raise TapeError(
                f"{folder}: expected the segments 1 to {max(found)} of a recording, found no part-{wanted:05d}"
            )
    return [found[number] for number in sorted(found)]


def read(folder: Path, reading: Reading) -> Iterator[Rows]:
    """Read a recording as it stands, finished or in progress.

    Raises
    ------
    TapeError
        A segment is missing or damaged.
    """
    for path in files(folder):
        if path.suffix == ".journal":
            yield from _read_journal(path, reading)
        else:
            yield from parquet.read(path, reading)


def segments(folder: Path) -> list[Segment]:
    """Describe a recording's segments.

    Raises
    ------
    TapeError
        A segment is missing or damaged.
    """
    return [_described(path) for path in files(folder)]


def named(path: Path) -> str | None:
    """Name of the recording that a folder, or one file of it, belongs to; None where it is none of ours.

    Raises
    ------
    TapeError
        A segment is missing or damaged.
    """
    if path.is_dir():
        return next((segment.recording for segment in segments(path) if segment.recording), "")
    if path.suffix == ".journal" or compression(path) == "parquet":
        return f"{_described(path).recording}/{path.stem}"
    return None


def tidy(folder: Path) -> None:
    """Remove what a killed process left behind: files not finished, and journals sealed but not yet removed."""
    listed = files(folder)
    for path in [*folder.glob("part-*.tmp"), *(path for _, path in _numbered(folder))]:
        if path not in listed:
            path.unlink()


def whole(path: Path) -> Rows:
    """Read one segment at once.

    Raises
    ------
    TapeError
        The segment is damaged.
    """
    reading = Reading(None, _ALL_AT_ONCE, _refuse, lambda _: None)
    pieces = list((parquet if path.suffix == ".parquet" else journal).read(path, reading))
    lanes: tuple[Lane, ...] = pieces[-1].lanes if pieces else ()
    return Rows(lanes, np.concatenate([rows.data for rows in pieces]) if pieces else np.empty(0, ROW))


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    names = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return [(int(match[1]), path) for match, path in names if match]


def _read_journal(path: Path, reading: Reading) -> Iterator[Rows]:
    try:
        yield from journal.read(path, reading)
    except TapeError:
        if path.exists():
            raise
        yield from parquet.read(path.with_suffix(".parquet"), reading)  # sealed since the folder was listed


def _described(path: Path) -> Segment:
    if path.suffix == ".parquet":
        return Segment(path, *parquet.describe(path))
    found = journal.describe(path)
    return Segment(path, found.held, found.recording) if found else Segment(path, 0, "")


def _refuse(bad: BadRow) -> None:
    raise AssertionError(f"our own tapes have no bad rows: {bad}")
