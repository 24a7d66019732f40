"""The nouns that every station shares: Row in, Anomaly, Change and Bar out.

Times are int64 nanoseconds since the epoch. Prices are int64 in units of 1e-10 of the quote
currency, for every lane; sizes are float64. Nothing here performs I/O or reads a clock.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum, IntFlag
from typing import Final, Literal, NamedTuple, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

NS = 1_000_000_000
"""Nanoseconds in a second."""

SIMULATED: Final = "simulated"
"""What the venue of trades is called that no market has made."""

PRICE_SCALE = 10**10
"""Units of price in one unit of the quote currency."""

PRICE_MAX = 10**7
"""Largest price, in the quote currency, that becomes a row; sums of 90 such prices fit an int64."""


class Kind(IntEnum):
    """What a row is; silence and loss are rows too, so a replay sees what live saw."""

    TRADE = 1  # one trade, its id above the highest that any TRADE or GAP of the lane has named
    GAP = 2  # the ids trade_id … aux were skipped
    LATE = 3  # a trade of an open gap, let go just before the gap's FILLED
    FILLED = 4  # the gap trade_id … aux is closed
    CLOCK = (
        5  # once a second per lane: recv_ts our clock, aux receive time of the last frame, ts the venue's time or 0,
    )
    # sequence since when the venue trades and we take nothing (0: all is well), trade_id why (Cause)
    EPOCH = 6  # the venue numbers its trades anew: from now on ids begin at trade_id; aux the highest id until then


class Cause(IntEnum):
    """Why a lane's trades do not get through; a ``CLOCK``'s `trade_id`."""

    NONE = 0
    NEVER_CONNECTED = 1
    NO_FRAME = 2
    NOT_COMING = 3
    TOLD_AGAIN = 4
    QUARANTINED = 5
    LATE = 6
    UNCONFIRMED = 7
    SEVERAL = 8
    REFUSED = 9
    UNREAD = 10

    @property
    def no_data(self) -> bool:
        """Whether the lane has never had a frame."""
        return self in (Cause.NEVER_CONNECTED, Cause.NO_FRAME)


CAUSES: Final[dict[int, str]] = {
    Cause.NONE: "",
    Cause.NEVER_CONNECTED: "never connected",
    Cause.NO_FRAME: "not one frame yet",
    Cause.NOT_COMING: "the venue trades and none of it comes",
    Cause.TOLD_AGAIN: "the venue trades and none gets through (all told again)",
    Cause.QUARANTINED: "the venue trades and none gets through (all in quarantine)",
    Cause.LATE: "the venue trades and none gets through (all too late)",
    Cause.UNCONFIRMED: "the venue trades and none gets through (no heartbeat confirms their ids)",
    Cause.SEVERAL: "the venue trades and none gets through",
    Cause.REFUSED: "the venue does not serve it",
    Cause.UNREAD: "too many rows wait to be stored, so nothing is read",
}
"""Cause → half a sentence, the same in every place that tells it."""

NUMBERING = 10**15
"""Ids of a lane's second numbering stand on the tape as the venue's plus this, of its third plus twice this: so they
rise for ever, and no two trades of a lane have one id."""

BLIND_NS = 5 * NS
"""From so long on without a trade taken, while the venue trades, a lane is blind."""


class Flag(IntFlag):
    """Bits of a row's `flags`."""

    GIVEN_UP = 1  # FILLED: the missing trades never came
    HISTORY = 2  # the row was fetched as history at a warm start


class Lane(NamedTuple):
    """One venue and one symbol, e.g. ``Lane("coinbase", "BTC-USD")``."""

    venue: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}"


ROW = np.dtype(
    [
        ("ts", "i8"),  # venue's event time, ns
        ("recv_ts", "i8"),  # our clock when the frame arrived, ns
        ("trade_id", "i8"),  # the venue's (NUMBERING); GAP and FILLED: first id of the range; CLOCK: Cause
        ("sequence", "i8"),  # the venue's, 0 where it has none; CLOCK: blind since, 0 where all is well
        ("price", "i8"),  # 1e-10 of the quote currency
        ("size", "f8"),  # base currency
        ("aux", "i8"),  # GAP, FILLED last id of the range; CLOCK time of the last frame; EPOCH highest id before
        ("lane", "i4"),  # index into Rows.lanes
        ("kind", "u1"),  # Kind
        ("side", "i1"),  # taker: +1 buy, -1 sell, 0 unknown
        ("flags", "u2"),  # Flag
    ]
)
assert ROW.itemsize == 64, "one row is one cache line"  # noqa: PLR2004

RowTuple = tuple[int, int, int, int, int, float, int, int, int, int, int]
"""A row as plain values, in the order of ROW's fields."""

BAR = np.dtype(
    [
        ("ts", "i8"),  # start of the bucket, ns
        ("open_id", "i8"),  # lowest trade id in the bucket
        ("close_id", "i8"),  # highest trade id in the bucket
        ("open", "i8"),  # price of open_id, 1e-10
        ("high", "i8"),
        ("low", "i8"),
        ("close", "i8"),  # price of close_id, 1e-10
        ("volume", "f8"),  # base currency
        ("count", "i8"),  # trades
        ("lane", "i4"),  # index into Bars.lanes
        ("width", "i4"),  # seconds: one of BAR_WIDTHS
    ]
)

