"""A backtest finds what is known of the recordings, and writes it whole and in order."""

import io
import os
from datetime import UTC, datetime

import msgspec
import pytest

from support.markets import START, Tape, seeded
from support.tapes import cut
from tapewatch.carry.tape import Recorder, read
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import ConfigError, TapewatchError
from tapewatch.model import NS, Anomaly, Lane
from tapewatch.runtime import backtest as runtime
from tapewatch.runtime.backtest import backtest

BTC = Lane("coinbase", "BTC-USD")
MARKET = ("pct_spike", "abs_jump", "vol_breakout", "mean_reversion_break")
FACTS = {  # tape: trades, anomalies by rule (None: not armed), triggers, steps, largest
    "quiet-2025-10-04/*.zip": (140_489, (0, 384, 451, 360), 51_966, 243, None),
    "cascade-2025-10-10/*DOGE*": (266_395, (130, None, 175, 266), 177_868, 399, "-14.6194"),
    "cascade-2025-10-10/*LINK*": (228_597, (158, None, 185, 272), 162_810, 523, "+12.0851"),
    "cascade-2025-10-10/*ADA*": (194_374, (106, None, 167, 239), 178_045, 362, "+11.8587"),
}


@pytest.mark.parametrize("path", FACTS)
def test_the_facts_of_a_recording(shared, path):
    trades, by_rule, triggers, steps, largest = FACTS[path]
    report = backtest(read([f"{shared}/{path}"]), RuleBook.default())
    [(lane, count)] = report.lanes.items()
    assert (count.trades, count.duplicates) == (trades, 0)
    found = tuple(report.by_lane()[lane, rule] if rule in count.armed else None for rule in MARKET)
    assert found == by_rule
    market = [each for each in report.anomalies if each.rule in MARKET]
    assert sum(each.triggers for each in market) == triggers
    assert sum(each.escalation for each in market) == steps
    moves = [each for each in market if each.rule == "pct_spike"]
    peak = max(moves, key=lambda each: abs(each.peak_observed), default=None)
    assert (None if peak is None else f"{peak.peak_observed:+.4f}") == largest
    if "DOGE" in path:
        at = datetime(2025, 10, 10, 21, 21, 34, 977_231, tzinfo=UTC)
        assert peak.peak_ts == int(at.timestamp()) * NS + 977_231_000
        assert report.greatest(1) == [peak]
        assert sum(report.by_day().values()) == len(report.anomalies)
        assert {day for day, _ in report.by_day()} == {"2025-10-10"}


def test_counts_are_of_each_lane():
    lanes = (BTC, Lane("coinbase", "DOGE-USD"))
    tape = Tape(*lanes)
    tape.trade(0, "100").trade(1, "100").trade("0.5", "100", number=2)  # the last one was told before
    tape.gap(2, 3, 7).late(1, "100", 4).filled(2, 3, 7, given_up=True).trade(3, "100")
    tape.trade(9, "0.2", lane=1)
    report = backtest([tape.rows()], RuleBook.default())
    btc, doge = report.lanes[BTC], report.lanes[lanes[1]]
    assert (btc.trades, btc.duplicates, btc.missing) == (4, 1, 5)
    assert (btc.first_ts, btc.last_ts) == (START, START + 3 * NS)
    assert "abs_jump" in btc.armed
    assert (doge.trades, doge.missing, "abs_jump" in doge.armed) == (1, 0, False)
    assert [(each.rule, each.triggers) for each in report.anomalies] == [("tape_gap", 1)]


def test_what_is_open_at_the_end_has_no_end():
    tape = Tape(BTC).trade(0, "100").trade(1, "101").trade(200, "101").trade(201, "102")
    moves = [each for each in backtest([tape.rows()], RuleBook.default()).anomalies if each.rule == "pct_spike"]
    assert [(each.opened_ts, each.ended_ts) for each in moves] == [
        (START + NS, START + NS),
        (START + 201 * NS, None),
    ]


def test_division_into_batches_does_not_matter():
    rows = seeded(5)
    whole = backtest([rows], RuleBook.default())
    parts = backtest(cut(rows, [1, 700, 1, 1, 999]), RuleBook.default())
    assert parts == whole
    assert len(whole.anomalies) > 20


def test_a_backtest_of_a_recording_equals_the_run_that_was_recorded(tmp_path):
    rows = seeded(7)
    live, detector = Recorder.open(tmp_path, part_rows=1000), Detector(RuleBook.default())
    told = []
    for part in cut(rows, [500] * 7):
        live.append(part)
        told += [change.anomaly for change in detector.update(part).changes if change.change == "ended"]
    live.close()
    want = sorted([*told, *detector.open_anomalies()], key=Anomaly.sort_key)
    assert backtest(read([tmp_path]), RuleBook.default()).anomalies == want
    assert len(want) > 20


def test_the_greatest_are_by_the_limit_and_in_order_of_time():
    tape = Tape(BTC).trade(0, "100").trade(1, "101").trade(200, "101").trade(201, "104").trade(400, "104")
    tape.trade(401, "106")
    report = backtest([tape.rows()], RuleBook.of({"vol_breakout": {"armed": False}, "abs_jump": {"armed": False}}))
    assert [round(each.peak_observed, 2) for each in report.greatest(2)] == [2.97, 1.92]
    assert report.greatest(0) == []


# ── the file


def some_anomalies() -> list[Anomaly]:
    return backtest([seeded(3)], RuleBook.default()).anomalies


def test_a_line_is_one_anomaly_with_its_fields_in_order(tmp_path):
    anomalies = some_anomalies()
    path = tmp_path / "anomalies.jsonl"
    runtime.save(anomalies, path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert b"".join(lines) == path.read_bytes()
    assert all(line.endswith(b"}\n") for line in lines)
    assert [msgspec.json.decode(line, type=Anomaly) for line in lines] == anomalies
    assert list(msgspec.json.decode(lines[0])) == list(Anomaly.__struct_fields__)
    keys = [each.sort_key() for each in anomalies]
    assert keys == sorted(keys)
    out = io.BytesIO()
    runtime.write(anomalies, out)
    assert out.getvalue() == path.read_bytes()


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    path = tmp_path / "anomalies.jsonl"
    path.write_text("before\n")

    def broken():
        yield from some_anomalies()[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runtime.save(broken(), path)
    assert path.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [path]
    runtime.save([], path)
    assert path.read_text() == ""


def test_a_link_is_followed_and_a_pipe_is_written_to(tmp_path):
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(target)
    runtime.save(some_anomalies(), link)
    assert link.is_symlink()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        runtime.save(some_anomalies()[:2], pipe)
        got = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
    assert got == b"".join(target.read_bytes().splitlines(keepends=True)[:2])
    assert not pipe.is_file()


def test_a_disk_that_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TapewatchError, match="file/out: cannot be written: Not a directory"):
        runtime.save([], tmp_path / "file" / "out")


def test_a_place_that_cannot_be_written_is_known_before_the_work(tmp_path, monkeypatch):
    day = tmp_path / "day.csv"
    day.write_text("")
    (tmp_path / "link").symlink_to(day)
    for path, words in (
        (tmp_path, "expected a file, found a folder"),
        (tmp_path / "none" / "out", "expected an existing folder, found none at "),
        (day, "expected another file than the tape that is read"),
        (tmp_path / "link", "expected another file than the tape that is read"),
    ):
        with pytest.raises(ConfigError, match=f"--out {path}: {words}"):
            runtime.check_out(path, [day])
    runtime.check_out(tmp_path / "out", [day])
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="cannot be written: permission denied"):
        runtime.check_out(tmp_path / "out", [day])
