"""The session against a venue in memory, in a time that the test moves."""

import asyncio
import json
import random
from itertools import pairwise

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from support.frames import START_NS, heartbeat, match, subscriptions
from support.ledgers import Left, words
from support.sessions import BTC, CONFIG, ETH, Rig, running
from support.virtual_time import VirtualTime, settle
from support.wires import Caught, Venue
from tapewatch import telemetry
from tapewatch.capture.config import CaptureConfig
from tapewatch.capture.session import Session
from tapewatch.capture.standing import FeedState
from tapewatch.model import CAUSES, NS, Cause, Kind, RowTuple

ALL = subscriptions("BTC-USD", "ETH-USD")


def counted(name: str, **labels: str) -> float:
    return telemetry.REGISTRY.get_sample_value(f"tapewatch_{name}", labels) or 0.0


async def test_it_subscribes_at_once_and_lets_trades_go() -> None:
    async with running() as rig:
        (request,) = rig.wire.sent
        assert json.loads(request)["product_ids"] == ["BTC-USD", "ETH-USD"]
        rig.wire.push(match(7), match(8), match(3, product_id="ETH-USD"))
        await settle()
        assert rig.tape() == ["TRADE 7", "TRADE 8", "TRADE 3"]
        assert rig.session.lanes == (BTC, ETH)


async def test_what_has_arrived_together_is_let_go_together() -> None:
    async with running() as rig:
        rig.wire.push(*(match(n) for n in range(1, 5_001)))
        await settle()
        assert rig.caught.batches == [5_000]


async def test_how_frames_arrive_does_not_change_the_tape() -> None:
    frames = [match(1), match(2), heartbeat(3), match(6), match(4), "junk", match(5), match(9, price="0"), match(10)]
    tapes: list[list[RowTuple]] = []
    for sizes in ((9,), (1,) * 9, (2, 3, 4), (5, 4)):
        async with running() as rig:
            left = iter(frames)
            for size in sizes:
                rig.wire.push(*(next(left) for _ in range(size)))
                await settle()
            tapes.append(rig.caught.rows)
            assert len(rig.caught.quarantined) == 2
    assert words(tapes[0]) == ["TRADE 1", "TRADE 2", "GAP 3-5", "TRADE 6", "GAP 7-8", "TRADE 10"]
    assert all(tape == tapes[0] for tape in tapes)


async def test_the_clock_ticks_each_second_connected_or_not() -> None:
    async with running() as rig:
        rig.wire.push(match(1))
        await rig.time.advance(2.5)
        rig.wire.drop()
        rig.venue.hangs = True  # no connection any more
        await rig.time.advance(4)
        clocks = [(row[1] - START_NS, row[6] - START_NS) for row in rig.caught.rows if row[8] == Kind.CLOCK]
        assert clocks == [(s * NS, 0) for s in range(1, 7) for _ in (BTC, ETH)]


async def test_a_gap_is_given_up_on_time_while_nothing_arrives() -> None:
    async with running() as rig:
        rig.wire.push(match(1), match(3))
        await rig.time.advance(0.2)
        rig.wire.drop()
        rig.venue.hangs = True
        await rig.time.advance(29.7)
        assert rig.tape() == ["TRADE 1", "GAP 2-2", "TRADE 3"]
        await rig.time.advance(0.2)
        assert rig.tape()[3:] == ["GIVEN_UP 2-2"]
        assert rig.caught.rows[-1][1] == START_NS + 30 * NS


async def test_a_heartbeat_becomes_a_gap_after_exactly_two_seconds() -> None:
    async with running() as rig:
        rig.wire.push(match(1))
        await rig.time.advance(0.3)
        rig.wire.push(heartbeat(2))
        await rig.time.advance(5)
        (gap,) = (row for row in rig.caught.rows if row[8] == Kind.GAP)
        assert gap[1] == START_NS + round(2.3 * NS)


