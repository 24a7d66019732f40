"""The Dockerfile without an engine: what it pins, what it copies, and its steps with Python, taken here."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from support.images import INSTALL, ROOT, run, runs, stages

IMAGE = re.compile(r"python:3\.\d+\.\d+-slim-bookworm(?: AS \w+)?")


def test_its_images_are_pinned_and_the_same() -> None:
    images = [stage[0].text for stage in stages()]
    assert all(IMAGE.fullmatch(image) for image in images)
    assert len({image.split()[0] for image in images}) == 1


def test_it_ends_as_somebody_who_is_not_root() -> None:
    users = [each.text for each in stages()[-1] if each.name == "USER"]
    assert users[-1:] == ["10001:10001"]


def test_what_it_copies_is_not_ignored() -> None:
    copied = {name for each in stages()[0] if each.name == "COPY" for name in each.text.split()[:-1]}
    copied.add("constraints.txt")
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines


def test_what_is_compiled_has_a_place_that_can_be_written() -> None:
    (given,) = (each.text for each in stages()[-1] if each.name == "ENV" and "NUMBA_CACHE_DIR" in each.text)
    assert "NUMBA_CACHE_DIR=/tmp/" in given  # the image itself is read-only to us, and numba insists


def test_it_installs_java_as_we_ask_for_it() -> None:
    assert "openjdk-17-jre-headless" in runs(-1, "apt-get update")


@pytest.mark.slow
def test_what_it_installs_is_found_within_the_constraints_and_runs(wheel: Path, tmp_path: Path) -> None:
    install = runs(-1, INSTALL)
    extras = re.search(r"\[([a-z,]+)\]", install)
    assert extras is not None
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras[1].split(",")) <= set(known)
    wheels = tmp_path / "wheel"
    wheels.mkdir()
    shutil.copy(wheel, wheels)
    shutil.copy(ROOT / "constraints.txt", wheels)
    python = environment(tmp_path / "env")
    run(install.replace(INSTALL, f"{INSTALL} --force-reinstall --no-deps", 1), wheels, tmp_path, python)
    run(install, wheels, tmp_path, python)
    where = "from importlib.util import find_spec as f; print(f('tapewatch').origin, f('pyspark') and 'Spark')"
    assert run(f'python -c "{where}"', wheels, tmp_path, python).startswith(f"{tmp_path}/env/")
    (entry,) = (each.text for each in stages()[-1] if each.name == "ENTRYPOINT")
    (program,) = json.loads(entry)
    for command in ("produce", "detect", "dashboard", "migrate"):
        assert f" {command} " in run(f"{python.with_name(program)} {command} --help", wheels, tmp_path)


def environment(folder: Path) -> Path:
    """Make an environment without us, in which what we need is there already; its Python."""
    venv.create(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin" / "python"


@pytest.mark.slow
def test_its_fetch_of_jars_does_what_it_says() -> None:
    code = re.match(r'python -c "([^"]+)"', runs(-1, "python -c"))
    assert code is not None
    subprocess.run([sys.executable, "-c", code[1]], check=True)
