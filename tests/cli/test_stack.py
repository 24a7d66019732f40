"""`tapewatch stack` as a person meets it: what is refused, and what the exit codes say."""

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from tapewatch.cli import main
from tapewatch.runtime import jars


def stack(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["tapewatch", "stack", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", "kraken"], "stack.source in flag: expected simulated, coinbase or tape:PATH, found 'kraken'"),
        (["--source", "tape:"], "expected a recorded tape, found no such file or folder: ''"),
        (["--source", "tape:no.csv"], "expected a recorded tape, found no such file or folder: 'no.csv'"),
        (["--set", "stack.rate=-1"], "stack.rate in flag: expected"),
        (["--set", "stack.hme=x"], "stack.hme in flag: unknown key, did you mean home?"),
        (["--config", "no.toml"], "no.toml: cannot be read"),
        (["--home", "file/x"], "stack.home"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_value_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr("tapewatch.runtime.jars.java", lambda: "java")
    assert stack(monkeypatch, "up", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tapewatch: ")
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("version", [None, "11.0.2"])
def test_without_java_it_says_what_to_install(
    version: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    jars._java_version.cache_clear()
    if version is not None:
        (tmp_path / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        (tmp_path / "java").chmod(0o755)
    assert stack(monkeypatch, "up", "--home", tmp_path / "home") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tapewatch: Java 17 or newer is needed, found ")
    assert line.endswith("apt install openjdk-17-jre-headless")
    assert not (tmp_path / "home").exists()


def test_where_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert stack(monkeypatch, "status", "--home", tmp_path / "home") == 1
    assert stack(monkeypatch, "down", "--home", tmp_path / "home") == 0
    assert capsys.readouterr().err == "stack      not running\nstack      nothing was running\n"
    assert not (tmp_path / "home").exists()


def test_a_part_that_does_not_run_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mine = psutil.Process()
    part = {"name": "dashboard", "probe": "http://127.0.0.1:1/", "address": "http://127.0.0.1:1", "done": False}
    done = {"name": "produce", "probe": "http://127.0.0.1:1/", "address": "x", "done": True}
    noted = {"pid": os.getpid(), "started": mine.create_time(), "parts": [part, done], "up": True}
    (tmp_path / "stack.json").write_text(json.dumps(noted))
    assert stack(monkeypatch, "status", "--home", tmp_path) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["dashboard", "not", "running", "http://127.0.0.1:1"], ["produce", "healthy", "done"]]
    (tmp_path / "stack.json").write_text(json.dumps(noted | {"parts": [done]}))
    assert stack(monkeypatch, "status", "--home", tmp_path) == 0
    (tmp_path / "stack.json").write_text(json.dumps(noted | {"parts": [done], "up": False}))
    assert stack(monkeypatch, "status", "--home", tmp_path) == 1
    assert capsys.readouterr().err == "stack      starting\n"
