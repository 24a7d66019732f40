"""Rows a second of `tapewatch produce` from a tape into a real Kafka broker, all acknowledged.

Run: ``make bench-scale``, or ``PYTHONPATH=tests:benchmarks .venv/bin/python
benchmarks/scale/bench_produce.py [ROWS]``. Beside it, in turn: the tape only read, and a bare loop of
confluent-kafka that sends the same messages, encoded before, with the same settings and headers.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer
from place import market
from rich.console import Console
from rich.table import Table

from support.brokers import broker
from support.pipeline import produce as command
from tapewatch.carry import codec
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.sender import PROMISED, TUNED
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.carry.tape import Recorder, read
from tapewatch.model import Rows

ROWS = 2_000_000
SYMBOLS = 50
RUNS = 3
WANTED = 100_000


def produce(config: KafkaConfig, tape: Path) -> tuple[float, float]:
    """Run the command; return its seconds as a whole, and from its first row to its last acknowledgement."""
    started = time.perf_counter()
    child = subprocess.Popen(command(config, f"tape:{tape}"), stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    first = started
    for line in child.stderr:
        if line.startswith("kafka"):
            first = time.perf_counter()
    assert child.wait() == 0
    ended = time.perf_counter()
    return ended - started, ended - first


def bare(config: KafkaConfig, messages: list[bytes], rows: Rows) -> float:
    """Send the same messages in a plain loop; return the seconds."""
    make_topics(config)
    producer = Producer({**config.client(), **TUNED, **PROMISED})
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
    rows = market(rows_count, SYMBOLS)
    recorder = Recorder.open(home / "tape")
    recorder.append(rows)
    recorder.close()
    started = time.perf_counter()
    messages = [each for at in range(0, rows_count, 4_096) for each in codec.encode(rows.part(at, at + 4_096))]
    encoding_s = time.perf_counter() - started
    try:
        with broker() as made:
            turns = [
                (
                    *produce(made.config(), home / "tape"),
                    bare(made.config(), messages, rows),
                    only_read(home / "tape"),
                )
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
