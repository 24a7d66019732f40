"""A small database to look at: anomalies, bars and feed rows of our own choosing, stored by the real store."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from tapewatch.model import BAR, NS, PRICE_SCALE, Anomaly, Bars, Change, Lane
from tapewatch.store.records import Clock, Commit, FeedRow, Source
from tapewatch.store.sql import Reader, Store

NOW = 1_760_131_968 * NS
"""2025-10-10 21:32:48 UTC."""

BTC = Lane("coinbase", "BTC-USD")
LINK = Lane("coinbase", "LINK-USD")

MARKET_RULES = ("pct_spike", "vol_breakout", "mean_reversion_break", "slow_move", "hour_move")
ALL_RULES = (*MARKET_RULES, "abs_jump", "silent_feed", "tape_gap")


_ids = count(1)


def anomaly(ident: str, *, ago_s: float = 60, held_s: float = 30, ended: bool = True, **fields: object) -> Anomaly:
    """Make a fall of LINK-USD by 2.81 % that opened `ago_s` before `NOW`, unless the fields say otherwise."""
    opened = NOW - round(ago_s * NS)
    last = opened + round(held_s * NS)
    plain = {
        "id": ident,
        "venue": "coinbase",
        "symbol": "LINK-USD",
        "rule": "pct_spike",
        "severity": "high",
        "kind": "market",
        "direction": "down",
        "opened_ts": opened,
        "opened_at": "",
        "trade_id": 7,
        "price": 18.841,
        "reference_price": 19.385,
        "reference_ts": opened - NS,
        "observed": -2.81,
        "threshold": 0.25,
        "unit": "percent",
        "peak_observed": -2.81,
        "peak_price": 18.841,
        "peak_ts": opened,
        "peak_reference_price": 19.385,
        "peak_reference_ts": opened - NS,
        "peak_left_ts": opened - 900_000_000,
        "last_ts": last,
        "ended_ts": last if ended else None,
        "triggers": 12,
        "escalation": 3,
        "escalated_ts": (opened, opened, opened),
        "quality": "complete",
        "history": False,
        "explain": "LINK-USD fell 2.81 % in 0.9 s, from 19.385 to 18.841 (limit 0.25 % in 10 s)",
    }
    merged = plain | fields
    if merged["kind"] == "market":  # as it is where nothing it is compared with is old
        merged.setdefault("size", abs(merged["peak_observed"]) / merged["threshold"])
    return Anomaly(**merged)


def silence(ident: str, symbol: str, *, ago_s: float, seconds: float = 47.0, ended: bool = False) -> Anomaly:
    """Make the silence of one lane."""
    none = dict.fromkeys(("direction", "trade_id", "price", "reference_price", "peak_price", "peak_reference_price"))
    return anomaly(
        ident,
        ago_s=ago_s,
        held_s=seconds - 5,
        ended=ended,
        **none,
        symbol=symbol,
        rule="silent_feed",
        kind="feed",
        observed=5.0,
        threshold=5.0,
        unit="s",
        peak_observed=seconds,
        explain="no frame from coinbase for 5.0 s (limit 5 s)",
    )


SOME = (
    anomaly("high-down", ago_s=60, ended=False),
    anomaly("medium-up", ago_s=120, severity="medium", rule="vol_breakout", direction="up", unit="USD"),
    anomaly("low-btc", ago_s=1_800, severity="low", rule="mean_reversion_break", symbol="BTC-USD", unit="USD"),
    anomaly("yesterday", ago_s=86_000, held_s=90),
    anomaly("still-open", ago_s=90_000, held_s=89_000, ended=False, severity="medium", rule="vol_breakout"),
    silence("silent", "BTC-USD", ago_s=47),
)
"""Of every severity, symbol and age, for whatever filters."""


def bars_of(lane: Lane, width: int, starts_s: list[int], closes: list[float]) -> Bars:
    """Make bars that open at the close before, one trade in each, of volume 2; told again, they come after."""
    data = np.zeros(len(closes), dtype=BAR)
    close = np.rint(np.array(closes) * PRICE_SCALE).astype("i8")
    data["ts"] = np.array(starts_s) * NS
    data["open"] = np.concatenate([close[:1], close[:-1]])
    data["close"] = close
    data["high"] = np.maximum(data["open"], close)
    data["low"] = np.minimum(data["open"], close)
    data["open_id"] = data["close_id"] = next(_ids) * 1_000 + np.arange(len(closes))
    data["volume"], data["count"], data["width"] = 2.0, 1, width
    return Bars((lane,), data)


def feed_row(lane: Lane, **fields: object) -> FeedRow:
    """Make the row of a lane that is live and well, its last frame 0.4 s old."""
    plain = {
        "state": "live",
        "reason": "",
        "now_ts": NOW,
        "last_frame_ts": NOW - 400_000_000,
        "last_trade_ts": NOW - NS,
        "last_price": round(19.384 * PRICE_SCALE),
        "trades": 100,
        "armed": ALL_RULES if lane.symbol.startswith("BTC") else (*MARKET_RULES, "silent_feed", "tape_gap"),
    }
    return FeedRow(venue=lane.venue, symbol=lane.symbol, **plain | fields)


def opened(*anomalies: Anomaly) -> list[Change]:
    """Log each as it stands; ordinals are drawn from the id, so that commits do not collide."""
    return [Change("opened", each.opened_ts, int(each.id.encode().hex(), 16) % 2**40, each) for each in anomalies]


def build(path: Path | str, *commits: Commit, source: Source | None = None) -> Reader:
    """Store commits in a new database and open it for reading."""
    store = Store.open(path, source=source or Source("coinbase", "wss://ws-feed.exchange.coinbase.com"))
    for each in commits:
        store.commit(each)
    store.close()
    return Store.read(path)


@contextmanager
def looking(path: Path | str, *commits: Commit, source: Source | None = None) -> Iterator[Connection]:
    """Store commits, and look at what they left."""
    reader = build(path, *commits, source=source)
    try:
        with reader.connect() as connection:
            yield connection
    finally:
        reader.close()


def clock(**fields: object) -> Clock:
    """Make a live clock whose wall clock agrees with the lanes'."""
    return Clock(**{"now_ts": NOW, "wall_ts": NOW} | fields)
