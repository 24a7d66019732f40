"""Is it live, what does each lane do, what stands in the watch-list.

In: an open connection and the wall clock. Out: `Status` and `Watch`, frozen. "Now" is the lanes' clock,
carried on by the wall clock since the last commit, so that a replayed tape looks live.
"""

from collections.abc import Collection, Iterable, Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sqlalchemy import Connection, FromClause, and_, func, select

from tapewatch.figures import clock as clock_words
from tapewatch.figures import decimals_of_lane, duration
from tapewatch.model import NS, PRICE_SCALE, Lane, Severity
from tapewatch.store.records import Clock, FeedRow, Source
from tapewatch.store.schema import anomalies as anomalies_table
from tapewatch.store.schema import bars as bars_table
from tapewatch.store.schema import feed as feed_table
from tapewatch.store.schema import meta as meta_table
from tapewatch.store.sight import RUNNING_NS
from tapewatch.store.values import feed_row
from tapewatch.words import SEVERITIES, FeedWord

SILENCE = "silent_feed"
"""The rule that knows when a live lane is stale, by the limit that somebody has set for it."""

STALE_NS = 5 * NS
"""A live lane without a frame for so long is stale where that rule is not armed."""

HOUR_S = 3_600
WHOLE_HOUR_S = 3_540
"""Bars that reach back so far tell of a whole hour: the first of them may begin up to a minute late."""

SPARK_POINTS = 60

SEVERITY_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class Status(Struct, frozen=True):
    """The feed and the runtime as a person should think of them.

    Attributes
    ----------
    now_ns
        "Now" on the lanes' clock.
    as_of_ns
        The moment that what is shown stands for: `now_ns` while live, else that of the last frame.
    speed
        Seconds of the lanes' clock in a second of ours; 1 where the feed is live.
    running
        Whether somebody writes this database.
    state, reason
        Of all lanes together; `reason` is "" when all is well. Single lanes that are worse are named in it.
    age_s
        Seconds of our clock since the last frame, or since the last commit where nobody writes; None before the first.
    next_try_s, attempts
        Until the next attempt to connect; None unless one is due.
    trades_per_min
        Trades of all lanes in the last minute.
    silent
        Lanes on which a silence is open.
    differs
        How this machine's clock differs from that of who writes the database, for a person; "" where it hardly does.
    """

    source: Source | None
    now_ns: int
    as_of_ns: int
    speed: float
    revision: int
    running: bool
    state: FeedWord
    reason: str
    age_s: float | None
    feed: tuple[FeedRow, ...]
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    next_try_s: float | None
    attempts: int
    trades: int
    trades_per_min: int
    duplicates: int
    quarantined: int
    gaps_open: int
    gaps_filled: int
    gaps_given_up: int
    reconnects: int
    silent: frozenset[Lane] = frozenset()
    differs: str = ""

    @property
    def replay(self) -> bool:
        """Whether a recorded tape is shown, not a feed."""
        return self.source is not None and self.source.kind == "tape"

    @property
    def simulated(self) -> bool:
        """Whether the market is made on this machine."""
        return self.source is not None and (self.source.kind == "simulated" or self.source.seed is not None)

    @property
    def program(self) -> str:
        """Command of ours that fills the database."""
        if self.source is not None and self.source.kind == "kafka":
            return "detect"
        return "demo" if self.simulated else "run"

    @property
    def armed(self) -> frozenset[str]:
        """Rules that are armed on at least one lane."""
        return frozenset(rule for row in self.feed for rule in row.armed)

    def lane(self, lane: Lane) -> FeedRow | None:
        """Find a lane's row."""
        return next((row for row in self.feed if row.lane == lane), None)


