"""Coinbase Exchange's feed as a state machine: frames in, rows and requests out, and what had to be set aside.

Sans-I/O: no socket and no clock; every call is told the time. Bad input never raises and never stops the feed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from tapewatch.capture.completeness import AHEAD_NS_MAX, Completeness, Resume
from tapewatch.capture.messages import Envelope, Heartbeat, Match, Subscriptions, read, read_numbered
from tapewatch.capture.numbering import NEVER_NS, TRADE_ID
from tapewatch.capture.subscribing import ANSWER_NS, Pair, Subscribing
from tapewatch.capture.text import EPOCH, price_units, shown, size_of, time_ns
from tapewatch.errors import FeedError
from tapewatch.model import NS, NUMBERING, Cause, Kind, Lane, RowTuple

VENUE = "coinbase"

MATCHES, HEARTBEAT = CHANNELS = ("matches", "heartbeat")
"""Channels that are subscribed: the complete tape, and the venue's word on how far it reaches."""

FRAME_MAX = 2 * 2**20
"""Longest frame that is read, in characters; the longest that the venue documents, a full book, has 1.1 million."""

RAW_MAX = 4096
"""Bytes of a quarantined frame that are kept."""

UNREQUESTED = frozenset(
    {"ticker", "snapshot", "l2update", "status", "auction", "rfq_match"}  # by channels that are open to all
    | {"received", "open", "done", "change", "activate"}  # by the full channel
)
"""Kinds of messages that the venue documents and that were not asked for: ignored and counted."""

SPOKEN = frozenset({"match", "last_match", "heartbeat", "subscriptions", "error"})
"""Kinds of messages that are read."""

_TRADE = int(Kind.TRADE)
_TAKER = {"sell": 1, "buy": -1}  # the venue names the maker's side; a seller who waited was bought from
_NEW_YORK = ZoneInfo("America/New_York")


class Quarantined(Struct, frozen=True):
    """Input that never became a row.

    Attributes
    ----------
    recv_ts
        When it came, ns.
    symbol
        The lane it belongs to; None where the frame does not name one of ours.
    reason
        ``kind: what was found``, e.g. ``absurd price: '0' is not above zero``.
    raw
        The frame's first bytes, at most `RAW_MAX`.
    """

    recv_ts: int
    venue: str
    symbol: str | None
    reason: str
    raw: bytes

    @property
    def kind(self) -> str:
        """The reason's first part, one of a dozen."""
        return self.reason.partition(":")[0]


