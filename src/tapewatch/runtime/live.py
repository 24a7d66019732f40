"""A venue as a source: a capture session runs as a task, and what it lets go waits here to be taken."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import msgspec

from tapewatch.capture.coinbase import Quarantined as SetAside
from tapewatch.capture.session import Session
from tapewatch.clock import Clock
from tapewatch.detect.core import Ledger
from tapewatch.model import Lane, Rows, RowTuple
from tapewatch.runtime.source import LaneStatus, Resume
from tapewatch.store.records import Quarantined, Source

ROWS_WAITING_MAX = 131_072
"""Rows that may wait to be taken, some 50 MB: half a minute at 5,000 trades a second. Then the socket is left alone
until half of them are taken; a venue whose own buffers are full hangs up, and what was missed is a GAP."""

QUARANTINE_WAITING_MAX = 4_096
"""The same for frames that were set aside, at most 16 MB."""

MakeSession = Callable[[Mapping[Lane, Ledger]], Awaitable[Session]]


class LiveSource:
    """Capture from a venue.

    Parameters
    ----------
    identity
        Whose database it fills.
    make_session
        Makes the session that goes on behind what each lane's tape says already; whatever it talks to begins then.
    clock
        The session's clock.
    """

    speed = 1.0

    def __init__(self, identity: Source, make_session: MakeSession, clock: Clock) -> None:
        self.identity = identity
        self._make_session = make_session
        self._clock = clock
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._rows: list[RowTuple] = []
        self._arrived = asyncio.Event()
        self._quarantine: list[Quarantined] = []

    @property
    def ended(self) -> str | None:
        """A venue never ends."""
        return None

    async def start(self, resume: Resume) -> None:
        """Begin to capture."""
        self._session = await self._make_session(resume.ledgers)
        self._task = asyncio.create_task(self._session.run(self._emit, self._set_aside))
        self._task.add_done_callback(lambda _: self._arrived.set())

    async def wait(self, timeout_s: float) -> None:
        """Return when a row is there, or when the time is up.

        Raises
        ------
        ConfigError
            The session ended because its address cannot be one.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        assert self._task is not None, "started before it is waited for"
        if self._task.done():
            self._task.result()

    def take(self, limit: int) -> Rows | None:
        """Return rows that have arrived, at most `limit`."""
        if self._session is None or not self._rows:
            return None
        taken, self._rows = self._rows[:limit], self._rows[limit:]
        if not self._rows:
            self._arrived.clear()
        self._mind_the_room()
        return Rows.of(self._session.lanes, taken)

    def quarantined(self) -> list[Quarantined]:
        """Return frames that were set aside since the last call."""
        quarantine, self._quarantine = self._quarantine, []
        self._mind_the_room()
        return quarantine

    def status(self) -> dict[Lane, LaneStatus]:
        """Tell how each lane's feed stands."""
        states = {} if self._session is None else self._session.status()
        return {lane: LaneStatus(**msgspec.structs.asdict(state)) for lane, state in states.items()}

    def now_ns(self) -> int:
        """Tell the time of the session's rows."""
        return self._clock.now_ns() if self._session is None else self._session.now_ns()

    async def stop(self) -> None:
        """End the session; what it had received is there to be taken."""
        if self._session is not None and self._task is not None:
            self._session.stop()
            await asyncio.wait([self._task])

    def _emit(self, rows: list[RowTuple]) -> None:
        self._rows += rows
        self._arrived.set()
        self._mind_the_room()

    def _set_aside(self, item: SetAside) -> None:
        self._quarantine.append(Quarantined(item.recv_ts, item.venue, item.symbol, item.reason, item.raw))
        self._mind_the_room()

    def _mind_the_room(self) -> None:
        if self._session is None:
            return
        if len(self._rows) >= ROWS_WAITING_MAX or len(self._quarantine) >= QUARANTINE_WAITING_MAX:
            self._session.pause_reading()
        elif len(self._rows) <= ROWS_WAITING_MAX // 2:
            self._session.resume_reading()
