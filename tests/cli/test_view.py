import re
import subprocess
import sys
from typing import NamedTuple

import pytest

from support.screens import market
from tapewatch.cli import main

BOOT = "import sys; from tapewatch.cli import main; sys.argv[0] = 'tapewatch'; main()"


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def top(monkeypatch, capsys):
    """Run `tapewatch top` in this process; its output is no terminal."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["tapewatch", "top", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("market") / "x.db"
    market(path).close()
    return path


def test_a_pipe_gets_one_plain_snapshot(db):
    command = [sys.executable, "-c", BOOT, "top", "--db", str(db)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={"PATH": ""})
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "Stale" in done.stdout  # the wall clock has gone on since it was stored
    assert re.search(r"BTC +114,210.00", done.stdout)
    assert re.search(r"◆ high +▀+·* +4", done.stdout)
    assert re.search(r"Dollar jump +▀+·* +1", done.stdout)
    assert "◆ high     21:28:08  BTC-USD  ↑ Fast move" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 144


def test_flags_narrow_the_snapshot(top, db):
    done = top("--once", "--db", db, "--severity", "medium", "--symbol", "sol-usd", "--last", "24h", "--rows", 1)
    assert done.returncode == 0, done.stderr
    assert "Latest 1 of SOL-USD · medium · both ways · all types · 24 h · 1" in done.stdout
    rows = [line for line in done.stdout.splitlines() if "Vol. breakout" in line and "SOL-USD" in line]
    assert len(rows) == 1


def test_the_width_of_a_pipe_can_be_told(top, db, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = top("--db", db)
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--severity", "hgh"), "--severity expects high, medium or low, found 'hgh'; did you mean high?"),
        (("--last", "1 fortnight"), "--last expects a span such as 5m, 1h, 24h or 7d, or all, found '1 fortnight'"),
        (("--hz", "9"), "top.hz in flag: expected `float` <= 4.0, found 9.0"),
        (("--symbol", "XYZ-USD"), "--symbol expects one of BTC-USD, ETH-USD, SOL-USD, found 'XYZ-USD'"),
        (("--rows", "0"), "Invalid value for '--rows'"),
        (("--colour",), "No such option"),
    ],
)
def test_a_wrong_value_is_one_line_and_exit_code_2(top, db, flags, message):
    done = top("--db", db, *flags)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_no_database_says_what_to_do(top, tmp_path):
    done = top("--db", tmp_path / "none.db")
    assert done.returncode == 0
    assert "There is no database" in done.stdout
    assert "tapewatch demo" in done.stdout


def test_help_names_every_flag(top):
    done = top("--help")
    assert done.returncode == 0
    for flag in (
        "--db",
        "--symbol",
        "--severity",
        "--type",
        "--direction",
        "--last",
        "--hz",
        "--light",
        "--once",
        "--rows",
    ):
        assert flag in done.stdout
