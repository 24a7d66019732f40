"""A venue in memory: connections that a test feeds by hand, and a recorder of what capture lets go."""

import asyncio
from collections import deque
from collections.abc import Callable

from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close

from tapewatch.capture.coinbase import Quarantined
from tapewatch.model import RowTuple


class Wire:
    """One connection."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed = False
        self._inbox: asyncio.Queue[str | bytes | Exception] = asyncio.Queue()

    @property
    def unread(self) -> int:
        """Frames that have arrived and that nobody has read."""
        return self._inbox.qsize()

    def push(self, *frames: str | bytes) -> None:
        """Let frames arrive."""
        for each in frames:
            self._inbox.put_nowait(each)

    def drop(self, error: Exception | None = None) -> None:
        """Lose the connection, after what was pushed before has been read."""
        self._inbox.put_nowait(error or ConnectionClosedError(None, None))

    def say_goodbye(self, code: int, reason: str) -> None:
        """Let the venue close the connection."""
        frame = Close(code, reason)
        self.drop(ConnectionClosedOK(frame, frame, True))

    async def recv(self) -> str | bytes:
        """Return the next frame."""
        item = await self._inbox.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def send(self, message: str, /) -> None:
        """Note what was sent."""
        self.sent.append(message)

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


class Venue:
    """Answers attempts to connect with what was planned, and with fresh wires after that.

    Attributes
    ----------
    wires
        Every connection that was made, in order.
    tries
        Time of every attempt, ns.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.wires: list[Wire] = []
        self.tries: list[int] = []
        self.refusals: deque[Exception] = deque()
        self.refuse_always: Exception | None = None
        self.hangs = False
        self._now_ns = now_ns

    async def connect(self, url: str) -> Wire:
        """Connect, or fail as planned."""
        assert url, "an address is asked for"
        self.tries.append(self._now_ns())
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuse_always is not None:
            raise self.refuse_always
        if self.refusals:
            raise self.refusals.popleft()
        self.wires.append(Wire())
        return self.wires[-1]


class Caught:
    """What a session let go.

    Attributes
    ----------
    rows, quarantined
        All of it, in order.
    batches
        Sizes of the lists that came.
    """

    def __init__(self) -> None:
        self.rows: list[RowTuple] = []
        self.quarantined: list[Quarantined] = []
        self.batches: list[int] = []

    def emit(self, rows: list[RowTuple]) -> None:
        """Take rows."""
        assert rows, "an empty list is never let go"
        self.rows += rows
        self.batches.append(len(rows))

    def quarantine(self, item: Quarantined) -> None:
        """Take a frame that was set aside."""
        self.quarantined.append(item)
