"""A clock and a sleep that a test moves: nothing waits for real, and the order of events is always the same."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from tapewatch.clock import SystemClock
from tapewatch.model import NS

SPINS = 25
"""Turns of the event loop after which everything that could run has run."""

PATIENCE_S = 20.0
"""A real socket that has not delivered by then never will; a test that comes here has failed."""


class FakeMachine:
    """A machine whose clocks a test moves; as a clock, it is what a process would make of them."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns  # of the monotonic clock
        self._set_ns = self._asleep_ns = 0
        self.clock = SystemClock(_Raw(self))

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ns += round(seconds * NS)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._set_ns += round(seconds * NS)

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: the wall clock goes on, and the monotonic one stands still."""
        self._asleep_ns += round(seconds * NS)

    def raw_ns(self) -> tuple[int, int, int]:
        """Tell what wall clock, monotonic clock and the clock since boot say."""
        return self._now_ns + self._set_ns + self._asleep_ns, self._now_ns, self._now_ns + self._asleep_ns

    def now_ns(self) -> int:
        """Ns since the epoch."""
        return self.clock.now_ns()

    def monotonic_ns(self) -> int:
        """For durations."""
        return self.clock.monotonic_ns()

    def both_ns(self) -> tuple[int, int]:
        """Both of one instant."""
        return self.clock.both_ns()

    def wall_ns(self) -> int:
        """Tell what the wall clock says."""
        return self.clock.wall_ns()

    def slept_ns(self) -> int:
        """How long the machine slept."""
        return self.clock.slept_ns()


class _Raw:
    def __init__(self, machine: FakeMachine) -> None:
        self._machine = machine

    def wall_ns(self) -> int:
        return self._machine.raw_ns()[0]

    def monotonic_ns(self) -> int:
        return self._machine.raw_ns()[1]

    def boot_ns(self) -> int:
        return self._machine.raw_ns()[2]


class VirtualTime(FakeMachine):
    """Time that stands still until `advance`.

    Attributes
    ----------
    slept
        Seconds of every sleep that was asked for.
    """

    def __init__(self, start_ns: int) -> None:
        super().__init__(start_ns)
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self.slept: list[float] = []

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
