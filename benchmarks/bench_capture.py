"""Frames a second that capture takes on one core: the protocol with its ledger, and the whole session over loopback.

Run: ``.venv/bin/python benchmarks/bench_capture.py``. Frames have the size of real ones, of ten products in turn.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from rich.console import Console
from rich.table import Table
from websockets.asyncio.server import ServerConnection, serve

from tapewatch.capture.coinbase import Coinbase, Quarantined
from tapewatch.capture.config import CaptureConfig, CoinbaseConfig
from tapewatch.capture.session import Session
from tapewatch.model import NS, RowTuple

SYMBOLS = tuple(f"COIN{n}-USD" for n in range(10))
FRAMES = 100_000
REPEATS = 3
NOW = 1_783_465_200 * NS

MATCH = (
    '{"type":"match","trade_id":%d,"maker_order_id":"15bc13f2-e38c-4693-8c0b-e8c6152b9c1d",'
    '"taker_order_id":"13d7d08f-7396-421b-9dba-94eac92f3d78","side":"sell","size":"0.00015721","price":"63519.28",'
    '"product_id":"%s","sequence":%d,"time":"2026-07-07T22:58:%02d.%06dZ"}'
)


def frames(*, lost_every: int = 0, late_by: int = 10) -> Iterator[str]:
    """Make matches of all symbols in turn; of each lane's ids every `lost_every`-th comes `late_by` ids too late."""
    for n in range(FRAMES):
        lane, trade_id = n % len(SYMBOLS), 1 + n // len(SYMBOLS)
        ids = [] if lost_every and trade_id % lost_every == 0 else [trade_id]
        if lost_every and trade_id > late_by and (trade_id - late_by) % lost_every == 0:
            ids.append(trade_id - late_by)
        for each in ids:
            yield MATCH % (each, SYMBOLS[lane], 2 * n, n // 5000 % 60, n % 1_000_000)


def protocol(lost_every: int) -> tuple[int, float]:
    """Put frames through `Coinbase.receive`; return how many, and the seconds of processor time."""
    raws = list(frames(lost_every=lost_every))
    venue = Coinbase(SYMBOLS)
    venue.subscribe(NOW)
    started = time.process_time()
    for n, raw in enumerate(raws):
        venue.receive(raw, NOW + n)
    took = time.process_time() - started
    assert not venue.quarantined, "every frame is good"
    return len(raws), took


def exchange(pipe: Connection, compression: str | None) -> None:
    """Send all frames to each client as fast as it takes them, in a process of its own."""

    async def feed(connection: ServerConnection) -> None:
        await connection.recv()
        for raw in frames():
            await connection.send(raw)
        await connection.wait_closed()

    async def run() -> None:
        async with serve(feed, "127.0.0.1", 0, compression=compression) as server:
            pipe.send(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    asyncio.run(run())


def session(compression: str | None) -> tuple[int, float]:
    """Take all frames from a socket; return how many, and the seconds of this process's processor time."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=exchange, args=(theirs, compression), daemon=True)
    server.start()
    config = CaptureConfig(symbols=SYMBOLS, coinbase=CoinbaseConfig(ws_url=f"ws://127.0.0.1:{ours.recv()}"))
    taken, began = 0, 0.0
    set_aside: list[Quarantined] = []

    async def run() -> None:
        capture = Session(config)

        def emit(rows: list[RowTuple]) -> None:
            nonlocal taken, began
            began = began or time.process_time()
            taken += len(rows)
            if taken >= FRAMES:
                capture.stop()

        await capture.run(emit, set_aside.append)

    asyncio.run(run())
    took = time.process_time() - began
    assert not set_aside, "every frame is good"
    server.terminate()
    server.join()
    return taken, took


def main() -> None:
    """Measure and print a table."""
    table = Table("what", "frames/s of one core", "µs a frame", "share of a core at 20,000/s")
    cases = {
        "protocol and ledger, all in order": lambda: protocol(0),
        "protocol and ledger, each 20th id late": lambda: protocol(20),
        "whole session over loopback": lambda: session(None),
        "whole session over loopback, compressed": lambda: session("deflate"),
    }
    for name, case in cases.items():
        count, took = min((case() for _ in range(REPEATS)), key=lambda result: result[1])
        table.add_row(name, f"{count / took:,.0f}", f"{took / count * 1e6:.1f}", f"{20_000 * took / count:.0%}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