async def test_a_restart_closes_gaps_and_opens_one_over_what_was_missed() -> None:
    async with running(ledgers={BTC: Left(20, ((11, 12),))}) as rig:
        assert rig.tape() == ["GIVEN_UP 11-12"]
        rig.wire.push(match(25, type="last_match"))
        await settle()
        assert rig.tape()[1:] == ["GAP 21-24", "TRADE 25"]


async def test_a_lost_connection_is_made_anew_and_shows_what_was_missed() -> None:
    async with running() as rig:
        rig.wire.push(subscriptions("BTC-USD", "ETH-USD"), match(1))
        await settle()
        assert rig.state() == FeedState("live", "", START_NS, START_NS, None, 0, 0, 0, 0)
        assert rig.state(ETH).state == "no data"
        rig.wire.drop()
        await settle()
        down = rig.state()
        assert (down.state, down.reason, down.connected_ts) == ("reconnecting", "the connection was lost", None)
        assert down.next_try_ts == START_NS + NS, "a second after the last attempt: its dice gave less"
        await rig.time.advance(1)
        rig.wire.push(match(4, type="last_match"))
        await settle()
        assert len(rig.venue.wires) == 2
        assert rig.venue.wires[1].sent == rig.venue.wires[0].sent
        assert rig.tape() == ["TRADE 1", "GAP 2-3", "TRADE 4"]
        up = rig.state()
        assert (up.state, up.reconnects, up.attempts, up.next_try_ts) == ("live", 1, 0, None)
        assert up.connected_ts == START_NS + NS


@pytest.mark.parametrize(
    ("failure", "words_of_it"),
    [
        (OSError(111, "Connection refused"), "Connection refused"),
        (TimeoutError(), "no answer from wss://ws-feed.exchange.coinbase.com"),
        (InvalidStatus(Response(503, "Service Unavailable", Headers())), "refused the connection (HTTP 503)"),
        (
            InvalidStatus(Response(503, "Service Unavailable", Headers({"Retry-After": "7"}))),
            "coinbase refused the connection (HTTP 503) and asks for 7 s of patience",
        ),
        (
            InvalidStatus(Response(200, "OK", Headers({"Content-Type": "text/html; charset=utf-8"}), b"<html>")),
            "answered with a web page (HTTP 200) where a feed was expected: check capture.coinbase.ws_url, and whether",
        ),
        (InvalidMessage("did not receive a valid HTTP response"), "did not answer the handshake as a web server does"),
        (ConnectionClosedError(Close(1011, "internal"), None), "closed the connection (1011 internal)"),
        (ConnectionClosedError(None, Close(1009, "frame too big")), "cannot be received (1009 frame too big)"),
        (ConnectionResetError(), "cannot connect to wss://ws-feed.exchange.coinbase.com: ConnectionResetError"),
        (OSError("all of them failed"), "all of them failed"),
    ],
)
async def test_why_there_is_no_connection_is_told_in_words(failure: Exception, words_of_it: str) -> None:
    def plan(venue: Venue) -> None:
        venue.refusals.append(failure)

    async with running(plan=plan) as rig:
        state = rig.state()
        assert state.state == "no data"
        assert state.next_try_ts is not None
        assert words_of_it in state.reason
        await rig.time.advance(60)
        assert len(rig.venue.wires) >= 1, "and it is tried again"


async def test_attempts_are_a_second_apart_back_off_and_never_wait_longer_than_the_cap() -> None:
    def plan(venue: Venue) -> None:
        venue.refuse_always = OSError(111, "Connection refused")

    async with running(CaptureConfig(symbols=("BTC-USD",), backoff_max_s=8), plan=plan) as rig:
        await rig.time.advance(600)
        tries = rig.venue.tries
        waits = [(b - a) / NS for a, b in pairwise(tries)]
        assert min(waits) >= 1
        assert max(waits) <= 8
        assert len(set(waits)) > len(waits) / 2, "jitter: not all alike"
        assert sum(waits[-50:]) / 50 == pytest.approx(4, abs=1.2), "full jitter: half of the cap on average"
        assert rig.state().attempts == len(tries)


