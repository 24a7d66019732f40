"""What the log shows, as a file: anomalies of a filter out as CSV or as lines of JSON.

The JSON is that of the log of changes and of a backtest: the fields and the order of `Anomaly`.
"""

import csv
import io
from typing import Final, Literal

import msgspec

from tapewatch.model import Anomaly
from tapewatch.store.sql import Reader
from tapewatch.view import queries
from tapewatch.view.queries import Filter
from tapewatch.view.status import status

Form = Literal["csv", "json"]

EXPORT_MAX: Final = 50_000
"""Anomalies in one file, the newest."""

MIME: Final[dict[Form, str]] = {"csv": "text/csv", "json": "application/jsonl"}


def export(reader: Reader, wanted: Filter, wall_ns: int, form: Form) -> bytes:
    """Write the anomalies that a filter lists, newest first."""
    found: list[Anomaly] = []
    if reader.ready() and wanted.severities:
        with reader.connect() as conn:
            found = queries.anomalies(conn, wanted, status(conn, wall_ns).now_ns, EXPORT_MAX)
    return _csv(found) if form == "csv" else b"".join(msgspec.json.encode(each) + b"\n" for each in found)


def _csv(found: list[Anomaly]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Anomaly.__struct_fields__)
    for each in found:
        values = msgspec.structs.asdict(each) | {"escalated_ts": " ".join(map(str, each.escalated_ts))}
        writer.writerow(values.values())
    return text.getvalue().encode()
