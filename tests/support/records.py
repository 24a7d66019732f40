"""Anomalies, changes and bars made by hand, for tests that need some and do not care how they came about."""

import msgspec
import numpy as np

from tapewatch.model import BAR, BAR_WIDTHS, NS, PRICE_SCALE, Anomaly, Bars, Change, Lane

LANE = Lane("coinbase", "BTC-USD")


def anomaly(number: int = 0, lane: Lane = LANE, **fields: object) -> Anomaly:
    """Make an open one; `number` makes its id its own."""
    plain = Anomaly(
        id=f"{number:032x}",
        venue=lane.venue,
        symbol=lane.symbol,
        rule="pct_spike",
        severity="high",
        kind="market",
        direction="up",
        opened_ts=1_700_000_000 * NS + number,
        opened_at="2023-11-14T22:13:20.000000000Z",
        trade_id=1000 + number,
        price=37_000.5,
        reference_price=36_900.25,
        reference_ts=1_700_000_000 * NS - 7,
        observed=0.27,
        threshold=0.25,
        unit="percent",
        peak_observed=0.27,
        peak_price=37_000.5,
        peak_ts=1_700_000_000 * NS + number,
        peak_reference_price=36_900.25,
        peak_reference_ts=1_700_000_000 * NS - 7,
        last_ts=1_700_000_000 * NS + number,
        ended_ts=None,
        triggers=1,
        escalation=0,
        escalated_ts=(),
        quality="complete",
        history=False,
        explain='BTC-USD rose 0.27 % — "quoted", in 3.0 s',
        size=1.08,
        peak_left_ts=1_700_000_000 * NS + number,
    )
    return msgspec.structs.replace(plain, **fields)


def change(ordinal: int, what: Anomaly | None = None, kind: str = "opened") -> Change:
    """Make the lane's change number `ordinal`."""
    found = anomaly(ordinal) if what is None else what
    return Change(change=kind, at=found.last_ts, ordinal=ordinal, anomaly=found)  # type: ignore[arg-type]


def bars_of(trades: list[tuple[int, int, int, int, float]], lanes: tuple[Lane, ...]) -> Bars:
    """Compute bars from (lane, ts in seconds, trade id, price in whole units, size): the plain reading of the page."""
    buckets: dict[tuple[int, int, int], list[tuple[int, int, float]]] = {}
    for lane, second, trade_id, price, size in trades:
        for width in BAR_WIDTHS:
            buckets.setdefault((lane, width, second // width * width), []).append((trade_id, price, size))
    values = []
    for (lane, width, start), inside in sorted(buckets.items()):
        first, last = min(inside), max(inside)
        prices = [price * PRICE_SCALE for _, price, _ in inside]
        ohlc = (first[1] * PRICE_SCALE, max(prices), min(prices), last[1] * PRICE_SCALE)
        volume = sum(size for _, _, size in inside)
        values.append((start * NS, first[0], last[0], *ohlc, volume, len(inside), lane, width))
    return Bars(lanes, np.array(values, BAR))
