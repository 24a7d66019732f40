"""A feed over a real socket, with everything going wrong on it: what is stored is what its recording replays to."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.oracle import bars_of, judge
from support.runs import Memory, memory
from support.virtual_time import PATIENCE_S
from tapewatch.capture.config import CaptureConfig, CoinbaseConfig
from tapewatch.capture.session import Session
from tapewatch.carry.tape import read
from tapewatch.clock import SystemClock
from tapewatch.detect.core import Ledger
from tapewatch.errors import ConfigError
from tapewatch.model import NS, SIMULATED, Kind, Lane, Rows
from tapewatch.runtime.embedded import Embedded
from tapewatch.runtime.live import LiveSource
from tapewatch.runtime.opening import RunConfig, Settings, open_source
from tapewatch.runtime.recording import RECORDING, Recording
from tapewatch.runtime.source import Position, Resume
from tapewatch.simulate.exchange import Exchange, ExchangeConfig
from tapewatch.simulate.faults import Faults
from tapewatch.simulate.market import Pace
from tapewatch.store.records import FeedRow, Source
from tapewatch.store.sql import Store

SYMBOLS = ("BTC-USD", "DOGE-USD")
IDENTITY = Source("simulated", seed=3)
FAULTS = Faults(drop=0.01, straggle=0.02, straggle_s=0.2, duplicate=0.03, corrupt=0.01, absurd=0.01, unknown=0.01)


def live(capture: CaptureConfig) -> LiveSource:
    clock = SystemClock()

    async def make(ledgers: Mapping[Lane, Ledger]) -> Session:
        return Session(capture, clock=clock, ledgers=ledgers, venue=SIMULATED)

    return LiveSource(IDENTITY, make, clock)


async def run_until(folder: Path, capture: CaptureConfig, enough: Callable[[Sequence[FeedRow]], bool]) -> None:
    """Run, with a recording, until what is stored of the feed is enough."""
    store = Store.open(folder / "x.db", source=IDENTITY)
    at = 0 if (position := store.state("position")) is None else msgspec.json.decode(position, type=Position).rows
    recording = Recording.open(folder / "rec", store.state(RECORDING), at)
    source = live(capture)
    run = Embedded(store, source, {}, clock=SystemClock(), recording=recording)
    stored = run._store.commit

    def commit(what: Any) -> int:
        revision = stored(what)
        if enough(what.feed):
            loop.call_soon_threadsafe(run.stop)
        return revision

    loop = asyncio.get_running_loop()
    run._store.commit = commit  # type: ignore[method-assign]
    async with asyncio.timeout(3 * PATIENCE_S):
        await run.run()


def trades(wanted: int) -> Callable[[Sequence[FeedRow]], bool]:
    return lambda feed: sum(row.trades for row in feed) >= wanted


def everything_once(feed: Sequence[FeedRow]) -> bool:
    """Tell whether each lane has had each kind of trouble, and has a gap open for the restart to give up.

    Of the gaps that are open a straggler may still close one before the run ends, but not the several of one lane.
    """
    return len(feed) == len(SYMBOLS) and all(
        row.trades >= 100
        and row.now_ts - (row.connected_ts or row.now_ts) >= 2 * NS  # so that the clock has spoken
        and row.duplicates > 0
        and row.quarantined > 0
        and row.gaps_filled > 0
        and row.gaps_opened - row.gaps_filled - row.gaps_given_up >= 4
        for row in feed
    )


def everything_again(first: Memory) -> Callable[[Sequence[FeedRow]], bool]:
    """Tell of the run after a restart whether its counters went on, and whether what was open was given up."""
    return lambda feed: all(
        row.trades >= first.counters[row.lane][0] + 100
        and row.duplicates > first.counters[row.lane][1]
        and row.gaps_given_up > 0
        for row in feed
    )


async def test_live_equals_its_recording_through_faults_and_a_restart(tmp_path: Path) -> None:
    pace = Pace(rate=400.0)
    config = ExchangeConfig(port=0, rest_port=0, seed=3, symbols=SYMBOLS, pace=pace, faults=FAULTS)
    async with Exchange(config) as exchange:
        found = CoinbaseConfig(ws_url=exchange.ws_url, rest_url=exchange.rest_url)
        capture = CaptureConfig(symbols=SYMBOLS, coinbase=found)
        await run_until(tmp_path, capture, everything_once)
        first = memory(tmp_path / "x.db")
        await asyncio.sleep(0.3)  # the market goes on while nobody listens
        await run_until(tmp_path, capture, everything_again(first))

    parts = list(read([tmp_path / "rec"]))
    rows = Rows.of(parts[-1].lanes, [row for part in parts for row in part.data.tolist()])
    assert rows.lanes[: len(parts[0].lanes)] == parts[0].lanes
    assert set(rows.data["kind"].tolist()) == set(Kind) - {Kind.EPOCH}

    kept, verdict = memory(tmp_path / "x.db"), judge(rows)
    assert kept.told() == verdict.changes
    last = {change.anomaly.id: change.anomaly for change in verdict.changes}
    assert kept.anomalies == last | {anomaly.id: anomaly for anomaly in verdict.open}
    bars = bars_of(rows, verdict.new)
    assert {key: (values[6], values[7]) for key, values in kept.bars.items()} == {
        (*key[0], key[1], key[2]): (bar.count, pytest.approx(bar.volume)) for key, bar in bars.items()
    }

    for lane, (trades, duplicates, quarantined, opened, filled, given_up) in kept.counters.items():
        of_lane = rows.data[rows.data["lane"] == rows.lanes.index(Lane(*lane))]
        assert trades == sum(bar.count for key, bar in bars.items() if key[0] == lane and key[1] == 60)
        assert duplicates > first.counters[lane][1] > 0
        assert quarantined > 0
        assert opened == (of_lane["kind"] == Kind.GAP).sum() > 0
        assert filled + given_up == (of_lane["kind"] == Kind.FILLED).sum()
        assert given_up > 0  # the gaps that were open at the restart
    assert {reason.partition(":")[0] for _, _, reason, _ in kept.quarantine} >= {"absurd price"}


async def test_a_simulated_market_waits_for_whoever_captures_it(tmp_path: Path) -> None:
    # The rules may have to be compiled first; what was planted meanwhile would never be seen.
    labels = tmp_path / "labels.jsonl"
    settings = Settings(RunConfig(source="simulated"), exchange=ExchangeConfig(labels=str(labels)))
    async with AsyncExitStack() as stack:
        source = await open_source(settings, SystemClock(), stack)
        assert not labels.exists()
        await source.start(Resume(Position(), {}))
        assert labels.exists()
        await source.stop()


async def test_what_is_received_is_measured(tmp_path: Path) -> None:
    async with Exchange(ExchangeConfig(port=0, rest_port=0, symbols=SYMBOLS, pace=Pace(rate=50.0))) as exchange:
        found = CoinbaseConfig(ws_url=exchange.ws_url, rest_url=exchange.rest_url)
        await run_until(tmp_path, CaptureConfig(symbols=SYMBOLS, coinbase=found), trades(30))
    reader = Store.read(tmp_path / "x.db")
    with reader.connect() as connection:
        text = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'clock'").scalar_one()
    reader.close()
    assert '"latency_p99_ms":null' not in text
    assert '"speed":1.0' in text


async def test_an_address_that_is_none_ends_the_run() -> None:
    source = live(CaptureConfig(coinbase=CoinbaseConfig(ws_url="ws://:80")))
    await source.start(Resume(Position(), {}))

    async def wait_for_ever() -> None:
        while True:
            await source.wait(0.1)

    with pytest.raises(ConfigError, match="ws_url"):
        await asyncio.wait_for(wait_for_ever(), PATIENCE_S)
    await source.stop()


async def test_what_was_received_before_the_stop_can_still_be_taken() -> None:
    async with Exchange(ExchangeConfig(port=0, rest_port=0, symbols=SYMBOLS, pace=Pace(rate=200.0))) as exchange:
        found = CoinbaseConfig(ws_url=exchange.ws_url, rest_url=exchange.rest_url)
        source = live(CaptureConfig(symbols=SYMBOLS, coinbase=found))
        assert source.status() == {}
        await source.start(Resume(Position(), {}))
        assert {status.state for status in source.status().values()} == {"no data"}
        count = 0
        async with asyncio.timeout(PATIENCE_S):
            while count < 5:
                await source.wait(1.0)
                while (rows := source.take(2)) is not None:
                    assert len(rows.data) <= 2
                    assert rows.lanes == tuple(Lane(SIMULATED, symbol) for symbol in SYMBOLS)
                    count += len(rows.data)
            await source.wait(1.0)
        await source.stop()
        await source.stop()
    assert source.take(4096) is not None
    assert source.take(4096) is None
    assert {status.state for status in source.status().values()} == {"stopped"}


async def test_what_a_kill_loses_of_a_live_feed_is_a_gap(tmp_path: Path) -> None:
    config = ExchangeConfig(port=0, rest_port=0, seed=3, symbols=SYMBOLS, pace=Pace(rate=300.0), planted=False)
    async with Exchange(config) as exchange:
        urls = ("ws_url", exchange.ws_url), ("rest_url", exchange.rest_url)
        flags = [part for name, url in urls for part in ("--set", f"capture.coinbase.{name}={url}")]
        flags += ["--symbols", ",".join(SYMBOLS), "--db", str(tmp_path / "x.db"), "--no-dashboard"]
        for life_s in (0.31, 0.02, 0.4):
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tapewatch", "run", *flags, stderr=asyncio.subprocess.PIPE
            )
            assert child.stderr is not None
            async with asyncio.timeout(3 * PATIENCE_S):
                while not (line := await child.stderr.readline()).startswith(b"stored"):
                    assert line, "it ended by itself"
            await asyncio.sleep(life_s)  # the moment of a kill must be real
            child.kill()
            await child.communicate()
    kept = memory(tmp_path / "x.db")
    assert len(kept.bars) > 0
    for symbol in SYMBOLS:
        minutes = [values for key, values in kept.bars.items() if key[1] == symbol and key[2] == 60]
        span = max(values[1] for values in minutes) - min(values[0] for values in minutes) + 1
        gaps = [each for each in kept.anomalies.values() if each.symbol == symbol and each.rule == "tape_gap"]
        missing = sum(int(each.observed) for each in gaps)
        assert sum(values[6] for values in minutes) + missing == span
        assert 1 <= len(gaps) <= 2  # one behind each restart that lived long enough to see a trade
        assert all(f"ids {each.trade_id} to" in each.explain for each in gaps)
