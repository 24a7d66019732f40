"""What alerting remembers: one `Decision` in, in one transaction; what is new in the log and what must be sent out.

It belongs to the one process that tells a database's anomalies, beside the one that writes them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, Select, delete, func, insert, select, update

from tapewatch import telemetry
from tapewatch.alert import Mark, Silence
from tapewatch.errors import DatabaseAwayError, StoreError
from tapewatch.model import NS, Anomaly, Change
from tapewatch.store import log, schema
from tapewatch.store.engine import database_url, hold_one_session, name_of, open_engine, sqlite_path
from tapewatch.store.lock import TELLER, Lock, lock_session
from tapewatch.store.migrations import migrate
from tapewatch.store.records import Attempt, ChannelRow, Decision, Fresh, Kept, LoggedChange, Post, Source
from tapewatch.store.refusals import lost, plain_errors
from tapewatch.store.sql import Reader, write_answer
from tapewatch.store.statements import replace, upsert
from tapewatch.store.values import Values, alert_values, plain_values, post_of, post_values, storable

MEMORY = "alerts"
"""How the names of the desk's pages begin in the table ``state``."""

POSITION = "reader:alerts"

DAY_NS = 86_400 * NS
"""A silence that ended so long before all that is new is not looked at any more."""

BEAT = "alerting"
"""Key in the table ``meta`` of the moment at which alerting was there last, ns by our clock."""

IDS_MAX = 500
"""Anomalies that one query asks for."""

VERDICTS = {"symbol": "sent", "market": "grouped", "digest": "digest", "health": "sent"}
"""What an alert's verdict is once a message of a kind that names it was accepted."""


