"""How far the market has been told: the time in, matches and heartbeats out to the clients that asked for them.

No clock and no socket of its own. Whoever calls late publishes everything that is due, in order.
"""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from tapewatch.model import NS
from tapewatch.simulate import frames
from tapewatch.simulate.clients import Client
from tapewatch.simulate.history import History
from tapewatch.simulate.market import Block, Market, Prints
from tapewatch.simulate.plants import Label
from tapewatch.simulate.troubles import Troubles


class Publisher:
    """Publishes a market second by second.

    Parameters
    ----------
    market
        What is told; its past goes to the history at once.
    history
        Takes every block.
    planted
        Called with what was planted in a second, when that second begins.
    troubles
        How it is told on a bad day.

    Attributes
    ----------
    published_ns
        Everything up to this time has been published.
    """

    published_ns: int
    _block: Block
    _cursor: int  # into the block's prints: the next one to be published
    _beaten: bool  # whether the block's heartbeats are out

    def __init__(
        self,
        market: Market,
        history: History,
        planted: Callable[[Sequence[Label]], None],
        troubles: Troubles | None = None,
    ) -> None:
        self._products = market.products
        self._index = {product.id: i for i, product in enumerate(market.products)}
        self._history = history
        self._planted = planted
        self._troubles = troubles or Troubles((), market.products, market.start_ns)
        self._blocks = market.blocks()
        self._last: list[tuple[int, int] | None] = [None] * len(market.products)  # id and sequence of the last trade
        self._start(next(self._blocks))
        while self._block.start_ns < market.start_ns:
            self._end_block()

    def publish(self, now_ns: int, clients: Collection[Client]) -> bool:
        """Publish what is due, at most to the end of a second; return whether there is more."""
        block = self._block
        if now_ns < block.start_ns:
            return False
        if not self._beaten:
            self._beaten = True
            self._beat(now_ns, clients)
        stop = self._cursor + int(np.searchsorted(block.prints["ts"][self._cursor :], now_ns, side="right"))
        if stop > self._cursor:
            self._send_matches(block.prints[self._cursor : stop], now_ns, clients)
            self._cursor = stop
        self.published_ns = min(now_ns, block.start_ns + NS - 1)
        if now_ns < block.start_ns + NS:
            return False
        self._end_block()
        return True

    def wake_ns(self) -> int:
        """When the next match or heartbeat is due."""
        prints = self._block.prints
        if not self._beaten:
            return self._block.start_ns
        return int(prints["ts"][self._cursor]) if self._cursor < len(prints) else self._block.start_ns + NS

    def last_match(self, symbol: str) -> list[bytes]:
        """Tell the last trade that was published: one frame, or none where the product never traded."""
        texts = frames.matches(self._history.last(symbol, self.published_ns), self._products, kind="last_match")
        return self._troubles.spelled(texts, self.published_ns)

    def _start(self, block: Block) -> None:
        self._block = block = self._troubles.retold(block)
        self._cursor = 0
        self._beaten = False
        self.published_ns = block.start_ns - 1
        self._history.add(block)
        if block.labels:
            self._planted(block.labels)

    def _end_block(self) -> None:
        for i, prints in enumerate(self._block.by_product):
            if len(prints):
                self._last[i] = (int(prints["trade_id"][-1]), int(prints["sequence"][-1]))
        self._start(next(self._blocks))

    def _beat(self, now_ns: int, clients: Collection[Client]) -> None:
        beats = {
            product.id: frames.heartbeat(product.id, *last, self._block.start_ns)
            for i, (product, last) in enumerate(zip(self._products, self._last, strict=True))
            if last is not None and i not in self._block.muted
        }
        for client in clients:
            client.send([beats[symbol] for symbol in client.heartbeats if symbol in beats], now_ns)

    def _send_matches(self, due: Prints, now_ns: int, clients: Collection[Client]) -> None:
        wanted = {client: {self._index[symbol] for symbol in client.matches} for client in clients}
        anyone = set[int]().union(*wanted.values())
        if len(anyone) < len(self._products):
            due = due[np.isin(due["product"], list(anyone))]
        due = self._troubles.leapt(due)
        texts = self._troubles.spelled(frames.matches(due, self._products), now_ns)
        products = due["product"].tolist()
        for client, indices in wanted.items():
            every = len(indices) == len(anyone)
            mine = texts if every else [text for text, i in zip(texts, products, strict=True) if i in indices]
            client.send(mine, now_ns, matches=True)
