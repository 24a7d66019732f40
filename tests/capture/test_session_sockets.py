"""The session over real WebSockets on loopback; only its clock and its waits belong to the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from support.frames import START_NS, heartbeat, match, subscriptions
from support.ledgers import words
from support.virtual_time import VirtualTime, until
from support.wires import Caught
from tapewatch.capture.config import CaptureConfig, CoinbaseConfig
from tapewatch.capture.connection import MESSAGE_MAX
from tapewatch.capture.session import Session
from tapewatch.capture.standing import FeedState
from tapewatch.errors import ConfigError
from tapewatch.model import Kind, Lane

BTC = Lane("coinbase", "BTC-USD")
Script = Callable[["Exchange", ServerConnection], Awaitable[None]]


class Exchange:
    """A server on loopback that plays one script per connection, and repeats the last one."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.connections: list[ServerConnection] = []
        self.requests: list[str] = []
        self.deflates: list[bool] = []

    async def handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        self.deflates.append(any(each.name == "permessage-deflate" for each in connection.protocol.extensions))
        self.requests.append(str(await connection.recv()))
        await self.scripts[min(len(self.connections), len(self.scripts)) - 1](self, connection)


class Rig:
    """A session and the exchange that it talks to."""

    def __init__(self, exchange: Exchange, url: str) -> None:
        self.exchange = exchange
        self.time = VirtualTime(START_NS)
        self.caught = Caught()
        config = CaptureConfig(
            symbols=("BTC-USD",), coinbase=CoinbaseConfig(ws_url=url), connect_timeout_s=0.5, silence_s=10
        )
        self.session = Session(config, clock=self.time, sleep=self.time.sleep)

    @property
    def state(self) -> FeedState:
        return self.session.status()[BTC]

    def tape(self) -> list[str]:
        return [word for word in words(self.caught.rows) if word != "CLOCK"]

    async def told(self, *expected: str) -> None:
        await until(lambda: len(self.tape()) >= len(expected))
        assert self.tape() == list(expected)


@asynccontextmanager
async def running(*scripts: Script, compression: str | None = "deflate") -> AsyncIterator[Rig]:
    exchange = Exchange(*scripts)
    async with serve(exchange.handle, "127.0.0.1", 0, max_size=None, compression=compression) as server:
        port = server.sockets[0].getsockname()[1]
        rig = Rig(exchange, f"ws://127.0.0.1:{port}")
        task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
        try:
            yield rig
        finally:
            rig.session.stop()
            async with asyncio.timeout(5):
                await task
            for connection in exchange.connections:
                connection.transport.abort()  # one that plays dead would never notice


def says(
    *frames: str | bytes | tuple[str, ...], then: Callable[[ServerConnection], Awaitable[None]] | None = None
) -> Script:
    """Send frames, then do something, by default wait for the client to go."""

    async def script(_: Exchange, connection: ServerConnection) -> None:
        for each in frames:
            await connection.send(each)
        await (then(connection) if then is not None else connection.wait_closed())

    return script


async def goodbye(connection: ServerConnection) -> None:
    await connection.close(1001, "going away")


async def cut(connection: ServerConnection) -> None:
    connection.transport.abort()


async def play_dead(connection: ServerConnection) -> None:
    connection.transport.pause_reading()  # from now on it answers nothing, not even a close
    await connection.wait_closed()


async def test_trades_come_through_a_compressed_socket() -> None:
    async with running(says(subscriptions("BTC-USD"), match(7), heartbeat(7), match(8))) as rig:
        await rig.told("TRADE 7", "TRADE 8")
        assert rig.state.state == "live"
        assert json.loads(rig.exchange.requests[0])["channels"] == ["matches", "heartbeat"]
        assert rig.exchange.deflates == [True]


async def test_a_burst_comes_through_whole() -> None:
    async with running(says(*(match(n) for n in range(1, 20_001)))) as rig:
        await until(lambda: len(rig.caught.rows) == 20_000)
        assert [row[2] for row in rig.caught.rows] == list(range(1, 20_001))
        assert max(rig.caught.batches) > 1, "what has arrived together is let go together"


@pytest.mark.parametrize(
    ("end", "why"),
    [(goodbye, "coinbase closed the connection (1001 going away)"), (cut, "the connection was lost")],
)
async def test_it_connects_anew_however_the_connection_ends(
    end: Callable[[ServerConnection], Awaitable[None]], why: str
) -> None:
    async with running(says(match(1), then=end), says(match(4, type="last_match"))) as rig:
        await until(lambda: rig.state.next_try_ts is not None)
        assert rig.state.reason == why
        assert rig.tape() == ["TRADE 1"]
        await rig.time.advance(1)
        await rig.told("TRADE 1", "GAP 2-3", "TRADE 4")
        assert rig.state.reconnects == 1


