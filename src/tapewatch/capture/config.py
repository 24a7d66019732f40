"""What a person may set about capture; in: the section ``capture`` of the settings, out: `CaptureConfig`."""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from tapewatch.model import SIMULATED

Symbol = Annotated[str, Meta(min_length=1, max_length=64)]

HOME: Final = "exchange.coinbase.com"
"""Under this name Coinbase Exchange has its servers; those of its sandbox, where nobody trades, are under another."""


class CoinbaseConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where Coinbase Exchange, or an exchange that speaks as it does, is found."""

    ws_url: Annotated[str, Meta(description="WebSocket feed; the sandbox and a simulated exchange work too")] = (
        "wss://ws-feed.exchange.coinbase.com"
    )
    rest_url: Annotated[str, Meta(description="REST API of the same exchange, without a trailing slash")] = (
        "https://api.exchange.coinbase.com"
    )
    venue: Annotated[
        str | None,
        Meta(description="What to call it; default: coinbase at Coinbase's own address, simulated at any other"),
    ] = None

    def __post_init__(self) -> None:
        if self.venue is not None and re.fullmatch(r"[^\s:]{1,64}", self.venue) is None:
            raise ValueError(f"venue: expected 1 to 64 characters without blanks and colons, found {self.venue!r}")
        _check_address("ws_url", self.ws_url, "ws", "wss")
        _check_address("rest_url", self.rest_url, "http", "https")

    @property
    def called(self) -> str:
        """What the venue is called.

        It depends on settings alone, so that it is the same after every start, whoever answers. What speaks as Coinbase
        does from elsewhere is taken for simulated until a person says otherwise: to take a market for a simulation
        costs a line of settings, to take a simulation for a market may cost money.

        Examples
        --------
        >>> CoinbaseConfig().called, CoinbaseConfig(ws_url="ws://127.0.0.1:8720").called
        ('coinbase', 'simulated')
        >>> CoinbaseConfig(ws_url="wss://ws-feed-public.sandbox.exchange.coinbase.com").called
        'simulated'
        >>> CoinbaseConfig(ws_url="wss://relay.example", venue="coinbase").called
        'coinbase'
        """
        if self.venue is not None:
            return self.venue
        host = urlsplit(self.ws_url).hostname or ""
        own = host.removesuffix(f".{HOME}") != host and "sandbox" not in host
        return "coinbase" if own else SIMULATED


class CaptureConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``capture``.

    Examples
    --------
    >>> CaptureConfig().symbols
    ('BTC-USD', 'ETH-USD', 'SOL-USD')
    """

    symbols: Annotated[
        tuple[Symbol, ...],
        Meta(min_length=1, max_length=500, description="Products to watch, as the exchange names them"),
    ] = ("BTC-USD", "ETH-USD", "SOL-USD")
    coinbase: CoinbaseConfig = field(default_factory=CoinbaseConfig)
    connect_timeout_s: Annotated[
        float, Meta(ge=0.1, le=60, description="Give up an attempt to connect after so many seconds")
    ] = 10.0
    request_timeout_s: Annotated[
        float, Meta(ge=0.1, le=60, description="Give up a question to the REST API after so many seconds")
    ] = 5.0
    silence_s: Annotated[
        float,
        Meta(
            ge=2,
            le=300,
            description="Connect anew after so many seconds without any frame; heartbeats come every second",
        ),
    ] = 10.0
    backoff_max_s: Annotated[
        float, Meta(ge=1, le=600, description="Longest wait between two attempts to connect, in seconds")
    ] = 30.0

    def __post_init__(self) -> None:
        twice = sorted({symbol for symbol in self.symbols if self.symbols.count(symbol) > 1})
        if twice:
            raise ValueError(f"symbols: expected each symbol once, found {', '.join(twice)} more than once")


def _check_address(key: str, url: str, *schemes: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in schemes or not parts.netloc or any(letter.isspace() for letter in url):
        raise ValueError(f"{key}: expected an address like {schemes[-1]}://host, found {url!r}")


def on_this_machine(url: str) -> bool:
    """Tell whether an address is this machine's own, which no proxy must be asked for.

    >>> on_this_machine("ws://127.0.0.1:8720"), on_this_machine("wss://ws-feed.exchange.coinbase.com")
    (True, False)
    """
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
