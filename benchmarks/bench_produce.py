"""Rows a second of `tapewatch produce` from a tape into a real Kafka broker, all acknowledged.

Run: ``.venv/bin/python benchmarks/bench_produce.py [ROWS]``. Beside it, in turn: the tape only read, and a bare loop of
confluent-kafka that sends the same messages, encoded before, with the same settings and headers.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from tapewatch.carry import codec
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.sender import TUNED
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.carry.tape import Recorder, read
from tapewatch.errors import FeedError
from tapewatch.model import NS, PRICE_SCALE, ROW, Kind, Lane, Rows
from tapewatch.runtime import jars, ports
from tapewatch.runtime.broker import Broker

ROWS = 2_000_000
SYMBOLS = 50
RUNS = 3
PER_SECOND = 5_000
WANTED = 100_000
START = 1_760_054_400 * NS

_numbers = count(1)


def market(rows: int) -> Rows:
    """Draw trades of all symbols as a day would bring them: prices walk by cents, a CLOCK per lane and second."""
    rng = np.random.default_rng(7)
    lanes = tuple(Lane("coinbase", f"{chr(65 + number % 26) * 3}{number}-USD") for number in range(SYMBOLS))
    data = np.zeros(rows, ROW)
    data["lane"] = rng.integers(0, SYMBOLS, rows)
    data["ts"] = START + np.arange(rows) * (NS // PER_SECOND)
    data["recv_ts"] = data["ts"] + 40_000_000
    data["kind"] = Kind.TRADE
    data["side"] = rng.choice((-1, 1), rows)
    data["size"] = rng.exponential(0.2, rows).round(8)
    for lane in range(SYMBOLS):
        mine = np.flatnonzero(data["lane"] == lane)
        cents = 10 ** (2 + lane % 5) + np.cumsum(rng.integers(-1, 2, len(mine)))
        data["price"][mine] = np.maximum(cents, 1) * (PRICE_SCALE // 100)
        data["trade_id"][mine] = 400_000_000 + np.arange(len(mine))
        data["sequence"][mine] = 9_000_000_000 + np.arange(len(mine)) * 40
    ticks = np.arange(0, rows - SYMBOLS, PER_SECOND)
    for lane in range(SYMBOLS):
        clocks = data[ticks + lane]
        clocks["kind"], clocks["lane"], clocks["aux"] = Kind.CLOCK, lane, clocks["recv_ts"]
        for name in ("trade_id", "price", "size", "side", "sequence"):
            clocks[name] = 0
        data[ticks + lane] = clocks
    return Rows(lanes, data)


@contextmanager
def broker(home: Path) -> Iterator[str]:
    """Run a broker; give its address."""
    with ports.bind(None, 19_092, "kafka") as one, ports.bind(None, 19_092, "kafka") as two:
        numbers = [int(server.getsockname()[1]) for server in (one, two)]
    made = Broker(home, jars.fetched(jars.BROKER, jars.cache()), *numbers)
    made.prepare()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(made.command, stdout=log, stderr=log)
    try:
        while True:
            try:
                make_topics(KafkaConfig(brokers=made.address))
                break
            except FeedError:
                if process.poll() is not None:
                    raise
        yield made.address
    finally:
        process.terminate()
        process.wait()


def fresh(address: str) -> KafkaConfig:
    """Make topics that nobody has written to."""
    config = KafkaConfig(brokers=address, trades=f"trades{next(_numbers)}")
    make_topics(config)
    return config


def produce(address: str, tape: Path) -> tuple[float, float]:
    """Run the command; return its seconds as a whole, and from its first row to its last acknowledgement."""
    config = fresh(address)
    command = [sys.executable, "-m", "tapewatch", "produce", "--source", f"tape:{tape}", "--speed", "0"]
    started = time.perf_counter()
    child = subprocess.Popen(
        [*command, "--brokers", address, "--topic", config.trades], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    first = started
    for line in child.stderr:
        if line.startswith("kafka"):
            first = time.perf_counter()
    assert child.wait() == 0
    ended = time.perf_counter()
    return ended - started, ended - first


def bare(address: str, messages: list[bytes], rows: Rows) -> float:
    """Send the same messages in a plain loop; return the seconds."""
    config = fresh(address)
    producer = Producer({**config.client(), **TUNED, "enable.idempotence": True, "acks": "all"})
    keys = [codec.key_of(lane) for lane in rows.lanes]
    places = [codec.part_of(lane, config.partitions) for lane in rows.lanes]
    headers: list[tuple[str, str | bytes | None]] = [("tapewatch", b"1")]
    started = time.perf_counter()
    for message, lane in zip(messages, rows.data["lane"].tolist(), strict=True):
        while True:
            try:
                producer.produce(config.trades, message, keys[lane], partition=places[lane], headers=headers)
                break
            except BufferError:
                producer.poll(0.01)
    producer.flush()
    return time.perf_counter() - started


def only_read(tape: Path) -> float:
    """Read the tape; return the seconds."""
    started = time.perf_counter()
    for _ in read([tape]):
        pass
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    rows_count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    home = Path(tempfile.mkdtemp(prefix="tapewatch-bench-"))
    rows = market(rows_count)
    recorder = Recorder.open(home / "tape")
    recorder.append(rows)
    recorder.close()
    started = time.perf_counter()
    messages = [each for at in range(0, rows_count, 4_096) for each in codec.encode(rows.part(at, at + 4_096))]
    encoding_s = time.perf_counter() - started
    try:
        with broker(home / "kafka") as address:
            turns = [
                (*produce(address, home / "tape"), bare(address, messages, rows), only_read(home / "tape"))
                for _ in range(RUNS)
            ]
    finally:
        shutil.rmtree(home)
    table = Table(
        "", "rows/s", "best", title=f"{rows_count:,} rows of {SYMBOLS} symbols, median of {RUNS} runs in turn"
    )
    names = ("tapewatch produce, the whole command", "the same from its first row to the last acknowledgement")
    for name, times in zip(
        (*names, "bare loop, encoded before", "tape only read"), zip(*turns, strict=True), strict=True
    ):
        table.add_row(name, f"{rows_count / statistics.median(times):,.0f}", f"{rows_count / min(times):,.0f}")
    table.add_row("encoding alone, once", f"{rows_count / encoding_s:,.0f}", "")
    Console(width=110).print(table)
    Console().print(f"asked: {WANTED:,} rows/s")


if __name__ == "__main__":
    main()
