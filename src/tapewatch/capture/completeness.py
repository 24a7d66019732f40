"""The ledger of one lane's trade ids: trades in as they arrive, rows out so that nothing is lost unsaid.

Sans-I/O: every call is told the time. Rows come out in the order in which they must go on the tape.
"""

from collections import deque
from typing import Final, Protocol

from tapewatch.capture.numbering import NEVER_NS, RECV_TS, TRADE_ID, UNSAID_LEAP_MAX, Numbering, Waiting
from tapewatch.capture.takings import Takings
from tapewatch.model import NS, Cause, Flag, Kind, RowTuple

NAMED_WAIT_NS = 2 * NS
"""How long an id that only a heartbeat has named may still arrive before it becomes a gap."""

AHEAD_NS_MAX = 60 * NS
"""Farther than this ahead of our clock and the venue's last word no time is believed."""

GAP_WAIT_NS = 30 * NS
"""How long the stragglers of a gap are collected before it is given up."""

GAPS_MAX = 64
"""Gaps of a lane that are open at once; before the next one the oldest is given up."""

NAMED_MAX = 64
"""Heartbeats that are remembered at once; from then on the newest takes the place of the one before it."""

_GAP, _LATE, _FILLED, _CLOCK, _EPOCH = (
    int(kind) for kind in (Kind.GAP, Kind.LATE, Kind.FILLED, Kind.CLOCK, Kind.EPOCH)
)
_TS: Final = 0  # position in a RowTuple


class Resume(Protocol):
    """What the tape already says about a lane when capture starts anew."""

    @property
    def highest_id(self) -> int:
        """Highest id that any TRADE or GAP has named, -1 where there was none."""

    @property
    def open_gaps(self) -> tuple[tuple[int, int], ...]:
        """First and last ids of the gaps that are open, ascending."""

    @property
    def ts(self) -> int:
        """Venue's time of the last trade, 0 where there was none."""


class _Gap:
    __slots__ = ("came", "first", "give_up_ns", "last")

    def __init__(self, first: int, last: int, give_up_ns: int) -> None:
        self.first, self.last, self.give_up_ns = first, last, give_up_ns
        self.came: dict[int, RowTuple | None] = {}  # None: it came and went to quarantine

    @property
    def complete(self) -> bool:
        return len(self.came) == self.last - self.first + 1


