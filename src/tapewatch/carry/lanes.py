"""Lanes get numbers as they appear: names in, positions in one growing table out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapewatch.carry.arrow import numbers
from tapewatch.errors import TapeError
from tapewatch.model import Lane


class LaneTable:
    """The lanes of one tape in order of appearance.

    Parameters
    ----------
    place
        The tape, for messages.
    symbol
        Names the lanes instead of what the tape says; then the tape may know only one symbol.

    Examples
    --------
    >>> table = LaneTable("day.csv", symbol="DOGE-USD")
    >>> table.number(Lane("coinbase", "DOGEUSD")), table.lanes
    (0, (Lane(venue='coinbase', symbol='DOGE-USD'),))
    """

    def __init__(self, place: str, symbol: str | None = None) -> None:
        self.lanes: tuple[Lane, ...] = ()
        self._place = place
        self._symbol = symbol
        self._numbers: dict[Lane, int] = {}
        self._said: str | None = None

    def number(self, lane: Lane) -> int:
        """Give the lane's number, a new one where it was not seen before.

        Raises
        ------
        TapeError
            The lanes are to be named by one symbol, but the tape holds several.
        """
        number = self._numbers.get(lane)
        if number is None:
            named = self._named(lane)
            if named in self.lanes:
                number = self.lanes.index(named)
            else:
                number = len(self.lanes)
                self.lanes = (*self.lanes, named)
            self._numbers[lane] = number
        return number

    def numbers(self, lanes: Sequence[Lane]) -> NDArray[np.int32]:
        """Give the number of each lane: an index array from another table to this one."""
        return np.array([self.number(lane) for lane in lanes], np.int32)

    def of(self, venue: Any, symbol: Any) -> NDArray[np.int32]:
        """Give the number of each row's lane, from two Arrow dictionary arrays of names."""
        venues, symbols = venue.dictionary.to_pylist(), symbol.dictionary.to_pylist()
        if len(venue) == 0:
            return np.empty(0, np.int32)
        pairs = numbers(venue.indices, np.int32) * len(symbols) + numbers(symbol.indices, np.int32)
        lanes = np.zeros(len(venues) * len(symbols), np.int32)
        for pair in np.unique(pairs).tolist() if len(lanes) > 1 else [0]:
            lanes[pair] = self.number(Lane(venues[pair // len(symbols)], symbols[pair % len(symbols)]))
        found: NDArray[np.int32] = lanes[pairs]
        return found

    def _named(self, lane: Lane) -> Lane:
        if self._symbol is None:
            return lane
        if self._said not in (None, lane.symbol):
            raise TapeError(
                f"{self._place}: expected one symbol, because it is to be read as {self._symbol}, "
                f"found {self._said} and {lane.symbol}"
            )
        self._said = lane.symbol
        return Lane(lane.venue, self._symbol)
