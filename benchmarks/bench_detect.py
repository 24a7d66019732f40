"""Detection on one core: all rules with anomalies and bars, arrays in memory, beside the same rows only admitted.

Recorded days are measured where they are at hand (a folder given as the first argument, or the one
that the tests use); the noise that fires every rule is made here.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tapewatch.carry import tape
from tapewatch.detect.bars import fold
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RULES, RuleBook
from tapewatch.model import NS, PRICE_SCALE, ROW, Kind, Lane, Rows

RUNS = 9
BATCH = 65_536
RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data"
DAYS = {
    "DOGE-USD, 2025-10-10": "cascade-2025-10-10/coinbase_trades_2025-10-10_DOGE-USD.csv.gz",
    "BTC-USDC, quiet day": "quiet-2025-10-04/BTCUSDC-aggTrades-2025-10-04.zip",
}


def noise(count: int = 400_000) -> Rows:
    """Draw a bitcoin that jumps by tens of dollars all the time: every market rule fires."""
    generator = np.random.default_rng(7)
    rows = np.zeros(count, ROW)
    rows["ts"] = np.cumsum(generator.exponential(0.05 * NS, count)).astype("i8")
    rows["recv_ts"] = rows["ts"] + 20_000_000
    rows["trade_id"] = np.arange(1, count + 1)
    rows["price"] = (100_000 + 100 * generator.standard_t(3, count).clip(-50, 50)).round(2) * 100
    rows["price"] *= PRICE_SCALE // 100
    rows["size"] = 0.01
    rows["kind"] = Kind.TRADE
    return Rows((Lane("coinbase", "BTC-USD"),), rows)


def day(path: Path) -> list[Rows]:
    """Read a recorded day into batches."""
    return list(tape.read([path]))


def batches(rows: Rows) -> list[Rows]:
    """Cut as a reader of tapes does."""
    return [rows.part(start, start + BATCH) for start in range(0, len(rows.data), BATCH)]


def detect(parts: list[Rows], rules: RuleBook | None = None) -> int:
    """Fold everything; changes stay untold."""
    detector = Detector(rules or RuleBook.default())
    for rows in parts:
        fold(rows, detector.update(rows).new)
    return len(detector.open_anomalies())


def tell(parts: list[Rows]) -> int:
    """Fold everything and put every change into words."""
    detector = Detector(RuleBook.default())
    count = 0
    for rows in parts:
        update = detector.update(rows)
        fold(rows, update.new)
        count += len(update.changes)
    return count


def without(*names: str) -> RuleBook:
    """Arm every rule but these."""
    return RuleBook.of({name: {"armed": False} for name in names})


def quick(parts: list[Rows]) -> int:
    """Fold without the rules on minutes and hours."""
    return detect(parts, without("slow_move", "hour_move"))


def admit(parts: list[Rows]) -> int:
    """Fold with every rule off: what remains is the sorting out of rows, and bars."""
    detector = Detector(without(*(rule.name for rule in RULES)))
    for rows in parts:
        fold(rows, detector.update(rows).new)
    return 0


def million_per_s(work: Callable[[list[Rows]], int], parts: list[Rows]) -> str:
    """Median and best of the runs, in million rows a second of processor time."""
    rows = sum(len(part.data) for part in parts)
    work(parts)
    rates = []
    for _ in range(RUNS):
        start = time.process_time()
        work(parts)
        rates.append(rows / (time.process_time() - start) / 1e6)
    return f"{statistics.median(rates):6.1f} (best {max(rates):5.1f})"


def main() -> None:
    """Print one line per tape."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDINGS
    tapes = {name: day(folder / file) for name, file in DAYS.items() if (folder / file).exists()}
    tapes["noise that fires every rule"] = batches(noise())
    print(f"million rows/s on one core, median of {RUNS} runs of processor time")
    headings = ("rules, anomalies, bars", "no slow, no hour move", "and changes in words", "bars, no rules")
    print(f"{'tape':<30}" + "".join(f"{heading:>24}" for heading in headings) + f"{'changes':>9}")
    for name, parts in tapes.items():
        figures = "".join(f"{million_per_s(work, parts):>24}" for work in (detect, quick, tell, admit))
        print(f"{name:<30}{figures}{tell(parts):>9}")


if __name__ == "__main__":
    main()
