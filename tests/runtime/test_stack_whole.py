"""The whole stack, for real: brought up, asked, stopped, brought up again, killed, and nothing left of it."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from support.missing import lacking
from support.stacks import marked
from tapewatch.errors import TapewatchError
from tapewatch.runtime import postgres
from tapewatch.runtime.jars import java
from tapewatch.runtime.parts import PORTS, Kept

TAPEWATCH = (sys.executable, "-m", "tapewatch", "stack")
PARTS = ["postgresql", "kafka", "exchange", "produce", "detect", "dashboard"]


FIRST_PORT = 29_200
"""Tests of other commands take their default ports while a stack is down."""


@pytest.fixture
def home() -> Iterator[Path]:
    """Make a folder for a stack; skip where its programs are missing, but not in CI."""
    try:
        java()
        postgres.find()
    except TapewatchError as error:
        lacking("Java and PostgreSQL", error)
    made = Path(tempfile.mkdtemp(prefix="tapewatch-stack-"))  # pytest's own folders are closed to other accounts
    made.chmod(0o755)
    places = {name: FIRST_PORT + 50 * number for number, name in enumerate(PORTS)}
    (made / "kept.json").write_bytes(msgspec.json.encode(Kept("simulated", places, "simulated")))
    yield made
    tapewatch("down", "--home", made)
    left = marked(made)
    shutil.rmtree(made)
    assert left == []


def tapewatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TAPEWATCH, *map(str, arguments)], capture_output=True, text=True, check=False)


def up(home: Path, *arguments: str) -> tuple["subprocess.Popen[str]", list[str]]:
    """Bring it up, and return when it says that it is."""
    command = [*TAPEWATCH, "up", "--home", str(home), *arguments]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said = []
    assert child.stderr is not None
    for line in child.stderr:
        said.append(line.strip())
        if line.startswith("logs "):
            return child, said
    logs = "\n".join(f"== {log.name}\n{log.read_text()[-2_000:]}" for log in (home / "logs").glob("*.log"))
    raise AssertionError("\n".join([*said, logs]))


def addresses(said: list[str]) -> dict[str, str]:
    return {line.split()[0]: line.split()[1] for line in said if "http://" in line or "ws://" in line}


@pytest.mark.slow
def test_it_comes_up_goes_down_comes_up_again_and_leaves_nothing(home: Path) -> None:
    first, said = up(home, "--set", "stack.rate=200")
    status = tapewatch("status", "--home", home)
    assert status.returncode == 0, status.stdout
    assert [line.split()[:2] for line in status.stdout.splitlines()] == [[name, "healthy"] for name in PARTS]
    found = addresses(said)
    assert httpx.get(f"{found['dashboard']}/api/health").is_success
    assert "Spark" in httpx.get(found["spark"], follow_redirects=True).text
    (password,) = home.glob("postgresql/password")
    assert password.read_text().strip() not in "".join(said)
    assert tapewatch("up", "--home", home).returncode == 2
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert marked(home) == []
    assert tapewatch("status", "--home", home).returncode == 1

    second, said = up(home, "--set", "stack.rate=200")  # the same topic, database and checkpoint
    assert addresses(said) == found
    assert json.loads((home / "labels.jsonl").read_text().splitlines()[0])
    second.kill()
    second.communicate()
    down = tapewatch("down", "--home", home)
    assert down.returncode == 0
    assert "that a killed one had left" in down.stderr
    assert marked(home) == []
    assert tapewatch("down", "--home", home).stderr == "stack      nothing was running\n"
