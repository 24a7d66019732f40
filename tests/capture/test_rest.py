"""What the REST API says, through a transport in memory; and how its silence is borne."""

import asyncio
import logging
from collections.abc import Callable

import httpx
import pytest

from tapewatch.capture.config import CaptureConfig, CoinbaseConfig, on_this_machine
from tapewatch.capture.rest import Product, Rest, check_symbols
from tapewatch.errors import ConfigError, FeedError

PRODUCTS = [
    {"id": "BTC-USD", "quote_increment": "0.01", "status": "online", "trading_disabled": False, "base_currency": "BTC"},
    {"id": "ETH-USD", "quote_increment": "0.01", "status": "online", "trading_disabled": False},
    {"id": "SOL-USD", "quote_increment": "0.01", "status": "online", "trading_disabled": True},
    {"id": "YFI-USD", "quote_increment": "0.01", "status": "delisted", "trading_disabled": True},
    {"id": "XRP-USD", "quote_increment": "0.0001", "status": "offline"},
    {"id": "BTC-EUR", "quote_increment": "0.01", "status": "online"},
    {"id": "BTC-USDT", "quote_increment": "0.01", "status": "online"},
]


def answering(answer: object, status: int = 200) -> httpx.MockTransport:
    """Answer every question alike; bytes as they are, anything else as JSON."""
    content = {"content": answer} if isinstance(answer, bytes) else {"json": answer}
    return httpx.MockTransport(lambda _: httpx.Response(status, **content))


def failing(raises: Callable[[httpx.Request], Exception]) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        raise raises(request)

    return httpx.MockTransport(handle)


def config(*symbols: str) -> CaptureConfig:
    return CaptureConfig(symbols=symbols)


async def test_products_are_read() -> None:
    async with Rest(config("BTC-USD"), answering(PRODUCTS)) as rest:
        products = await rest.products()
    assert products[0] == Product("BTC-USD", "online", trading_disabled=False)
    assert len(products) == len(PRODUCTS)


async def test_the_path_is_put_behind_the_address_that_was_set() -> None:
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=[])

    set_to = CaptureConfig(coinbase=CoinbaseConfig(rest_url="http://127.0.0.1:8720/api/"))
    async with Rest(set_to, httpx.MockTransport(handle)) as rest:
        await rest.products()
    assert asked == ["http://127.0.0.1:8720/api/products"]


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        (answering({"message": "NotFound"}), "answered what is not documented"),
        (answering(b"<html>"), "answered what is not documented"),
        (answering([{"id": 7}]), "answered what is not documented"),
        (answering({"message": "slow down"}, 429), "answered HTTP 429"),
        (answering(b"", 503), "answered HTTP 503"),
        (failing(lambda request: httpx.ConnectError("refused", request=request)), "does not answer: refused"),
        (failing(lambda request: httpx.ReadTimeout("", request=request)), "does not answer: ReadTimeout"),
    ],
)
async def test_an_answer_that_is_none_is_a_feed_error_in_words(transport: httpx.MockTransport, words: str) -> None:
    async with Rest(config("BTC-USD"), transport) as rest:
        with pytest.raises(FeedError, match=words) as caught:
            await rest.products()
    assert str(caught.value).startswith("https://api.exchange.coinbase.com/products ")


async def test_a_web_page_is_told_in_one_sentence() -> None:
    page = httpx.MockTransport(lambda _: httpx.Response(200, html="<html>We are back soon.</html>"))
    async with Rest(config("BTC-USD"), page) as rest:
        with pytest.raises(FeedError) as caught:
            await rest.products()
    assert str(caught.value) == (
        "https://api.exchange.coinbase.com/products answered with a web page where data were expected: check "
        "capture.coinbase.rest_url, and whether a proxy stands between"
    )


