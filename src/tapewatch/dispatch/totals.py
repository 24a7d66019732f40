"""How far an event has carried a symbol or the market: where it began and what has traded since in, a sentence out."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Final

from msgspec import Struct

from tapewatch.alert import Began
from tapewatch.dispatch.phrases import plain
from tapewatch.figures import clock, day_clock, signed

LANES_MAX: Final = 100
"""Symbols whose moves make a market's."""

SAME_PERCENT: Final = 0.01
"""An extreme that is nearer to now than that is now."""


class Span(Struct, frozen=True):
    """What traded on a lane in a span of time: extremes and their times (ns, by the lanes' clock), and the last price.

    Prices are float64, in the quote currency.
    """

    low: float
    low_ts: int
    high: float
    high_ts: int
    last: float


Spans = Callable[[str, int, int], Span | None]
"""Lane as ``venue:symbol``, since, until (ns) → what traded there; None: nothing is known."""


class Total(Struct, frozen=True):
    """How far an event has carried one lane, in percent of the price at its beginning: now, and at most.

    Attributes
    ----------
    most_ts
        When it was at most, ns.
    """

    lane: str
    since: int
    now: float
    most: float
    most_ts: int


def total_of(lane: str, began: Began, until: int, spans: Spans) -> Total | None:
    """Measure one lane; None where its prices are not known."""
    span = spans(lane, began.at, until) if began.price else None
    if span is None:
        return None
    now, low, high = (100 * (price - began.price) / began.price for price in (span.last, span.low, span.high))
    most, most_ts = (low, span.low_ts) if -low >= high else (high, span.high_ts)
    return Total(lane, began.at, now, most, most_ts)


def totals_of(began: Mapping[str, Began], until: int, spans: Spans) -> dict[str, Total]:
    """Measure the lanes of an event."""
    lanes = list(began.items())[:LANES_MAX]
    found = (total_of(lane, each, until, spans) for lane, each in lanes)
    return {each.lane: each for each in found if each is not None}


def total_words(total: Total, now: int) -> str:
    """Say it behind the beginning: "now −31.24 %, at most −44.90 % at 21:21:34"."""
    if abs(total.most - total.now) < SAME_PERCENT:
        return f"now {signed(total.now, 2)} %, the most so far"
    return f"now {signed(total.now, 2)} %, at most {signed(total.most, 2)} % at {day_clock(total.most_ts, now)}"


def row_words(total: Total, now: int) -> str:
    """Say it in a row of a list: "since 20:50 in all −31.24 %, at most −44.90 % at 21:21"."""
    since = day_clock(total.since, now)[:-3]
    most = f", at most {signed(total.most, 2)} % at {clock(total.most_ts, '%H:%M')}"
    return f"since {since} in all {signed(total.now, 2)} %{most if abs(total.most - total.now) >= SAME_PERCENT else ''}"


def market_words(totals: Mapping[str, Total], now: int) -> str:
    """Say how far the market is: its symbols' middle, and the one that went furthest; "" for fewer than two symbols."""
    each = list(totals.values())
    if len(each) < 2:  # noqa: PLR2004  # several
        return ""
    furthest = max(each, key=lambda total: abs(total.most))
    since = min(total.since for total in each)
    middle = median(total.now for total in each)
    symbol = plain(furthest.lane.partition(":")[2])
    return (
        f"since {day_clock(since, now)}: the median of {len(each)} symbols is {signed(middle, 2)} % now; "
        f"{symbol} went furthest, {signed(furthest.most, 2)} % at {day_clock(furthest.most_ts, now)}"
    )


def nowhere(lane: str, since: int, until: int) -> Span | None:  # noqa: ARG001  # as every Spans is asked
    """Know nothing of prices."""
    return None
