"""A database that somebody writes, as a runtime would: prices that move, anomalies that we plant, a feed that lives."""

import threading
import time
from pathlib import Path
from random import Random
from typing import Self

import numpy as np

from support.views import MARKET_RULES, anomaly, feed_row
from tapewatch.model import BAR, BAR_WIDTHS, NS, PRICE_SCALE, Anomaly, Bars, Change, Lane
from tapewatch.store.records import Clock, Commit, Source
from tapewatch.store.sql import Store

STARTS = {"BTC-USD": 114_210.0, "ETH-USD": 3_912.5, "LINK-USD": 19.384}
EVERY_S = 0.1
SOURCE = Source("coinbase", "wss://ws-feed.exchange.coinbase.com")


class Writer:
    """Commits ten times a second in a thread, from `start` to `stop`.

    Attributes
    ----------
    frozen
        Stop the prices and the frames, but not the commits: a silent feed.
    trade_ids
        Of each lane's last trade: raised, so many are missing.
    """

    def __init__(self, path: Path, symbols: tuple[str, ...] = tuple(STARTS), seed: int = 7) -> None:
        self.path = path
        self.lanes = tuple(Lane("coinbase", symbol) for symbol in symbols)
        self.frozen = False
        self._store = Store.open(path, source=SOURCE)
        self._random = Random(seed)  # noqa: S311  # a market, not a secret
        self._prices = {lane: STARTS.get(lane.symbol, 10.0) for lane in self.lanes}
        self.trade_ids = dict.fromkeys(self.lanes, 0)
        self._ordinal = 0
        self._last_ns = time.time_ns()
        self._changes: list[Change] = []
        self._open: dict[str, Anomaly] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def history(self, seconds: int) -> None:
        """Write so many seconds of the past, a trade a second in each lane."""
        end = time.time_ns() // NS
        with self._lock:
            for lane in self.lanes:
                self._store.commit(
                    Commit(self._clock(), bars=[self._bars(lane, list(range(end - seconds, end)))], feed=self._feed())
                )

    def start(self) -> None:
        """Begin, or go on."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write no more, as if the runtime had been killed."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._store.close()

    def plant(self, ident: str, symbol: str = "LINK-USD", **fields: object) -> Anomaly:
        """Open an anomaly now."""
        now = time.time_ns()
        price = self._prices[Lane("coinbase", symbol)]
        plain = {
            "symbol": symbol,
            "opened_ts": now,
            "peak_ts": now,
            "last_ts": now,
            "ended_ts": None,
            "price": price,
            "peak_price": price,
            "peak_reference_price": round(price / (1 - 0.0281), 3),
            "peak_reference_ts": now - NS,
            "peak_left_ts": now - 900_000_000,
            "explain": f"{symbol} fell 2.81 % in 0.9 s, from 19.385 to 18.841 (limit 0.25 % in 10 s)",
        }
        planted = anomaly(ident, **plain | fields)
        self._change("opened", planted)
        return planted

    def end(self, planted: Anomaly) -> None:
        """End one."""
        self._change("ended", type(planted)(**{**_fields(planted), "ended_ts": planted.last_ts}))

    def _change(self, change: str, planted: Anomaly) -> None:
        with self._lock:
            self._ordinal += 1
            self._changes.append(Change(change, planted.last_ts, self._ordinal, planted))  # type: ignore[arg-type]
            self._open[planted.id] = planted
            if planted.ended_ts is not None:
                del self._open[planted.id]

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            with self._lock:
                self._commit()

    def _commit(self) -> None:
        bars = []
        if not self.frozen:
            self._last_ns = time.time_ns()
            bars = [self._bars(lane, [self._last_ns // NS]) for lane in self.lanes]
        changes, self._changes = self._changes, []
        self._store.commit(
            Commit(
                self._clock(),
                changes=changes,
                open_anomalies=list(self._open.values()),
                bars=bars,
                feed=self._feed(),
            )
        )

    def _clock(self) -> Clock:
        now = time.time_ns()
        return Clock(now, now, latency_p50_ms=11.0, latency_p99_ms=38.0)

    def _feed(self) -> list[object]:
        return [
            feed_row(
                lane,
                now_ts=time.time_ns(),
                last_frame_ts=self._last_ns,
                last_trade_ts=self._last_ns,
                last_price=round(self._prices[lane] * PRICE_SCALE),
                connected_ts=self._last_ns,
                trades=self.trade_ids[lane],
                armed=(*MARKET_RULES, *(["abs_jump"] if lane.symbol.startswith("BTC") else [])),
            )
            for lane in self.lanes
        ]

    def _bars(self, lane: Lane, seconds: list[int]) -> Bars:
        # One trade in each of these seconds, as increments of all widths.
        bars = []
        for second in seconds:
            self.trade_ids[lane] += 1
            self._prices[lane] = round(self._prices[lane] * (1 + self._random.gauss(0, 1e-4)), 3)
            price = round(self._prices[lane] * PRICE_SCALE)
            for width in BAR_WIDTHS:
                start = (second - second % width) * NS
                bars.append(
                    (start, self.trade_ids[lane], self.trade_ids[lane], price, price, price, price, 0.5, 1, 0, width)
                )
        joined: dict[tuple[int, int], tuple[int, ...]] = {}
        for bar in bars:
            before = joined.get((bar[0], bar[10]))
            joined[bar[0], bar[10]] = bar if before is None else _merged(before, bar)
        return Bars((lane,), np.array(list(joined.values()), dtype=BAR))


def _merged(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return (a[0], a[1], b[2], a[3], max(a[4], b[4]), min(a[5], b[5]), b[6], a[7] + b[7], a[8] + b[8], a[9], a[10])


def _fields(record: Anomaly) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
