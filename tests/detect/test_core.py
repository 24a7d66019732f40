"""The detector's borders: restarts with other parameters, what capture must know, bad snapshots."""

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from support.markets import START, Tape, seeded
from tapewatch.detect.anomaly import SLOT
from tapewatch.detect.core import Detector, Ledger, replay
from tapewatch.detect.rules import RULES, RuleBook
from tapewatch.errors import ConfigError, SnapshotError
from tapewatch.model import NS, Kind, Lane

BTC, DOGE = Lane("coinbase", "BTC-USD"), Lane("coinbase", "DOGE-USD")


def test_a_rule_with_other_parameters_restarts_empty_and_reports_what_it_had_open() -> None:
    detector = Detector(RuleBook.default())
    opened = detector.update(Tape(BTC).trade(0, "100000").trade(1, "101000").rows()).changes
    assert [(c.anomaly.rule, c.change) for c in opened] == [("pct_spike", "opened"), ("abs_jump", "opened")]
    other = Detector.restore(RuleBook.of({"pct_spike": {"threshold_pct": 0.5}}), detector.snapshot())
    assert [a.rule for a in other.open_anomalies()] == ["abs_jump"]
    # told by the next update, even one without rows, and only once; also when another stop comes first
    other = Detector.restore(RuleBook.of({"pct_spike": {"threshold_pct": 0.5}}), other.snapshot())
    (ended,) = other.update(Tape(BTC).rows()).changes
    assert (ended.change, ended.anomaly.id, ended.ordinal) == ("ended", opened[0].anomaly.id, 2)
    assert ended.anomaly.ended_ts == opened[0].anomaly.last_ts
    assert other.update(Tape(BTC).rows()).changes == []
    # its window is empty: the fall to 100,000 is measured from nothing by pct_spike, from 101,000 by abs_jump
    after = other.update(Tape(BTC).trade(2, "100000", number=3).rows()).changes
    assert [(c.anomaly.rule, c.anomaly.direction) for c in after] == [("abs_jump", "down")]


def test_a_disarmed_rule_reports_what_it_had_open() -> None:
    detector = Detector(RuleBook.default())
    detector.update(Tape(BTC).trade(0, "100000").trade(1, "100100").rows())
    other = Detector.restore(RuleBook.of({"abs_jump": {"armed": False}}), detector.snapshot())
    assert [c.anomaly.rule for c in other.update(Tape(BTC).rows()).changes] == ["abs_jump"]
    assert "abs_jump" not in other.armed(BTC)


def test_a_restart_keeps_the_times_of_the_steps() -> None:
    tape = (
        Tape(DOGE)
        .trade(0, "1")
        .trade(1, "1.0025")
        .trade(2, "1.005")
        .trade(3, "1.02")
        .trade("3.5", "1.03")
        .trade(4, "1.04")
    )
    rows = tape.trade(200, "1.04").rows()
    detector = Detector(RuleBook.default())
    told = [detector.update(rows.part(0, 4)).changes]
    (at_stop,) = detector.open_anomalies()
    detector = Detector.restore(RuleBook.default(), detector.snapshot())
    assert detector.open_anomalies() == [at_stop]
    told.append(detector.update(rows.part(4, 7)).changes)
    steps = [c.anomaly.escalated_ts for changes in told for c in changes if c.anomaly.rule == "pct_spike"]
    two, three, four = (START + second * NS for second in (2, 3, 4))
    assert steps == [(), (two,), (two, three, three), (two, three, three, four), (two, three, three, four)]


def test_a_snapshot_of_version_2_goes_on_without_the_moment_that_it_does_not_know() -> None:
    tape = Tape(DOGE).trade(0, "1").trade(1, "1.0025").trade(2, "1.02")
    detector = Detector(RuleBook.default())
    detector.update(tape.rows())
    (now,) = detector.open_anomalies()
    saved = msgspec.msgpack.decode(detector.snapshot())
    saved[0] = 2
    for name, _, slots, _ in saved[1][0][5]:
        slots[:] = [slot_of_version_2(slot) for slot in slots]
        assert bool(slots) == (name == "pct_spike")
    saved[1][0][4] = [["pct_spike", b'{"threshold_pct":0.2}', slots[0]] for _, _, slots, _ in saved[1][0][5] if slots]
    old = Detector.restore(RuleBook.default(), msgspec.msgpack.encode(saved))
    assert old.open_anomalies() == [msgspec.structs.replace(now, peak_left_ts=None)]
    (ended,) = old.update(Tape(DOGE).rows()).changes  # what was open under other parameters comes along
    assert (ended.change, ended.anomaly.peak_price, ended.anomaly.peak_left_ts) == ("ended", 1.02, None)
    assert Detector.restore(RuleBook.default(), old.snapshot()).open_anomalies() == old.open_anomalies()


def slot_of_version_2(slot: bytes) -> bytes:
    """Leave out what version 3 added; what stands behind the slot stays."""
    new = np.frombuffer(slot, SLOT, 1)
    layout = [(name, SLOT[name]) for name in SLOT.names or () if name != "peak_left_ts"]
    old = np.zeros(1, np.dtype(layout, align=True))
    for name in old.dtype.names or ():
        old[name] = new[name]
    return old.tobytes() + slot[SLOT.itemsize :]


@pytest.mark.parametrize("lanes", [(BTC,), (BTC, DOGE)])
@pytest.mark.parametrize("number", [-1, 2])
def test_a_row_of_no_lane_is_refused(lanes: tuple[Lane, ...], number: int) -> None:
    rows = Tape(*lanes).trade(0, "1").trade(1, "1").rows()
    rows.data["lane"][1] = number
    with pytest.raises(AssertionError, match="lanes of their own table"):
        Detector(RuleBook.default()).update(rows)


