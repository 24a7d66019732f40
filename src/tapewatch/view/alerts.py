"""What dashboards and commands ask about alerting: an open connection in, frozen values out.

    alerts(conn, wanted, now_ns, limit, before) -> [AlertLine]    what was told to whom, what was held back and why
    alerts_of(conn, anomaly_ids) -> [AlertLine]                   the same of some anomalies
    messages(conn, states, channel, limit) -> [MessageLine]
    message(conn, number) -> MessageStory | None                  a message as it was sent, with every attempt
    channels(conn) -> [ChannelLine]                               how each channel stands, and what waits for it
    silences(conn, lanes_ns) -> [Silence]                         newest first
    standing(conn, wall_ns) -> Standing                           all of it in a few numbers
    lanes_ns(conn, wall_ns) -> int                                what time it is for alerting

Pure reads, for SQLite and PostgreSQL. What people said of anomalies is in `marks`.
"""

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, literal_column, or_, select, tuple_

from tapewatch.alert import TOLD, Alert, DeliveryState, Silence, Verdict
from tapewatch.model import NS, Anomaly
from tapewatch.store import log, outbox, schema
from tapewatch.store.outbox import BEAT, POSITION, posts
from tapewatch.store.records import LIVE_NS, Attempt, ChannelRow, Post

AL, ME, CH = schema.alerts.c, schema.messages.c, schema.changes.c

Outcome = Literal["told", "waiting", "held back", "undelivered", "not taken"]

OUTCOMES: Final[dict[Outcome, tuple[Verdict | None, ...]]] = {
    "told": TOLD,
    "waiting": (None,),
    "held back": ("cooling", "small", "silenced", "held"),
    "undelivered": ("undelivered",),
    "not taken": ("unrouted",),
}
"""What became of an alert in a word, and the verdicts that it stands for; what a channel was never to be told is of its
own kind: it is most of what happens."""

SILENT_S: Final = 40.0
"""Alerting gives a sign of life every ten seconds; without one for so long it is not there."""

ATTEMPTS_MAX: Final = 200
SILENCES_PAST: Final = 200


class AlertFilter(Struct, frozen=True):
    """What a person wants to see of alerts; an empty field does not restrict.

    Attributes
    ----------
    within_s
        Only what happened in the last so many seconds of the lanes' clock; None for all.
    min_size
        Only of anomalies so many times their limit; those of a feed have no size.
    largest_first
        List by size, not by time.
    """

    channels: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    symbols: tuple[str, ...] = ()
    within_s: int | None = None
    min_size: float = 0.0
    largest_first: bool = False


class AlertLine(Struct, frozen=True):
    """An alert, and what became of it.

    Attributes
    ----------
    alert
        Its anomaly stands as it did after the change that the alert is about.
    judged_ts
        When verdict or reason changed last, ns by our clock.
    delivery
        How the message that names it stands; None where none does.
    sent_ts
        When that message was accepted, or given up, ns by the lanes' clock; None before, and where there is none.
    """

    alert: Alert
    judged_ts: int
    delivery: DeliveryState | None = None
    sent_ts: int | None = None

    @property
    def outcome(self) -> Outcome:
        """What became of it in a word."""
        return next(name for name, verdicts in OUTCOMES.items() if self.alert.verdict in verdicts)


class MessageLine(Struct, frozen=True):
    """A message, and how many alerts it names."""

    post: Post
    alerts: int


class MessageStory(Struct, frozen=True):
    """A message with all that happened to it.

    Attributes
    ----------
    attempts
        The latest, in their order.
    alerts
        In the order of the log.
    """

    post: Post
    attempts: list[Attempt]
    alerts: list[AlertLine]


class ChannelLine(Struct, frozen=True):
    """How a channel stands, and how many of its messages wait or were given up."""

    row: ChannelRow
    waiting: int = 0
    undelivered: int = 0


