"""The commands as a person meets them: help, versions, wrong flags, settings, rules."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tapewatch.detect.rules import RULES

COMMANDS = ("demo", "run", "exchange", "backtest", "dashboard", "top", "rules", "config", "version")


def tapewatch(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tapewatch", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={"PATH": "", "COLUMNS": "100", "TERM": "dumb", **environ},
    )


def test_help_names_every_command() -> None:
    shown = tapewatch("--help").stdout
    for command in COMMANDS:
        assert f" {command} " in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    told = tapewatch(command, "--help")
    assert told.returncode == 0
    assert f"tapewatch {command}" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--nonsense"], "No such option: --nonsense"),
        (["run", "--speed", "fast"], "'--speed'"),
        (["run", "--source", "kraken"], "kraken"),
        (["backtest"], "PATH"),
        (["rules", "show", "pct_spik"], "did you mean pct_spike?"),
        (["nonsense"], "No such command 'nonsense'"),
        (["config", "check", "--set", "capture.symbols=3"], "capture.symbols in flag"),
        (
            ["config", "check", "--set", 'alerts.channels=[{name="phone", url="slak://hush"}]'],
            "alerts.channels in flag: channel \"phone\": url: unknown scheme 'slak'; did you mean slack?",
        ),
        (["exchange", "--host", "203.0.113.1"], "exchange.host: expected an address of this machine"),
        (["dashboard", "--host", "203.0.113.1"], "dashboard.host: expected an address of this machine"),
        (["top", "--db", "nowhere.db", "--once", "--hz", "100"], "hz"),
    ],
)
def test_a_wrong_flag_or_value_is_one_line_and_exit_code_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    told = tapewatch(*arguments, cwd=tmp_path)
    assert told.returncode == 2, told.stderr
    (line,) = told.stderr.strip().splitlines()
    assert line.startswith("tapewatch: ")
    assert words in line


def test_config_show_is_toml_and_names_origins(tmp_path: Path) -> None:
    (tmp_path / "tapewatch.toml").write_text('[capture]\nsymbols = ["ETH-USD"]\n')
    plain = tapewatch("config", "show", cwd=tmp_path)
    assert tomllib.loads(plain.stdout)["capture"]["symbols"] == ["ETH-USD"]
    told = tapewatch("config", "show", "--origin", cwd=tmp_path, TAPEWATCH_RUN__SPEED="2").stdout
    assert 'symbols = ["ETH-USD"]  # tapewatch.toml' in told
    assert "speed = 2.0  # TAPEWATCH_RUN__SPEED" in told
    assert "silence_s = 10.0  # default" in told


CHANNELS = """
[[alerts.channels]]
name = "phone"
url = "tgram://123456:hush/99?format=markdown"
rules = ["pct_*"]
[[alerts.channels]]
name = "desk"
url_env = "DESK_HOOK"
"""


def test_config_show_hides_where_alerts_go(tmp_path: Path) -> None:
    (tmp_path / "tapewatch.toml").write_text(CHANNELS)
    told = tapewatch("config", "show", cwd=tmp_path).stdout
    phone, desk = tomllib.loads(told)["alerts"]["channels"]
    assert (phone["url"], phone["rules"]) == ("***", ["pct_*"])
    assert desk == {"name": "desk", "url_env": "DESK_HOOK", "severity": "high"} | {
        key: [] for key in ("rules", "symbols", "venues")
    } | {"ends": False}
    assert "hush" not in told


def test_config_check_looks_for_addresses(tmp_path: Path) -> None:
    (tmp_path / "tapewatch.toml").write_text(CHANNELS)
    told = tapewatch("config", "check", cwd=tmp_path)
    assert told.returncode == 2
    assert (
        told.stderr == 'tapewatch: alerts.channels in tapewatch.toml: channel "desk": url_env: DESK_HOOK is not set\n'
    )
    assert tapewatch("config", "check", cwd=tmp_path, DESK_HOOK="json://localhost").returncode == 0
    told = tapewatch("config", "check", cwd=tmp_path, DESK_HOOK="mailto://hush:hush@h/hush")
    assert told.returncode == 2
    assert "E-Mail does not understand all of it" in told.stderr
    assert "hush" not in told.stderr + told.stdout


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_rules_show_says_everything(rule: str) -> None:
    told = tapewatch("rules", "show", rule)
    assert told.returncode == 0
    for part in ("Limits now", "Example", "When not to use it"):
        assert part in told.stdout


def test_rules_list_follows_the_settings() -> None:
    told = tapewatch("rules", "list", "--symbol", "DOGE-USD", "--set", 'rules.abs_jump."DOGE-*".limit_quote=0.01')
    lines = {line.split()[0]: line for line in told.stdout.splitlines() if line}
    assert "0.01 in 10 s" in lines["abs_jump"]
    for rule in RULES:
        assert rule.words in lines[rule.name]


def test_nothing_slow_is_read_for_the_help() -> None:
    slow = {"importlib.metadata", "numpy", "numba", "streamlit", "sqlalchemy", "textual", "httpx", "websockets"}
    code = "import sys, tapewatch.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert slow.isdisjoint(loaded)


def test_completion_is_offered() -> None:
    assert "complete" in tapewatch("--show-completion", "bash", SHELL="/bin/bash").stdout.lower()