def status(conn: Connection, wall_ns: int) -> Status:
    """Read how things stand.

    Parameters
    ----------
    wall_ns
        Wall clock of who writes it, ns since the epoch: see `tapewatch.store.sight`.
    """
    meta = dict(
        conn.execute(
            select(meta_table.c.key, meta_table.c.value).where(meta_table.c.key.in_(("source", "clock", "unnamed")))
        ).all()
    )
    source = msgspec.json.decode(meta["source"], type=Source) if "source" in meta else None
    clock = msgspec.json.decode(meta["clock"], type=Clock) if "clock" in meta else None
    feed = tuple(_feed_rows(conn))
    since_commit = max(0, wall_ns - clock.wall_ts) if clock else 0
    running = clock is not None and since_commit <= RUNNING_NS
    speed = (clock.speed if clock else 1.0) or 1.0
    over = bool(feed) and all(row.state in ("ended", "stopped") for row in feed)
    carried = 0 if over else round(min(since_commit, RUNNING_NS) * speed)
    now_ns = clock.now_ts + carried if clock else wall_ns
    replay = source is not None and source.kind == "tape"
    silent = _silent_lanes(conn)
    words = {row.lane: lane_word(row, now_ns, silent, running=running, replay=replay) for row in feed}
    state = _together(words.values())
    last_frame = max((row.last_frame_ts for row in feed if row.last_frame_ts is not None), default=None)
    age_s = None if last_frame is None else max(0, now_ns - last_frame) / NS / speed
    if state == "stale" and not running:
        age_s = since_commit / NS
    tries = [
        row.next_try_ts for row in feed if row.next_try_ts is not None and row.state in ("no data", "reconnecting")
    ]
    return Status(
        source=source,
        now_ns=now_ns,
        as_of_ns=now_ns if state == "live" or last_frame is None else last_frame,
        speed=speed,
        revision=clock.revision if clock else 0,
        running=running,
        state=state,
        reason=_reason(state, feed, words, age_s, running=running),
        age_s=age_s,
        feed=feed,
        silent=silent,
        latency_p50_ms=clock.latency_p50_ms if clock else None,
        latency_p99_ms=clock.latency_p99_ms if clock else None,
        next_try_s=max(0.0, (min(tries) - now_ns) / NS) if tries else None,
        attempts=max((row.attempts for row in feed), default=0),
        trades=sum(row.trades for row in feed),
        trades_per_min=_trades_since(conn, (clock.now_ts if clock else now_ns) - 60 * NS),  # what is stored ends there
        duplicates=sum(row.duplicates for row in feed),
        quarantined=sum(row.quarantined for row in feed) + int(meta.get("unnamed", 0)),
        gaps_open=sum(row.gaps_opened - row.gaps_filled - row.gaps_given_up for row in feed),
        gaps_filled=sum(row.gaps_filled for row in feed),
        gaps_given_up=sum(row.gaps_given_up for row in feed),
        # A venue's lanes share its connection, so each of them counts the same reconnects.
        reconnects=sum(
            max(row.reconnects for row in feed if row.venue == venue) for venue in {row.venue for row in feed}
        ),
    )


class Watch(Struct, frozen=True):
    """A line of the watch-list.

    Attributes
    ----------
    price, change_percent
        Last price, and its change since the first trade of the last hour; None before the first trade.
    since_ns
        When that first trade was, where the hour before it is not known in full: the change is over less than an hour.
    high, low
        Of the last hour.
    spark
        Closes at equal steps of time, oldest first, at most 60: the last hour, or less where less is known.
    spark_step_s
        Seconds between them.
    worst, open_count
        Of the anomalies open on the lane.
    decimals
        That write the lane's prices exactly.
    """

    venue: str
    symbol: str
    state: FeedWord
    price: float | None
    change_percent: float | None
    since_ns: int | None
    high: float | None
    low: float | None
    spark: tuple[float, ...]
    spark_step_s: int
    worst: Severity | None
    open_count: int
    decimals: int

    @property
    def lane(self) -> Lane:
        """The lane that is watched."""
        return Lane(self.venue, self.symbol)


