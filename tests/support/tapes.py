"""Small recorded tapes for tests: trades in, files out; and a tape's rows with their lanes spelled out."""

import gzip
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tapewatch.model import Kind, Lane, Rows

HEADER = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
START_US = 1_760_054_400_000_000
"""Midnight of 2025-10-10 UTC."""

Told = tuple[Lane, tuple[int | float, ...]]
"""A row without its lane's number, which means nothing outside one `Rows`, and with its lane's name."""


class Print(NamedTuple):
    """One trade as a line of CSV tells it; times in microseconds after `START_US`."""

    number: int
    price: str = "100"
    ts: int = 0
    recv: int = 0
    symbol: str = "BTC-USD"
    venue: str = "coinbase"
    side: str = "buy"
    amount: str = "1.5"

    def line(self) -> str:
        """Write the line."""
        ts, recv = START_US + self.ts, START_US + self.recv
        return f"{self.venue},{self.symbol},{ts},{recv},{self.number},{self.side},{self.price},{self.amount}"


def csv(path: Path, lines: Iterable[Print | str], header: str = HEADER, end: str = "\n") -> Path:
    """Write a CSV file, packed where its name ends in ``.gz``."""
    text = end.join([header, *(line if isinstance(line, str) else line.line() for line in lines)]) + end
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def told(tape: Iterable[Rows]) -> list[Told]:
    """List a tape's rows, however it is cut and its lanes are numbered."""
    return [(rows.lanes[row[7]], (*row[:7], *row[8:])) for rows in tape for row in rows.data.tolist()]


def cut(rows: Rows, sizes: Sequence[int]) -> list[Rows]:
    """Cut rows into parts of the given sizes, the last one with what is left."""
    parts, start = [], 0
    for size in sizes:
        parts.append(rows.part(start, start + size))
        start += size
    return [*parts, rows.part(start, len(rows.data))]


def ids(tape: Iterable[Rows], kind: Kind = Kind.TRADE) -> list[int]:
    """List the trade ids of one kind of row."""
    return [row[2] for _, row in ((lane, row) for lane, row in told(tape)) if row[7] == kind]


def collector() -> tuple[list[object], Callable[[object], None]]:
    """Build a list and what fills it."""
    found: list[object] = []
    return found, found.append
