"""The database: one `Commit` in, in one transaction; what is remembered out.

`Store` belongs to the one process that writes; `Reader` is for all others and changes nothing but ``requests``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
from sqlalchemy import URL, Connection, delete, func, insert, select, update

from tapewatch.errors import StoreError
from tapewatch.model import SIMULATED, Anomaly
from tapewatch.store import log, schema
from tapewatch.store.bulk import write
from tapewatch.store.engine import database_url, hold_one_session, name_of, open_engine, sqlite_path
from tapewatch.store.lock import Lock, lock_session
from tapewatch.store.migrations import Migration, check_readable, history, migrate, pending
from tapewatch.store.records import (
    QUARANTINE_KEPT,
    Answer,
    Commit,
    FeedRow,
    LoggedChange,
    Quarantined,
    Request,
    Source,
)
from tapewatch.store.refusals import lost, plain_errors
from tapewatch.store.statements import Statements
from tapewatch.store.values import (
    Values,
    anomaly_values,
    bar_values,
    change_values,
    feed_values,
    quarantined_values,
    storable,
)


class Reader:
    """Read a database that another process writes, or that nobody has made yet.

    Attributes
    ----------
    name
        What to call it to a person; no password is in it.

    Examples
    --------
    >>> reader = Reader("no/such/folder/x.db")
    >>> reader.ready()
    False
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self.url: URL = database_url(url_or_path)
        self.name = name_of(self.url)
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
                self._ready = check_readable(connection, self.name)
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
            raise StoreError(f"{self.name}: there is no database yet; start tapewatch run, or give another --db")
        try:
            with plain_errors(self.url), self._engine.connect() as connection:
                yield connection
        except StoreError:
            self._ready = False  # it may be gone, or another program's by now
            raise

    def ask(self, kind: str, arguments: Values, asked_ts: int) -> int:
        """Write down what a person asks the runtime for; the answer appears in the same row.

        Returns
        -------
        int
            The request's ``seq``.
        """
        if not self.ready():
            raise StoreError(f"{self.name}: there is no database yet; start tapewatch run first")
        engine = open_engine(self.url, read_only=False)
        values = {"asked_ts": asked_ts, "kind": kind, "arguments": msgspec.json.encode(arguments).decode()}
        try:
            with plain_errors(self.url), engine.begin() as connection:
                result = connection.execute(insert(schema.requests).values(values))
                return int(result.inserted_primary_key[0])  # type: ignore[index]  # a single insert has one
        finally:
            engine.dispose()

    def answer(self, seq: int) -> str | None:
        """Tell what became of a request; None: nobody has answered yet."""
        with self.connect() as connection:
            return connection.execute(select(schema.requests.c.answer).where(schema.requests.c.seq == seq)).scalar()

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
    """The one writer of a database; made by `open`.

    Attributes
    ----------
    name
        What to call it to a person; no password is in it.
    revision
        Number of the last commit.
    """

    def __init__(self, url: URL, lock: Lock | None) -> None:
        self.url = url
        self.name = name_of(url)
        self._lock = lock
        self._engine = open_engine(url, read_only=False)
        self._statements = Statements(self._engine.dialect.name)
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
            Remove what it held before: an SQLite file, or our tables in a server's database.

        Raises
        ------
        StoreError
            It belongs to another source, to another instance or to a newer program, or cannot be written.
        ConfigError
            It is no address of a database, or the driver for it is not installed.
        """
        url = database_url(url_or_path)
        path, lock = sqlite_path(url), None
        if path is not None:
            _prepare_place(path, create=create)
            lock = Lock(path) if exclusive else None
            if fresh:
                _remove(path)
        try:
            store = cls(url, lock)
            store._begin(source, exclusive=exclusive, fresh=fresh and path is None)
        except BaseException:
            if lock is not None:
                lock.release()
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
            The disk is full, or somebody keeps the database locked: nothing of this commit is stored. Or the
            connection to a server was lost: then all of it is stored or nothing, and only another `open` tells.
        """
        revision = self.revision + 1
        moved = {anomaly.id: anomaly for anomaly in commit.open_anomalies if self._stored.get(anomaly.id) != anomaly}
        current = {change.anomaly.id: change.anomaly for change in commit.changes} | moved
        clock = msgspec.structs.replace(commit.clock, revision=revision)
        meta = [
            {"key": "clock", "value": msgspec.json.encode(clock).decode()},
            {"key": "unnamed", "value": str(commit.unnamed)},
        ]
        bars = [values for increments in commit.bars for values in bar_values(increments, revision)]
        with plain_errors(self.url), self._engine.begin() as connection:
            for statement, rows in (
                (self._statements.changes, [change_values(change) for change in commit.changes]),
                (self._statements.anomalies, [anomaly_values(anomaly) for anomaly in current.values()]),
                (self._statements.bars, bars),
                (self._statements.feed, [feed_values(row) for row in commit.feed]),
                (self._statements.state, [{"name": name, "value": blob} for name, blob in commit.state.items()]),
                (self._statements.meta, meta),
            ):
                write(connection, statement, rows)
            if commit.quarantine:
                _set_aside(connection, commit.quarantine)
            for answer in commit.answers:
                write_answer(connection, answer)
        self._stored = {anomaly.id: anomaly for anomaly in commit.open_anomalies}
        self.revision = revision
        return revision

    def source(self) -> Source | None:
        """Return where this database's rows come from."""
        with self._reading() as connection:
            return log.source(connection)

    def state(self, name: str) -> bytes | None:
        """Return the blob that the last commit left under a name."""
        with self._reading() as connection:
            return log.state(connection, name)

    def feed(self) -> list[FeedRow]:
        """Return every lane's state and counters."""
        with self._reading() as connection:
            return log.feed(connection)

    def changes_after(self, seq: int, limit: int = 1_000) -> list[LoggedChange]:
        """Return entries of the log of changes above `seq`, at most `limit`, in order."""
        with self._reading() as connection:
            return log.changes_after(connection, seq, limit)

    def pending_requests(self) -> list[Request]:
        """Return the requests that nobody has answered, oldest first, but for those that alerting answers."""
        with self._reading() as connection:
            return log.pending_requests(connection, of_alerting=False)

    def note(self, key: str, value: str) -> None:
        """Write a value of the table ``meta``: the text of its JSON."""
        with plain_errors(self.url), self._engine.begin() as connection:
            connection.execute(self._statements.meta, [{"key": key, "value": value}])

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

    def _begin(self, source: Source | None, *, exclusive: bool, fresh: bool) -> None:
        try:
            with plain_errors(self.url):
                if self._engine.dialect.name == "postgresql":
                    with self._engine.connect() as connection:
                        if exclusive:
                            lock_session(connection, self.name)
                    # With its session a lock is gone, and what we believe to be stored may be past.
                    hold_one_session(self._engine, lost(self.url))
                with self._engine.begin() as connection:
                    migrate(connection, self.name, fresh=fresh)
                    if source is not None:
                        self._claim(connection, source)
                    clock = log.clock(connection)
                    self.revision = clock.revision if clock else 0
        except BaseException:
            self._engine.dispose()
            raise

    def _claim(self, connection: Connection, source: Source) -> None:
        text = log.meta(connection, "source")
        if text is None:
            value = msgspec.json.encode(source).decode()
            connection.execute(self._statements.meta, [{"key": "source", "value": value}])
            return
        found = msgspec.json.decode(text, type=Source)
        if found == source:
            self._check_venue(connection, source)
            return
        if found == msgspec.structs.replace(source, digest=found.digest):
            raise StoreError(
                f"{self.name}: belongs to {source} as it was; its files, their format or the symbol are others "
                "now. Choose another database with --db"
            )
        raise StoreError(
            f"{self.name}: belongs to the source {found}, not to {source}; choose another database with --db"
        )

    def _check_venue(self, connection: Connection, source: Source) -> None:
        # Before simulated trades had a venue of their own they were called Coinbase's. Identities of anomalies hold the
        # venue, so nothing is renamed; and one market under two names would be two, one of them silent for ever.
        if source.kind == SIMULATED or source.seed is not None:
            query = select(schema.feed.c.venue).where(schema.feed.c.venue != SIMULATED).limit(1)
            if (venue := connection.execute(query).scalar()) is not None:
                raise StoreError(
                    f"{self.name}: holds simulated trades under the name {venue}, as an older version called them; it "
                    "can still be shown, but not be filled further. Choose another database with --db, or begin anew "
                    "with tapewatch demo"
                )


def history_of(url_or_path: str | Path) -> tuple[str, list[Migration]]:
    """Name a database to a person, and tell which migrations it has; it is only read.

    Raises
    ------
    StoreError
        A newer program wrote it, or it is somebody else's, or it cannot be read.
    """
    url = database_url(url_or_path)
    path, name = sqlite_path(url), name_of(url)
    if path is not None and not path.exists():
        return name, pending()
    engine = open_engine(url, read_only=True)
    try:
        with plain_errors(url), engine.connect() as connection:
            return name, history(connection, name)
    finally:
        engine.dispose()


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


def _set_aside(connection: Connection, quarantine: Sequence[Quarantined]) -> None:
    table = schema.quarantine
    connection.execute(insert(table), [quarantined_values(item) for item in quarantine])
    newest = connection.execute(select(func.max(table.c.seq))).scalar_one()
    connection.execute(delete(table).where(table.c.seq <= newest - QUARANTINE_KEPT))


def write_answer(connection: Connection, answer: Answer) -> None:
    """Write what became of a request into its row."""
    table = schema.requests
    values = {"answered_ts": answer.answered_ts, "answer": storable(answer.answer)}
    connection.execute(update(table).where(table.c.seq == answer.seq).values(values))
