"""Prices, sizes and times as venues write them: text in, exact numbers out, or a `FeedError` that says why not."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

from tapewatch.errors import FeedError
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE

DECIMALS = 10
"""Decimals of a price that a row can hold; more are refused, never rounded."""

NUMBER_MAX = 40
"""Longest text that is read as a number."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SHIFT: tuple[int, ...] = tuple(10 ** (DECIMALS - decimals) for decimals in range(DECIMALS + 1))
_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z")
_END_NS = 2**63


def seconds_to_wait(headers: Mapping[str, str]) -> float:
    """Read how long somebody asks us to stay away: HTTP's ``Retry-After``, in seconds or as a date; 0: not at all.

    A date is measured from the answer's own ``Date``, so that no clock of ours matters.

    Examples
    --------
    >>> seconds_to_wait({"Retry-After": "7"}), seconds_to_wait({}), seconds_to_wait({"Retry-After": "soon"})
    (7.0, 0.0, 0.0)
    >>> now, then = "Wed, 01 Jul 2026 14:00:00 GMT", "Wed, 01 Jul 2026 14:01:30 GMT"
    >>> seconds_to_wait({"Date": now, "Retry-After": then})
    90.0
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:NUMBER_MAX])
    try:
        wait = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):  # no date, or only one of the two says its time zone
        return 0.0
    return max(0.0, wait.total_seconds())


def price_units(text: str) -> int:
    """Read a price exactly, in units of 1e-10.

    Raises
    ------
    FeedError
        It is not a plain decimal number, or one that no row can hold.

    Examples
    --------
    >>> price_units("116827.85")
    1168278500000000
    """
    number = _NUMBER.fullmatch(text) if len(text) <= NUMBER_MAX else None
    if number is None:
        raise FeedError(f"absurd price: {shown(text)} is {_what_else(text)}")
    whole, fraction = number.groups("")
    if len(fraction) > DECIMALS:
        raise FeedError(f"absurd price: {shown(text)} has more than {DECIMALS} decimals")
    units: int = int(whole + fraction) * _SHIFT[len(fraction)]
    if units == 0:
        raise FeedError(f"absurd price: {shown(text)} is not above zero")
    if units > PRICE_MAX * PRICE_SCALE:
        raise FeedError(f"absurd price: {shown(text)} is above {PRICE_MAX:,}")
    return units


def time_ns(text: str) -> int:
    """Read an ISO 8601 time in UTC with none to nine decimals, as ns since the epoch.

    Raises
    ------
    FeedError
        It is not of that form, no time of any day, or not within the years 1970 to 2261.

    Examples
    --------
    >>> time_ns("1970-01-01T00:00:01.5Z")
    1500000000
    """
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise FeedError(f"absurd time: {shown(text)} is not of the form 2026-01-31T23:59:59.123456Z")
    second, fraction = parts.groups("")
    return _whole_seconds_ns(second) + (int(fraction.ljust(9, "0")) if fraction else 0)


@lru_cache(maxsize=1024)
def _whole_seconds_ns(text: str) -> int:
    try:
        since_epoch = datetime.fromisoformat(f"{text}+00:00") - EPOCH
    except ValueError:
        raise FeedError(f"absurd time: {shown(text)} is not a time of any day") from None
    ns: int = since_epoch // timedelta(seconds=1) * NS
    if not 0 <= ns < _END_NS - NS:
        raise FeedError(f"absurd time: {shown(text)} lies outside the years 1970 to 2261")
    return ns


def size_of(text: str) -> float:
    """Read a size in the base currency; zero is one.

    Raises
    ------
    FeedError
        It is not a plain decimal number.

    Examples
    --------
    >>> size_of("0.00004147")
    4.147e-05
    """
    if len(text) > NUMBER_MAX or _NUMBER.fullmatch(text) is None:
        raise FeedError(f"absurd size: {shown(text)} is {_what_else(text)}")
    return float(text)


def _what_else(text: str) -> str:
    if text.startswith("-"):
        return "negative"
    return "not finite" if text.lstrip("+").lower() in ("nan", "inf", "infinity") else "not a decimal number"


def shown(value: object) -> str:
    """Write what was found into a reason, shortened where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"  # noqa: PLR2004
