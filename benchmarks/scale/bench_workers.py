"""Catching up with one core and with two: threads of this process's own JVM, and workers of a standalone cluster.

Run: ``make bench-scale``, or ``PYTHONPATH=tests:benchmarks .venv/bin/python
benchmarks/scale/bench_workers.py [ROWS]``.
The cluster is a master and workers of one core each, from pyspark's own scripts; broker, database and driver
take their share of the same two cores. Best of three turns.
"""

import sys
from contextlib import ExitStack

from msgspec.structs import replace
from place import KEPT, catch_up, fill, market, place, session, settings
from rich.console import Console
from rich.table import Table

from support.cluster import cluster

ROWS, WARM_ROWS, SYMBOLS, TURNS = 500_000, 50_000, 50, 3


def main() -> None:
    """Print the table."""
    rows = int(float(sys.argv[1])) if len(sys.argv) > 1 else ROWS
    table = Table("Spark's workers", "rows/s, best", "rows/s, each turn")
    with place() as at:
        kafka, small = at.broker.config(), at.broker.config()
        drawn = market(rows, SYMBOLS)
        fill(kafka, drawn)
        fill(small, drawn.part(0, WARM_ROWS))
        for name, workers in (("local[1]", 0), ("local[2]", 0), ("cluster of one", 1), ("cluster of two", 2)):
            with ExitStack() as stack:
                folder = at.folder / name
                folder.mkdir()
                master = stack.enter_context(cluster(folder, workers)).master if workers else name
                config = replace(settings(), master=master, options={**KEPT, "spark.executor.memory": "512m"})
                made = stack.enter_context(session(config))
                catch_up(made, at, small, config)
                rates = [catch_up(made, at, kafka, config).rate for _ in range(TURNS)]
            table.add_row(name, f"{max(rates):,.0f}", ", ".join(f"{rate:,.0f}" for rate in rates))
    Console(width=120).print(f"{rows:,} JSON rows of {SYMBOLS} symbols, 2 shards, 4 partitions", table)


if __name__ == "__main__":
    main()
