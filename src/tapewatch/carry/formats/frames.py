"""Frames of a venue's socket become trades: bytes of one frame in, trades or a heartbeat out.

Only trades and the heartbeats' times are taken; frames of other kinds are passed over. What is not as
its venue documents it becomes a fault, with the trade's id where that can still be read.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from tapewatch.carry.formats.symbols import dashed

MS = 1_000_000
_TAKER = {"buy": -1, "sell": 1}  # what Coinbase names is the maker's side
_ID_MAX = 2**63 - 1
_Id = Annotated[int, Meta(ge=0, le=_ID_MAX)]


class Trade(NamedTuple):
    """One trade as a frame tells it; texts are not yet parsed.

    `time` is ISO 8601, or int64 ns; `side` the taker's.
    """

    symbol: str
    trade_id: int
    sequence: int
    price: str
    size: str
    time: str | int
    side: int


class Fault(NamedTuple):
    """What a frame should have been, and the lane and id of its trade where they can still be read."""

    reason: str
    symbol: str | None
    trade_id: int | None


class Heartbeat(Struct):
    """The venue's time, ISO 8601."""

    time: str


Found = list[Trade | Fault] | Heartbeat
Decode = Callable[[bytes], Found]
Raw = TypeVar("Raw", bytes, msgspec.Raw)
T = TypeVar("T", bound=Struct)


class _Kind(Struct):
    type: str


class _Match(Struct):
    product_id: str
    trade_id: _Id
    sequence: _Id
    price: str
    size: str
    time: str
    side: Literal["buy", "sell"]


class _Channel(Struct):
    channel: str
    timestamp: str = ""


class _MarketTrade(Struct):
    product_id: str
    trade_id: Annotated[str, Meta(pattern="^[0-9]{1,18}$")]
    price: str
    size: str
    time: str
    side: Literal["BUY", "SELL"]


class _MarketEvent(Struct):
    trades: list[msgspec.Raw]


class _MarketTrades(Struct):
    events: list[_MarketEvent]


class _BinanceEvent(Struct):
    event: str = msgspec.field(name="e", default="")


class _BinanceTrade(Struct):
    symbol: str = msgspec.field(name="s")
    trade_id: _Id = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    size: str = msgspec.field(name="q")
    time_ms: Annotated[int, Meta(ge=0, le=_ID_MAX // MS)] = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")


class _BinanceStream(Struct):
    data: msgspec.Raw = msgspec.Raw(b"{}")


_kind = msgspec.json.Decoder(_Kind)
_match = msgspec.json.Decoder(_Match)
_beat = msgspec.json.Decoder(Heartbeat)
_channel = msgspec.json.Decoder(_Channel)
_market = msgspec.json.Decoder(_MarketTrades)
_market_trade = msgspec.json.Decoder(_MarketTrade)
_binance_stream = msgspec.json.Decoder(_BinanceStream)
_binance_event = msgspec.json.Decoder(_BinanceEvent)
_binance_trade = msgspec.json.Decoder(_BinanceTrade)


def exchange(data: bytes) -> Found:
    """Take the trade or the heartbeat out of a frame of Coinbase's Exchange feed.

    Source: https://docs.cdp.coinbase.com/exchange/docs/websocket-channels

    Raises
    ------
    msgspec.DecodeError
        The frame is not JSON, or has no type.
    """
    kind = _kind.decode(data).type
    if kind in ("match", "last_match"):
        return [_checked(data, _match, _exchange_trade)]
    return _beat.decode(data) if kind == "heartbeat" else []


def advanced(data: bytes) -> Found:
    """Take the trades, oldest first, or the heartbeat out of a frame of Coinbase's Advanced Trade feed.

    Source: https://docs.cdp.coinbase.com/advanced-trade/docs/ws-channels

    Raises
    ------
    msgspec.DecodeError
        The frame is not JSON, or has no channel.
    """
    frame = _channel.decode(data)
    if frame.channel == "heartbeats":
        return Heartbeat(frame.timestamp)
    if frame.channel != "market_trades":
        return []
    events = _market.decode(data).events
    found = [_checked(raw, _market_trade, _advanced_trade) for event in events for raw in event.trades]
    return sorted(found, key=lambda trade: trade.trade_id or 0)


def binance(data: bytes) -> Found:
    """Take the trade out of a frame of Binance's combined streams.

    Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams

    Raises
    ------
    msgspec.DecodeError
        The frame is not JSON.
    """
    inner = _binance_stream.decode(data).data
    if _binance_event.decode(inner).event != "trade":
        return []
    return [_checked(inner, _binance_trade, _from_binance)]


def _exchange_trade(match: _Match) -> Trade:
    side = _TAKER[match.side]
    return Trade(match.product_id, match.trade_id, match.sequence, match.price, match.size, match.time, side)


def _advanced_trade(trade: _MarketTrade) -> Trade:
    side = _TAKER[trade.side.lower()]
    return Trade(trade.product_id, int(trade.trade_id), 0, trade.price, trade.size, trade.time, side)


def _from_binance(trade: _BinanceTrade) -> Trade:
    symbol = dashed(trade.symbol) or trade.symbol
    side = -1 if trade.buyer_is_maker else 1
    return Trade(symbol, trade.trade_id, 0, trade.price, trade.size, trade.time_ms * MS, side)


def _checked(raw: Raw, decoder: "msgspec.json.Decoder[T]", make: Callable[[T], Trade]) -> Trade | Fault:
    try:
        return make(decoder.decode(raw))
    except msgspec.ValidationError as error:
        return _fault(str(error), msgspec.json.decode(raw))


def _fault(reason: str, plain: Any) -> Fault:
    told = plain if isinstance(plain, dict) else {}
    symbol = told.get("product_id", told.get("s"))
    trade_id = told.get("trade_id", told.get("t"))
    if isinstance(trade_id, str) and trade_id.isdecimal():
        trade_id = int(trade_id)
    if isinstance(symbol, str) and isinstance(trade_id, int) and 0 <= trade_id <= _ID_MAX:
        return Fault(reason, dashed(symbol) or symbol, trade_id)
    return Fault(reason, None, None)