class Standing(Struct, frozen=True):
    """Alerting in a few numbers.

    Attributes
    ----------
    waiting, undelivered
        Messages, also those of channels that are no more.
    silences
        How many hold now.
    lanes_ns
        When that was, by the lanes' clock as alerting reads it.
    behind
        Changes of the log that nobody has judged yet.
    silent_s
        Seconds from alerting's last sign of life to the last commit.
    mark
        Another one whenever anything in here or in any list of this module may have changed.
    said
        Another one whenever a person may have said something of an anomaly.
    """

    channels: tuple[ChannelLine, ...] = ()
    waiting: int = 0
    undelivered: int = 0
    silences: int = 0
    lanes_ns: int = 0
    behind: int = 0
    silent_s: float = 0.0
    mark: str = ""
    said: str = ""

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the channels that accept nothing."""
        return tuple(each.row.name for each in self.channels if each.row.state == "failing")

    @property
    def unattended(self) -> bool:
        """Whether there are channels but nobody who tells them anything."""
        return bool(self.channels) and self.silent_s > SILENT_S


def alerts(
    conn: Connection, wanted: AlertFilter, now_ns: int, limit: int, before: tuple[int, int, str] | None = None
) -> list[AlertLine]:
    """List alerts, newest first, or by the size of their anomalies.

    Parameters
    ----------
    now_ns
        By the lanes' clock.
    before
        (at, seq, channel) of the last one of the page before.
    """
    query = _lines().where(*_choices(wanted))
    if wanted.within_s is not None:
        query = query.where(AL.at >= now_ns - wanted.within_s * NS)
    if before is not None:
        query = query.where(AL.at <= before[0], tuple_(AL.at, AL.change_seq, AL.channel) < tuple_(*before))
    order = [AL.at.desc(), AL.change_seq.desc(), AL.channel.desc()]
    if wanted.min_size or wanted.largest_first:
        query = query.where(AL.size >= wanted.min_size) if wanted.min_size else query
        order = [func.coalesce(AL.size, 0.0).desc(), *order] if wanted.largest_first else order
    return [_line(row) for row in conn.execute(query.order_by(*order).limit(limit))]


def alerts_of(conn: Connection, anomaly_ids: Collection[str], limit: int = 500) -> list[AlertLine]:
    """List what was told of some anomalies and what was not, oldest first."""
    query = _lines().where(AL.anomaly_id.in_(anomaly_ids)).order_by(AL.change_seq, AL.channel).limit(limit)
    return [_line(row) for row in conn.execute(query)]


def messages(
    conn: Connection,
    states: Sequence[DeliveryState] = (),
    channel: str | None = None,
    limit: int = 100,
) -> list[MessageLine]:
    """List messages, newest first; without `states`, those in any."""
    query = select(schema.messages).order_by(ME.number.desc()).limit(limit)
    if states:
        query = query.where(ME.state.in_(states))
    if channel is not None:
        query = query.where(ME.channel == channel)
    listed = query.with_only_columns(ME.number).subquery()
    of_listed = listed.outerjoin(schema.alerts, AL.message == listed.c.number)  # carried out from the left
    named = select(AL.message, func.count()).select_from(of_listed).group_by(AL.message)
    counts: dict[int, int] = dict(conn.execute(named).all())
    found = posts(conn, query)
    return [MessageLine(post, counts.get(post.number, 0)) for post in found]


def message(conn: Connection, number: int) -> MessageStory | None:
    """Find a message with its attempts and what it tells; None where there is none of that number."""
    found = posts(conn, select(schema.messages).where(ME.number == number))
    if not found:
        return None
    columns = [schema.attempts.c[name] for name in Attempt.__struct_fields__]
    tried = select(*columns).where(schema.attempts.c.message == number).order_by(schema.attempts.c.seq.desc())
    attempts = [Attempt(*row) for row in conn.execute(tried.limit(ATTEMPTS_MAX))]
    told = _lines().where(AL.message == number).order_by(AL.change_seq)
    return MessageStory(found[0], attempts[::-1], [_line(row) for row in conn.execute(told)])


def channels(conn: Connection) -> list[ChannelLine]:
    """List the channels, those that fail first."""
    return _channels(conn, _undone(conn))


def silences(conn: Connection, lanes_ns: int) -> list[Silence]:
    """List silences, newest first: all that hold or are to come, and the latest that were."""
    return outbox.silences(conn, lanes_ns, past=SILENCES_PAST)


def lanes_ns(conn: Connection, wall_ns: int) -> int:
    """Tell what time it is for alerting, ns, where `wall_ns` is our clock: a market goes on where nothing is stored."""
    clock = log.clock(conn)
    return wall_ns if clock is None else clock.lanes_ns(wall_ns)


def on_lanes_clock(ts: int, at: int, made_ts: int) -> int:
    """Tell when something happened to a message, ns by the lanes' clock, where `ts` is ours.

    Parameters
    ----------
    at, made_ts
        When it was decided by the lanes' clock, and made by ours: far apart on a replay, where they are one moment.
    """
    return ts if abs(made_ts - at) < LIVE_NS else at + ts - made_ts


def standing(conn: Connection, wall_ns: int) -> Standing:
    """Read how alerting stands; cheap enough for twice a second.

    Parameters
    ----------
    wall_ns
        Our clock.
    """
    now_ns = lanes_ns(conn, wall_ns)
    counts = _undone(conn)
    lines = _channels(conn, counts)
    position = int(log.meta(conn, POSITION) or 0)
    clock, beat = log.clock(conn), log.meta(conn, BEAT)
    s, r = schema.silences.c, schema.requests.c
    waiting = and_(AL.channel.in_([line.row.name for line in lines]), AL.verdict.is_(None))
    parts = {
        "last": select(func.max(CH.seq)),
        "held": select(func.count()).select_from(schema.silences).where(s.until > now_ns, s.since <= now_ns),
        "asked": select(func.max(r.seq)),
        "answered": select(r.answered_ts).order_by(r.seq.desc()).limit(1),
        # Whatever alerting does leaves a new number in one of these: a decision, a message, an attempt.
        "judged": select(func.max(AL.change_seq)),
        "written": select(func.max(ME.number)),
        "tried": select(func.max(schema.attempts.c.seq)),
        "wait": select(func.count()).select_from(schema.alerts).where(waiting),
        "waited": select(func.max(AL.judged_ts)).where(waiting),
    }
    row = conn.execute(select(*(part.scalar_subquery().label(name) for name, part in parts.items()))).one()
    return Standing(
        channels=tuple(lines),
        waiting=sum(count for (state, _), count in counts.items() if state == "waiting"),
        undelivered=sum(count for (state, _), count in counts.items() if state == "undelivered"),
        silences=row.held,
        lanes_ns=now_ns,
        behind=max(0, (row.last or 0) - position),
        silent_s=0.0 if clock is None or beat is None else max(0, clock.wall_ts - int(beat)) / NS,
        mark=blake2b(repr((position, sorted(counts.items()), lines, *row[1:])).encode(), digest_size=8).hexdigest(),
        said=f"{row.asked}-{row.answered}",
    )


def _channels(conn: Connection, counts: Mapping[tuple[str, str], int]) -> list[ChannelLine]:
    columns = [schema.channels.c[name] for name in ChannelRow.__struct_fields__]
    rows = [ChannelRow(*row) for row in conn.execute(select(*columns).order_by(schema.channels.c.name))]
    lines = [
        ChannelLine(row, counts.get(("waiting", row.name), 0), counts.get(("undelivered", row.name), 0)) for row in rows
    ]
    return sorted(lines, key=lambda each: each.row.state != "failing")


def _undone(conn: Connection) -> dict[tuple[str, str], int]:
    undone = (
        select(ME.state, ME.channel, func.count())
        .where(ME.state.in_(("waiting", "undelivered")))
        .group_by(ME.state, ME.channel)
    )
    return {(state, channel): count for state, channel, count in conn.execute(undone)}


def _lines() -> Select[Any]:
    return (
        select(schema.alerts, CH.record, ME.state.label("delivery"), ME.at.label("decided"), ME.made_ts, ME.done_ts)
        .join(schema.changes, CH.seq == AL.change_seq)
        .outerjoin(schema.messages, ME.number == AL.message)
    )


def _line(row: Row[Any]) -> AlertLine:
    alert = Alert(
        row.change_seq,
        row.channel,
        row.occasion,
        row.at,
        msgspec.json.decode(row.record, type=Anomaly),
        row.verdict,
        row.reason,
        row.message,
    )
    sent_ts = None if row.done_ts is None else on_lanes_clock(row.done_ts, row.decided, row.made_ts)
    return AlertLine(alert, row.judged_ts, row.delivery, sent_ts)


def _choices(wanted: AlertFilter) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = [
        column.in_(values) for column, values in ((AL.channel, wanted.channels), (AL.symbol, wanted.symbols)) if values
    ]
    if wanted.outcomes and set(wanted.outcomes) != set(OUTCOMES):
        verdicts = [verdict for outcome in wanted.outcomes for verdict in OUTCOMES[outcome]]
        named = [verdict for verdict in verdicts if verdict is not None]
        # The rare ones by themselves, and written out, have indexes of their own.
        some = AL.verdict == literal_column(f"'{named[0]}'") if len(named) == 1 else AL.verdict.in_(named)
        parts = [*([some] if named else []), *([AL.verdict.is_(None)] if None in verdicts else [])]
        chosen.append(or_(*parts))
    return chosen
