"""What no row can hold is refused, and its id seen."""

import numpy as np
import pytest

from tapewatch.carry.formats.columns import Columns, rows_of
from tapewatch.carry.source import FOREIGN, SEEN
from tapewatch.model import NS, PRICE_MAX, PRICE_SCALE, Kind, Lane
from tapewatch.model import ROW as _ROW

INT64 = np.iinfo(np.int64)


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
