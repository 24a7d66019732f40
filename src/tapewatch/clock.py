"""The one clock: nothing in, ns since the epoch out; sessions, drivers and the simulated exchange are given it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where now comes from; a test or a replay has its own."""

    def now_ns(self) -> int:
        """Ns since the epoch, never less than before."""


class SystemClock:
    """Wall clock at the start plus monotonic time since, so that it never steps."""

    def __init__(self) -> None:
        self._start_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Ns since the epoch."""
        return self._start_ns + time.monotonic_ns()
