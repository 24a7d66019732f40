"""What a rule is: one lane's new rows in, events out, with everything a person may ask about it."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tapewatch.detect.anomaly import SLOT, STEPS_MAX
from tapewatch.detect.kernels import NEVER, Scratch
from tapewatch.detect.words import plain_text
from tapewatch.model import NS, PRICE_SCALE, Kind, Lane, Severity

TRADE, CLOCK, FRESH = np.uint8(Kind.TRADE), np.uint8(Kind.CLOCK), np.uint8(0x81)
"""Values of `Work.kind` that rules look at; FRESH is a TRADE after an outage, with which windows start anew."""

EVENTS_PER_ROW = 4
"""At most two ends and two openings or escalations of one rule on one row."""

QuietS = Annotated[
    float, Meta(ge=0.001, le=86_400, description="Seconds without a holding row after which an anomaly ends")
]
WindowS = Annotated[float, Meta(ge=0.001, le=600, description="Seconds of event time that are looked back")]
Sigmas = Annotated[float, Meta(ge=0.1, le=100, description="Standard deviations that a move must reach")]
FloorQuote = Annotated[
    float, Meta(ge=1e-10, le=1e7, description="Smallest move that counts, in the quote currency; or floor_pct")
]
FloorPct = Annotated[float, Meta(ge=0.001, le=100, description="Smallest move that counts, in percent; or floor_quote")]


class Pieces(NamedTuple):
    """A block's rows in pieces: some trades of one second, the first of them perhaps FRESH; or one other row.

    Attributes
    ----------
    first
        Shape (n + 1,). Index into the columns of `Work` of each piece's first row; at last of the row behind them all.
    second
        Shape (n,). Effective time of its trades in whole seconds.
    low, high
        Shape (n,). Index of the latest of its trades at its lowest and at its highest price.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


class Work(NamedTuple):
    """One lane's new rows of a block, as columns; what market rules loop over.

    Attributes
    ----------
    data
        Rows of the batch, dtype ROW.
    row, kind, ts, price, gap_ts
        Shape (n,). Index into `data`; TRADE, FRESH, or another `Kind`; effective time of a trade,
        venue's time of a CLOCK (ns); price (1e-10); time of the latest gap that is not filled (ns).
    gaps_open
        Shape (n,). Gaps of the lane that are open after the row.
    special
        Indices into the columns of the rows that are no trades; what feed rules loop over.
    pieces
        The same rows in pieces.
    events
        Buffer for events, dtype EVENT.
    scratch
        Buffers for queues.
    """

    data: NDArray[np.void]
    row: NDArray[np.int64]
    kind: NDArray[np.uint8]
    ts: NDArray[np.int64]
    price: NDArray[np.int64]
    gap_ts: NDArray[np.int64]
    gaps_open: NDArray[np.int64]
    special: NDArray[np.int64]
    pieces: Pieces
    events: NDArray[np.void]
    scratch: Scratch


class RuleState(NamedTuple):
    """What a rule remembers of one lane.

    Attributes
    ----------
    slots
        Shape (2,), dtype SLOT: the anomaly going up and the one going down (feed rules use the first).
    steps
        Shape (2, STEPS_MAX): when these reached the steps that they count; NEVER beyond.
    queues
        Records of the dtypes that the rule declares, e.g. the extremes of its window, as bytes.
    """

    slots: NDArray[np.void]
    steps: NDArray[np.int64]
    queues: dict[str, bytes]

    def open(self) -> list[tuple[NDArray[np.void], NDArray[np.int64]]]:
        """List what is open: its slot, shape (1,), and the times of its steps."""
        sides = np.flatnonzero(self.slots["open"])
        return [(self.slots[d : d + 1], self.steps[d, : self.slots[d]["escalation"]]) for d in sides]


class Facts(NamedTuple):
    """What `explain` may speak of: the opening row and its reference, exact."""

    lane: Lane
    direction: int
    opened_ts: int
    price: int
    reference: int
    reference_n: int
    reference_ts: int
    observed: float
    threshold: float
    key: int
    span: int


