"""The database: one `Commit` in, in one transaction; what is remembered out.

`Store` belongs to the one process that writes; `Reader` is for all others and changes nothing but ``requests``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
from sqlalchemy import URL, Connection, Row, delete, func, insert, select, update

from tapewatch.errors import StoreError
from tapewatch.model import Anomaly, Bars, Change
from tapewatch.store import schema
from tapewatch.store.engine import database_url, open_engine, plain_errors, sqlite_path
from tapewatch.store.lock import Lock
from tapewatch.store.migrations import check_readable, migrate
from tapewatch.store.records import (
    QUARANTINE_KEPT,
    RAW_MAX,
    Answer,
    Clock,
    Commit,
    FeedRow,
    LoggedChange,
    Quarantined,
    Request,
    Source,
)
from tapewatch.store.statements import Statements

Values = dict[str, Any]  # the values of one row by column, as SQLAlchemy takes them


class Reader:
    """Read a database that another process writes, or that nobody has made yet.

    Examples
    --------
    >>> reader = Reader("no/such/folder/x.db")
    >>> reader.ready()
    False
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self.url: URL = database_url(url_or_path)
        self._engine = open_engine(self.url, read_only=True)
        self._path = sqlite_path(self.url)
        self._inode: int | None = None
        self._ready = False

    def ready(self) -> bool:
        """Tell whether there is a database to read; until a runtime has made one there is none.

        Raises
        ------
        StoreError
            It is not ours, or of another schema than this program's.
        """
        if self._path is not None:
            self._notice_another_file()
            if self._inode is None:
                return False
        if not self._ready:
            with plain_errors(self.url), self._engine.connect() as connection:
                self._ready = check_readable(connection, str(self.url.database))
        return self._ready

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a short read transaction: everything read in it stems from one commit.

        Raises
        ------
        StoreError
            There is no database yet, or it cannot be read.
        """
        if not self.ready():
            raise StoreError(
                f"{self.url.database}: there is no database yet; start tapewatch run, or give another --db"
            )
        with plain_errors(self.url), self._engine.connect() as connection:
            yield connection

    def ask(self, kind: str, arguments: Values, asked_ts: int) -> int:
        """Write down what a person asks the runtime for; the answer appears in the same row.

        Returns
        -------
        int
            The request's ``seq``.
        """
        if not self.ready():
            raise StoreError(f"{self.url.database}: there is no database yet; start tapewatch run first")
        engine = open_engine(self.url, read_only=False)
        values = {"asked_ts": asked_ts, "kind": kind, "arguments": msgspec.json.encode(arguments).decode()}
        try:
            with plain_errors(self.url), engine.begin() as connection:
                result = connection.execute(insert(schema.requests).values(values))
                return int(result.inserted_primary_key[0])  # type: ignore[index]  # a single insert has one
        finally:
            engine.dispose()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _notice_another_file(self) -> None:
        # A demo starts with a fresh file under the same name; connections to the removed one would read it for ever.
        assert self._path is not None
        try:
            inode = self._path.stat().st_ino
        except OSError:
            inode = None
        if inode != self._inode:
            self._engine.dispose()
            self._inode, self._ready = inode, False


class Store:
    """The one writer of a database; made by `open`."""

    def __init__(self, url: URL, lock: Lock | None) -> None:
        self.url = url
        self._lock = lock
        self._engine = open_engine(url, read_only=False)
        self._write = Statements(self._engine.dialect.name)
        self._stored: dict[str, Anomaly] = {}  # open anomalies as they stand in the database
        self.revision = 0

    @classmethod
    def open(
        cls,
        url_or_path: str | Path,
        *,
        source: Source | None = None,
        create: bool = True,
        exclusive: bool = True,
        fresh: bool = False,
    ) -> Self:
        """Open a database for writing; make it, and the folder it lies in, where there is none.

        Parameters
        ----------
        url_or_path
            A path of an SQLite file, or a database's URL.
        source
            Where the rows come from; None takes whatever the database belongs to.
        create
            Make a database where there is none.
        exclusive
            Refuse where another process writes to it.
        fresh
            Remove what an SQLite file held before.

        Raises
        ------
        StoreError
            It belongs to another source, to another instance or to a newer program, or cannot be written.
        """
        url = database_url(url_or_path)
        path, lock = sqlite_path(url), None
        if path is not None:
            _prepare_place(path, create=create)
            lock = Lock(path) if exclusive else None
            if fresh:
                _remove(path)
        store = cls(url, lock)
        try:
            with plain_errors(url), store._engine.begin() as connection:
                migrate(connection, str(url.database))
                if source is not None:
                    store._claim(connection, source)
                clock = _meta(connection, "clock")
                store.revision = msgspec.json.decode(clock, type=Clock).revision if clock else 0
        except BaseException:
            store.close()
            raise
        return store

    @staticmethod
    def read(url_or_path: str | Path) -> Reader:
        """Open for reading only; see `Reader`."""
        return Reader(url_or_path)

    def commit(self, commit: Commit) -> int:
        """Store everything in one transaction.

        Returns
        -------
        int
            The commit's number: what the bars that it touched carry as ``revision``.

        Raises
        ------
        StoreError
            The disk is full, or somebody keeps the database locked; nothing of this commit is stored.
        """
        revision = self.revision + 1
        moved = {anomaly.id: anomaly for anomaly in commit.open_anomalies if self._stored.get(anomaly.id) != anomaly}
        current = {change.anomaly.id: change.anomaly for change in commit.changes} | moved
        clock = msgspec.structs.replace(commit.clock, revision=revision)
        meta = [
            {"key": "clock", "value": msgspec.json.encode(clock).decode()},
            {"key": "unnamed", "value": str(commit.unnamed)},
        ]
        bars = [values for increments in commit.bars for values in _bar_values(increments, revision)]
        with plain_errors(self.url), self._engine.begin() as connection:
            for statement, values in (
                (self._write.changes, [_change_values(change) for change in commit.changes]),
                (self._write.anomalies, [_anomaly_values(anomaly) for anomaly in current.values()]),
                (self._write.bars, bars),
                (self._write.feed, [_feed_values(row) for row in commit.feed]),
                (self._write.state, [{"name": name, "value": blob} for name, blob in commit.state.items()]),
                (self._write.meta, meta),
            ):
                if values:
                    connection.execute(statement, values)
            if commit.quarantine:
                _set_aside(connection, commit.quarantine)
            for answer in commit.answers:
                _answer(connection, answer)
        self._stored = {anomaly.id: anomaly for anomaly in commit.open_anomalies}
        self.revision = revision
        return revision

    def source(self) -> Source | None:
        """Return where this database's rows come from."""
        with self._reading() as connection:
            text = _meta(connection, "source")
        return msgspec.json.decode(text, type=Source) if text else None

    def state(self, name: str) -> bytes | None:
        """Return the blob that the last commit left under a name."""
        with self._reading() as connection:
            blob = connection.execute(select(schema.state.c.value).where(schema.state.c.name == name)).scalar()
        return None if blob is None else bytes(blob)

    def feed(self) -> list[FeedRow]:
        """Return every lane's state and counters."""
        with self._reading() as connection:
            return [_feed_row(row) for row in connection.execute(select(schema.feed))]

    def changes_after(self, seq: int, limit: int = 1_000) -> list[LoggedChange]:
        """Return entries of the log of changes above `seq`, at most `limit`, in order."""
        columns = [schema.changes.c[name] for name in LoggedChange.__struct_fields__]
        query = select(*columns).where(schema.changes.c.seq > seq).order_by(schema.changes.c.seq).limit(limit)
        with self._reading() as connection:
            return [LoggedChange(*row) for row in connection.execute(query)]

    def pending_requests(self) -> list[Request]:
        """Return the requests that nobody has answered, oldest first."""
        table = schema.requests
        columns = [table.c[name] for name in Request.__struct_fields__]
        query = select(*columns).where(table.c.answered_ts.is_(None)).order_by(table.c.seq)
        with self._reading() as connection:
            return [Request(*row) for row in connection.execute(query)]

    def close(self) -> None:
        """Let the next instance in."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with plain_errors(self.url), self._engine.connect() as connection:
            yield connection

    def _claim(self, connection: Connection, source: Source) -> None:
        text = _meta(connection, "source")
        if text is None:
            value = msgspec.json.encode(source).decode()
            connection.execute(self._write.meta, [{"key": "source", "value": value}])
            return
        found = msgspec.json.decode(text, type=Source)
        if found == source:
            return
        if found == msgspec.structs.replace(source, digest=found.digest):
            raise StoreError(
                f"{self.url.database}: belongs to {source} as it was; its files, their format or the symbol are others "
                "now. Choose another database with --db"
            )
        raise StoreError(
            f"{self.url.database}: belongs to the source {found}, not to {source}; choose another file with --db"
        )


def _prepare_place(path: Path, *, create: bool) -> None:
    if not create and not path.exists():
        raise StoreError(f"{path}: there is no such database")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path.parent}: the folder cannot be made ({error.strerror}); choose another place with --db"
        ) from None


def _remove(path: Path) -> None:
    # The log first: beside a new database an old one would be taken for its own.
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _meta(connection: Connection, key: str) -> str | None:
    return connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()


def _set_aside(connection: Connection, quarantine: Sequence[Quarantined]) -> None:
    table = schema.quarantine
    values = [msgspec.structs.asdict(item) | {"raw": item.raw[:RAW_MAX]} for item in quarantine]
    connection.execute(insert(table), values)
    newest = connection.execute(select(func.max(table.c.seq))).scalar_one()
    connection.execute(delete(table).where(table.c.seq <= newest - QUARANTINE_KEPT))


def _answer(connection: Connection, answer: Answer) -> None:
    table = schema.requests
    values = {"answered_ts": answer.answered_ts, "answer": answer.answer}
    connection.execute(update(table).where(table.c.seq == answer.seq).values(values))


def _change_values(change: Change) -> Values:
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


def _anomaly_values(anomaly: Anomaly) -> Values:
    return msgspec.structs.asdict(anomaly) | {"escalated_ts": msgspec.json.encode(anomaly.escalated_ts).decode()}


def _bar_values(bars: Bars, revision: int) -> Iterator[Values]:
    names = bars.data.dtype.names or ()
    for bar in bars.data.tolist():
        values = dict(zip(names, bar, strict=True))
        lane = bars.lanes[values.pop("lane")]
        values.update(venue=lane.venue, symbol=lane.symbol, revision=revision)
        yield values


def _feed_values(row: FeedRow) -> Values:
    return msgspec.structs.asdict(row) | {"armed": msgspec.json.encode(row.armed).decode()}


def _feed_row(row: Row[Any]) -> FeedRow:
    values = dict(row._mapping)  # noqa: SLF001 # SQLAlchemy's public name for it
    return FeedRow(**values | {"armed": tuple(msgspec.json.decode(values["armed"], type=list[str]))})
