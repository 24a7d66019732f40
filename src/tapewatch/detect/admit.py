"""The first pass over a lane's rows: which are new, at what effective time, after which gaps and outages.

In: rows as delivered. Out: one lane's new rows as columns (`Work`) for the rules, and the mask of new rows.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import NEVER, kernel
from tapewatch.detect.rule import FRESH
from tapewatch.model import NS, Flag, Kind

OUTAGE_NS = 10 * NS
"""A hole of more than this, with a GAP in it, starts windows and samples anew."""

GAPS_MAX = 64
"""Open gaps of a lane; before the next one the oldest is given up."""

HEAD = np.dtype(
    [
        ("highest_id", "i8"),  # highest id that any TRADE or GAP has named, or below which an EPOCH begins; -1 before
        ("ts", "i8"),  # effective time of the last TRADE
        ("clock_ts", "i8"),  # recv_ts of the last CLOCK
        ("given_up_ts", "i8"),  # time of the latest gap that was given up
        ("gaps", "i8"),  # gaps that are open
        ("gap_since_trade", "i8"),  # 1 when a GAP or EPOCH came after the last TRADE
        ("ordinal", "i8"),  # changes told so far
    ]
)
"""What the Detector knows of a lane besides its rules."""

GAP = np.dtype([("first", "i8"), ("last", "i8"), ("ts", "i8"), ("highest_late", "i8")])
"""An open gap: its ids, effective time of the TRADE before it, and the highest LATE id it has had."""

_TRADE, _GAP, _LATE, _FILLED, _CLOCK, _EPOCH = (np.uint8(kind) for kind in Kind)
_GIVEN_UP = np.uint16(Flag.GIVEN_UP)


def fresh_head() -> NDArray[np.void]:
    """Build the head of a lane that has seen nothing."""
    return np.array([(-1, NEVER, NEVER, NEVER, 0, 0, 0)], dtype=HEAD)


@kernel
def admit(
    data: NDArray[np.void],
    lane: int,
    index: NDArray[np.int64],
    head: NDArray[np.void],
    gaps: NDArray[np.void],
    new: NDArray[np.bool_],
    row: NDArray[np.int64],
    kind: NDArray[np.uint8],
    ts: NDArray[np.int64],
    price: NDArray[np.int64],
    gap_ts: NDArray[np.int64],
    gaps_open: NDArray[np.int64],
    special: NDArray[np.int64],
) -> tuple[int, int]:
    """Sort out one lane's rows in their order; return how many are new and how many of those are no trades.

    Parameters
    ----------
    lane, index
        The lane's number, and the rows of `data` that belong to it, ascending.
    head, gaps
        Shape (1,) HEAD and (GAPS_MAX,) GAP: the lane's state, changed in place.
    new
        Shape of `data`, all False; set for rows that are not told again.
    row, kind, ts, price, gap_ts, gaps_open, special
        Columns of `Work`, with room for all of `index`.

    Raises
    ------
    AssertionError
        A row of `index` is of another lane.
    """
    count = 0
    specials = 0
    highest, last, hole = head[0]["highest_id"], head[0]["ts"], head[0]["gap_since_trade"] != 0
    worst, missing = _latest_gap(head, gaps), head[0]["gaps"]
    for i in index:
        assert data[i]["lane"] == lane, "rows name lanes of their own table"
        shown, when = data[i]["kind"], data[i]["ts"]
        if shown == _TRADE:
            if data[i]["trade_id"] <= highest:
                continue
            when = max(when, last)
            if hole and last != NEVER and when - last > OUTAGE_NS:
                shown = FRESH
            highest, last, hole = data[i]["trade_id"], when, False
        else:
            head[0]["highest_id"], head[0]["ts"], head[0]["gap_since_trade"] = highest, last, hole
            if not _take_special(data, i, head, gaps):
                continue
            highest, hole = head[0]["highest_id"], head[0]["gap_since_trade"] != 0
            worst, missing = _latest_gap(head, gaps), head[0]["gaps"]
            special[specials] = count
            specials += 1
        new[i] = True
        row[count] = i
        kind[count] = shown
        ts[count] = when
        price[count] = data[i]["price"]
        gap_ts[count] = worst
        gaps_open[count] = missing
        count += 1
    head[0]["highest_id"], head[0]["ts"], head[0]["gap_since_trade"] = highest, last, hole
    return count, specials


@kernel
def _take_special(data: NDArray[np.void], i: int, head: NDArray[np.void], gaps: NDArray[np.void]) -> bool:
    """Take in a row that is no trade; tell whether it is new."""
    what = data[i]["kind"]
    if what == _GAP:
        if data[i]["trade_id"] <= head[0]["highest_id"]:
            return False
        _open_gap(data, i, head, gaps)
        return True
    if what == _EPOCH:
        if data[i]["trade_id"] - 1 <= head[0]["highest_id"]:  # it was told, and perhaps no trade since
            return False
        _begin_anew(data, i, head, gaps)
        return True
    if what == _LATE:
        return bool(_take_late(data, i, head, gaps))
    if what == _FILLED:
        return bool(_close_gap(data, i, head, gaps))
    if what != _CLOCK or data[i]["recv_ts"] <= head[0]["clock_ts"]:
        return False
    head[0]["clock_ts"] = data[i]["recv_ts"]
    return True


@kernel
def _latest_gap(head: NDArray[np.void], gaps: NDArray[np.void]) -> int:
    # gaps are kept in order of their ids, so the last open one is the latest
    count = head[0]["gaps"]
    latest = head[0]["given_up_ts"]
    return int(max(latest, gaps[count - 1]["ts"]) if count > 0 else latest)


@kernel
def _remove_gap(head: NDArray[np.void], gaps: NDArray[np.void], g: int, given_up: bool) -> None:
    if given_up:
        head[0]["given_up_ts"] = max(head[0]["given_up_ts"], gaps[g]["ts"])
    head[0]["gaps"] -= 1
    for j in range(g, head[0]["gaps"]):
        gaps[j]["first"] = gaps[j + 1]["first"]
        gaps[j]["last"] = gaps[j + 1]["last"]
        gaps[j]["ts"] = gaps[j + 1]["ts"]
        gaps[j]["highest_late"] = gaps[j + 1]["highest_late"]


@kernel
def _open_gap(data: NDArray[np.void], i: int, head: NDArray[np.void], gaps: NDArray[np.void]) -> None:
    if head[0]["gaps"] == GAPS_MAX:
        _remove_gap(head, gaps, 0, True)
    g = head[0]["gaps"]
    gaps[g]["first"] = data[i]["trade_id"]
    gaps[g]["last"] = data[i]["aux"]
    gaps[g]["ts"] = head[0]["ts"]
    gaps[g]["highest_late"] = -1
    head[0]["gaps"] = g + 1
    head[0]["highest_id"] = data[i]["aux"]
    head[0]["gap_since_trade"] = 1


@kernel
def _begin_anew(data: NDArray[np.void], i: int, head: NDArray[np.void], gaps: NDArray[np.void]) -> None:
    # What was traded between the two numberings is not known: it counts as a gap that is given up at once.
    while head[0]["gaps"] > 0:
        _remove_gap(head, gaps, 0, True)
    head[0]["given_up_ts"] = max(head[0]["given_up_ts"], head[0]["ts"])
    head[0]["highest_id"] = data[i]["trade_id"] - 1
    head[0]["gap_since_trade"] = 1


@kernel
def _take_late(data: NDArray[np.void], i: int, head: NDArray[np.void], gaps: NDArray[np.void]) -> bool:
    trade_id = data[i]["trade_id"]
    for g in range(head[0]["gaps"]):
        if gaps[g]["first"] <= trade_id <= gaps[g]["last"]:
            if trade_id <= gaps[g]["highest_late"]:
                return False
            gaps[g]["highest_late"] = trade_id
            return True
    return False


@kernel
def _close_gap(data: NDArray[np.void], i: int, head: NDArray[np.void], gaps: NDArray[np.void]) -> bool:
    for g in range(head[0]["gaps"]):
        if gaps[g]["first"] == data[i]["trade_id"] and gaps[g]["last"] == data[i]["aux"]:
            _remove_gap(head, gaps, g, (data[i]["flags"] & _GIVEN_UP) != 0)
            return True
    return False
