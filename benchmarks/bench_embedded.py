"""The embedded runtime under load: frame received to row committed, a burst, rows lost, memory, time to the first row.

Run: ``.venv/bin/python benchmarks/bench_embedded.py [SECONDS]``. The simulated exchange serves from a process of its
own; `tapewatch run` is a third one, as a person starts it, without the dashboard.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

from tapewatch.simulate.products import PRODUCTS

SYMBOLS = ",".join(product.id for product in PRODUCTS[:10])
RATE, BURST = 5_000, 20_000
CALM_RATE, BURST_AFTER_S, BURST_S, LOOK_ON_S = 1_000, 20, 5, 10
STEADY_S = 60.0
LOOK_EVERY_S = 0.02
NS = 1_000_000_000


class Sample(NamedTuple):
    """What the database showed at a moment: its wall clock, ns, and the time of the latest trade of any lane."""

    wall_ns: int
    last_trade_ts: int


@contextmanager
def exchange(*flags: str) -> Iterator[str]:
    """Serve a market from a process of its own; give the feed's address."""
    command = [sys.executable, "-m", "tapewatch", "exchange", "--port", "0", "--symbols", SYMBOLS, *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stdout.close()


class Runtime:
    """`tapewatch run` against an address, watched from outside."""

    def __init__(self, address: str, folder: Path, **environ: str) -> None:
        self.db = folder / "x.db"
        self.rss_mb = 0.0
        self.samples: list[Sample] = []
        self.started = time.perf_counter()
        command = [sys.executable, "-m", "tapewatch", "run", "--no-dashboard", "--db", str(self.db)]
        command += ["--symbols", SYMBOLS, "--set", f"capture.coinbase.ws_url={address}"]
        command += ["--set", "capture.coinbase.rest_url=http://127.0.0.1:9"]  # nobody there: symbols go unchecked
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ})
        self.first_row_s = self._until("stored")

    def watch(self, seconds: float) -> None:
        """Look at the database and at the process for some time."""
        process, connection = psutil.Process(self.process.pid), sqlite3.connect(self.db)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.rss_mb = max(self.rss_mb, process.memory_info().rss / 2**20)
            last = connection.execute("SELECT max(last_trade_ts) FROM feed").fetchone()[0]
            self.samples.append(Sample(time.time_ns(), last or 0))
            time.sleep(LOOK_EVERY_S)
        connection.close()

    def stop(self) -> float:
        """Press Ctrl-C; return how long it took, in seconds."""
        pressed = time.perf_counter()
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()
        return time.perf_counter() - pressed

    def ask(self, query: str) -> list[tuple]:
        """Ask the database."""
        connection = sqlite3.connect(self.db)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def lost(self) -> tuple[int, int]:
        """Count the trades that are stored, and those missing between the first and the last of each lane."""
        ids = "SELECT sum(count), max(close_id) - min(open_id) + 1 FROM bars WHERE width = 60 GROUP BY venue, symbol"
        lanes = self.ask(ids)
        stored = sum(count for count, _ in lanes)
        return stored, sum(span for _, span in lanes) - stored

    def latency_ms(self) -> tuple[float, float]:
        """Give the median and the 99th percentile over the last minute, as the runtime measured them."""
        clock = json.loads(self.ask("SELECT value FROM meta WHERE key = 'clock'")[0][0])
        return clock["latency_p50_ms"], clock["latency_p99_ms"]

    def _until(self, topic: str) -> float:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith(topic):
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return time.perf_counter() - self.started
        raise SystemExit("the runtime did not start")


def steady(seconds: float) -> list[tuple[str, str, str]]:
    """Measure 5,000 trades a second."""
    with tempfile.TemporaryDirectory() as folder, exchange("--rate", str(RATE)) as address:
        runtime = Runtime(address, Path(folder))
        runtime.watch(seconds)
        p50, p99 = runtime.latency_ms()
        stop_s = runtime.stop()
        stored, lost = runtime.lost()
    name = f"{RATE:,} trades/s over 10 symbols for {seconds:.0f} s"
    return [
        (f"{name}: received to committed, median", f"{p50:.0f} ms", ""),
        (f"{name}: received to committed, 99 %", f"{p99:.0f} ms", "100 ms"),
        (f"{name}: rows lost of {stored:,}", f"{lost:,}", "0"),
        (f"{name}: memory at most", f"{runtime.rss_mb:.0f} MB", "300 MB"),
        (f"{name}: Ctrl-C to the end", f"{stop_s:.2f} s", "3 s"),
    ]


def burst() -> list[tuple[str, str, str]]:
    """Measure a burst of 20,000 trades a second for 5 s: when everything of it is committed."""
    every = f"exchange.pace.burst_every_s={BURST_AFTER_S}"
    flags = ("--rate", str(CALM_RATE), "--burst", str(BURST), "--set", every)
    with tempfile.TemporaryDirectory() as folder, exchange(*flags) as address:
        runtime = Runtime(address, Path(folder))
        runtime.watch(BURST_AFTER_S + BURST_S + LOOK_ON_S)
        _, p99 = runtime.latency_ms()
        runtime.stop()
        stored, lost = runtime.lost()
        seconds = runtime.ask("SELECT ts, sum(count) FROM bars WHERE width = 1 GROUP BY ts")
    busy = [(ts, count) for ts, count in seconds if count > BURST // 2]
    end_ns = max(ts for ts, _ in busy) + NS
    done = [sample.wall_ns for sample in runtime.samples if sample.last_trade_ts >= end_ns]
    after = f"{max(0, done[0] - end_ns) / NS:.2f} s" if done else f"more than {LOOK_ON_S} s"
    name = f"burst of {sum(count for _, count in busy):,} trades in {len(busy)} s"
    return [
        (f"{name}: worked off after its end", after, "5 s"),
        (f"{name}: received to committed, 99 %", f"{p99:.0f} ms", ""),
        (f"{name}: rows lost of {stored:,}", f"{lost:,}", "0"),
        (f"{name}: memory at most", f"{runtime.rss_mb:.0f} MB", "300 MB"),
    ]


def first_row() -> list[tuple[str, str, str]]:
    """Measure the start, with compiled kernels at hand and without."""
    figures = []
    with exchange() as address:
        for name, bound in (("cold", "30 s"), ("warm", "5 s")):
            with tempfile.TemporaryDirectory() as folder:
                cache = {"NUMBA_CACHE_DIR": folder} if name == "cold" else {}
                runtime = Runtime(address, Path(folder), **cache)
                runtime.stop()
            figures.append((f"start to first row stored, {name} kernel cache", f"{runtime.first_row_s:.1f} s", bound))
    return figures


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else STEADY_S
    table = Table("Embedded runtime", "Measured", "At most", title=f"{os.cpu_count()} cores")
    for figure in (*first_row(), *steady(seconds), *burst()):
        table.add_row(*figure)
    Console().print(table)


if __name__ == "__main__":
    main()
