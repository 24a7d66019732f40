"""Trades a second that the simulated exchange makes, words and sends, and the share of a core that it needs for them.

Run: ``.venv/bin/python benchmarks/bench_exchange.py``. The exchange serves from a process of its own.
"""

import asyncio
import itertools
import json
import multiprocessing
import re
import socket
import time
from datetime import datetime
from multiprocessing.connection import Connection
from statistics import quantiles

from rich.console import Console
from rich.table import Table

from tapewatch.model import NS
from tapewatch.simulate import frames
from tapewatch.simulate.exchange import Exchange, ExchangeConfig
from tapewatch.simulate.market import Market, Pace
from tapewatch.simulate.products import PRODUCTS

TEN = PRODUCTS[:10]
SYMBOLS = tuple(product.id for product in TEN)
START_NS = 1_783_465_080 * NS
SERVED_S = 8.0
REPEATS = 3


def made(rate: float, seconds: int) -> tuple[int, float]:
    """Make a market's prints; return how many, and the seconds of processor time."""
    market = Market(TEN, 7, START_NS, pace=Pace(rate=rate), past_s=0)
    started = time.process_time()
    count = sum(len(block.prints) for block in itertools.islice(market.blocks(), seconds))
    return count, time.process_time() - started


def worded() -> tuple[int, float]:
    """Write a frame for each print of a second; return how many, and the seconds of processor time."""
    prints = next(Market(TEN, 7, START_NS, pace=Pace(rate=20_000.0), past_s=0).blocks()).prints
    started = time.process_time()
    told = frames.matches(prints, TEN)
    return len(told), time.process_time() - started


def serve(pipe: Connection, rate: float | None) -> None:
    """Serve until asked twice for the processor time used so far."""

    async def run() -> None:
        config = ExchangeConfig(port=0, rest_port=0, symbols=SYMBOLS, pace=Pace(rate=rate), planted=False)
        async with Exchange(config) as exchange:
            pipe.send(exchange.ws_url)
            for _ in range(2):
                await asyncio.to_thread(pipe.recv)
                pipe.send(time.process_time())

    asyncio.run(run())


def subscribed(url: str) -> socket.socket:
    """Connect by hand: what comes is looked at as bytes, so that reading costs next to nothing."""
    host, port = url.removeprefix("ws://").split(":")
    wire = socket.create_connection((host, int(port)))
    wire.sendall(
        b"GET / HTTP/1.1\r\nHost: exchange\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    wire.recv(4096)
    request = json.dumps({"type": "subscribe", "product_ids": SYMBOLS, "channels": ["matches"]}).encode()
    # One text frame, masked with zeros, its length in two bytes.
    wire.sendall(b"\x81\xfe" + len(request).to_bytes(2, "big") + bytes(4) + request)
    return wire


def served(rate: float | None) -> tuple[int, float, float]:
    """Read for some seconds; return trades, the exchange's processor seconds, and the p99 of a trade's way in ms."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, rate), daemon=True)
    server.start()
    wire = subscribed(ours.recv())
    taken, late_ms = 0, []
    ours.send("start")
    cpu_s = -ours.recv()
    end = time.monotonic() + SERVED_S
    while time.monotonic() < end:
        data = wire.recv(1 << 20)
        taken += data.count(b'"type":"match"')
        stamps = re.findall(rb'"time":"([^"]{27})"', data)
        if stamps and b"last_match" not in data:  # that one is older than the subscription
            late_ms.append(1000 * (time.time() - datetime.fromisoformat(stamps[0].decode()).timestamp()))
    ours.send("stop")
    while not ours.poll():
        wire.recv(1 << 20)
    cpu_s += ours.recv()
    wire.close()
    server.join()
    return taken, cpu_s, quantiles(late_ms, n=100)[98]


def main() -> None:
    """Measure and print two tables."""
    table = Table("what", "trades/s of one core", "µs a trade", "share of a core at 20,000/s")
    cases = {
        "made, 5,000/s": lambda: made(5_000.0, 20),
        "made, 20,000/s": lambda: made(20_000.0, 10),
        "worded as frames": worded,
    }
    for name, case in cases.items():
        count, took = min((case() for _ in range(REPEATS)), key=lambda result: result[1] / result[0])
        table.add_row(name, f"{count / took:,.0f}", f"{took / count * 1e6:.1f}", f"{20_000 * took / count:.0%}")
    Console(width=110).print(table)
    table = Table("served over loopback", "trades/s sent", "share of a core", "p99 from trade to client, ms")
    for rate in (None, 5_000.0, 20_000.0):
        taken, cpu_s, late_ms = served(rate)
        asked = "natural pace" if rate is None else f"{rate:,.0f}/s asked for"
        table.add_row(asked, f"{taken / SERVED_S:,.0f}", f"{cpu_s / SERVED_S:.0%}", f"{late_ms:.1f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