async def test_a_frame_of_5_mb_is_set_aside_and_the_same_connection_goes_on() -> None:
    big = match(2, note="x" * 5_000_000)
    async with running(says(match(1), big, b"\x00\x01", "{", match(3))) as rig:
        await rig.told("TRADE 1", "GAP 2-2", "TRADE 3")
        assert [item.kind for item in rig.caught.quarantined] == ["oversized frame", "binary frame", "malformed JSON"]
        assert len(rig.exchange.connections) == 1


@pytest.mark.parametrize(
    ("compression", "frame", "size"),
    [
        (None, "x" * 9_000_000, "9,000,000 bytes"),
        (None, ("x" * 5_000_000, "x" * 4_000_000), "9,000,000 bytes"),
        ("deflate", "x" * 9_000_000, "more"),
    ],
    ids=["whole", "in fragments", "compressed"],
)
async def test_a_message_beyond_the_limit_is_set_aside_although_it_ends_the_connection(
    compression: str | None, frame: str | tuple[str, ...], size: str
) -> None:
    async with running(says(match(1), frame), says(match(2)), compression=compression) as rig:
        await until(lambda: rig.state.next_try_ts is not None)
        assert "1009" in rig.state.reason
        (item,) = rig.caught.quarantined
        assert (item.symbol, item.raw) == (None, b"")
        assert item.reason == f"oversized frame: {size}, at most {MESSAGE_MAX:,} bytes are received"
        await rig.time.advance(1)
        await rig.told("TRADE 1", "TRADE 2")
        assert rig.state.reconnects == 1


async def test_text_that_is_no_text_is_set_aside_although_it_ends_the_connection() -> None:
    async def garble(connection: ServerConnection) -> None:
        await connection.send(b"\xff\xfe", text=True)
        await connection.wait_closed()

    async with running(says(match(1), then=garble), says(match(2))) as rig:
        await until(lambda: rig.state.next_try_ts is not None)
        assert [(item.kind, item.raw) for item in rig.caught.quarantined] == [("binary frame", b"\xff\xfe")]
        assert "1007" in rig.state.reason
        await rig.time.advance(1)
        await rig.told("TRADE 1", "TRADE 2")


@pytest.mark.parametrize("peer", [None, play_dead], ids=["that says nothing", "that is dead"])
async def test_a_venue_is_given_up(peer: Callable[[ServerConnection], Awaitable[None]] | None) -> None:
    async with running(says(then=peer), says(match(1))) as rig:
        await until(lambda: len(rig.exchange.requests) == 1)
        await rig.time.advance(8)
        await until(lambda: rig.state.next_try_ts is not None)
        assert rig.state.reason.endswith("(coinbase did not answer two requests to subscribe, 4 s each)")
        clocks = [row for row in rig.caught.rows if row[8] == Kind.CLOCK]
        assert len(clocks) == 8, "silence is on the tape"
        await rig.time.advance(5)
        await rig.told("TRADE 1")


async def test_a_server_that_is_gone_is_tried_again_until_it_is_back() -> None:
    async with running(says(match(1), then=goodbye)) as rig:
        await until(lambda: rig.state.next_try_ts is not None)
        for _ in range(3):
            connections = len(rig.exchange.connections)
            while len(rig.exchange.connections) == connections:
                await rig.time.advance(1)
                await asyncio.sleep(0.01)
        assert rig.state.attempts <= 1, "each time it was heard, so nothing piles up"


async def test_an_address_where_nobody_listens_is_told_in_words() -> None:
    async with serve(lambda connection: connection.wait_closed(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    rig = Rig(Exchange(says()), f"ws://127.0.0.1:{port}")
    task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
    await until(lambda: rig.state.next_try_ts is not None)
    assert rig.state.reason == f"no data: never connected (cannot connect to ws://127.0.0.1:{port}: Connection refused)"
    rig.session.stop()  # in the middle of backing off
    await task
    assert rig.state.state == "stopped"


async def test_a_server_that_never_answers_the_handshake_is_given_up() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        rig = Rig(Exchange(says()), f"ws://127.0.0.1:{port}")
        task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
        await until(lambda: rig.state.next_try_ts is not None)
        assert rig.state.reason == f"no data: never connected (no answer from ws://127.0.0.1:{port})"
        rig.session.stop()
        await task


async def test_a_web_server_that_is_no_feed_is_told_in_words() -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        rig = Rig(Exchange(says()), f"ws://127.0.0.1:{port}")
        task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
        await until(lambda: rig.state.next_try_ts is not None)
        assert rig.state.reason == "no data: never connected (coinbase refused the connection (HTTP 404))"
        rig.session.stop()
        await task


async def test_an_address_that_can_be_none_ends_the_run_with_a_sentence() -> None:
    rig = Rig(Exchange(says()), "ws://a..b:1/")
    with pytest.raises(ConfigError, match="ws_url"):
        await rig.session.run(rig.caught.emit, rig.caught.quarantine)


async def test_stop_ends_a_dead_connection_too() -> None:
    async with running(says(match(1), then=play_dead)) as rig:
        await rig.told("TRADE 1")
        rig.session.stop()
        async with asyncio.timeout(5):  # a tenth of it is due; the library alone would wait twice as long
            await until(lambda: rig.state.state == "stopped")
