"""A capture session against a venue in memory, in a time that the test moves."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from support.frames import START_NS
from support.ledgers import Left, words
from support.virtual_time import VirtualTime, settle
from support.wires import Caught, Venue, Wire
from tapewatch.capture.config import CaptureConfig
from tapewatch.capture.session import Session
from tapewatch.capture.standing import FeedState
from tapewatch.model import Lane

CONFIG = CaptureConfig(symbols=("BTC-USD", "ETH-USD"))
BTC, ETH = Lane("coinbase", "BTC-USD"), Lane("coinbase", "ETH-USD")


class Rig:
    """A running session with everything that a test holds of it."""

    def __init__(
        self, config: CaptureConfig, ledgers: dict[Lane, Left] | None = None, start_ns: int = START_NS
    ) -> None:
        self.time = VirtualTime(start_ns)
        self.venue = Venue(self.time.now_ns)
        self.caught = Caught()
        self.session = Session(
            config,
            clock=self.time,
            connect=self.venue.connect,
            sleep=self.time.sleep,
            rng=random.Random(7),  # noqa: S311
            ledgers=ledgers,
        )

    @property
    def wire(self) -> Wire:
        """The newest connection."""
        return self.venue.wires[-1]

    def state(self, lane: Lane = BTC) -> FeedState:
        """Tell how a lane stands."""
        return self.session.status()[lane]

    def tape(self) -> list[str]:
        """Spell out all rows but those of the clock."""
        return [word for word in words(self.caught.rows) if word != "CLOCK"]


@asynccontextmanager
async def running(
    config: CaptureConfig = CONFIG,
    *,
    ledgers: dict[Lane, Left] | None = None,
    plan: Callable[[Venue], None] | None = None,
    start_ns: int = START_NS,
) -> AsyncIterator[Rig]:
    """Run a session until the test is through with it."""
    rig = Rig(config, ledgers, start_ns)
    if plan is not None:
        plan(rig.venue)
    task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
    await settle()
    try:
        yield rig
    finally:
        rig.session.stop()
        await task
    assert all(wire.closed for wire in rig.venue.wires), "no connection is left open"
