"""Our own capture takes everything that the exchange says, over a socket and with everything going wrong."""

import asyncio
import re

import pytest

from support.simulated import START_NS, Listener, publish_until, publisher, trade
from support.virtual_time import PATIENCE_S, VirtualTime, until
from tapewatch.capture.coinbase import Coinbase, Quarantined
from tapewatch.capture.config import CaptureConfig, CoinbaseConfig
from tapewatch.capture.rest import Rest
from tapewatch.capture.session import Session
from tapewatch.model import NS, PRICE_SCALE, Kind, RowTuple
from tapewatch.simulate.exchange import Exchange, ExchangeConfig
from tapewatch.simulate.faults import Faults
from tapewatch.simulate.market import Market
from tapewatch.simulate.products import PRODUCTS
from tapewatch.simulate.subscriptions import Subscriptions

SYMBOLS = tuple(product.id for product in PRODUCTS)


def test_the_parser_accepts_every_frame_and_reads_what_was_traded() -> None:
    market = Market(PRODUCTS, 7, START_NS)
    source, listener = publisher(market), Listener()
    publish_until(source, START_NS + 40 * NS - 1, listener)
    venue, answers = Coinbase(SYMBOLS), Subscriptions(PRODUCTS)
    rows: list[RowTuple] = list(venue.start(START_NS))
    said: list[bytes] = []
    for request in venue.subscribe(START_NS):
        said += answers.receive(request).frames
    for frame in [*said, *listener.raw]:
        rows += venue.receive(frame.decode(), START_NS + 41 * NS)
    assert venue.quarantined == []
    assert venue.errors == []
    assert not venue.ignored
    told = [
        (
            int(row["ts"]),
            int(row["trade_id"]),
            int(row["sequence"]),
            int(row["ticks"]) * (PRICE_SCALE // PRODUCTS[row["product"]].ticks_per_unit),
            pytest.approx(int(row["size"]) / 1e8, rel=1e-12),
            SYMBOLS[row["product"]],
            int(row["side"]),
        )
        for block in trade(Market(PRODUCTS, 7, START_NS), 40)
        for row in block.prints
    ]
    read = [
        (ts, trade_id, sequence, price, size, venue.lanes[lane].symbol, side)
        for ts, _, trade_id, sequence, price, size, _, lane, kind, side, _ in rows
        if kind == Kind.TRADE
    ]
    assert read == told
    assert not any(row[8] == Kind.GAP for row in rows)


class Captured:
    """A session on an exchange, and what it has let go."""

    def __init__(self, exchange: Exchange, time: VirtualTime, symbols: tuple[str, ...]) -> None:
        found = CoinbaseConfig(ws_url=exchange.ws_url, rest_url=exchange.rest_url)
        self.rows: list[RowTuple] = []
        self.quarantined: list[Quarantined] = []
        self.session = Session(CaptureConfig(symbols=symbols, coinbase=found), clock=time, sleep=time.sleep)
        self.task = asyncio.create_task(self.session.run(self.rows.extend, self.quarantined.append))

    def ids(self, lane: int, *kinds: Kind) -> list[int]:
        return [row[2] for row in self.rows if row[7] == lane and row[8] in kinds]

    async def stop(self) -> None:
        self.session.stop()
        await self.task


async def test_a_session_captures_the_whole_tape_without_a_gap() -> None:
    time = VirtualTime(START_NS)
    config = ExchangeConfig(port=0, rest_port=0, symbols=SYMBOLS[:3])
    async with Exchange(config, clock=time, sleep=time.sleep) as exchange, asyncio.timeout(PATIENCE_S):
        captured = Captured(exchange, time, SYMBOLS[:3])
        await until(lambda: len(captured.ids(2, Kind.TRADE)) > 0)
        for _ in range(50):  # real sockets need a moment that virtual time does not give them
            await time.advance(0.5)
            newest = [exchange._history.last(symbol, exchange.now_ns())["trade_id"][0] for symbol in SYMBOLS[:3]]
            await until(lambda: [captured.ids(lane, Kind.TRADE)[-1] for lane in range(3)] == newest)  # noqa: B023
        await captured.stop()
    for lane in range(3):
        ids = captured.ids(lane, Kind.TRADE)
        assert ids == list(range(ids[0], ids[-1] + 1))
        assert captured.ids(lane, Kind.GAP) == []
    assert captured.quarantined == []


async def test_with_everything_going_wrong_every_trade_is_accounted_for() -> None:
    rates = {name: 0.02 for name in Faults().rates if name not in {"disconnect", "silence", "oversized", "delay"}}
    time = VirtualTime(START_NS)
    config = ExchangeConfig(port=0, rest_port=0, symbols=SYMBOLS[:3], faults=Faults(**rates, oversized=0.002))
    async with Exchange(config, clock=time, sleep=time.sleep) as exchange, asyncio.timeout(3 * PATIENCE_S):
        captured = Captured(exchange, time, SYMBOLS[:3])
        await until(lambda: len(captured.ids(2, Kind.TRADE)) > 0)
        await time.advance(80)
        await captured.stop()
    kinds = {item.kind for item in captured.quarantined}
    assert kinds >= {"binary frame", "malformed JSON", "unknown message type", "wrong field", "oversized frame"}
    for lane in range(3):
        assert captured.ids(lane, Kind.GAP), "a dropped match is a gap"
        assert captured.ids(lane, Kind.LATE), "a straggler comes late"
        told = set(captured.ids(lane, Kind.TRADE, Kind.LATE))
        for row in captured.rows:
            if row[7] == lane and row[8] == Kind.GAP:
                told |= set(range(row[2], row[6] + 1))
        set_aside = {
            int(found[1])
            for item in captured.quarantined
            if item.symbol == SYMBOLS[lane] and (found := re.search(rb'"trade_id":(\d+)', item.raw))
        }
        assert set(range(min(told), max(told) + 1)) <= told | set_aside


async def test_the_rest_client_finds_the_products() -> None:
    time = VirtualTime(START_NS)
    async with Exchange(ExchangeConfig(port=0, rest_port=0), clock=time, sleep=time.sleep) as exchange:
        found = CaptureConfig(coinbase=CoinbaseConfig(ws_url=exchange.ws_url, rest_url=exchange.rest_url))
        async with Rest(found) as rest:
            listed = {product.id: product.trading_disabled for product in await rest.products()}
            assert listed == dict.fromkeys(SYMBOLS, False) | {"YFI-USD": True}
