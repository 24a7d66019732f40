"""A jump in the ids of a foreign tape is a gap; our own tapes tell their gaps themselves."""

from hypothesis import given
from hypothesis import strategies as st

from support.tapes import cut, told
from tapewatch.carry.gaps import Gaps
from tapewatch.carry.source import FOREIGN, SEEN
from tapewatch.model import Flag, Kind, Lane, Rows

LANES = (Lane("coinbase", "BTC-USD"), Lane("gemini", "BTC-USD"), Lane("binance", "BTC-USDC"))


def row(number: int, *, lane: int = 0, kind: int = Kind.TRADE, at: int = 0, aux: int = 0, flags: int = FOREIGN):
    return (at, at + 1, number, 0, 10**10, 1.0, aux, lane, kind, 1, flags)


def filled(*rows):
    data = Gaps().fill(Rows.of(LANES, rows)).data
    return data[["kind", "trade_id", "aux", "ts", "recv_ts", "lane", "flags"]].tolist()


def test_a_jump_is_a_gap_given_up_at_once_before_the_trade_that_shows_it():
    assert filled(row(5, at=10), row(6, at=20), row(9, at=30)) == [
        (Kind.TRADE, 5, 0, 10, 11, 0, 0),
        (Kind.TRADE, 6, 0, 20, 21, 0, 0),
        (Kind.GAP, 7, 8, 30, 31, 0, 0),
        (Kind.FILLED, 7, 8, 30, 31, 0, Flag.GIVEN_UP),
        (Kind.TRADE, 9, 0, 30, 31, 0, 0),
    ]


def test_lanes_have_their_own_ids_and_gemini_numbers_with_breaks():
    rows = [row(5), row(5, lane=1), row(5, lane=2), row(6), row(90, lane=1), row(7, lane=2)]
    assert [(kind, number, lane) for kind, number, *_, lane, _ in filled(*rows)] == [
        (Kind.TRADE, 5, 0),
        (Kind.TRADE, 5, 1),
        (Kind.TRADE, 5, 2),
        (Kind.TRADE, 6, 0),
        (Kind.TRADE, 90, 1),
        (Kind.GAP, 6, 2),
        (Kind.FILLED, 6, 2),
        (Kind.TRADE, 7, 2),
    ]


def test_a_trade_out_of_order_is_no_second_gap():
    kinds = [each[:3] for each in filled(row(5), row(7), row(6), row(8))]
    assert kinds == [(1, 5, 0), (2, 6, 6), (4, 6, 6), (1, 7, 0), (1, 6, 0), (1, 8, 0)]


def test_a_refused_trade_shows_a_gap_too_with_times_that_are_believed():
    seen = (0, 0, 8, 0, 0, 0.0, 0, 0, SEEN, 0, FOREIGN)
    assert filled(row(5, at=10), seen, row(9, at=20)) == [
        (Kind.TRADE, 5, 0, 10, 11, 0, 0),
        (Kind.GAP, 6, 7, 10, 11, 0, 0),
        (Kind.FILLED, 6, 7, 10, 11, 0, Flag.GIVEN_UP),
        (Kind.TRADE, 9, 0, 20, 21, 0, 0),
    ]


def test_our_own_tape_is_left_as_it_is():
    rows = Rows.of(LANES, [row(5, flags=0), row(9, flags=Flag.HISTORY), row(10, kind=Kind.GAP, aux=12, flags=0)])
    assert Gaps().fill(rows) is rows


def test_rows_of_our_own_name_ids_for_a_foreign_tape_behind_them():
    own = [row(5, flags=0), row(6, kind=Kind.GAP, aux=8, flags=0), row(0, kind=Kind.CLOCK, flags=0)]
    assert [each[:3] for each in filled(*own, row(9), row(11))][3:] == [(1, 9, 0), (2, 10, 10), (4, 10, 10), (1, 11, 0)]


ROWS = st.lists(
    st.builds(
        lambda number, lane, kind, at, flags: row(number, lane=lane, kind=kind, at=at, flags=flags),
        st.integers(0, 30),
        st.integers(0, 2),
        st.sampled_from([Kind.TRADE, SEEN]),
        st.integers(0, 50),
        st.sampled_from([FOREIGN, FOREIGN, FOREIGN | Flag.HISTORY]),
    ),
    max_size=40,
)


@given(ROWS, st.lists(st.integers(0, 12), max_size=5))
def test_any_division_into_blocks_gives_the_same(rows, sizes):
    whole, parts = Gaps(), Gaps()
    tape = Rows.of(LANES, rows)
    assert told(parts.fill(part) for part in cut(tape, sizes)) == told([whole.fill(tape)])


@given(ROWS)
def test_every_id_between_the_lowest_and_the_highest_is_told_or_missing(rows):
    for number, lane in enumerate(LANES):
        mine = [each for each in rows if each[7] == number]
        found = Gaps().fill(Rows.of(LANES, mine)).data
        gaps = found[found["kind"] == Kind.GAP]
        named = {each[2] for each in mine}
        lost = [one for gap in gaps for one in range(gap["trade_id"], gap["aux"] + 1)]
        if lane.venue == "gemini" or not mine:
            assert lost == []
            continue
        first = mine[0][2]  # what lies below the first id was never asked for
        assert set(lost) | {each for each in named if each >= first} == set(range(first, max(named) + 1))
        assert len(lost) == len(set(lost))