def watchlist(conn: Connection, now: Status) -> list[Watch]:
    """Read a line per lane, in the order of venue and symbol."""
    minutes = _prices(conn, 60, now.now_ns - HOUR_S * NS)
    oldest = min((int(rows["ts"][0]) for rows in minutes.values()), default=now.now_ns)
    # A young database shows its first minutes finely: the narrowest bars of which sixty reach back to the first trade.
    step_s = next((width for width in (1, 10) if now.now_ns - oldest <= SPARK_POINTS * width * NS), 60)
    fine = minutes if step_s == 60 else _prices(conn, step_s, oldest)  # noqa: PLR2004  # minutes are at hand
    opened = _open_by_lane(conn)
    replay, running = now.replay, now.running
    watched = []
    for row in now.feed:
        hour = minutes.get(row.lane)
        price = row.last_price if row.last_price is not None or hour is None else int(hour["close"][-1])
        first = int(hour["open"][0]) if hour is not None else None
        worst, open_count = opened.get(row.lane, (None, 0))
        known = [part["close"] for part in (hour, fine.get(row.lane)) if part is not None]
        prices = np.concatenate([*known, np.array([] if price is None else [price], dtype=np.int64)])
        watched.append(
            Watch(
                venue=row.venue,
                symbol=row.symbol,
                state=lane_word(row, now.now_ns, now.silent, running=running, replay=replay),
                price=None if price is None else price / PRICE_SCALE,
                change_percent=None if price is None or not first else 100 * (price - first) / first,
                since_ns=_since(hour, fine.get(row.lane), now.now_ns),
                high=None if hour is None else int(hour["high"].max()) / PRICE_SCALE,
                low=None if hour is None else int(hour["low"].min()) / PRICE_SCALE,
                spark=_even_steps(fine.get(row.lane), step_s, now.now_ns),
                spark_step_s=step_s,
                worst=worst,
                open_count=open_count,
                decimals=decimals_of_lane(prices),
            )
        )
    return watched


PRICES = np.dtype([(name, "i8") for name in ("ts", "open", "high", "low", "close")])


def _since(hour: NDArray[np.void] | None, fine: NDArray[np.void] | None, now_ns: int) -> int | None:
    # The finest bars that reach as far back tell it best.
    if hour is None or now_ns - int(hour["ts"][0]) >= WHOLE_HOUR_S * NS:
        return None
    starts = [int(rows["ts"][0]) for rows in (hour, fine) if rows is not None]
    return max(starts)


def _bars_of_lanes(width: int, since: int) -> FromClause:
    # An outer join is carried out from the left: a search of the bars' key per lane. As an inner join SQLite would
    # rather read all bars and look each one's lane up.
    b, f = bars_table.c, feed_table.c
    wanted = and_(b.venue == f.venue, b.symbol == f.symbol, b.width == width, b.ts >= since)
    return feed_table.outerjoin(bars_table, wanted)


def _prices(conn: Connection, width: int, since: int) -> dict[Lane, NDArray[np.void]]:
    b, f = bars_table.c, feed_table.c
    columns = select(f.venue, f.symbol, b.ts, b.open, b.high, b.low, b.close).select_from(_bars_of_lanes(width, since))
    query = columns.order_by(f.venue, f.symbol, b.ts)
    rows: dict[Lane, list[tuple[int, ...]]] = {}
    for venue, symbol, *values in conn.execute(query):
        if values[0] is not None:
            rows.setdefault(Lane(venue, symbol), []).append(tuple(values))
    return {lane: np.array(values, dtype=PRICES) for lane, values in rows.items()}


def _even_steps(rows: NDArray[np.void] | None, step_s: int, now_ns: int) -> tuple[float, ...]:
    # A bucket without a trade repeats the price in force, so that the line keeps its time.
    if rows is None:
        return ()
    step = step_s * NS
    ends = np.arange(rows["ts"][0], max(now_ns, int(rows["ts"][-1])) + 1, step)[-SPARK_POINTS:]
    at = np.searchsorted(rows["ts"], ends, side="right") - 1
    return tuple((rows["close"][at] / PRICE_SCALE).tolist())


