"""What a venue may change in its messages and is still read exactly."""

from decimal import Decimal

import pytest

from support.frames import START_NS, match
from support.ledgers import words
from tapewatch.capture.coinbase import Coinbase

NOW = START_NS + 40_000_000


def feed() -> Coinbase:
    """Return a feed that has subscribed, and whose first lane has traded up to id 100."""
    venue = Coinbase(("BTC-USD", "ETH-USD"))
    venue.subscribe(NOW)
    venue.receive(match(100), NOW)
    return venue


@pytest.mark.parametrize("text", ["63514.6", "63514.60", "0.0000000001", "63514"])
def test_a_price_or_size_that_became_a_json_number_is_read_as_it_is_written(text: str) -> None:
    venue = feed()
    raw = match(101, price="PRICE", size="SIZE").replace('"PRICE"', text).replace('"SIZE"', "0.25")
    ((_, _, trade_id, _, price, size, *_),) = venue.receive(raw, NOW)
    assert (trade_id, size) == (101, 0.25)
    assert price == int(Decimal(text) * 10**10)
    assert venue.quarantined == []


@pytest.mark.parametrize("text", ["6.35146e4", "-1", "true", "null", "[1]", "63514.60000000001"])
def test_a_number_that_is_no_price_goes_to_quarantine(text: str) -> None:
    venue = feed()
    assert venue.receive(match(101, price="PRICE").replace('"PRICE"', text), NOW) == []
    assert [item.kind for item in venue.quarantined] in (["absurd price"], ["wrong field"])
    assert words(venue.receive(match(102), NOW)) == ["TRADE 102"], "its id counts as seen"
