"""Numbers as a trader reads them: exact prices, differences, seconds."""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from tapewatch.model import NS, PRICE_SCALE

DECIMALS_MIN, DECIMALS_MAX = 2, 10
MINUTE = 60


def plain_name(text: str) -> str:
    """Bring a name to a form in which spellings of it are equal.

    >>> plain_name(" Fast-Move"), plain_name("pct_spike")
    ('fast move', 'pct spike')
    """
    return " ".join(re.split(r"[-_\s]+", text.strip().lower()))


def decimals(units: int) -> int:
    """Count the decimals a price needs, at least two.

    >>> decimals(1_142_100_000_000_000), decimals(2_486_400_000), decimals(1)
    (2, 5, 10)
    """
    count = DECIMALS_MAX
    while count > DECIMALS_MIN and units % 10 == 0:
        units //= 10
        count -= 1
    return count


def price_text(units: int, places: int | None = None) -> str:
    """Write a price of 1e-10 units with thousands separators, stripped to at least two decimals.

    >>> price_text(1_142_100_000_000_000), price_text(2_486_400_000), price_text(8_700_000_000, 3)
    ('114,210.00', '0.24864', '0.870')
    """
    return number_text(Decimal(units) / PRICE_SCALE, decimals(units) if places is None else places)


def move_text(price: int, reference: int) -> str:
    """Write the difference of two prices with the decimals of the more exact one.

    >>> move_text(184_580_000_000, 175_880_000_000)
    '0.870'
    """
    return price_text(abs(price - reference), max(decimals(price), decimals(reference)))


def number_text(value: float | Decimal, places: int) -> str:
    """Write a number with thousands separators, rounded half-even to `places` decimals.

    >>> number_text(3.185, 2), number_text(Decimal("3.185"), 2), number_text(18.6315, 3)
    ('3.19', '3.18', '18.631')
    """
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"


def mean_text(units: int, count: int, places: int) -> str:
    """Write the mean of `count` prices given as their sum, rounded half-even from the exact quotient.

    >>> mean_text(60 * 5_050_000_000, 60, 2), mean_text(60 * 5_150_000_000, 60, 2)
    ('0.50', '0.52')
    """
    step = 10 ** (DECIMALS_MAX - places) * count
    rounded, rest = divmod(units, step)
    rounded += 2 * rest > step or (2 * rest == step and rounded % 2 == 1)
    return number_text(Decimal(rounded).scaleb(-places), places)


def seconds_text(ns: int) -> str:
    """Write a duration in seconds with one decimal.

    >>> seconds_text(8_200_000_000)
    '8.2'
    """
    return number_text(Decimal(ns) / NS, 1)


def span_text(ns: int) -> str:
    """Write a duration of minutes: seconds below one, minutes and seconds below ten, rounded half-even.

    >>> span_text(900_000_000), span_text(42 * NS), span_text(220 * NS), span_text(300 * NS), span_text(2_220 * NS)
    ('under 1 s', '42 s', '3 min 40 s', '5 min', '37 min')
    """
    if ns < NS:
        return "under 1 s"
    seconds = round(Fraction(ns, NS))
    if seconds >= 10 * MINUTE:
        return f"{round(Fraction(ns, MINUTE * NS))} min"
    minutes, rest = divmod(seconds, MINUTE)
    return " ".join(f"{count} {unit}" for count, unit in ((minutes, "min"), (rest, "s")) if count)


def plain_text(value: float) -> str:
    """Write a parameter as a decimal without trailing zeros; the same text everywhere, for ids.

    >>> plain_text(0.25), plain_text(60), plain_text(10.0), plain_text(1e-10)
    ('0.25', '60', '10', '0.0000000001')
    """
    text = f"{Decimal(repr(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
