"""How much longer a whole `tapewatch backtest` takes than a fresh process that imports pyarrow and parses the file.

Run: ``.venv/bin/python benchmarks/bench_backtest.py``. Both are started in turn, with the kernels already compiled; the
file is the DOGE-USD day of 2025-10-10 where the recordings are at hand, else a made-up day of as many trades.
"""

import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

RECORDED = Path(__file__).resolve().parents[2] / "shared/data/cascade-2025-10-10"
NAME = "coinbase_trades_2025-10-10_DOGE-USD.csv.gz"
TRADES = 266_395
RUNS = 7
RATIO_MAX = 5.0
PARSE = "import sys, pyarrow.csv; pyarrow.csv.read_csv(sys.argv[1])"


def made_up(path: Path) -> Path:
    """Write a calm day in the recordings' format."""
    rng = np.random.default_rng(7)
    ts = 1_760_054_400_000_000 + np.sort(rng.integers(0, 86_400_000_000, TRADES))
    price = 0.2 * np.exp(np.cumsum(rng.standard_t(3, TRADES)) * 5e-5)
    with gzip.open(path, "wt", compresslevel=6) as file:
        file.write("exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n")
        file.writelines(
            f"coinbase,DOGE-USD,{at},{at + 45_000},{number},{('sell', 'buy')[number % 2]},{price[number]:.5f},12\n"
            for number, at in enumerate(ts.tolist())
        )
    return path


def run(*command: str | Path) -> tuple[float, float]:
    """Run a process; return its wall time and its processor time, in seconds."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    took, after = time.perf_counter() - started, os.times()
    return took, sum(after[2:4]) - sum(before[2:4])


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "anomalies.jsonl"
        tape = RECORDED / NAME if RECORDED.is_dir() else made_up(Path(folder) / NAME)
        ours = ("-m", "tapewatch", "backtest", tape, "--out", out)
        theirs = ("-c", PARSE, tape)
        run(*ours)  # compiles the kernels where they are not yet
        run(*theirs)
        pairs = [(run(*ours), run(*theirs)) for _ in range(RUNS)]
        found = out.read_bytes().count(b"\n")
    table = Table(title=f"{tape.name}, median of {RUNS} runs in turn; {found:,} anomalies")
    for heading in ("", "wall s", "processor s"):
        table.add_column(heading, justify="left" if not heading else "right")
    medians = [[statistics.median(pair[side][unit] for pair in pairs) for unit in (0, 1)] for side in (0, 1)]
    table.add_row("tapewatch backtest", *(f"{value:.2f}" for value in medians[0]))
    table.add_row("import pyarrow, parse", *(f"{value:.2f}" for value in medians[1]))
    ratios = [statistics.median(pair[0][unit] / pair[1][unit] for pair in pairs) for unit in (0, 1)]
    table.add_row(f"ratio (at most {RATIO_MAX:.0f})", *(f"{ratio:.2f}" for ratio in ratios))
    Console().print(table)


if __name__ == "__main__":
    main()
