"""Trades as separated values become rows: the collectors' CSV with a header, and Binance's aggTrades.

A block is parsed as a whole, by Arrow; where that fails it is halved until the bad lines stand alone,
so a row is judged by one parser, whatever its neighbours are.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from tapewatch.carry import arrow
from tapewatch.carry.formats.columns import Columns, Refusal, rows_of
from tapewatch.carry.formats.decimals import EXPECTED, price_units
from tapewatch.carry.lanes import LaneTable
from tapewatch.carry.source import FOREIGN, SEEN, Block, Reading, Text, bad_row, blocks
from tapewatch.errors import TapeError
from tapewatch.model import ROW, Lane, Rows

US = 1_000
MS = 1_000_000
BAD_ROWS_MAX = 1_000
"""A file whose first rows, as many as this, are all bad is not of the format that it is read as."""

_WORD = pa.dictionary(pa.int32(), pa.string())
_SIDES = {"buy": 1, "sell": -1, "unknown": 0}
_MS_MAX = 10**14  # as milliseconds the year 5138, as microseconds 1973: nothing was traded on either side
_NS_MAX = 2**63 - 1


class Column(NamedTuple):
    """A column that is read: its type, and in words what it must hold."""

    type: pa.DataType
    expected: str
    optional: bool = False


_COUNT = "a whole number"
_PRICE = Column(pa.string(), EXPECTED)
TRADES = {
    "exchange": Column(_WORD, "a name"),
    "symbol": Column(_WORD, "a name"),
    "timestamp": Column(pa.int64(), "whole microseconds"),
    "local_timestamp": Column(pa.int64(), "whole microseconds", optional=True),
    "id": Column(pa.int64(), _COUNT),
    "side": Column(_WORD, "buy, sell or unknown"),
    "price": _PRICE,
    "amount": Column(pa.float64(), "a number"),
}
AGG_TRADES = {
    "aggregate id": Column(pa.int64(), _COUNT),
    "price": _PRICE,
    "quantity": Column(pa.float64(), "a number"),
    "first id": Column(pa.int64(), _COUNT),
    "last id": Column(pa.int64(), _COUNT),
    "time": Column(pa.int64(), "whole milliseconds or microseconds"),
    "buyer is maker": Column(pa.bool_(), "True or False"),
    "best match": Column(pa.bool_(), "True or False"),
}
_AGG_COUNTS = (7, 8)  # the futures' files lack the last column


class Layout(NamedTuple):
    """How the lines of one file are to be read.

    Attributes
    ----------
    names
        Every column as it stands in the file.
    columns
        Those that are read.
    build
        Makes typed columns of a parsed table.
    identify
        Tells the lane and the trade id of a line's texts; raises ValueError where it cannot.
    """

    names: tuple[str, ...]
    columns: dict[str, Column]
    build: Callable[[Any], Columns]
    identify: Callable[[dict[str, str]], tuple[int, int]]


def trades(text: Text, reading: Reading) -> Iterator[Rows]:
    """Read CSV with the header ``exchange,symbol,timestamp,local_timestamp,id,side,price,amount``.

    Times are microseconds; without ``local_timestamp`` a trade counts as received when it happened.

    Raises
    ------
    TapeError
        A column is missing, or the file holds several symbols and is to be read as one.
    """
    table = LaneTable(text.place, reading.symbol)

    def build(parsed: Any) -> Columns:
        lane = table.of(_column(parsed, "exchange"), _column(parsed, "symbol"))
        ts = _ns(_ints(parsed, "timestamp"), US)
        recv_ts = ts
        if "local_timestamp" in parsed.column_names:
            column = _column(parsed, "local_timestamp")
            recv_ts = np.where(arrow.given(column), _ns(arrow.numbers(column, np.int64), US), ts)
        side = _words(parsed, "side", _SIDES)
        return Columns(
            table.lanes,
            lane,
            ts,
            recv_ts,
            _ints(parsed, "id"),
            0,
            _ints(parsed, "price"),
            _floats(parsed, "amount"),
            side,
        )

    def identify(line: dict[str, str]) -> tuple[int, int]:
        if not line["exchange"] or not line["symbol"]:
            raise ValueError
        return table.number(Lane(line["exchange"], line["symbol"])), int(line["id"])

    pieces = blocks(text, reading.block_bytes)
    first = next(pieces, Block(1, b""))
    header, _, body = first.data.partition(b"\n")
    names = tuple(name.strip() for name in header.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").split(","))
    missing = [name for name, column in TRADES.items() if name not in names and not column.optional]
    if missing or len(set(names)) < len(names):
        raise TapeError(f"{text.place}: expected the columns {', '.join(TRADES)}, found {', '.join(names)[:200]!r}")
    layout = Layout(names, {name: TRADES[name] for name in names if name in TRADES}, build, identify)
    yield from _rows(_chain(Block(2, body), pieces), layout, table, text.place, reading)


def agg_trades(text: Text, reading: Reading, lane: Lane) -> Iterator[Rows]:
    """Read Binance's aggregated trades: id, price, quantity, first id, last id, time, buyer is maker[, best match].

    Times are milliseconds, or microseconds as in the files since 2025. The maker bought: the taker sold.

    Source: https://github.com/binance/binance-public-data

    Raises
    ------
    TapeError
        A line has neither 7 nor 8 columns.
    """
    table = LaneTable(text.place)
    number = table.number(lane)

    def build(parsed: Any) -> Columns:
        time = _ints(parsed, "time")
        ts = np.where(time < _MS_MAX, _ns(time, MS), _ns(time, US))
        side = np.where(arrow.booleans(_column(parsed, "buyer is maker")), np.int8(-1), np.int8(1))
        lanes = np.full(len(ts), number, np.int32)
        ids = _ints(parsed, "aggregate id")
        return Columns(table.lanes, lanes, ts, ts, ids, 0, _ints(parsed, "price"), _floats(parsed, "quantity"), side)

    def identify(line: dict[str, str]) -> tuple[int, int]:
        return number, int(line["aggregate id"])

    pieces = blocks(text, reading.block_bytes)
    first = next(pieces, Block(1, b""))
    top, _, body = first.data.partition(b"\n")
    if top.startswith(b"agg_trade_id"):
        first = Block(2, body)
    count = top.count(b",") + 1
    if count not in _AGG_COUNTS:
        raise TapeError(f"{text.place}: expected the 7 or 8 columns of aggTrades, found {count} in {top[:100]!r}")
    columns = dict(list(AGG_TRADES.items())[:count])
    layout = Layout(tuple(columns), columns, build, identify)
    yield from _rows(_chain(first, pieces), layout, table, text.place, reading)


def _rows(pieces: Iterator[Block], layout: Layout, table: LaneTable, place: str, reading: Reading) -> Iterator[Rows]:
    good = bad = 0
    for block in pieces:
        parts = []
        for line, data, parsed in _parsed(block.first_line, block.data, layout):
            if parsed is None:
                part, refusals = _stray(data, layout)
            else:
                columns = layout.build(parsed)
                part, refusals = rows_of(columns, columns.recv_ts)
            parts.append(part)
            lines = _lines(line, data) if refusals else []
            for index, reason in refusals:
                number, raw = lines[index]
                lane = table.lanes[part["lane"][index]] if len(part) else None
                reading.report(bad_row(place, number, raw, reason, lane))
            bad += len(refusals)
            good += int(np.count_nonzero(part["kind"] != SEEN))
            if bad >= BAD_ROWS_MAX and good == 0:
                number, raw = lines[-1]
                raise TapeError(f"{place}: none of the first {bad} rows could be read; line {number}: {reason}")
        yield Rows(table.lanes, parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, ROW)]))


def _parsed(line: int, data: bytes, layout: Layout) -> Iterator[tuple[int, bytes, Any]]:
    """Give out (first line, lines, table) of what parses, and (line, line, None) of each line that does not."""
    if not data or data.isspace():
        return
    try:
        parsed = _parse(data, layout)
    except pa.ArrowInvalid:
        middle = data.find(b"\n", len(data) // 2, -1) + 1 or data.rfind(b"\n", 0, len(data) // 2) + 1
        if middle == 0:
            yield line, data, None
            return
        yield from _parsed(line, data[:middle], layout)
        yield from _parsed(line + data.count(b"\n", 0, middle), data[middle:], layout)
    else:
        yield line, data, parsed


def _parse(data: bytes, layout: Layout) -> Any:
    parsed = pa_csv.read_csv(
        pa.BufferReader(data),
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=layout.names),
        parse_options=pa_csv.ParseOptions(quote_char=False),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: column.type for name, column in layout.columns.items()},
            include_columns=list(layout.columns),
            null_values=[""],
            strings_can_be_null=False,
        ),
    )
    price = parsed.schema.get_field_index("price")
    parsed = parsed.set_column(price, "price", arrow.of_numbers(price_units(_column(parsed, "price"))))
    for name, column in layout.columns.items():
        values = _column(parsed, name)
        words = values.dictionary.to_pylist() if column.type == _WORD else []
        if "" in words or (name == "side" and not _SIDES.keys() >= set(words)):
            raise pa.ArrowInvalid(name)
        if values.null_count and not column.optional:
            raise pa.ArrowInvalid(name)
    return parsed


def _stray(data: bytes, layout: Layout) -> tuple[NDArray[np.void], list[Refusal]]:
    """Say why a line did not parse; where it still tells its lane and id, that id counts as seen."""
    found = data.decode(errors="replace").rstrip("\r\n").split(",")
    if len(found) != len(layout.names):
        return np.empty(0, ROW), [Refusal(0, f"expected {len(layout.names)} columns, found {len(found)}")]
    line = dict(zip(layout.names, found, strict=True))
    wrong = [name for name, column in layout.columns.items() if not _fits(name, column, line[name])]
    reason = (
        f"{wrong[0]}: expected {layout.columns[wrong[0]].expected}, found {line[wrong[0]][:60]!r}"
        if wrong
        else "expected text in UTF-8"
    )
    try:
        lane, trade_id = layout.identify(line)
        seen = np.array([(0, 0, trade_id, 0, 0, 0.0, 0, lane, SEEN, 0, FOREIGN)], ROW)
    except (ValueError, OverflowError):
        seen = np.empty(0, ROW)
    return seen, [Refusal(0, reason)]


def _fits(name: str, column: Column, text: str) -> bool:
    if column.type == _WORD:
        return text in _SIDES if name == "side" else bool(text)
    if not text:
        return column.optional
    try:
        if name == "price":
            price_units(arrow.of_texts([text]))
        else:  # Arrow's CSV reader lets blanks stand around numbers, its conversion of a text does not
            arrow.of_texts([text.strip()]).cast(column.type)
    except pa.ArrowInvalid:
        return False
    return True


def _lines(first: int, data: bytes) -> list[tuple[int, bytes]]:
    # Arrow leaves out empty lines, so they are not numbered as rows
    return [(first + at, line) for at, line in enumerate(data.splitlines()) if line]


def _chain(first: Block, rest: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from rest


def _column(parsed: Any, name: str) -> Any:
    return parsed[name].combine_chunks()


def _ints(parsed: Any, name: str) -> NDArray[np.int64]:
    return arrow.numbers(_column(parsed, name), np.int64)


def _floats(parsed: Any, name: str) -> NDArray[np.float64]:
    return arrow.numbers(_column(parsed, name), np.float64)


def _words(parsed: Any, name: str, values: dict[str, int]) -> NDArray[np.int8]:
    column = _column(parsed, name)
    numbers = np.array([values[word] for word in column.dictionary.to_pylist()], np.int8)
    return numbers[arrow.numbers(column.indices, np.int32)]


def _ns(times: NDArray[np.int64], unit: int) -> NDArray[np.int64]:
    """Scale to ns; a time that does not fit becomes 0, which is refused."""
    return np.where((times >= 0) & (times <= _NS_MAX // unit), times * unit, 0)