Scan = Callable[[Work, RuleState, Any], bytes]
"""Folds one lane's new rows and returns events, records of dtype EVENT."""


class Rule(NamedTuple):
    """One rule: its name, words, parameters, loop and sentence.

    `defaults` maps symbol patterns to parameters, None where the rule is not armed; the last pattern
    that matches a symbol wins; `limit` says one in a few words, and `window` how long it looks back, in ns (None: a
    feed rule, which does not). `told_from` is the size from which an anomaly is told alone: 2 where the limit is
    reached many times a day. `unit` is "percent", "s", "trades", or "" for the quote currency.
    """

    name: str
    words: str
    severity: Severity
    kind: Literal["market", "feed"]
    unit: str
    params: type[Struct]
    defaults: Mapping[str, Struct | None]
    queues: Mapping[str, np.dtype[np.void]]
    scan: Scan
    explain: Callable[[Facts, Any], str]
    limit: Callable[[Any], str]
    window: Callable[[Any], int] | None
    about: str
    example: str
    avoid: str
    told_from: float = 2.0
    warming: Callable[[RuleState, Any], bool] = lambda _state, _params: False

    def fresh(self) -> RuleState:
        """Build the state of a lane that has seen nothing."""
        return RuleState(np.zeros(2, SLOT), np.full((2, STEPS_MAX), NEVER), dict.fromkeys(self.queues, b""))


@cache
def parameters(params: Struct) -> dict[str, str]:
    """Name all parameters that are set, sorted, as decimal strings without trailing zeros: part of every id."""
    plain = msgspec.structs.asdict(params)
    return {name: plain_text(plain[name]) for name in sorted(plain) if plain[name] is not None}


def drain(loop: Callable[[int], tuple[int, int]], work: Work, rows: int) -> bytes:
    """Run a loop that stops when the buffer of events is full, until all `rows` are done.

    `loop` takes the row to start at and returns the row it stopped before and the events it wrote.
    Returns records of dtype EVENT.
    """
    parts: list[bytes] = []
    row = 0
    while row < rows:
        row, count = loop(row)
        if count:
            parts.append(work.events[:count].tobytes())
    return b"".join(parts)


@cache
def ns_of(seconds: float) -> int:
    """Seconds to ns, exactly."""
    return int(Decimal(repr(seconds)) * NS)


@cache
def share_of(percent: float) -> tuple[int, int]:
    """Percent as the reduced fraction (num, den): 0.25 % is (1, 400)."""
    share = Fraction(repr(percent)) / 100
    return share.numerator, share.denominator


@cache
def units_of(price: float) -> int:
    """Quote currency to units of 1e-10, exactly."""
    return int(Decimal(repr(price)) * PRICE_SCALE)


def floor_of(quote: float | None, percent: float | None) -> tuple[int, int, int]:
    """Read a floor as (units, num, den): fixed units, or a share num/den of a price (den 0: fixed)."""
    if quote is not None:
        return units_of(quote), 0, 0
    if percent is None:
        raise ValueError("expected floor_quote or floor_pct, found neither")
    return 0, *share_of(percent)


def floor_text(quote: float | None, percent: float | None) -> str:
    """Write a floor for a person."""
    return plain_text(quote) if quote is not None else f"{plain_text(percent or 0)} %"


def check_decimals(value: float | None, places: int, name: str) -> None:
    """Refuse more decimals than exact comparison carries."""
    if value is not None and -int(Decimal(repr(value)).normalize().as_tuple().exponent) > places:
        raise ValueError(f"{name} expects at most {places} decimals, found {value!r}")


def check_floor(quote: float | None, percent: float | None) -> None:
    """Exactly one of two floors."""
    if (quote is None) == (percent is None):
        raise ValueError("expected exactly one of floor_quote and floor_pct")
    check_decimals(quote, 10, "floor_quote")
    check_decimals(percent, 6, "floor_pct")
