"""Prices as texts become whole units of 1e-10: exactly, or not at all; no value passes through a float."""

import re
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tapewatch.model import PRICE_SCALE

DECIMALS = 10
"""Decimals of a price that a row can hold."""

TEXT_MAX = 40
"""A longer text is no price."""

EXPECTED = f"a number with at most {DECIMALS} decimals"
"""What a price must be, for a person."""

_WHOLE_MAX = 8  # digits before the point with which no step below can overflow; a price needs no more
_PLAIN_MAX = _WHOLE_MAX + 1 + DECIMALS
_SHIFT = 10 ** np.arange(DECIMALS, -1, -1, dtype=np.int64)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_EXACT = Context(prec=200)
_INT64 = np.iinfo(np.int64)
_ZERO, _NINE, _POINT = ord("0"), 9, ord(".")


def price_units(texts: Any) -> NDArray[np.int64]:
    """Read prices in units of 1e-10; what does not fit an int64 comes out as its end.

    Parameters
    ----------
    texts
        Arrow array of n strings.

    Returns
    -------
    NDArray
        Shape (n,), int64.

    Raises
    ------
    pa.ArrowInvalid
        A text is no number, or its value has more than ten decimals.

    Examples
    --------
    >>> from tapewatch.carry.arrow import of_texts
    >>> price_units(of_texts(["61837.63000000", "0.00001895", "1e-5"])).tolist()
    [618376300000000, 189500, 100000]
    """
    if len(texts) == 0:
        return np.empty(0, np.int64)
    _, ends, content = texts.buffers()
    ends = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    letters = np.frombuffer(content or b"", np.uint8)
    units, plain = _plain(letters, ends[:-1], np.diff(ends))
    for at in np.flatnonzero(~plain).tolist():
        units[at] = _any(letters[ends[at] : ends[at + 1]].tobytes())
    return units


def price_text(units: int) -> str:
    """Write a price in units of 1e-10 as a decimal, exactly and as short as it goes.

    Examples
    --------
    >>> [price_text(units) for units in (618376300000000, 189500, 30 * 10**10)]
    ['61837.63', '0.00001895', '30']
    """
    whole, part = divmod(abs(units), PRICE_SCALE)
    return f"{'-' if units < 0 else ''}{whole}.{part:010d}".rstrip("0").rstrip(".")


def _plain(
    letters: NDArray[np.uint8], starts: NDArray[np.int32], lengths: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read texts of digits and at most one point, letter by letter of all texts at once; tell which were such."""
    units = np.zeros(len(starts), np.int64)
    decimals = np.zeros(len(starts), np.int64)
    pointed = np.zeros(len(starts), np.bool_)
    plain = lengths <= _PLAIN_MAX
    for at in range(min(int(lengths.max()), _PLAIN_MAX)):
        inside = lengths > at
        letter = letters[np.minimum(starts + at, len(letters) - 1)]
        digit = letter - np.uint8(_ZERO)  # what stands before "0" wraps around to above 9
        counts = inside & (digit <= _NINE)
        point = inside & (letter == _POINT)
        plain &= ~inside | counts | (point & ~pointed)
        units = np.where(counts, units * 10 + digit, units)
        decimals += counts & pointed
        pointed |= point
    digits = lengths - pointed
    plain &= (digits > 0) & (decimals <= DECIMALS) & (digits - decimals <= _WHOLE_MAX)
    return units * _SHIFT[np.minimum(decimals, DECIMALS)], plain


def _any(text: bytes) -> int:
    """Read one text that is not plain: signed, with an exponent, or with zeros that say nothing."""
    number = text.decode(errors="replace")
    if len(number) > TEXT_MAX or _NUMBER.fullmatch(number) is None:
        raise pa.ArrowInvalid(f"no number: {number[:TEXT_MAX]!r}")
    units = _EXACT.multiply(Decimal(number), Decimal(PRICE_SCALE))
    if units != units.to_integral_value():
        raise pa.ArrowInvalid(f"more than {DECIMALS} decimals: {number!r}")
    return int(min(max(units, Decimal(int(_INT64.min))), Decimal(int(_INT64.max))))
