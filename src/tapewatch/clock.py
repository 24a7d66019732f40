"""The one clock of a process: moments by the wall clock, durations by the monotonic one, and when the two fall apart.

Sessions, drivers, readers and the simulated exchange are given it; a test gives its own machine.
"""

import threading
import time
from typing import NamedTuple, Protocol

from tapewatch.model import NS

STEP_NS = 2 * NS
"""The wall clock is followed where it moved by more than this against the monotonic one; less is nobody's trouble."""

SLEW = 2
"""After the wall clock was set back, moments go on at one `SLEW`th less than full speed until it has caught up."""

TORN_NS = NS // 20
"""A reading of the clocks that took longer says nothing about a step: we were held up in the middle of it."""

TRIES = 3


class Clock(Protocol):
    """Where now comes from; a test or a replay has its own."""

    def now_ns(self) -> int:
        """Tell the moment, ns since the epoch, never less than before: for what is stored, and what others are told.

        It is the wall clock's as soon as that may be. Set forward, or after this machine slept, it is so at once; set
        back, moments go on at half speed until the wall clock has caught up.
        """

    def monotonic_ns(self) -> int:
        """For durations, and for nothing else: it never steps, and stands still while the machine sleeps."""

    def both_ns(self) -> tuple[int, int]:
        """`now_ns` and `monotonic_ns` of one instant."""

    def wall_ns(self) -> int:
        """Tell what this machine's wall clock says, steps and all: for who compares it with another one's."""

    def slept_ns(self) -> int:
        """How long this machine has slept since the clock began, as far as it was noticed."""


class Machine(Protocol):
    """The clocks of an operating system."""

    def wall_ns(self) -> int:
        """Ns since the epoch; somebody may set it."""

    def monotonic_ns(self) -> int:
        """Ns since any moment; it stands still while the machine sleeps."""

    def boot_ns(self) -> int:
        """Ns since any moment; it goes on while the machine sleeps. Where that is not known, `monotonic_ns`."""


class ThisMachine:
    """The clocks of the machine that we run on."""

    _BOOT = getattr(time, "CLOCK_BOOTTIME", None)  # Linux alone; elsewhere a sleep looks like a clock set forward

    def wall_ns(self) -> int:
        """Ns since the epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Ns that this machine was awake."""
        return time.monotonic_ns()

    def boot_ns(self) -> int:
        """Ns since it was started."""
        return time.monotonic_ns() if self._BOOT is None else time.clock_gettime_ns(self._BOOT)


class Step(NamedTuple):
    """The wall clock moved against the monotonic one.

    Attributes
    ----------
    by_ns
        By how much; below zero: it was set back.
    slept_ns
        How much of it this machine slept through.
    """

    by_ns: int
    slept_ns: int


class _Course(NamedTuple):
    # moment = monotonic + offset; the offset goes from `offset_ns` at `since_ns` down to `target_ns`, or stays
    offset_ns: int
    since_ns: int
    target_ns: int

    def at(self, monotonic_ns: int) -> int:
        if self.target_ns >= self.offset_ns:
            return self.offset_ns
        return max(self.target_ns, self.offset_ns - max(0, monotonic_ns - self.since_ns) // SLEW)


class _Seen(NamedTuple):
    monotonic_ns: int
    wall_offset_ns: int
    asleep_ns: int


class SystemClock:
    """One clock of all that this machine has.

    Parameters
    ----------
    machine
        Its clocks.

    Examples
    --------
    >>> clock = SystemClock()
    >>> clock.now_ns() <= clock.now_ns()
    True
    >>> clock.steps()
    []
    """

    def __init__(self, machine: Machine | None = None) -> None:
        self._machine = machine or ThisMachine()
        self._lock = threading.Lock()
        mono, wall = self._machine.monotonic_ns(), self._machine.wall_ns()
        self._known = _Seen(mono, wall - mono, self._machine.boot_ns() - mono)
        self._course = _Course(wall - mono, mono, wall - mono)
        self._slept_ns = 0
        self._steps: list[Step] = []

    def now_ns(self) -> int:
        """Tell the moment, ns since the epoch, never less than before."""
        return self.both_ns()[0]

    def monotonic_ns(self) -> int:
        """Ns for durations."""
        return self._machine.monotonic_ns()

    def both_ns(self) -> tuple[int, int]:
        """`now_ns` and `monotonic_ns` of one instant; a step of the wall clock is noticed here."""
        seen = self._look()
        if seen is not None and self._stepped(seen) is not None:
            self._follow(seen)
        mono = self._machine.monotonic_ns()
        return mono + self._course.at(mono), mono

    def wall_ns(self) -> int:
        """Tell what this machine's wall clock says."""
        return self._machine.wall_ns()

    def slept_ns(self) -> int:
        """How long this machine has slept since the clock began."""
        return self._slept_ns

    def steps(self) -> list[Step]:
        """Look at the clocks, and return the steps that were noticed since the last call."""
        self.both_ns()
        with self._lock:
            steps, self._steps = self._steps, []
            return steps

    def go_on_from(self, moment_ns: int) -> int:
        """Begin no earlier than a moment that was already given out, by the process before us.

        Returns
        -------
        int
            By how many ns the wall clock lies behind it; 0 where it does not.
        """
        with self._lock:
            now, mono = self.wall_ns(), self.monotonic_ns()
            behind_ns = moment_ns - now
            if behind_ns > 0:
                self._course = _Course(moment_ns - mono, mono, now - mono)
            return max(0, behind_ns)

    def _look(self) -> _Seen | None:
        machine = self._machine
        for _ in range(TRIES):
            boot = machine.boot_ns()
            mono, wall = machine.monotonic_ns(), machine.wall_ns()
            if machine.boot_ns() - boot <= TORN_NS:
                return _Seen(mono, wall - mono, boot - mono)
        return None

    def _stepped(self, seen: _Seen) -> Step | None:
        by_ns = seen.wall_offset_ns - self._known.wall_offset_ns
        slept_ns = seen.asleep_ns - self._known.asleep_ns
        if abs(by_ns) <= STEP_NS and slept_ns <= STEP_NS:
            return None
        return Step(by_ns, slept_ns if slept_ns > STEP_NS else 0)

    def _follow(self, seen: _Seen) -> None:
        with self._lock:
            step = self._stepped(seen)
            if step is None or seen.monotonic_ns < self._known.monotonic_ns:
                return  # another thread was faster
            self._known = seen
            self._slept_ns += step.slept_ns
            self._steps.append(step)
            mono = self._machine.monotonic_ns()
            offset_ns = max(self._course.at(mono), seen.wall_offset_ns)
            self._course = _Course(offset_ns, mono, seen.wall_offset_ns)
