"""What is asked of the venue and what it serves, per product and channel: its answers in, our requests out.

Sans-I/O: no socket and no clock; every call is told the time.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from tapewatch.model import NS

ASK_EVERY_NS = NS // 4
"""Least time from one request to the next: the venue allows eight a second to an address."""

ANSWER_NS = 4 * NS
"""How long an answer is waited for."""

SETTLE_NS = NS
"""How long after an answer more of it may come: an error comes per channel, and an acknowledgement per channel too."""

RETRY_NS = 2 * NS
"""When a product is asked for again that was refused for the first time; each time after that twice as late."""

RETRY_MAX_NS = 600 * NS
"""The latest."""

SERVED_NS = 60 * NS
"""Who was served for so long begins with `RETRY_NS` when refused again."""

UNHEARD_NS = 5 * NS
"""A product that was silent for so long, while others were heard, is asked for again."""

NAMELESS_MAX = 12
"""Refusals in a row that name nobody and after which everything counts as refused: halving finds one of 500 in ten."""

NEVER_NS = 2**63 - 1

State = Literal["wanted", "requested", "confirmed", "refused"]


class Pair(NamedTuple):
    """A product on a channel: what is asked for, confirmed and refused."""

    symbol: str
    channel: str


class _Product:
    # What one product has been through; times in ns, 0: never.
    __slots__ = ("alone", "served_ns", "since_ns", "tries", "unheard", "until_ns", "words")

    def __init__(self) -> None:
        self.words = ""  # why it is not served, as the venue says it
        self.since_ns = 0  # since when it is not
        self.until_ns = 0  # when it is asked for again
        self.served_ns = 0  # since when all its channels are confirmed
        self.tries = 0
        self.alone = False  # nothing else may stand in its request
        self.unheard = False  # it was confirmed, and fell silent


class Subscribing:
    """The subscriptions of one feed over all its connections.

    A pair of product and channel is *wanted*, *requested* by the one request that is out, *confirmed*, or *refused*
    until some time. What the venue says, and what follows:

    1. An acknowledgement names pairs: they are confirmed. So is a pair of which a frame comes. What it leaves out,
       although it is requested or was confirmed, is refused when nothing more has come for `SETTLE_NS`.
    2. An error names products of ours: they are refused, and the rest of the request is asked for again at once, as
       one error can mean that the venue serves nobody.
    3. An error names none: the request is asked again in two halves, and so on until it is one product. After
       `NAMELESS_MAX` of them in a row all is refused that is not confirmed.
    4. No answer comes within `ANSWER_NS`: the request is sent again; then this connection is `dead`. Where something
       else is served on it, the pairs are refused instead.
    5. A product falls silent while others are heard (`unheard`): it is asked for again, because a venue that delists
       it says so only when asked.

    A refused product is asked for again alone, after `RETRY_NS`, twice that, four times … up to `RETRY_MAX_NS`; a new
    connection changes nothing of that, so that it cannot spoil the others' request. Nothing is ever unsubscribed. One
    request is out at a time, and they are `ASK_EVERY_NS` apart.

    Parameters
    ----------
    symbols, channels
        What is wanted: each product on each channel.

    Attributes
    ----------
    served
        Products that are confirmed on all channels.
    watching
        Whether `heard` has anything to do.
    wake_ns
        `requests` has nothing to do before this time.
    dead
        Whether the venue answers nothing on this connection.

    Examples
    --------
    >>> asking = Subscribing(["BTC-USD", "NIX-USD"], ["matches"])
    >>> asking.connected(now_ns=0)
    >>> asking.requests(0)
    ['{"type":"subscribe","product_ids":["BTC-USD","NIX-USD"],"channels":["matches"]}']
    >>> asking.refused("Failed to subscribe: NIX-USD is not a valid product", 1)
    >>> asking.requests(1), asking.requests(ASK_EVERY_NS)
    ([], ['{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}'])
    """

    def __init__(self, symbols: Sequence[str], channels: Sequence[str]) -> None:
        self._products = {symbol: _Product() for symbol in symbols}
        self._channels = tuple(channels)
        self._states: dict[Pair, State] = {
            Pair(symbol, channel): "wanted" for symbol in symbols for channel in channels
        }
        self._names = [(symbol, re.compile(rf"(?<![\w-]){re.escape(symbol)}(?![\w-])")) for symbol in symbols]
        self._out: dict[Pair, None] = {}  # in the request that is out; ordered
        self._parts: list[list[Pair]] = []  # halves of a refused request, the next one last
        self._said = ""  # what an error without a name said of the request that is out
        self._answered = False
        self._judge_ns = self._next_ns = 0
        self._unanswered = self._nameless = 0
        self._listening_ns = 0  # since when what comes is read
        self.served: frozenset[str] = frozenset()
        self.watching = True
        self.wake_ns = NEVER_NS
        self.dead = False

    def state(self, symbol: str, channel: str) -> State:
        """Tell how a pair stands."""
        return self._states[Pair(symbol, channel)]

    def words(self, symbol: str) -> str:
        """Say why a product is not served, in the venue's words where it gave some; "" where it is or may be."""
        return self._products[symbol].words

    def since_ns(self, symbol: str) -> int:
        """Since when a product is not served, ns; 0 where it is, or where nothing says that it is not."""
        return self._products[symbol].since_ns

    def until_ns(self, symbol: str) -> int | None:
        """When a product is asked for again that is refused; None where it is not."""
        refused = any(self._states[Pair(symbol, channel)] == "refused" for channel in self._channels)
        return self._products[symbol].until_ns if refused else None

    def connected(self, now_ns: int) -> None:
        """Begin on a new connection: all is wanted but what is refused, yet never nothing."""
        self._out, self._parts, self._said = {}, [], ""
        self._unanswered = self._nameless = 0
        self.dead = False
        self._unserve(self.served, now_ns)
        for pair, state in self._states.items():
            self._states[pair] = "refused" if state == "refused" else "wanted"
        if "wanted" not in self._states.values():
            min(self._products.values(), key=lambda product: product.until_ns).until_ns = now_ns
        self._plan()

    def resumed(self, now_ns: int) -> None:
        """Forget the time in which nobody read what came."""
        self._judge_ns = max(self._judge_ns, now_ns + ANSWER_NS)
        self._listening_ns = now_ns
        self._plan()

    def requests(self, now_ns: int) -> list[str]:
        """Return the text frames to send now, at most one."""
        if self._out and now_ns >= self._judge_ns:
            self._judge(now_ns)
        pairs = [] if self._out or self.dead or now_ns < self._next_ns else self._next(now_ns)
        if pairs:
            self._out = dict.fromkeys(pairs)
            self._states.update(dict.fromkeys(pairs, "requested"))
            self._said, self._answered = "", False
            self._next_ns, self._judge_ns = now_ns + ASK_EVERY_NS, now_ns + ANSWER_NS
        self._plan()
        return [_request(pairs, self._channels)] if pairs else []

    def acknowledged(self, listed: Collection[Pair], now_ns: int) -> None:
        """Take the venue's word on what is subscribed now on this connection."""
        self._unanswered = self._nameless = 0
        self._answered = True
        self._judge_ns = min(self._judge_ns if self._out else NEVER_NS, now_ns + SETTLE_NS)
        for pair, state in self._states.items():
            if pair in listed:
                self._confirm(pair, now_ns)
            elif state == "confirmed":
                self._states[pair] = "requested"
                self._out[pair] = None
                self._unserve({pair.symbol}, now_ns)
        self._plan()

    def heard(self, symbol: str, channel: str, now_ns: int) -> None:
        """Note that a frame came: whoever sends it serves it."""
        product = self._products[symbol]
        if product.unheard or self._states[Pair(symbol, channel)] != "confirmed":
            product.unheard = False
            self._confirm(Pair(symbol, channel), now_ns)
            self._plan()

    def refused(self, text: str, now_ns: int) -> None:
        """Take an error."""
        named = [symbol for symbol, name in self._names if name.search(text)]
        requested = any(pair.symbol in named for pair in self._out)
        for symbol in named:
            pairs = [Pair(symbol, channel) for channel in self._channels]
            pairs = [pair for pair in pairs if self._states[pair] != "confirmed"] or pairs
            self._refuse(pairs, text, now_ns, alone=True)
        if requested:
            self._want(list(self._out), now_ns)
        elif self._out and not named:
            self._said = text
            self._judge_ns = min(self._judge_ns, now_ns + SETTLE_NS)
        self._plan()

    def unheard(self, heard_ns: Mapping[str, int], now_ns: int) -> None:
        """Look for products that fell silent.

        Parameters
        ----------
        heard_ns
            When each product was last heard, by our clock; 0: never.
        """
        if now_ns - max(heard_ns.values()) > 2 * NS:
            return  # nobody is heard: that is the connection's silence
        for symbol in self.served:
            product = self._products[symbol]
            if now_ns - max(heard_ns[symbol], product.served_ns, self._listening_ns) < UNHEARD_NS:
                continue
            pairs = [Pair(symbol, channel) for channel in self._channels]
            if product.unheard:
                self._refuse(pairs, product.words, now_ns, alone=True)
            else:
                product.unheard, product.since_ns = True, now_ns
                product.words = f"no frame of {symbol} for {UNHEARD_NS // NS} s while others come"
                self._want(pairs, now_ns)
        self._plan()

    def _next(self, now_ns: int) -> list[Pair]:
        while self._parts:
            if part := [pair for pair in self._parts.pop() if self._states[pair] == "wanted"]:
                return part
        if wanted := [pair for pair, state in self._states.items() if state == "wanted"]:
            return wanted
        due = [pair for pair in self._refused() if self._products[pair.symbol].until_ns <= now_ns]
        if not due:
            return []
        first = min(due, key=lambda pair: self._products[pair.symbol].until_ns).symbol
        alone = self._products[first].alone
        return [pair for pair in due if pair.symbol == first or not (alone or self._products[pair.symbol].alone)]

    def _judge(self, now_ns: int) -> None:
        # All has come that will come in answer to the request that is out, and these pairs were not confirmed.
        left = list(self._out)
        symbols = list(dict.fromkeys(pair.symbol for pair in left))
        if self._said:
            self._nameless += 1
            if len(symbols) == 1:
                self._refuse(left, self._said, now_ns, alone=True)
            elif self._nameless < NAMELESS_MAX:
                half = set(symbols[: (len(symbols) + 1) // 2])
                self._want(left, now_ns)
                self._parts += [[p for p in left if p.symbol not in half], [p for p in left if p.symbol in half]]
            else:
                wanted = [pair for pair, state in self._states.items() if state in ("wanted", "requested")]
                self._refuse(wanted, self._said, now_ns, alone=False)
                self._parts, self._nameless = [], 0
        elif self._answered:
            for symbol in symbols:
                pairs = [pair for pair in left if pair.symbol == symbol]
                missing = " and ".join(pair.channel for pair in pairs)
                self._refuse(pairs, f"its acknowledgement leaves out {missing} of {symbol}", now_ns, alone=True)
        elif "confirmed" in self._states.values():
            self._refuse(left, "it did not answer the request", now_ns, alone=False)
        else:
            self._unanswered += 1
            self.dead = self._unanswered > 1
            refused = [pair for pair in left if self.dead and self._products[pair.symbol].since_ns]
            self._want([pair for pair in left if pair not in refused], now_ns)
            self._refuse(refused, "it did not answer the request", now_ns, alone=True)  # the next one has its turn

    def _confirm(self, pair: Pair, now_ns: int) -> None:
        self._out.pop(pair, None)
        self._states[pair] = "confirmed"
        product = self._products[pair.symbol]
        if any(self._states[Pair(pair.symbol, channel)] != "confirmed" for channel in self._channels):
            return
        if pair.symbol not in self.served:
            self.served |= {pair.symbol}
            product.served_ns = now_ns
        if not product.unheard:  # then only a frame of it says that all is well
            product.words, product.since_ns = "", 0

    def _refuse(self, pairs: Sequence[Pair], words: str, now_ns: int, *, alone: bool) -> None:
        anew = {pair.symbol for pair in pairs if self._states[pair] != "refused"}
        for pair in pairs:
            self._out.pop(pair, None)
            self._states[pair] = "refused"
            self._products[pair.symbol].words = words
        self._unserve(anew, now_ns)
        for symbol in anew:  # a second error for the same request changes no time
            product = self._products[symbol]
            product.until_ns = now_ns + min(RETRY_MAX_NS, RETRY_NS << min(product.tries, 30))
            product.tries += 1
            product.since_ns = product.since_ns or now_ns
            product.alone = alone

    def _want(self, pairs: Sequence[Pair], now_ns: int) -> None:
        for pair in pairs:
            self._out.pop(pair, None)
            self._states[pair] = "wanted"
        self._unserve({pair.symbol for pair in pairs}, now_ns)

    def _unserve(self, symbols: Collection[str], now_ns: int) -> None:
        for symbol in self.served.intersection(symbols):
            if now_ns - self._products[symbol].served_ns >= SERVED_NS:
                self._products[symbol].tries = 0
        self.served = self.served.difference(symbols)

    def _refused(self) -> list[Pair]:
        return [pair for pair, state in self._states.items() if state == "refused"]

    def _plan(self) -> None:
        self.watching = len(self.served) < len(self._products) or any(p.unheard for p in self._products.values())
        if self._out:
            self.wake_ns = self._judge_ns
        elif self._parts or "wanted" in self._states.values():
            self.wake_ns = self._next_ns
        else:
            untils = (self._products[pair.symbol].until_ns for pair in self._refused())
            self.wake_ns = max(self._next_ns, min(untils, default=NEVER_NS))


def _request(pairs: Sequence[Pair], channels: Sequence[str]) -> str:
    # One list of products where all are wanted on the same channels; else each channel names its own.
    by_channel = {name: [pair.symbol for pair in pairs if pair.channel == name] for name in channels}
    named = {name: symbols for name, symbols in by_channel.items() if symbols}
    first = next(iter(named.values()))
    if all(symbols == first for symbols in named.values()):
        return _encoded(product_ids=first, channels=list(named))
    return _encoded(channels=[{"name": name, "product_ids": symbols} for name, symbols in named.items()])


def _encoded(**fields: object) -> str:
    return msgspec.json.encode({"type": "subscribe", **fields}).decode()
