"""The session on a machine that sleeps, and whose wall clock is set: what goes on the tape, and what does not."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.frames import START_NS, heartbeat, match
from support.ledgers import words
from support.sessions import BTC, Rig, running
from support.virtual_time import settle
from tapewatch.capture.config import CaptureConfig
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.model import NS, Anomaly, Kind, Rows, RowTuple

ONE = CaptureConfig(symbols=("BTC-USD",))
RECV_TS, AUX, KIND = 1, 6, 8


def clocks(rows: list[RowTuple]) -> list[RowTuple]:
    return [row for row in rows if row[KIND] == Kind.CLOCK]


async def live(rig: Rig, first: int, seconds: int) -> None:
    """Trade, and beat, once a second by the venue's clock, which nobody sets."""
    for n in range(first, first + seconds):
        rig.wire.push(match(n, at_ns=START_NS + n * NS), heartbeat(n, at_ns=START_NS + n * NS))
        await rig.time.advance(1)


def changes(rows: list[RowTuple]) -> list[tuple[str, Anomaly]]:
    detector = Detector(RuleBook.of({}))
    result = detector.update(Rows.of([BTC], rows))
    return [(each.change, each.anomaly) for each in result.changes]


@pytest.mark.parametrize("by_s", [300, -300, 3_600, -3_600, 1.5, -1.5])
async def test_whatever_the_wall_clock_is_set_to_no_feed_is_silent_no_trade_is_lost_and_time_goes_on(
    by_s: float,
) -> None:
    async with running(ONE) as rig:
        await live(rig, 1, 20)
        rig.time.step(by_s)
        await live(rig, 21, 20)
        assert len(rig.venue.wires) == 1, "the connection is good"
        assert rig.tape() == [f"TRADE {n}" for n in range(1, 41)]
        assert rig.caught.quarantined == []
        ticks = clocks(rig.caught.rows)
        assert len(ticks) >= 39
        assert all(b[RECV_TS] > a[RECV_TS] for a, b in pairwise(ticks)), "a CLOCK that does not go on is told again"
        assert all(b[RECV_TS] >= a[RECV_TS] for a, b in pairwise(rig.caught.rows))
        assert max(row[RECV_TS] - row[AUX] for row in ticks) <= NS
        assert [anomaly.rule for _, anomaly in changes(rig.caught.rows)] == []


async def test_while_the_venue_vouches_for_them_rows_do_not_follow_a_clock_that_is_set() -> None:
    for by_s in (300, -300):
        async with running(ONE) as rig:
            await live(rig, 1, 20)
            rig.time.step(by_s)
            await live(rig, 21, 20)
            assert rig.caught.rows[-1][RECV_TS] == rig.session.now_ns() == START_NS + 40 * NS
            assert rig.state().last_frame_ts == START_NS + 39 * NS


async def test_a_clock_that_was_slow_and_is_corrected_is_followed_at_once() -> None:
    async with running(ONE, start_ns=START_NS - 300 * NS) as rig:
        await live(rig, 1, 20)
        rig.time.step(300)
        await live(rig, 21, 3)
        assert rig.caught.rows[-1][RECV_TS] == rig.time.wall_ns() == START_NS + 23 * NS


async def test_a_clock_that_was_fast_and_is_corrected_is_followed_at_half_speed() -> None:
    async with running(ONE, start_ns=START_NS + 10 * NS) as rig:
        await live(rig, 1, 3)
        rig.time.step(-10)
        before = clocks(rig.caught.rows)[-1][RECV_TS]
        await live(rig, 4, 6)
        assert clocks(rig.caught.rows)[-1][RECV_TS] - before == 3 * NS
        assert all(b[RECV_TS] > a[RECV_TS] for a, b in pairwise(clocks(rig.caught.rows)))


async def test_without_a_word_of_the_venue_rows_follow_the_wall_clock() -> None:
    async with running(ONE) as rig:
        rig.wire.push(match(1))
        await rig.time.advance(2)
        rig.time.step(300)
        await rig.time.advance(2)
        assert clocks(rig.caught.rows)[-1][RECV_TS] == rig.time.wall_ns()
        assert changes(rig.caught.rows) == []


async def test_trades_ahead_of_a_clock_that_was_set_back_are_good_trades() -> None:
    async with running(ONE) as rig:
        await live(rig, 1, 2)
        rig.time.step(-3_600)
        for n in range(3, 700, 60):  # until the rows' clock is minutes behind the venue's
            rig.wire.push(match(n, at_ns=START_NS + n * NS), heartbeat(n, at_ns=START_NS + n * NS))
            await rig.time.advance(9)
        assert rig.caught.quarantined == []


