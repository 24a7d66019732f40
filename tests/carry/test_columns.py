"""Prices are exact, or there is no row."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.carry.columns import PRICE_TYPE, Columns, price_units, rows_of
from tapewatch.carry.source import FOREIGN, SEEN
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE, Kind, Lane
from tapewatch.model import ROW as _ROW

INT64 = np.iinfo(np.int64)


def digits(low: int, high: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=low, max_size=high)


NUMBERS = st.builds(
    lambda sign, whole, part, exponent: f"{sign}{whole}{part}{exponent}",
    st.sampled_from(["", "", "-", "+"]),
    digits(1, 26),
    st.one_of(st.just(""), digits(1, 14).map(".{}".format)),
    st.one_of(st.just(""), st.integers(-12, 30).map("e{}".format)),
)


def parsed(text: str) -> int | None:
    try:
        return int(price_units(pa.array([text]).cast(PRICE_TYPE))[0])
    except pa.ArrowInvalid:
        return None


@given(NUMBERS)
def test_a_price_is_exact_or_refused(text):
    exact = Decimal(text) * PRICE_SCALE
    units = parsed(text)
    if units is None:
        return
    assert exact == exact.to_integral_value(), f"{text}: more than ten decimals became {units}"
    assert units == min(max(int(exact), INT64.min), INT64.max)


@given(st.integers(1, PRICE_MAX * PRICE_SCALE))
def test_every_price_that_a_row_can_hold_is_read(units):
    whole, part = divmod(units, PRICE_SCALE)
    plain = f"{whole}.{part:010d}"
    for text in (plain, plain.rstrip("0").rstrip("."), f"{units}e-10"):
        assert parsed(text) == units


@given(st.lists(st.integers(-(10**30), 10**30), max_size=20), st.integers(0, 5))
def test_prices_beyond_an_int64_stand_at_its_end(units, offset):
    texts = [f"{value}e-10" for value in units]
    decimals = pa.array(texts, pa.string()).cast(PRICE_TYPE)[offset:]
    want = [min(max(value, INT64.min), INT64.max) for value in units[offset:]]
    assert price_units(decimals).tolist() == want


def one(**fields: float) -> Columns:
    """One good trade, but for the given fields."""
    good = {"ts": NS, "recv_ts": NS, "trade_id": 7, "sequence": 3, "price": 5, "size": 1.0, "side": 1}
    values = {name: np.array([fields.get(name, value)], _ROW[name]) for name, value in good.items()}
    return Columns((Lane("coinbase", "BTC-USD"),), np.zeros(1, np.int32), **values)


def test_a_good_trade_becomes_a_row():
    data, refusals = rows_of(one(), np.array([NS]))
    assert refusals == []
    assert data.tolist() == [(NS, NS, 7, 3, 5, 1.0, 0, 0, Kind.TRADE, 1, FOREIGN)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": 0}, "price: expected more than 0, found 0"),
        ({"price": -15 * 10**9}, "price: expected more than 0, found -1.5"),
        ({"price": PRICE_MAX * PRICE_SCALE + 1}, "price: expected at most 10000000, found 10000000.0000000001"),
        ({"price": INT64.max}, "price: expected at most 10000000, found more than 922337203"),
        ({"size": float("nan")}, "size: expected a finite number that is not negative, found nan"),
        ({"size": float("inf")}, "size: expected a finite number that is not negative, found inf"),
        ({"size": -1.0}, "size: expected a finite number that is not negative, found -1.0"),
        ({"ts": 0}, "time: expected a time after 1970, found 0 ns, received 1000000000 ns"),
        ({"recv_ts": 0}, "time: expected a time after 1970, found 1000000000 ns, received 0 ns"),
        ({"ts": 61 * NS + 1}, "time: expected at most 60 s ahead of its receipt, found 60.0 s"),
        ({"trade_id": -1}, "trade id: expected one that is not negative, found -1"),
    ],
)
def test_what_no_row_can_hold_is_refused_and_its_id_seen(fields, reason):
    data, refusals = rows_of(one(**fields), np.array([NS]))
    assert [tuple(each) for each in refusals] == [(0, reason)]
    assert data.tolist() == [(0, 0, fields.get("trade_id", 7), 0, 0, 0.0, 0, 0, SEEN, 0, FOREIGN)]


def test_the_limits_themselves_are_allowed():
    for fields in ({"price": PRICE_MAX * PRICE_SCALE}, {"price": 1}, {"size": 0.0}, {"ts": 61 * NS}, {"trade_id": 0}):
        assert rows_of(one(**fields), np.array([NS]))[1] == []


def test_a_heartbeat_vouches_for_the_venues_time():
    assert rows_of(one(ts=90 * NS), np.array([30 * NS]))[1] == []
    assert len(rows_of(one(ts=90 * NS), np.array([29 * NS]))[1]) == 1
