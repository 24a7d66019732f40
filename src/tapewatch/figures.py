"""Numbers and times as people read them: U+2212 for minus, a sign where change is meant, units after a space.

In: floats, ns since the epoch. Out: text. All times are UTC.
"""

import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.words import DECIMALS_MAX, DECIMALS_MIN, decimals
from tapewatch.model import NS, PRICE_SCALE

MINUTES_FROM_S = 90
HOURS_FROM_S = 90 * 60
DAYS_FROM_S = 48 * 3600

DIGITS_MIN = 4
"""Digits that say something, of a mean: on coins of 0.00001234 two decimals say nothing."""


def number(value: float, places: int) -> str:
    """Write a number with thousands separated; never "−0.00".

    >>> number(-1234.5, 2)
    '−1,234.50'
    """
    text = f"{value:,.{places}f}"
    if text.startswith("-"):
        text = text[1:] if not any(digit in text for digit in "123456789") else f"\N{MINUS SIGN}{text[1:]}"
    return text


def signed(value: float, places: int) -> str:
    """Write a change: always with its sign, except for nothing at all.

    >>> signed(5.234, 2), signed(-0.001, 2)
    ('+5.23', '0.00')
    """
    text = number(value, places)
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text


def percent(value: float) -> str:
    """Write the size of a change: two decimals, or as many as its first two digits need.

    >>> percent(-8.314), percent(0.0042), percent(0)
    ('8.31 %', '0.0042 %', '0.00 %')
    """
    return f"{number(abs(value), _places_of_share(value))} %"


def signed_percent(value: float) -> str:
    """Write a change with its sign.

    >>> signed_percent(-8.314), signed_percent(0.0042)
    ('−8.31 %', '+0.0042 %')
    """
    return f"{signed(value, _places_of_share(value))} %"


def _places_of_share(value: float) -> int:
    if not 0 < abs(value) < 0.01:  # noqa: PLR2004  # what two decimals say
        return 2
    return min(DECIMALS_MAX, 1 - math.floor(math.log10(abs(value))))


def places_of_mean(value: float) -> int:
    """Count the decimals, 2 … 10, in which a mean of prices shows four digits that say something.

    >>> places_of_mean(114_210.0), places_of_mean(0.00001223)
    (2, 8)
    """
    if value <= 0:
        return DECIMALS_MIN
    return min(DECIMALS_MAX, max(DECIMALS_MIN, DIGITS_MIN - 1 - math.floor(math.log10(value))))


def decimals_of(value: float) -> int:
    """Count the decimals that a price needs, 2 … 10."""
    return decimals(round(value * PRICE_SCALE))


def decimals_of_lane(prices: NDArray[np.int64]) -> int:
    """Count the decimals that write all prices of a lane exactly, 2 … 10.

    Parameters
    ----------
    prices
        Shape (n,), int64 in units of 1e-10.
    """
    return decimals(int(np.gcd.reduce(prices)))  # a power of ten divides all of them where it divides their divisor


def price(value: float, places: int | None = None) -> str:
    """Write a price with its lane's decimals, or with as many as it needs."""
    return number(value, decimals_of(value) if places is None else places)


def duration(seconds: float) -> str:
    """Say how long, in one unit while short: "< 1 s", "63 s", "4 min", "5 h 12 min", "3 d 4 h"."""
    if seconds < 1:
        return "< 1 s"
    if seconds < MINUTES_FROM_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if seconds < HOURS_FROM_S:
        return f"{minutes} min"
    if seconds < DAYS_FROM_S:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def pace(seconds: float) -> str:
    """Say how long a move took: "under 1 s", "2.3 s", "43 s", "4 min".

    >>> pace(0.4), pace(2.34), pace(6), pace(240)
    ('under 1 s', '2.3 s', '6 s', '4 min')
    """
    if seconds < 1:
        return "under 1 s"
    return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds < 9.95 else duration(seconds)  # noqa: PLR2004  # where 10.0 begins


def age(seconds: float) -> str:
    """Say how old data is: tenths below ten seconds, then as `duration`."""
    return f"{max(0.0, seconds):.1f} s" if seconds < 9.95 else duration(seconds)  # noqa: PLR2004  # where 10.0 begins


def clock(ts: int, form: str = "%H:%M:%S") -> str:
    """Write a time of day, or by another strftime form; cut, not rounded, so a moment never moves to the next."""
    return datetime.fromtimestamp(ts // NS, UTC).strftime(form)


def day_clock(ts: int, now_ts: int) -> str:
    """Write a time of day, with the date where it is not today's."""
    return clock(ts) if ts // (86_400 * NS) == now_ts // (86_400 * NS) else clock(ts, "%m-%d %H:%M:%S")
