"""Prices are exact, or there is no row."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.carry.arrow import of_texts
from tapewatch.carry.formats.decimals import price_units
from tapewatch.model import PRICE_MAX, PRICE_SCALE

INT64 = np.iinfo(np.int64)


def digits(low: int, high: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=low, max_size=high)


NUMBERS = st.builds(
    lambda sign, whole, part, exponent: f"{sign}{whole}{part}{exponent}",
    st.sampled_from(["", "", "", "-", "+"]),
    st.one_of(digits(1, 9), digits(1, 26)),
    st.one_of(st.just(""), st.just("."), digits(1, 14).map(".{}".format)),
    st.one_of(st.just(""), st.just(""), st.integers(-60, 60).map("e{}".format), st.integers(0, 9).map("E+{}".format)),
).filter(lambda text: len(text) <= 40)
TEXTS = st.one_of(NUMBERS, st.text("0123456789.e-+ ", max_size=22), st.text(max_size=5))


def exact(text: str) -> int | None:
    """Read a price as the rule says it: a number of at most 10 decimals, in units of 1e-10."""
    if not text.isascii() or "_" in text or text != text.strip():
        return None
    try:
        units = Decimal(text) * PRICE_SCALE if Decimal(text).is_finite() else None
    except ArithmeticError:
        return None
    if units is None or abs(Decimal(text).adjusted()) > 90 or units != units.to_integral_value():
        return None
    return min(max(int(units), INT64.min), INT64.max)


def parsed(text: str) -> int | None:
    try:
        return int(price_units(of_texts([text]))[0])
    except pa.ArrowInvalid:
        return None


@given(TEXTS)
def test_a_price_is_exact_or_refused(text):
    assert parsed(text) == exact(text), text


@given(st.integers(1, PRICE_MAX * PRICE_SCALE), st.integers(0, 3))
def test_every_price_that_a_row_can_hold_is_read(units, zeros):
    whole, part = divmod(units, PRICE_SCALE)
    text = f"{'0' * zeros}{whole}.{part:010d}"
    for written in (text, text.rstrip("0"), text + "0" * zeros, f"{units}e-10"):
        assert parsed(written) == units


@given(st.lists(NUMBERS, max_size=20), st.integers(0, 5), st.integers(0, 5))
def test_many_at_once_are_as_each_alone(texts, skip, drop):
    good = [text for text in texts if exact(text) is not None]
    part = of_texts(good)[skip : max(len(good) - drop, 0)]
    assert price_units(part).tolist() == [exact(text) for text in good[skip : max(len(good) - drop, 0)]]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0.0000000001", 1),
        ("10000000", 10**17),
        ("99999999.9999999999", 10**18 - 1),
        ("100000000", 10**18),
        (".5", 5 * 10**9),
        ("5.", 5 * 10**10),
        ("1.00000000000", 10**10),
        ("-1.5", -15 * 10**9),
        ("9" * 30, INT64.max),
        ("-1e30", INT64.min),
        ("0e99", 0),
    ],
)
def test_prices_by_hand(text, units):
    assert parsed(text) == units


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "1.2.3",
        "1,5",
        " 1",
        "1 ",
        "0x1",
        "1_0",
        "nan",
        "inf",
        "1e",
        "1e999",
        "\u0661",
        "0.00000000001",
        "/",
        ":",
    ],
)
def test_what_is_no_price_by_hand(text):
    assert parsed(text) is None
