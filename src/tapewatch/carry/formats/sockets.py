"""Raw recordings of sockets become rows: lines with frames in, rows out.

A recording may tell when each frame was received; where it does not, a trade counts as received when
it happened.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tapewatch.carry import arrow
from tapewatch.carry.formats.columns import Columns, rows_of
from tapewatch.carry.formats.decimals import EXPECTED, price_units
from tapewatch.carry.formats.frames import Decode, Fault, Heartbeat, Trade
from tapewatch.carry.lanes import LaneTable
from tapewatch.carry.source import FOREIGN, SEEN, Block, Reading, Text, bad_row, blocks, read
from tapewatch.errors import TapeError
from tapewatch.model import NS, ROW, Lane, Rows

ARRAY_BYTES_MAX = 1 << 30
"""A JSON array is one value and is decoded as a whole; a longer one is refused."""

_TIME = pa.timestamp("ns", "UTC")
_STAMPED_NS = re.compile(rb"(\d{1,19}) (.*)", re.DOTALL)
_STAMPED_S = re.compile(rb"(\d{1,10}(?:\.\d{1,9})?): (.*)", re.DOTALL)
_CLIENT = re.compile(rb"wss?://\S+ <")
_NS_MAX = 2**63 - 1
_S_MAX = _NS_MAX // NS


class Frame(NamedTuple):
    """One frame, where it stands, and when it was received, in ns (0: not known)."""

    line: int
    recv_ts: int
    data: bytes


class _Recorded(msgspec.Struct):
    t: str
    ts: Decimal = Decimal(0)
    data: str = ""


class _Late(NamedTuple):
    """A trade and what the recording knew when it came."""

    frame: Frame
    trade: Trade | Fault
    beat_ts: int


Number = TypeVar("Number", np.int64, np.float64)
Unwrap = Callable[[bytes], tuple[int, bytes] | None]
"""A line in; time of receipt and frame out, or None where the line holds no received frame."""

_recorded = msgspec.json.Decoder(_Recorded)


def stamped_ns(line: bytes) -> tuple[int, bytes] | None:
    """Unwrap ``<ns> <frame>``; raises ValueError where the line is something else."""
    match = _STAMPED_NS.fullmatch(line)
    if match is None or int(match[1]) > _NS_MAX:
        raise ValueError("expected a time in ns, a blank and a frame")
    return int(match[1]), match[2]


def plain(line: bytes) -> tuple[int, bytes] | None:
    """Unwrap ``<frame>`` or ``<seconds>: <frame>``; what the client sent stands behind the server's address."""
    if _CLIENT.match(line):
        return None
    match = _STAMPED_S.fullmatch(line)
    return (0, line) if match is None else (min(int(Decimal(match[1].decode()) * NS), _NS_MAX), match[2])


def recorded(line: bytes) -> tuple[int, bytes] | None:
    """Unwrap ``{"t": "recv", "ts": seconds, "data": frame}``; other kinds of `t` hold no received frame."""
    entry = _recorded.decode(line)
    if entry.t != "recv":
        return None
    if not entry.ts.is_finite() or not 0 <= entry.ts <= _S_MAX:
        raise ValueError(f"ts: expected seconds since the epoch, found {entry.ts}")
    return int(entry.ts * NS), entry.data.encode()


def lines(text: Text, reading: Reading, venue: str, unwrap: Unwrap, decode: Decode) -> Iterator[Rows]:
    """Read a recording with one frame a line.

    Raises
    ------
    TapeError
        The file is damaged, or holds several symbols and is to be read as one.
    """
    table = LaneTable(text.place, reading.symbol)
    beat_ts = 0
    for block in blocks(text, reading.block_bytes):
        found, beat_ts = _decoded(_frames(block, unwrap, text.place, reading), decode, beat_ts, text.place, reading)
        yield _rows(found, venue, table, text.place, reading)


