"""Acknowledgements, errors and silence as the feed takes them in; `test_subscribing` has the conversations."""

import json

import pytest

from support.frames import START_NS, error, heartbeat, match, subscriptions
from support.ledgers import words
from tapewatch.capture.coinbase import Coinbase
from tapewatch.errors import FeedError
from tapewatch.model import NS

NOW = START_NS + NS // 10


def feed() -> Coinbase:
    """Return a feed that has subscribed, and whose first lane has traded up to id 100."""
    venue = Coinbase(("BTC-USD", "ETH-USD"))
    venue.subscribe(NOW)
    assert words(venue.receive(match(100), NOW)) == ["TRADE 100"]
    return venue


def test_an_error_frame_names_the_lane_that_the_venue_refuses() -> None:
    venue = Coinbase(("BTC-USD", "YFI-USD", "FI-USD"))
    venue.subscribe(NOW)
    venue.receive(error("YFI-USD is delisted"), NOW)
    venue.receive(subscriptions("BTC-USD", "FI-USD"), NOW)
    assert venue.refusal("YFI-USD") == "coinbase does not serve YFI-USD: YFI-USD is delisted"
    assert venue.refusal("BTC-USD") == venue.refusal("FI-USD") == ""
    assert venue.errors == ["Failed to subscribe: YFI-USD is delisted"]
    assert words(venue.receive(match(100), NOW)) == ["TRADE 100"]


def test_an_error_that_names_no_lane_is_sought_by_asking_for_half_of_them() -> None:
    venue = feed()
    venue.receive(error("Invalid product ID provided"), NOW)
    assert not any(venue.refusal(lane.symbol) for lane in venue.lanes), (
        "one of them is to blame, and nobody knows which"
    )
    (request,) = venue.requests(NOW + NS)
    assert json.loads(request)["product_ids"] == ["BTC-USD"]


def test_an_error_without_words_still_has_some() -> None:
    venue = feed()
    venue.receive('{"type":"error"}', NOW)
    assert venue.errors == ["error without a reason"]


def test_a_lane_that_was_not_confirmed_on_both_channels_is_named() -> None:
    venue = feed()
    assert venue.refusal("ETH-USD") == "", "before the acknowledgement nothing is known"
    venue.receive(subscriptions("BTC-USD", "ETH-USD", channels=("heartbeat",)), NOW)
    assert venue.refusal("BTC-USD") == "", "more of it may follow"
    venue.requests(NOW + NS)
    assert (
        venue.refusal("BTC-USD") == "coinbase does not serve BTC-USD: its acknowledgement leaves out matches of BTC-USD"
    )
    venue.receive(subscriptions("BTC-USD", "ETH-USD"), NOW + NS)
    assert venue.refusal("BTC-USD") == venue.refusal("ETH-USD") == ""
    assert venue.asking.served == {"BTC-USD", "ETH-USD"}
    venue.subscribe(NOW + 2 * NS)
    assert not venue.asking.served, "each connection is confirmed anew"


def test_frames_tell_what_is_served_and_their_absence_what_is_not() -> None:
    venue = feed()
    venue.receive(error("ETH-USD is delisted"), NOW)
    for raw in (match(3, product_id="ETH-USD"), heartbeat(3, product_id="ETH-USD")):
        assert venue.refusal("ETH-USD") != ""
        venue.receive(raw, NOW + NS)
    assert venue.refusal("ETH-USD") == ""
    venue.receive(subscriptions("BTC-USD", "ETH-USD"), NOW + NS)
    for second in range(1, 8):
        venue.receive(heartbeat(100), NOW + second * NS)
        venue.tick(NOW + second * NS)
    assert venue.refusal("ETH-USD") == "coinbase does not serve ETH-USD: no frame of ETH-USD for 5 s while others come"
    (request,) = venue.requests(NOW + 7 * NS)
    assert json.loads(request)["product_ids"] == ["ETH-USD"]


def test_a_venue_that_answers_nothing_is_an_error_after_two_requests() -> None:
    venue = Coinbase(("BTC-USD", "ETH-USD"))
    venue.subscribe(NOW)
    assert len(venue.requests(NOW + 4 * NS)) == 1
    with pytest.raises(FeedError, match="coinbase did not answer two requests to subscribe, 4 s each"):
        venue.requests(NOW + 8 * NS)
