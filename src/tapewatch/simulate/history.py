"""The trades of the recent past, per product and bounded: blocks in, pages as the REST API cuts them out."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from tapewatch.simulate.market import PRINT, Block, Prints
from tapewatch.simulate.products import Product

PAGE_MAX = 1000
"""Trades on a page at most, and where no limit is given."""


class History:
    """The last trades of each product.

    Parameters
    ----------
    products
        What is traded.
    limit
        Trades kept per product; whole blocks are dropped as long as this many remain.
    """

    def __init__(self, products: Sequence[Product], limit: int = 50_000) -> None:
        self._limit = limit
        self._index = {product.id: i for i, product in enumerate(products)}
        self._blocks: tuple[deque[Prints], ...] = tuple(deque() for _ in products)
        self._counts = [0] * len(products)

    def add(self, block: Block) -> None:
        """Take in a block; blocks come in ascending order."""
        for i, prints in enumerate(block.by_product):
            if len(prints) == 0:
                continue
            self._blocks[i].append(prints)
            self._counts[i] += len(prints)
            while self._counts[i] - len(self._blocks[i][0]) >= self._limit:
                self._counts[i] -= len(self._blocks[i].popleft())

    def last(self, symbol: str, until_ns: int) -> Prints:
        """Return the latest trade not after `until_ns`: shape (1,), or (0,) where there is none."""
        for prints in reversed(self._blocks[self._index[symbol]]):
            count = int(np.searchsorted(prints["ts"], until_ns, side="right"))
            if count:
                return prints[count - 1 : count]
        return np.empty(0, dtype=PRINT)

    def page(
        self, symbol: str, until_ns: int, *, limit: int = PAGE_MAX, before: int | None = None, after: int | None = None
    ) -> Prints:
        """Cut one page, newest first.

        Parameters
        ----------
        symbol
            A product that is traded here.
        until_ns
            Trades after this time have not happened yet.
        limit
            Trades on the page at most.
        before
            Only ids above it: the *newest* `limit` of them, not those just above (the venue's quirk).
        after
            Only ids below it: the way to walk down into the past.

        Returns
        -------
        NDArray
            Shape (≤ limit,), dtype PRINT, descending `trade_id`.
        """
        found: list[Prints] = []
        missing = limit
        for prints in reversed(self._blocks[self._index[symbol]]):
            stop = int(np.searchsorted(prints["ts"], until_ns, side="right"))
            if after is not None:
                stop = min(stop, int(np.searchsorted(prints["trade_id"], after)))
            start = max(0, stop - missing)
            if before is not None:
                start = max(start, int(np.searchsorted(prints["trade_id"], before, side="right")))
            found.append(prints[start:stop][::-1])
            missing -= max(0, stop - start)
            if missing == 0 or (before is not None and int(prints["trade_id"][0]) <= before):
                break
        return np.concatenate(found) if found else np.empty(0, dtype=PRINT)
