"""What is said of lanes that are not live."""

import pytest

from tapewatch.model import Lane
from tapewatch.runtime.source import LaneStatus, Partly, unwell

LIVE, ENDED = LaneStatus("live"), LaneStatus("ended", "the tape is over")
LOST = LaneStatus("reconnecting", "the connection was lost")
DELISTED = LaneStatus("waiting", "coinbase does not serve ETH-USD: ETH-USD is delisted")
QUIET = LaneStatus("waiting", "connected, no frame yet")


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({}, "no lane yet"),
        ({"BTC-USD": LIVE, "ETH-USD": LIVE}, None),
        ({"BTC-USD": ENDED}, None),
        ({"BTC-USD": LIVE, "ETH-USD": DELISTED}, DELISTED.reason),
        ({"BTC-USD": LIVE, "ETH-USD": QUIET, "SOL-USD": QUIET}, "ETH-USD, SOL-USD: connected, no frame yet"),
        ({"BTC-USD": LOST, "ETH-USD": LOST}, "the connection was lost"),
        ({"BTC-USD": QUIET, "ETH-USD": DELISTED}, f"BTC-USD: {QUIET.reason}; {DELISTED.reason}"),
        ({"BTC-USD": LaneStatus("stopped")}, "stopped"),
        (
            {f"P{n}": LaneStatus("waiting", f"it does not serve P{n}") for n in range(8)},
            "; ".join(f"it does not serve P{n}" for n in range(5)) + "; and 3 more",
        ),
    ],
)
def test_one_lane_that_is_not_live_is_named(statuses: dict[str, LaneStatus], said: str | None) -> None:
    found = unwell({Lane("coinbase", symbol): status for symbol, status in statuses.items()})
    assert found == said
    assert isinstance(found, Partly) is (found is not None and LIVE in statuses.values())