BAR_WIDTHS = (1, 10, 60)
"""Widths of the bars that are kept, in seconds."""


class Rows(NamedTuple):
    """Rows of one or more lanes in the order in which capture let them go.

    Attributes
    ----------
    lanes
        Names of the lanes; ``data["lane"]`` indexes this tuple. Numbers mean nothing outside one `Rows`.
    data
        Shape (n,), dtype ROW.
    """

    lanes: tuple[Lane, ...]
    data: NDArray[np.void]

    @classmethod
    def of(cls, lanes: Sequence[Lane], rows: Iterable[RowTuple]) -> Self:
        """Build from plain tuples in the order of ROW's fields."""
        return cls(tuple(lanes), np.array(list(rows), dtype=ROW))

    @classmethod
    def empty(cls, lanes: Sequence[Lane] = ()) -> Self:
        """No rows."""
        return cls(tuple(lanes), np.empty(0, dtype=ROW))

    def part(self, start: int, stop: int) -> Self:
        """Rows start … stop, sharing memory."""
        return type(self)(self.lanes, self.data[start:stop])


def by_lane(numbers: NDArray[np.int32], start: int, lanes: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Divide rows by lane.

    Parameters
    ----------
    numbers
        Shape (n,), int32: lane of each row.
    start
        What the first of these rows is numbered.
    lanes
        How many lanes there may be.

    Yields
    ------
    tuple of int and NDArray
        A lane, and the numbers of its rows, ascending; lanes in the order of their first row.
    """
    if lanes == 1 or not (numbers != numbers[0]).any():  # of one lane or none: `admit` asserts which
        yield int(numbers[0]), np.arange(start, start + len(numbers))
        return
    order = np.argsort(numbers, kind="stable")
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    groups = sorted(np.split(order, cuts), key=lambda group: int(group[0]))
    for group in groups:
        yield int(numbers[group[0]]), group + start


class Bars(NamedTuple):
    """Increments of bars: what new rows add to the bars of their buckets.

    Attributes
    ----------
    lanes
        Names of the lanes; ``data["lane"]`` indexes this tuple.
    data
        Shape (n,), dtype BAR; at most one increment per lane, width and bucket.
    """

    lanes: tuple[Lane, ...]
    data: NDArray[np.void]


def size_of(peak: float, threshold: float, age_ns: int, window_ns: int) -> float:
    """Tell how many times its limit a move is, on one scale for all rules.

    A move over longer than its rule's window is measured by a limit grown by √(age / window), as prices wander: a
    reference that is old because nobody traded makes no great move of a small one.

    Parameters
    ----------
    peak, threshold
        Of the same unit; the peak may be negative.
    age_ns
        From the reference to the peak.
    window_ns
        That the rule looks back.

    Examples
    --------
    >>> size_of(-1.0, 0.25, 8 * NS, 10 * NS), size_of(0.5, 0.25, 160 * NS, 10 * NS)
    (4.0, 0.5)
    """
    return abs(peak) / (threshold * max(1.0, math.sqrt(float(age_ns) / float(window_ns))))


Severity = Literal["high", "medium", "low"]
Direction = Literal["up", "down"]
Quality = Literal["complete", "late", "gap"]


class Anomaly(Struct, frozen=True):
    """One abnormal event as it stands; the fields, their order and encoding are the file format.

    Prices, `observed` and `threshold` are float64 in the quote currency or in `unit`; times are ns.

    Attributes
    ----------
    size
        How many times its limit the peak is (`size_of`); None for feed rules, and in records from before there was one.
    peak_left_ts
        When the next trade replaced the peak's reference price, so the move itself took from then to `peak_ts`; None
        where the reference is no single trade.
    """

    id: str
    venue: str
    symbol: str
    rule: str
    severity: Severity
    kind: Literal["market", "feed"]
    direction: Direction | None
    opened_ts: int
    opened_at: str
    trade_id: int | None
    price: float | None
    reference_price: float | None
    reference_ts: int | None
    observed: float
    threshold: float
    unit: str
    peak_observed: float
    peak_price: float | None
    peak_ts: int
    peak_reference_price: float | None
    peak_reference_ts: int | None
    last_ts: int
    ended_ts: int | None
    triggers: int
    escalation: int
    escalated_ts: tuple[int, ...]
    quality: Quality
    history: bool
    explain: str
    size: float | None = None
    peak_left_ts: int | None = None

    def sort_key(self) -> tuple[int, str, str, int, str, str, str]:
        """Order of anomalies in files: opened_ts, venue, symbol, trade_id (null first), rule, direction, id."""
        trade_id = -1 if self.trade_id is None else self.trade_id
        return (self.opened_ts, self.venue, self.symbol, trade_id, self.rule, self.direction or "", self.id)


class Change(Struct, frozen=True):
    """An anomaly opened, escalated or ended, with the record as it then stands.

    `at` is the event's time in ns; `ordinal` counts the lane's changes from 0, so a change told
    twice is known and logs can be compared.
    """

    change: Literal["opened", "escalated", "ended"]
    at: int
    ordinal: int
    anomaly: Anomaly
