"""What the venue says, letter by letter: prints and answers in, JSON as Coinbase writes it out.

Keys, their order and their types are those of recorded frames: numbers are strings without trailing
zeros, ids are plain integers, times are ISO 8601 in UTC with six decimals, `side` is the maker's.

Source: docs.cdp.coinbase.com/exchange, WebSocket channels; held against recordings in the tests.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapewatch.model import NS
from tapewatch.simulate.market import Prints
from tapewatch.simulate.products import Product

SERVED = MATCHES, HEARTBEAT = "matches", "heartbeat"
"""Channels that are simulated."""

SIZE_DECIMALS = 8
"""Decimals of a print's `size`."""


def iso(ts: int) -> str:
    """Write a time as the venue does.

    Examples
    --------
    >>> iso(1_783_465_097_164_892_000)
    '2026-07-07T22:58:17.164892Z'
    """
    seconds, ns = divmod(ts, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 1000:06d}Z"


def plain(count: int, decimals: int) -> str:
    """Write ``count / 10**decimals`` exactly, without trailing zeros.

    Examples
    --------
    >>> plain(6351460, 2), plain(15, 8), plain(100000000, 8)
    ('63514.6', '0.00000015', '1')
    """
    whole, part = divmod(count, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".") if part else str(whole)


def matches(prints: Prints, products: Sequence[Product], kind: str = "match") -> list[bytes]:
    """Write one frame per print.

    Parameters
    ----------
    prints
        Shape (n,), dtype PRINT.
    products
        What the prints' ``product`` indexes.
    kind
        ``match``, or ``last_match`` for the one that opens a subscription.
    """
    makers, takers = _order_ids(prints["maker"]), _order_ids(prints["taker"])
    seconds = {second: iso(second * NS)[:20] for second in set((prints["ts"] // NS).tolist())}
    decimals = [product.price_decimals for product in products]
    out = []
    # One f-string per print: this line is where a load test spends its time.
    for ts, trade_id, sequence, ticks, size, _, _, product, side, maker, taker in zip(
        *(prints[name].tolist() for name in prints.dtype.names or ()), makers, takers, strict=True
    ):
        out.append(
            f'{{"type":"{kind}","trade_id":{trade_id},"maker_order_id":"{maker}","taker_order_id":"{taker}",'
            f'"side":"{"sell" if side > 0 else "buy"}","size":"{plain(size, SIZE_DECIMALS)}",'
            f'"price":"{plain(ticks, decimals[product])}","product_id":"{products[product].id}",'
            f'"sequence":{sequence},"time":"{seconds[ts // NS]}{ts % NS // 1000:06d}Z"}}'.encode()
        )
    return out


def heartbeat(product_id: str, last_trade_id: int, sequence: int, ts: int) -> bytes:
    """Write a heartbeat; `last_trade_id` is the id of the last match that was sent."""
    frame = {"type": "heartbeat", "last_trade_id": last_trade_id, "product_id": product_id, "sequence": sequence}
    return _dense({**frame, "time": iso(ts)})


def subscriptions(channels: Mapping[str, Sequence[str]]) -> bytes:
    """Acknowledge: all channels that are subscribed now, with their products."""
    listed = [{"name": name, "product_ids": list(ids), "account_ids": None} for name, ids in channels.items() if ids]
    return _dense({"type": "subscriptions", "channels": listed})


def error(message: str, reason: str) -> bytes:
    """Refuse."""
    return _dense({"type": "error", "message": message, "reason": reason})


def rest_trades(prints: Prints, product: Product) -> list[dict[str, Any]]:
    """Describe prints as `GET /products/{id}/trades` does: decimals in full, `side` is the maker's."""
    decimals = product.price_decimals
    return [
        {
            "trade_id": trade_id,
            "side": "sell" if side > 0 else "buy",
            "size": _padded(size, SIZE_DECIMALS),
            "price": _padded(ticks, decimals),
            "time": iso(ts),
        }
        for trade_id, side, size, ticks, ts in prints[["trade_id", "side", "size", "ticks", "ts"]].tolist()
    ]


def _padded(count: int, decimals: int) -> str:
    whole, part = divmod(count, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"


def _order_ids(numbers: NDArray[np.int64]) -> list[str]:
    """Scatter order numbers over the space of random UUIDs, always in the same way."""
    high = _mix(numbers.astype(np.uint64))
    low = _mix(high)
    high = high & np.uint64(0xFFFF_FFFF_FFFF_0FFF) | np.uint64(0x4000)  # version 4
    low = low & np.uint64(0x3FFF_FFFF_FFFF_FFFF) | np.uint64(0x8000_0000_0000_0000)  # variant 1
    digits = np.stack([high, low], axis=1).astype(">u8").tobytes().hex()
    return [
        f"{digits[i : i + 8]}-{digits[i + 8 : i + 12]}-{digits[i + 12 : i + 16]}"
        f"-{digits[i + 16 : i + 20]}-{digits[i + 20 : i + 32]}"
        for i in range(0, len(digits), 32)
    ]


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The finaliser of splitmix64: a bijection, so different orders keep different ids.
    x = x + np.uint64(0x9E37_79B9_7F4A_7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def _dense(frame: Mapping[str, Any]) -> bytes:
    return json.dumps(frame, separators=(",", ":")).encode()
