"""Rows as messages that anyone can read: `Rows` in, one JSON object per row out, and back.

A message that cannot become a row is refused with a reason; its neighbours are not touched by it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tapewatch.carry import arrow
from tapewatch.carry.formats.decimals import DECIMALS, price_text, price_units
from tapewatch.model import PRICE_MAX, PRICE_SCALE, ROW, Kind, Lane, Rows

VERSION = 1
"""Of the message's schema; stands in the header `VERSION_HEADER`, the first one of every message."""

VERSION_BYTES = str(VERSION).encode()

VERSION_HEADER = "tapewatch"

KINDS = {kind.name.lower(): kind for kind in Kind}
SIDES = {"buy": 1, "sell": -1, "unknown": 0}

_MIX, _WORD = 0x5BD1_E995, 0xFFFF_FFFF
"""Of MurmurHash2."""

MESSAGE_BYTES_MAX = 4_096
"""A longer message is none of ours."""

_BEGIN = {int(number): f'{{"kind":"{word}",' for word, number in KINDS.items()}
_SIDE = {number: f',"side":"{word}"' if number else "" for word, number in SIDES.items()}
_TRADED = (Kind.TRADE, Kind.LATE)
_RANGED = (Kind.GAP, Kind.FILLED)

_NAME = re.compile(r"[^\x00-\x20:]{1,64}")
_UNUSUAL = re.compile(r"[^0-9.]")
_PRICE = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")  # as it is read where nothing is unusual
_Int = Annotated[int, Meta(ge=0, le=2**62)]  # to which a window or a gap can be added


class Message(Struct, frozen=True, gc=False):
    """One row; what stands at its default is left out.

    Attributes
    ----------
    kind, venue, symbol
        What it is, and whose.
    ts, recv_ts
        The venue's time and ours, ns since the epoch.
    trade_id, sequence
        The venue's; of a gap, the first missing id; of an epoch, the first id of the new numbering. Of a clock, why
        trades do not get through (`model.Cause`), and since when, ns.
    price
        Of a trade: a decimal, exact.
    size
        Of a trade: in the base currency.
    side
        The taker's.
    aux
        By kind: last id of a gap; of a clock, the receive time of the lane's last frame, ns; of an epoch, the highest
        id before it.
    flags
        Bits: 1 given up, 2 history.
    origin
        Where its sender had it from (`carry.kafka.ends.Origin`).
    """

    kind: Literal["trade", "gap", "late", "filled", "clock", "epoch"]
    venue: str
    symbol: str
    recv_ts: _Int
    ts: _Int = 0
    trade_id: _Int = 0
    sequence: _Int = 0
    price: str = ""
    size: Annotated[float, Meta(ge=0)] = 0.0
    side: Literal["buy", "sell", "unknown"] = "unknown"
    aux: _Int = 0
    flags: Annotated[int, Meta(ge=0, le=2**16 - 1)] = 0
    origin: str = ""


class Refused(NamedTuple):
    """A message that is no row: its place among those that were given, and what was expected and found."""

    at: int
    reason: str


_decoder = msgspec.json.Decoder(Message)


def key_of(lane: Lane) -> bytes:
    """Name a lane's messages: those of one key keep their order."""
    return str(lane).encode()


def unfit(lane: Lane) -> str | None:
    """Tell why no message can carry a lane's names; None where one can."""
    for name, said in lane._asdict().items():
        if _NAME.fullmatch(said) is None:
            return (
                f"{name}: expected a name of 1 to 64 letters, digits or signs without blank and colon, found {said!r}"
            )
    return None


def part_of(lane: Lane, parts: int) -> int:
    """Tell which of so many parts a lane belongs to, the same in every program and for ever.

    It is the partition that Kafka's own Java clients choose for the lane's key: 32-bit MurmurHash2, without its sign
    (org.apache.kafka.common.utils.Utils).

    Examples
    --------
    >>> part_of(Lane("coinbase", "BTC-USD"), 4)
    1
    """
    return place_of(key_of(lane), parts)


def place_of(key: bytes, parts: int) -> int:
    """Tell which of so many partitions Kafka's own Java clients choose for a key."""
    return (_murmur2(key) & 0x7FFF_FFFF) % parts


@cache
def _murmur2(key: bytes) -> int:
    mixed = 0x9747_B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * _MIX & _WORD
        word = (word ^ word >> 24) * _MIX & _WORD
        mixed = mixed * _MIX & _WORD ^ word
    if whole < len(key):
        mixed = (mixed ^ int.from_bytes(key[whole:], "little")) * _MIX & _WORD
    mixed = (mixed ^ mixed >> 13) * _MIX & _WORD
    return mixed ^ mixed >> 15


