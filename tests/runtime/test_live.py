"""What waits between a session and the loop is bounded: the socket is left alone, and nothing is lost."""

from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count

import pytest

from support.frames import START_NS, match
from support.virtual_time import VirtualTime, settle
from support.wires import Venue, Wire
from tapewatch.capture.config import CaptureConfig
from tapewatch.capture.session import Session
from tapewatch.capture.standing import PAUSED
from tapewatch.detect.core import Ledger
from tapewatch.model import Kind, Lane
from tapewatch.runtime import live
from tapewatch.runtime.live import LiveSource
from tapewatch.runtime.source import Position, Resume
from tapewatch.store.records import Source

WAITING_MAX = 100
TOGETHER = 10
"""Frames that arrive at a time; what a real socket hands over at a time is bounded, too."""


@pytest.fixture
async def feed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[LiveSource, Wire]]:
    """Make a source with little room, and the wire that feeds it."""
    monkeypatch.setattr(live, "ROWS_WAITING_MAX", WAITING_MAX)
    monkeypatch.setattr(live, "QUARANTINE_WAITING_MAX", WAITING_MAX)
    time = VirtualTime(START_NS)
    venue = Venue(time.now_ns)
    config = CaptureConfig(symbols=("BTC-USD",))

    async def make(ledgers: Mapping[Lane, Ledger]) -> Session:
        return Session(config, clock=time, connect=venue.connect, sleep=time.sleep, ledgers=ledgers)

    source = LiveSource(Source("coinbase"), make, time)
    await source.start(Resume(Position(), {}))
    await settle()
    yield source, venue.wires[0]
    await source.stop()


async def push_until_left_alone(wire: Wire, frame: Callable[[int], str]) -> int:
    """Push frames until nobody reads them any more; return how many were pushed."""
    for pushed in count(TOGETHER, TOGETHER):
        wire.push(*(frame(n) for n in range(pushed - TOGETHER + 1, pushed + 1)))
        await settle()
        if wire.unread > 3 * TOGETHER:
            return pushed
        assert pushed < 10 * WAITING_MAX, "it reads without end"
    raise AssertionError


async def test_rows_that_nobody_takes_are_bounded_and_none_is_lost(feed: tuple[LiveSource, Wire]) -> None:
    source, wire = feed
    pushed = await push_until_left_alone(wire, match)
    assert pushed - wire.unread <= WAITING_MAX + TOGETHER
    assert [status.reason for status in source.status().values()] == [PAUSED]

    unread, seen = wire.unread, list[int]()

    def take(limit: int) -> None:
        rows = source.take(limit)
        assert rows is not None
        seen.extend(rows.data["trade_id"][rows.data["kind"] == Kind.TRADE].tolist())

    take(WAITING_MAX // 4)
    await settle()
    assert wire.unread == unread, "not before half of them are taken"
    take(WAITING_MAX // 2)
    await settle()
    assert wire.unread == 0
    assert [status.state for status in source.status().values()] == ["live"]
    take(10 * WAITING_MAX)
    assert seen == list(range(1, pushed + 1))


async def test_bad_frames_that_nobody_takes_are_bounded_and_all_are_counted(feed: tuple[LiveSource, Wire]) -> None:
    source, wire = feed
    pushed = await push_until_left_alone(wire, lambda n: f'"junk {n}"')
    found = source.quarantined()
    assert WAITING_MAX <= len(found) <= WAITING_MAX + TOGETHER
    await settle()
    found += source.quarantined()
    assert [item.raw for item in found] == [b'"junk %d"' % n for n in range(1, pushed + 1)]
