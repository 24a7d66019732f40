"""What a lane takes in, what not and why: frames in, what the clock and people are told out."""

import pytest

from support.frames import START_NS, error, heartbeat, match
from tapewatch.capture.coinbase import Coinbase
from tapewatch.capture.takings import Takings
from tapewatch.model import NS, Cause, Kind

NOW = START_NS + 40_000_000


def feed() -> Coinbase:
    """Return a feed that has subscribed, and whose first lane has traded up to id 100."""
    venue = Coinbase(("BTC-USD", "ETH-USD"))
    venue.subscribe(NOW)
    venue.receive(match(100), NOW)
    return venue


def test_a_lane_whose_trades_all_go_to_quarantine_is_blind_until_one_gets_through() -> None:
    venue = feed()
    for second in range(1, 4):
        venue.receive(match(100 + second, price="x"), NOW + second * NS)
        venue.receive(heartbeat(100 + second, at_ns=NOW), NOW + second * NS)
    (clock, other) = [row for row in venue.tick(NOW + 4 * NS) if row[8] == Kind.CLOCK]
    assert (clock[2], clock[3]) == (Cause.QUARANTINED, NOW + NS)
    assert other[3] == 0
    venue.receive(match(104), NOW + 5 * NS)
    assert venue.tick(NOW + 5 * NS)[0][2:4] == (0, 0)


def test_one_trade_that_does_not_get_through_is_no_blindness() -> None:
    venue = feed()
    venue.receive(match(101, price="x"), NOW)
    venue.receive(heartbeat(101, at_ns=NOW), NOW)
    for second in range(1, 60):
        venue.receive(heartbeat(101, at_ns=NOW), NOW + second * NS)
        assert venue.tick(NOW + second * NS)[0][3] == 0


def test_a_trade_lost_an_hour_ago_is_no_hour_of_blindness() -> None:
    takings = Takings()
    takings.miss(Cause.QUARANTINED, 101, NOW)
    hour = NOW + 3_600 * NS
    takings.miss(Cause.QUARANTINED, 102, hour)
    assert (takings.blind, takings.blind_ns(hour)) == ((hour, Cause.QUARANTINED), 0)
    takings.miss(Cause.QUARANTINED, 103, hour + NS)
    assert takings.blind[0] == hour


def test_heartbeats_that_name_trades_of_which_none_comes_make_a_lane_blind() -> None:
    venue = feed()
    for second in range(1, 4):
        venue.receive(heartbeat(100 + second, at_ns=NOW), NOW + second * NS)
        clock = next(row for row in venue.tick(NOW + second * NS) if row[8] == Kind.CLOCK)
    assert (clock[2], clock[3]) == (Cause.NOT_COMING, NOW + 2 * NS)


def test_a_product_that_the_venue_refuses_is_blind_since_the_refusal() -> None:
    venue = Coinbase(("BTC-USD", "YFI-USD"))
    venue.subscribe(NOW)
    venue.receive(error("YFI-USD is delisted"), NOW)
    venue.tick(NOW + NS)
    clocks = venue.tick(NOW + 2 * NS)
    assert [(row[2], row[3]) for row in clocks] == [(Cause.NO_FRAME, 0), (Cause.REFUSED, NOW + NS)]


@pytest.mark.parametrize(
    ("lost", "said"), [(19, ""), (20, "20 % of the last minute's trades did not get through: 20 told again")]
)
def test_what_gets_lost_is_said_when_it_is_much(lost: int, said: str) -> None:
    takings = Takings()
    takings.mark(0)
    takings.taken = 80
    for n in range(lost):
        takings.miss(Cause.TOLD_AGAIN, n, NS)
    assert takings.losing() == said
    for second in range(10, 80, 10):
        takings.mark(second * NS)
    assert takings.losing() == "", "a minute later it is over"
