"""Helpers around the simulated exchange: seconds of a market, rows for the detector, a client that only listens."""

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapewatch.capture.coinbase import Coinbase
from tapewatch.model import NS, PRICE_SCALE, ROW, Kind, Lane, Rows, RowTuple
from tapewatch.simulate.faults import Faults, Injector
from tapewatch.simulate.history import History
from tapewatch.simulate.market import Block, Market, Pace, Prints
from tapewatch.simulate.plants import Label
from tapewatch.simulate.products import PRODUCTS, Product
from tapewatch.simulate.publisher import Publisher
from tapewatch.simulate.troubles import Troubles, troubles

START_NS = 1_783_465_080 * NS
"""2026-07-07T22:58:00Z."""


def trade(market: Market, seconds: int) -> list[Block]:
    """Take the first seconds from the start on."""
    blocks = (block for block in market.blocks() if block.start_ns >= market.start_ns)
    return list(itertools.islice(blocks, seconds))


def prints_of(blocks: Sequence[Block], index: int) -> Prints:
    """One product's prints, in order."""
    return np.concatenate([block.by_product[index] for block in blocks])


def prices(prints: Prints, product: Product) -> NDArray[np.float64]:
    """Prices in the quote currency."""
    return prints["ticks"] / product.ticks_per_unit


def rows_of(block: Block, products: Sequence[Product], heard: NDArray[np.int64]) -> Rows:
    """Make what capture would of a second: its trades, then a CLOCK per lane; `heard` keeps the last frames' times."""
    data = np.zeros(len(block.prints) + len(products), dtype=ROW)
    trades, clocks = data[: len(block.prints)], data[len(block.prints) :]
    for name in ("ts", "trade_id", "sequence", "side"):
        trades[name] = block.prints[name]
    units = np.array([PRICE_SCALE // product.ticks_per_unit for product in products])
    trades["price"] = block.prints["ticks"] * units[block.prints["product"]]
    trades["size"] = block.prints["size"] / 1e8
    trades["lane"] = block.prints["product"]
    trades["recv_ts"] = trades["ts"]
    trades["kind"] = Kind.TRADE
    loud = [i for i in range(len(products)) if i not in block.muted]
    heard[loud] = block.start_ns + NS - 1
    clocks["lane"] = np.arange(len(products))
    clocks["recv_ts"] = block.start_ns + NS
    clocks["aux"] = heard
    clocks["kind"] = Kind.CLOCK
    return Rows(tuple(Lane("coinbase", product.id) for product in products), data)


class Listener:
    """A client without a socket: it keeps what is sent to it."""

    def __init__(self, products: Sequence[Product] = PRODUCTS) -> None:
        self.matches = self.heartbeats = [product.id for product in products]
        self.raw: list[bytes] = []

    def send(self, frames: list[bytes], now_ns: int, *, matches: bool = False) -> None:  # noqa: ARG002  # a Client's
        self.raw += frames

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for raw in self.raw]


class Capture:
    """A client without a socket whose frames are spoiled on the way, and which captures what comes.

    Attributes
    ----------
    rows
        What the capture has let go.
    """

    def __init__(self, products: Sequence[Product], faults: Faults, seed: int, now_ns: int) -> None:
        self.matches = self.heartbeats = [product.id for product in products]
        self.venue = Coinbase(self.matches)
        self.rows: list[RowTuple] = self.venue.start(now_ns)
        self._injector = Injector(faults, seed, 0)
        self.venue.subscribe(now_ns)

    def send(self, frames: list[bytes], now_ns: int, *, matches: bool = False) -> None:
        for frame in self._injector.pass_on(frames, now_ns, matches=matches):
            self.rows += self.venue.receive(frame.payload.decode() if frame.text else frame.payload, now_ns)

    def tick(self, now_ns: int) -> None:
        self.send([], now_ns)
        self.rows += self.venue.tick(now_ns)


def captured(
    products: Sequence[Product], seed: int, seconds: int, faults: Faults, rate: float, bad_day: Sequence[str] = ()
) -> Rows:
    """Capture a simulated market for so many seconds of its own time; `rate` is its trades a second.

    `bad_day`: what the venue puts its clients through.
    """
    market = Market(products, seed, START_NS, pace=Pace(rate=rate))
    source = publisher(market, troubles=Troubles(troubles(bad_day, products), products, START_NS))
    capture = Capture(products, faults, seed, START_NS)
    for now_ns in range(START_NS, START_NS + seconds * NS, NS // 5):
        publish_until(source, now_ns, capture)  # type: ignore[arg-type]
        capture.tick(now_ns)
    return Rows.of(capture.venue.lanes, capture.rows)


def publisher(
    market: Market, planted: Callable[[Sequence[Label]], None] = lambda _: None, troubles: Troubles | None = None
) -> Publisher:
    """Make a publisher with a history of its own."""
    return Publisher(market, History(market.products), planted, troubles)


def publish_until(source: Publisher, until_ns: int, *clients: Listener) -> None:
    """Publish everything up to a time, as a loop that comes late does."""
    while source.publish(until_ns, clients):  # type: ignore[arg-type]
        pass