async def test_a_silence_of_the_venue_is_found_however_the_clock_is_set_meanwhile() -> None:
    async with running(ONE) as rig:
        await live(rig, 1, 3)
        rig.time.step(-300)
        await rig.time.advance(8)
        found = changes(rig.caught.rows)
        assert [(change, anomaly.rule) for change, anomaly in found] == [("opened", "silent_feed")]
        assert 5 <= found[0][1].observed < 6, "five seconds are five seconds, though our times run at half speed"


async def test_a_gap_waits_its_thirty_seconds_though_the_clock_leaps() -> None:
    async with running(ONE) as rig:
        rig.wire.push(match(1), match(4))
        await rig.time.advance(2)
        rig.time.step(300)
        await rig.time.advance(2)
        rig.wire.push(match(2), match(3))
        await settle()
        assert rig.tape() == ["TRADE 1", "GAP 2-3", "TRADE 4", "LATE 2", "LATE 3", "FILLED 2-3"]


async def test_after_a_sleep_it_connects_anew_at_once_and_says_why() -> None:
    async with running(ONE) as rig:
        await live(rig, 1, 20)
        rig.time.suspend(420)
        rig.time.slept.clear()
        await rig.time.advance(1)
        assert rig.venue.wires[0].closed
        await rig.time.advance(1)
        assert len(rig.venue.wires) == 2, "not after the ten seconds of a silent connection"
        rig.wire.push(match(500, at_ns=START_NS + 442 * NS), heartbeat(500, at_ns=START_NS + 442 * NS))
        await settle()
        assert rig.caught.quarantined == []
        assert words(rig.caught.rows)[-2:] == ["GAP 21-499", "TRADE 500"]
        assert max(row[RECV_TS] - row[AUX] for row in clocks(rig.caught.rows)) <= 3 * NS, "we slept, not the venue"
        assert {anomaly.rule for _, anomaly in changes(rig.caught.rows)} == {"tape_gap"}


async def test_while_it_makes_a_connection_anew_after_a_sleep_the_reason_is_the_sleep() -> None:
    async with running(ONE) as rig:
        await live(rig, 1, 3)
        rig.venue.refuse_always = OSError(101, "Network is unreachable")
        rig.time.suspend(420)
        seen = []
        for _ in range(8):
            await rig.time.advance(0.25)
            seen.append(rig.state().reason)
        assert "this machine slept for 7 min" in seen


async def test_asleep_while_it_waits_for_the_next_try_it_tries_at_once() -> None:
    async with running(ONE) as rig:
        rig.venue.refuse_always = OSError(101, "Network is unreachable")
        rig.wire.drop()
        await rig.time.advance(200)  # by now it waits up to half a minute
        rig.venue.refuse_always = None
        tries = len(rig.venue.tries)
        rig.time.suspend(3_600)
        await rig.time.advance(1.1)
        assert len(rig.venue.tries) == tries + 1


async def test_a_short_sleep_leaves_the_connection_alone() -> None:
    async with running(ONE) as rig:
        await live(rig, 1, 5)
        rig.time.suspend(4)
        await live(rig, 10, 5)
        assert len(rig.venue.wires) == 1


STEPS = st.lists(st.tuples(st.integers(2, 39), st.integers(-4_000, 4_000)), max_size=6)
PRICES = st.lists(st.integers(-40, 40), min_size=40, max_size=40)


async def _tape(prices: list[int], moves: list[tuple[int, int]]) -> list[RowTuple]:
    async with running(ONE) as rig:
        price = 60_000
        for n, move in enumerate(prices):
            for when, seconds in moves:
                if when == n:
                    rig.time.step(seconds)
            price += move * 10
            at_ns = START_NS + n * NS
            rig.wire.push(match(n + 1 + n // 20, at_ns=at_ns, price=f"{price}.5"), heartbeat(n + 1, at_ns=at_ns))
            await rig.time.advance(1)
        return rig.caught.rows


@settings(max_examples=10, deadline=None)
@given(PRICES, STEPS)
def test_no_step_of_our_clock_changes_an_anomaly_of_the_market_once_the_venue_was_heard(
    prices: list[int], moves: list[tuple[int, int]]
) -> None:
    def market(rows: list[RowTuple]) -> list[tuple[str, Anomaly]]:
        return [(change, anomaly) for change, anomaly in changes(rows) if anomaly.kind == "market"]

    told = asyncio.run(_tape(prices, []))
    assert market(asyncio.run(_tape(prices, moves))) == market(told)


def test_the_law_is_about_something() -> None:
    rows = asyncio.run(_tape([0] * 20 + [40] * 5 + [0] * 15, []))
    assert {anomaly.rule for _, anomaly in changes(rows) if anomaly.kind == "market"} >= {"pct_spike", "abs_jump"}
