"""The REST API: the venue's shapes, cursors and refusals."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.simulated import START_NS, trade
from tapewatch.model import NS
from tapewatch.simulate.history import History
from tapewatch.simulate.market import Market
from tapewatch.simulate.products import choose
from tapewatch.simulate.rest import app, guarded
from tapewatch.simulate.troubles import Trouble, Troubles

PRODUCTS = choose(["BTC-USD", "DOGE-USD"])
UNTIL_NS = START_NS + 30 * NS + 123_456_789


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
async def client(troubles: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    planted = Troubles([Trouble.read(line) for line in troubles], PRODUCTS, START_NS)
    market = Market(PRODUCTS, 7, START_NS)
    history = History(PRODUCTS)
    for block in trade(market, 40):
        history.add(block)
    api = app(PRODUCTS, history, lambda: UNTIL_NS, lambda: UNTIL_NS, lambda: planted.delisted(UNTIL_NS))
    served = guarded(api, lambda: planted.door(UNTIL_NS))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://exchange") as made:
        yield made


async def trades(client: httpx.AsyncClient, **query: Any) -> tuple[list[dict[str, Any]], httpx.Headers]:
    answer = await client.get("/products/BTC-USD/trades", params=query)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return answer.json(), answer.headers


def ids(page: list[dict[str, Any]]) -> list[int]:
    return [trade["trade_id"] for trade in page]


async def test_products_have_the_venues_keys_and_the_delisted_are_listed(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/products")).json()
    assert [(product["id"], product["status"]) for product in listed] == [
        ("BTC-USD", "online"),
        ("DOGE-USD", "online"),
        ("YFI-USD", "delisted"),
    ]
    assert (await client.get("/products/DOGE-USD")).json() == listed[1]
    # docs.cdp.coinbase.com/exchange, "Get single product"
    assert {key: type(value) for key, value in listed[1].items()} == {
        "id": str,
        "base_currency": str,
        "quote_currency": str,
        "quote_increment": str,
        "base_increment": str,
        "display_name": str,
        "min_market_funds": str,
        "margin_enabled": bool,
        "post_only": bool,
        "limit_only": bool,
        "cancel_only": bool,
        "status": str,
        "status_message": str,
        "trading_disabled": bool,
        "fx_stablecoin": bool,
        "max_slippage_percentage": str,
        "auction_mode": bool,
        "high_bid_limit_percentage": str,
    }


async def test_trades_are_newest_first_with_cursors_of_the_page(client: httpx.AsyncClient) -> None:
    page, headers = await trades(client, limit=5)
    assert len(page) == 5
    assert ids(page) == list(range(page[0]["trade_id"], page[0]["trade_id"] - 5, -1))
    assert headers["cb-before"] == str(page[0]["trade_id"])
    assert headers["cb-after"] == str(page[-1]["trade_id"])
    assert page[0]["time"] < "2026-07-07T22:58:30.123457Z"
    assert {key: type(value) for key, value in page[0].items()} == {
        "trade_id": int,
        "side": str,
        "size": str,
        "price": str,
        "time": str,
    }


async def test_before_gives_the_newest_and_after_walks_down_to_a_known_id(client: httpx.AsyncClient) -> None:
    everything, _ = await trades(client)
    assert len(everything) > 30
    known = everything[20]["trade_id"]
    newest, _ = await trades(client, before=known, limit=5)
    assert ids(newest) == ids(everything)[:5], "not the five just above the known id"
    walked: list[int] = []
    page, headers = await trades(client, limit=7)
    while page[-1]["trade_id"] > known:
        walked += ids(page)
        page, headers = await trades(client, limit=7, after=headers["cb-after"])
    walked += [one for one in ids(page) if one > known]
    assert walked == ids(everything)[:20]


async def test_an_empty_page_has_no_cursors(client: httpx.AsyncClient) -> None:
    page, headers = await trades(client, after=1)
    assert page == []
    assert "cb-after" not in headers
    assert (await client.get("/products/YFI-USD/trades")).json() == []


async def test_a_limit_above_the_venues_is_the_venues(client: httpx.AsyncClient) -> None:
    assert ids((await trades(client, limit=10**6))[0]) == ids((await trades(client))[0])


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "before=1.5", "after=", "after=٣"])
async def test_a_wrong_cursor_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/products/BTC-USD/trades?{query}")
    assert (answer.status_code, answer.json()) == (400, {"message": f"Invalid {query.partition('=')[0]}"})


@pytest.mark.parametrize("path", ["/products/NIX-USD", "/products/NIX-USD/trades", "/nowhere", "/"])
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"message": "NotFound"})


async def test_time_is_the_markets(client: httpx.AsyncClient) -> None:
    assert (await client.get("/time")).json() == {"iso": "2026-07-07T22:58:30.123Z", "epoch": 1783465110.123}


@pytest.mark.parametrize("troubles", [["delist:DOGE-USD@20+60"]])
async def test_a_product_delisted_while_it_runs_is_listed_as_such(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/products")).json()
    assert [(product["id"], product["status"]) for product in listed[:2]] == [
        ("BTC-USD", "online"),
        ("DOGE-USD", "delisted"),
    ]
    assert (await client.get("/products/DOGE-USD")).json()["trading_disabled"] is True


@pytest.mark.parametrize("troubles", [["busy:7"], ["page"]])
async def test_on_a_bad_day_there_is_no_json(client: httpx.AsyncClient, troubles: list[str]) -> None:
    answer = await client.get("/products")
    if troubles == ["page"]:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.text.startswith("<!DOCTYPE html>")
    else:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
