"""Where rows come from, as the embedded runtime sees it: one small interface for venues, simulations and tapes."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from tapewatch.detect.core import Ledger
from tapewatch.model import BLIND_NS, NS, Lane, Rows
from tapewatch.store.records import FeedRow, FeedState, Quarantined, Source

REASONS_MAX = 5
"""Reasons that are told at once."""


class LaneStatus(Struct, frozen=True):
    """How one lane's feed stands; times in ns on the source's clock, counts since the source was started.

    Attributes
    ----------
    reason
        Why it is not live, for a person; "" when it is.
    """

    state: FeedState
    reason: str = ""
    last_frame_ts: int | None = None
    connected_ts: int | None = None
    next_try_ts: int | None = None
    attempts: int = 0
    duplicates: int = 0
    quarantined: int = 0
    reconnects: int = 0
    blind_ts: int | None = None


def _trouble(row: "LaneStatus | FeedRow", now_ns: int | None) -> str:
    if row.state == "blind" and row.blind_ts and now_ns is not None:
        return f"blind for {(now_ns - row.blind_ts) / NS:.0f} s: {row.reason}"
    if row.state == "live" and now_ns is not None and row.last_frame_ts is not None:
        silent_ns = now_ns - row.last_frame_ts
        return f"no frame for {silent_ns / NS:.0f} s" if silent_ns >= BLIND_NS else ""
    return "" if row.state in ("live", "ended") else row.reason or row.state


class Partly(str):
    """Trouble of some lanes, while others are well."""

    __slots__ = ()


def unwell(statuses: "Mapping[Lane, LaneStatus] | Mapping[Lane, FeedRow]", now_ns: int | None = None) -> str | None:
    """Say which lanes are not live and why, `Partly` where some are; None where all are, or have come to their end.

    Parameters
    ----------
    now_ns
        The lanes' clock; None where nobody can tell how old a frame is.

    Examples
    --------
    >>> btc, eth = Lane("coinbase", "BTC-USD"), Lane("coinbase", "ETH-USD")
    >>> unwell({btc: LaneStatus("live"), eth: LaneStatus("waiting", "connected, no frame yet")})
    'ETH-USD: connected, no frame yet'
    >>> unwell(dict.fromkeys((btc, eth), LaneStatus("reconnecting", "the connection was lost")))
    'the connection was lost'
    """
    if not statuses:
        return "no lane yet"
    by_reason: dict[str, list[str]] = {}
    for lane, status in statuses.items():
        if reason := _trouble(status, now_ns):
            by_reason.setdefault(reason, []).append(lane.symbol)
    told = [
        reason if len(symbols) == len(statuses) or symbols[0] in reason else f"{', '.join(symbols)}: {reason}"
        for reason, symbols in by_reason.items()
    ]
    more = len(told) - REASONS_MAX
    words = "; ".join(told[:REASONS_MAX] + ([f"and {more} more"] if more > 0 else []))
    ill = sum(len(symbols) for symbols in by_reason.values())
    return None if not ill else Partly(words) if ill < len(statuses) else words


class Position(Struct, frozen=True):
    """How far a source was read when a commit was made; stored with it.

    Attributes
    ----------
    rows
        Rows detected since the database was new.
    refused, unnamed
        Inputs set aside since then, and how many of them name no lane.
    """

    rows: int = 0
    refused: int = 0
    unnamed: int = 0


class Resume(NamedTuple):
    """What a source must know to go on where the database ends."""

    position: Position
    ledgers: Mapping[Lane, Ledger]


class RowSource(Protocol):
    """Rows in the order of their tape.

    The runtime calls `start`, then `wait` and `take` in turn until `ended`, and `stop` once; `wait` may be cancelled.
    """

    @property
    def identity(self) -> Source:
        """Whose database it fills."""

    @property
    def speed(self) -> float:
        """Seconds of its clock in one of ours; 0: as fast as it goes."""

    @property
    def ended(self) -> str | None:
        """Why no more rows will come; None while some may."""

    async def start(self, resume: Resume) -> None:
        """Begin, or go on."""

    async def wait(self, timeout_s: float) -> None:
        """Return when a row is there, when none will come any more, or when the time is up."""

    def take(self, limit: int) -> Rows | None:
        """Return rows that are there, at most `limit`; None where there are none."""

    def quarantined(self) -> list[Quarantined]:
        """Return what was set aside since the last call."""

    def status(self) -> dict[Lane, LaneStatus]:
        """Tell how each lane's feed stands."""

    def now_ns(self) -> int:
        """Tell the time of the lanes' clock: ours live, the tape's on a replay."""

    async def stop(self) -> None:
        """End within a second; what has arrived can still be taken."""


async def row_or_stop(source: RowSource, stopped: asyncio.Task[Any], timeout_s: float) -> None:
    """Return when a row is there, when none will come any more, at the stop, or when the time is up.

    Raises
    ------
    TapewatchError
        The source gave up.
    """
    waiting = asyncio.create_task(source.wait(timeout_s))
    try:
        await asyncio.wait((waiting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
    finally:
        waiting.cancel()
