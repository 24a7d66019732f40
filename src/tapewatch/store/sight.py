"""What time it is for the program that writes a database, as one sees it who reads: by the reader's own clocks.

Two machines' wall clocks differ, and both may be set. So a writer is alive while its commits come, counted by the
reader's monotonic clock; what the wall clocks say is believed only until one has come.
"""

import threading
from collections import deque
from collections.abc import Callable

from tapewatch.clock import Clock as OurClock
from tapewatch.clock import SystemClock
from tapewatch.errors import StoreError
from tapewatch.model import NS
from tapewatch.steps import difference_words, notice
from tapewatch.store import log
from tapewatch.store.records import Clock
from tapewatch.store.sql import Reader

COMMITS = 20
"""Commits by which the difference of the clocks is judged: the one that was seen soonest tells it best."""

RUNNING_NS = 5 * NS
"""A program that captures commits at least once a second; after so long without a commit it is not running."""

SETTLE_S = 1.5
"""How long a single look waits for a commit, where the wall clocks say that none has come lately."""

LOOK_EVERY_S = 0.05

READ_EVERY_NS = NS // 20
"""Whoever asks more often is told from what was read last."""


class Pulse:
    """The time of one who commits, carried on by the reader's monotonic clock from commit to commit.

    Attributes
    ----------
    beating
        Whether a commit has come since the first look.
    """

    def __init__(self, clock: OurClock) -> None:
        self.beating = False
        self._clock = clock
        self._last: Clock | None = None
        self._seen_ns = 0  # by our monotonic clock
        self._doubt_ns = 0  # how old the first commit was, by wall clocks that may differ
        self._ahead: deque[int] = deque(maxlen=COMMITS)

    @property
    def ahead_ns(self) -> int:
        """How far the writer's wall clock is ahead of ours, ns; 0 as long as nothing is known."""
        return max(self._ahead, default=0)

    def wall_ns(self, written: Clock | None) -> int:
        """Tell what the writer's wall clock says now, ns since the epoch.

        Parameters
        ----------
        written
            The clocks of its last commit; None: there is none, and ours is told.
        """
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        if written is None:
            self._last, self.beating = None, False
            return wall_ns
        last = self._last
        if last is None or written.revision < last.revision:  # the first look at this database
            self._last, self._seen_ns, self.beating = written, mono_ns, False
            self._ahead.clear()
            self._doubt_ns = abs(wall_ns - written.wall_ts)
        elif written.revision > last.revision:
            self._last, self._seen_ns, self.beating = written, mono_ns, True
            self._ahead.append(written.wall_ts - wall_ns)
            self._doubt_ns = 0
        return written.wall_ts + self._doubt_ns + mono_ns - self._seen_ns


class Sight:
    """Look at a database for what time it is: the wall clock of whoever shows it."""

    def __init__(self, reader: Reader, clock: SystemClock | None = None) -> None:
        self._reader = reader
        self._clock = clock or SystemClock()
        self._pulse = Pulse(self._clock)
        self._lock = threading.Lock()
        self._known: Clock | None = None
        self._read_ns: int | None = None

    def __call__(self) -> int:
        """Tell the writer's wall clock, ns since the epoch; ours where there is no database."""
        notice(self._clock)
        with self._lock:
            mono_ns = self._clock.monotonic_ns()
            if self._read_ns is None or mono_ns - self._read_ns >= READ_EVERY_NS:
                self._known, self._read_ns = self._written(), mono_ns
            return self._pulse.wall_ns(self._known)

    def difference(self) -> str:
        """Say how this machine's clock differs from the one that captures; "" where it hardly does."""
        return difference_words(self._pulse.ahead_ns)

    def settled(self, sleep: Callable[[float], object]) -> int:
        """Tell it for a single look, which needs a commit where the wall clocks say that there was none lately."""
        for _ in range(round(SETTLE_S / LOOK_EVERY_S)):
            written = self._written()
            with self._lock:
                wall_ns = self._pulse.wall_ns(written)
            if written is None or self._pulse.beating or wall_ns - written.wall_ts <= RUNNING_NS:
                break
            sleep(LOOK_EVERY_S)
        return self()

    def _written(self) -> Clock | None:
        try:
            if not self._reader.ready():
                return None
            with self._reader.connect() as connection:
                return log.clock(connection)
        except StoreError:  # whoever shows it says so
            return None