@pytest.mark.parametrize(
    ("asked", "slept", "words"),
    [("3", [3.0], ""), ("60", [], "answered HTTP 503 and asks for 60 s of patience"), ("", [], "answered HTTP 503")],
)
async def test_a_venue_that_asks_for_patience_gets_a_little(asked: str, slept: list[float], words: str) -> None:
    answers = [httpx.Response(503, headers={"Retry-After": asked}), httpx.Response(200, json=PRODUCTS)]
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with Rest(config("BTC-USD"), httpx.MockTransport(lambda _: answers.pop(0)), sleep) as rest:
        if words:
            with pytest.raises(FeedError, match=f"{words}$"):
                await rest.products()
        else:
            assert len(await rest.products()) == len(PRODUCTS)
    assert waited == slept


async def test_symbols_in_order_pass() -> None:
    await check_symbols(config("BTC-USD", "ETH-USD"), answering(PRODUCTS))


@pytest.mark.parametrize("wrong", ["BTC-USB", "btc-usb", "BTCUSD", "BTC/USD"])
async def test_an_unknown_symbol_is_an_error_that_names_the_nearest_real_ones(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await check_symbols(config("ETH-USD", wrong), answering(PRODUCTS))
    assert str(caught.value).startswith(
        f"capture.symbols: coinbase has no product '{wrong}', the nearest real ones are BTC-USD,"
    )
    assert caught.value.exit_code == 2


async def test_a_symbol_in_lower_case_is_told_as_the_venue_writes_it() -> None:
    with pytest.raises(ConfigError) as caught:
        await check_symbols(config("btc-usd"), answering(PRODUCTS))
    assert str(caught.value) == "capture.symbols: coinbase has no product 'btc-usd', did you mean BTC-USD?"


async def test_all_unknown_symbols_are_named_at_once_and_nearness_is_not_invented() -> None:
    with pytest.raises(ConfigError) as caught:
        await check_symbols(config("QQQQQQ", "BTC-USB"), answering(PRODUCTS))
    first, second = str(caught.value).split("; ")
    assert first == "capture.symbols: coinbase has no product 'QQQQQQ'"
    assert "'BTC-USB', the nearest" in second


async def test_products_that_do_not_trade_are_named_and_do_not_stop_the_start(caplog: pytest.LogCaptureFixture) -> None:
    await check_symbols(config("BTC-USD", "YFI-USD", "XRP-USD", "SOL-USD"), answering(PRODUCTS))
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [
        'feed_refused reason="YFI-USD is delisted"',
        'feed_refused reason="XRP-USD is offline"',
        'feed_refused reason="trading in SOL-USD is disabled"',
    ]


async def test_a_venue_that_cannot_be_asked_does_not_stop_the_start(caplog: pytest.LogCaptureFixture) -> None:
    transport = failing(lambda request: httpx.ConnectError("refused", request=request))
    await check_symbols(config("BTC-USB"), transport)
    (line,) = (record.getMessage() for record in caplog.records if record.name == "tapewatch")
    assert line.startswith("symbols_unchecked symbols=BTC-USB ")


async def test_a_server_on_this_machine_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'[{"id":"BTC-USD"}]'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:9")  # an address that is nobody's
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        here = CaptureConfig(symbols=("BTC-USD",), coinbase=CoinbaseConfig(rest_url=f"http://127.0.0.1:{port}"))
        async with Rest(here) as rest:
            assert await rest.products() == (Product("BTC-USD"),)


def test_an_address_that_can_be_none_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="rest_url"):
        Rest(CaptureConfig(coinbase=CoinbaseConfig(rest_url="http://host:port")))


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("ws://127.0.0.1:1", True),
        ("http://localhost", True),
        ("ws://[::1]:8720/feed", True),
        ("wss://ws-feed.exchange.coinbase.com", False),
        ("http://127.0.0.1.example.com", False),
    ],
)
def test_which_addresses_are_this_machines(url: str, *, here: bool) -> None:
    assert on_this_machine(url) is here