def array(text: Text, reading: Reading, venue: str, decode: Decode) -> Iterator[Rows]:
    """Read a JSON array of frames; what stands for a line is the position in it.

    Raises
    ------
    TapeError
        The text is no JSON array, or longer than 1 GiB.
    """
    table = LaneTable(text.place, reading.symbol)
    content = b"".join(iter(lambda: read(text, reading.block_bytes), b""))
    if len(content) > ARRAY_BYTES_MAX:
        raise TapeError(f"{text.place}: expected a JSON array of at most {ARRAY_BYTES_MAX} bytes")
    try:
        frames = msgspec.json.decode(content, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        raise TapeError(f"{text.place}: expected a JSON array of frames: {error}") from None
    pieces = (Frame(at, 0, bytes(frame)) for at, frame in enumerate(frames, 1))
    found, _ = _decoded(pieces, decode, 0, text.place, reading)
    yield _rows(found, venue, table, text.place, reading)


def _frames(block: Block, unwrap: Unwrap, place: str, reading: Reading) -> Iterator[Frame]:
    for number, line in enumerate(block.data.splitlines(), block.first_line):
        if not line.strip():
            continue
        try:
            frame = unwrap(line)
        except (ValueError, msgspec.DecodeError) as error:
            reading.report(bad_row(place, number, line, str(error), None))
            continue
        if frame is not None:
            yield Frame(number, *frame)


def _decoded(
    frames: Iterator[Frame], decode: Decode, beat_ts: int, place: str, reading: Reading
) -> tuple[list[_Late], int]:
    found: list[_Late] = []
    for frame in frames:
        try:
            what = decode(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reading.report(bad_row(place, frame.line, frame.data, str(error), None, frame.recv_ts))
            continue
        if isinstance(what, Heartbeat):
            beat_ts = max(beat_ts, _times([what.time], {})[0])
        else:
            found.extend(_Late(frame, trade, beat_ts) for trade in what)
    return found, beat_ts


def _rows(found: list[_Late], venue: str, table: LaneTable, place: str, reading: Reading) -> Rows:
    """Make rows of trades; faults become marks where their id can be read."""
    data = np.zeros(len(found), ROW)
    data["flags"] = FOREIGN
    kept = np.ones(len(found), bool)
    trades = [(at, late) for at, late in enumerate(found) if isinstance(late.trade, Trade)]
    for at, late in enumerate(found):
        if isinstance(late.trade, Fault):
            fault = late.trade
            lane = None if fault.symbol is None else Lane(venue, fault.symbol)
            reading.report(bad_row(place, late.frame.line, late.frame.data, fault.reason, lane, late.frame.recv_ts))
            kept[at] = lane is not None
            if lane is not None:
                data[at] = (0, 0, fault.trade_id, 0, 0, 0.0, 0, table.number(lane), SEEN, 0, FOREIGN)
    if trades:
        wrong: dict[int, str] = {}
        columns, known_ts = _columns([late for _, late in trades], venue, table, wrong)
        good, refusals = rows_of(columns, known_ts)
        data[[at for at, _ in trades]] = good
        for index, reason in refusals:
            frame = trades[index][1].frame
            lane = table.lanes[good["lane"][index]]
            reading.report(bad_row(place, frame.line, frame.data, wrong.get(index, reason), lane, frame.recv_ts))
    return Rows(table.lanes, data[kept])


def _columns(
    found: list[_Late], venue: str, table: LaneTable, wrong: dict[int, str]
) -> tuple[Columns, NDArray[np.int64]]:
    trades: list[Any] = [late.trade for late in found]
    symbols, ids, sequences, prices, sizes, times, sides = zip(*trades, strict=True)
    ts = _times(times, wrong)
    recv_ts = np.array([late.frame.recv_ts for late in found], np.int64)
    recv_ts = np.where(recv_ts > 0, recv_ts, ts)
    known_ts = np.maximum(recv_ts, np.array([late.beat_ts for late in found], np.int64))
    lane = np.array([table.number(Lane(venue, symbol)) for symbol in symbols], np.int32)
    price = _each(prices, price_units, "0", f"price: expected {EXPECTED}", wrong)
    size = _each(sizes, _floats, "-1", "size: expected a number", wrong)
    numbers = np.array(ids, np.int64), np.array(sequences, np.int64)
    return Columns(table.lanes, lane, ts, recv_ts, *numbers, price, size, np.array(sides, np.int8)), known_ts


def _times(times: Any, wrong: dict[int, str]) -> NDArray[np.int64]:
    """Parse times to ns; one that is no time becomes 0, which is refused."""
    if times and isinstance(times[0], int):
        return np.array(times, np.int64)
    return _each(times, _stamps, "1970-01-01T00:00:00Z", "time: expected ISO 8601 with a zone", wrong)


def _stamps(texts: Any) -> NDArray[np.int64]:
    return arrow.numbers(texts.cast(_TIME), np.int64)


def _floats(texts: Any) -> NDArray[np.float64]:
    return arrow.numbers(texts.cast(pa.float64()), np.float64)


def _each(
    found: Sequence[str], convert: Callable[[Any], NDArray[Number]], neutral: str, expected: str, wrong: dict[int, str]
) -> NDArray[Number]:
    """Convert texts as a whole, or one by one where one of them does not convert: it becomes `neutral`."""
    try:
        return convert(arrow.of_texts(found))
    except pa.ArrowInvalid:
        good = []
        for index, text in enumerate(found):
            try:
                convert(arrow.of_texts([text]))
                good.append(text)
            except pa.ArrowInvalid:
                wrong.setdefault(index, f"{expected}, found {text[:60]!r}")
                good.append(neutral)
        return convert(arrow.of_texts(good))