class Completeness:
    """One lane's ledger.

    For a trade of id *n*, received at *t*:

    1. What has fallen due by *t* goes first (steps 6 and 7).
    2. *n* is above the highest id: if ids between the two were skipped, a ``GAP`` over exactly those goes out at
       once; then the ``TRADE``. The first trade of a virgin lane skips nothing, whatever a heartbeat said before it.
       The first trade after a restart does: what was missed while down is a gap like any other.
    3. *n* lies in an open gap and has not come yet: it is kept. If it was the last one missing, the gap's trades go out
       as ``LATE`` in ascending order, then ``FILLED``.
    4. Anything else has been told before: dropped, and counted as a duplicate. But where it is younger than the last
       trade, it cannot be that one again: it waits (step 8).
    5. A trade in quarantine counts as seen wherever a good one would have been let go or kept, but has no row. On a
       virgin lane nothing is noted: there its id alone, off a frame that is not as it should be, decides nothing.
    6. An id that only heartbeats have named becomes a ``GAP`` `NAMED_WAIT_NS` after the first of them.
    7. A gap is given up `GAP_WAIT_NS` after it was opened: what came of it goes out as ``LATE``, then ``FILLED`` with
       `Flag.GIVEN_UP`. So is the oldest of `GAPS_MAX` gaps before the next one opens, and every gap that was open when
       the program stopped.
    8. An id more than `UNSAID_LEAP_MAX` above the highest waits until a heartbeat has named it. If none does within
       `WORD_WAIT_NS`, it is handed back as `unconfirmed`; nothing else depends on it.
    9. Where `EPOCH_BEATS` heartbeats in a row name the youngest of the trades that wait, and these have ids that cannot
       be of the present numbering (not above the highest and yet younger, or more than `LEAP_MAX` above it), and no
       trade came meanwhile that is of it, the venue numbers its trades anew: open gaps are given up, an ``EPOCH`` goes
       out, then the trades that waited. Ids of the new numbering are raised by `NUMBERING`, so that they still rise.

    `CLOCK` rows are asked for with `clock`; their ``ts`` is the last heartbeat's time once the highest id has reached
    the id that it named, because by then each id up to it was let go, stands in a gap or went to quarantine.

    Parameters
    ----------
    lane
        Number of the lane, put into every row.
    resume
        What the tape says already; None for a virgin lane.

    Attributes
    ----------
    highest_id
        Highest id that was let go, stands in a gap or went to quarantine; -1: none yet.
    due_ns
        `due` has nothing to do before this time.
    duplicates
        Trades that had been told before.
    started_ns, last_frame_ns
        Our time when the lane's clock began, and of its last frame, 0 before the first; their owner writes them.
    heartbeat_ts
        Venue's time by the last heartbeat; 0 before the first.
    takings
        What gets through and what not.
    unconfirmed
        Trades that have waited in vain since somebody last cleared this list.
    epochs
        First ids of new numberings since somebody last cleared this list.

    Examples
    --------
    >>> ledger = Completeness(lane=0)
    >>> trade = lambda n, t: (t, t, n, 0, 10**10, 1.0, 0, 0, int(Kind.TRADE), 1, 0)
    >>> [Kind(row[8]).name for row in ledger.trade(trade(7, 1)) + ledger.trade(trade(9, 2)) + ledger.trade(trade(8, 3))]
    ['TRADE', 'GAP', 'TRADE', 'LATE', 'FILLED']
    """

    def __init__(self, lane: int, resume: Resume | None = None) -> None:
        self.lane = lane
        self.highest_id = -1 if resume is None else resume.highest_id
        self.due_ns = NEVER_NS
        self.duplicates = 0
        self.started_ns = 0
        self.last_frame_ns = 0
        self.heartbeat_ts = 0
        self.takings = Takings()
        self.unconfirmed: list[Waiting] = []
        self.epochs: list[int] = []
        self._numbering = Numbering(self.highest_id)
        self._last_ts = 0 if resume is None else resume.ts
        self._came_id = self.highest_id  # where its trade got through, as far as is known
        self._heartbeat_id = -1
        self._taken_before = 0  # trades that had been taken when it came
        self._doubted_ts = 0
        self._named: deque[tuple[int, int]] = deque()  # (id, when it is due), both ascending
        self._left_open = () if resume is None else resume.open_gaps
        self._gaps: list[_Gap] = []  # ascending, and so in the order in which they were opened

    def start(self, now_ns: int) -> list[RowTuple]:
        """Close the gaps that were open when the program stopped: nobody collects their stragglers any more."""
        left_open, self._left_open = self._left_open, ()
        return [self._filled(first, last, now_ns, given_up=True) for first, last in left_open]

    def believes(self, trade_id: int) -> bool:
        """Whether the venue's id can be one of this lane's now: an absurd one would cost all good ones."""
        return self._numbering.believes(trade_id, self.highest_id)

    def believes_beat(self, last_trade_id: int) -> bool:
        """Whether the id that a heartbeat names can be one of this lane's."""
        return self._numbering.believes_beat(last_trade_id, self.highest_id)

    def believes_time(self, ts: int, now_ns: int) -> bool:
        """Whether a heartbeat's time can be the venue's.

        One that is a minute ahead of our clock and of the heartbeat before it is absurd, or our clock is slow: the
        next heartbeat tells, by agreeing.
        """
        doubted, self._doubted_ts = self._doubted_ts, ts
        return ts <= max(now_ns, self.heartbeat_ts) + AHEAD_NS_MAX or abs(ts - doubted) <= AHEAD_NS_MAX

    def trade(self, row: RowTuple, raw: str = "") -> list[RowTuple]:
        """Take a trade, as a ``TRADE`` row received at its ``recv_ts``, with the frame that it came in."""
        trade_id = row[TRADE_ID]
        if not self._numbering.believes(trade_id, self.highest_id):
            return self._wait(row, raw, Cause.UNCONFIRMED)
        named_id = self._numbering.base + trade_id
        return self._arrived(named_id, row, row[RECV_TS], raw)

    def seen(self, trade_id: int, now_ns: int) -> list[RowTuple]:
        """Take a trade that went to quarantine and whose id could be read and is near."""
        named_id = self._numbering.named(trade_id)
        if self.highest_id < 0 or named_id - self.highest_id > UNSAID_LEAP_MAX:
            return []
        return self._arrived(named_id, None, now_ns)

    def heartbeat(self, last_trade_id: int, ts: int, now_ns: int) -> list[RowTuple]:
        """Take the venue's word that it had traded up to `last_trade_id` by its time `ts`."""
        rows = self.due(now_ns)
        self.heard(last_trade_id, now_ns)
        self.heartbeat_ts = ts
        anew, confirmed = self._numbering.confirmed(self.highest_id)
        if anew:
            rows += self._begin_anew(confirmed[0].row[TRADE_ID], now_ns)
        for one in confirmed:
            rows += self.trade(one.row, one.raw)
        self._heartbeat_id = named_id = self._numbering.said_id
        known = max(self.highest_id, self._named[-1][0] if self._named else -1)
        if self.highest_id >= 0 and named_id > known:
            if len(self._named) == NAMED_MAX:
                self._named.pop()
            self._named.append((named_id, now_ns + NAMED_WAIT_NS))
        self._plan()
        return rows

    def heard(self, last_trade_id: int, now_ns: int) -> None:
        """Take a heartbeat's id, believed or not, as a word on whether the venue trades."""
        named_id, before = self._numbering.named(last_trade_id), self._numbering.said_id
        if before >= 0 and named_id != before and self.takings.taken == self._taken_before:
            self.takings.miss(Cause.NOT_COMING, before + 1, now_ns)  # where several were traded, this was one of them
            self.takings.miss(Cause.NOT_COMING, named_id, now_ns)
        elif named_id == self._came_id == self.highest_id:
            self.takings.well()
        self._numbering.said_id, self._taken_before = named_id, self.takings.taken

    def due(self, now_ns: int) -> list[RowTuple]:
        """Let go what must not wait beyond `now_ns`."""
        rows: list[RowTuple] = []
        if now_ns < self.due_ns:
            return rows
        while self._named and self._named[0][1] <= now_ns:
            named_id, _ = self._named.popleft()
            if named_id > self.highest_id:
                rows += self._open(named_id, now_ns)
        while self._gaps and self._gaps[0].give_up_ns <= now_ns:
            rows += self._close(self._gaps[0], now_ns)
        self._let_down(self._numbering.given_up(now_ns))
        self._plan()
        return rows

    def clock(self, now_ns: int) -> RowTuple:
        """Make the lane's ``CLOCK`` row; what is due by `now_ns` must have been let go."""
        let_go = self.highest_id >= self._heartbeat_id and self._numbering.due_ns == NEVER_NS
        ts = self.heartbeat_ts if let_go else 0
        heard_ns, takings = self.last_frame_ns or self.started_ns, self.takings
        takings.mark(now_ns)
        blind_ns, cause = takings.blind
        if cause is Cause.NONE and not self.last_frame_ns:
            cause = Cause.NO_FRAME if takings.connected else Cause.NEVER_CONNECTED
        return (ts, now_ns, int(cause), blind_ns, 0, 0.0, heard_ns, self.lane, _CLOCK, 0, 0)

    def _arrived(self, trade_id: int, row: RowTuple | None, now_ns: int, raw: str = "") -> list[RowTuple]:
        rows = self.due(now_ns) if now_ns >= self.due_ns else []
        highest_id = self.highest_id
        if trade_id > highest_id:
            if highest_id >= 0 and trade_id > highest_id + 1:
                rows += self._open(trade_id - 1, now_ns)
            self.highest_id = trade_id
            if row is not None:
                self._came_id, self._last_ts = trade_id, max(self._last_ts, row[_TS])
                self.takings.taken += 1
                if self.takings.doubted_ns:
                    self.takings.well()
                rows.append(self._named_row(row, trade_id))
            return rows
        gap = next((gap for gap in self._gaps if gap.first <= trade_id <= gap.last), None)
        if gap is None or trade_id in gap.came:
            return rows if row is None else rows + self._again(row, raw)
        gap.came[trade_id] = None if row is None else self._named_row(row, trade_id)
        if row is not None:
            self.takings.miss(Cause.LATE, row[TRADE_ID], now_ns)
        return rows + self._close(gap, now_ns) if gap.complete else rows

    def _named_row(self, row: RowTuple, named_id: int) -> RowTuple:
        if named_id == row[TRADE_ID]:
            return row
        ts, recv_ts, _, sequence, price, size, aux, lane, kind, side, flags = row
        return (ts, recv_ts, named_id, sequence, price, size, aux, lane, kind, side, flags)

    def _again(self, row: RowTuple, raw: str) -> list[RowTuple]:
        if row[_TS] > self._last_ts:
            return self._wait(row, raw, Cause.TOLD_AGAIN)
        self.duplicates += 1
        self.takings.miss(Cause.TOLD_AGAIN, row[TRADE_ID], row[RECV_TS])
        return []

    def _wait(self, row: RowTuple, raw: str, cause: Cause) -> list[RowTuple]:
        now_ns = row[RECV_TS]
        rows = self.due(now_ns) if now_ns >= self.due_ns else []
        self.takings.miss(cause, row[TRADE_ID], now_ns)
        self._let_down(self._numbering.wait(row, raw))
        self._plan()
        return rows

    def _let_down(self, given_up: list[Waiting]) -> None:
        for one in given_up:
            if self._numbering.named(one.row[TRADE_ID]) > self.highest_id:
                self.unconfirmed.append(one)
            else:
                self.duplicates += 1

    def _begin_anew(self, trade_id: int, now_ns: int) -> list[RowTuple]:
        rows: list[RowTuple] = []
        for gap in tuple(self._gaps):
            rows += self._close(gap, now_ns)
        self._named.clear()
        first, before = self._numbering.named(trade_id), self.highest_id
        self.highest_id = first - 1
        self.epochs.append(first)
        return [*rows, (0, now_ns, first, 0, 0, 0.0, before, self.lane, _EPOCH, 0, 0)]

    def _open(self, last: int, now_ns: int) -> list[RowTuple]:
        rows = self._close(self._gaps[0], now_ns) if len(self._gaps) == GAPS_MAX else []
        first = self.highest_id + 1
        assert first <= last, "a gap misses at least one id"
        self._gaps.append(_Gap(first, last, now_ns + GAP_WAIT_NS))
        self.highest_id = last
        self._plan()
        rows.append((0, now_ns, first, 0, 0, 0.0, last, self.lane, _GAP, 0, 0))
        return rows

    def _close(self, gap: _Gap, now_ns: int) -> list[RowTuple]:
        self._gaps.remove(gap)
        self._plan()
        if gap.complete and gap.last == self.highest_id:
            self._came_id = gap.last
            self.takings.well()
        came = [row for _, row in sorted(gap.came.items()) if row is not None]
        late: list[RowTuple] = [(*row[:8], _LATE, *row[9:]) for row in came]
        return [*late, self._filled(gap.first, gap.last, now_ns, given_up=not gap.complete)]

    def _filled(self, first: int, last: int, now_ns: int, *, given_up: bool) -> RowTuple:
        flags = int(Flag.GIVEN_UP) if given_up else 0
        return (0, now_ns, first, 0, 0, 0.0, last, self.lane, _FILLED, 0, flags)

    def _plan(self) -> None:
        named_ns = self._named[0][1] if self._named else NEVER_NS
        gap_ns = self._gaps[0].give_up_ns if self._gaps else NEVER_NS
        self.due_ns = min(named_ns, gap_ns, self._numbering.due_ns)
