"""How far a price went in a span of time, read from bars; by hand, on both kinds of database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from support.databases import Database
from support.records import LANE, bars_of
from tapewatch.model import NS, Lane
from tapewatch.store.bars import read_span
from tapewatch.store.records import Clock, Commit
from tapewatch.store.sql import Reader, Store

START = 1_700_000_040
"""The beginning of a minute, in seconds."""

PRICES = {0: 100, 5: 90, 60: 120, 61: 80, 130: 110}
"""Second behind the start → price."""


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    trades = [(0, START + second, number, price, 1.0) for number, (second, price) in enumerate(PRICES.items(), 1)]
    store = Store.open(database.url)
    store.commit(Commit(Clock(START * NS, START * NS), bars=[bars_of(trades, (LANE,))]))
    store.close()
    reader = Reader(database.url)
    with reader.connect() as opened:
        yield opened
    reader.close()


@pytest.mark.parametrize(
    ("since", "until", "low", "high", "last"),
    [
        (0, 130, (80, 61), (120, 60), 110),
        (0, 60, (90, 5), (120, 60), 120),
        (1, 5, (90, 5), (90, 5), 90),
        (62, 200, (110, 130), (110, 130), 110),
    ],
)
def test_a_span_has_its_extremes_and_its_last_price(
    connection: Connection, since: int, until: int, low: tuple[int, int], high: tuple[int, int], last: int
) -> None:
    found = read_span(connection, LANE, (START + since) * NS, (START + until) * NS)
    assert found == (low[0], (START + low[1]) * NS, high[0], (START + high[1]) * NS, last)


def test_a_long_span_is_read_from_wider_bars(connection: Connection) -> None:
    found = read_span(connection, LANE, START * NS, (START + 5 * 3_600) * NS)
    assert found is not None
    low, low_ts, high, high_ts, last = found
    assert (low, high, last) == (80, 120, 110)
    assert {low_ts, high_ts} == {(START + 60) * NS}, "the minute of both"


def test_where_nothing_traded_nothing_is_known(connection: Connection) -> None:
    assert read_span(connection, LANE, (START + 6) * NS, (START + 59) * NS) is None
    assert read_span(connection, Lane("coinbase", "ETH-USD"), START * NS, (START + 130) * NS) is None
