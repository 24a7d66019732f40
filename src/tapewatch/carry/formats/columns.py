"""Columns of a foreign tape become rows: texts and numbers in, ROW records out.

What no row can hold is refused: it is reported, and only its id stays behind as seen.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapewatch.carry.formats.decimals import price_text
from tapewatch.carry.source import FOREIGN, SEEN
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE, ROW, Kind, Lane

AHEAD_NS_MAX = 60 * NS
"""A trade whose venue time lies further ahead of our clock than this is not believed."""

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
    return price_text(units)
