"""A database in which things happen, and alerting over it, in this process or in one that a test may kill."""

import asyncio
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import msgspec

from support.records import anomaly, bars_of
from support.virtual_time import until
from tapewatch.clock import SystemClock
from tapewatch.dispatch.config import AlertsConfig
from tapewatch.model import NS, Anomaly, Bars, Change, Lane
from tapewatch.runtime.alerting import Alerting
from tapewatch.runtime.alerts import Settings, prepare, serve
from tapewatch.store.records import Clock, Commit, Source
from tapewatch.store.sql import Store

PATIENCE_S = 30.0
COINBASE = Source("coinbase", "wss://example.com")
EVERYTHING = {"group_s": 0.0, "cool_down_s": 0.0, "budget_per_hour": 1_000_000}
"""Settings under which every alert is a message of its own, at once."""


class Happening:
    """The writer of a database: what a test lets happen, it commits with the clock of now."""

    def __init__(self, db: str | Path, source: Source = COINBASE, venue: str = "coinbase") -> None:
        self._store = Store.open(db, source=source)
        self._venue = venue
        self._clock = SystemClock()
        self._ordinals: dict[Lane, int] = {}
        self._last: dict[str, Anomaly] = {}
        self.told = 0

    def commit(self, *changes: Change, bars: Sequence[Bars] = ()) -> None:
        """Commit changes, or nothing but the clock."""
        now = self._clock.now_ns()
        self._store.commit(Commit(Clock(now, now), changes=changes, bars=bars))
        self.told += len(changes)

    def trade(self, symbol: str, seconds: int = 60) -> None:
        """Let it trade once a second until now, up and down."""
        now = self._clock.now_ns() // NS
        trades = [(0, now - ago, 1_000 - ago, 37_000 + ago % 7, 0.5) for ago in reversed(range(seconds))]
        self.commit(bars=[bars_of(trades, (Lane("coinbase", symbol),))])

    def open(self, symbol: str = "BTC-USD", **fields: Any) -> str:
        """Let an anomaly open now, large enough to be told, but muted where the same was told lately."""
        now, number = self._clock.now_ns(), self.told + 1
        found = anomaly(
            number,
            Lane(self._venue, symbol),
            **{"opened_ts": now, "last_ts": now, "peak_ts": now, "size": 4.0, "peak_observed": 1.0, **fields},
        )
        self._last[found.id] = found
        self.commit(self._change("opened", found))
        return found.id

    def escalate(self, ident: str) -> None:
        """Let it double."""
        found = self._last[ident]
        twice = {"size": 2 * (found.size or 1.0), "peak_observed": 2 * found.peak_observed}
        self._last[ident] = msgspec.structs.replace(found, escalation=found.escalation + 1, **twice)
        self.commit(self._change("escalated", self._last[ident]))

    def grow(self, ident: str, times: float) -> None:
        """Let its peak grow without a change, as it does between two steps."""
        found, now = self._last[ident], self._clock.now_ns()
        larger = {"size": times * (found.size or 1.0), "peak_observed": times * found.peak_observed, "peak_ts": now}
        self._last[ident] = msgspec.structs.replace(found, **larger)
        self._store.commit(Commit(Clock(now, now), open_anomalies=[self._last[ident]]))

    def end(self, ident: str) -> None:
        """Let it end."""
        now = self._clock.now_ns()
        self.commit(self._change("ended", msgspec.structs.replace(self._last.pop(ident), ended_ts=now)))

    def now_ns(self) -> int:
        """Tell the time of the database's lanes."""
        return self._clock.now_ns()

    def close(self) -> None:
        self._store.close()

    def _change(self, kind: str, found: Anomaly) -> Change:
        lane = Lane(found.venue, found.symbol)
        ordinal = self._ordinals[lane] = self._ordinals.get(lane, -1) + 1
        return Change(kind, self._clock.now_ns(), ordinal, found)  # type: ignore[arg-type]


def channel(host: str, name: str = "hook", **fields: Any) -> dict[str, Any]:
    """Make the settings of a webhook."""
    return {"name": name, "url": f"json://{host}/{name}", **fields}


def config(*channels: dict[str, Any], **fields: Any) -> AlertsConfig:
    """Make the section ``alerts``."""
    return msgspec.convert({"channels": list(channels), **fields}, AlertsConfig)


@asynccontextmanager
async def telling(
    db: str | Path, alerts: AlertsConfig, said: list[str] | None = None, clock: SystemClock | None = None
) -> AsyncIterator[Alerting]:
    """Run alerting in this process."""
    words: list[str] = [] if said is None else said
    means = prepare(Settings(str(db), alerts), clock or SystemClock(), lambda _, text: words.append(text))
    alerting = Alerting(means)
    task = asyncio.create_task(alerting.run(means.open_outbox()))
    try:
        yield alerting
    finally:
        if not task.done():
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        await until(holds)


# -- a process that may be killed --------------------------------------------------------------------------------------

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tapewatch.runtime.alerts", "support.tellers"])


def _serve(db: str, alerts: bytes) -> None:
    settings = Settings(db, msgspec.json.decode(alerts, type=AlertsConfig))
    asyncio.run(serve(settings, lambda *_: None))


class Teller:
    """``tapewatch alerts run`` in a process of its own, forked from one that has loaded everything."""

    def __init__(self, db: str | Path, alerts: AlertsConfig) -> None:
        self._process: ForkServerProcess = _context.Process(target=_serve, args=(str(db), msgspec.json.encode(alerts)))
        self._process.start()

    def kill(self) -> None:
        """Kill it, however it stands."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._process.close()

    def stop(self) -> int:
        """End it in order, and return its exit code."""
        self._process.terminate()
        self._process.join(PATIENCE_S)
        code = self._process.exitcode
        assert code is not None, "it does not end"
        self._process.close()
        return code


def rows(db: str | Path, query: str) -> Sequence[tuple[Any, ...]]:
    """Read an SQLite database with the driver alone."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchall()
