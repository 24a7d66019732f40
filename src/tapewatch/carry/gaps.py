"""Jumps in the trade ids of foreign tapes become GAP rows: marked rows in, rows as every station knows them out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapewatch.carry.source import FOREIGN, SEEN
from tapewatch.model import ROW, Flag, Kind, Lane, Rows

CONTIGUOUS = frozenset({"coinbase", "binance", "simulated"})
"""Venues that number a symbol's trades without a break."""


class _Seen(NamedTuple):
    """What is known of a lane: highest id named, latest times."""

    highest: int
    ts: int
    recv_ts: int


class Gaps:
    """Puts a GAP and at once its FILLED, given up, where ids of a foreign tape jump; takes this station's marks out.

    Examples
    --------
    >>> lanes = (Lane("coinbase", "BTC-USD"),)
    >>> rows = [(9, 9, trade_id, 0, 1, 1.0, 0, 0, Kind.TRADE, 1, FOREIGN) for trade_id in (5, 8)]
    >>> found = Gaps().fill(Rows.of(lanes, rows)).data
    >>> found[["kind", "trade_id", "aux"]].tolist()
    [(1, 5, 0), (2, 6, 7), (4, 6, 7), (1, 8, 0)]
    """

    def __init__(self) -> None:
        self._seen: dict[Lane, _Seen] = {}

    def fill(self, rows: Rows) -> Rows:
        """Take the next rows of the tape; any division into blocks gives the same sequence."""
        data = rows.data
        marked = (data["flags"] & FOREIGN) != 0
        if not marked.any():
            return rows
        places, found = [], []
        for number, lane in enumerate(rows.lanes):
            if lane.venue in CONTIGUOUS:
                at = np.flatnonzero(data["lane"] == number)
                if len(at):
                    mine = data if len(at) == len(data) else data[at]
                    before, gaps = self._jumps(lane, mine, marked[at])
                    places.append(at[before])
                    found.append(gaps)
        data = data.copy()
        data["flags"] &= ~np.uint16(FOREIGN)
        if any(map(len, found)):
            place, gaps = np.concatenate(places), np.concatenate(found)
            order = np.argsort(place, kind="stable")
            data = np.insert(data, np.repeat(place[order], 2), _pairs(gaps[order]))
        kept = data["kind"] != SEEN
        return Rows(rows.lanes, data if kept.all() else data[kept])

    def _jumps(
        self, lane: Lane, data: NDArray[np.void], marked: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], NDArray[np.void]]:
        """Find the rows of one lane before which ids are missing, and make the GAP of each."""
        last = self._seen.get(lane, _Seen(-1, 0, 0))
        kind = data["kind"]
        named = data["trade_id"]
        if not marked.all():  # rows of our own stand between them
            named = np.where((kind == Kind.GAP) | (kind == Kind.FILLED), data["aux"], named)
            named = np.where(kind == Kind.CLOCK, -1, named)
        highest = np.maximum.accumulate(np.concatenate(([last.highest], named)))
        ts = np.maximum.accumulate(np.concatenate(([last.ts], data["ts"])))
        recv_ts = np.maximum.accumulate(np.concatenate(([last.recv_ts], data["recv_ts"])))
        self._seen[lane] = _Seen(int(highest[-1]), int(ts[-1]), int(recv_ts[-1]))
        at = np.flatnonzero(marked & (highest[:-1] >= 0) & (named > highest[:-1] + 1))
        gaps = np.zeros(len(at), ROW)
        seen = kind[at] == SEEN  # a refused trade shows a gap too, but its times are not believed
        gaps["ts"] = np.where(seen, ts[at], data["ts"][at])
        gaps["recv_ts"] = np.where(seen, recv_ts[at], data["recv_ts"][at])
        gaps["trade_id"] = highest[at] + 1
        gaps["aux"] = named[at] - 1
        gaps["lane"] = data["lane"][at]
        gaps["kind"] = Kind.GAP
        return at, gaps


def _pairs(gaps: NDArray[np.void]) -> NDArray[np.void]:
    pairs = np.repeat(gaps, 2)
    pairs["kind"][1::2] = Kind.FILLED
    pairs["flags"][1::2] = Flag.GIVEN_UP
    return pairs
