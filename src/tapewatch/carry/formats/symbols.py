"""Binance's names of symbols become ours: ``BTCUSDC`` in, ``BTC-USDC`` out."""

_QUOTES = """
    USDT USDC FDUSD TUSD BUSD USDP USD1 DAI AEUR EURI EUR GBP TRY BRL JPY MXN ARS PLN RON ZAR UAH COP CZK AUD
    BTC ETH BNB SOL XRP TRX DOGE DOT VAI USD
"""
QUOTES = tuple(sorted(_QUOTES.split(), key=len, reverse=True))
"""Currencies that Binance quotes in, longest first.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api, exchange information
"""


def dashed(name: str) -> str | None:
    """Part base and quote of a name that has no dash; None where the quote is not a known one.

    Examples
    --------
    >>> dashed("BTCUSDC"), dashed("1INCHUSDT"), dashed("ETHBTC"), dashed("BTC"), dashed("BTC-USD")
    ('BTC-USDC', '1INCH-USDT', 'ETH-BTC', None, 'BTC-USD')
    """
    if "-" in name:
        return name
    quote = next((quote for quote in QUOTES if name.endswith(quote) and name != quote), None)
    return None if quote is None else f"{name.removesuffix(quote)}-{quote}"
