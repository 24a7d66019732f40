"""What goes into the store and comes out of it, as plain values; no database here.

In: a `Commit`, everything that one batch changed. Out: `LoggedChange`, `FeedRow`, `Request`, `Source`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from tapewatch.model import Anomaly, Bars, Change, Lane

QUARANTINE_KEPT = 10_000
"""Rows of quarantine that are kept; how many there ever were stand in `FeedRow.quarantined` and `Commit.unnamed`."""

RAW_MAX = 4096
"""Bytes of a quarantined frame that are kept."""

FeedState = Literal["waiting", "live", "reconnecting", "ended", "stopped"]


class Source(Struct, frozen=True, omit_defaults=True):
    """Where the rows of a database come from; a database belongs to one.

    Attributes
    ----------
    kind
        ``coinbase``, ``simulated``, ``tape`` or ``kafka``.
    address
        Of the venue's feed, the path of the tape, or Kafka's cluster and topic; empty for a simulated exchange of our
        own.
    seed
        Of a simulated market, through Kafka, too; None elsewhere.
    digest
        Of a tape: tells it from another one under the same path.
    """

    kind: str
    address: str = ""
    seed: int | None = None
    digest: str = ""

    def __str__(self) -> str:
        seed = "" if self.seed is None else f"seed {self.seed}"
        return " ".join(part for part in (self.kind, self.address, seed) if part)


class Clock(Struct, frozen=True):
    """The two clocks at a commit, from which a reader tells what "now" is.

    Attributes
    ----------
    now_ts
        The lanes' clock, ns: ours live, the tape's on a replay.
    wall_ts
        Our wall clock, ns.
    speed
        Seconds of `now_ts` in a second of `wall_ts`; 0 on a replay as fast as it goes.
    latency_p50_ms, latency_p99_ms
        Frame received to row committed, over the last commits; None on a replay.
    revision
        Number of the commit; set by the store.
    """

    now_ts: int
    wall_ts: int
    speed: float = 1.0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    revision: int = 0


class FeedRow(Struct, frozen=True):
    """State and counters of one lane's feed; the columns of the table ``feed``."""

    venue: str
    symbol: str
    state: FeedState
    reason: str
    now_ts: int
    last_frame_ts: int | None = None
    last_trade_ts: int | None = None
    last_price: int | None = None
    connected_ts: int | None = None
    next_try_ts: int | None = None
    attempts: int = 0
    trades: int = 0
    duplicates: int = 0
    quarantined: int = 0
    gaps_opened: int = 0
    gaps_filled: int = 0
    gaps_given_up: int = 0
    reconnects: int = 0
    armed: tuple[str, ...] = ()

    @property
    def lane(self) -> Lane:
        """The lane whose feed this is."""
        return Lane(self.venue, self.symbol)


class Quarantined(Struct, frozen=True):
    """Input that never became a row, with the reason; `raw` is cut at `RAW_MAX` bytes."""

    recv_ts: int
    venue: str
    symbol: str | None
    reason: str
    raw: bytes


class Request(Struct, frozen=True):
    """What a person asked for in a dashboard and nobody has answered yet."""

    seq: int
    asked_ts: int
    kind: str
    arguments: str


class Answer(Struct, frozen=True):
    """What became of a request, in a sentence for the person who asked."""

    seq: int
    answered_ts: int
    answer: str


class LoggedChange(Struct, frozen=True):
    """One entry of the log of changes; `record` is the anomaly's JSON as it then stood."""

    seq: int
    venue: str
    symbol: str
    ordinal: int
    anomaly_id: str
    change: str
    at: int
    record: str


class Commit(Struct, frozen=True):
    """Everything that became known since the last commit; stored in one transaction or not at all.

    Attributes
    ----------
    changes
        In the order in which the detector told them. One whose (venue, symbol, ordinal) is logged already is ignored.
    open_anomalies
        All that are open, as they stand after `changes`.
    bars
        Increments, merged into what is stored.
    unnamed
        How many inputs that name no lane were set aside so far: they count for no row of `feed`.
    feed
        One row per lane; replaces the lane's row.
    state
        Name → blob, e.g. ``detector`` and ``position``; replaces what stands under that name.
    """

    clock: Clock
    changes: Sequence[Change] = ()
    open_anomalies: Sequence[Anomaly] = ()
    bars: Sequence[Bars] = ()
    quarantine: Sequence[Quarantined] = ()
    unnamed: int = 0
    feed: Sequence[FeedRow] = ()
    state: Mapping[str, bytes] = {}
    answers: Sequence[Answer] = ()
