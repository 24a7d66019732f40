"""Records become rows of the tables, by column, and rows become records again."""

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Row

from tapewatch.alert import Alert, Letter
from tapewatch.model import Anomaly, Bars, Change
from tapewatch.store.records import RAW_MAX, FeedRow, Post, Quarantined

LETTER = Letter.__struct_fields__
PLAIN = [name for name in Post.__struct_fields__ if name != "letter"]

Values = dict[str, Any]  # the values of one row by column, as SQLAlchemy takes them


def change_values(change: Change) -> Values:
    """Make a row of the log of changes."""
    anomaly = change.anomaly
    return {
        "venue": anomaly.venue,
        "symbol": anomaly.symbol,
        "ordinal": change.ordinal,
        "anomaly_id": anomaly.id,
        "change": change.change,
        "at": change.at,
        "record": msgspec.json.encode(anomaly).decode(),
    }


def anomaly_values(anomaly: Anomaly) -> Values:
    """Make a row of an anomaly as it stands."""
    return msgspec.structs.asdict(anomaly) | {"escalated_ts": msgspec.json.encode(anomaly.escalated_ts).decode()}


def anomaly_of(row: Row[Any]) -> Anomaly:
    """Make an anomaly of a row that has all its columns."""
    values = dict(row._mapping)  # noqa: SLF001 # SQLAlchemy's public name for it
    return Anomaly(**{**values, "escalated_ts": tuple(msgspec.json.decode(values["escalated_ts"]))})


def bar_values(bars: Bars, revision: int) -> Iterator[Values]:
    """Make a row of each bar."""
    names = bars.data.dtype.names or ()
    for bar in bars.data.tolist():
        values = dict(zip(names, bar, strict=True))
        lane = bars.lanes[values.pop("lane")]
        values.update(venue=lane.venue, symbol=lane.symbol, revision=revision)
        yield values


NAMES = ("armed", "warming")
"""Columns of the table ``feed`` that are JSON arrays of rules' names."""


def feed_values(row: FeedRow) -> Values:
    """Make the row of a lane's feed."""
    names = {name: msgspec.json.encode(getattr(row, name)).decode() for name in NAMES}
    return msgspec.structs.asdict(row) | {"reason": storable(row.reason)} | names


def feed_row(row: Row[Any]) -> FeedRow:
    """Make a record of a row of the table ``feed``."""
    values = dict(row._mapping)  # noqa: SLF001 # SQLAlchemy's public name for it
    return FeedRow(**values | {name: msgspec.json.decode(values[name], type=tuple[str, ...]) for name in NAMES})


def quarantined_values(item: Quarantined) -> Values:
    """Make a row of what was set aside."""
    symbol = None if item.symbol is None else storable(item.symbol)
    said = {"symbol": symbol, "reason": storable(item.reason), "raw": item.raw[:RAW_MAX]}
    return msgspec.structs.asdict(item) | said


def alert_values(alert: Alert, judged_ts: int) -> Values:
    """Make a row of an alert; `judged_ts` is our clock, ns."""
    anomaly = alert.anomaly
    return {
        "change_seq": alert.seq,
        "channel": alert.channel,
        "anomaly_id": anomaly.id,
        "venue": anomaly.venue,
        "symbol": anomaly.symbol,
        "rule": anomaly.rule,
        "severity": anomaly.severity,
        "occasion": alert.occasion,
        "escalation": anomaly.escalation,
        "at": alert.at,
        "verdict": alert.verdict,
        "reason": storable(alert.reason),
        "message": alert.message,
        "judged_ts": judged_ts,
        "size": anomaly.size,
    }


def post_values(post: Post) -> Values:
    """Make a row of a message in the outbox."""
    letter = {name: storable(value) for name, value in msgspec.structs.asdict(post.letter).items()}
    return {name: getattr(post, name) for name in PLAIN} | letter


def post_of(row: Row[Any]) -> Post:
    """Make a record of a row of the table ``messages``."""
    values = row._mapping  # noqa: SLF001  # SQLAlchemy's public name
    return Post(letter=Letter(**{name: values[name] for name in LETTER}), **{name: values[name] for name in PLAIN})


def plain_values(record: msgspec.Struct) -> Values:
    """Make a row of a record whose fields are the columns."""
    return {name: storable(v) if isinstance(v, str) else v for name, v in msgspec.structs.asdict(record).items()}


def storable(text: str) -> str:
    r"""Make a text of foreign origin one that every database takes: no NUL, and nothing that UTF-8 cannot write.

    >>> storable("a\0b")
    'a␀b'
    """
    return text.replace("\0", "␀").encode("utf-8", "backslashreplace").decode()
