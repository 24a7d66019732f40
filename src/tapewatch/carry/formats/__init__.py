"""Which format a file has, and the reader of each: a path in, blocks of rows out.

The format is told by the first line of the content, or forced.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tapewatch.carry import recording
from tapewatch.carry.formats import frames, separated, sockets
from tapewatch.carry.formats.symbols import dashed
from tapewatch.carry.recording import journal, parquet
from tapewatch.carry.source import Reading, Stream, Text, compression, read, texts
from tapewatch.errors import ConfigError
from tapewatch.model import Lane, Rows

TAPE = "tape"
"""Name of our own format: a recording's folder, or one file of it."""

_HEAD_BYTES = 4096
_AGG_NAME = re.compile(r"([A-Z0-9]+)-aggTrades-")


class Format(NamedTuple):
    """A format of text.

    Attributes
    ----------
    name
        What ``--format`` calls it.
    words
        What it is, for a person.
    looks
        Matches how such a text begins.
    read
        Its reader.
    """

    name: str
    words: str
    looks: "re.Pattern[bytes]"
    read: Callable[[Text, Reading], Iterator[Rows]]


def _agg_trades(text: Text, reading: Reading) -> Iterator[Rows]:
    named = _AGG_NAME.match(text.name)
    symbol = reading.symbol or (dashed(named[1]) if named else None)
    if symbol is None:
        raise ConfigError(
            f"{text.place}: expected a name like BTCUSDC-aggTrades-2025-10-04, which tells the symbol; "
            "say it with --symbol, e.g. --symbol BTC-USDC"
        )
    return separated.agg_trades(text, reading, Lane("binance", symbol))


FORMATS = (
    Format(
        "aggtrades",
        "Binance's aggregated trades, CSV",
        re.compile(rb"agg_trade_id,|\d+,[\d.]+,[\d.]+,\d+,\d+,\d{13,16},(true|false)", re.IGNORECASE),
        _agg_trades,
    ),
    Format(
        "csv",
        "trades as CSV with the header exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
        re.compile(rb"(\xef\xbb\xbf)?(?=[^\n]*\b(price|symbol)\b)\w+(,\s*\w+){3,}\s*(\n|$)"),
        separated.trades,
    ),
    Format(
        "binance-socket",
        "frames of Binance's socket, each behind the time of its receipt in ns",
        re.compile(rb"\d{19} \{"),
        partial(sockets.lines, venue="binance", unwrap=sockets.stamped_ns, decode=frames.binance),
    ),
    Format(
        "coinbase-advanced",
        'frames of Coinbase\'s Advanced Trade socket as {"t":"recv","ts":…,"data":…}',
        re.compile(rb'\{"t":"'),
        partial(sockets.lines, venue="coinbase", unwrap=sockets.recorded, decode=frames.advanced),
    ),
    Format(
        "coinbase-socket",
        "frames of Coinbase's Exchange socket, one a line",
        re.compile(rb'\{[^\n]*"type"|wss?://\S+ <|\d{9,10}(\.\d+)?: \{'),
        partial(sockets.lines, venue="coinbase", unwrap=sockets.plain, decode=frames.exchange),
    ),
    Format(
        "coinbase-array",
        "frames of Coinbase's Exchange socket as one JSON array",
        re.compile(rb"\s*\["),
        partial(sockets.array, venue="coinbase", decode=frames.exchange),
    ),
)
"""Every foreign format, the more particular first."""


def named(name: str) -> str:
    """Check the name of a format.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    names = [TAPE, *(each.name for each in FORMATS)]
    if name not in names:
        raise ConfigError(f"--format: expected one of {', '.join(names)}, found {name!r}")
    return name


def is_tape(path: Path) -> bool:
    """Tell whether some reader knows a file; a damaged one counts as known, so that it is not passed over.

    Raises
    ------
    TapeError
        The file cannot be read.
    """
    if path.suffix == ".journal" or compression(path) == "parquet":
        return True
    return any(_looked(text)[0] is not None for text in texts(path, lambda _: None))


def rows_of(path: Path, form: str | None, reading: Reading) -> Iterator[Rows]:
    """Read a file, or the folder of a recording.

    Parameters
    ----------
    path
        What to read.
    form
        Name of the format to read it as, or None to find it out.
    reading
        How to read it.

    Raises
    ------
    ConfigError
        The file has another format, or none that is known.
    TapeError
        It is damaged; what is wrong with single rows is reported instead.
    """
    ours = path.is_dir() or path.suffix == ".journal" or compression(path) == "parquet"
    if ours != (form == TAPE) and form is not None:
        raise ConfigError(f"{path}: expected the format {form}, found {'a recording of ours' if ours else 'another'}")
    if path.is_dir():
        yield from recording.read(path, reading)
    elif path.suffix == ".journal":
        yield from journal.read(path, reading)
    elif ours:
        yield from parquet.read(path, reading)
    else:
        yield from _foreign(path, form, reading)


def _foreign(path: Path, form: str | None, reading: Reading) -> Iterator[Rows]:
    for text in texts(path, reading.advance):
        found, whole, head = _looked(text)
        if not head:
            raise ConfigError(f"{text.place}: expected a recorded tape, found an empty file")
        if form is not None:
            found = next(each for each in FORMATS if each.name == form)
        if found is None:
            known = ", ".join(each.name for each in FORMATS)
            raise ConfigError(
                f"{text.place}: expected a recorded tape ({TAPE}, {known}), found text that begins with {head[:30]!r}"
            )
        yield from found.read(whole, reading)


def _looked(text: Text) -> tuple[Format | None, Text, bytes]:
    """Look at how a text begins: its format, the text with its beginning put back, and the beginning."""
    head = read(text, _HEAD_BYTES)
    found = next((each for each in FORMATS if each.looks.match(head)), None)
    return found, text._replace(stream=_Rewound(head, text.stream)), head


class _Rewound:
    """A stream whose beginning was already read."""

    def __init__(self, head: bytes, stream: Stream) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head + self._stream.read(size - len(head))
