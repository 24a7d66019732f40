"""The file that asks the REST API: the products.

In: a `CaptureConfig`. Out: `Product` values, and at the start a check of the symbols that a person asked for.
"""

import asyncio
import difflib
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

import httpx
import msgspec
from msgspec import Struct

from tapewatch import __version__, telemetry
from tapewatch.capture.config import CaptureConfig, on_this_machine
from tapewatch.capture.text import seconds_to_wait
from tapewatch.errors import ConfigError, FeedError

NEAREST = 3
"""Real symbols that are named beside one that does not exist."""

PATIENCE_MAX_S = 10.0
"""A venue that asks us to come back within this time is asked once more; who asks for more has not answered."""

Sleep = Callable[[float], Awaitable[None]]

T = TypeVar("T")


class Product(Struct, frozen=True):
    """A market of the venue.

    Attributes
    ----------
    id
        E.g. ``BTC-USD``.
    status
        ``online``, ``offline``, ``internal`` or ``delisted``.
    trading_disabled
        True where nothing can trade for now although the product is there.
    """

    id: str
    status: str = "online"
    trading_disabled: bool = False

    @property
    def trouble(self) -> str:
        """Why no trade is to be expected, e.g. ``YFI-USD is delisted``; "" where there is no reason."""
        if self.status != "online":
            return f"{self.id} is {self.status}"
        return f"trading in {self.id} is disabled" if self.trading_disabled else ""


class Rest:
    """The REST API of one exchange; an asynchronous context manager.

    Parameters
    ----------
    config
        Address and time-out.
    transport, sleep
        The outside world; by default a real connection and `asyncio.sleep`.

    Raises
    ------
    ConfigError
        The address cannot be one.

    Source: https://docs.cdp.coinbase.com/exchange/reference (GET /products, GET /time)
    """

    def __init__(
        self, config: CaptureConfig, transport: httpx.AsyncBaseTransport | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._sleep = sleep
        self._url = url = config.coinbase.rest_url.rstrip("/")
        try:
            self._client = httpx.AsyncClient(
                base_url=url,
                timeout=config.request_timeout_s,
                headers={"user-agent": f"tapewatch/{__version__}"},
                trust_env=not on_this_machine(url),
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise ConfigError(f"capture.coinbase.rest_url: expected an address, found {url!r}: {error}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def products(self) -> tuple[Product, ...]:
        """List the products that the venue knows, delisted ones included.

        Raises
        ------
        FeedError
            There was no answer, or not the documented one.
        """
        return await self._get("/products", tuple[Product, ...])

    async def _get(self, path: str, shape: type[T]) -> T:
        url = f"{self._url}{path}"
        try:
            answer = await self._client.get(path)
            if 0 < (asked_s := seconds_to_wait(answer.headers)) <= PATIENCE_MAX_S and answer.is_error:
                await self._sleep(asked_s)
                answer = await self._client.get(path)
        except httpx.HTTPError as error:
            raise FeedError(f"{url} does not answer: {str(error) or type(error).__name__}") from None
        if not answer.is_success:
            asked_s = seconds_to_wait(answer.headers)
            patience = f" and asks for {asked_s:g} s of patience" if asked_s else ""
            raise FeedError(f"{url} answered HTTP {answer.status_code}{patience}")
        if "html" in answer.headers.get("content-type", ""):
            raise FeedError(
                f"{url} answered with a web page where data were expected: check capture.coinbase.rest_url, and "
                "whether a proxy stands between"
            )
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except msgspec.DecodeError as error:
            raise FeedError(f"{url} answered what is not documented: {error}") from None


async def check_symbols(
    config: CaptureConfig, transport: httpx.AsyncBaseTransport | None = None, sleep: Sleep = asyncio.sleep
) -> None:
    """Compare the symbols that a person asked for with the venue's products.

    A product of which no trade is to be expected, e.g. a delisted one, is logged. So is a venue that cannot be asked:
    that is no reason not to start, because the feed itself says what it refuses.

    Raises
    ------
    ConfigError
        A symbol does not exist; the nearest that do are named.
    """
    try:
        async with Rest(config, transport, sleep) as rest:
            products = {product.id: product for product in await rest.products()}
    except FeedError as error:
        telemetry.log(telemetry.UNCHECKED, symbols=",".join(config.symbols), reason=error)
        return
    unknown = [
        _unknown(config.coinbase.called, symbol, list(products)) for symbol in config.symbols if symbol not in products
    ]
    if unknown:
        raise ConfigError(f"capture.symbols: {'; '.join(unknown)}")
    for symbol in config.symbols:
        if trouble := products[symbol].trouble:
            telemetry.log(telemetry.REFUSED, (config.coinbase.called,), reason=trouble)


def _unknown(venue: str, symbol: str, known: list[str]) -> str:
    if symbol.upper() in known:
        return f"{venue} has no product {symbol!r}, did you mean {symbol.upper()}?"
    nearest = difflib.get_close_matches(symbol.upper(), known, NEAREST, cutoff=0.5)
    if not nearest:
        return f"{venue} has no product {symbol!r}"
    return f"{venue} has no product {symbol!r}, the nearest real ones are {', '.join(nearest)}"
