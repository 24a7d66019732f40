"""Merging depends on the tapes alone: not on blocks, nor on how many files a tape is in."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from support.tapes import Told, cut, told
from tapewatch.carry.merge import Source, first_key, merged
from tapewatch.model import ROW, Kind, Lane, Rows

LANES = (Lane("binance", "BTC-USDC"), Lane("coinbase", "BTC-USD"), Lane("coinbase", "ETH-USD"))


def tape(pairs: Sequence[tuple[int, int]], start: int = 0) -> Rows:
    """Rows of (receive time, lane); ids tell them apart."""
    data = np.zeros(len(pairs), ROW)
    data["recv_ts"] = [recv for recv, _ in pairs]
    data["lane"] = [lane for _, lane in pairs]
    data["trade_id"] = np.arange(start, start + len(pairs))
    data["kind"] = Kind.TRADE
    return Rows(LANES, data)


def source(rows: Rows, sizes: Sequence[int]) -> Source:
    def blocks() -> Iterator[Rows]:
        return iter(cut(rows, sizes))

    return Source(first_key(blocks()), blocks)


def by_next_row(tapes: Sequence[Rows]) -> list[Told]:
    """Merge as the rule says it: compare the next row of each tape, take the lowest, the first of equals."""
    queues = [told([rows]) for rows in tapes]
    found = []
    while any(queues):
        best = min((queue for queue in queues if queue), key=lambda queue: (queue[0][1][1], queue[0][0]))
        found.append(best.pop(0))
    return found


TIMES = st.integers(0, 12)
PAIRS = st.lists(st.tuples(TIMES, st.integers(0, 2)), max_size=30)
SIZES = st.lists(st.integers(0, 7), max_size=6)


@given(st.lists(st.tuples(PAIRS, SIZES), max_size=5))
def test_merging_blocks_is_merging_by_the_next_row(parts):
    tapes = [tape(pairs, 100 * at) for at, (pairs, _) in enumerate(parts)]
    blocks = [source(rows, sizes) for rows, (_, sizes) in zip(tapes, parts, strict=True)]
    assert told(merged(blocks)) == by_next_row(tapes)


@given(st.lists(TIMES, max_size=60), st.lists(st.integers(0, 60), max_size=5), SIZES)
def test_a_lane_cut_into_files_is_the_lane(times, cuts, sizes):
    rows = tape([(recv, 1) for recv in sorted(times)])
    bounds = [0, *sorted(min(at, len(times)) for at in cuts), len(times)]
    files = [rows.part(start, stop) for start, stop in pairwise(bounds)]
    assert told(merged([source(file, sizes) for file in files])) == told([rows])


@given(PAIRS, SIZES)
def test_lanes_in_files_of_their_own_are_the_tape_of_all(pairs, sizes):
    ordered = tape(sorted(pairs, key=lambda pair: (pair[0], LANES[pair[1]])))
    files = [Rows(LANES, ordered.data[ordered.data["lane"] == lane]) for lane in (2, 0, 1)]
    assert told(merged([source(file, sizes) for file in files])) == told([ordered])


def test_equal_times_go_by_venue_then_symbol_then_file():
    files = [tape([(5, 2), (5, 2)]), tape([(5, 1)], 10), tape([(5, 0)], 20), tape([(5, 1)], 30)]
    found = [(lane, row[2]) for lane, row in told(merged([source(file, []) for file in files]))]
    assert found == [(LANES[0], 20), (LANES[1], 10), (LANES[1], 30), (LANES[2], 0), (LANES[2], 1)]


def test_a_tape_is_not_opened_before_its_turn():
    opened = []

    def late() -> Iterator[Rows]:
        opened.append("late")
        return iter([tape([(90, 0)], 10)])

    early = tape([(1, 0), (2, 0), (100, 0)])
    found = merged([source(early, [1, 1]), Source((90, LANES[0]), late)])
    assert told([next(found)]) == told([early.part(0, 1)])
    assert told([next(found)]) == told([early.part(1, 2)])
    assert opened == []
    assert [row[2] for _, row in told(found)] == [10, 2]


def test_tapes_without_rows_give_none():
    assert list(merged([])) == []
    assert list(merged([source(Rows.empty(LANES), [])])) == []
    assert first_key(iter([Rows.empty(LANES)])) is None
