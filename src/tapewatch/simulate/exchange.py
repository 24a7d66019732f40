"""A Coinbase that runs on this machine: a configuration in, a WebSocket feed and a REST API on loopback out.

The market is a function of seed and start; the clock only decides how far it has been published. A loop that
comes late therefore sends everything that is due, with the times at which it happened.
"""

import asyncio
import contextlib
import errno
import http
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Self

import msgspec
import uvicorn
from msgspec import Meta, Struct, field
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError
from websockets.http11 import Request, Response

from tapewatch.clock import Clock, SystemClock
from tapewatch.errors import ConfigError
from tapewatch.model import NS
from tapewatch.simulate import rest
from tapewatch.simulate.clients import Client
from tapewatch.simulate.faults import Faults, Injector
from tapewatch.simulate.history import History
from tapewatch.simulate.market import OPENING_NS, Market, Pace
from tapewatch.simulate.plants import Label
from tapewatch.simulate.products import choose
from tapewatch.simulate.publisher import Publisher
from tapewatch.simulate.subscriptions import Answer, Subscriptions
from tapewatch.simulate.troubles import Trouble, Troubles, troubles
from tapewatch.steps import notice

HOST = "127.0.0.1"
PORT = 8720
SUBSCRIBE_WITHIN_NS = 5 * NS
"""The venue hangs up on a client that has not subscribed by then."""

_PORTS_TRIED = 50
_MESSAGE_MAX = 64 * 1024  # bytes of a client's message
_PAUSE_MIN_S = 0.002  # frames that are due within it share one system call
_CLOSE_S = 0.3

