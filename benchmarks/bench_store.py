"""Rows a second into the store: SQLite, PostgreSQL row by row, PostgreSQL by COPY; new rows, and rows that are there.

Run: ``PYTHONPATH=tests .venv/bin/python benchmarks/bench_store.py [ROWS…]``. A real PostgreSQL of its own,
synced to the disk; each figure is the median of five commits of one kind of row.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from support.records import anomaly
from tapewatch.model import BAR, NS, Bars, Change, Lane
from tapewatch.runtime.postgres import Server, find
from tapewatch.store import bulk
from tapewatch.store.records import Clock, Commit
from tapewatch.store.sql import Store

ROWS = (10, 100, 1_000, 10_000, 50_000)
REPEATS = 5
LANES = tuple(Lane("coinbase", f"S{number}-USD") for number in range(500))
NOW = Clock(1, 1)
NEVER = 10**9

Make = Callable[[int, int], Commit]
"""Takes a number of rows, and a number from which their names are counted."""


class Way(NamedTuple):
    """A way into a database: its name, its address, and the rows from which on they are copied."""

    name: str
    url: str
    copy_min: int


def bars(count: int, start: int) -> Commit:
    """Make one-second bars of many lanes."""
    data = np.zeros(count, BAR)
    number = start + np.arange(count)
    data["lane"], data["ts"], data["width"] = number % len(LANES), number // len(LANES) * NS, 1
    for name in ("open", "high", "low", "close"):
        data[name] = 37_000 * 10**10
    data["open_id"] = data["close_id"] = number
    data["volume"], data["count"] = 0.5, 1
    return Commit(NOW, bars=[Bars(LANES, data)])


def changes(count: int, start: int) -> Commit:
    """Make changes and their anomalies: two rows each."""
    told = []
    for number in range(start, start + count // 2):
        found = anomaly(number)
        told.append(Change("opened", found.last_ts, number, found))
    return Commit(NOW, changes=told)


def measure(way: Way, make: Make, rows: int) -> tuple[float, float]:
    """Measure rows a second: of new ones, and of those that are there."""
    bulk.COPY_MIN = way.copy_min
    store = Store.open(way.url, fresh=True)
    try:
        store.commit(make(rows, 0))  # tables and statements are made once
        new = [timed(store, make(rows, rows * (repeat + 1))) for repeat in range(REPEATS)]
        there = [timed(store, make(rows, rows * (repeat + 1))) for repeat in range(REPEATS)]
    finally:
        store.close()
    return rows / statistics.median(new), rows / statistics.median(there)


def timed(store: Store, commit: Commit) -> float:
    """Return the seconds that a commit takes."""
    started = time.perf_counter()
    store.commit(commit)
    return time.perf_counter() - started


@contextmanager
def ways() -> Iterator[list[Way]]:
    """Start a server; give the ways."""
    home = Path(tempfile.mkdtemp(prefix="tapewatch-bench-"))
    server = Server(home / "postgresql", find())
    home.chmod(0o755)
    try:
        server.start()
        server.create()
        yield [
            Way("SQLite", str(home / "x.db"), NEVER),
            Way("PostgreSQL, row by row", server.url(), NEVER),
            Way("PostgreSQL, COPY", server.url(), 1),
        ]
    finally:
        server.stop()
        shutil.rmtree(home)


def main() -> None:
    """Measure and print."""
    sizes = [int(argument) for argument in sys.argv[1:]] or ROWS
    with ways() as found:
        for title, make in (("bars", bars), ("changes and their anomalies", changes)):
            table = Table("rows in a commit", title=f"{title}, rows/s: new · there already")
            for way in found:
                table.add_column(way.name, justify="right")
            for rows in sizes:
                cells = [measure(way, make, rows) for way in found]
                table.add_row(f"{rows:,}", *(f"{new:,.0f} · {there:,.0f}" for new, there in cells))
            Console(width=110).print(table)


if __name__ == "__main__":
    main()
