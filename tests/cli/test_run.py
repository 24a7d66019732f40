"""`tapewatch run` and `demo` as a person uses them: wrong values, Ctrl-C, a second instance, the end of a tape."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from support import receivers
from support.markets import seeded
from support.runs import memory
from tapewatch.carry.tape import Recorder
from tapewatch.cli import main
from tapewatch.cli.common import typed

TAPEWATCH = (sys.executable, "-m", "tapewatch")


NOWHERE = ("--set", "capture.coinbase.rest_url=http://127.0.0.1:9", "--set", "capture.coinbase.ws_url=ws://127.0.0.1:9")
"""A venue that does not answer."""


@contextmanager
def running(*arguments: object, until: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start a command and wait until it says a line that begins so."""
    command = [*TAPEWATCH, *map(str, arguments)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd)
    said: list[str] = []
    try:
        assert child.stderr is not None
        for line in child.stderr:
            said.append(line)
            if line.startswith(until):
                break
        else:
            raise AssertionError(f"never said {until!r}: {''.join(said)}")
        yield child, said
    finally:
        child.kill()
        child.communicate()


def ends(child: subprocess.Popen[str], with_signal: int) -> str:
    child.send_signal(with_signal)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 0, said
    return said


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    recorder = Recorder.open(tmp_path / "tape")
    recorder.append(seeded(4, 1500, 2))
    recorder.close()
    return tmp_path / "tape"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--source", "kraken"], "run.source: expected coinbase, simulated or tape:PATH, found 'kraken'"),
        (["run", "--source", "tape:"], "run.source: expected tape:PATH, found no path"),
        (["run", "--source", "tape:no/such.csv"], "no/such.csv: expected a recorded tape, found no such file"),
        (["run", "--source", "tape:x.csv", "--symbols", "BTC-USD"], "a tape brings its own symbols"),
        (["produce", "--source", "tape:x.csv", "--symbols", "BTC-USD"], "a tape brings its own symbols"),
        (
            ["run", "--source", "simulated", "--set", "dashboard.port=abc"],
            "dashboard.port in flag: expected a whole number",
        ),
        (["run", "--speed", "-1"], "Invalid value for '--speed'"),
        (["run", "--speed", "fast"], "Invalid value for '--speed'"),
        (["run", "--port", "70000"], "Invalid value for '--port'"),
        (["run", "--sped", "1"], "No such option"),
        (["run", "--symbols", ",", "--source", "simulated"], "capture.symbols"),
        (["run", "--symbols", "BTC-UDS", "--source", "simulated"], "BTC-UDS"),
        (["run", "--set", "run.spede=1"], "run.spede in flag: unknown key"),
        (["run", "--set", "nonsense"], "--set expects section.key=value, found 'nonsense'"),
        (["run", "--config", "no.toml"], "no.toml: cannot be read"),
        (["run", "--db", "mongo://x/y", "--source", "simulated"], "--db expects a path or an address"),
        (["demo", "--seed", "-3"], "Invalid value for '--seed'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tapewatch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    complaints = [line for line in lines if line.startswith("tapewatch: ")]
    assert len(complaints) == 1
    assert complaints == lines[-1:]
    assert said in complaints[0]
    assert list(tmp_path.iterdir()) == []


def test_unknown_rules_are_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "--source", "simulated", "--set", "rules.pct_spke.threshold_pct=1"]
    monkeypatch.setattr(sys, "argv", ["tapewatch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "did you mean pct_spike?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_tape_runs_to_its_end_and_has_nothing_left_to_do(tape: Path, tmp_path: Path) -> None:
    command = [*TAPEWATCH, "run", "--source", f"tape:{tape}", "--speed", "0", "--db", "new/x.db", "--no-dashboard"]
    first = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    topics = [line.split()[0] for line in first.stderr.splitlines()]
    assert topics == ["tapewatch", "source", "database", "rules", "health", "rules", "stored", "stopped"]
    assert first.stdout == ""
    before = memory(tmp_path / "new" / "x.db")
    assert len(before.changes) > 10
    second = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "rows so far" in second.stderr
    assert "end of tape: 0 rows, 0 anomalies opened" in second.stderr
    assert memory(tmp_path / "new" / "x.db") == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_everything_stored(how: int, tmp_path: Path) -> None:
    arguments = (
        "run",
        "--source",
        "simulated",
        "--db",
        "x.db",
        "--no-dashboard",
        "--jsonl",
        "c.jsonl",
        "--record",
        "rec",
    )
    with running(*arguments, until="stored", cwd=tmp_path) as (child, _):
        said = ends(child, how)
    assert "everything is stored" in said
    connection = sqlite3.connect(tmp_path / "x.db")
    assert {state for (state,) in connection.execute("SELECT state FROM feed")} == {"stopped"}
    connection.close()
    assert [path.suffix for path in (tmp_path / "rec").iterdir()] == [".parquet"]
    assert not (tmp_path / "x.db-wal").exists()


def test_a_second_instance_and_another_source_are_refused(tape: Path, tmp_path: Path) -> None:
    arguments = ("run", "--source", "simulated", "--db", "x.db", "--no-dashboard")
    with running(*arguments, until="stored", cwd=tmp_path) as (child, said):
        address = next(line.split()[1].rstrip(",") for line in said if line.startswith("health"))
        health = json.load(urllib.request.urlopen(address))  # noqa: S310  # our own
        assert health["status"] == "ok"
        assert health["rows"] > 0
        second = subprocess.run([*TAPEWATCH, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert second.returncode == 2
        complaint = second.stderr.splitlines()[-1]
        assert complaint == (
            f"tapewatch: x.db: another tapewatch (process {child.pid}) is writing to it; "
            "stop that one or choose another database with --db"
        )
        ends(child, signal.SIGINT)
    command = [*TAPEWATCH, "run", "--source", f"tape:{tape}", "--db", "x.db", "--no-dashboard"]
    other = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert other.returncode == 2
    assert "belongs to the source simulated seed 7, not to tape" in other.stderr.splitlines()[-1]


def test_where_data_come_from_is_never_mixed(tape: Path, tmp_path: Path) -> None:
    """Simulated trades are called so, wherever they are kept, and what was recorded of them says it, too."""
    simulated = ("run", "--source", "simulated", "--db", "x.db", "--no-dashboard")
    with running(*simulated, "--jsonl", "c.jsonl", "--record", "r", until="stored", cwd=tmp_path) as (child, _):
        ends(child, signal.SIGINT)
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        for table in ("feed", "bars", "quarantine", "anomalies", "changes"):
            venues = {venue for (venue,) in database.execute(f"SELECT DISTINCT venue FROM {table}")}  # noqa: S608  # a test's own words
            assert venues <= {"simulated"}
            assert venues or table not in ("feed", "bars")
    for other in (("simulated", "--set", "exchange.seed=8"), (f"tape:{tape}",), ("coinbase", *NOWHERE)):
        again = ("run", "--db", "x.db", "--no-dashboard", "--source", *other)
        refused = subprocess.run([*TAPEWATCH, *again], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert refused.returncode == 2
        assert "x.db: belongs to the source simulated seed 7, not to " in refused.stderr.splitlines()[-1]
    replay = ("run", "--source", "tape:r", "--speed", "0", "--db", "replay.db", "--no-dashboard")
    subprocess.run([*TAPEWATCH, *replay], capture_output=True, cwd=tmp_path, check=True)
    with closing(sqlite3.connect(tmp_path / "replay.db")) as database:
        assert {venue for (venue,) in database.execute("SELECT venue FROM feed")} == {"simulated"}
    another = ("run", "--source", f"tape:{tape}", "--db", "replay.db", "--no-dashboard")
    refused = subprocess.run([*TAPEWATCH, *another], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert refused.returncode == 2
    assert "replay.db: belongs to the source tape " in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize("how", ["--db", "--record", "--jsonl"])
def test_a_place_that_cannot_be_written_is_told_before_the_rules_are_compiled(how: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = {"--db": "x.db", "--record": "rec", "--jsonl": "x.jsonl"} | {how: "file/within"}
    flags = [part for place in places.items() for part in place]
    command = [*TAPEWATCH, "run", "--source", "simulated", "--no-dashboard", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2, done.stderr
    assert "file" in done.stderr.splitlines()[-1]
    assert "rules" not in [line.split()[0] for line in done.stderr.splitlines()]


def test_a_tape_that_was_changed_is_not_resumed(tape: Path, tmp_path: Path) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [*TAPEWATCH, "run", "--source", f"tape:{tape}", "--speed", "0", "--no-dashboard", *more]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert run("--db", "x.db").returncode == 0
    shutil.rmtree(tape)
    recorder = Recorder.open(tape)
    recorder.append(seeded(5, 900, 2))
    recorder.close()
    again = run("--db", "x.db")
    assert again.returncode == 2
    assert f"belongs to tape {tape} as it was; its files, their format" in again.stderr.splitlines()[-1]
    assert run("--db", "y.db").returncode == 0
    named = run("--db", "y.db", "--set", "run.tape_format=tape")
    assert (named.returncode, "as it was" in named.stderr) == (2, True)


def test_the_demo_is_fresh_and_says_where_to_look(tmp_path: Path) -> None:
    for keep in ([], ["--keep"], []):
        with running("demo", "--seed", "5", *keep, until="dashboard  http", cwd=tmp_path) as (child, said):
            address = said[-1].split()[1]
            with urllib.request.urlopen(f"{address}/_stcore/health") as answer:  # noqa: S310
                assert answer.status == 200
            ends(child, signal.SIGINT)
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(address)  # noqa: S310  # the dashboard has ended with it
        database = next(line for line in said if line.startswith("database"))
        assert ("new" in database) == (not keep)
    assert (tmp_path / "data" / "demo.labels.jsonl").exists()


def test_the_dashboard_ends_with_a_runtime_that_is_killed(tmp_path: Path) -> None:
    with running("demo", until="dashboard  http", cwd=tmp_path) as (child, said):
        address = said[-1].split()[1]
        child.send_signal(signal.SIGKILL)
        child.communicate()  # it has our stderr, too: this returns when the dashboard has ended
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address)  # noqa: S310


def test_help_names_every_flag(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for command, flags in {
        "run": "--source --speed --db --port --symbols --record --jsonl --no-dashboard --config --set",
        "demo": "--seed --port --keep --db --config --set",
    }.items():
        monkeypatch.setattr(sys, "argv", ["tapewatch", command, "--help"])
        monkeypatch.setitem(os.environ, "COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        text = capsys.readouterr().out
        assert all(flag in text for flag in flags.split())


def test_with_channels_it_tells_people_and_says_that_it_is_a_replay(tape: Path, tmp_path: Path) -> None:
    with receivers.web() as hook:
        (tmp_path / "tapewatch.toml").write_text(
            f"""
            [[alerts.channels]]
            name = "desk"
            url = "json://{hook.host}"
            severity = "low"
            """
        )
        arguments = ("run", "--source", f"tape:{tape}", "--speed", "60", "--db", "x.db", "--no-dashboard")
        with running(*arguments, until="channel", cwd=tmp_path) as (child, said):
            assert said[-1].split() == [
                "channel",
                "desk",
                "(JSON):",
                *["Low", "severity", "and", "above,", "all", "rules"],
            ]
            (request,) = hook.wait_for(1)[:1]
            ends(child, signal.SIGINT)
    assert request.json["title"].startswith("[Replay] ")
    assert re.match(r"Replay of \d{4}-\d\d-\d\d: nothing of this happens now\.\n", request.json["message"])
    assert request.json["message"].count("Replay") == 1
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        assert database.execute("SELECT count(*) FROM alerts WHERE verdict IN ('sent', 'grouped')").fetchone()[0] >= 1


def test_alerting_can_be_left_out(tape: Path, tmp_path: Path) -> None:
    (tmp_path / "tapewatch.toml").write_text('[[alerts.channels]]\nname = "desk"\nurl_env = "NOT_SET"\n')
    arguments = ("run", "--source", f"tape:{tape}", "--speed", "0", "--db", "x.db", "--no-dashboard")
    command = [*TAPEWATCH, *map(str, arguments)]
    told, silent = (
        subprocess.run(each, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        for each in (command, [*command, "--no-alerts"])
    )
    assert (told.returncode, silent.returncode) == (2, 0), silent.stderr
    assert "url_env: NOT_SET is not set" in told.stderr


@pytest.mark.parametrize(
    ("flags", "set_", "spelled"),
    [
        (
            {"source": "tape:a day.csv", "speed": 60.0, "db": None},
            None,
            "tapewatch run --source 'tape:a day.csv' --speed 60.0",
        ),
        ({"db": "postgresql://me:secret@host/name"}, None, "tapewatch run --db postgresql://me@host/name"),
        (
            {"config": Path("my.toml")},
            ["rules.pct_spike.window_s=5", "alerts.channels=[{url='tgram://TOKEN/1'}]"],
            "tapewatch run --config my.toml --set rules.pct_spike.window_s=5",
        ),
    ],
)
def test_a_command_is_spelled_again_without_what_is_secret(flags, set_, spelled):
    assert typed("run", flags, set_) == spelled
