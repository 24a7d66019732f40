"""What one client has asked for: its messages in, the venue's answers out. No socket, no clock.

Source: docs.cdp.coinbase.com/exchange, WebSocket overview, "Subscribe"; errors as recorded from the feed.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from tapewatch.simulate import frames
from tapewatch.simulate.frames import MATCHES, SERVED
from tapewatch.simulate.products import DELISTED, Product
from tapewatch.simulate.troubles import Manners

_LOCKED = ("level2", "level3", "full", "user", "balance")
_LOCKED_REASON = (
    "level2, level3, and full channels now require authentication. "
    "https://docs.cloud.coinbase.com/exchange/docs/websocket-auth"
)
_UNNAMED_REASON = "Invalid product ID provided"
_REFUSED_REASON = "Subscriptions are not available at the moment"
_PUBLIC = ("ticker", "ticker_batch", "level2_batch", "status", "auctionfeed", "rfq_matches")


class Answer(NamedTuple):
    """What to say to a message.

    Attributes
    ----------
    frames
        To be sent at once, in this order.
    opened
        Products whose `last_match` comes next: they were not subscribed to matches before.
    """

    frames: list[bytes]
    opened: tuple[str, ...] = ()


class Subscriptions:
    """The subscriptions of one connection.

    Attributes
    ----------
    channels
        Products per channel, in the order in which they were asked for.
    greeted
        Whether the client has subscribed to anything yet: the venue hangs up on one that does not.

    Examples
    --------
    >>> from tapewatch.simulate.products import PRODUCTS
    >>> client = Subscriptions(PRODUCTS)
    >>> client.receive('{"type":"subscribe","product_ids":["BTC-USD"],"channels":["heartbeat"]}').frames
    [b'{"type":"subscriptions","channels":[{"name":"heartbeat","product_ids":["BTC-USD"],"account_ids":null}]}']
    """

    def __init__(self, products: Sequence[Product]) -> None:
        self._traded = frozenset(product.id for product in products)
        self._delisted = frozenset(product.id for product in DELISTED)
        self.channels: dict[str, list[str]] = {name: [] for name in SERVED}
        self.greeted = False

    def receive(self, message: str | bytes, manners: Manners | None = None) -> Answer:
        """Take in one message; whatever it holds, there is never an exception.

        Parameters
        ----------
        manners
            How the venue answers just now; None: as on a good day, and then there is always an answer.
        """
        manners = manners or Manners()
        self.drop(manners.delisted)
        try:
            request = json.loads(message)
        except (ValueError, RecursionError) as error:
            return Answer([frames.error("Malformed JSON", str(error))])
        kind = request.get("type") if isinstance(request, dict) else None
        if kind not in {"subscribe", "unsubscribe"}:
            return Answer([frames.error("Invalid message", f"expected type subscribe or unsubscribe, found {kind!r}")])
        if manners.mute:
            self.greeted = True
            return Answer([])
        try:
            wanted = _wanted(request)
            return self._subscribe(wanted, manners) if kind == "subscribe" else self._unsubscribe(wanted)
        except _RefusedError as error:
            return Answer([frames.error(f"Failed to {kind}", str(error))])

    def drop(self, symbols: Collection[str]) -> None:
        """Forget products: whoever wants them must ask again."""
        if symbols:
            self.channels = {
                name: [symbol for symbol in ids if symbol not in symbols] for name, ids in self.channels.items()
            }

    def _subscribe(self, wanted: list[tuple[str, list[str]]], manners: Manners) -> Answer:
        if manners.refuses:
            raise _RefusedError(_REFUSED_REASON)
        refused: list[bytes] = []
        before = set(self.channels[MATCHES])
        accepted = False
        for channel, ids in wanted:
            reasons = self._reasons(channel, ids, manners.delisted)
            if reasons and manners.whole:
                raise _RefusedError(_UNNAMED_REASON if manners.nameless else next(iter(reasons.values())))
            refused += [frames.error("Failed to subscribe", reason) for reason in reasons.values()]
            for symbol in ids:
                if channel in SERVED and symbol not in reasons:
                    accepted = True
                    if symbol not in self.channels[channel] and not manners.omits(symbol, channel):
                        self.channels[channel].append(symbol)
        self.greeted = self.greeted or accepted
        opened = tuple(symbol for symbol in self.channels[MATCHES] if symbol not in before)
        return Answer([*refused, frames.subscriptions(self.channels)] if accepted else refused, opened)

    def _reasons(self, channel: str, ids: list[str], delisted: frozenset[str]) -> dict[str, str]:
        """Why a channel, or single products of it, cannot be had: product (or the channel itself) → reason."""
        if channel in _LOCKED:
            return {channel: _LOCKED_REASON}
        if channel in _PUBLIC:
            return {channel: f"{channel} is not simulated; expected one of {', '.join(SERVED)}"}
        if channel not in SERVED:
            return {channel: f"{channel} is not a valid channel"}
        if not ids:
            return {channel: f"You need to specify at least one product ID for channel {channel}"}
        delisted |= self._delisted
        reasons = {symbol: f"{symbol} is delisted" for symbol in ids if symbol in delisted}
        known = self._traded | delisted
        return reasons | {symbol: f"{symbol} is not a valid product" for symbol in ids if symbol not in known}

    def _unsubscribe(self, wanted: list[tuple[str, list[str]]]) -> Answer:
        # A channel without products is left as a whole.
        for channel, ids in wanted:
            if channel in SERVED:
                kept = [symbol for symbol in self.channels[channel] if ids and symbol not in ids]
                self.channels[channel] = kept
        return Answer([frames.subscriptions(self.channels)])


class _RefusedError(Exception):
    """The request as a whole makes no sense; the text is the reason that the client is told."""


def _wanted(request: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Read channels and their products; those named for the whole request count for every channel."""
    common = _ids(request.get("product_ids"), "product_ids")
    channels = request.get("channels")
    if not isinstance(channels, list) or not channels:
        raise _RefusedError("No channels provided")
    wanted = []
    for channel in channels:
        if isinstance(channel, str):
            wanted.append((channel, common))
        elif isinstance(channel, dict) and isinstance(channel.get("name"), str):
            own = _ids(channel.get("product_ids"), f"product_ids of channel {channel['name']}")
            wanted.append((channel["name"], list(dict.fromkeys([*common, *own]))))
        else:
            raise _RefusedError(f"expected a channel's name or an object with a name, found {json.dumps(channel)[:80]}")
    return wanted


def _ids(value: Any, what: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(symbol, str) for symbol in value):
        raise _RefusedError(f"expected {what} to be a list of strings, found {json.dumps(value)[:80]}")
    return list(dict.fromkeys(value))
