"""What goes into the store and comes out of it, as plain values; no database here.

In: a `Commit`, everything that one batch changed. Out: `LoggedChange`, `FeedRow`, `Request`, `Source`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from tapewatch.alert import Alert, DeliveryState, Letter, Mark, MessageKind, Occasion, Silence
from tapewatch.model import NS, SIMULATED, Anomaly, Bars, Change, Lane, Severity

QUARANTINE_KEPT = 10_000
"""Rows of quarantine that are kept; how many there ever were stand in `FeedRow.quarantined` and `Commit.unnamed`."""

RAW_MAX = 4096
"""Bytes of a quarantined frame that are kept."""

ALERTING = ("silence", "unsilence", "mark", "retry", "dismiss", "sample")
"""Kinds of requests that alerting answers; the runtime answers all others."""

LIVE_NS = 86_400 * NS
"""Lanes whose clock was so far from ours at a commit are replayed."""

FRESH_NS = 5 * NS
"""Without a commit for so long, the runtime stands still or is gone."""

ChannelState = Literal["unused", "working", "failing"]

FeedState = Literal["no data", "waiting", "live", "blind", "reconnecting", "ended", "stopped"]


class Source(Struct, frozen=True, omit_defaults=True):
    """Where the rows of a database come from; a database belongs to one.

    Attributes
    ----------
    kind
        ``coinbase``, ``simulated``, ``tape`` or ``kafka``; or what a person calls a venue that speaks as Coinbase does.
    address
        Of the venue's feed, the path of the tape, or Kafka's cluster and topic; empty for a simulated exchange
        that runs within.
    seed
        Of a simulated market of our own, through Kafka, too; None elsewhere.
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

    Examples
    --------
    >>> Clock(now_ts=1_000 * NS, wall_ts=0, speed=60.0).lanes_ns(2 * NS) // NS
    1120
    """

    now_ts: int
    wall_ts: int
    speed: float = 1.0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    revision: int = 0

    @property
    def live(self) -> bool:
        """Tell whether the lanes live when we do, though perhaps some hours behind."""
        return self.speed == 1.0 and abs(self.wall_ts - self.now_ts) < LIVE_NS

    def lanes_ns(self, wall_ns: int) -> int:
        """Tell what time it is where the lanes are, ns, where our wall clock is `wall_ns`.

        A market goes on when nobody stores what it does; a tape that is not read stands still.
        """
        passed = max(0, wall_ns - self.wall_ts)
        return self.now_ts + (passed if self.live else round(min(passed, FRESH_NS) * self.speed))


def origin(source: Source | None, venue: str | None, *, live: bool) -> tuple[str, ...]:
    """Tell what keeps something from being a live market's: "Simulated", "Replay", both or neither.

    Parameters
    ----------
    venue
        Of what is asked about; None: of several. A recording of a simulated market is known by nothing else.
    live
        The lanes live when we do: through Kafka, a tape is known by nothing else.

    Examples
    --------
    >>> origin(Source("tape", "day"), "simulated", live=False), origin(Source("coinbase"), "coinbase", live=True)
    (('Simulated', 'Replay'), ())
    """
    made_up = venue == SIMULATED or (source is not None and (source.kind == SIMULATED or source.seed is not None))
    replayed = not live or (source is not None and source.kind == "tape")
    return tuple(word for word, holds in (("Simulated", made_up), ("Replay", replayed)) if holds)


class FeedRow(Struct, frozen=True):
    """State and counters of one lane's feed; the columns of the table ``feed``.

    Attributes
    ----------
    warming
        Rules that are armed and have seen too little to speak.
    blind_ts, cause
        Since when the venue trades and nothing is taken, ns, None where all is well; and why (`model.Cause`): as the
        last ``CLOCK`` said.
    """

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
    warming: tuple[str, ...] = ()
    blind_ts: int | None = None
    cause: int = 0

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
    change: Occasion
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


class Post(Struct, frozen=True):
    """A message in the outbox, and how far it has come; times are ns by our clock but for `at`.

    Attributes
    ----------
    at
        When it was decided, by the lanes' clock.
    severity
        The worst that it names; None: it names nothing.
    anomaly_id
        Whose chart goes with it; None: no chart.
    next_try_ts
        Not to be tried before.
    again_ts
        When a person last asked to try it again: from then on it is tried as long as a new one.
    done_ts
        When it was accepted, or given up.
    error
        Of the last attempt, for a person.
    """

    number: int
    channel: str
    kind: MessageKind
    at: int
    made_ts: int
    letter: Letter
    severity: Severity | None = None
    anomaly_id: str | None = None
    state: DeliveryState = "waiting"
    attempts: int = 0
    next_try_ts: int = 0
    again_ts: int | None = None
    done_ts: int | None = None
    error: str = ""


class Attempt(Struct, frozen=True):
    """One try to send a message; ns by our clock."""

    message: int
    tried_ts: int
    took_ms: float
    accepted: bool
    outcome: str


class ChannelRow(Struct, frozen=True):
    """How a channel stands; the columns of the table ``channels``, in which no address ever stands."""

    name: str
    service: str
    takes: str
    state: ChannelState
    since_ts: int
    accepted_ts: int | None = None
    error: str = ""


class Decision(Struct, frozen=True):
    """What alerting decided, together with how far it has read; stored in one transaction or not at all.

    Attributes
    ----------
    position
        Number of the last change that was judged.
    memory
        Pages of the desk's that are others than before; an empty one is forgotten.
    alerts
        New, or decided anew.
    silences
        New ones have number 0; a known number replaces that one.
    retries
        Numbers of undelivered messages that wait again, for a day from now on.
    dismissed
        Numbers of undelivered messages that a person wants to see no more among those.
    """

    position: int
    judged_ts: int
    memory: Mapping[str, bytes] = {}
    alerts: Sequence[Alert] = ()
    posts: Sequence[Post] = ()
    answers: Sequence[Answer] = ()
    silences: Sequence[Silence] = ()
    marks: Sequence[Mark] = ()
    retries: Sequence[int] = ()
    dismissed: Sequence[int] = ()


class Kept(NamedTuple):
    """What was remembered when alerting ended last.

    Attributes
    ----------
    position
        Number of the last change that was judged.
    number
        Of the last message.
    memory
        Pages of the desk's, by name; none: it has none yet.
    waiting
        Channel → how many messages nobody has accepted yet.
    """

    position: int
    number: int
    memory: dict[str, bytes]
    waiting: dict[str, int]
    channels: list[ChannelRow]


class Fresh(NamedTuple):
    """What is new, all of one moment.

    Attributes
    ----------
    clock, source
        Of the last commit, and where the rows come from; None: nobody has written to the database yet.
    changes
        Number in the log and change, in order.
    read
        Number of the last change that was looked at; one that cannot be read is not among `changes`.
    behind
        How many are left.
    """

    clock: Clock | None
    source: Source | None
    changes: list[tuple[int, Change]]
    silences: list[Silence]
    requests: list[Request]
    read: int
    behind: int
