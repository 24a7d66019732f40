"""A tape as a source: rows come when they are due, and its clock runs between them."""

import pytest

from support.markets import START, Tape
from support.runs import IDENTITY, SkippingTime, pieces, tape
from tapewatch.carry.source import BadRow
from tapewatch.errors import TapeError
from tapewatch.model import NS, Lane, Rows
from tapewatch.runtime.source import LaneStatus, Position, Resume
from tapewatch.runtime.tape import OpenTape, TapeSource

ETH = Lane("coinbase", "ETH-USD")
TRADES = Tape(ETH).trade(0, "1").trade(1, "2").trade(1, "3").trade(4, "4", recv=5).trade(4, "5").trade(20, "6").rows()


async def opened(open_tape: OpenTape, speed: float, rows: int = 0, refused: int = 0) -> tuple[TapeSource, SkippingTime]:
    time = SkippingTime()
    source = TapeSource(IDENTITY, open_tape, speed=speed, clock=time, sleep=time.sleep)
    await source.start(Resume(Position(rows, refused), {}))
    return source, time


async def replayed(source: TapeSource, time: SkippingTime, limit: int = 100) -> list[tuple[float, list[int]]]:
    """Play to the end; return when which ids came, in seconds from the start."""
    begun, came = time.now_ns(), []
    while source.ended is None:
        await source.wait(1.0)
        while (rows := source.take(limit)) is not None:
            came.append(((time.now_ns() - begun) / NS, rows.data["trade_id"].tolist()))
    return came


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_rows_come_as_recorded_whatever_the_blocks(size: int) -> None:
    # The fifth was received before the fourth, but stands behind it: it comes with it.
    came = await replayed(*await opened(pieces(TRADES, size), 1.0))
    flat = [(at, number) for at, numbers in came for number in numbers]
    assert flat == [(0, 1), (1, 2), (1, 3), (5, 4), (5, 5), (20, 6)]


async def test_sixty_times_as_fast() -> None:
    came = await replayed(*await opened(pieces(TRADES, 100), 60.0))
    assert [(round(at * 60, 6), numbers) for at, numbers in came] == [(0, [1]), (1, [2, 3]), (5, [4, 5]), (20, [6])]


async def test_as_fast_as_it_goes_nothing_waits() -> None:
    source, time = await opened(pieces(TRADES, 100), 0.0)
    assert await replayed(source, time, 4) == [(0, [1, 2, 3, 4]), (0, [5, 6])]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("rows", range(7))
async def test_it_goes_on_behind_the_last_stored_row(size: int, rows: int) -> None:
    source, time = await opened(pieces(TRADES, size), 1.0, rows)
    came = await replayed(source, time)
    assert [number for _, numbers in came for number in numbers] == list(range(rows + 1, 7))
    if came:
        assert came[0][0] == 0.0  # without waiting for what is past
    assert source.now_ns() == START + 20 * NS
    assert source.ended == "end of tape"


async def test_its_clock_runs_between_rows_and_stands_still_at_the_end() -> None:
    source, time = await opened(pieces(TRADES, 100), 2.0)
    assert source.now_ns() == START
    source.take(1)
    await time.sleep(0.25)
    assert source.now_ns() == START + NS // 2
    await replayed(source, time)
    await time.sleep(100)
    assert source.now_ns() == START + 20 * NS


async def test_without_speed_its_clock_is_the_last_row() -> None:
    source, _ = await opened(pieces(TRADES, 100), 0.0, rows=2)
    assert source.now_ns() == START + NS
    source.take(2)
    assert source.now_ns() == START + 5 * NS


async def test_waiting_ends_with_the_time_that_was_given() -> None:
    source, time = await opened(pieces(TRADES, 100), 1.0, rows=5)
    source.take(1)
    await source.wait(1.0)
    assert (time.slept, source.ended) == ([1.0], "end of tape")
    source, time = await opened(pieces(TRADES, 100), 0.001)
    source.take(1)
    await source.wait(1.0)
    assert time.slept == [1.0]
    assert source.take(1) is None


async def test_an_empty_tape_is_at_its_end() -> None:
    source, _ = await opened(tape([]), 1.0)
    assert (source.ended, source.take(10), source.status(), source.now_ns()) == ("end of tape", None, {}, 0)


async def test_lanes_are_live_then_ended_or_stopped() -> None:
    source, time = await opened(pieces(TRADES, 100), 1.0)
    assert source.status() == {}
    source.take(1)
    assert source.status() == {ETH: LaneStatus("live")}
    await source.stop()
    (status,) = source.status().values()
    assert (status.state, source.take(10)) == ("stopped", None)
    source, time = await opened(pieces(TRADES, 100), 0.0)
    await replayed(source, time)
    assert source.status() == {ETH: LaneStatus("ended", "end of tape")}


async def test_what_an_earlier_run_has_set_aside_is_not_told_again() -> None:
    bad = [BadRow("x.csv", line, *ETH, 5, "price", b"r") for line in range(4)]
    blocks: list[Rows | BadRow] = [bad[0], bad[1], TRADES.part(0, 3), bad[2], TRADES.part(3, 6), bad[3]]
    source, time = await opened(tape(blocks), 0.0, rows=3, refused=3)
    await replayed(source, time)
    assert [item.reason for item in source.quarantined()] == ["x.csv, line 3: price"]
    assert source.quarantined() == []
    assert source.status()[ETH].quarantined == 1


@pytest.mark.parametrize("size", [1, 4, 100])
async def test_a_tape_that_is_over_tells_nothing_again(size: int) -> None:
    source, _ = await opened(pieces(TRADES, size), 1.0, rows=6)
    assert source.ended == "end of tape"
    assert source.take(100) is None


@pytest.mark.parametrize("size", [1, 4, 100])
async def test_a_tape_shorter_than_what_was_seen_of_it_is_refused(size: int) -> None:
    with pytest.raises(TapeError, match="expected the 9 rows that the database has seen of it, found 3 fewer"):
        await opened(pieces(TRADES, size), 1.0, rows=9)
