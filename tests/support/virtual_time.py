"""A clock and a sleep that a test moves: nothing waits for real, and the order of events is always the same."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from tapewatch.model import NS

SPINS = 25
"""Turns of the event loop after which everything that could run has run."""

PATIENCE_S = 20.0
"""A real socket that has not delivered by then never will; a test that comes here has failed."""


class VirtualTime:
    """Time that stands still until `advance`.

    Attributes
    ----------
    slept
        Seconds of every sleep that was asked for.
    """

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self.slept: list[float] = []

    def now_ns(self) -> int:
        """Ns since the epoch."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Return once the time has been moved so far."""
        self.slept.append(seconds)
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_ns + round(seconds * NS), next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move the time on, waking each sleeper at its moment and letting it act before the next."""
        target_ns = self._now_ns + round(seconds * NS)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target_ns:
            self._now_ns, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
                await settle()
        self._now_ns = target_ns
        await settle()


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(SPINS):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for real sockets to bring something about; the virtual time stands still meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # what is waited for has no event: it is the outcome of many
            await asyncio.sleep(0.002)
