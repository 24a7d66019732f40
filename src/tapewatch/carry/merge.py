"""Several tapes become one: blocks of rows of each in, blocks of rows in one order out.

The order: the tape whose next row has the lowest receive time goes first; then the one whose lane comes
first by venue and symbol; then the one named first. So the order within each tape is kept, whatever
its receive times are.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapewatch.carry.lanes import LaneTable
from tapewatch.model import ROW, Lane, Rows

Key = tuple[int, Lane]
"""Receive time and lane of a row; along a tape, the highest so far: that is what merging by the next row comes to."""

FIRST: Key = (-(2**63), Lane("", ""))


class Source(NamedTuple):
    """One tape of a merge.

    Attributes
    ----------
    first
        Key of its first row, or None where it has no rows.
    read
        Reads it from its beginning, in blocks.
    """

    first: Key | None
    read: Callable[[], Iterator[Rows]]


def merged(sources: Sequence[Source]) -> Iterator[Rows]:
    """Merge tapes; each is opened when its first row's turn has come and held in memory one block at a time.

    Yields
    ------
    Rows
        In blocks of no particular size; their sequence depends on the tapes alone, not on how they were cut.
    """
    table = LaneTable("merge")
    waiting = [(source.first, order) for order, source in enumerate(sources) if source.first is not None]
    heapq.heapify(waiting)
    opened: list[_Cursor] = []
    while waiting or opened:
        while waiting and (not opened or waiting[0] <= min(cursor.last for cursor in opened)):
            _, order = heapq.heappop(waiting)
            cursor = _Cursor(order, sources[order].read())
            if cursor.refill():
                opened.append(cursor)
        if not opened:
            return
        opened.sort(key=lambda cursor: cursor.order)
        limit = min(cursor.last for cursor in opened)  # nothing that comes later, in any tape, is below it
        yield _ordered([cursor.take(limit) for cursor in opened], table)
        opened = [cursor for cursor in opened if cursor.left or cursor.refill()]


def first_key(blocks: Iterator[Rows]) -> Key | None:
    """Key of the first row, or None where there is none."""
    for rows in blocks:
        if len(rows.data):
            return int(rows.data["recv_ts"][0]), rows.lanes[rows.data["lane"][0]]
    return None


class _Taken(NamedTuple):
    """Rows of one tape that are next, and their keys."""

    data: NDArray[np.void]
    recv_ts: NDArray[np.int64]  # highest so far
    rank: NDArray[np.int64]  # of the lane that had it, in `names`
    names: list[Lane]  # ascending
    lanes: tuple[Lane, ...]


class _Cursor:
    """One opened tape: its block in hand, and how far that is taken."""

    def __init__(self, order: int, blocks: Iterator[Rows]) -> None:
        self.order = order
        self._blocks = blocks
        self._key = FIRST
        self._block = _Taken(np.empty(0, ROW), np.empty(0, np.int64), np.empty(0, np.int64), [], ())
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._block.data) - self._at

    @property
    def last(self) -> tuple[Key, int]:
        """Key of the last row in hand, made unique by the tape's place in the order of tapes."""
        return self._key, self.order

    def refill(self) -> bool:
        """Take the next block in hand; False at the end of the tape."""
        for rows in self._blocks:
            if len(rows.data):
                self._block = _keyed(rows, self._key)
                self._key = int(self._block.recv_ts[-1]), self._block.names[self._block.rank[-1]]
                self._at = 0
                return True
        return False

    def take(self, limit: tuple[Key, int]) -> _Taken:
        """Take the rows whose key is not above the limit."""
        block = self._block
        (recv_ts, lane), order = limit
        low = int(np.searchsorted(block.recv_ts, recv_ts, "left"))
        high = int(np.searchsorted(block.recv_ts, recv_ts, "right"))
        below = sum(name < lane or (name == lane and self.order <= order) for name in block.names)
        start, self._at = self._at, max(low + int(np.searchsorted(block.rank[low:high], below)), self._at)
        part = slice(start, self._at)
        return block._replace(data=block.data[part], recv_ts=block.recv_ts[part], rank=block.rank[part])


def _keyed(rows: Rows, key: Key) -> _Taken:
    """Compute the keys of a block that follows a row with `key`: highest receive time so far, and the lane of it."""
    names = sorted({*rows.lanes, key[1]})
    ranks = np.array([names.index(lane) for lane in rows.lanes], np.int64)[rows.data["lane"]]
    recv_ts = np.concatenate(([key[0]], rows.data["recv_ts"]))
    rank = np.concatenate(([names.index(key[1])], ranks))
    highest = np.maximum.accumulate(recv_ts)
    rank = np.where(recv_ts == highest, rank, -1)
    group = np.cumsum(np.concatenate(([0], np.diff(highest) > 0))) * (len(names) + 1)
    rank = np.maximum.accumulate(group + rank) - group
    return _Taken(rows.data, highest[1:], rank[1:], names, rows.lanes)


def _ordered(parts: list[_Taken], table: LaneTable) -> Rows:
    """Put rows of several tapes, in the tapes' order, in the order of their keys."""
    parts = [part for part in parts if len(part.data)]
    names = sorted({lane for part in parts for lane in part.names})
    data = np.concatenate([part.data for part in parts])
    data["lane"] = np.concatenate([table.numbers(part.lanes)[part.data["lane"]] for part in parts])
    if len(parts) > 1:
        rank = np.concatenate([np.array([names.index(lane) for lane in part.names])[part.rank] for part in parts])
        data = data[np.lexsort((rank, np.concatenate([part.recv_ts for part in parts])))]
    return Rows(table.lanes, data)
