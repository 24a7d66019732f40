import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.capture.text import price_units, shown, size_of, time_ns
from tapewatch.errors import FeedError


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1", 10_000_000_000),
        ("116827.85", 1_168_278_500_000_000),
        ("0.0000000001", 1),
        ("10000000", 100_000_000_000_000_000),
        ("10000000.0000000000", 100_000_000_000_000_000),
        ("0007.50", 75_000_000_000),
    ],
)
def test_a_price_is_read_exactly(text: str, units: int) -> None:
    assert price_units(text) == units


@given(st.integers(1, 10**17), st.integers(0, 10))
def test_every_price_that_fits_comes_back(units: int, dropped: int) -> None:
    # The decimal library is the oracle; trailing zeros may stand or not.
    text = f"{Decimal(units).scaleb(-10):.10f}"
    shorter = text[: len(text) - dropped]
    assert price_units(text) == units
    if units % 10**dropped == 0 and dropped < 10:
        assert price_units(shorter) == units


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0", "not above zero"),
        ("0.0000000000", "not above zero"),
        ("-1.5", "negative"),
        ("-0", "negative"),
        ("10000000.0000000001", "above 10,000,000"),
        ("99999999999999999999999", "above 10,000,000"),
        ("1.00000000001", "more than 10 decimals"),
        ("NaN", "not finite"),
        ("Infinity", "not finite"),
        ("+inf", "not finite"),
        ("", "not a decimal number"),
        ("abc", "not a decimal number"),
        ("1e5", "not a decimal number"),
        ("1_000", "not a decimal number"),
        (" 1", "not a decimal number"),
        ("1\n", "not a decimal number"),
        ("1.", "not a decimal number"),
        (".5", "not a decimal number"),
        ("+1", "not a decimal number"),
        ("0x10", "not a decimal number"),
        ("\u0661", "not a decimal number"),  # an Arabic-Indic digit one
        ("1" * 5000, "not a decimal number"),  # longer than any number, and than what int() converts
    ],
)
def test_a_price_that_no_row_can_hold_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(FeedError, match=rf"^absurd price: .* {why}") as caught:
        price_units(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("text", "size"), [("0.2", 0.2), ("0", 0.0), ("0.00000001", 1e-8), ("123456789", 123456789.0)])
def test_a_size_is_read_as_the_nearest_float(text: str, size: float) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e-3", "1_0", " 1", "1" * 400, "one"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FeedError, match=r"^absurd size: "):
        size_of(text)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2014-11-07T08:19:27.028459Z", 1_415_348_367_028_459_000),  # `date -u -d '2014-11-07 08:19:27' +%s`
        ("2014-11-07T08:19:27.028459123Z", 1_415_348_367_028_459_123),
        ("2014-11-07T08:19:27.0Z", 1_415_348_367_000_000_000),
        ("2024-02-29T23:59:59.999999999Z", 1_709_251_199_999_999_999),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert time_ns(text) == ns


@given(st.integers(0, 9 * 10**18), st.integers(0, 9))
def test_every_time_with_any_number_of_decimals_comes_back(ns: int, decimals: int) -> None:
    ns -= ns % 10 ** (9 - decimals)
    second = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // 10**9)
    fraction = f".{ns % 10**9:09d}"[: decimals + 1] if decimals else ""
    assert time_ns(f"{second:%Y-%m-%dT%H:%M:%S}{fraction}Z") == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-07-07",
        "2026-07-07T22:58:18.123456",  # no zone: whose time would it be?
        "2026-07-07T22:58:18.123456+02:00",
        "2026-07-07 22:58:18Z",
        "2026-07-07T22:58:18.Z",
        "2026-07-07T22:58:18.1234567890Z",
        "2026-13-07T22:58:18Z",
        "2026-02-30T22:58:18Z",
        "2026-07-07T25:58:18Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2026-07-07T22:58:18Z\n",
    ],
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FeedError, match=r"^absurd time: "):
        time_ns(text)


def test_the_latest_time_still_fits_a_row() -> None:
    assert time_ns("2262-04-11T23:47:15.999999999Z") < 2**63
    with pytest.raises(FeedError, match="1970 to 2261"):
        time_ns("2262-04-11T23:47:16Z")


def test_what_is_shown_of_a_flood_is_short() -> None:
    assert len(shown("x" * 10**6)) < 100
    assert shown(math.inf) == "inf"
