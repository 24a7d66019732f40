"""The three laws: splitting, stopping and telling twice do not matter, for every rule."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.markets import LANES, seeded, tapes
from tapewatch.detect.bars import fold
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RULES, RuleBook
from tapewatch.model import BAR, Bars, Change, Kind, Rows

BOOK = RuleBook.of({"hour_move": {"quiet_s": 300}})
"""The defaults, but that what moved within an hour ends on tapes of an hour."""

SEEDS = range(12)


def cuts_of(seed: int, size: int, count: int = 9) -> list[int]:
    return sorted(np.random.default_rng(seed).integers(0, size + 1, count).tolist())


def pieces(rows: Rows, cuts: list[int]) -> list[Rows]:
    edges = [0, *cuts, len(rows.data)]
    return [rows.part(start, stop) for start, stop in itertools.pairwise(edges)]


def orderly(rows: Rows) -> Rows:
    """Leave out what no capture writes: LATE and FILLED rows that come before the GAP they speak of.

    Such a row is refused at first and would be taken when told again, after its gap has opened.
    """
    new = Detector(BOOK).update(rows).new
    stray = ~new & np.isin(rows.data["kind"], (Kind.LATE, Kind.FILLED))
    return Rows(rows.lanes, rows.data[~stray])


def whole(rows: Rows) -> tuple[list[Change], bytes]:
    detector = Detector(BOOK)
    return detector.update(rows).changes, detector.snapshot()


def merged(parts: list[Bars]) -> dict[tuple[str, int, int], tuple[int, ...]]:
    """Merge increments the slow way."""
    bars: dict[tuple[str, int, int], np.void] = {}
    for part in parts:
        for one in part.data:
            key = (str(part.lanes[one["lane"]]), int(one["width"]), int(one["ts"]))
            if key not in bars:
                bars[key] = one.copy()
                continue
            held = bars[key]
            if one["open_id"] < held["open_id"]:
                held["open_id"], held["open"] = one["open_id"], one["open"]
            if one["close_id"] > held["close_id"]:
                held["close_id"], held["close"] = one["close_id"], one["close"]
            held["high"], held["low"] = max(held["high"], one["high"]), min(held["low"], one["low"])
            held["volume"] += one["volume"]
            held["count"] += one["count"]
    whole_numbers = [name for name in BAR.names or () if name not in ("volume", "lane", "width", "ts")]
    return {key: (*(int(bar[n]) for n in whole_numbers), round(float(bar["volume"]), 6)) for key, bar in bars.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_seeded_tapes_fire_what_the_laws_are_about(seed: int) -> None:
    changes, _ = whole(seeded(seed))
    assert changes, "a law over a tape on which nothing happens proves nothing"


def test_every_rule_opens_escalates_and_ends_on_the_seeded_tapes() -> None:
    told = {(c.anomaly.rule, c.change) for seed in SEEDS for c in whole(seeded(seed))[0]}
    for rule in RULES:
        assert (rule.name, "opened") in told
        assert (rule.name, "ended") in told
        assert rule.name in ("tape_gap", "new_numbering") or (rule.name, "escalated") in told


@pytest.mark.parametrize("seed", SEEDS)
def test_splitting_does_not_matter(seed: int) -> None:
    rows = seeded(seed)
    changes, state = whole(rows)
    detector = Detector(BOOK)
    parts = [(piece, detector.update(piece)) for piece in pieces(rows, cuts_of(seed, len(rows.data)))]
    assert [change for _, update in parts for change in update.changes] == changes
    assert detector.snapshot() == state
    at_once = Detector(BOOK).update(rows)
    assert merged([fold(piece, update.new) for piece, update in parts]) == merged([fold(rows, at_once.new)])


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_row_by_row_is_the_same(seed: int) -> None:
    rows = seeded(seed, 800)
    changes, state = whole(rows)
    detector = Detector(BOOK)
    one_by_one = [detector.update(rows.part(i, i + 1)) for i in range(len(rows.data))]
    assert [change for update in one_by_one for change in update.changes] == changes
    assert detector.snapshot() == state


@pytest.mark.parametrize("seed", SEEDS)
def test_stopping_does_not_matter(seed: int) -> None:
    rows = seeded(seed)
    changes, state = whole(rows)
    detector = Detector(BOOK)
    told: list[Change] = []
    for piece in pieces(rows, cuts_of(seed + 1000, len(rows.data))):
        detector = Detector.restore(BOOK, detector.snapshot())
        told += detector.update(piece).changes
    assert told == changes
    assert detector.snapshot() == state


def test_stopping_does_not_matter_across_processes(tmp_path: object) -> None:
    rows = seeded(3)
    half = len(rows.data) // 2
    detector = Detector(BOOK)
    detector.update(rows.part(0, half))
    script = (
        "import sys; from support.markets import seeded\n"
        "from tapewatch.detect.core import Detector; from tapewatch.detect.rules import RuleBook\n"
        "book = RuleBook.of({'hour_move': {'quiet_s': 300}})\n"
        "detector = Detector.restore(book, bytes.fromhex(sys.stdin.read()))\n"
        f"rows = seeded(3); detector.update(rows.part({half}, len(rows.data)))\n"
        "sys.stdout.write(detector.snapshot().hex())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        input=detector.snapshot().hex(),
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "tests", "PATH": "", "PYTHONHASHSEED": "7"},
    )
    assert bytes.fromhex(other.stdout) == whole(rows)[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_telling_twice_does_not_matter(seed: int) -> None:
    rows = orderly(seeded(seed))
    changes, state = whole(rows)
    detector = Detector(BOOK)
    told: list[Change] = []
    start = 0
    for stop in [*cuts_of(seed + 2000, len(rows.data)), len(rows.data)]:
        told += detector.update(rows.part(start, stop)).changes
        before = detector.snapshot()
        again = detector.update(rows.part(max(0, start - 50), stop))
        assert again.changes == []
        assert not again.new.any()
        assert detector.snapshot() == before
        start = stop
    assert told == changes
    assert detector.snapshot() == state


@settings(max_examples=60)
@given(rows=tapes(80), data=st.data())
def test_laws_hold_on_any_tape(rows: Rows, data: st.DataObject) -> None:
    rows = orderly(rows)
    changes, state = whole(rows)
    size = len(rows.data)
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
    detector = Detector(BOOK)
    told: list[Change] = []
    for piece in pieces(rows, cuts):
        told += detector.update(piece).changes
        detector = Detector.restore(BOOK, detector.snapshot())
        assert detector.update(piece).changes == []
    assert told == changes
    assert detector.snapshot() == state


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_lane_numbers_mean_nothing(seed: int) -> None:
    rows = seeded(seed)
    turned = Rows(tuple(reversed(rows.lanes)), rows.data.copy())
    turned.data["lane"] = len(rows.lanes) - 1 - turned.data["lane"]
    assert whole(turned) == whole(rows)


def test_lanes_do_not_know_each_other() -> None:
    rows = seeded(5)
    changes, _ = whole(rows)
    for number, lane in enumerate(rows.lanes):
        alone = Rows(rows.lanes, rows.data[rows.data["lane"] == number])
        assert whole(alone)[0] == [c for c in changes if (c.anomaly.venue, c.anomaly.symbol) == lane]
    assert len(LANES) >= len(rows.lanes)