_EARLIEST = datetime.fromtimestamp(OPENING_NS // NS, UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)  # times and ids stay far from the ends of int64

Port = Annotated[int, Meta(ge=0, le=65_535)]


class ExchangeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What the simulated exchange trades, and how badly its feed behaves.

    Attributes
    ----------
    host
        Address to listen at.
    port, rest_port
        None: the default (8720, and the one behind the feed's), or the next free one; 0: any free one.
    start
        When the market opens, with a time zone; None: now. The same seed and start give the same tape.
    symbols
        None given: all that can be simulated.
    planted
        Whether anomalies are planted.
    labels
        File that each planted anomaly is written to as a line of JSON, once it begins.
    troubles
        What happens to its clients and when, as lines such as ``delist:ETH-USD@30+60``.
    deflate
        Offer permessage-deflate, which costs several times what sending plainly does.
    history
        Trades per product that the REST API can page through.
    backlog_max
        Bytes that may wait for a client before it is dropped as a slow consumer.
    """

    host: Annotated[str, Meta(min_length=1)] = HOST
    port: Port | None = None
    rest_port: Port | None = None
    seed: Annotated[int, Meta(ge=0)] = 7
    start: Annotated[datetime, Meta(tz=True)] | None = None
    symbols: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)
    planted: bool = True
    labels: str | None = None
    faults: Faults = field(default_factory=Faults)
    troubles: tuple[str, ...] = ()
    deflate: bool = False
    history: Annotated[int, Meta(ge=1)] = 50_000
    backlog_max: Annotated[int, Meta(ge=1)] = 16 * 2**20

    def __post_init__(self) -> None:
        if self.start is not None and not _EARLIEST <= self.start < _LATEST:
            raise ValueError(
                f"start: expected a start from {_EARLIEST:%Y-%m-%d} to {_LATEST:%Y-%m-%d}, found {self.start}"
            )
        for line in self.troubles:
            try:
                Trouble.read(line)
            except ValueError as error:
                raise ValueError(f"troubles: {error}") from None


class Exchange:
    """The exchange; an asynchronous context manager that serves while it is open.

    Parameters
    ----------
    config
        What to simulate.
    clock, sleep
        The outside world; by default this machine's clock and `asyncio.sleep`.

    Attributes
    ----------
    ws_url, rest_url
        Where it is found, once it is open.
    market
        What is traded.

    Raises
    ------
    ConfigError
        A symbol is not simulated, one of the troubles' neither, a port that was asked for is taken, or the labels
        cannot be written.
    """

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._own = SystemClock() if clock is None else None  # whoever gives us a clock looks after it
        self._clock = self._own or clock or SystemClock()
        self._sleep = sleep
        self._products = choose(config.symbols)
        self._planted = troubles(config.troubles, self._products)
        self._history = History(self._products, config.history)
        self._clients: set[Client] = set()
        self._connections = 0
        self._farewells: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        config = self._config
        async with contextlib.AsyncExitStack() as stack:
            feed = stack.enter_context(_listen(config.host, config.port, PORT, "port"))
            self.ws_url = f"ws://{config.host}:{feed.getsockname()[1]}"
            behind = feed.getsockname()[1] + 1 if config.port != 0 else 0
            api = stack.enter_context(_listen(config.host, config.rest_port, behind, "rest_port"))
            self.rest_url = f"http://{config.host}:{api.getsockname()[1]}"
            labels = None if config.labels is None else stack.enter_context(_writable(config.labels))
            self._open_market(labels)
            await stack.enter_async_context(self._serve_rest(api))
            server = await serve(
                self._converse,
                sock=feed,
                process_request=self._admit,
                compression="deflate" if config.deflate else None,
                ping_interval=None,
                close_timeout=_CLOSE_S,
                max_size=_MESSAGE_MAX,
            )
            stack.push_async_callback(_close, server)
            self._publishing = asyncio.create_task(self._publish_for_ever())
            self._publishing.add_done_callback(lambda _: server.close())  # if it breaks, no client waits for ever
            stack.push_async_callback(_cancel, self._publishing)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set, or when the exchange breaks; leaving it then raises what broke it."""
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait([asked, self._publishing], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()

    def now_ns(self) -> int:
        """Present time of the market, ns: the clock's, shifted so that the market opens at the start."""
        return self._clock.now_ns() + self._shift_ns

    def _open_market(self, labels: TextIOWrapper | None) -> None:
        config = self._config
        now_ns = self._clock.now_ns()
        start_ns = now_ns if config.start is None else _nanoseconds(config.start)
        self._shift_ns = start_ns - now_ns

        def write(planted: Sequence[Label]) -> None:
            if labels is not None:
                labels.writelines(msgspec.json.encode(label).decode() + "\n" for label in planted)
                labels.flush()

        self.market = Market(self._products, config.seed, start_ns, pace=config.pace, planted=config.planted)
        self._troubles = Troubles(self._planted, self._products, self.market.start_ns)
        self._publisher = Publisher(self.market, self._history, write, self._troubles)

    async def _publish_for_ever(self) -> None:
        while True:
            if self._own is not None:
                notice(self._own)
            now_ns = self.now_ns()
            for client in self._clients:
                client.subscriptions.drop(self._troubles.delisted(now_ns))
            while self._publisher.publish(now_ns, self._clients):  # noqa: ASYNC110  # not polling: each turn publishes
                await asyncio.sleep(0)  # a second behind or more: let the sockets breathe
            for client in self._clients:
                client.send([], now_ns)
            self._hang_up(now_ns)
            deadlines = [client.deadline_ns for client in self._clients if not client.subscriptions.greeted]
            wake_ns = min([self._publisher.wake_ns(), *deadlines])
            await self._sleep(max(_PAUSE_MIN_S, (wake_ns - self.now_ns()) / NS))

    def _hang_up(self, now_ns: int) -> None:
        for client in [c for c in self._clients if now_ns >= c.deadline_ns and not c.subscriptions.greeted]:
            self._clients.discard(client)
            farewell = asyncio.create_task(client.connection.close(1008, "no subscribe message within 5 seconds"))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Turn away who comes on a bad day, and a browser that comes by without a WebSocket."""
        door = self._troubles.door(self.now_ns())
        if door is not None:
            status = http.HTTPStatus(door.status)
            length = {"Content-Length": str(len(door.body)), "Connection": "close"}
            return Response(status.value, status.phrase, Headers(door.headers | length), door.body)
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return None
        return connection.respond(
            http.HTTPStatus.UPGRADE_REQUIRED, "This is a WebSocket feed; see `tapewatch exchange`.\n"
        )

    async def _converse(self, connection: ServerConnection) -> None:
        faults = self._config.faults
        client = Client(
            connection,
            Subscriptions(self._products),
            Injector(faults, self._config.seed, self._connections) if faults.any else None,
            deadline_ns=self.now_ns() + SUBSCRIBE_WITHIN_NS,
            backlog_max=self._config.backlog_max,
        )
        self._connections += 1
        self._clients.add(client)
        try:
            async for message in connection:
                self._answer(client, client.subscriptions.receive(message, self._troubles.manners(self.now_ns())))
        except ConnectionClosedError:
            pass  # clients come and go; one that vanished needs no obituary
        finally:
            self._clients.discard(client)

    def _answer(self, client: Client, answer: Answer) -> None:
        greetings = [frame for symbol in answer.opened for frame in self._publisher.last_match(symbol)]
        client.send(answer.frames + greetings, self.now_ns())

    @contextlib.asynccontextmanager
    async def _serve_rest(self, listener: socket.socket) -> AsyncIterator[None]:
        app = rest.app(
            self._products,
            self._history,
            self.now_ns,
            lambda: self._publisher.published_ns,
            lambda: self._troubles.delisted(self.now_ns()),
        )
        config = uvicorn.Config(
            rest.guarded(app, lambda: self._troubles.door(self.now_ns())),
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
        )
        server = _Uvicorn(config)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await serving


def _nanoseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000


class _Uvicorn(uvicorn.Server):
    """Signals belong to the command, not to a server inside it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _listen(host: str, asked: int | None, default: int, name: str) -> Iterator[socket.socket]:
    """Listen on the port that was asked for, or on the first free one from the default on."""
    first = default if asked is None else asked
    for port in range(first, first + (_PORTS_TRIED if asked is None and default else 1)):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                raise ConfigError(f"exchange.host: expected an address of this machine, found {host!r}") from None
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            continue
        listener.setblocking(False)
        with listener:
            yield listener
        return
    found = f"port {asked} is taken or not allowed" if asked is not None else f"all ports from {first} on are taken"
    raise ConfigError(f"exchange.{name}: expected a free port on {host}, but {found}")


@contextlib.contextmanager
def _writable(path: str) -> Iterator[TextIOWrapper]:
    try:
        file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115  # what goes wrong inside must not look like this
    except OSError as error:
        raise ConfigError(f"exchange.labels: {path} cannot be written: {error.strerror}") from None
    with file:
        yield file


async def _close(server: Server) -> None:
    server.close()
    await server.wait_closed()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
