"""Our own addresses under /api/: bars as they were, anomalies, the live channel, health.

In: HTTP and WebSocket requests that have passed the guard. Out: float64 bars, JSON, live messages. Every
number that a page may choose has a limit; a wrong one is answered with 400 and a sentence.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tapewatch.model import NS, Direction, Lane, Severity
from tapewatch.store.bars import CHART, read_bars
from tapewatch.store.sql import Reader
from tapewatch.store.values import Values
from tapewatch.view import queries
from tapewatch.view.alert_routes import alert_routes
from tapewatch.view.answering import answering, as_json
from tapewatch.view.live import BEAT, BEAT_S, PUSH_S, Hub, Mailbox
from tapewatch.view.look import NOWHERE
from tapewatch.view.queries import Filter, Place
from tapewatch.view.status import status
from tapewatch.view.wire import Name, Row, Size, Subscription, row

BARS_MAX = 10_000
ROWS_MAX = 500
SPAN_ROWS_MAX = 2_000
WISH_BYTES_MAX = 4_096

PAGE_OVERLAP_NS = 1_000
"""Seconds as float64 are a quarter of a microsecond exact: pages overlap a little, rather than leave one out."""

WIRE_BAR = CHART.newbyteorder("<")

TRY_AGAIN_LATER, BAD_WISH, WISH_TOO_LONG = 1013, 1008, 1009
"""Codes with which a socket is closed."""

Seconds = Annotated[float, Meta(ge=0, le=1e10)]


class BarsWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/bars: the newest bars of a lane, or those before a time."""

    venue: Name
    symbol: Name
    width: Literal[1, 10, 60] = 10
    before: Seconds | None = None
    limit: Annotated[int, Meta(ge=1, le=BARS_MAX)] = 2_000


class RowsWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/anomalies: those that a filter lists, newest first, in pages; lists are separated by commas.

    Attributes
    ----------
    order
        The largest come in one page.
    until
        Only those that opened before, s; `recency_s` counts back from there.
    before, before_id
        Opening, s, and id of the last row of the page before.
    """

    severities: tuple[Severity, ...] = ()
    rules: Annotated[tuple[Name, ...], Meta(max_length=20)] = ()
    directions: tuple[Direction, ...] = ()
    symbols: Annotated[tuple[Name, ...], Meta(max_length=8)] = ()
    recency_s: Annotated[int, Meta(ge=60, le=31 * 86_400)] = 3_600
    min_size: Size = 0.0
    order: Literal["newest", "largest"] = "newest"
    until: Seconds | None = None
    before: Seconds | None = None
    before_id: Name = ""
    limit: Annotated[int, Meta(ge=1, le=ROWS_MAX)] = 200


class SpanWish(Struct, frozen=True, forbid_unknown_fields=True):
    """Query of /api/span: what was abnormal on a lane at some time in start … end, s; for the chart."""

    venue: Name
    symbol: Name
    start: Seconds
    end: Seconds


class RowsPage(Struct, frozen=True):
    """Anomalies, and the place of the database that they stem from."""

    epoch: str
    revision: int
    seq: int
    rows: list[Row]


def routes(reader: Reader, hub: Hub, clock: Callable[[], int], ask: Callable[[str, Values], str]) -> list[BaseRoute]:
    """Make our routes.

    Parameters
    ----------
    clock
        Our wall clock, ns.
    ask
        See `Services`.
    """

    def bars(wish: BarsWish) -> Response:
        place, body = NOWHERE, b""
        if reader.ready():
            end = None if wish.before is None else round(wish.before * NS)
            lane = Lane(wish.venue, wish.symbol)
            with reader.connect() as conn:
                place = queries.place(conn)
                found = read_bars(conn, lane, wish.width, end_ns=end, limit=wish.limit)
                body = found.astype(WIRE_BAR).tobytes()
        return Response(body, media_type="application/octet-stream", headers=_place_headers(place))

    def anomalies(wish: RowsWish) -> Response:
        until_ns = None if wish.until is None else round(wish.until * NS)
        chosen = (wish.severities, wish.rules, wish.directions, wish.symbols)
        wanted = Filter(*chosen, wish.recency_s, wish.min_size, until_ns)
        before = None if wish.before is None else (round(wish.before * NS) + PAGE_OVERLAP_NS, wish.before_id)
        place, rows = NOWHERE, []
        if reader.ready():
            with reader.connect() as conn:
                place = queries.place(conn)
                now_ns = status(conn, clock()).now_ns
                if wish.order == "largest":
                    found = queries.largest(conn, wanted, now_ns, wish.limit)
                else:
                    found = queries.anomalies(conn, wanted, now_ns, wish.limit, before)
                rows = [row(each) for each in found]
        return as_json(RowsPage(place.epoch, place.revision, place.seq, rows))

    def span(wish: SpanWish) -> Response:
        place, rows = NOWHERE, []
        if reader.ready():
            lane = Lane(wish.venue, wish.symbol)
            with reader.connect() as conn:
                place = queries.place(conn)
                found = queries.between(conn, lane, round(wish.start * NS), round(wish.end * NS), SPAN_ROWS_MAX)
                rows = [row(each) for each in found]
        return as_json(RowsPage(place.epoch, place.revision, place.seq, rows))

    async def health(_: Request) -> Response:
        return as_json({"ok": True, "database": await run_in_threadpool(reader.ready)})

    async def live(socket: WebSocket) -> None:
        await serve_page(socket, hub)

    return [
        Route("/api/bars", answering(bars, BarsWish)),
        Route("/api/anomalies", answering(anomalies, RowsWish)),
        Route("/api/span", answering(span, SpanWish)),
        *alert_routes(reader, clock, ask),
        Route("/api/health", health),
        WebSocketRoute("/api/live", live),
    ]


async def serve_page(socket: WebSocket, hub: Hub) -> None:
    """Serve one page's live channel until it goes away or asks for nonsense."""
    if hub.full:
        await socket.close(TRY_AGAIN_LATER, "too many pages are open; close some")
        return
    await socket.accept()
    box: Mailbox | None = None
    sender: asyncio.Task[None] | None = None
    try:
        while True:
            text = await socket.receive_text()
            if len(text) > WISH_BYTES_MAX:
                await socket.close(WISH_TOO_LONG, f"expected at most {WISH_BYTES_MAX} characters, found {len(text)}")
                return
            wanted = msgspec.json.decode(text, type=Subscription)
            await _stop(sender)
            if box is not None:
                hub.leave(box)
            box = await hub.join(wanted)
            sender = asyncio.create_task(_send(socket, box, hub))
    except msgspec.ValidationError as error:
        await socket.close(BAD_WISH, str(error)[:120])
    except msgspec.DecodeError:
        await socket.close(BAD_WISH, "expected JSON")
    except WebSocketDisconnect:
        pass
    finally:
        if box is not None:
            hub.leave(box)
        await _stop(sender)


async def _send(socket: WebSocket, box: Mailbox, hub: Hub) -> None:
    # A page that takes its time keeps us waiting in `send_bytes`; meanwhile its box merges what comes.
    while True:
        try:
            async with asyncio.timeout(BEAT_S):
                await box.filled.wait()
            text = box.take()
        except TimeoutError:
            text = BEAT
        if text is not None:
            try:
                await socket.send_text(text.decode())
            except (WebSocketDisconnect, RuntimeError):
                return  # it went away; whoever receives on this socket ends the rest
        await hub.sleep(PUSH_S)


async def _stop(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _place_headers(place: Place) -> dict[str, str]:
    return {
        "tapewatch-epoch": place.epoch,
        "tapewatch-revision": str(place.revision),
        "tapewatch-seq": str(place.seq),
        "cache-control": "no-store",
    }