def encode(rows: Rows, origins: Iterable[str] | None = None) -> list[bytes]:
    """Write one message per row, in order.

    Parameters
    ----------
    origins
        One per row, of letters, digits and colons.

    Examples
    --------
    >>> row = (5, 7, 12, 0, 618376300000000, 0.5, 0, 0, Kind.TRADE, -1, 0)
    >>> encode(Rows.of([Lane("coinbase", "BTC-USD")], [row]))[0].decode()
    '{"kind":"trade","venue":"coinbase","symbol":"BTC-USD","recv_ts":7,"ts":5,"trade_id":12,"price":"61837.63","size":0.5,"side":"sell"}'
    """
    lanes = [f'"venue":{_text(lane.venue)},"symbol":{_text(lane.symbol)},"recv_ts":' for lane in rows.lanes]
    data = rows.data
    prices, price_at = np.unique(data["price"], return_inverse=True)
    texts = [f',"price":"{price_text(price)}","size":' for price in prices.tolist()]
    large = (data[name].tolist() for name in ("ts", "recv_ts", "trade_id", "sequence", "size", "aux"))
    small = (data[name].tolist() for name in ("lane", "kind", "side", "flags"))
    ends = repeat("}", len(data)) if origins is None else [f',"origin":"{origin}"}}' for origin in origins]
    return [
        "".join(
            (
                _BEGIN[kind],
                lanes[lane],
                str(recv_ts),
                f',"ts":{ts}' if ts else "",
                f',"trade_id":{trade_id}' if trade_id else "",
                f',"sequence":{sequence}' if sequence else "",
                f"{texts[price]}{size!r}" if kind in _TRADED else "",
                _SIDE[side],
                f',"aux":{aux}' if aux else "",
                f',"flags":{flags}' if flags else "",
                end,
            )
        ).encode()
        for ts, recv_ts, trade_id, sequence, size, aux, lane, kind, side, flags, price, end in zip(
            *large, *small, price_at.tolist(), ends, strict=True
        )
    ]


def decode(messages: Sequence[bytes]) -> tuple[Rows, list[Refused]]:
    """Read messages.

    Returns
    -------
    rows
        Of all messages that are rows, in order.
    refused
        The others, in order.
    """
    found, places, refused = _parsed(messages)
    rows, wrong = _rows(found)
    if wrong:
        refused = sorted([*refused, *(Refused(places[at], reason) for at, reason in wrong)])
    return rows, refused


def origin_of(message: bytes) -> str:
    """Tell where the sender had a message's row from; empty where it does not say, or the message is no row."""
    try:
        return _decoder.decode(message).origin
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _parsed(messages: Sequence[bytes]) -> tuple[list[Message], Sequence[int], list[Refused]]:
    block = b"\n".join(messages)
    if block.count(b"\n") == len(messages) - 1:  # else a line is not a message
        try:
            lines = _decoder.decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            if len(lines) == len(messages):
                return lines, range(len(lines)), []
    found: list[Message] = []
    places: list[int] = []
    refused: list[Refused] = []
    for at, message in enumerate(messages):
        try:
            found.append(_decoder.decode(message))
            places.append(at)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            refused.append(Refused(at, f"expected a row as JSON: {error}"))
    return found, places, refused


def _rows(messages: list[Message]) -> tuple[Rows, list[Refused]]:
    count = len(messages)
    data = np.zeros(count, ROW)
    for name in ("ts", "recv_ts", "trade_id", "sequence", "size", "aux", "flags"):
        data[name] = np.fromiter(map(attrgetter(name), messages), ROW[name], count)
    names = [*map(attrgetter("kind", "side", "venue", "symbol"), messages)]
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    place = np.fromiter(map(places.__getitem__, names), np.int64, count)
    lanes = {lane: number for number, lane in enumerate(dict.fromkeys(Lane(*name[2:]) for name in places))}
    for column, values in (
        ("kind", [KINDS[name[0]] for name in places]),
        ("side", [SIDES[name[1]] for name in places]),
        ("lane", [lanes[Lane(*name[2:])] for name in places]),
    ):
        data[column] = np.array(values, ROW[column])[place]
    traded = np.isin(data["kind"], _TRADED)
    data["size"][~traded] = 0.0
    texts = [message.price or "0" for message in messages]
    if _UNUSUAL.search("".join(texts)):
        texts = [text if _PRICE.fullmatch(text) else "0" for text in texts]
    try:
        data["price"] = price_units(pa.array(texts, pa.string()))
    except pa.ArrowInvalid:
        data["price"] = [_price(text) for text in texts]
    data["price"][~traded] = 0
    named = np.array([_NAME.fullmatch(lane.venue) and _NAME.fullmatch(lane.symbol) for lane in lanes], np.bool_)
    good = _good(data, traded) & named[data["lane"]]
    refused = [Refused(at, _reason(data[at], messages[at])) for at in np.flatnonzero(~good).tolist()]
    return Rows(tuple(lanes), data[good] if refused else data), refused


def _good(data: NDArray[np.void], traded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    priced = (data["price"] > 0) & (data["price"] <= PRICE_MAX * PRICE_SCALE) & np.isfinite(data["size"])
    ranged = ~np.isin(data["kind"], _RANGED) | (data["aux"] >= data["trade_id"])
    good: NDArray[np.bool_] = (~traded | priced) & ranged
    return good


def _reason(row: np.void, message: Message) -> str:
    if (wrong := unfit(Lane(message.venue, message.symbol))) is not None:
        return wrong
    if row["kind"] in _RANGED:
        return f"aux: expected the last id of a range from {message.trade_id}, found {message.aux}"
    if not np.isfinite(message.size):
        return f"size: expected a finite number, found {message.size}"
    expected = f"digits and a point with at most {DECIMALS} decimals, above 0 and at most {PRICE_MAX}"
    return f"price: expected {expected}, found {message.price[:60]!r}"


def _price(text: str) -> int:
    try:
        return int(price_units(arrow.of_texts([text]))[0])
    except pa.ArrowInvalid:
        return 0


def _text(name: str) -> str:
    return msgspec.json.encode(name).decode()