class Coinbase:
    """The state of one feed over all its connections.

    The venue's procedure, and what is done for each step:

    1. Subscribe within 5 s of connecting: send what `subscribe` returns.
    2. Take acknowledgements and errors, each with its consequence per product and channel: `Subscribing`. Send what
       `requests` returns whenever `asking.wake_ns` says so.
    3. Read each frame with `receive`. ``last_match``, the last trade before the subscription, is a trade like any
       other; it shows what was missed while the connection was down.
    4. Messages can be dropped: trade ids are contiguous per product, and each heartbeat names the last one.
       `Completeness` keeps that ledger.
    5. Call `tick` whenever `wake_ns` says so, connected or not, for ``CLOCK`` rows and for what has waited long enough.

    Parameters
    ----------
    symbols
        Products to subscribe to.
    ledgers
        What the tape already says about each lane, after a restart.
    venue
        What the venue is called: not everything that speaks as Coinbase does is Coinbase.

    Attributes
    ----------
    lanes
        Rows carry indices into this tuple.
    ledgers
        One per lane.
    quarantined
        What was set aside since somebody last cleared this list.
    quarantined_count
        Frames set aside so far per lane; one that names none of the lanes is in `quarantined` alone.
    errors
        What the venue's error frames said since somebody last cleared this list.
    ignored
        Messages of kinds that were not asked for, so far.
    asking
        What is asked of the venue, and what it serves.
    ahead_ns
        By how much our clock may be ahead of the time that calls are told, because it was set; its owner writes it.

    Examples
    --------
    >>> feed = Coinbase(["BTC-USD"])
    >>> feed.subscribe(now_ns=1)
    ['{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","heartbeat"]}']
    >>> raw = (
    ...     '{"type":"match","trade_id":10,"sequence":50,"time":"2014-11-07T08:19:27.028459Z",'
    ...     '"product_id":"BTC-USD","size":"5.23512","price":"400.23","side":"sell"}'
    ... )
    >>> feed.receive(raw, now_ns=1415348367100000000)
    [(1415348367028459000, 1415348367100000000, 10, 50, 4002300000000, 5.23512, 0, 0, 1, 1, 0)]

    Source: https://docs.cdp.coinbase.com/exchange/websocket-feed/overview and /channels
    """

    def __init__(
        self, symbols: Sequence[str], ledgers: Mapping[Lane, Resume] | None = None, venue: str = VENUE
    ) -> None:
        self.venue = venue
        self.lanes = tuple(Lane(venue, symbol) for symbol in symbols)
        known = ledgers or {}
        self.ledgers = tuple(Completeness(number, known.get(lane)) for number, lane in enumerate(self.lanes))
        self.quarantined: list[Quarantined] = []
        self.quarantined_count = [0] * len(self.lanes)
        self.errors: list[str] = []
        self.ignored: Counter[str] = Counter()
        self.asking = Subscribing(symbols, CHANNELS)
        self.ahead_ns = 0
        self._numbers = {lane.symbol: number for number, lane in enumerate(self.lanes)}
        self._clock_ns = NEVER_NS

    def start(self, now_ns: int) -> list[RowTuple]:
        """Start the lanes' clocks, and close the gaps that were open when the program stopped."""
        self._start_clocks(now_ns)
        return [row for ledger in self.ledgers for row in ledger.start(now_ns)]

    def subscribe(self, now_ns: int) -> list[str]:
        """Return the text frames to send on a new connection."""
        self._start_clocks(now_ns)
        for ledger in self.ledgers:
            ledger.takings.connected = True
        self.asking.connected(now_ns)
        return self.asking.requests(now_ns)

    def requests(self, now_ns: int) -> list[str]:
        """Return the text frames to send now; there are none before `asking.wake_ns`.

        Raises
        ------
        FeedError
            The venue answers nothing on this connection.
        """
        requests = self.asking.requests(now_ns)
        if self.asking.dead:
            raise FeedError(f"{self.venue} did not answer two requests to subscribe, {ANSWER_NS // NS} s each")
        return requests

    def refusal(self, symbol: str) -> str:
        """Say why the venue does not serve a product, in its own words where it gave some; "" where it does."""
        words = self.asking.words(symbol)
        return f"{self.venue} does not serve {symbol}: {words.removeprefix('Failed to subscribe: ')}" if words else ""

    def wake_ns(self) -> int:
        """Tell when `tick` has something to do next; `NEVER_NS` before the clocks run."""
        return min(self._clock_ns, *(ledger.due_ns for ledger in self.ledgers))

    def tick(self, now_ns: int) -> list[RowTuple]:
        """Let go what must not wait beyond `now_ns`, and once a second a ``CLOCK`` row per lane."""
        rows = [row for ledger in self.ledgers for row in ledger.due(now_ns)]
        self._hand_back(now_ns)
        return rows + self._clocks(now_ns)

    def unread(self, now_ns: int, since_ns: int) -> list[RowTuple]:
        """Say, once a second, that nobody has read what the venue sends since `since_ns`.

        The frames wait: that no one was heard is not the venue's silence, so the lanes are blind and not silent.
        """
        clocks = self._clocks(now_ns)
        return [(*row[:2], int(Cause.UNREAD), since_ns, *row[4:6], now_ns, *row[7:]) for row in clocks]

    def _start_clocks(self, now_ns: int) -> None:
        if self._clock_ns == NEVER_NS:
            self._clock_ns = now_ns + NS
            for ledger in self.ledgers:
                ledger.started_ns = now_ns

    def _clocks(self, now_ns: int) -> list[RowTuple]:
        if now_ns < self._clock_ns:
            return []
        self._clock_ns += NS
        if self._clock_ns <= now_ns:  # we were held up: seconds that are over are not made up for
            self._clock_ns = now_ns + NS
        heard = {lane.symbol: ledger.last_frame_ns for lane, ledger in zip(self.lanes, self.ledgers, strict=True)}
        self.asking.unheard(heard, now_ns)
        for lane, ledger in zip(self.lanes, self.ledgers, strict=True):
            takings = ledger.takings
            takings.refused_ns = (takings.refused_ns or now_ns) if self.refusal(lane.symbol) else 0
        return [ledger.clock(now_ns) for ledger in self.ledgers]

    def _hand_back(self, now_ns: int) -> None:
        for number, ledger in enumerate(self.ledgers):
            for one in ledger.unconfirmed:
                trade_id = one.row[TRADE_ID]
                self._set_aside(one.raw, now_ns, f"{_leap(trade_id, ledger)}, and no heartbeat has named it", number)
            ledger.unconfirmed.clear()

    def receive(self, raw: str | bytes, now_ns: int) -> list[RowTuple]:
        """Take one frame.

        Parameters
        ----------
        raw
            A text frame as str. Bytes are a binary frame, which the venue never sends.
        now_ns
            Our clock when the frame came, ns; never less than on the call before.

        Returns
        -------
        list of RowTuple
            Rows to let go, in this order; most frames give one.
        """
        if isinstance(raw, bytes):
            return self._set_aside(raw, now_ns, f"binary frame: {len(raw):,} bytes where text is expected")
        if len(raw) > FRAME_MAX:
            return self._set_aside(
                raw, now_ns, f"oversized frame: {len(raw):,} characters, at most {FRAME_MAX:,} are read"
            )
        try:
            message = read(raw)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            return self._puzzle(raw, now_ns, str(error))
        if isinstance(message, Match):
            return self._match(message, raw, now_ns)
        if isinstance(message, Heartbeat):
            return self._heartbeat(message, raw, now_ns)
        if isinstance(message, Subscriptions):
            named = {Pair(symbol, each.name) for each in message.channels for symbol in each.product_ids or ()}
            self.asking.acknowledged(named, now_ns)
        else:
            text = " ".join(f"{message.message}: {message.reason}".strip(": ")[:500].split())
            self.errors.append(text or "error without a reason")
            self.asking.refused(self.errors[-1], now_ns)
        return []

    def unreceived(self, reason: str, now_ns: int) -> list[RowTuple]:
        """Note a frame that could not even be received, so that nothing of it can be kept."""
        return self._set_aside(b"", now_ns, reason)

    def _match(self, match: Match, raw: str, now_ns: int) -> list[RowTuple]:
        number = self._numbers.get(match.product_id)
        if number is None:
            return self._set_aside(raw, now_ns, f"unrequested product: {shown(match.product_id)}")
        ledger = self.ledgers[number]
        ledger.last_frame_ns = now_ns
        if self.asking.watching:
            self.asking.heard(match.product_id, MATCHES, now_ns)
        try:
            price = price_units(match.price)
            size = size_of(match.size)
            ts = _trade_ns(match.time, max(now_ns + self.ahead_ns, ledger.heartbeat_ts))
        except FeedError as refused:
            return self._trade_aside(raw, now_ns, str(refused), number, match.trade_id)
        side = _TAKER[match.side]
        return ledger.trade((ts, now_ns, match.trade_id, match.sequence, price, size, 0, number, _TRADE, side, 0), raw)

    def _heartbeat(self, beat: Heartbeat, raw: str, now_ns: int) -> list[RowTuple]:
        number = self._numbers.get(beat.product_id)
        if number is None:
            return self._set_aside(raw, now_ns, f"unrequested product: {shown(beat.product_id)}")
        ledger = self.ledgers[number]
        ledger.last_frame_ns = now_ns
        if self.asking.watching:
            self.asking.heard(beat.product_id, HEARTBEAT, now_ns)
        if not ledger.believes_beat(beat.last_trade_id):
            ledger.heard(beat.last_trade_id, now_ns)
            return self._set_aside(raw, now_ns, _leap(beat.last_trade_id, ledger), number)
        try:
            ts = time_ns(beat.time)
        except FeedError as refused:
            return self._set_aside(raw, now_ns, str(refused), number)
        if not ledger.believes_time(ts, now_ns + self.ahead_ns):
            return self._set_aside(raw, now_ns, _ahead(beat.time), number)
        return ledger.heartbeat(beat.last_trade_id, ts, now_ns)

    def _puzzle(self, raw: str, now_ns: int, error: str) -> list[RowTuple]:
        # Off the fast path: a kind that was not asked for, or something that is not what the venue promises.
        if (match := read_numbered(raw)) is not None:
            return self._match(match, raw, now_ns)
        try:
            envelope = msgspec.json.decode(raw, type=Envelope)
        except msgspec.ValidationError as wrong:
            return self._set_aside(raw, now_ns, f"wrong field: {wrong}")
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as wrong:
            return self._set_aside(raw, now_ns, f"malformed JSON: {wrong}")
        kind, symbol = envelope.type, envelope.product_id
        number = self._numbers.get(symbol) if isinstance(symbol, str) else None
        if number is not None:
            self.ledgers[number].last_frame_ns = now_ns
        if not isinstance(kind, str):
            return self._set_aside(raw, now_ns, f"wrong field: Expected a message type, found {shown(kind)}", number)
        if kind in UNREQUESTED:
            self.ignored[kind] += 1
            return []
        if kind not in SPOKEN:
            return self._set_aside(raw, now_ns, f"unknown message type: {shown(kind)}", number)
        if number is not None and kind in ("match", "last_match"):
            return self._trade_aside(raw, now_ns, f"wrong field: {error}", number, envelope.trade_id)
        return self._set_aside(raw, now_ns, f"wrong field: {error}", number)

    def _trade_aside(self, raw: str, now_ns: int, reason: str, number: int, trade_id: object) -> list[RowTuple]:
        # A trade whose id can be read counts as seen, so that it leaves no gap.
        self._set_aside(raw, now_ns, reason, number)
        ledger = self.ledgers[number]
        known = trade_id if type(trade_id) is int and 0 <= trade_id < NUMBERING else None
        rows = [] if known is None or not ledger.believes(known) else ledger.seen(known, now_ns)
        ledger.takings.miss(Cause.QUARANTINED, known, now_ns)
        return rows

    def _set_aside(self, raw: str | bytes, now_ns: int, reason: str, number: int | None = None) -> list[RowTuple]:
        head = raw[:RAW_MAX]
        kept = head if isinstance(head, bytes) else head.encode("utf-8", "backslashreplace")[:RAW_MAX]
        symbol = None if number is None else self.lanes[number].symbol
        self.quarantined.append(Quarantined(now_ns, self.venue, symbol, reason, kept))
        if number is not None:
            self.quarantined_count[number] += 1
        return []


def planned_restart(now_ns: int) -> bool:
    """Tell whether the venue has said that it restarts its servers about now.

    Source: https://docs.cdp.coinbase.com/exchange (systems operations): Monday, Wednesday and Thursday, 14:00 New York
    time; half an hour is allowed for it.
    """
    local = (EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(_NEW_YORK)
    return local.weekday() in (0, 2, 3) and local.hour == 14 and local.minute < 30  # noqa: PLR2004


def _trade_ns(text: str, now_ns: int) -> int:
    ts = time_ns(text)
    if ts > now_ns + AHEAD_NS_MAX:
        raise FeedError(_ahead(text))
    return ts


def _ahead(text: str) -> str:
    return f"absurd time: {shown(text)} is more than a minute ahead of our clock and the venue's"


def _leap(trade_id: int, ledger: Completeness) -> str:
    return f"absurd trade id: {trade_id} leaps from {ledger.highest_id % NUMBERING}"
