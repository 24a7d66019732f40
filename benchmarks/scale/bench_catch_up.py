"""Catching up: Kafka to Spark, all default rules, to PostgreSQL, beside the same query whose function only counts.

Run: ``make bench-scale``, or ``PYTHONPATH=tests:benchmarks .venv/bin/python
benchmarks/scale/bench_catch_up.py [ROWS]``.
Spark and the compiled rules are warm; the clock
runs from the start of the query to the end of its last micro-batch. The queries take turns, and the best turn counts.
"""

import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from place import Run, catch_up, counted, fill, market, place, session, settings
from rich.console import Console
from rich.table import Table

from tapewatch.runtime import shards, spark

ROWS, SYMBOLS, TURNS, WARM_ROWS = 3_000_000, 50, 4, 1_000_000
PARTITIONS = 2
"""As many as there are cores: `bench_growth.py` shows what more of them cost."""
FULL = "all rules, into PostgreSQL"
WANTED, SHARE = 150_000, 0.6


def counting(_: Any, frames: Iterator[Any], state: Any) -> Iterator[Any]:
    """Count a shard's blocks of rows: the same shuffle and the same kind of state, and nothing is detected."""
    import pandas as pd

    rows = sum(shards._packed.decode(part).rows.__len__() for frame in frames for part in frame["packed"])  # noqa: SLF001
    before = int(state.get[0]) if state.exists else 0
    state.update((str(before + rows).encode(),))
    yield pd.DataFrame({"told": [str(before + rows).encode()]})


def tally(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Count messages without reading them."""
    for batch in batches:
        rows = [pa.array([0], pa.int32()), pa.array([str(batch.num_rows).encode()], pa.binary())]
        yield pa.RecordBatch.from_arrays(rows, ["shard", "packed"])


def summing(_: Any, frames: Iterator[Any], state: Any) -> Iterator[Any]:
    """Add up what `tally` counted."""
    import pandas as pd

    rows = sum(int(part) for frame in frames for part in frame["packed"])
    before = int(state.get[0]) if state.exists else 0
    state.update((str(before + rows).encode(),))
    yield pd.DataFrame({"told": [str(before + rows).encode()]})


def main() -> None:
    """Print the table."""
    rows = int(float(sys.argv[1])) if len(sys.argv) > 1 else ROWS
    config = settings()
    with place() as at, session(config) as made:
        kafka, small = (at.broker.config(partitions=PARTITIONS) for _ in range(2))
        drawn = market(rows, SYMBOLS)
        fill(kafka, drawn)
        fill(small, drawn.part(0, WARM_ROWS))
        runs: dict[str, list[Run]] = {
            "all rules, into PostgreSQL": [],
            "rows decoded and counted": [],
            "messages counted": [],
        }
        catch_up(made, at, small, config)
        for _ in range(TURNS):
            runs[FULL].append(catch_up(made, at, kafka, config))
            for name, pack, fold in (
                (
                    "rows decoded and counted",
                    shards.packing(kafka.trades, spark.labels_of(made, config.shards)),
                    counting,
                ),
                ("messages counted", tally, summing),
            ):
                runs[name].append(
                    counted(
                        made,
                        at,
                        lambda session, pack=pack, fold=fold: (
                            spark.messages_of(session, kafka, config)
                            .mapInArrow(pack, shards.PACKED)
                            .groupBy("shard")
                            .applyInPandasWithState(fold, shards.TOLD, shards.STATE, "append", "NoTimeout")
                        ),
                    )
                )
    best = {name: max(run.rate for run in found) for name, found in runs.items()}
    full = best[FULL]
    table = Table("query", "rows/s, best", "rows/s, each turn", "all rules reach of it", "asked")
    for name, found in runs.items():
        asked = f"{WANTED:,} rows/s" if name == FULL else f"{SHARE:.0%}"
        turns = ", ".join(f"{run.rate:,.0f}" for run in found)
        table.add_row(name, f"{best[name]:,.0f}", turns, f"{full / best[name]:.0%}", asked)
    Console(width=140).print(
        f"{rows:,} JSON rows of {SYMBOLS} symbols, {PARTITIONS} partitions, {config.shards} shards, local[2]", table
    )


if __name__ == "__main__":
    main()