async def test_the_wait_grows_from_small_to_the_cap() -> None:
    class Widest(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return max(a, b)

    time = VirtualTime(START_NS)
    venue = Venue(time.now_ns)
    venue.refuse_always = OSError(111, "Connection refused")
    session = Session(CONFIG, clock=time, connect=venue.connect, sleep=time.sleep, rng=Widest())
    task = asyncio.create_task(session.run(Caught().emit, Caught().quarantine))
    await time.advance(150)
    session.stop()
    await task
    waits = [(b - a) / NS for a, b in pairwise(venue.tries)]
    assert waits[:7] == [2, 4, 8, 16, 30, 30, 30]


async def test_a_venue_that_accepts_and_closes_is_not_hammered() -> None:
    async with running() as rig:
        for _ in range(200):
            rig.wire.drop()
            await rig.time.advance(0.5)
        assert min(b - a for a, b in pairwise(rig.venue.tries)) >= NS
        assert len(rig.venue.tries) < 30


async def test_a_silent_connection_is_given_up_and_made_anew() -> None:
    async with running() as rig:
        rig.wire.push(ALL)
        await rig.time.advance(9.9)
        assert rig.state().reason == "no data: not one frame yet"
        assert len(rig.venue.wires) == 1
        await rig.time.advance(0.2)
        assert rig.venue.wires[0].closed
        assert rig.state().reason == "no data: not one frame yet (no frame from coinbase for 10 s)"
        await rig.time.advance(2)
        assert len(rig.venue.wires) == 2


async def test_any_frame_keeps_a_connection() -> None:
    async with running() as rig:
        rig.wire.push(ALL)
        for _ in range(5):
            await rig.time.advance(9)
            rig.wire.push("junk")
            await settle()
        assert len(rig.venue.wires) == 1
        await rig.time.advance(10)
        assert rig.venue.wires[0].closed


async def test_a_planned_restart_is_labelled() -> None:
    async with running(start_ns=1_783_533_900 * NS) as rig:  # Wednesday 2026-07-08 14:05 in New York
        rig.wire.say_goodbye(1001, "going away")
        await settle()
        assert "(coinbase closed the connection (1001 going away) (planned: " in rig.state().reason


async def test_a_venue_that_cannot_be_reached_is_not_called_planned() -> None:
    def plan(venue: Venue) -> None:
        venue.refuse_always = OSError(111, "Connection refused")

    async with running(plan=plan, start_ns=1_783_533_900 * NS) as rig:
        assert "planned" not in rig.state().reason


async def test_bad_input_is_handed_over_counted_and_does_not_interrupt() -> None:
    before = counted("quarantined_total", reason="absurd price"), counted("quarantined_total", reason="malformed JSON")
    async with running() as rig:
        rig.wire.push(match(1), "junk", b"\x00", match(2, price="0"), match(3, price="0"), match(4))
        await settle()
        assert rig.tape() == ["TRADE 1", "TRADE 4"]
        kinds = [item.kind for item in rig.caught.quarantined]
        assert kinds == ["malformed JSON", "binary frame", "absurd price", "absurd price"]
        assert rig.state().quarantined == 2, "frames that name no lane count for none"
        assert rig.state(ETH).quarantined == 0
    after = counted("quarantined_total", reason="absurd price"), counted("quarantined_total", reason="malformed JSON")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


async def test_quarantine_is_logged_at_most_every_ten_seconds_per_kind(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as rig:
        rig.wire.push(*["junk"] * 50, b"binary")
        await rig.time.advance(9)
        rig.wire.push(*["junk"] * 50)
        await rig.time.advance(2)
        rig.wire.push(*["junk"] * 50)
        await settle()
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("frame_quarantined")]
    assert [("binary" in line) for line in lines] == [False, True, False]


async def test_duplicates_and_ignored_kinds_are_counted_once() -> None:
    before = counted("duplicates_total", venue="coinbase", symbol="BTC-USD"), counted("ignored_total", kind="ticker")
    async with running() as rig:
        rig.wire.push(match(1), match(1), match(1), '{"type":"ticker"}')
        await rig.time.advance(3)
        assert rig.state().duplicates == 2
    after = counted("duplicates_total", venue="coinbase", symbol="BTC-USD"), counted("ignored_total", kind="ticker")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


@pytest.mark.parametrize("moment", ["connecting", "connected", "backing off"])
async def test_stop_works_at_any_moment(moment: str) -> None:
    rig = Rig(CONFIG)
    rig.venue.hangs = moment == "connecting"
    rig.venue.refuse_always = OSError(111, "Connection refused") if moment == "backing off" else None
    task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
    await settle()
    rig.session.stop()
    await settle()
    assert task.done(), "without any time passing"
    await task
    assert {state.state for state in rig.session.status().values()} == {"stopped"}
    assert all(wire.closed for wire in rig.venue.wires)


@pytest.mark.parametrize("turns", range(-3, 7))
async def test_stop_lets_go_all_that_was_read_whatever_came_first(turns: int) -> None:
    # A frame arrives so many turns of the event loop after the stop, or before it.
    rig = Rig(CONFIG)
    task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
    await settle()
    for turn in range(-3, 7):
        if turn == 0:
            rig.session.stop()
        if turn == turns:
            rig.wire.push(match(1))
        await asyncio.sleep(0)
    await task
    assert len(rig.tape()) + rig.wire.unread == 1
    assert rig.wire.unread == 0 or turns > 0


async def test_cancelling_the_run_closes_the_connection() -> None:
    rig = Rig(CONFIG)
    task = asyncio.create_task(rig.session.run(rig.caught.emit, rig.caught.quarantine))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.wire.closed


@pytest.mark.parametrize("raised", [OSError("disk full"), ZeroDivisionError("a bug")])
@pytest.mark.parametrize("callback", ["emit", "quarantine"])
async def test_an_error_of_ours_ends_the_run_and_never_passes_for_the_venues(raised: Exception, callback: str) -> None:
    rig = Rig(CONFIG)

    def fail(_: object) -> None:
        raise raised

    callbacks = {"emit": rig.caught.emit, "quarantine": rig.caught.quarantine} | {callback: fail}
    task = asyncio.create_task(rig.session.run(callbacks["emit"], callbacks["quarantine"]))
    await settle()
    rig.wire.push(match(1) if callback == "emit" else "junk")
    with pytest.raises(type(raised), match=str(raised)):
        await task
    assert rig.wire.closed
    assert len(rig.venue.wires) == 1


async def test_while_nobody_takes_the_rows_nothing_is_read_and_the_venue_is_not_blamed() -> None:
    pauses = counted("pauses_total", venue="coinbase")
    async with running() as rig:
        rig.wire.push(ALL, match(1), match(3, product_id="ETH-USD"))
        await settle()
        rig.session.pause_reading()
        rig.session.pause_reading()
        assert counted("pauses_total", venue="coinbase") == pauses + 1
        rows = len(rig.caught.rows)
        for n in range(2, 32):
            rig.wire.push(match(n))
            await rig.time.advance(1)
        assert rig.wire.unread >= 29, "all but the one that was already being read"
        clocks = [row for row in rig.caught.rows[rows:] if row[8] == Kind.CLOCK]
        assert len(rig.caught.rows) <= rows + len(clocks) + 1
        said = {(row[2], row[3], row[1] - row[6]) for row in clocks}
        assert said == {(Cause.UNREAD, START_NS, 0)}, "blind, not silent"
        assert (rig.state().state, rig.state().reason) == ("blind", CAUSES[Cause.UNREAD])
        assert rig.state().reconnects == 0, "30 s without a frame, but nobody listened"
        rig.session.resume_reading()
        rig.session.resume_reading()
        await settle()
        assert rig.tape() == ["TRADE 1", "TRADE 3", *(f"TRADE {n}" for n in range(2, 32))]
        assert rig.state().state == "live"
        await rig.time.advance(1)
        clock = next(row for row in reversed(rig.caught.rows) if row[8] == Kind.CLOCK and row[7] == 0)
        assert clock[1] - clock[6] <= NS, "no silence is on the tape"
        await rig.time.advance(10)
        assert rig.venue.wires[0].closed, "from now on it is watched again"
