"""Two readings of the rules over one tape: the package's detector and the oracle must agree on every field."""

import itertools
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from support.oracle import Armed, Bar, BarKey, Verdict, defaults, judge
from tapewatch.detect.bars import fold
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RULES, RuleBook
from tapewatch.model import Anomaly, Bars, Change, Rows


def agreed(tape: Rows, armed: Armed | None = None, cuts: Sequence[int] = ()) -> Verdict:
    """Judge a tape by both readings; they must agree.

    `armed` arms the same rules on every lane instead of the defaults. The oracle reads the tape as a
    whole; the detector is stopped at each of the ascending `cuts` and restored, and finds the table of
    lanes in another order.
    """
    oracle = judge(tape, defaults if armed is None else lambda _lane: armed)
    rules = RuleBook.default() if armed is None else book(armed)
    detector = Detector(rules)
    new, changes = [], []
    for number, (start, stop) in enumerate(itertools.pairwise([0, *cuts, len(tape.data)])):
        if number:
            detector = Detector.restore(rules, detector.snapshot())
        update = detector.update(renumbered(tape.part(start, stop)) if number % 2 else tape.part(start, stop))
        new += update.new.tolist()
        changes += update.changes
    same("row told new", new, oracle.new)
    same("change", texts(changes), texts(oracle.changes))
    same("open anomaly", texts(sorted(detector.open_anomalies(), key=Anomaly.sort_key)), texts(oracle.open))
    assert {lane: tuple(ledger) for lane, ledger in detector.ledgers().items()} == oracle.ledgers
    same_bars(fold(tape, np.array(new, np.bool_)), oracle.bars)
    return oracle


def renumbered(rows: Rows) -> Rows:
    """Give the same rows with the table of lanes turned around."""
    data = rows.data.copy()
    data["lane"] = len(rows.lanes) - 1 - data["lane"]
    return Rows(rows.lanes[::-1], data)


def book(armed: Armed) -> RuleBook:
    """Arm the same rules on every lane."""
    return RuleBook.of({rule.name: armed.get(rule.name, {"armed": False}) for rule in RULES})


def texts(records: Sequence[Change | Anomaly]) -> list[str]:
    """Write records as the files have them: every field, in order, byte for byte."""
    return [msgspec.json.encode(record).decode() for record in records]


def same(what: str, found: list[object], expected: list[object]) -> None:
    """Compare two long lists and point at the first difference."""
    for number, (a, b) in enumerate(zip(found, expected, strict=False)):
        assert a == b, f"{what} {number}: the detector and the oracle differ"
    assert len(found) == len(expected), f"{what}s: {(found + expected)[min(len(found), len(expected)) :][:1]}"


def same_bars(found: Bars, expected: dict[BarKey, Bar]) -> None:
    """Compare bars: all integers exactly, volumes to 1e-9."""
    bars = {
        (found.lanes[bar["lane"]], int(bar["width"]), int(bar["ts"])): Bar(*(bar[field] for field in Bar._fields))
        for bar in found.data
    }
    assert len(bars) == len(found.data), "at most one increment per lane, width and bucket"
    assert bars.keys() == expected.keys()
    for key, bar in expected.items():
        assert bars[key]._replace(volume=0) == bar._replace(volume=0), key
    volumes = np.array([(bars[key].volume, bar.volume) for key, bar in expected.items()]).reshape(-1, 2)
    assert volumes[:, 0] == pytest.approx(volumes[:, 1], rel=1e-9)
