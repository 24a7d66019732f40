"""How catching up changes with lanes, shards and partitions, and what a lane's state takes.

Run: ``make bench-scale``, or ``PYTHONPATH=tests:benchmarks .venv/bin/python
benchmarks/scale/bench_growth.py [ROWS]``.
One thing changes at a time from 50 symbols, 2 shards
and 4 partitions; all in one run on the same servers, so that the lines can be compared.
"""

import sys
from typing import NamedTuple

from place import catch_up, fill, market, place, session, settings
from rich.console import Console
from rich.table import Table

ROWS, WARM_ROWS = 1_000_000, 50_000


class Case(NamedTuple):
    """What is measured."""

    symbols: int = 50
    shards: int = 2
    partitions: int = 4


LANES = [Case(symbols=symbols) for symbols in (1, 10, 100, 1_000)]
OTHERS = [Case(shards=1), Case(shards=4), Case(shards=8), Case(partitions=1), Case(partitions=2), Case(partitions=8)]


def main() -> None:
    """Print the table."""
    rows = int(float(sys.argv[1])) if len(sys.argv) > 1 else ROWS
    table = Table("symbols", "shards", "partitions", "rows/s", "state, MB")
    with place() as at:
        rates = {}
        for case in (Case(), *LANES, *OTHERS):
            config = settings(shards=case.shards)
            kafka, small = (at.broker.config(partitions=case.partitions) for _ in range(2))
            drawn = market(rows, case.symbols)
            fill(kafka, drawn)
            fill(small, drawn.part(0, WARM_ROWS))
            with session(config) as made:
                catch_up(made, at, small, config)
                run = catch_up(made, at, kafka, config)
            rates[case] = run.rate
            table.add_row(*(f"{each:,}" for each in case), f"{run.rate:,.0f}", f"{run.state_bytes / 1e6:.1f}")
    Console(width=120).print(f"{rows:,} JSON rows, local[2]", table)
    cost = rates[Case(symbols=10)] / rates[Case(symbols=1_000)]
    Console(width=120).print(f"1,000 lanes cost {cost:.2f} times what 10 lanes cost (asked: at most 1.5)")


if __name__ == "__main__":
    main()
