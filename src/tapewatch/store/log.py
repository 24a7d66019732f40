"""What more than one reads of a database: an open connection in; an anomaly, the log of changes, the clock out."""

import hashlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, select

from tapewatch.model import Anomaly
from tapewatch.store import schema
from tapewatch.store.migrations import migrations
from tapewatch.store.records import ALERTING, Clock, FeedRow, LoggedChange, Request, Source
from tapewatch.store.values import anomaly_of, feed_row

ANOMALY = [schema.anomalies.c[name] for name in Anomaly.__struct_fields__]
"""The columns of an anomaly, for `values.anomaly_of`."""


def anomaly(connection: Connection, anomaly_id: str) -> Anomaly | None:
    """Find an anomaly by its id, as it stands."""
    row = connection.execute(select(*ANOMALY).where(schema.anomalies.c.id == anomaly_id)).one_or_none()
    return None if row is None else anomaly_of(row)


def anomalies(connection: Connection, ids: Sequence[str]) -> dict[str, Anomaly]:
    """Find anomalies by their ids, as they stand."""
    rows = connection.execute(select(*ANOMALY).where(schema.anomalies.c.id.in_(ids)))
    return {found.id: found for found in map(anomaly_of, rows)}


def changes_after(connection: Connection, seq: int, limit: int) -> list[LoggedChange]:
    """Read entries of the log of changes above `seq`, at most `limit`, in order."""
    columns = [schema.changes.c[name] for name in LoggedChange.__struct_fields__]
    query = select(*columns).where(schema.changes.c.seq > seq).order_by(schema.changes.c.seq).limit(limit)
    return [LoggedChange(*row) for row in connection.execute(query)]


def pending_requests(connection: Connection, *, of_alerting: bool) -> list[Request]:
    """Read the requests that nobody has answered, oldest first: those that alerting answers, or all others."""
    table = schema.requests
    columns = [table.c[name] for name in Request.__struct_fields__]
    kind = table.c.kind.in_(ALERTING) if of_alerting else table.c.kind.not_in(ALERTING)
    query = select(*columns).where(table.c.answered_ts.is_(None), kind).order_by(table.c.seq)
    return [Request(*row) for row in connection.execute(query)]


def meta(connection: Connection, key: str) -> str | None:
    """Read a value of the table ``meta``: the text of its JSON."""
    return connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()


def source(connection: Connection) -> Source | None:
    """Read where a database's rows come from."""
    text = meta(connection, "source")
    return None if text is None else msgspec.json.decode(text, type=Source)


def clock(connection: Connection) -> Clock | None:
    """Read the two clocks of the last commit; None before the first one."""
    text = meta(connection, "clock")
    return None if text is None else msgspec.json.decode(text, type=Clock)


def feed(connection: Connection) -> list[FeedRow]:
    """Read every lane's state and counters, as the last commit left them."""
    return [feed_row(row) for row in connection.execute(select(schema.feed))]


def state(connection: Connection, name: str) -> bytes | None:
    """Read the blob that the last commit left under a name."""
    blob = connection.execute(select(schema.state.c.value).where(schema.state.c.name == name)).scalar()
    return None if blob is None else bytes(blob)


def states(connection: Connection, beginning: str) -> dict[str, bytes]:
    """Read all blobs whose names begin so, by the rest of their names."""
    s = schema.state.c
    rows = connection.execute(select(s.name, s.value).where(s.name.startswith(beginning, autoescape=True)))
    return {name.removeprefix(beginning): bytes(value) for name, value in rows}


def created(connection: Connection) -> str:
    """Tell when a database was made."""
    return str(connection.execute(select(func.min(migrations.c.applied_at))).scalar_one())


def epoch(connection: Connection) -> str:
    """Tell one database from another under the same name: by when it was made, and from what."""
    born = f"{created(connection)} {meta(connection, 'source') or ''}"
    return hashlib.blake2b(born.encode(), digest_size=8).hexdigest()
