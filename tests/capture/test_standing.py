"""How a lane stands: never "live" when it is blind, and no data is a state of its own."""

from support.frames import START_NS, heartbeat, match, subscriptions
from support.ledgers import Left
from support.sessions import BTC, ETH, running
from support.wires import Venue
from tapewatch import telemetry
from tapewatch.model import NS, Cause, Kind

ALL = subscriptions("BTC-USD", "ETH-USD")


def counted(name: str, **labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value(f"tapewatch_{name}", labels) or 0.0


async def test_the_clock_ticks_from_the_start_and_says_that_nobody_was_ever_connected() -> None:
    def plan(venue: Venue) -> None:
        venue.refuse_always = OSError(111, "Connection refused")

    async with running(plan=plan) as rig:
        await rig.time.advance(6)
        clocks = [row for row in rig.caught.rows if row[8] == Kind.CLOCK and row[7] == 0]
        assert [(row[1] - START_NS, row[6] - START_NS, row[2]) for row in clocks] == [
            (second * NS, 0, Cause.NEVER_CONNECTED) for second in range(1, 7)
        ]
        state = rig.state()
        assert state.state == "no data"
        assert state.reason.startswith("no data: never connected (")
        assert "Connection refused" in state.reason
        assert state.next_try_ts is not None
        rig.venue.refuse_always = None
        await rig.time.advance(60)
        assert rig.caught.rows[-1][2] == Cause.NO_FRAME
        assert (rig.state().state, rig.state().reason) == ("no data", "no data: not one frame yet")


async def test_a_venue_that_trades_while_nothing_gets_through_makes_the_lane_blind_until_something_does() -> None:
    async with running(ledgers={BTC: Left(5_000, ())}) as rig:
        rig.wire.push(ALL, heartbeat(5_000), heartbeat(5_000, product_id="ETH-USD"))
        for second in range(1, 8):
            rig.wire.push(match(10 + second), heartbeat(10 + second), heartbeat(5_000, product_id="ETH-USD"))
            await rig.time.advance(1)
        state = rig.state()
        assert (state.state, state.blind_ts) == ("blind", START_NS)
        assert state.reason == "the venue trades and none gets through (all told again)"
        clock = next(row for row in reversed(rig.caught.rows) if row[8] == Kind.CLOCK and row[7] == 0)
        assert (clock[2], clock[3]) == (Cause.TOLD_AGAIN, START_NS)
        assert counted("blind_seconds", venue="coinbase", symbol="BTC-USD") >= 5
        assert rig.state(ETH).state == "live"
        rig.wire.push(match(5_001))
        await rig.time.advance(1)
        assert (rig.state().state, rig.state().reason) == ("live", "")
        clock = next(row for row in reversed(rig.caught.rows) if row[8] == Kind.CLOCK and row[7] == 0)
        assert clock[2:4] == (0, 0)
        assert counted("blind_seconds", venue="coinbase", symbol="BTC-USD") == 0
