import re
import subprocess
import sys
from functools import partial
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
def run(monkeypatch, capsys):
    """Run a command in this process; its output is no terminal."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["tapewatch", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def top(run):
    return partial(run, "top")


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
    assert re.search(r"◆ high +≥2× 4  ≥4× 4  ≥8× 3 +4", done.stdout)  # 4.4×, 9.6×, 17× and 20×
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
        (("--hz", "9"), "top.hz in flag: expected a number <= 4.0, found 9.0"),
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


@pytest.mark.parametrize("command", [("top",), ("top", "--once"), ("dashboard",)])
def test_no_database_is_one_line_that_names_those_near_by(run, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    done = run(*command)
    assert done == Done(
        2,
        "",
        "tapewatch: --db expects a database, found none at data/tapewatch.db; tapewatch demo makes one to look at\n",
    )
    market(tmp_path / "data" / "demo.db").close()
    (tmp_path / "data" / "notes.db").write_text("not ours", encoding="utf-8")
    done = run(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("found none at data/tapewatch.db; try --db data/demo.db\n")


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
