"""The exchange over real sockets of this machine, in a time that the test moves."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.protocol import State

from support.simulated import START_NS
from support.virtual_time import PATIENCE_S, VirtualTime, until
from tapewatch.errors import ConfigError
from tapewatch.model import NS
from tapewatch.simulate.exchange import Exchange, ExchangeConfig
from tapewatch.simulate.faults import OVERSIZED_BYTES, Faults
from tapewatch.simulate.market import Pace
from tapewatch.simulate.plants import Label

BOTH = {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": ["matches", "heartbeat"]}


class Rig:
    """An open exchange and its time."""

    def __init__(self, exchange: Exchange, time: VirtualTime) -> None:
        self.exchange, self.time = exchange, time
        self.clients: list[ClientConnection] = []

    async def dial(self, **options: Any) -> ClientConnection:
        known = len(self.exchange._clients)
        client = await connect(self.exchange.ws_url, **{"compression": None, "max_size": None, **options})
        self.clients.append(client)
        await until(lambda: len(self.exchange._clients) > known)
        return client

    async def subscribed(self, request: dict[str, Any] = BOTH, **options: Any) -> ClientConnection:
        client = await self.dial(**options)
        await client.send(json.dumps(request))
        assert (await hear(client))["type"] == "subscriptions"
        return client


async def hear(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        frame: dict[str, Any] = json.loads(await client.recv())
        return frame


async def hear_to_the_end(client: ClientConnection) -> None:
    while True:
        await hear(client)


async def hear_until_beat(client: ClientConnection, second: int, symbol: str = "ETH-USD") -> list[dict[str, Any]]:
    """Hear everything up to the heartbeat of a second after the start, which is still part of it."""
    heard = [await hear(client)]
    while not (
        heard[-1]["type"] == "heartbeat"
        and heard[-1]["product_id"] == symbol
        and heard[-1]["time"] == f"2026-07-07T22:58:{second:02d}.000000Z"
    ):
        heard.append(await hear(client))
    return heard


@asynccontextmanager
async def opened(*, wait_s: float = 0.5, **config: Any) -> AsyncIterator[Rig]:
    time = VirtualTime(START_NS)
    given = {"port": 0, "rest_port": 0, "symbols": ("BTC-USD", "ETH-USD"), "planted": False} | config
    async with Exchange(ExchangeConfig(**given), clock=time, sleep=time.sleep) as exchange:
        await time.advance(wait_s)
        rig = Rig(exchange, time)
        try:
            yield rig
        finally:
            for client in rig.clients:
                client.transport.abort()
                await client.wait_closed()


async def test_a_subscription_from_acknowledgement_to_feed() -> None:
    async with opened() as rig:
        client = await rig.dial()
        await client.send(json.dumps(BOTH))
        heard = [await hear(client) for _ in range(3)]
        assert heard[0] == {
            "type": "subscriptions",
            "channels": [
                {"name": name, "product_ids": ["BTC-USD", "ETH-USD"], "account_ids": None}
                for name in ("matches", "heartbeat")
            ],
        }
        assert [(frame["type"], frame["product_id"]) for frame in heard[1:]] == [
            ("last_match", "BTC-USD"),
            ("last_match", "ETH-USD"),
        ]
        await rig.time.advance(5)
        told = await hear_until_beat(client, 5)
        last = {frame["product_id"]: frame["trade_id"] for frame in heard[1:]}
        for frame in told:
            if frame["type"] == "match":
                assert frame["trade_id"] == last[frame["product_id"]] + 1
                last[frame["product_id"]] += 1
            else:
                assert (frame["type"], frame["last_trade_id"]) == ("heartbeat", last[frame["product_id"]])
        assert len([frame for frame in told if frame["type"] == "match"]) > 20


async def test_unsubscribing_ends_the_feed() -> None:
    async with opened() as rig:
        client = await rig.subscribed()
        await client.send(json.dumps({"type": "unsubscribe", "channels": ["matches"]}))
        while (frame := await hear(client))["type"] != "subscriptions":
            assert frame["type"] == "last_match"
        assert [channel["name"] for channel in frame["channels"]] == ["heartbeat"]
        await rig.time.advance(5)
        assert {frame["type"] for frame in await hear_until_beat(client, 5)} == {"heartbeat"}


async def test_who_has_not_subscribed_within_five_seconds_is_sent_away() -> None:
    async with opened() as rig:
        silent, wrong, good = await rig.dial(), await rig.dial(), await rig.subscribed()
        await wrong.send("{")
        assert (await hear(wrong))["message"] == "Malformed JSON"
        await rig.time.advance(4.99)
        await asyncio.gather(*(client.ping() for client in (silent, wrong)))
        await rig.time.advance(0.02)
        for client in (silent, wrong):
            with pytest.raises(ConnectionClosedError) as caught:
                await hear_to_the_end(client)
            assert caught.value.rcvd
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (
                1008,
                "no subscribe message within 5 seconds",
            )
        await hear_until_beat(good, 5)


@pytest.mark.parametrize("deflate", [False, True])
async def test_two_exchanges_with_one_seed_say_the_same_to_the_letter(deflate: bool) -> None:
    async def tape(steps: list[float]) -> list[str]:
        async with opened(seed=11, planted=True, deflate=deflate) as rig:
            client = await rig.subscribed(compression="deflate" if deflate else None)
            for step in steps:
                await rig.time.advance(step)
            heard: list[str] = []
            while not heard or '"heartbeat"' not in heard[-1] or ':22.000000Z"' not in heard[-1]:
                heard.append(str(await client.recv()))
            return heard

    assert await tape([22.0]) == await tape([0.3] * 80)


async def test_a_market_can_be_given_a_start() -> None:
    start = datetime(2025, 10, 10, 21, 20, tzinfo=UTC)
    async with opened(start=start, wait_s=5.0) as rig:
        client = await rig.dial()
        await client.send(json.dumps(BOTH))
        await hear(client)
        assert (await hear(client))["time"].startswith("2025-10-10T21:20:0")
        async with httpx.AsyncClient() as asking:
            told = (await asking.get(f"{rig.exchange.rest_url}/time")).json()
        assert told["iso"] == "2025-10-10T21:20:05.000Z"


async def test_feed_and_rest_agree() -> None:
    async with opened() as rig, httpx.AsyncClient() as asking:
        client = await rig.subscribed()
        await rig.time.advance(20)
        told = [frame for frame in await hear_until_beat(client, 20) if frame.get("product_id") == "BTC-USD"]
        pages = (await asking.get(f"{rig.exchange.rest_url}/products/BTC-USD/trades")).json()
        newest = next(frame["last_trade_id"] for frame in reversed(told) if frame["type"] == "heartbeat")
        by_id = {trade["trade_id"]: trade for trade in pages}
        assert max(by_id) >= newest
        for frame in (frame for frame in told if "trade_id" in frame):
            trade = by_id[frame["trade_id"]]
            assert (trade["side"], trade["time"]) == (frame["side"], frame["time"])
            assert (float(trade["price"]), float(trade["size"])) == (float(frame["price"]), float(frame["size"]))


async def test_a_slow_consumer_is_dropped_and_the_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    limit = 300_000
    async with opened(pace=Pace(rate=5000.0), backlog_max=limit) as rig:
        good, slow = await rig.subscribed(), await rig.subscribed()
        served = {client.connection.remote_address: client for client in rig.exchange._clients}
        good_side, slow_side = (served[client.local_address].connection for client in (good, slow))
        slow.transport.pause_reading()
        reading = asyncio.create_task(hear_to_the_end(good))
        largest = 0
        while slow_side.state is State.OPEN:
            await rig.time.advance(0.1)
            largest = max(largest, slow_side.transport.get_write_buffer_size())
            await until(lambda: good_side.transport.get_write_buffer_size() == 0)
            assert rig.time.now_ns() < START_NS + 100 * NS, "kernels buffer some megabytes, not this many"
        assert largest < limit + 500_000, "memory stays bounded"
        assert good_side.state is State.OPEN
        (told,) = [record.getMessage() for record in caplog.records if record.name == "tapewatch"]
        assert told.startswith("consumer_dropped waiting_bytes=")
        assert told.endswith(f" limit={limit}")
        slow.transport.resume_reading()
        with pytest.raises(ConnectionClosedError) as caught:
            await hear_to_the_end(slow)
        assert caught.value.rcvd is None, "a farewell would have joined the queue"
        reading.cancel()


async def test_faults_reach_the_socket() -> None:
    async with opened(faults=Faults(binary=0.2, oversized=0.02, disconnect=0.004), wait_s=1.0) as rig:
        client = await rig.subscribed()
        kinds: set[str] = set()

        async def listen() -> None:
            while True:
                raw = await client.recv()
                kinds.add("binary" if isinstance(raw, bytes) else "long" if len(raw) > OVERSIZED_BYTES else "text")

        listening = asyncio.create_task(listen())
        while not listening.done():
            await rig.time.advance(1)
        with pytest.raises(ConnectionClosedError) as caught:
            await listening
        assert caught.value.rcvd is None, "no farewell"
        assert kinds == {"binary", "long", "text"}
        again = await rig.subscribed()
        assert (await hear(again))["type"] == "last_match"


async def test_labels_are_written_when_what_they_name_begins(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    async with opened(planted=True, labels=str(path)) as rig:
        assert path.read_text() == ""
        await rig.time.advance(21)
        (label,) = [msgspec.json.decode(line, type=Label) for line in path.read_text().splitlines()]
        assert (label.kind, label.symbol) == ("flash_crash", "BTC-USD")
        await rig.time.advance(180)
        assert len(path.read_text().splitlines()) >= 2


@pytest.mark.parametrize(
    ("trouble", "status", "header", "text"),
    [("busy:7@1", 503, ("Retry-After", "7"), b"Service"), ("page@1", 200, ("Content-Type", "text/html"), b"<!DOC")],
)
async def test_on_a_bad_day_nobody_comes_in_by_either_door(
    trouble: str, status: int, header: tuple[str, str], text: bytes
) -> None:
    async with opened(troubles=(trouble,)) as rig:
        await rig.dial()
        await rig.time.advance(1)
        with pytest.raises(InvalidStatus) as caught:
            await rig.dial()
        answer = caught.value.response
        assert (answer.status_code, answer.headers[header[0]][: len(header[1])]) == (status, header[1])
        assert bytes(answer.body).startswith(text)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{rig.exchange.rest_url}/time")).content.startswith(text)


async def test_a_product_delisted_while_it_runs_goes_silent_until_it_is_listed_and_asked_for_again() -> None:
    async with opened(troubles=("delist:ETH-USD@3+4", "whole")) as rig:
        client = await rig.subscribed()
        await rig.time.advance(5)
        heard = await hear_until_beat(client, 5, "BTC-USD")
        silent = {frame["product_id"] for frame in heard if frame.get("time", "") >= "2026-07-07T22:58:03"}
        assert silent == {"BTC-USD"}
        await client.send(json.dumps(BOTH))
        while (answer := await hear(client))["type"] != "error":
            assert answer["product_id"] == "BTC-USD"
        assert answer["reason"] == "ETH-USD is delisted"
        await rig.time.advance(5)
        heard = await hear_until_beat(client, 10, "BTC-USD")
        assert {frame["product_id"] for frame in heard} == {"BTC-USD"}, "nobody has asked"
        await client.send(json.dumps(BOTH))
        while (answer := await hear(client))["type"] != "subscriptions":
            assert answer["product_id"] == "BTC-USD"
        assert (await hear(client))["product_id"] == "ETH-USD", "its last match"


async def test_a_browser_is_told_what_this_is() -> None:
    async with opened() as rig, httpx.AsyncClient() as asking:
        answer = await asking.get(rig.exchange.ws_url.replace("ws:", "http:"))
        assert answer.status_code == 426
        assert "WebSocket" in answer.text


async def test_a_port_that_was_asked_for_and_is_taken_is_one_clear_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        for name in ("port", "rest_port"):
            with pytest.raises(ConfigError, match=rf"exchange\.{name}: .*port {taken} is taken"):
                async with opened(**{name: taken}):
                    pytest.fail("opened on a port of somebody else")


async def test_a_default_port_that_is_taken_gives_the_next_free_one() -> None:
    async with opened(port=None, rest_port=None) as one, opened(port=None, rest_port=None) as other:
        urls = {one.exchange.ws_url, one.exchange.rest_url, other.exchange.ws_url, other.exchange.rest_url}
        assert len({url.rpartition(":")[2] for url in urls}) == 4
        async with httpx.AsyncClient() as asking:
            for rig in (one, other):
                assert (await asking.get(f"{rig.exchange.rest_url}/time")).status_code == 200


async def test_labels_that_cannot_be_written_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"exchange\.labels: .* cannot be written: No such file"):
        async with opened(labels=str(tmp_path / "nowhere" / "labels")):
            pytest.fail("opened without its labels")


async def test_what_breaks_the_exchange_is_raised_and_no_client_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> bool:
        raise RuntimeError("a bug")

    async def be_served() -> None:
        async with opened() as rig:
            client = await rig.subscribed()
            monkeypatch.setattr(rig.exchange._publisher, "publish", break_down)
            await rig.time.advance(2)
            with pytest.raises(ConnectionClosed):
                await hear_to_the_end(client)
            await rig.exchange.serve_until(asyncio.Event())

    with pytest.raises(RuntimeError, match="a bug"):
        await be_served()


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "2014-01-01T00:00:00Z"},
        {"start": "2101-01-01T00:00:00Z"},
        {"start": "2026-07-07T22:58:00"},
        {"port": 65_536},
        {"pace": {"rate": 0}},
        {"pace": {"rats": 1}},
        {"seed": -1},
        {"prot": 1},
        {"troubles": ["strike"]},
    ],
)
def test_a_wrong_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, ExchangeConfig)


def test_times_are_exact_to_the_microsecond() -> None:
    config = msgspec.convert({"start": "2026-07-07T22:58:00.000001Z"}, ExchangeConfig)
    time = VirtualTime(5 * NS)
    exchange = Exchange(config, clock=time)
    exchange._open_market(None)
    assert exchange.now_ns() == START_NS + 1000
