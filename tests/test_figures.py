import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch import figures
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(1234.5, 2, "1,234.50"), (-1234.5, 2, "−1,234.50"), (-0.004, 2, "0.00"), (0, 0, "0"), (1264, 0, "1,264")],
)
def test_number(value, places, text):
    assert figures.number(value, places) == text


@pytest.mark.parametrize(("value", "text"), [(5.234, "+5.23"), (-5.98, "−5.98"), (0.001, "0.00"), (-0.001, "0.00")])
def test_signed(value, text):
    assert figures.signed(value, 2) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(114210.0, "114,210.00"), (0.20984, "0.20984"), (0.00000751, "0.00000751"), (1e-10, "0.0000000001")],
)
def test_price_has_the_decimals_it_needs(value, text):
    assert figures.price(value) == text


def test_price_in_its_lanes_decimals():
    assert figures.price(19.0, 3) == "19.000"


@given(st.integers(1, PRICE_MAX * PRICE_SCALE), st.integers(0, 8))
def test_decimals_of_a_lane_write_each_price_exactly(units, zeros):
    prices = np.array([units - units % 10**zeros, 10**zeros], dtype="i8")
    places = figures.decimals_of_lane(prices)
    assert all(int(price) % 10 ** (10 - places) == 0 for price in prices)
    assert places == 2 or any(int(price) % 10 ** (11 - places) for price in prices)


def test_decimals_of_no_price_are_two():
    assert figures.decimals_of_lane(np.array([], dtype="i8")) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "< 1 s"),
        (1, "1 s"),
        (63, "63 s"),
        (89.4, "89 s"),
        (240, "4 min"),
        (5_399, "90 min"),
        (18_720, "5 h 12 min"),
        (18_000, "5 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_duration(seconds, text):
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (47.2, "47 s"), (-3, "0.0 s")]
)
def test_age(seconds, text):
    assert figures.age(seconds) == text


def test_clock_is_utc_and_cut():
    assert figures.clock(1_760_131_968 * NS + 999_999_999) == "21:32:48"


def test_day_appears_where_it_is_not_today():
    now = 1_760_131_968 * NS
    assert figures.day_clock(now - 3_600 * NS, now) == "20:32:48"
    assert figures.day_clock(now - 86_400 * NS, now) == "10-09 21:32:48"
