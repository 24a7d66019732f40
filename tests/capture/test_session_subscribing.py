"""What the venue answers to the session's requests, and what the session does about it; time is the test's."""

import json

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from support.frames import START_NS, error, heartbeat, match, subscriptions
from support.sessions import ETH, running
from support.virtual_time import settle
from support.wires import Venue
from tapewatch.model import NS, Kind

ALL = subscriptions("BTC-USD", "ETH-USD")


async def test_a_venue_that_does_not_answer_is_asked_again_and_then_connected_to_anew() -> None:
    async with running() as rig:
        await rig.time.advance(3.9)
        assert len(rig.wire.sent) == 1
        await rig.time.advance(0.2)
        assert rig.wire.sent == [rig.wire.sent[0]] * 2, "the same request"
        await rig.time.advance(3.8)
        assert not rig.wire.closed
        await rig.time.advance(0.2)
        assert rig.venue.wires[0].closed
        assert rig.state().reason.endswith("(coinbase did not answer two requests to subscribe, 4 s each)")
        await rig.time.advance(2)
        assert len(rig.venue.wires) == 2


async def test_a_refused_product_is_visible_and_the_others_go_on() -> None:
    async with running() as rig:
        rig.wire.push(error("ETH-USD is delisted"), subscriptions("BTC-USD"), match(1))
        await settle()
        refused = rig.state(ETH)
        assert refused.state == "blind"
        assert refused.reason == "coinbase does not serve ETH-USD: ETH-USD is delisted"
        assert refused.next_try_ts == START_NS + 2 * NS
        assert rig.state().state == "live"
        await rig.time.advance(1)
        clocks = [row[7] for row in rig.caught.rows if row[8] == Kind.CLOCK]
        assert clocks == [0, 1], "its clock ticks"
        rig.wire.drop()
        await settle()
        words_of_it = "coinbase does not serve ETH-USD: ETH-USD is delisted; the connection was lost"
        assert (rig.state(ETH).state, rig.state(ETH).reason) == (
            "no data",
            f"no data: not one frame yet ({words_of_it})",
        )


async def test_one_refused_product_costs_the_others_nothing() -> None:
    async with running() as rig:
        rig.wire.push(error("ETH-USD is delisted"))
        await rig.time.advance(0.3)
        assert [json.loads(text)["product_ids"] for text in rig.wire.sent] == [["BTC-USD", "ETH-USD"], ["BTC-USD"]]
        rig.wire.push(subscriptions("BTC-USD"), match(1))
        for second in range(1, 9):
            await rig.time.advance(1)
            rig.wire.push(match(second + 1), heartbeat(second + 1))
        await settle()
        assert rig.tape() == [f"TRADE {n}" for n in range(1, 10)]
        assert json.loads(rig.wire.sent[2])["product_ids"] == ["ETH-USD"], "alone, after two seconds"
        rig.wire.push(subscriptions("BTC-USD", "ETH-USD"), match(5, product_id="ETH-USD"))
        await settle()
        assert (rig.state(ETH).state, rig.state(ETH).reason, rig.state(ETH).next_try_ts) == ("live", "", None)
        assert len(rig.venue.wires) == 1


async def test_a_product_that_falls_silent_is_asked_for_and_named() -> None:
    async with running() as rig:
        rig.wire.push(ALL, match(1), match(1, product_id="ETH-USD"))
        for _ in range(1, 8):
            await rig.time.advance(1)
            rig.wire.push(heartbeat(1))
        assert [json.loads(text)["product_ids"] for text in rig.wire.sent[1:]] == [["ETH-USD"]]
        assert rig.state(ETH).reason == "coinbase does not serve ETH-USD: no frame of ETH-USD for 5 s while others come"
        rig.wire.push(error("ETH-USD is delisted"))
        await settle()
        assert rig.state(ETH).reason == "coinbase does not serve ETH-USD: ETH-USD is delisted"
        assert rig.state().state == "live"


@pytest.mark.parametrize(("asked", "least_s", "most_s"), [("7", 7, 9), ("99999", 300, 302), ("soon", 1, 3)])
async def test_a_venue_that_asks_for_patience_gets_it_up_to_five_minutes(asked: str, least_s: int, most_s: int) -> None:
    def plan(venue: Venue) -> None:
        venue.refusals.append(InvalidStatus(Response(503, "Service Unavailable", Headers({"Retry-After": asked}))))

    async with running(plan=plan) as rig:
        assert rig.state().reason.startswith("no data: never connected (coinbase refused the connection (HTTP 503)")
        await rig.time.advance(310)
        first, second = rig.venue.tries[:2]
        assert least_s * NS <= second - first <= most_s * NS
