"""Runs of the embedded runtime in tests: tapes as sources, and all that a database remembers in comparable form."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from support.databases import Database, SqliteDatabase
from support.virtual_time import FakeMachine
from tapewatch.carry.source import BadRow
from tapewatch.model import NS, Anomaly, Change, Rows
from tapewatch.runtime.embedded import Embedded
from tapewatch.runtime.tape import OpenTape, TapeSource
from tapewatch.store.records import Source
from tapewatch.store.sql import Store

IDENTITY = Source("tape", "made up")
FIELDS = Anomaly.__struct_fields__


class SkippingTime(FakeMachine):
    """A clock that a sleep moves at once, so that nothing waits for real.

    Attributes
    ----------
    slept
        Seconds of every sleep.
    """

    def __init__(self, start_ns: int = 1_700_000_000 * NS) -> None:
        super().__init__(start_ns)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now_ns += round(seconds * NS)
        await asyncio.sleep(0)


class Memory(NamedTuple):
    """What a database holds, but for the times of commits and the division of bars among them.

    Attributes
    ----------
    changes
        (venue, symbol, ordinal, change, at, record) in the order of the log.
    anomalies
        As stored, by id.
    bars
        Key → values; volume last.
    counters
        Lane → trades, duplicates, quarantined, gaps opened, filled and given up.
    quarantine
        (venue, symbol, reason, raw) in order.
    """

    changes: list[tuple[Any, ...]]
    anomalies: dict[str, Anomaly]
    bars: dict[tuple[Any, ...], tuple[Any, ...]]
    counters: dict[tuple[str, str], tuple[int, ...]]
    quarantine: list[tuple[Any, ...]]

    def told(self) -> list[Change]:
        """Make the log's entries changes again."""
        return [
            Change(change, at, ordinal, msgspec.json.decode(record, type=Anomaly))
            for _, _, ordinal, change, at, record in self.changes
        ]


def memory(place: Path | Database) -> Memory:
    """Read a database with the driver alone."""
    run = (SqliteDatabase(place) if isinstance(place, Path) else place).rows
    return Memory(
        run("SELECT venue, symbol, ordinal, change, at, record FROM changes ORDER BY seq"),
        {row[0]: _anomaly(row) for row in run(f"SELECT {', '.join(FIELDS)} FROM anomalies")},  # noqa: S608
        {
            row[:4]: row[4:]
            for row in run(
                "SELECT venue, symbol, width, ts, open_id, close_id, open, high, low, close, count, volume FROM bars"
            )
        },
        {
            row[:2]: row[2:]
            for row in run(
                "SELECT venue, symbol, trades, duplicates, quarantined, gaps_opened, gaps_filled, gaps_given_up "
                "FROM feed"
            )
        },
        run("SELECT venue, symbol, reason, raw FROM quarantine ORDER BY seq"),
    )


def _anomaly(row: tuple[Any, ...]) -> Anomaly:
    values = dict(zip(FIELDS, row, strict=True))
    steps = tuple(msgspec.json.decode(values["escalated_ts"], type=list[int]))
    return Anomaly(**values | {"escalated_ts": steps, "history": bool(values["history"])})


def pieces(rows: Rows, size: int) -> OpenTape:
    """Make a tape that gives `rows` in blocks."""
    return tape([rows.part(start, start + size) for start in range(0, len(rows.data), size)])


def tape(blocks: Sequence[Rows | BadRow]) -> OpenTape:
    """Make a tape of blocks of rows, and of bad rows that are come upon between them."""

    def open_tape(on_bad: Callable[[BadRow], None]) -> Iterator[Rows]:
        for block in blocks:
            if isinstance(block, BadRow):
                on_bad(block)
            else:
                yield block

    return open_tape


def embedded(path: Path | str, open_tape: OpenTape, clock: Any, *, speed: float = 0.0, **others: Any) -> Embedded:
    """Put a run over a tape together; `others` as of `Embedded`."""
    sleep = {} if (slept := others.pop("sleep", None)) is None else {"sleep": slept}
    source = TapeSource(IDENTITY, open_tape, speed=speed, clock=clock, **sleep)
    rules = others.pop("rules", {})
    return Embedded(Store.open(path, source=IDENTITY), source, rules, clock=clock, **sleep, **others)
