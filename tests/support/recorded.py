"""Readers of the real recordings, independent of the package's own: a file in, rows out."""

import csv
import gzip
import io
import zipfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from tapewatch.model import PRICE_SCALE, Flag, Kind, Lane, Rows, RowTuple

Print = tuple[int, int, int, str, str, int]  # ts, recv_ts, id, price, size, side


def cascade(folder: Path, symbol: str) -> Rows:
    """Read one product of the cascade of 2025-10-10."""
    path = folder / "cascade-2025-10-10" / f"coinbase_trades_2025-10-10_{symbol}.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        prints = (
            (
                int(line["timestamp"]) * 1000,
                int(line["local_timestamp"]) * 1000,
                int(line["id"]),
                line["price"],
                line["amount"],
                {"buy": 1, "sell": -1}[line["side"]],
            )
            for line in csv.DictReader(file)
        )
        return Rows.of([Lane("coinbase", symbol)], with_gaps(prints))


def quiet(folder: Path) -> Rows:
    """Read the quiet bitcoin day of 2025-10-04."""
    path = folder / "quiet-2025-10-04" / "BTCUSDC-aggTrades-2025-10-04.zip"
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as raw:
        prints = (
            (int(us) * 1000, int(us) * 1000, int(number), price, size, -1 if maker == "True" else 1)
            for number, price, size, _first, _last, us, maker, _best in csv.reader(io.TextIOWrapper(raw))
        )
        return Rows.of([Lane("binance", "BTC-USDC")], with_gaps(prints))


def with_gaps(prints: Iterable[Print]) -> Iterator[RowTuple]:
    """Turn prints into rows; a jump in the contiguous ids is a GAP and at once its FILLED, given up."""
    highest = None
    for ts, recv_ts, number, price, size, side in prints:
        if highest is not None and number > highest + 1:
            span = (highest + 1, 0, 0, 0.0, number - 1, 0)
            yield (ts, recv_ts, *span, Kind.GAP, 0, 0)
            yield (ts, recv_ts, *span, Kind.FILLED, 0, Flag.GIVEN_UP)
        highest = number if highest is None else max(highest, number)
        yield (ts, recv_ts, number, 0, int(Decimal(price) * PRICE_SCALE), float(size), 0, 0, Kind.TRADE, side, 0)
