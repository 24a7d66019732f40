"""5,000 trades a second through the whole pipeline: received to anomaly committed, and whether lag grows.

Run: ``make bench-scale``, or ``PYTHONPATH=tests:benchmarks .venv/bin/python
benchmarks/scale/bench_steady.py [SECONDS [RATE [SHARDS [PARTITIONS]]]]``.
Exchange, producer and detector are
processes of their own, as a person starts them; only a limit of pct_spike is lowered (0.01 %), so that
there are anomalies enough to measure. A reader asks PostgreSQL every 20 ms for new changes; how long after
the receive time of the trade that opened an anomaly its change can be read is the latency, the asking included.
"""

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import NamedTuple

import httpx
import numpy as np
import psycopg
from place import place
from rich.console import Console
from rich.table import Table

from bench_embedded import SYMBOLS, exchange
from support.databases import PostgresqlDatabase, fresh
from support.pipeline import detect, produce
from tapewatch.model import NS

SECONDS, RATE, SHARDS, PARTITIONS = 60.0, 5_000, 2, 4
ASK_EVERY_S = 0.02
WARM_S, WARM_BATCHES = 400.0, 200
"""Until then half of the JVM's time goes into compiling itself."""
BOUND_S = 1.5
LOW = ("--set", "rules.pct_spike.threshold_pct=0.01", "--set", "rules.pct_spike.quiet_s=1")


class Look(NamedTuple):
    """What /healthz of the detector said at a moment."""

    at_s: float
    rows: int
    lag: int


class Watch:
    """Note when each change can be read, until stopped."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        self.waited_s: list[float] = []
        self.counting = False
        self._connection = database.connect(autocommit=True)
        self._seq = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while not self._stop.wait(ASK_EVERY_S):
            try:
                found = self._connection.execute(
                    "SELECT seq, record FROM changes WHERE seq > %s AND change = 'opened' ORDER BY seq", [self._seq]
                ).fetchall()
            except psycopg.errors.UndefinedTable:
                continue
            now_ns = time.time_ns()
            for seq, record in found:
                self._seq = seq
                if self.counting:
                    self.waited_s.append((now_ns - json.loads(record)["opened_ts"]) / NS)


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    rate, shards, partitions = (*map(int, sys.argv[2:]), *(RATE, SHARDS, PARTITIONS)[len(sys.argv[2:]) :])
    looks: list[Look] = []
    with place() as at, exchange("--rate", str(rate)) as address, ExitStack() as stack:
        kafka, database = at.broker.config(partitions=partitions), fresh(at.server)
        venue = (
            "--symbols",
            SYMBOLS,
            "--set",
            f"capture.coinbase.ws_url={address}",
            "--set",
            "capture.coinbase.rest_url=http://127.0.0.1:9",  # nobody there: symbols go unchecked
        )
        for command in (
            detect(kafka, database, at.folder, "--health-port", "8893", "--set", f"detect.shards={shards}", *LOW),
            produce(kafka, "coinbase", "--health-port", "8892", *venue),
        ):
            log = stack.enter_context((at.folder / f"{command[3]}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        watch = Watch(database)
        stack.callback(watch.stop)
        wait_until_calm(rate)
        watch.counting = True
        started = time.perf_counter()
        while (now := time.perf_counter() - started) < seconds:
            told = httpx.get("http://127.0.0.1:8893/healthz", trust_env=False).json()
            looks.append(Look(now, told["rows"], told["lag"] or 0))
            time.sleep(1.0)
    waited = np.array(watch.waited_s)
    rows = (looks[-1].rows - looks[0].rows) / (looks[-1].at_s - looks[0].at_s)
    half = len(looks) // 2
    table = Table("figure", "measured", "asked")
    table.add_row("rows a second detected", f"{rows:,.0f}", f"{rate:,}")
    for name, share in (("median", 50), ("95 %", 95), ("worst", 100)):
        asked = f"{BOUND_S} s" if share == 95 else ""
        table.add_row(
            f"trade to anomaly committed, {name} of {len(waited)}", f"{np.percentile(waited, share):.2f} s", asked
        )
    lags = [f"{np.mean([look.lag for look in part]):,.0f}" for part in (looks[:half], looks[half:])]
    table.add_row("messages that wait, mean of the first and of the second half", ", ".join(lags), "not growing")
    Console(width=120).print(
        f"{rate:,} trades/s over 10 symbols for {seconds:.0f} s, {shards} shards, {partitions} partitions", table
    )


def wait_until_calm(rate: int) -> None:
    """Wait until Spark has started, compiled the rules and worked off what had come meanwhile."""
    deadline = time.monotonic() + WARM_S
    while time.monotonic() < deadline:
        time.sleep(1.0)
        try:
            told = httpx.get("http://127.0.0.1:8893/healthz", trust_env=False).json()
        except httpx.HTTPError:
            continue
        if told["batch"] >= WARM_BATCHES and (told["lag"] or 0) < 3 * rate:
            return
    raise SystemExit("the pipeline did not come to rest")


if __name__ == "__main__":
    main()