def _open_by_lane(conn: Connection) -> dict[Lane, tuple[Severity, int]]:
    a = anomalies_table.c
    query = (
        select(a.venue, a.symbol, a.severity, func.count())
        .where(a.ended_ts.is_(None))
        .group_by(a.venue, a.symbol, a.severity)
    )
    found: dict[Lane, tuple[Severity, int]] = {}
    for venue, symbol, severity, n in conn.execute(query):
        worst, count = found.get(Lane(venue, symbol), (severity, 0))
        found[Lane(venue, symbol)] = (min(worst, severity, key=SEVERITY_RANK.__getitem__), count + n)
    return found


def _trades_since(conn: Connection, since: int) -> int:
    query = select(func.sum(bars_table.c["count"])).select_from(_bars_of_lanes(1, since))
    return int(conn.execute(query).scalar_one() or 0)


def _feed_rows(conn: Connection) -> Iterable[FeedRow]:
    columns = [feed_table.c[name] for name in FeedRow.__struct_fields__]
    for row in conn.execute(select(*columns).order_by(feed_table.c.venue, feed_table.c.symbol)):
        yield feed_row(row)


def _silent_lanes(conn: Connection) -> frozenset[Lane]:
    a = anomalies_table.c
    query = select(a.venue, a.symbol).where(a.ended_ts.is_(None), a.rule == SILENCE)
    return frozenset(Lane(venue, symbol) for venue, symbol in conn.execute(query))


def lane_word(row: FeedRow, now_ns: int, silent: Collection[Lane], *, running: bool, replay: bool) -> FeedWord:
    """Say in a word how a lane stands."""
    if row.state in ("ended", "stopped"):
        return row.state
    if not running:
        return "stale"
    # A tape that was recorded without heartbeats is quiet where nothing traded; only a feed can be stale.
    if row.state != "live" or replay:
        return row.state
    late = row.last_frame_ts is not None and now_ns - row.last_frame_ts >= STALE_NS
    return "stale" if (row.lane in silent if SILENCE in row.armed else late) else "live"


def _together(words: Iterable[FeedWord]) -> FeedWord:
    # Some lane that is live makes the whole live: one that is not is named in the reason, and is an anomaly itself.
    seen = set(words)
    order: Sequence[FeedWord] = ("live", "blind", "reconnecting", "stale", "no data", "waiting", "ended", "stopped")
    return next((word for word in order if word in seen), "waiting")


def _reason(
    state: FeedWord, feed: Sequence[FeedRow], words: dict[Lane, FeedWord], age_s: float | None, *, running: bool
) -> str:
    troubled = [row for row in feed if words[row.lane] in ("blind", "no data", "stale", "reconnecting")]
    if state == "waiting" and not feed:
        return "nothing has been captured yet"
    if state == "stale" and not running:
        return f"nothing was stored for {duration(age_s or 0)}: the program that captures is not running"
    if troubled:
        given = next((row.reason for row in troubled if row.reason), "")
        ill = [row for row in troubled if words[row.lane] in ("blind", "no data")]
        if ill and len(troubled) < len(feed):
            return "; ".join(f"{row.symbol}: {row.reason}" for row in ill)
        venues = " and ".join(sorted({row.venue for row in troubled}))
        where = venues if len(troubled) == len(feed) else ", ".join(row.symbol for row in troubled)
        last = max((row.last_frame_ts for row in troubled if row.last_frame_ts is not None), default=None)
        since = f"no frame of {where} since {clock_words(last)}" if last is not None else f"no frame of {where} yet"
        return given or since
    return next((row.reason for row in feed if row.reason), "")
