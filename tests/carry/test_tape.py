"""Paths become one tape, whatever it is cut into; checked against an independent reader on the real recordings."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import recorded
from support.tapes import Print, collector, csv, ids, told
from tapewatch.carry.recording.recorder import Recorder
from tapewatch.carry.tape import Tape, read
from tapewatch.errors import ConfigError
from tapewatch.model import Flag, Kind, Lane, Rows

BTC = Lane("coinbase", "BTC-USD")
MADE = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["BTC-USD", "ETH-USD"]), st.integers(1, 3)), min_size=1, max_size=40
)


def day(steps) -> list[Print]:
    """Make prints with few distinct times, many equal, and breaks in the ids."""
    at, numbers, found = 0, {}, []
    for pause, symbol, jump in steps:
        at += pause
        numbers[symbol] = numbers.get(symbol, 0) + (jump if pause else 1)
        found.append(Print(numbers[symbol], ts=at, recv=at, symbol=symbol))
    return sorted(found, key=lambda each: (each.recv, each.symbol))


@given(MADE, st.lists(st.integers(0, 40), max_size=3), st.integers(60, 400))
@settings(max_examples=60)
def test_any_split_into_files_and_blocks_gives_the_same_tape(tmp_path_factory, steps, cuts, block_bytes):
    prints = day(steps)
    folder = tmp_path_factory.mktemp("split")
    whole = told(Tape([csv(folder / "whole.csv", prints)]))
    assert [row[2] for _, row in whole if row[7] == Kind.TRADE] == [each.number for each in prints]
    bounds = [0, *sorted(min(at, len(prints)) for at in cuts), len(prints)]
    for at, (start, stop) in enumerate(pairwise(bounds)):
        csv(folder / f"day-{at}.csv.gz", prints[start:stop])
        for symbol in ("ETH-USD", "BTC-USD"):
            csv(folder / f"lane-{at}-{symbol}.csv", [each for each in prints[start:stop] if each.symbol == symbol])
    assert told(Tape([folder / "whole.csv"], block_bytes=block_bytes)) == whole
    assert told(Tape([folder / "day-*"], block_bytes=block_bytes)) == whole
    assert told(Tape([folder / "lane-*"], block_bytes=block_bytes)) == whole


def test_rows_of_equal_time_keep_their_order(tmp_path):
    prints = [Print(number, f"10{number}", ts=7, recv=7) for number in range(5)]
    assert ids(Tape([csv(tmp_path / "day.csv", prints)])) == [0, 1, 2, 3, 4]


def test_a_gap_between_two_files_of_a_lane_is_a_gap(tmp_path):
    csv(tmp_path / "a.csv", [Print(1), Print(2)])
    csv(tmp_path / "b.csv", [Print(5, recv=1)])
    assert [(row[7], row[2], row[6]) for _, row in told(Tape([tmp_path]))][2:] == [
        (Kind.GAP, 3, 4),
        (Kind.FILLED, 3, 4),
        (Kind.TRADE, 5, 0),
    ]


def test_two_recordings_of_one_lane_fill_each_others_gaps(tmp_path):
    csv(tmp_path / "a.csv", [Print(1, recv=1), Print(3, recv=3)])
    csv(tmp_path / "b.csv", [Print(2, recv=2), Print(4, recv=4)])
    assert [(row[7], row[2]) for _, row in told(Tape([tmp_path]))] == [(Kind.TRADE, number) for number in (1, 2, 3, 4)]


# ── which files


def test_folders_are_searched_and_what_is_no_tape_is_passed_over(tmp_path):
    (tmp_path / "below").mkdir()
    csv(tmp_path / "below" / "a.csv", [Print(1)])
    csv(tmp_path / "b.csv.gz", [Print(2)])
    (tmp_path / "README.md").write_text("# about these files\n")
    (tmp_path / ".hidden").write_text("exchange,symbol\n")
    rows = Rows.of([BTC], [(9, 9, 9, 0, 9, 1.0, 0, 0, Kind.TRADE, 1, 0)])
    recorder = Recorder.open(tmp_path / "recording")
    recorder.append(rows)
    recorder.close()
    tape = Tape([tmp_path])
    assert [path.name for path in tape.files] == ["b.csv.gz", "a.csv", "recording"]
    assert [path.name for path in tape.skipped] == ["README.md"]
    assert sorted(ids(tape)) == [1, 2, 9]


def test_a_name_that_looks_like_a_pattern_is_a_name_first(tmp_path):
    path = csv(tmp_path / "day[1].csv", [Print(1)])
    csv(tmp_path / "day1.csv", [Print(2)])
    assert ids(Tape([str(path)])) == [1]


def test_a_pattern_may_go_down_folders(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    csv(tmp_path / "a" / "b" / "day.csv", [Print(1)])
    assert ids(Tape([f"{tmp_path}/**/*.csv"])) == [1]


@pytest.mark.parametrize("path", ["none.csv", "none-*.csv"])
def test_a_path_that_names_nothing_is_a_wrong_argument(tmp_path, path):
    with pytest.raises(ConfigError, match=r"none.*csv: expected a recorded tape, found no such file"):
        Tape([tmp_path / path])


def test_a_folder_without_tapes_is_a_wrong_argument(tmp_path):
    (tmp_path / "README.md").write_text("# nothing here\n")
    with pytest.raises(ConfigError, match="expected recorded tapes, found none"):
        Tape([tmp_path])


def test_progress_counts_to_the_size_of_the_files_and_looking_ahead_is_not_told(tmp_path):
    for name in ("a.csv", "b.csv.gz"):
        csv(tmp_path / name, [Print(number, "x" if number == 5 else "1") for number in range(200)])
    told_bytes, bad = [], []
    tape = Tape([tmp_path], on_bad=bad.append, on_progress=told_bytes.append, block_bytes=1000)
    assert tape.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    list(tape)
    assert sum(told_bytes) == tape.size
    assert len(told_bytes) > 10
    assert [each.line for each in bad] == [7, 7]


# ── as traded


def test_as_traded_sorts_by_id_and_leaves_out_what_only_the_feed_knew(tmp_path):
    def row(number: int, kind: Kind, recv: int, aux: int = 0):
        return (recv, recv, number, 0, 10**10, 1.0, aux, 0, kind, 1, Flag.HISTORY)

    rows = Rows.of(
        [BTC],
        [
            row(1, Kind.TRADE, 10),
            row(2, Kind.GAP, 20, aux=3),
            row(4, Kind.TRADE, 21),
            row(0, Kind.CLOCK, 25, aux=21),
            row(2, Kind.LATE, 30),
            row(3, Kind.LATE, 31),
            row(2, Kind.FILLED, 31, aux=3),
            row(5, Kind.TRADE, 40),
        ],
    )
    recorder = Recorder.open(tmp_path / "recording")
    recorder.append(rows)
    recorder.close()
    found = told(read([tmp_path / "recording"], as_traded=True))
    want = [(1, 10), (2, 30), (3, 31), (4, 21), (5, 40)]
    assert [(row[2], row[1], row[7], row[9]) for _, row in found] == [(*w, Kind.TRADE, Flag.HISTORY) for w in want]


@given(MADE, st.randoms(use_true_random=False), st.integers(64, 400))
@settings(max_examples=30)
def test_as_traded_any_order_of_lines_is_the_same_tape(tmp_path_factory, steps, rng, block_bytes):
    prints = day(steps)
    mixed = rng.sample(prints, len(prints))
    folder = tmp_path_factory.mktemp("traded")
    for name, lines in (("sorted", prints), ("mixed", mixed)):
        csv(folder / f"{name}.csv", lines)
    want = [told_row for told_row in told(Tape([folder / "sorted.csv"])) if told_row[1][7] == Kind.TRADE]
    tape = Tape([folder / "mixed.csv"], as_traded=True, block_bytes=block_bytes)
    assert told(tape) == want


# ── the real recordings, against a reader that shares no code

CASCADE = ("ADA", "ATOM", "BCH", "BONK", "CRV", "DOGE", "ENA", "ETC", "LINK", "PEPE")


def same(tape: Tape, want: Rows) -> None:
    found = list(tape)
    data = np.concatenate([rows.data for rows in found])
    assert found[-1].lanes == want.lanes
    assert len(data) == len(want.data)
    differing = np.flatnonzero(data != want.data)
    assert len(differing) == 0, f"first at row {differing[0]}: {data[differing[0]]} {want.data[differing[0]]}"


@pytest.mark.parametrize("base", CASCADE)
def test_a_product_of_the_cascade_is_read_exactly(shared, base):
    bad, report = collector()
    path = shared / "cascade-2025-10-10" / f"coinbase_trades_2025-10-10_{base}-USD.csv.gz"
    same(Tape([path], on_bad=report), recorded.cascade(shared, f"{base}-USD"))
    assert bad == []


def test_the_quiet_day_is_read_exactly(shared):
    same(Tape([shared / "quiet-2025-10-04"]), recorded.quiet(shared))


def test_the_cascade_as_one_tape_holds_each_product_as_it_stands_in_order_of_receipt(shared):
    tape = Tape([shared / "cascade-2025-10-10"], block_bytes=1 << 18)
    parts = list(tape)
    lanes = parts[-1].lanes
    data = np.concatenate([rows.data for rows in parts])
    symbols = [lane.symbol for lane in lanes]
    rank = np.array([sorted(symbols).index(symbol) for symbol in symbols])[data["lane"]]
    order = np.lexsort((rank, data["recv_ts"]))
    assert (order == np.arange(len(data))).all()
    for base in ("ETC", "ATOM"):
        number = symbols.index(f"{base}-USD")
        mine = data[data["lane"] == number].copy()
        mine["lane"] = 0
        assert (mine == recorded.cascade(shared, f"{base}-USD").data).all()


def test_a_fingerprint_tells_a_tape_from_what_it_was(tmp_path):
    path = csv(tmp_path / "day.csv", [Print(1), Print(2)])
    first = Tape([path]).fingerprint()
    assert Tape([path]).fingerprint() == first
    others = {Tape([path], form="csv").fingerprint(), Tape([path], symbol="X-USD").fingerprint()}
    csv(path, [Print(1), Print(3)])  # as long as before
    others.add(Tape([path]).fingerprint())
    csv(path, [Print(1), Print(2), Print(3)])
    others.add(Tape([path]).fingerprint())
    csv(tmp_path / "other.csv", [Print(4)])
    others.add(Tape([tmp_path]).fingerprint())
    assert len(others - {first}) == 5


def test_the_fingerprint_of_a_recording_stays_while_it_grows(tmp_path):
    recorder = Recorder.open(tmp_path / "rec", part_rows=2)
    row = (1, 1, 1, 0, 100_000_000, 1.0, 0, 0, int(Kind.TRADE), 1, 0)
    seen = set()
    for count in (1, 2, 3):
        recorder.append(Rows.of((BTC,), [row] * count))
        recorder.flush()
        seen.add(Tape([tmp_path / "rec"]).fingerprint())
    recorder.close()
    seen.add(Tape([tmp_path / "rec"]).fingerprint())
    assert len(seen) == 1
    other = Recorder.open(tmp_path / "other")
    other.append(Rows.of((BTC,), [row]))
    other.close()
    assert Tape([tmp_path / "other"]).fingerprint() not in seen
    (part,) = (tmp_path / "other").iterdir()
    assert Tape([part]).fingerprint() not in {*seen, Tape([tmp_path / "other"]).fingerprint()}
