"""A recorded tape as a source: its rows come at the speed of its clock, from where the last run stopped."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from tapewatch.carry.source import BadRow
from tapewatch.clock import Clock
from tapewatch.errors import TapeError
from tapewatch.model import NS, Lane, Rows
from tapewatch.runtime.source import LaneStatus, Position, Resume
from tapewatch.store.records import Quarantined, Source

OpenTape = Callable[[Callable[[BadRow], None]], Iterator[Rows]]

END = "end of tape"


class TapeSource:
    """Replay a tape.

    Parameters
    ----------
    identity
        Whose database it fills.
    open_tape
        Gives the tape's rows from its beginning, the same ones each time; tells the given function what it refuses.
    speed
        1: as recorded; 60: an hour in a minute; 0: as fast as it goes.
    clock, sleep
        The outside world.
    """

    def __init__(
        self,
        identity: Source,
        open_tape: OpenTape,
        *,
        speed: float,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.identity = identity
        self.speed = speed
        self.ended: str | None = None
        self._tape = open_tape(self._refuse)
        self._clock = clock
        self._sleep = sleep
        self._rows = Rows.empty()
        self._due: NDArray[np.int64] = np.empty(0, np.int64)  # when each row is due on the tape's clock, ascending
        self._taken = 0
        self._skip = Position()
        self._start_ts = 0  # of the tape's clock …
        self._start_ns = 0  # … at this reading of our monotonic clock
        self._last_ts = 0  # of the row that was taken last
        self._lanes: dict[Lane, LaneStatus] = {}
        self._quarantine: list[Quarantined] = []
        self._stopped = False

    async def start(self, resume: Resume) -> None:
        """Go to the row behind the last one whose consequences are stored.

        Raises
        ------
        TapeError
            The tape cannot be read, or holds fewer rows than the database has seen of it.
        """
        self._skip = resume.position
        self._lanes = {lane: LaneStatus("waiting") for lane in resume.ledgers}
        left = resume.position.rows
        while await self._next_chunk():
            if left < len(self._rows.data):
                self._taken = left
                self._start_ts = int(self._due[left])
                self._last_ts = int(self._due[max(0, left - 1)])
                break
            left -= len(self._rows.data)
        if self.ended is not None and left > 0:
            raise TapeError(
                f"{self.identity.address}: expected the {resume.position.rows:,} rows that the database has seen of "
                f"it, found {left:,} fewer; start with another database with --db"
            )
        self._start_ns = self._clock.monotonic_ns()

    async def wait(self, timeout_s: float) -> None:
        """Return when a row is due, at the end, or when the time is up."""
        if self._taken == len(self._rows.data) and self.ended is None:
            await self._next_chunk()
        if self.ended is not None:
            await self._sleep(timeout_s)
        elif self.speed > 0:
            wait_ns = math.ceil((int(self._due[self._taken]) - self.now_ns()) / self.speed)
            if wait_ns > 0:
                await self._sleep(min(wait_ns / NS, timeout_s))

    def take(self, limit: int) -> Rows | None:
        """Return rows that are due, at most `limit`."""
        stop = 0 if self._stopped else len(self._rows.data)
        if self.speed > 0 and not self._stopped:
            stop = int(np.searchsorted(self._due, self.now_ns(), side="right"))
        stop = min(stop, self._taken + limit)
        if stop <= self._taken:
            return None
        rows = self._rows.part(self._taken, stop)
        self._taken, self._last_ts = stop, int(self._due[stop - 1])
        for number in np.unique(rows.data["lane"]).tolist():
            lane = rows.lanes[number]
            status = self._lanes.get(lane, LaneStatus("waiting"))
            self._lanes[lane] = msgspec.structs.replace(status, state="live", reason="")
        return rows

    def quarantined(self) -> list[Quarantined]:
        """Return rows of the tape that were refused since the last call; none that an earlier run has stored."""
        quarantine, self._quarantine = self._quarantine, []
        return quarantine

    def status(self) -> dict[Lane, LaneStatus]:
        """Tell how each lane stands: live while the tape runs, then ended."""
        over: dict[str, str] = {}
        if self.ended is not None:
            over = {"state": "ended", "reason": END}
        elif self._stopped:
            over = {"state": "stopped", "reason": "stopped; the next start goes on from here"}
        return {lane: msgspec.structs.replace(status, **over) for lane, status in self._lanes.items()}

    def now_ns(self) -> int:
        """Tell the time of the tape's clock: it runs between rows, too, and stands still at the end."""
        if self.speed == 0 or self.ended is not None:
            return self._last_ts
        return self._start_ts + round((self._clock.monotonic_ns() - self._start_ns) * self.speed)

    async def stop(self) -> None:
        """End here."""
        self._stopped = True

    async def _next_chunk(self) -> bool:
        # Reading and unpacking happens aside, so that commits, requests and signals need not wait for it.
        while True:
            rows = await asyncio.to_thread(next, self._tape, None)
            if rows is None:
                self._last_ts = int(self._due[-1]) if len(self._due) else 0
                self.ended = END
                self._taken = len(self._rows.data)
                return False
            if len(rows.data):
                break
        due = np.maximum.accumulate(rows.data["recv_ts"])
        self._due = np.maximum(due, self._due[-1]) if len(self._due) else due
        self._rows, self._taken = rows, 0
        return True

    def _refuse(self, bad: BadRow) -> None:
        if self._skip.refused > 0:
            self._skip = Position(refused=self._skip.refused - 1)
            return
        self._quarantine.append(Quarantined(bad.recv_ts, bad.venue, bad.symbol, str(bad), bad.raw))
        if bad.symbol is not None:
            lane = Lane(bad.venue, bad.symbol)
            status = self._lanes.get(lane, LaneStatus("waiting"))
            self._lanes[lane] = msgspec.structs.replace(status, quarantined=status.quarantined + 1)
