"""What one lane takes in of what its venue trades, what not and why, and since when nothing.

Sans-I/O: every call is told the time.
"""

from collections import Counter, deque
from typing import Final

from tapewatch.model import BLIND_NS, NS, Cause

LOOK_BACK_NS = 60 * NS
"""How far `losing` looks back."""

MARK_EVERY_NS = 10 * NS

ALONE_NS: Final = 60 * NS
"""A trade that did not get through longer ago than that stands for itself, and not for all the time since."""

LOSING_LEAST: Final = 20
LOSING_SHARE: Final = 0.1
"""So many trades of the last minute, and such a share of them, that did not get through, are said to people."""

LOST: Final[dict[Cause, str]] = {
    Cause.TOLD_AGAIN: "told again",
    Cause.QUARANTINED: "in quarantine",
    Cause.LATE: "too late for the rules",
    Cause.UNCONFIRMED: "with ids that no heartbeat confirms",
}
"""Cause → what became of a trade that came; each is counted."""


class Takings:
    """One lane's takings.

    A trade that gets through says that all is well. What does not is evidence that the venue trades: a match that was
    set aside, told again, late, or whose id nothing confirms, and a heartbeat that names other trades than the one
    before it. One such trade may be the last for an hour, and is told as a gap or in quarantine; with the second one
    the lane is blind, since the first, or since the second where the first is long ago.

    Attributes
    ----------
    taken, lost
        Trades that got through, and the others by cause, since the start.
    doubted_ns
        When the first trade since the last one taken did not get through; 0 where there was none.
    refused_ns
        Since when the venue does not serve the lane; 0 where it does.
    connected
        Whether the venue was ever asked.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.lost: Counter[Cause] = Counter()
        self.doubted_ns = 0
        self.refused_ns = 0
        self.connected = False
        self._doubted: dict[bool, int] = {}
        self._sure = False
        self._causes: set[Cause] = set()
        self._marks: deque[tuple[int, int, Counter[Cause]]] = deque()

    def well(self) -> None:
        """Note that the venue's last trade got through."""
        self.doubted_ns, self._sure = 0, False
        self._causes.clear()
        self._doubted.clear()

    def miss(self, cause: Cause, trade_id: int | None, now_ns: int) -> None:
        """Note that the venue traded, and that this trade did not get through.

        Parameters
        ----------
        trade_id
            None where it cannot be read.
        """
        if cause in LOST:
            self.lost[cause] += 1
        self._causes.add(cause)
        self.doubted_ns = self.doubted_ns or now_ns
        if trade_id is None:
            trade_id = -self.lost.total()  # like no other
        named = cause is Cause.NOT_COMING  # a trade that came and was set aside may be the one that a heartbeat names
        if self._doubted.setdefault(named, trade_id) != trade_id and not self._sure:
            self._sure = True
            if now_ns - self.doubted_ns > ALONE_NS:  # the first was one trade, and the hour since then no blindness
                self.doubted_ns = now_ns

    @property
    def blind(self) -> tuple[int, Cause]:
        """Since when nothing gets through while the venue trades, ns, and why; (0, NONE) where all is well."""
        if self.refused_ns:
            return self.refused_ns, Cause.REFUSED
        if not self._sure:
            return 0, Cause.NONE
        told = self._causes - {Cause.NOT_COMING} or self._causes  # what came says more than what did not
        return self.doubted_ns, next(iter(told)) if len(told) == 1 else Cause.SEVERAL

    def blind_ns(self, now_ns: int) -> int:
        """Say for how long the lane has been blind; 0 below `BLIND_NS`, in which a trade may still be on its way."""
        since_ns, _ = self.blind
        return now_ns - since_ns if since_ns and now_ns - since_ns >= BLIND_NS else 0

    def mark(self, now_ns: int) -> None:
        """Remember how things stand, for `losing`; to be called about once a second."""
        if not self._marks or now_ns - self._marks[-1][0] >= MARK_EVERY_NS:
            self._marks.append((now_ns, self.taken, self.lost.copy()))
        while now_ns - self._marks[0][0] > LOOK_BACK_NS:
            self._marks.popleft()

    def losing(self) -> str:
        """Say what of the last minute's trades did not get through, where it is much; "" where it is not."""
        if not self._marks:
            return ""
        _, taken, before = self._marks[0]
        lost = {cause: count - before[cause] for cause, count in self.lost.items() if count > before[cause]}
        total = sum(lost.values())
        share = total / max(1, total + self.taken - taken)
        if total < LOSING_LEAST or share < LOSING_SHARE:
            return ""
        parts = ", ".join(f"{count:,} {LOST[cause]}" for cause, count in sorted(lost.items()))
        return f"{share:.0%} of the last minute's trades did not get through: {parts}".replace("%", " %", 1)
