"""Frames as Coinbase Exchange sends them, made by hand: same keys, same types, same order of keys."""

import json
from datetime import UTC, datetime

from tapewatch.model import NS

START_NS = 1_783_465_098 * NS
"""2026-07-07T22:58:18Z."""


def match(trade_id: int, /, *, at_ns: int = START_NS, **changes: object) -> str:
    """Make a match; `changes` replace fields, or remove those that are None."""
    return frame(
        {
            "type": "match",
            "trade_id": trade_id,
            "maker_order_id": "15bc13f2-e38c-4693-8c0b-e8c6152b9c1d",
            "taker_order_id": "13d7d08f-7396-421b-9dba-94eac92f3d78",
            "side": "sell",
            "size": "0.2",
            "price": "63514.6",
            "product_id": "BTC-USD",
            "sequence": 132235026010,
            "time": iso(at_ns),
        },
        changes,
    )


def heartbeat(last_trade_id: int, /, *, at_ns: int = START_NS, **changes: object) -> str:
    """Make a heartbeat; `changes` as in `match`."""
    return frame(
        {
            "type": "heartbeat",
            "last_trade_id": last_trade_id,
            "product_id": "BTC-USD",
            "sequence": 132235026653,
            "time": iso(at_ns),
        },
        changes,
    )


def subscriptions(*symbols: str, channels: tuple[str, ...] = ("matches", "heartbeat")) -> str:
    """Make an acknowledgement."""
    named = [{"name": name, "product_ids": list(symbols), "account_ids": None} for name in channels]
    return json.dumps({"type": "subscriptions", "channels": named})


def error(reason: str, message: str = "Failed to subscribe") -> str:
    """Make an error frame."""
    return json.dumps({"type": "error", "message": message, "reason": reason})


def frame(fields: dict[str, object], changes: dict[str, object]) -> str:
    """Apply changes and encode without spaces, as the venue does."""
    merged = {key: value for key, value in (fields | changes).items() if value is not None}
    return json.dumps(merged, separators=(",", ":"))


def iso(ns: int) -> str:
    """Write a time as the venue does, in microseconds."""
    at = datetime.fromtimestamp(ns // NS, tz=UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ns % NS // 1000:06d}Z"
