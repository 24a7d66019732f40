"""One look at the database: everything that is new since a place, from one short transaction.

In: a reader, a place, the wall clock, what is wanted. Out: `News`. No task and no state: the live channel
looks for all pages at once, and for each page that joins.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct, structs
from sqlalchemy import Connection

from tapewatch.errors import StoreError
from tapewatch.model import Anomaly
from tapewatch.store import log
from tapewatch.store.records import LoggedChange
from tapewatch.store.sql import Reader
from tapewatch.view import queries
from tapewatch.view.alert_wire import StandingPicture, standing_picture
from tapewatch.view.alerts import standing
from tapewatch.view.panel_wire import Tally, WatchRow, tally, watch_rows
from tapewatch.view.queries import DAY_NS, Filter, LiveBar, Place
from tapewatch.view.status import Status, status, watchlist
from tapewatch.view.verdict import verdict
from tapewatch.view.wire import Now, now_picture, trouble

NOWHERE = Place("", 0, 0)
"""The place of whoever has seen nothing yet, and of a database that does not exist yet."""


class Wanted(Struct, frozen=True):
    """What a look is for.

    Attributes
    ----------
    picture
        Verdict and feed, how alerting stands, and the anomalies that are open.
    panels
        Watch-list and counts.
    filters
        To count by.
    """

    picture: bool = True
    panels: bool = True
    filters: tuple[Filter, ...] = ()


class News(Struct, frozen=True):
    """What a look has found.

    Attributes
    ----------
    place
        Where the database stands.
    complete
        False where `bars` and `changes` are not all: another database, or too much at once.
    opened
        All anomalies that are open; None where nobody asked.
    """

    place: Place
    complete: bool = True
    bars: list[LiveBar] = []
    changes: list[LoggedChange] = []
    opened: list[Anomaly] | None = None
    now: Now | None = None
    alerting: StandingPicture | None = None
    watch: tuple[WatchRow, ...] | None = None
    tallies: dict[Filter, Tally] = {}


def look(reader: Reader, since: Place, wall_ns: int, wanted: Wanted, differs: str = "") -> News:
    """Read what is new; an unreadable database is news too.

    Parameters
    ----------
    since
        Where the asker stands; at `NOWHERE` it is told the place and the pictures, but no bars and changes.
    wall_ns
        Wall clock of who writes it, ns since the epoch.
    differs
        How ours differs from that, for a person.
    """
    try:
        if not reader.ready():
            return News(NOWHERE, complete=since.epoch == "", now=_nothing_yet(wall_ns), watch=())
        with reader.connect() as conn:
            return _look(conn, since, wall_ns, wanted, differs)
    except StoreError as error:
        return News(since, now=trouble(str(error), wall_ns))


def tally_of(conn: Connection, wanted: Filter, now_ns: int) -> Tally:
    """Count under a filter; the hours are those of today, by the lanes' clock in UTC."""
    midnight = now_ns - now_ns % DAY_NS
    hours = queries.histogram(conn, wanted, midnight, midnight + DAY_NS)
    return tally(queries.counts(conn, wanted, now_ns), hours, nothing=not wanted.severities)


def _look(conn: Connection, since: Place, wall_ns: int, wanted: Wanted, differs: str) -> News:
    place = queries.place(conn)
    known = since.epoch == place.epoch
    tail = queries.tail(conn, since.seq, since.revision) if known and since != place else None
    opened = now = watch = alerting = None
    tallies: dict[Filter, Tally] = {}
    if wanted.picture or wanted.panels:
        feed = structs.replace(status(conn, wall_ns), differs=differs)
        opened = queries.open_anomalies(conn)
        command = msgspec.json.decode(log.meta(conn, "command") or '""', type=str)
        now = now_picture(feed, verdict(opened), command)
        alerting = standing_picture(standing(conn, wall_ns))
        if wanted.panels:
            watch = watch_rows(feed, watchlist(conn, feed))
            tallies = _tallies(conn, feed, wanted.filters)
    return News(
        place=place,
        complete=since.epoch == "" or (known and (tail is None or tail.complete)),
        bars=tail.bars if tail else [],
        changes=tail.changes if tail else [],
        opened=opened,
        now=now,
        alerting=alerting,
        watch=watch,
        tallies=tallies,
    )


def _tallies(conn: Connection, feed: Status, filters: Iterable[Filter]) -> dict[Filter, Tally]:
    return {each: tally_of(conn, each, feed.now_ns) for each in filters}


def _nothing_yet(wall_ns: int) -> Now:
    waiting = Status(
        source=None,
        now_ns=wall_ns,
        as_of_ns=wall_ns,
        speed=1.0,
        revision=0,
        running=False,
        state="waiting",
        reason="",
        age_s=None,
        feed=(),
        latency_p50_ms=None,
        latency_p99_ms=None,
        next_try_s=None,
        attempts=0,
        trades=0,
        trades_per_min=0,
        duplicates=0,
        quarantined=0,
        gaps_open=0,
        gaps_filled=0,
        gaps_given_up=0,
        reconnects=0,
    )
    return now_picture(waiting, verdict(()))
