"""Messages of Coinbase Exchange's feed, as the venue writes them: JSON in, structs out."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from tapewatch.model import NUMBERING

Int64 = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Id = Annotated[int, Meta(ge=0, lt=NUMBERING)]


class Match(Struct, tag="match", tag_field="type", gc=False):
    """A trade; the side is the maker's."""

    trade_id: Id
    side: Literal["buy", "sell"]
    size: str
    price: str
    product_id: str
    sequence: Int64
    time: str


class LastMatch(Match, tag="last_match", tag_field="type", gc=False):
    """The last trade before the subscription."""


class Heartbeat(Struct, tag="heartbeat", tag_field="type", gc=False):
    """The venue's word, once a second, on how far it has traded."""

    last_trade_id: Id
    product_id: str
    time: str


class NumberedMatch(Struct, tag="match", tag_field="type", gc=False):
    """A trade of a venue that writes numbers where it wrote strings: their literal text is as exact."""

    trade_id: Id
    side: Literal["buy", "sell"]
    size: msgspec.Raw
    price: msgspec.Raw
    product_id: str
    sequence: Int64
    time: str


class NumberedLastMatch(NumberedMatch, tag="last_match", tag_field="type", gc=False):
    """The same of the last trade before the subscription."""


class Channel(Struct):
    """A channel, and the products on it."""

    name: str
    product_ids: tuple[str, ...] | None = None


class Subscriptions(Struct, tag="subscriptions", tag_field="type"):
    """What the venue confirms."""

    channels: tuple[Channel, ...]


class Error(Struct, tag="error", tag_field="type"):
    """What the venue refuses."""

    message: str = ""
    reason: str = ""


class Envelope(Struct):
    """Whatever can still be read of a frame that is not what it should be."""

    type: Any = None
    product_id: Any = None
    trade_id: Any = None


_decode = msgspec.json.Decoder(Match | LastMatch | Heartbeat | Subscriptions | Error).decode
_decode_numbered = msgspec.json.Decoder(NumberedMatch | NumberedLastMatch).decode


def read(raw: str) -> Match | Heartbeat | Subscriptions | Error:
    """Read a frame.

    Raises
    ------
    msgspec.DecodeError, UnicodeEncodeError, RecursionError
        It is none of the messages that are read.
    """
    message: Match | Heartbeat | Subscriptions | Error = _decode(raw)
    return message


def read_numbered(raw: str) -> Match | None:
    """Read a match whose price or size is a JSON number, exactly; None where it is none."""
    try:
        match = _decode_numbered(raw)
        price, size = (_text(bytes(value)) for value in (match.price, match.size))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return Match(match.trade_id, match.side, size, price, match.product_id, match.sequence, match.time)


def _text(value: bytes) -> str:
    # A string comes out of its quotes, a number as it is written.
    return msgspec.json.decode(value, type=str) if value[:1] not in b"-0123456789" else value.decode()
