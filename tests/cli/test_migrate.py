"""`tapewatch migrate`, and addresses of databases on the command line."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from support.databases import Database, PostgresqlDatabase
from tapewatch.cli import main
from tapewatch.store.sql import Store

WORDS = (
    "Make the tables.",
    "Add what alerting keeps; what is in the log by now is told to nobody.",
    "Let messages be asked for again, and rare alerts be found fast; what waited to be told ends.",
    "Keep sizes, and what each lane takes in.",
)


def lines_of(state: str) -> list[str]:
    return [f"    {number}  {state:<31}  {words}" for number, words in enumerate(WORDS, start=1)]


def said(*arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    monkeypatch.setattr(sys, "argv", ["tapewatch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr()
    return int(ended.value.code or 0), (out.out + out.err).splitlines()


def test_it_looks_and_applies_and_tells(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*flags: str) -> tuple[int, list[str]]:
        return said("migrate", *flags, monkeypatch=monkeypatch, capsys=capsys)

    for _ in range(2):  # looking makes nothing
        assert run("--db", database.url, "--check") == (
            1,
            [f"{database.name}: no tables yet, this program's is 4", *lines_of("pending")],
        )
    code, lines = run("--store", database.url)
    (applied,) = database.rows("SELECT applied_at FROM migrations")[-1]
    when = f"applied {str(applied)[:19]} UTC"
    expected = [f"{database.name}: schema 4, this program's is 4", *lines_of(when)]
    assert (code, lines) == (0, expected)
    assert run("--db", database.url, "--check") == (0, expected)
    database.execute("INSERT INTO migrations (number) VALUES (99)")
    for flag in ("--check", "--apply"):
        code, lines = run("--db", database.url, flag)
        assert (code, len(lines)) == (2, 1)
        assert "a newer tapewatch wrote it (schema 99, this one knows 4); update tapewatch" in lines[0]


def test_every_command_that_takes_a_database_takes_either_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("run", "demo", "top", "dashboard", "migrate"):
        monkeypatch.setenv("COLUMNS", "200")
        code, lines = said(command, "--help", monkeypatch=monkeypatch, capsys=capsys)
        assert code == 0
        (line,) = (line for line in lines if "--db" in line and "FILE|URL" in line)
        assert "--store" in line


class TestPostgresql:
    @pytest.mark.parametrize("command", ["run", "demo", "top", "dashboard", "migrate"])
    def test_a_wrong_password_is_one_line_without_it_and_exit_code_2(
        self,
        command: str,
        postgresql_database: PostgresqlDatabase,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        url = make_url(postgresql_database.url).set(password="wr0ng").render_as_string(hide_password=False)  # noqa: S106
        flags = ("--source", "simulated", "--no-dashboard") if command == "run" else ()
        code, lines = said(command, "--db", url, *flags, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 2
        assert lines[-1].endswith("the server does not let this user in; check user and password in --db")
        assert "wr0ng" not in "\n".join(lines)

    def test_the_settings_show_no_password(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("TAPEWATCH_RUN__DB", "postgresql://me:s3cr3t@host/name")
        code, lines = said("config", "show", monkeypatch=monkeypatch, capsys=capsys)
        assert (code, 'db = "postgresql://me:***@host/name"' in lines) == (0, True)
        assert "s3cr3t" not in "\n".join(lines)

    def test_a_database_without_tables_is_none_yet(
        self,
        postgresql_database: PostgresqlDatabase,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        name, flags = postgresql_database.name, ("top", "--once", "--db", postgresql_database.url)
        code, lines = said(*flags, monkeypatch=monkeypatch, capsys=capsys)
        expected = f"tapewatch: --db expects a database, found none at {name}; tapewatch demo makes one to look at"
        assert (code, lines) == (2, [expected])
        Store.open(postgresql_database.url).close()
        code, lines = said(*flags, monkeypatch=monkeypatch, capsys=capsys)
        assert (code, f"The database {name} is there, but nothing was captured into it yet." in lines) == (0, True)

    def test_a_tape_runs_to_its_end_and_has_nothing_left_to_do(
        self, postgresql_database: PostgresqlDatabase, tmp_path: Path
    ) -> None:
        rows = [
            f"coinbase,BTC-USD,{s}000000,{s}000100,{s + 1},buy,{100_000 + 400 * (s == 30)},0.5\n" for s in range(60)
        ]
        (tmp_path / "day.csv").write_text(
            "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n" + "".join(rows)
        )
        flags = ("--source", "tape:day.csv", "--speed", "0", "--no-dashboard", "--db", postgresql_database.url)
        command = [sys.executable, "-m", "tapewatch", "run", *flags]
        first = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
        assert f"database   {postgresql_database.name}, new" in first.stderr.splitlines()
        query = "SELECT rule, direction FROM anomalies ORDER BY opened_ts, rule"
        assert ("abs_jump", "up") in postgresql_database.rows(query)
        before = postgresql_database.rows("SELECT * FROM changes ORDER BY seq")
        second = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
        assert "end of tape: 0 rows, 0 anomalies opened" in second.stderr
        assert postgresql_database.rows("SELECT * FROM changes ORDER BY seq") == before
