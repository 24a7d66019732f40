"""What every reader of tapes is given, and the two marks that only this station sees.

A path and how to read it come in; compressed files, archives and plain files go out as blocks of whole lines.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import pyarrow as pa

from tapewatch.errors import TapeError
from tapewatch.model import Lane

SEEN = 0
"""Kind of a mark inside this station: a trade went to quarantine, but its id counts as seen."""

FOREIGN = 1 << 15
"""Bit of `flags` inside this station: the row comes from a foreign tape, where jumps in ids show what is missing."""

RAW_BYTES_MAX = 4096
"""Bytes of a quarantined row that are kept."""

LINE_BYTES_MAX = 8 << 20
"""A line longer than this is no line of a tape; it bounds the memory that a damaged file can take."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"PAR1": "parquet"}


class BadRow(NamedTuple):
    """One row of a tape that went to quarantine instead of becoming a row.

    Attributes
    ----------
    place
        The file, and for an archive its member.
    line
        Counted from 1.
    venue, symbol
        The lane where the row still tells it.
    recv_ts
        When it was received, ns, or 0 where the row does not tell it.
    reason
        What was expected and what was found.
    raw
        The row as it stands in the file, at most 4 KiB.
    """

    place: str
    line: int
    venue: str
    symbol: str | None
    recv_ts: int
    reason: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.place}, line {self.line}: {self.reason}"


class Reading(NamedTuple):
    """How a file is to be read.

    Attributes
    ----------
    symbol
        Names the lane instead of what the file says.
    block_bytes
        About this many bytes are read and given out at a time.
    report
        Is told each row that goes to quarantine.
    advance
        Is told how many more bytes of the file on disk have been read.
    """

    symbol: str | None
    block_bytes: int
    report: Callable[[BadRow], None]
    advance: Callable[[int], None]


class Text(NamedTuple):
    """One stream of text: a file uncompressed, or a member of an archive."""

    place: str
    name: str
    stream: "Stream"


class Block(NamedTuple):
    """Whole lines, the first of them with its number in the file."""

    first_line: int
    data: bytes


class Stream(Protocol):
    """The only thing asked of an open file."""

    def read(self, size: int, /) -> bytes:
        """Read at most `size` bytes; none at the end."""
        ...


def compression(path: Path) -> str:
    """Tell from a file's first bytes how it is packed: gzip, zstd, zip, parquet or none.

    Raises
    ------
    TapeError
        The file cannot be read.
    """
    with intact(str(path)), path.open("rb") as file:
        head = file.read(4)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def texts(path: Path, advance: Callable[[int], None]) -> Iterator[Text]:
    """Open a file and give out its text, or each member's of a zip archive in order of name.

    Raises
    ------
    TapeError
        The file cannot be opened, is damaged, or ends before its compressed data does.
    """
    packed = compression(path)
    with intact(str(path)), path.open("rb") as raw:
        counted = _Counted(raw, advance)
        if packed == "zip":
            with zipfile.ZipFile(counted) as archive:
                for name in sorted(name for name in archive.namelist() if not name.endswith("/")):
                    with archive.open(name) as member:
                        yield Text(f"{path}/{name}", name, member)
        elif packed == "none":
            yield Text(str(path), path.name, counted)
        else:
            yield Text(str(path), path.name, pa.CompressedInputStream(pa.PythonFile(counted, "r"), packed))


@contextmanager
def intact(place: str) -> Iterator[None]:
    """Turn what libraries say about a damaged file into one sentence."""
    try:
        yield
    except (EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise TapeError(f"{place}: expected a whole file, found it damaged or cut short: {error}") from None
    except pa.ArrowException as error:
        raise TapeError(f"{place}: expected a whole file, found it damaged: {_first_line(error)}") from None
    except OSError as error:
        if error.strerror:
            raise TapeError(f"{place}: cannot be read: {error.strerror}") from None
        raise TapeError(
            f"{place}: expected a whole file, found it damaged or cut short: {_first_line(error)}"
        ) from None


def blocks(text: Text, block_bytes: int) -> Iterator[Block]:
    """Cut a text at line ends into blocks of about `block_bytes`.

    Raises
    ------
    TapeError
        A line is longer than 8 MiB, or the text is damaged.
    """
    line, rest = 1, b""
    while chunk := read(text, block_bytes):
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            rest += chunk
            if len(rest) > LINE_BYTES_MAX:
                raise TapeError(f"{text.place}, line {line}: expected lines of at most {LINE_BYTES_MAX} bytes")
            continue
        data = rest + chunk[:end]
        yield Block(line, data)
        line += data.count(b"\n")
        rest = chunk[end:]
    if rest:
        yield Block(line, rest)


def read(text: Text, size: int) -> bytes:
    """Read at most `size` bytes; none at the end.

    Raises
    ------
    TapeError
        The text is damaged.
    """
    with intact(text.place):
        return text.stream.read(size)


def bad_row(place: str, line: int, raw: bytes, reason: str, lane: Lane | None, recv_ts: int = 0) -> BadRow:
    """Describe a row that goes to quarantine."""
    venue, symbol = lane if lane is not None else ("", None)
    return BadRow(place, line, venue, symbol, recv_ts, reason, raw[:RAW_BYTES_MAX])


class _Counted:
    """A file that tells how many of its bytes were read; seeking is for archives, whose index stands at the end."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance
        self.closed = False

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._advance(len(data))
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
