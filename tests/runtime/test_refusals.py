"""A bad day at the simulated exchange, from its sockets to anomalies and readiness, in a time that the test moves."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from support.virtual_time import VirtualTime, settle, until
from tapewatch.capture.config import CaptureConfig, CoinbaseConfig
from tapewatch.capture.session import Session
from tapewatch.detect.core import Detector, Ledger
from tapewatch.detect.rules import RuleBook
from tapewatch.model import NS, Kind, Lane, Rows, RowTuple
from tapewatch.runtime.live import LiveSource
from tapewatch.runtime.source import Position, Resume, unwell
from tapewatch.simulate.exchange import Exchange, ExchangeConfig
from tapewatch.store.records import Source

START_NS = 1_783_465_080 * NS
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")
STEP_S = 0.25


class Rig:
    """An exchange, a source that captures from it, and a detector; all rows are kept."""

    def __init__(self, time: VirtualTime, exchange: Exchange, source: LiveSource) -> None:
        self.time, self.exchange, self.source = time, exchange, source
        self.rows: list[RowTuple] = []
        self.lanes: tuple[Lane, ...] = ()
        self.detector = Detector(RuleBook.of({}))
        self.anomalies: list[tuple[str, str, str]] = []
        self.said: dict[int, str | None] = {}
        self.words: set[str] = set()

    async def go_on(self, until_s: int) -> None:
        """Let the market trade, and take what comes after each quarter of a second."""
        while self.time.now_ns() < START_NS + until_s * NS:
            await self.time.advance(STEP_S)
            second_ns = self.time.now_ns() // NS * NS
            await self._caught_up(second_ns)
            while (rows := self.source.take(10_000)) is not None:
                self._keep(rows)
            said = unwell(self.source.status())
            self.said[(second_ns - START_NS) // NS] = said
            self.words.add(said or "")

    async def _caught_up(self, second_ns: int) -> None:
        # What the exchange sent before the heartbeat of this second has been read when that has been.
        def heard() -> bool:
            state = self.source.status()[Lane("coinbase", "BTC-USD")]
            return state.connected_ts is None or (state.last_frame_ts or 0) >= second_ns

        if self.time.now_ns() == second_ns and self._served():
            await until(heard)
        await settle()

    def _served(self) -> bool:
        return any("BTC-USD" in client.heartbeats for client in self.exchange._clients)

    def _keep(self, rows: Rows) -> None:
        self.lanes = rows.lanes
        self.rows += rows.data.tolist()
        for change in self.detector.update(rows).changes:
            self.anomalies.append((change.anomaly.symbol, change.anomaly.rule, change.change))

    def of(self, symbol: str, kind: Kind) -> list[RowTuple]:
        """Rows of a lane."""
        return [row for row in self.rows if self.lanes[row[7]].symbol == symbol and row[8] == kind]


@asynccontextmanager
async def bad_day(*troubles: str) -> AsyncIterator[Rig]:
    time = VirtualTime(START_NS)
    config = ExchangeConfig(port=0, rest_port=0, symbols=SYMBOLS, planted=False, troubles=troubles)
    async with AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(Exchange(config, clock=time, sleep=time.sleep))
        capture = CaptureConfig(symbols=SYMBOLS, coinbase=CoinbaseConfig(exchange.ws_url, exchange.rest_url))

        async def make(ledgers: Mapping[Lane, Ledger]) -> Session:
            return Session(capture, clock=time, sleep=time.sleep, ledgers=ledgers)

        source = LiveSource(Source("coinbase"), make, time)
        await source.start(Resume(Position(), {}))
        stack.push_async_callback(source.stop)
        yield Rig(time, exchange, source)


def contiguous(ids: list[int]) -> bool:
    return ids == list(range(ids[0], ids[0] + len(ids)))


async def test_a_product_delisted_while_it_runs_is_named_and_costs_the_others_nothing() -> None:
    async with bad_day("whole", "delist:ETH-USD@10+20") as rig:
        await rig.go_on(60)
    words = "coinbase does not serve ETH-USD: ETH-USD is delisted"
    named = [second for second, said in rig.said.items() if said == words]
    assert named, rig.said
    assert min(named) <= 18, "five seconds of silence, and an answer"
    assert 30 <= max(named) <= 50, "and no longer than until it was asked for again"
    assert rig.said[59] is None
    for symbol in ("BTC-USD", "SOL-USD"):
        trades = rig.of(symbol, Kind.TRADE)
        assert contiguous([row[2] for row in trades])
        assert not rig.of(symbol, Kind.GAP)
        assert all(row[1] - row[0] < NS for row in trades[1:]), "each came within a second of its market"
    assert len(rig.of("ETH-USD", Kind.CLOCK)) == len(rig.of("BTC-USD", Kind.CLOCK)) >= 58, "its clock never stops"
    told = [(rule, change) for symbol, rule, change in rig.anomalies if symbol == "ETH-USD"]
    assert ("silent_feed", "opened") in told
    assert ("silent_feed", "ended") in told
    assert {state.reconnects for state in rig.source.status().values()} == {0}


@pytest.mark.parametrize(
    ("troubles", "while_it_lasts", "words"),
    [
        (("whole", "delist:ETH-USD@0+20"), 10, "ETH-USD is delisted"),
        (("nameless", "delist:ETH-USD@0+20"), 15, "Invalid product ID provided"),
        (("omit:ETH-USD/matches@0+20",), 10, "its acknowledgement leaves out matches of ETH-USD"),
        (("omit:ETH-USD@0+20",), 10, "its acknowledgement leaves out matches and heartbeat of ETH-USD"),
    ],
    ids=["by name", "without a name", "a channel left out", "a product left out"],
)
async def test_who_is_refused_from_the_start_is_named_and_comes_back(
    troubles: tuple[str, ...], while_it_lasts: int, words: str
) -> None:
    async with bad_day(*troubles) as rig:
        await rig.go_on(while_it_lasts)
        assert rig.said[while_it_lasts] == f"coinbase does not serve ETH-USD: {words}"
        heartbeats = "matches of" in words  # then it is not silent, and yet blind
        assert (("ETH-USD", "silent_feed", "opened") in rig.anomalies) is not heartbeats
        assert len(rig.of("BTC-USD", Kind.TRADE)) > 0
        await rig.go_on(60)
    assert rig.said[59] is None
    assert contiguous([row[2] for row in rig.of("ETH-USD", Kind.TRADE)])


@pytest.mark.parametrize(
    ("trouble", "holds"),
    [
        ("mute@0+12", lambda said: "did not answer two requests to subscribe" in said),
        ("busy:5@0+12", lambda said: "(HTTP 503) and asks for 5 s of patience" in said),
        ("page@0+12", lambda said: "answered with a web page (HTTP 200) where a feed was expected" in said),
    ],
)
async def test_who_is_not_let_in_or_not_answered_says_why_and_goes_on_when_he_is(
    trouble: str, holds: Callable[[str], bool]
) -> None:
    async with bad_day(trouble) as rig:
        await rig.go_on(75)
    assert any(holds(words) for words in rig.words), rig.words
    assert rig.said[74] is None
    assert all(len(rig.of(symbol, Kind.TRADE)) > 0 for symbol in SYMBOLS)
