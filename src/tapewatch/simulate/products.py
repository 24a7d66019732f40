"""What is traded: each product's real increments with a level, a pace and a calm volatility of its own.

Symbols in, products out; and the record that `/products` shows of each.
"""

import difflib
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from tapewatch.errors import ConfigError


class Product(Struct, frozen=True):
    """One product as the simulated exchange trades it.

    `trades_per_s` and `volatility_bp` describe a calm hour: trades a second on average, and the standard
    deviation of a one-second return in basis points. `spread_bp` is how far the spread opens beyond one
    increment when it does, `depth_bp` how far apart the levels of the book lie.
    """

    id: str
    price_decimals: int
    size_decimals: int
    level: float
    trades_per_s: float
    volatility_bp: float
    spread_bp: float
    depth_bp: float
    status: Literal["online", "delisted"] = "online"

    @property
    def ticks_per_unit(self) -> int:
        """Price increments in one unit of the quote currency."""
        return int(10**self.price_decimals)


# The increments are the venue's; those of the products that were recorded on 2025-10-10 are read off those tapes.
PRODUCTS: tuple[Product, ...] = (
    Product("BTC-USD", 2, 8, 84_140.0, 7.0, 0.14, 0.15, 0.02),
    Product("ETH-USD", 2, 8, 2_480.0, 5.5, 0.30, 0.30, 0.10),
    Product("SOL-USD", 2, 8, 138.0, 4.0, 0.40, 0.20, 0.3),
    Product("XRP-USD", 4, 6, 2.21, 3.5, 0.40, 0.20, 0.3),
    Product("DOGE-USD", 5, 1, 0.2164, 3.0, 0.50, 0.30, 0.4),
    Product("ADA-USD", 4, 8, 0.648, 2.2, 0.50, 0.30, 0.4),
    Product("LINK-USD", 3, 2, 17.4, 2.0, 0.50, 0.40, 0.4),
    Product("AVAX-USD", 2, 8, 24.1, 1.6, 0.50, 0.40, 0.4),
    Product("LTC-USD", 2, 8, 106.2, 1.5, 0.40, 0.40, 0.4),
    Product("BCH-USD", 2, 8, 548.0, 1.4, 0.40, 0.60, 0.5),
    Product("DOT-USD", 3, 8, 4.12, 1.3, 0.50, 0.40, 0.4),
    Product("XLM-USD", 6, 8, 0.2751, 1.3, 0.50, 0.70, 0.5),
)

DELISTED: tuple[Product, ...] = (Product("YFI-USD", 2, 6, 5_000.0, 0.0, 0.0, 0.0, 0.0, "delisted"),)
"""Known to the venue but no longer traded: a subscription is answered with an error of its own."""


def choose(symbols: Sequence[str]) -> tuple[Product, ...]:
    """Look products up by symbol, in the order given; no symbols means all of them.

    Raises
    ------
    ConfigError
        A symbol is not among `PRODUCTS`, or is named twice; the message names the nearest ones.
    """
    if not symbols:
        return PRODUCTS
    by_id = {product.id: product for product in PRODUCTS}
    for position, symbol in enumerate(symbols):
        if symbol.upper() in by_id and symbol not in by_id:
            raise ConfigError(f"symbols: {symbol!r} is not simulated; did you mean {symbol.upper()}?")
        if symbol not in by_id:
            near = difflib.get_close_matches(symbol.upper(), by_id, n=3, cutoff=0.5) or list(by_id)
            raise ConfigError(f"symbols: {symbol!r} is not simulated; expected one like {', '.join(near)}")
        if symbol in symbols[:position]:
            raise ConfigError(f"symbols: {symbol!r} is named twice")
    return tuple(by_id[symbol] for symbol in symbols)


def record(product: Product) -> dict[str, Any]:
    """Describe a product as `GET /products` does: same keys, same types, numbers as strings.

    Source: docs.cdp.coinbase.com/exchange, "Get all known trading pairs".
    """
    base, _, quote = product.id.partition("-")
    return {
        "id": product.id,
        "base_currency": base,
        "quote_currency": quote,
        "quote_increment": f"{10**-product.price_decimals:.{product.price_decimals}f}",
        "base_increment": f"{10**-product.size_decimals:.{product.size_decimals}f}",
        "display_name": f"{base}-{quote}",
        "min_market_funds": "1",
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": product.status,
        "status_message": "",
        "trading_disabled": product.status == "delisted",
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }
