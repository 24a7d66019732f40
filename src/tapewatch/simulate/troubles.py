"""What a venue puts its clients through on a bad day, planted by name and time: refusals, silence, wrong numbers.

In: lines such as ``delist:ETH-USD@30+60``. Out: how the venue answers just now, and the market as it tells it. No
socket and no clock; times are those of the market.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from tapewatch.errors import ConfigError
from tapewatch.model import NS
from tapewatch.simulate.frames import SERVED
from tapewatch.simulate.market import Block, Prints
from tapewatch.simulate.products import Product

LEAP = 500_000_000
"""How much too high the one id of a ``leap`` is."""

KINDS = {
    "delist": "a product says nothing more, and a request that names it gets an error",
    "whole": "a request that names a product that is not served gets one error and serves nobody",
    "nameless": "the same, and the error does not say which product",
    "refuse": "every request is refused, whatever it names",
    "omit": "a channel, a product or PRODUCT/CHANNEL is neither acknowledged nor served",
    "mute": "requests are not answered",
    "busy": "HTTP 503 at the handshake and on REST, with Retry-After of so many seconds",
    "page": "a web page at the handshake and on REST",
    "renumber": "a product's trade ids begin anew at 1",
    "leap": "the id of a product's next match is 500 million too high",
    "number": "a product's prices are JSON numbers",
}
"""What can be planted: name → what happens."""

_OF_A_PRODUCT = {"delist", "renumber", "leap", "number"}
_OF_ALL = {"whole", "nameless", "refuse", "mute", "page"}
_LINE = re.compile(r"(?P<kind>\w+)(:(?P<what>[\w/-]+))?(@(?P<at>\d+(\.\d+)?)(\+(?P<last>\d+(\.\d+)?))?)?", re.ASCII)
_PRICE = re.compile(rb'"price":"([^"]*)"')
_RETRY_AFTER_S = "5"
_PAGE = b"<!DOCTYPE html><html><head><title>Scheduled maintenance</title></head><body>We are back soon.</body></html>"


class Trouble(Struct, frozen=True):
    """One thing that goes wrong.

    Attributes
    ----------
    kind
        One of `KINDS`.
    what
        Whom it concerns, "" for all; of ``busy``: seconds.
    start_ns, end_ns
        From when until when, ns after the market has opened.

    Examples
    --------
    >>> Trouble.read("delist:ETH-USD@30+60")
    Trouble(kind='delist', what='ETH-USD', start_ns=30000000000, end_ns=90000000000)
    """

    kind: str
    what: str = ""
    start_ns: int = 0
    end_ns: int = 2**63 - 1

    @classmethod
    def read(cls, line: str) -> "Trouble":
        """Read ``KIND[:WHAT][@START[+SECONDS]]``.

        Raises
        ------
        ValueError
            It is none; the text says what was expected.
        """
        found = _LINE.fullmatch(line)
        if found is None or found["kind"] not in KINDS:
            raise ValueError(
                f"expected KIND[:WHAT][@START[+SECONDS]] such as delist:ETH-USD@30+60 with one of {', '.join(KINDS)}, "
                f"found {line!r}"
            )
        kind, what = found["kind"], found["what"] or ""
        if kind in _OF_A_PRODUCT and not what:
            raise ValueError(f"expected a product, such as {kind}:ETH-USD, found {line!r}")
        if what and kind in _OF_ALL:
            raise ValueError(f"expected {kind} without a name, since it concerns all, found {line!r}")
        if kind == "busy" and not (what or _RETRY_AFTER_S).isdigit():
            raise ValueError(f"expected whole seconds to wait, such as busy:5, found {line!r}")
        start_ns = round(float(found["at"] or 0) * NS)
        if found["last"] is None:
            return cls(kind, what, start_ns)
        return cls(kind, what, start_ns, start_ns + round(float(found["last"]) * NS))


def troubles(lines: Sequence[str], products: Sequence[Product]) -> list[Trouble]:
    """Read lines about these products.

    Raises
    ------
    ConfigError
        One concerns a product that is not traded.
    """
    traded = [product.id for product in products]
    planted = [Trouble.read(line) for line in lines]
    for line, trouble in zip(lines, planted, strict=True):
        named = trouble.kind in _OF_A_PRODUCT or (trouble.kind == "omit" and trouble.what not in SERVED)
        if named and trouble.what.partition("/")[0] not in traded:
            raise ConfigError(f"exchange.troubles: expected one of {', '.join(traded)}, found {line!r}")
    return planted


class Manners(NamedTuple):
    """How the venue answers a request just now.

    Attributes
    ----------
    delisted
        Products that it has delisted.
    whole, nameless
        One product that it does not serve makes it refuse the request; its error does not even say which.
    refuses, mute
        It refuses every request; it answers none.
    omitted
        What it leaves out: channels, products, ``PRODUCT/CHANNEL``.
    """

    delisted: frozenset[str] = frozenset()
    whole: bool = False
    nameless: bool = False
    refuses: bool = False
    mute: bool = False
    omitted: frozenset[str] = frozenset()

    def omits(self, symbol: str, channel: str) -> bool:
        """Whether a product's channel is left out."""
        return not self.omitted.isdisjoint({symbol, channel, f"{symbol}/{channel}"})


class Door(NamedTuple):
    """An answer that lets nobody in: HTTP status, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Troubles:
    """All that is planted, over the time of one market.

    Parameters
    ----------
    planted
        What goes wrong.
    products
        What is traded; prints carry indices into it.
    opened_ns
        When the market opened.
    """

    def __init__(self, planted: Sequence[Trouble], products: Sequence[Product], opened_ns: int) -> None:
        self._planted = tuple(planted)
        self._opened_ns = opened_ns
        self._index = {product.id: i for i, product in enumerate(products)}
        self._shift = [0] * len(products)  # a product's ids are told so much lower than the market counts them
        self._over: set[Trouble] = set()  # what happens once, and has

    def manners(self, now_ns: int) -> Manners:
        """How a request is answered."""
        if not self._planted:
            return Manners()
        kinds = {trouble.kind for trouble in self._now(now_ns)}
        return Manners(
            delisted=self.delisted(now_ns),
            whole=bool(kinds & {"whole", "nameless"}),
            nameless="nameless" in kinds,
            refuses="refuse" in kinds,
            mute="mute" in kinds,
            omitted=frozenset(trouble.what for trouble in self._now(now_ns) if trouble.kind == "omit"),
        )

    def delisted(self, now_ns: int) -> frozenset[str]:
        """Products that are delisted."""
        return frozenset(trouble.what for trouble in self._now(now_ns) if trouble.kind == "delist")

    def door(self, now_ns: int) -> Door | None:
        """How somebody is turned away who would come in; None: he is not."""
        for trouble in self._now(now_ns):
            if trouble.kind == "busy":
                headers = {"Retry-After": trouble.what or _RETRY_AFTER_S, "Content-Type": "text/plain; charset=utf-8"}
                return Door(503, headers, b"Service Unavailable\n")
            if trouble.kind == "page":
                return Door(200, {"Content-Type": "text/html; charset=utf-8"}, _PAGE)
        return None

    def retold(self, block: Block) -> Block:
        """Tell a second of the market as the venue does: delisted products do not trade, ids may begin anew."""
        delisted = {self._index[symbol] for symbol in self.delisted(block.start_ns) if symbol in self._index}
        for trouble in self._once("renumber", block.start_ns):
            product = self._index.get(trouble.what)
            if product is not None and len(block.by_product[product]):
                self._shift[product] = int(block.by_product[product]["trade_id"][0]) - 1
                self._over.add(trouble)
        for i in delisted:
            self._shift[i] += len(block.by_product[i])
        if not delisted and not any(self._shift):
            return block
        prints = block.prints[~np.isin(block.prints["product"], list(delisted))]
        prints["trade_id"] -= np.array(self._shift)[prints["product"]]
        by_product = tuple(prints[prints["product"] == i] for i in range(len(self._shift)))
        return block._replace(prints=prints, by_product=by_product, muted=block.muted | delisted)

    def leapt(self, due: Prints) -> Prints:
        """Let the id leap of each print that is due for it; nothing but the feed ever tells that id."""
        for trouble in self._once("leap", int(due["ts"][-1]) if len(due) else 0):
            mine = (due["product"] == self._index.get(trouble.what, -1)) & (due["ts"] >= self._from(trouble))
            if mine.any():
                due = due.copy()
                due["trade_id"][mine.argmax()] += LEAP
                self._over.add(trouble)
        return due

    def spelled(self, texts: list[bytes], now_ns: int) -> list[bytes]:
        """Spell matches as the venue does just now."""
        for trouble in self._now(now_ns):
            if trouble.kind == "number":
                named = f'"product_id":"{trouble.what}"'.encode()
                texts = [_PRICE.sub(rb'"price":\1', text) if named in text else text for text in texts]
        return texts

    def _from(self, trouble: Trouble) -> int:
        return self._opened_ns + trouble.start_ns

    def _now(self, now_ns: int) -> Iterator[Trouble]:
        passed_ns = now_ns - self._opened_ns
        return (trouble for trouble in self._planted if trouble.start_ns <= passed_ns < trouble.end_ns)

    def _once(self, kind: str, now_ns: int) -> list[Trouble]:
        return [trouble for trouble in self._now(now_ns) if trouble.kind == kind and trouble not in self._over]
