"""The Dockerfile as data: its stages, each a list of instructions with lines that go on joined."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BUILD = "python -m build"
INSTALL = "pip install"
WHEELS = "/wheel"
"""Where the image has its wheel."""


class Instruction(NamedTuple):
    """For example ``RUN`` and what to run."""

    name: str
    text: str


def stages() -> list[list[Instruction]]:
    """Read the Dockerfile; each stage begins with its FROM."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[list[Instruction]] = []
    for line in filter(None, joined.splitlines()):
        instruction = Instruction(*line.split(maxsplit=1))
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def runs(stage: int, begin: str) -> str:
    """Find the one RUN of a stage that begins so."""
    (found,) = (each.text for each in stages()[stage] if each.name == "RUN" and each.text.startswith(begin))
    return found


def build_wheel(folder: Path) -> Path:
    """Build the wheel as the Dockerfile does: its files, its command; the environment is this one."""
    source, wheels = folder / "source", folder / "wheel"
    source.mkdir()
    for copied in (each.text.split() for each in stages()[0] if each.name == "COPY"):
        *names, target = copied
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / target)
    run(runs(0, BUILD), wheels, source)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def run(command: str, wheels: Path, folder: Path, python: str | Path = sys.executable) -> str:
    """Run a command of the Dockerfile here: another Python instead of the image's, our folder of wheels."""
    here = re.sub(r"^python ", f"{python} ", re.sub(r"^pip ", "python -m pip ", command))
    here = here.replace(WHEELS, str(wheels))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, f"{here}\n{done.stderr[-2_000:]}"
    return done.stdout
