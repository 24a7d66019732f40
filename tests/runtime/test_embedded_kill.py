"""kill -9 at any moment, and again and again: nothing is there twice, nothing is missing."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from support.markets import in_order, seeded
from support.runs import SkippingTime, embedded, memory
from tapewatch.carry.tape import Recorder, read
from tapewatch.detect.core import Detector, replay
from tapewatch.detect.rules import RuleBook
from tapewatch.model import NS, Kind, Rows


def start(tape: Path, folder: Path, speed: float, until: str) -> subprocess.Popen[str]:
    """Start a replay, and wait until it says what `until` names."""
    command = [sys.executable, "-m", "tapewatch", "run", "--source", f"tape:{tape}", "--speed", str(speed)]
    files = ["--db", folder / "x.db", "--record", folder / "rec", "--jsonl", folder / "c.jsonl", "--no-dashboard"]
    child = subprocess.Popen([*command, *map(str, files)], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    said = []
    for line in child.stderr:
        said.append(line)
        if line.startswith(until):
            return child
    child.communicate()
    raise AssertionError(f"it did not start: {''.join(said)}")


def kill_and_restart(tape: Path, folder: Path, speed: float, lives: list[tuple[str, float]]) -> list[int]:
    """Replay to the end in spite of kills; return how many rows the database knew after each."""
    reached = []
    for until, then_s in lives:
        child = start(tape, folder, speed, until)
        time.sleep(then_s)  # the moment of a kill is the one thing that must be real
        child.send_signal(signal.SIGKILL)
        child.communicate()
        reached.append(rows_known(folder / "x.db"))
    child = start(tape, folder, speed, "changes")
    _, said = child.communicate(timeout=120)
    assert child.returncode == 0, said
    return reached


def rows_known(path: Path) -> int:
    counted = memory(path).counters.values()
    return sum(trades + duplicates for trades, duplicates, *_ in counted)


@pytest.mark.parametrize(
    ("kills", "seed"), [(4, 20251010), pytest.param(20, 5, marks=pytest.mark.slow)], ids=["four times", "twenty times"]
)
def test_a_run_that_is_killed_finds_what_an_uninterrupted_one_finds(tmp_path: Path, kills: int, seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201  # a failure must be repeatable
    rows = seeded(seed, 8_000, 3)
    assert set(rows.data["kind"].tolist()) == set(Kind)
    rows = in_order(rows)
    recorder = Recorder.open(tmp_path / "tape")
    recorder.append(rows)
    recorder.close()
    span_s = int(rows.data["recv_ts"][-1] - rows.data["recv_ts"][0]) / NS
    rng = random.Random(seed)  # noqa: S311
    moments = ("changes", "stored", "stored", "stored")  # the database is open; the first row is stored
    lives = [(rng.choice(moments), rng.uniform(0.0, 0.4)) for _ in range(kills)]

    reached = kill_and_restart(tmp_path / "tape", tmp_path, span_s / (0.3 * kills + 2), lives)

    assert reached == sorted(reached)
    assert any(0 < count < rows_known(tmp_path / "x.db") for count in reached), reached
    time_of_test = SkippingTime()
    tape = lambda _: read([tmp_path / "tape"])  # noqa: E731
    asyncio.run(embedded(tmp_path / "whole.db", tape, time_of_test, sleep=time_of_test.sleep).run())
    found, whole = memory(tmp_path / "x.db"), memory(tmp_path / "whole.db")
    assert len(whole.changes) > 100
    assert found.changes == whole.changes
    assert found.anomalies == whole.anomalies
    assert found.counters == whole.counters
    assert found.bars.keys() == whole.bars.keys()
    for key, values in whole.bars.items():
        assert found.bars[key] == pytest.approx(values, rel=1e-9)
    assert_the_lines_are_the_log(tmp_path)
    assert_the_recording_is_the_tape(tmp_path, rows)


def assert_the_lines_are_the_log(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "c.jsonl").read_text().splitlines()]
    told = [(line["venue"], line["symbol"], line["ordinal"], line["change"], line["at"]) for line in lines]
    log = memory(folder / "x.db").changes
    assert told == [entry[:5] for entry in log]
    assert [line["anomaly"] for line in lines] == [json.loads(entry[5]) for entry in log]


def assert_the_recording_is_the_tape(folder: Path, rows: Rows) -> None:
    recorded = list(read([folder / "rec"]))
    named = [(part.lanes[row["lane"]], row) for part in recorded for row in part.data]
    assert [lane for lane, _ in named] == [rows.lanes[number] for number in rows.data["lane"]]
    fields = [name for name in rows.data.dtype.names or () if name != "lane"]
    again = np.concatenate([part.data for part in recorded])
    assert again[fields].tolist() == rows.data[fields].tolist()
    changes = [change for _, update in replay(recorded, Detector(RuleBook.default())) for change in update.changes]
    assert changes == memory(folder / "x.db").told()
