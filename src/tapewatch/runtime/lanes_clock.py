"""The lanes' clock between two commits: the clock of the last one in, now out."""

from tapewatch.model import NS
from tapewatch.store.records import Clock

LIVE_NS = 86_400 * NS
"""Lanes whose clock was so far from ours at a commit are replayed."""

FRESH_NS = 5 * NS
"""Without a commit for so long, the runtime stands still or is gone: from then on time passes as on the wall."""


class LanesClock:
    """What time it is where the lanes are: on a replay, the tape's.

    Group updates and digests must come even where no commit comes any more, so this clock never stands still.

    Examples
    --------
    >>> lanes = LanesClock()
    >>> lanes.hear(Clock(now_ts=1_000 * NS, wall_ts=0, speed=60.0), now_ns=0)
    >>> lanes.now(2 * NS) // NS
    1120
    """

    def __init__(self) -> None:
        self._clock = Clock(0, 0)
        self._heard_ns = 0

    def hear(self, clock: Clock, now_ns: int) -> None:
        """Take the clock of the last commit; `now_ns` is ours."""
        if clock.now_ts != self._clock.now_ts:
            self._heard_ns = now_ns
        self._clock = clock

    def now(self, now_ns: int) -> int:
        """Tell the time, ns; `now_ns` is ours."""
        if self.live:
            return self._clock.now_ts + max(0, now_ns - self._clock.wall_ts)
        passed = max(0, now_ns - self._heard_ns)
        return self._clock.now_ts + round(min(passed, FRESH_NS) * self._clock.speed) + max(0, passed - FRESH_NS)

    @property
    def live(self) -> bool:
        """Tell whether the lanes live when we do, though perhaps some hours behind."""
        return self._clock.speed == 1.0 and abs(self._clock.wall_ts - self._clock.now_ts) < LIVE_NS
