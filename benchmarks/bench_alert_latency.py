"""How long after its commit an anomaly is accepted by a receiver, at 50 alerts a second, on SQLite and PostgreSQL.

Run: ``PYTHONPATH=tests .venv/bin/python benchmarks/bench_alert_latency.py [SECONDS]``. ``tapewatch alerts run`` in a
process of its own, a webhook on loopback, every alert a message of its own. Beside it: the same letters given to
Apprise one after the other, with nothing remembered, which is the least that sending takes.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apprise
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from support import receivers
from support.receivers import WebReceiver
from support.tellers import EVERYTHING, Happening, Teller, channel, config
from tapewatch.runtime.postgres import Server, find

RATE = 50
SECONDS = 20
P99_MAX_MS = 500
WARM_UP = 25
"""Alerts before the first that counts."""


def committed(db: str, hook: WebReceiver, seconds: int) -> NDArray[np.float64]:
    """Commit anomalies at the rate, and return how long each took to be accepted, ms, shape (n,)."""
    happening, teller = Happening(db), Teller(db, config(channel(hook.host), **EVERYTHING))
    due, moments, waiting = time.perf_counter() + 3, {}, threading.Event()
    try:
        for _ in range(WARM_UP + RATE * seconds):
            waiting.wait(max(0.0, due - time.perf_counter()))
            due += 1 / RATE
            ident = happening.open()
            moments[ident] = time.monotonic_ns()
        hook.wait_for(len(moments))
    finally:
        teller.stop()
        happening.close()
    arrived = {_anomaly(request.json["message"]): request.at_ns for request in hook.accepted}
    took = [(arrived[ident] - at) / 1e6 for ident, at in moments.items()]
    return np.array(took[WARM_UP:])


def sent_alone(hook: WebReceiver, seconds: int) -> NDArray[np.float64]:
    """Give letters to Apprise at the same rate, and return how long each took, ms, shape (n,)."""
    sender = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
    sender.add(f"json://{hook.host}/alone")
    took, due, waiting = [], time.perf_counter(), threading.Event()
    for _ in range(WARM_UP + RATE * seconds):
        waiting.wait(max(0.0, due - time.perf_counter()))
        due += 1 / RATE
        began = time.perf_counter()
        sender.notify(title="BTC-USD rose 0.27 %", body="in 3 s, 1.1× the limit\n" * 5)
        took.append((time.perf_counter() - began) * 1e3)
    return np.array(took[WARM_UP:])


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL that syncs to the disk."""
    server = Server(folder / "postgresql", find())
    folder.chmod(0o755)  # a server that runs as somebody else must get in
    server.start()
    server.create()
    try:
        yield server.url()
    finally:
        server.stop()


def measure(name: str, work: Callable[[WebReceiver], NDArray[np.float64]], table: Table) -> None:
    """Measure one way, and add its line."""
    with receivers.web() as hook:
        took = work(hook)
    asked = "" if name.startswith("Apprise") else f"{P99_MAX_MS}"
    figures = (f"{value:.0f}" for value in (*np.percentile(took, (50, 95, 99)), took.max()))
    table.add_row(name, str(len(took)), *figures, asked)


def main() -> None:
    """Measure and print."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    table = Table("committed to accepted, ms", "alerts", "median", "95 %", "99 %", "worst", "asked (99 %)")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", lambda hook: committed(str(Path(folder) / "x.db"), hook, seconds), table)
        with postgresql(Path(folder)) as url:
            measure("PostgreSQL", lambda hook: committed(url, hook, seconds), table)
        measure("Apprise alone, nothing remembered", lambda hook: sent_alone(hook, seconds), table)
    Console(width=120).print(table)


def _anomaly(text: str) -> str:
    return text.rpartition("anomaly=")[2].split()[0]


if __name__ == "__main__":
    main()
