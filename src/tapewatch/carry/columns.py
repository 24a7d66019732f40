"""Columns of a foreign tape become rows: texts and numbers in, ROW records out.

Prices go from text to whole units of 1e-10 without ever being a float. What `rules.md` refuses
never becomes a row: it is reported, and only its id stays behind as seen.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tapewatch.carry.source import FOREIGN, SEEN
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE, ROW, Kind, Lane

AHEAD_NS_MAX = 60 * NS
"""A trade whose venue time lies further ahead of our clock than this is not believed."""

PRICE_TYPE = pa.decimal128(38, 10)
"""Holds every price that can become a row, exactly; its unscaled value is the price in 1e-10."""

_INT64 = np.iinfo(np.int64)


class Columns(NamedTuple):
    """Trades of a foreign tape, column by column.

    Attributes
    ----------
    lanes
        What `lane` indexes.
    ts, recv_ts
        int64 ns.
    trade_id, sequence
        int64.
    price
        int64 units of 1e-10; what does not fit an int64 stands at its end.
    size
        float64.
    side
        int8, the taker's.
    lane
        int32.
    """

    lanes: tuple[Lane, ...]
    lane: NDArray[np.int32]
    ts: NDArray[np.int64]
    recv_ts: NDArray[np.int64]
    trade_id: NDArray[np.int64]
    sequence: NDArray[np.int64] | int
    price: NDArray[np.int64]
    size: NDArray[np.float64]
    side: NDArray[np.int8]


class Refusal(NamedTuple):
    """A trade that must not become a row: its position and what was expected and found."""

    at: int
    reason: str


def price_units(decimals: Any) -> NDArray[np.int64]:
    """Take the prices in units of 1e-10 out of an Arrow array of `PRICE_TYPE`; no value passes through a float.

    Examples
    --------
    >>> price_units(pa.array(["61837.63000000", "0.00001895"]).cast(PRICE_TYPE)).tolist()
    [618376300000000, 189500]
    """
    words = np.frombuffer(decimals.buffers()[1], np.int64).reshape(-1, 2)
    words = words[decimals.offset : decimals.offset + len(decimals)]
    low, high = words[:, 0], words[:, 1]
    return np.where(high == low >> 63, low, np.where(high < 0, _INT64.min, _INT64.max))


def rows_of(columns: Columns, known_ts: NDArray[np.int64]) -> tuple[NDArray[np.void], list[Refusal]]:
    """Make rows of kind TRADE; a refused one becomes a mark that its id was seen.

    Parameters
    ----------
    columns
        n trades.
    known_ts
        Shape (n,), int64 ns: the later of the time of receipt and the last heartbeat's.

    Returns
    -------
    rows
        Shape (n,), dtype ROW, flagged FOREIGN.
    refusals
        In ascending order.
    """
    data = np.zeros(len(columns.ts), ROW)
    for name in ("ts", "recv_ts", "trade_id", "sequence", "price", "size", "side", "lane"):
        data[name] = getattr(columns, name)
    data["kind"] = Kind.TRADE
    data["flags"] = FOREIGN
    refusals = _refusals(data, known_ts)
    for index, _ in refusals:
        seen = data[index]
        data[index] = (0, 0, seen["trade_id"], 0, 0, 0.0, 0, seen["lane"], SEEN, 0, FOREIGN)
    return data, refusals


def _refusals(data: NDArray[np.void], known_ts: NDArray[np.int64]) -> list[Refusal]:
    price, size, ts = data["price"], data["size"], data["ts"]
    sized = np.isfinite(size) & (size >= 0)
    timed = (ts > 0) & (data["recv_ts"] > 0)
    behind = ts - AHEAD_NS_MAX <= known_ts
    named = data["trade_id"] >= 0
    good = (price > 0) & (price <= PRICE_MAX * PRICE_SCALE) & sized & timed & behind & named
    refusals = []
    for index in np.flatnonzero(~good).tolist():
        if price[index] <= 0:
            reason = f"price: expected more than 0, found {_decimal(price[index])}"
        elif price[index] > PRICE_MAX * PRICE_SCALE:
            reason = f"price: expected at most {PRICE_MAX}, found {_decimal(price[index])}"
        elif not sized[index]:
            reason = f"size: expected a finite number that is not negative, found {size[index]}"
        elif not timed[index]:
            reason = f"time: expected a time after 1970, found {ts[index]} ns, received {data['recv_ts'][index]} ns"
        elif not behind[index]:
            ahead = (int(ts[index]) - int(known_ts[index])) / NS
            reason = f"time: expected at most {AHEAD_NS_MAX // NS} s ahead of its receipt, found {ahead:.1f} s"
        else:
            reason = f"trade id: expected one that is not negative, found {data['trade_id'][index]}"
        refusals.append(Refusal(index, reason))
    return refusals


def _decimal(price: int) -> str:
    units = int(price)
    if units in (_INT64.min, _INT64.max):
        return f"more than {_INT64.max // PRICE_SCALE}" if units > 0 else f"less than {_INT64.min // PRICE_SCALE}"
    whole, part = divmod(abs(units), PRICE_SCALE)
    return f"{'-' if units < 0 else ''}{whole}.{part:010d}".rstrip("0").rstrip(".")
