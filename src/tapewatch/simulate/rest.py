"""The venue's REST API over the simulated market: requests in, JSON out.

Source: docs.cdp.coinbase.com/exchange, REST pagination: newest first, `cb-before` is the newest id of a
page and `cb-after` the oldest; `before=X` gives the newest trades above X, not those just above it.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tapewatch.model import NS
from tapewatch.simulate import frames
from tapewatch.simulate.history import PAGE_MAX, History
from tapewatch.simulate.products import DELISTED, Product, record
from tapewatch.simulate.troubles import Door


class _BadRequestError(Exception):
    """The text is what the client is told, with status 400."""


def app(
    products: Sequence[Product],
    history: History,
    now: Callable[[], int],
    published: Callable[[], int],
    delisted: Callable[[], frozenset[str]],
) -> Starlette:
    """Make the ASGI application.

    Parameters
    ----------
    products
        What is traded.
    history
        Where trades are kept.
    now
        Present time of the market, ns.
    published
        Time up to which trades have been published, ns: the feed and this API always agree.
    delisted
        Products that are traded no more.
    """
    listed = {product.id: product for product in (*products, *DELISTED)}
    traded = {product.id for product in products}

    def shown(product: Product) -> dict[str, object]:
        return record(replace(product, status="delisted") if product.id in delisted() else product)

    async def list_products(_: Request) -> Response:
        return _json([shown(product) for product in listed.values()])

    async def show_product(request: Request) -> Response:
        product = listed.get(request.path_params["product_id"])
        return _not_found() if product is None else _json(shown(product))

    async def list_trades(request: Request) -> Response:
        symbol = request.path_params["product_id"]
        if symbol not in listed:
            return _not_found()
        if symbol not in traded:
            return _json([])
        try:
            limit, before, after = (_whole(request, name) for name in ("limit", "before", "after"))
        except _BadRequestError as error:
            return _json({"message": str(error)}, status=400)
        limit = PAGE_MAX if limit is None else min(limit, PAGE_MAX)
        page = history.page(symbol, published(), limit=limit, before=before, after=after)
        headers = {}
        if len(page):
            headers = {"cb-before": str(page["trade_id"][0]), "cb-after": str(page["trade_id"][-1])}
        return _json(frames.rest_trades(page, listed[symbol]), headers=headers)

    async def tell_time(_: Request) -> Response:
        ts = now()
        milliseconds = ts // 1_000_000
        return _json({"iso": frames.iso(ts)[:23] + "Z", "epoch": milliseconds * 1_000_000 / NS})

    async def refuse(_: Request, __: Exception) -> Response:
        return _not_found()

    return Starlette(
        routes=[
            Route("/products", list_products),
            Route("/products/{product_id}", show_product),
            Route("/products/{product_id}/trades", list_trades),
            Route("/time", tell_time),
        ],
        exception_handlers={404: refuse},
    )


def guarded(api: ASGIApp, door: Callable[[], Door | None]) -> ASGIApp:
    """Turn away whoever comes while there is a `Door`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        closed = door()
        answer = api if closed is None else Response(closed.body, closed.status, closed.headers)
        await answer(scope, receive, send)

    return app


def _whole(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < (name == "limit"):
        raise _BadRequestError(f"Invalid {name}")
    return int(text)


def _json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json; charset=utf-8")


def _not_found() -> Response:
    return _json({"message": "NotFound"}, status=404)
