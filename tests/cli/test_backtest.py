"""The command: what it prints where, what it writes, and how it refuses."""

import gc
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from support.tapes import Print, csv
from tapewatch.carry.formats import FORMATS
from tapewatch.cli import main

CALM = [Print(number, "100", ts=number * 10**6, recv=number * 10**6) for number in range(1, 4)]
JUMP = [*CALM, Print(7, "101", ts=4 * 10**6, recv=4 * 10**6)]


@pytest.fixture
def command(monkeypatch, capsysbinary):
    """Run the command in this process: its exit code, what it printed, and what it complained."""

    def run(*arguments: object, **environ: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tapewatch", "backtest", *map(str, arguments)])
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsysbinary.readouterr()
        return ended.value.code or 0, out.decode(), err.decode()

    return run


@pytest.fixture
def day(tmp_path):
    return csv(tmp_path / "day.csv.gz", JUMP)


def test_anomalies_go_to_the_file_and_the_summary_to_the_output(command, day, tmp_path):
    code, out, err = command(day, "--out", tmp_path / "found.jsonl")
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [(each["rule"], each["explain"]) for each in found] == [
        ("tape_gap", "3 trades missing, ids 4 to 6"),
        ("pct_spike", "BTC-USD rose 1.00 % in 1.0 s, from 100.00 to 101.00 (limit 0.25 % in 10 s)"),
    ]
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "BTC-USD 4 3 1 0 0 0 0 0 0 1 0 0" in lines  # trades, ids missing, and a number for each rule
    assert "2025-10-10 2 1 0 0 0 0 0 0 1 0 0" in lines
    assert "2025-10-10 00:00:04 BTC-USD Fast move +1.00 % 4.0×" in lines


def test_anomalies_go_to_the_output_and_the_summary_aside(command, day, tmp_path):
    command(day, "--out", tmp_path / "found.jsonl")
    code, out, err = command(day, "--out", "-")
    assert (code, out) == (0, (tmp_path / "found.jsonl").read_text())
    assert "Fast" in err


def test_without_a_file_there_is_the_summary_alone(command, day, tmp_path):
    code, out, err = command(day)
    assert (code, err) == (0, "")
    assert "Fast move" in out
    assert list(tmp_path.iterdir()) == [day]


def test_a_calm_tape_has_no_anomalies_and_a_rule_that_is_not_armed_is_shown_so(command, tmp_path):
    calm = csv(tmp_path / "calm.csv", [each._replace(symbol="ETH-USD") for each in CALM])
    code, out, _ = command(calm, "--out", tmp_path / "found.jsonl")
    assert (code, (tmp_path / "found.jsonl").read_text()) == (0, "")
    assert "ETH-USD 3 0 0 - 0 0 0 0" in " ".join(out.split())
    assert "Greatest" not in out


def test_trades_told_again_are_named(command, tmp_path):
    _, out, _ = command(csv(tmp_path / "day.csv", [*CALM, *CALM]))
    assert "3 trades were told again and changed nothing" in out


def test_several_venues_are_told_apart(command, tmp_path):
    prints = [CALM[0], CALM[0]._replace(venue="binance", symbol="BTC-USDT")]
    _, out, _ = command(csv(tmp_path / "day.csv", prints))
    assert "binance:BTC-USDT" in out
    assert "coinbase:BTC-USD" in out


def test_limits_come_from_file_environment_and_flag(command, day, tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text("[rules.pct_spike]\nthreshold_pct = 1.5\n")

    def rules(*arguments, **environ):
        _, out, _ = command(day, "--out", "-", *arguments, **environ)
        return [json.loads(line)["rule"] for line in out.splitlines()]

    assert rules() == ["tape_gap", "pct_spike"]
    assert rules("--config", config) == ["tape_gap"]
    assert rules("--config", config, "--set", "rules.pct_spike.threshold_pct=1") == ["tape_gap", "pct_spike"]
    assert rules("--set", "rules.tape_gap.armed=false") == ["pct_spike"]
    assert rules(TAPEWATCH_RULES__PCT_SPIKE__ARMED="false") == ["tape_gap"]


def test_as_traded_the_feed_was_perfect(command, day):
    _, out, _ = command(day, "--as-traded", "--out", "-")
    assert [json.loads(line)["rule"] for line in out.splitlines()] == ["pct_spike"]


def test_the_flag_names_the_lane(command, day):
    _, out, _ = command(day, "--symbol", "XBT-EUR", "--out", "-")
    assert {json.loads(line)["symbol"] for line in out.splitlines()} == {"XBT-EUR"}


def test_refused_rows_and_files_passed_over_are_named(command, tmp_path):
    csv(tmp_path / "day.csv", [Print(1), *["x"] * 7])
    (tmp_path / "notes.txt").write_text("nothing\n")
    code, _, err = command(tmp_path)
    assert code == 0
    assert err.splitlines() == [
        f"tapewatch: passed over {tmp_path}/notes.txt: no recorded tape",
        *(f"tapewatch: set aside {tmp_path}/day.csv, line {n}: expected 8 columns, found 1" for n in range(3, 8)),
        "tapewatch: set aside 7 rows in all",
    ]


WRONG = {
    "no path": ((), 2, "Missing argument 'PATH...'."),
    "no such file": (("none.csv",), 2, "none.csv: expected a recorded tape, found no such file"),
    "no such flag": (("DAY", "--fast"), 2, "No such option: --fast"),
    "no such format": (("DAY", "--format", "xls"), 2, "--format: expected one of tape, "),
    "no symbol": (("DAY", "--symbol", ""), 2, "--symbol: expected a name like BTC-USD, found ''"),
    "no folder": (("DAY", "--out", "none/x.jsonl"), 2, "--out none/x.jsonl: expected an existing folder"),
    "the tape itself": (("DAY", "--out", "DAY"), 2, "expected another file than the tape that is read"),
    "no such rule": (("DAY", "--set", "rules.pct_spik.armed=false"), 2, "rules.pct_spik: unknown rule; did you mean"),
    "a wrong limit": (
        ("DAY", "--set", "rules.pct_spike.threshold_pct=-1"),
        2,
        "threshold_pct: expected float >= 0.001",
    ),
    "no such setting": (("DAY", "--set", "x"), 2, "--set expects section.key=value, found 'x'"),
    "no configuration": (("DAY", "--config", "none.toml"), 2, "none.toml: cannot be read: No such file"),
    "another format": (("DAY", "--format", "tape"), 2, "expected the format tape, found another"),
    "cut short": (("CUT",), 1, "cut.csv.gz: expected a whole file, found it damaged or cut short"),
    "no tape": (("NOTES",), 2, "notes.txt: expected a recorded tape (tape, aggtrades, "),
}


@pytest.mark.parametrize(("arguments", "exit_code", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line_and_leaves_nothing_behind(
    command, day, tmp_path, monkeypatch, arguments, exit_code, words
):
    cut, notes = tmp_path / "cut.csv.gz", tmp_path / "notes.txt"
    cut.write_bytes(day.read_bytes()[:-9])
    notes.write_text("nothing\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    named = {"DAY": day, "CUT": cut, "NOTES": notes}
    out = () if "--out" in arguments else ("--out", "found.jsonl")
    code, printed, err = command(*(named.get(each, each) for each in arguments), *out)
    assert (code, printed) == (exit_code, "")
    assert err.startswith("tapewatch: ")
    assert words in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_help_names_every_format(command):
    code, out, _ = command("--help")
    assert code == 0
    assert {each.name for each in FORMATS} <= set(out.replace(",", " ").replace(".", " ").split())


def test_garbage_is_looked_for_as_before(command, day):
    before = gc.get_threshold()
    command(day)
    command(day, "--format", "tape")
    assert gc.get_threshold() == before


def test_a_bar_shows_on_a_terminal_only(day):
    leader, follower = pty.openpty()
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "tapewatch", "backtest", day],
            stderr=follower,
            stdout=subprocess.PIPE,
            check=True,
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(follower)
        shown = b""
        with suppress(OSError):  # the terminal's end
            while more := os.read(leader, 1 << 16):
                shown += more
    finally:
        os.close(leader)
    assert b"reading the tape" in shown
    assert b"reading" not in ran.stdout
    assert b"BTC-USD" in ran.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    seconds = [100 * (n // 2) + n % 2 for n in range(800)]
    prints = [Print(n, ("100", "101")[n % 2], ts=at * 10**6, recv=at * 10**6) for n, at in enumerate(seconds)]
    arguments = ["backtest", csv(tmp_path / "day.csv", prints), "--out", "-"]
    with subprocess.Popen(
        [sys.executable, "-m", "tapewatch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.read(10)
        running.stdout.close()  # long before the end: a pipe holds 64 KiB, this is five times as much
        complaint = running.stderr.read()
    assert b"Traceback" not in complaint
    assert b"Exception" not in complaint
    assert b"BTC-USD" in complaint
    assert running.returncode == 0
