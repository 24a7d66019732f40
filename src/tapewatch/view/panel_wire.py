"""What stands beside the chart: watch-list and counts as plain JSON, with the words in it.

In: what `queries` and `status` found. Out: frozen values ready to be encoded.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tapewatch.carry.gaps import CONTIGUOUS
from tapewatch.figures import signed
from tapewatch.model import NS, Severity
from tapewatch.view.queries import Counts
from tapewatch.view.status import Status, Watch
from tapewatch.words import FeedWord


class WatchRow(Struct, frozen=True):
    """A line of the watch-list, and what the header of the chart says of the lane.

    Attributes
    ----------
    since
        Since when the change is, s; None for a whole hour.
    counted
        Whether the venue counts its trades without a break, so that ids tell how many are missing.
    """

    venue: str
    symbol: str
    state: FeedWord
    price: float | None
    change: float | None
    change_words: str
    since: float | None
    high: float | None
    low: float | None
    spark: tuple[float, ...]
    worst: Severity | None
    open: int
    decimals: int
    armed: tuple[str, ...]
    counted: bool


def watch_rows(now: Status, watched: list[Watch]) -> tuple[WatchRow, ...]:
    """Put the watch-list into words."""
    armed = {each.lane: each.armed for each in now.feed}
    return tuple(
        WatchRow(
            venue=each.venue,
            symbol=each.symbol,
            state=each.state,
            price=each.price,
            change=each.change_percent,
            change_words="" if each.change_percent is None else f"{signed(each.change_percent, 2)} %",
            since=None if each.since_ns is None else each.since_ns / NS,
            high=each.high,
            low=each.low,
            spark=each.spark,
            worst=each.worst,
            open=each.open_count,
            decimals=each.decimals,
            armed=armed[each.lane],
            counted=each.venue in CONTIGUOUS,
        )
        for each in watched
    )


class Tally(Struct, frozen=True):
    """Counts under a page's filter, and openings per hour of the day: ``[hour, high, medium, low]`` each.

    Attributes
    ----------
    sizes
        Of each severity, how many are at least 2, 4 and 8 times their limit.
    """

    total: int
    sizes: dict[Severity, tuple[int, ...]]
    rules: dict[str, int]
    hours: tuple[tuple[int, int, int, int], ...]


def tally(counted: Counts, hours: NDArray[np.void], *, nothing: bool) -> Tally:
    """Make the distributions.

    Parameters
    ----------
    hours
        Shape (n,), dtype HISTOGRAM, steps of an hour.
    nothing
        Whether no severity is chosen at all, which the queries take for all of them.
    """
    columns = tuple(
        (int(step["time"]) // 3_600 % 24, int(step["high"]), int(step["medium"]), int(step["low"])) for step in hours
    )
    if nothing:
        none = tuple((hour, 0, 0, 0) for hour, *_ in columns)
        return Tally(0, counted.sizes, dict.fromkeys(counted.rules, 0), none)
    return Tally(counted.total, counted.sizes, counted.rules, columns)
