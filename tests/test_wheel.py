"""The wheel, installed into an empty environment, runs: version, a short backtest, the dashboard's files."""

import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEADER = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, without the development tools, into an environment of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    constraints = str(ROOT / "constraints.txt")
    run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
        "-c",
        constraints,
        wheel,
    )
    return folder / "env" / "bin"


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_version(installed: Path) -> None:
    assert run(installed / "tapewatch", "version").startswith("tapewatch ")


@pytest.mark.slow
def test_a_short_backtest(installed: Path, tmp_path: Path) -> None:
    trades = [(second, 100_000 + (40 if second == 30 else 0)) for second in range(60)]
    rows = [f"coinbase,BTC-USD,{s}000000,{s}000100,{s + 1},buy,{price},0.5\n" for s, price in trades]
    (tmp_path / "day.csv").write_text(HEADER + "".join(rows))
    run(installed / "tapewatch", "backtest", "day.csv", "--out", "anomalies.jsonl", cwd=tmp_path)
    found = (tmp_path / "anomalies.jsonl").read_text().splitlines()
    assert [('"rule":"abs_jump"' in line, '"direction":"up"' in line) for line in found] == [
        (True, True),
        (True, False),
    ]


@pytest.mark.slow
def test_the_dashboards_files_are_inside(installed: Path) -> None:
    script = (
        "import importlib.resources as r; root = r.files('tapewatch'); "
        "print(*[(root / n).is_file() for n in ('pyproject.toml', 'py.typed', 'view/frontend/chart.js', "
        "'view/frontend/vendor/lightweight-charts.standalone.production.mjs', "
        "'view/frontend/vendor/lightweight-charts.LICENSE')])"
    )
    assert run(installed / "python", "-c", script).split() == ["True"] * 5