class Outbox:
    """Alerting's part of a database; made by `open`.

    Attributes
    ----------
    name
        What to call the database to a person; no password is in it.
    reader
        Reads the same database.
    epoch
        Tells this database from another one under the same name.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self.url = database_url(url_or_path)
        self.name = name_of(self.url)
        self.reader = Reader(url_or_path)
        self._engine = open_engine(self.url, read_only=False)
        self._lock: Lock | None = None
        self.epoch = ""
        self._born: tuple[str, Source | None] = ("", None)
        dialect = self._engine.dialect.name
        self._alerts = upsert(dialect, schema.alerts, ("change_seq", "channel"), replace)
        self._channels = upsert(dialect, schema.channels, ("name",), replace)
        self._marks = upsert(dialect, schema.marks, ("anomaly_id",), replace)
        self._meta = upsert(dialect, schema.meta, ("key",), replace)
        self._state = upsert(dialect, schema.state, ("name",), replace)

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Open a database for telling its anomalies; its tables are made where it is a server's and has none.

        Raises
        ------
        StoreError
            There is none, another process tells its anomalies, or a newer program wrote it.
        ConfigError
            It is no address of a database, or the driver for it is not installed.
        """
        outbox = cls(url_or_path)
        try:
            outbox._begin()
        except BaseException:
            outbox.close()
            raise
        return outbox

    def _begin(self) -> None:
        path = sqlite_path(self.url)
        if path is not None:
            if not path.exists():
                raise StoreError(f"{self.name}: there is no database yet; start tapewatch run, or give another --db")
            self._lock = Lock(path, TELLER)
        with plain_errors(self.url):
            if path is None:
                with self._engine.connect() as connection:
                    lock_session(connection, self.name, TELLER)
                hold_one_session(self._engine, lost(self.url))  # with its session a lock is gone
            with self._engine.begin() as connection:
                migrate(connection, self.name)
                self.epoch, self._born = log.epoch(connection), (log.created(connection), log.source(connection))

    def kept(self) -> Kept:
        """Read what was remembered when alerting ended last."""
        with self.reader.connect() as connection:
            position = _position(connection)
            memory = log.states(connection, MEMORY)
            channels = [ChannelRow(**row._mapping) for row in connection.execute(select(schema.channels))]  # noqa: SLF001  # SQLAlchemy's public name
            m = schema.messages.c
            counted = select(m.channel, func.count()).where(m.state == "waiting").group_by(m.channel)
            waiting: dict[str, int] = dict(connection.execute(counted).all())
            number = connection.execute(select(func.max(m.number))).scalar() or 0
            return Kept(position, number, memory, waiting, channels)

    def fresh(self, after: int, limit: int) -> Fresh:
        """Read what is new in the log, at most `limit` changes, and what people want.

        Raises
        ------
        DatabaseAwayError
            The database was replaced by another one.
        """
        with self.reader.connect() as connection:
            source, created = log.source(connection), log.created(connection)
            if self._born not in ((created, source), (created, None)):
                raise DatabaseAwayError(f"{self.name}: another database stands there now; it is opened again")
            if self._born[1] != source:  # its first writer has come
                self.epoch, self._born = log.epoch(connection), (created, source)
            logged = log.changes_after(connection, after, limit)
            changes = [(each.seq, change) for each in logged if (change := _change(each)) is not None]
            requests = log.pending_requests(connection, of_alerting=True)
            read = logged[-1].seq if logged else after
            last = connection.execute(select(func.max(schema.changes.c.seq))).scalar() or read
            clock = log.clock(connection)
            since = min([*([] if clock is None else [clock.now_ts]), *(each.at for each in logged)], default=0) - DAY_NS
            held = silences(connection, since)
            return Fresh(clock, source, changes, held, requests, read, max(0, last - read))

    def commit(self, decision: Decision) -> None:
        """Store a decision in one transaction."""
        pages = [(f"{MEMORY}{name}", page) for name, page in decision.memory.items()]
        state = [{"name": name, "value": page} for name, page in pages if page]
        empty = [name for name, page in pages if not page]
        with plain_errors(self.url), self._engine.begin() as connection:
            for statement, rows in (
                (self._alerts, [alert_values(alert, decision.judged_ts) for alert in decision.alerts]),
                (insert(schema.messages), [post_values(post) for post in decision.posts]),
                (self._marks, [plain_values(mark) for mark in decision.marks]),
                (self._meta, [{"key": POSITION, "value": str(decision.position)}]),
                (self._state, state),
            ):
                if rows:
                    connection.execute(statement, rows)
            if empty:
                connection.execute(delete(schema.state).where(schema.state.c.name.in_(empty)))
            for silence in decision.silences:
                _write_silence(connection, silence)
            for answer in decision.answers:
                write_answer(connection, answer)
            if decision.retries:
                _begin_again(connection, decision.retries, decision.judged_ts)
            if decision.dismissed:
                _dismiss(connection, decision.dismissed)

    def tried(self, post: Post, attempt: Attempt, channel: ChannelRow) -> int:
        """Store how an attempt ended, what became of the message and its alerts, and how the channel stands.

        Parameters
        ----------
        post
            As it stands after the attempt; a sample stands nowhere.

        Returns
        -------
        int
            How many alerts ended with it.
        """
        with plain_errors(self.url), self._engine.begin() as connection:
            ended = 0 if post.kind == "sample" else _write_try(connection, post, attempt)
            connection.execute(self._channels, plain_values(channel))
            return ended

    def waiting(self, channel: str, limit: int) -> list[Post]:
        """Read what waits for a channel, what is due first in front."""
        m = schema.messages.c
        query = select(schema.messages).where(m.state == "waiting", m.channel == channel)
        with self.reader.connect() as connection:
            return posts(connection, query.order_by(m.next_try_ts, m.number).limit(limit))

    def some(self, numbers: Sequence[int]) -> list[Post]:
        """Read messages by their numbers."""
        with self.reader.connect() as connection:
            return posts(connection, select(schema.messages).where(schema.messages.c.number.in_(numbers)))

    def standing(self, ids: Iterable[str]) -> dict[str, Anomaly]:
        """Read anomalies as they stand, by id; those that there are not are left out."""
        wanted, found = sorted(ids), dict[str, Anomaly]()
        with self.reader.connect() as connection:
            for start in range(0, len(wanted), IDS_MAX):
                found |= log.anomalies(connection, wanted[start : start + IDS_MAX])
        return found

    def mark_of(self, anomaly_id: str) -> Mark | None:
        """Read what a person has said of an anomaly so far.

        Raises
        ------
        LookupError
            There is no such anomaly.
        """
        with self.reader.connect() as connection:
            if log.anomaly(connection, anomaly_id) is None:
                raise LookupError(f"there is no anomaly {anomaly_id!r}")
            row = connection.execute(select(schema.marks).where(schema.marks.c.anomaly_id == anomaly_id)).first()
            return None if row is None else Mark(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name

    def undelivered(self, number: int) -> str | None:
        """Tell the channel of a message that was given up, dismissed or not; None: there is no such message."""
        m = schema.messages.c
        with self.reader.connect() as connection:
            given_up = m.state.in_(("undelivered", "dismissed"))
            return connection.execute(select(m.channel).where(m.number == number, given_up)).scalar()

    def stand(self, channels: Iterable[ChannelRow], now: int) -> None:
        """Store which channels there are and how they stand; what waits for one that is no more ends here.

        Parameters
        ----------
        now
            Our clock, ns.
        """
        rows = [plain_values(channel) for channel in channels]
        with plain_errors(self.url), self._engine.begin() as connection:
            names = [row["name"] for row in rows]
            connection.execute(delete(schema.channels).where(schema.channels.c.name.not_in(names)))
            _abandon(connection, names, now)
            connection.execute(self._meta, _beat(now))
            if rows:
                connection.execute(self._channels, rows)

    def beat(self, now: int) -> None:
        """Tell readers that somebody tells this database's anomalies; `now` is our clock, ns."""
        with plain_errors(self.url), self._engine.begin() as connection:
            connection.execute(self._meta, _beat(now))

    def close(self) -> None:
        """Let the next process in."""
        self.reader.close()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def forget_channels(url_or_path: str | Path, now: int) -> None:
    """Note that a database's anomalies are told to nobody any more, unless another process tells them.

    Parameters
    ----------
    now
        Our clock, ns.
    """
    try:
        outbox = Outbox.open(url_or_path)
    except StoreError:
        return
    try:
        outbox.stand([], now)
    finally:
        outbox.close()


def posts(connection: Connection, query: Select[Any]) -> list[Post]:
    """Read messages as a query over all columns of ``messages`` finds them."""
    return [post_of(row) for row in connection.execute(query)]


def silences(connection: Connection, after: int, past: int = 0) -> list[Silence]:
    """Read the silences that end after a moment, ns by the lanes' clock, and the newest `past` others; newest first."""
    s = schema.silences.c
    query = select(schema.silences).order_by(s.number.desc())
    parts = (query.where(s.until > after), query.where(s.until <= after).limit(past))
    found = [Silence(**row._mapping) for part in parts for row in connection.execute(part)]  # noqa: SLF001  # SQLAlchemy's public name
    return sorted(found, key=lambda each: -each.number)


def _position(connection: Connection) -> int:
    # Who begins on a database that is older than a day tells nobody what is longer ago than that.
    kept = log.meta(connection, POSITION)
    if kept is not None:
        return int(kept)
    clock, c = log.clock(connection), schema.changes.c
    old = select(func.max(c.seq)).where(c.at < (0 if clock is None else clock.now_ts) - DAY_NS)
    return connection.execute(old).scalar() or 0


def _change(logged: LoggedChange) -> Change | None:
    # One that cannot be read must not keep all others from being told.
    try:
        anomaly = msgspec.json.decode(logged.record, type=Anomaly)
    except msgspec.DecodeError as error:
        telemetry.log(telemetry.UNREADABLE, seq=logged.seq, symbol=logged.symbol, error=error)
        return None
    return Change(logged.change, logged.at, logged.ordinal, anomaly)


def _write_silence(connection: Connection, silence: Silence) -> None:
    table, values = schema.silences, plain_values(silence)
    number = values.pop("number")
    if number:
        connection.execute(update(table).where(table.c.number == number).values(values))
    else:
        connection.execute(insert(table), values)


def _write_try(connection: Connection, post: Post, attempt: Attempt) -> int:
    m = schema.messages.c
    changed = {name: getattr(post, name) for name in ("state", "attempts", "next_try_ts", "done_ts")}
    waits = (m.number == post.number, m.state == "waiting")  # what was accepted stays so
    connection.execute(update(schema.messages).where(*waits).values(**changed, error=storable(post.error)))
    connection.execute(insert(schema.attempts), plain_values(attempt))
    return 0 if post.done_ts is None else _end_alerts(connection, post)


def _end_alerts(connection: Connection, post: Post) -> int:
    table = schema.alerts
    accepted = post.state == "sent"
    values: Values = {"verdict": VERDICTS[post.kind] if accepted else "undelivered", "judged_ts": post.done_ts}
    if not accepted:
        values["reason"] = storable(f"message {post.number} was not delivered: {post.error}")
    named = (table.c.message == post.number, table.c.verdict.is_(None))
    return connection.execute(update(table).where(*named).values(values)).rowcount


def _beat(now: int) -> Values:
    return {"key": BEAT, "value": str(now)}


def _abandon(connection: Connection, names: Sequence[str], now: int) -> None:
    table, why = schema.messages, "its channel was removed"
    lost = (table.c.state == "waiting", table.c.channel.not_in(names))
    ended = {"verdict": "undelivered", "reason": f"not delivered: {why}", "judged_ts": now}
    of_lost = schema.alerts.c.message.in_(select(table.c.number).where(*lost))
    connection.execute(update(schema.alerts).where(of_lost).values(ended))
    connection.execute(update(table).where(*lost).values({"state": "undelivered", "done_ts": now, "error": why}))


def _dismiss(connection: Connection, numbers: Sequence[int]) -> None:
    table = schema.messages
    given_up = (table.c.number.in_(numbers), table.c.state == "undelivered")
    connection.execute(update(table).where(*given_up).values({"state": "dismissed"}))


def _begin_again(connection: Connection, numbers: Sequence[int], now: int) -> None:
    table, values = schema.messages, {"state": "waiting", "again_ts": now, "next_try_ts": now, "done_ts": None}
    connection.execute(update(table).where(table.c.number.in_(numbers)).values(values))
    waits = {"verdict": None, "reason": "its message is tried again", "judged_ts": now}
    connection.execute(update(schema.alerts).where(schema.alerts.c.message.in_(numbers)).values(waits))