def test_ledgers_tell_the_highest_id_and_the_open_gaps() -> None:
    detector = Detector(RuleBook.default())
    rows = Tape(BTC, DOGE).trade(0, "1", number=7).gap(1, 8, 9).trade(1, "1", number=10).rows()
    detector.update(rows)
    assert detector.ledgers() == {BTC: Ledger(10, ((8, 9),), START + NS)}


def test_open_anomalies_are_told_as_they_stand() -> None:
    detector = Detector(RuleBook.default())
    detector.update(Tape(DOGE).trade(0, "1").trade(1, "1.01").trade(2, "1.02").rows())
    (anomaly,) = detector.open_anomalies()
    assert (anomaly.triggers, anomaly.peak_price, anomaly.ended_ts) == (2, 1.02, None)


@pytest.mark.parametrize("blob", [b"", b"\x00", b"not a snapshot", b"\x92\x63\x90"])
def test_a_bad_snapshot_is_one_clear_error(blob: bytes) -> None:
    with pytest.raises(SnapshotError, match="expected"):
        Detector.restore(RuleBook.default(), blob)


def test_a_truncated_snapshot_is_one_clear_error() -> None:
    detector = Detector(RuleBook.default())
    detector.update(seeded(1))
    with pytest.raises(SnapshotError):
        Detector.restore(RuleBook.default(), detector.snapshot()[:-9])


def test_replay_folds_batch_by_batch() -> None:
    rows = seeded(2)
    detector = Detector(RuleBook.default())
    parts = [rows.part(0, 100), rows.part(100, len(rows.data))]
    told = [change for _, update in replay(parts, detector) for change in update.changes]
    assert told == Detector(RuleBook.default()).update(rows).changes


def test_ids_are_named_by_the_page() -> None:
    import hashlib

    changes = Detector(RuleBook.default()).update(Tape(DOGE).trade(0, "1").trade(1, "1.01").rows()).changes
    text = b'["coinbase","DOGE-USD","pct_spike","up",{"quiet_s":"60","threshold_pct":"0.25","window_s":"10"},2]'
    assert changes[0].anomaly.id == hashlib.blake2b(text, digest_size=16).hexdigest()


def test_the_same_code_runs_uncompiled() -> None:
    """Numba's cache must not hide a difference between what is written and what runs."""
    script = (
        "from support.markets import seeded; from tapewatch.detect.core import Detector\n"
        "from tapewatch.detect.rules import RuleBook; import sys, warnings\n"
        "detector = Detector(RuleBook.default()); detector.update(seeded(4, 1500))\n"
        "sys.stdout.write(detector.snapshot().hex())"
    )
    plain = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": "tests", "NUMBA_DISABLE_JIT": "1"},
    )
    compiled = Detector(RuleBook.default())
    compiled.update(seeded(4, 1500))
    assert bytes.fromhex(plain.stdout) == compiled.snapshot()
    assert not plain.stderr


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"pct_spik": {}}, "rules.pct_spik: unknown rule; did you mean pct_spike?"),
        ({"pct_spike": 3}, "expected a table"),
        ({"pct_spike": {"threshold": 1}}, "rules.pct_spike.threshold: unknown key; did you mean threshold_pct?"),
        ({"pct_spike": {"threshold_pct": 0}}, "rules.pct_spike.threshold_pct: expected float >= 0.001, found 0"),
        ({"pct_spike": {"armed": "no"}}, "rules.pct_spike.armed: expected true or false, found 'no'"),
        ({"pct_spike": {"threshold_pct": 0.1234567}}, "at most 6 decimals"),
        ({"vol_breakout": {"floor_pct": 1, "floor_quote": 2}}, "exactly one"),
        ({"abs_jump": {"ETH-*": {"limit_quote": "many"}}}, 'rules.abs_jump."ETH-*".limit_quote: expected float'),
        ({"mean_reversion_break": {"samples": 91}}, "<= 90"),
    ],
)
def test_a_wrong_parameter_is_named(plain: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        RuleBook.of(plain)
    assert message in str(error.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        RuleBook.of({"pct_spik": {}, "Fast move": {"threshold_pct": -1, "windw_s": 3}, "vol_breakout": 5})
    assert [line.partition(":")[0] for line in str(error.value).splitlines()] == [
        "rules.pct_spik",
        "rules.vol_breakout",
        "rules.pct_spike.threshold_pct",
        "rules.pct_spike.windw_s",
    ]


def test_a_rule_may_be_named_as_it_is_shown() -> None:
    book = RuleBook.of({"fast Move": {"threshold_pct": 0.5}})
    assert book.params(RULES[0], "SOL-USD").threshold_pct == 0.5  # type: ignore[union-attr]


def test_patterns_override_in_order() -> None:
    book = RuleBook.of({"vol_breakout": {"sigmas": 4, "DOGE-*": {"floor_quote": 0.001}}})
    vol = RULES[2]
    assert (book.params(vol, "BTC-USD").sigmas, book.params(vol, "BTC-USD").floor_quote) == (4, 15)  # type: ignore[union-attr]
    doge = book.params(vol, "DOGE-USD")
    assert (doge.floor_quote, doge.floor_pct, doge.sigmas) == (0.001, None, 4)  # type: ignore[union-attr]
    assert Kind.TRADE == 1
