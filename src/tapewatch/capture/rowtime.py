"""The time of a tape's rows: our steady time, true to the venue's where somebody sets this machine's clock.

In: our clock, and what the venue's heartbeats say. Out: time that never steps, for all that waits, and the moments of
rows.
"""

from tapewatch.clock import SLEW, Clock
from tapewatch.model import NS, Kind, RowTuple

NEAR_NS = 5 * NS
"""While the venue's time lies so near to that of the rows, nothing that is done to this machine's clock moves them."""

FRESH_NS = 10 * NS
"""A heartbeat that came longer ago vouches for nothing."""

_CLOCK = int(Kind.CLOCK)


class RowTime:
    """Time for a session, and its correction for the world outside.

    `now_ns` is the moment of the beginning and the time since, so that no time-out and no silence depends on what is
    done to the wall clock. `correct` gives rows their moments. Those go on while this machine sleeps. They follow a
    wall clock that is set only where the venue does not vouch for them: forward at once, back at half speed, so that
    they never go back.

    Attributes
    ----------
    correction_ns
        What `now_ns` lacks to the moments of rows; as of the last `look`.
    ahead_ns
        By how much our clock may be ahead of `now_ns`, before or after it was set.
    slept_ns
        How long this machine slept between the last two calls of `look`.
    """

    def __init__(self, clock: Clock) -> None:
        self.correction_ns = self.ahead_ns = self.slept_ns = 0
        self._clock = clock
        now, self._mono = clock.both_ns()
        self._offset_ns = now - self._mono
        self._asleep_ns = clock.slept_ns()
        self._beat: tuple[int, int] | None = None  # when the last heartbeat came, and the venue's time in it

    def now_ns(self) -> int:
        """Ns since the epoch, as if nobody had set a clock since the beginning."""
        return self._clock.monotonic_ns() + self._offset_ns

    def heard(self, now_ns: int, ts: int) -> None:
        """Note the venue's time `ts` of a heartbeat that came at `now_ns`."""
        if self._beat is None or ts != self._beat[1]:
            self._beat = (now_ns, ts)

    def look(self) -> int:
        """Look at the clocks, and return `now_ns`."""
        moment, mono = self._clock.both_ns()
        now_ns, passed_ns = mono + self._offset_ns, mono - self._mono
        self.slept_ns = self._clock.slept_ns() - self._asleep_ns
        self._mono, self._asleep_ns = mono, self._asleep_ns + self.slept_ns
        self.correction_ns += self.slept_ns
        wanted_ns = moment - now_ns
        if wanted_ns != self.correction_ns and not self._vouched(now_ns, wanted_ns):
            self.correction_ns = max(wanted_ns, self.correction_ns - passed_ns // SLEW)
        self.ahead_ns = max(0, wanted_ns, self.correction_ns)
        return now_ns

    def moment_ns(self) -> int:
        """Tell the time of rows that are made now."""
        return self.look() + self.correction_ns

    def correct(self, rows: list[RowTuple]) -> list[RowTuple]:
        """Give rows their moments, ns since the epoch."""
        return [_corrected(row, self.correction_ns) for row in rows] if self.correction_ns else rows

    def corrected(self, ns: int | None) -> int | None:
        """Make a moment of one of ours; 0 and None are none."""
        return ns + self.correction_ns if ns else None

    def _vouched(self, now_ns: int, wanted_ns: int) -> bool:
        if self._beat is None or now_ns - self._beat[0] > FRESH_NS:
            return False
        lag_ns = self._beat[0] - self._beat[1]
        return abs(lag_ns + self.correction_ns) <= max(NEAR_NS, abs(lag_ns + wanted_ns))


def _corrected(row: RowTuple, correction_ns: int) -> RowTuple:
    # A CLOCK's other moments, when the lane was heard and since when it is blind, are of the same clock as its own: how
    # long that is stays true.
    ts, recv_ts, trade_id, sequence, price, size, aux, lane, kind, side, flags = row
    if kind == _CLOCK:
        aux = aux + correction_ns if aux else 0
        sequence = sequence + correction_ns if sequence else 0
    return (ts, recv_ts + correction_ns, trade_id, sequence, price, size, aux, lane, kind, side, flags)
