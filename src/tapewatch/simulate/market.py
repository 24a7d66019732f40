"""A market that a seed determines: products and a start in, one second of prints after another out.

Volatility clusters and returns have fat tails, arrivals come in bursts, trades bounce between bid and
ask, an aggressor leaves several prints, and what the scenario plants bends all of it. Pure: no clock.
"""

import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from tapewatch.model import NS
from tapewatch.simulate import sweeps
from tapewatch.simulate.arrivals import Arrivals
from tapewatch.simulate.plants import Label, Plant, plant
from tapewatch.simulate.products import Product
from tapewatch.simulate.scenario import Scenario

OPENING_NS = 1_420_675_200 * NS
"""2015-01-08, when trade 1 of the venue's BTC-USD happened; no market starts earlier."""

RATE_MAX = 200_000
"""Trades a second that anyone may ask for; a core does not make more."""

PRINT = np.dtype(
    [
        ("ts", "i8"),  # ns, whole microseconds
        ("trade_id", "i8"),  # contiguous per product
        ("sequence", "i8"),  # rises per product, with jumps
        ("ticks", "i8"),  # price in increments of the product
        ("size", "i8"),  # base currency in units of 1e-8
        ("taker", "i8"),  # number of the aggressor's order
        ("maker", "i8"),  # number of the resting order
        ("product", "i2"),  # index into the market's products
        ("side", "i1"),  # taker: +1 buy, -1 sell
    ]
)

Prints = NDArray[np.void]
Times = NDArray[np.int64]

_IDS_AHEAD = 4  # ids reserved per expected trade, so that a later start never names an id again
_SEQUENCES_PER_TRADE = 64
_STICKY = 0.6  # share of aggressors that still meet the quote of the one before
_WIDE = 0.5  # share of quotes with a spread of more than one increment
_SAME_SIDE = 0.6  # of an aggressor and the one before
_PRESSED = 0.85  # share of aggressors on the side that presses, while one does
_MAKER_STAYS = 0.5  # a resting order at the touch that also serves the next aggressor


class Pace(Struct, frozen=True, forbid_unknown_fields=True):
    """How many trades the whole market makes, for load tests.

    Attributes
    ----------
    rate
        Trades a second over all products; None: each product's natural pace, which changes by the minute.
    burst_rate, burst_s, burst_every_s
        Every `burst_every_s` seconds the rate is `burst_rate` for `burst_s` seconds; a rate of 0: no bursts.
    """

    rate: Annotated[float, Meta(gt=0, le=RATE_MAX)] | None = None
    burst_rate: Annotated[float, Meta(ge=0, le=RATE_MAX)] = 0.0
    burst_s: Annotated[int, Meta(ge=1)] = 5
    burst_every_s: Annotated[int, Meta(ge=1)] = 60

    def at(self, second: int, natural: float) -> float:
        """Trades a second in the `second`-th second (0: the first), where the products' natural pace is `natural`.

        The past, whose seconds are negative, was natural: nobody measures it, and it must be there at once.
        """
        if second < 0:
            return natural
        bursting = self.burst_rate > 0 and second >= self.burst_every_s and second % self.burst_every_s < self.burst_s
        return self.burst_rate if bursting else natural if self.rate is None else self.rate


class Block(NamedTuple):
    """One second of the market.

    Attributes
    ----------
    start_ns
        A whole second.
    prints
        Of all products, ascending `ts`; shape (n,), dtype PRINT.
    by_product
        The same prints per product.
    muted
        Indices of products that say nothing in this second, not even a heartbeat.
    labels
        What was planted with a start in this second.
    """

    start_ns: int
    prints: Prints
    by_product: tuple[Prints, ...]
    muted: frozenset[int]
    labels: tuple[Label, ...]


class Weather:
    """The slow moods of a product: volatility and activity, each a log-normal autoregression, moving together.

    Source: Taylor (1986), the log-normal stochastic volatility model; Student's t as a mixture of normals.
    """

    _MEMORY = 0.985  # per second: a mood halves in 46 s
    _VOLATILITY_SPREAD = 0.5
    _ACTIVITY_SPREAD = 0.6
    _TOGETHER = 0.6
    _FREEDOM = 6.0  # degrees of freedom of a second's return

    def __init__(self, rng: np.random.Generator, *, steady: bool) -> None:
        self._rng = rng
        self._spread = np.array([self._VOLATILITY_SPREAD, 0.05 if steady else self._ACTIVITY_SPREAD])
        self._mood = rng.normal(size=2)

    def second(self) -> tuple[float, float]:
        """Move on by a second; return the factors of volatility (mean square 1) and of activity (mean 1)."""
        own = self._rng.normal(size=2)
        own[1] = self._TOGETHER * own[0] + (1.0 - self._TOGETHER**2) ** 0.5 * own[1]
        self._mood = self._MEMORY * self._mood + (1.0 - self._MEMORY**2) ** 0.5 * own
        log = self._spread * self._mood - self._spread**2 * (1.0, 0.5)
        tail = (self._FREEDOM - 2.0) / self._rng.chisquare(self._FREEDOM)
        return float(np.exp(log[0]) * tail**0.5), float(np.exp(log[1]))


class Instrument:
    """One product's market, second after second.

    Parameters
    ----------
    product, index
        What is traded, and its number in the prints.
    rng
        Its own generator, so that a product's tape does not depend on the others.
    steady
        Keep the pace even, for load tests.
    """

    def __init__(self, product: Product, index: int, rng: np.random.Generator, *, steady: bool) -> None:
        self.product = product
        self.trade_id = 0  # the next print's
        self.sequence = 0  # the last print's
        self._index = index
        self._rng = rng
        self._weather = Weather(rng, steady=steady)
        self._arrivals = Arrivals(rng)
        self._aggressors_per_s = product.trades_per_s / sweeps.PRINTS_MEAN
        self._log_ticks = float(np.log(product.level * product.ticks_per_unit))
        self._quote = (float(np.exp(self._log_ticks)), 1)  # mid in increments, spread in increments
        self._ts = 0
        self._side = 1
        self._order = int(rng.integers(1 << 62))

    def settle(self, lasting: float) -> None:
        """Take over what a finished plant leaves in the log price for ever."""
        self._log_ticks += lasting

    def second(self, start_ns: int, pace: float, plants: Sequence[Plant]) -> Prints:
        """Trade one second.

        Parameters
        ----------
        start_ns
            Start of the second; seconds come in ascending order.
        pace
            Multiplies the product's natural rate.
        plants
            What bends the market in this second.

        Returns
        -------
        NDArray
            Shape (n,), dtype PRINT, ascending `ts`.
        """
        volatility, activity = self._weather.second()
        volatility = max((p.volatility for p in plants if p.volatility is not None), default=volatility)
        for each in plants:
            activity *= each.activity
        ts = self._arrivals.second(start_ns, self._aggressors_per_s * pace * activity)
        for each in plants:
            ts = np.union1d(ts, each.extra_arrivals(start_ns))
        if len(ts) == 0 or any(each.mutes(start_ns) for each in plants):
            return np.empty(0, dtype=PRINT)
        side = self._sides(ts, plants)
        bid, ask = self._quotes(ts, volatility, plants)
        touch = np.where(side > 0, ask, bid)
        return self._prints(ts, side, touch, sum((p.slip(ts) for p in plants), np.zeros(len(ts))))

    def _sides(self, ts: Times, plants: Sequence[Plant]) -> NDArray[np.int8]:
        rng = self._rng
        flips = np.cumsum(rng.random(len(ts)) >= _SAME_SIDE)
        side = np.where(flips % 2 == 0, self._side, -self._side).astype(np.int8)
        drift = sum((p.drift(ts) for p in plants), np.zeros(len(ts), dtype=np.int8))
        side = np.where((drift != 0) & (rng.random(len(ts)) < _PRESSED), np.sign(drift), side)
        self._side = int(side[-1])
        return side

    def _quotes(self, ts: Times, volatility: float, plants: Sequence[Plant]) -> tuple[Times, Times]:
        """Best bid and ask in increments at each arrival; a quote often outlives several of them."""
        rng = self._rng
        elapsed_s = np.diff(ts, prepend=self._ts or ts[0]) / NS
        scale = self.product.volatility_bp * 1e-4 * volatility
        path = self._log_ticks + np.cumsum(scale * np.sqrt(elapsed_s) * rng.normal(size=len(ts)))
        self._log_ticks, self._ts = float(path[-1]), int(ts[-1])

        bent = np.zeros(len(ts), dtype=bool)
        for each in plants:
            path = path + each.bend(ts)
            bent |= each.covers(ts)
        fresh = bent | (rng.random(len(ts)) >= _STICKY)
        mids = np.concatenate([[self._quote[0]], np.exp(path)])
        wide = rng.exponential(self.product.spread_bp * 1e-4 * mids[-1], len(ts)) * (rng.random(len(ts)) < _WIDE)
        spreads = np.concatenate([[self._quote[1]], 1 + wide.astype(np.int64)])
        latest = np.maximum.accumulate(np.where(fresh, np.arange(1, len(ts) + 1), 0))
        mid, spread = mids[latest], spreads[latest]
        self._quote = (float(mid[-1]), int(spread[-1]))
        bid = np.floor(mid - (spread - 1) / 2).astype(np.int64)
        return bid, bid + spread

    def _prints(self, ts: Times, side: NDArray[np.int8], touch: Times, slip: NDArray[np.float64]) -> Prints:
        rng, product = self._rng, self.product
        counts = sweeps.print_counts(rng, len(ts))
        counts[slip != 0.0] = 1
        level = sweeps.levels(rng, product, counts, self._quote[0])
        first = np.cumsum(counts) - counts
        out = np.empty(len(level), dtype=PRINT)
        out["product"] = self._index
        out["ts"] = np.repeat(ts, counts)
        out["side"] = np.repeat(side, counts)
        out["ticks"] = np.maximum(np.repeat(touch, counts) + level * out["side"], 1)
        out["ticks"][first] = np.rint(out["ticks"][first] * np.exp(slip))
        out["size"] = sweeps.sizes(rng, product, out["ticks"] / product.ticks_per_unit)
        out["trade_id"] = np.arange(self.trade_id, self.trade_id + len(out))
        steps = np.full(len(out), 2)
        steps[first] = 3 + np.exp(rng.normal(3.5, 1.3, len(ts))).astype(np.int64)
        out["sequence"] = self.sequence + np.cumsum(steps)
        self.trade_id += len(out)
        self.sequence = int(out["sequence"][-1])
        self._number_orders(out, first, counts)
        return out

    def _number_orders(self, out: Prints, first: Times, counts: Times) -> None:
        out["taker"] = np.repeat(self._order + np.arange(len(first)), counts)
        same = (np.diff(out["ticks"], prepend=0) == 0) & (np.diff(out["side"], prepend=np.int8(0)) == 0)
        stays = np.zeros(len(out), dtype=bool)
        stays[first] = same[first] & (self._rng.random(len(first)) < _MAKER_STAYS)
        stays[0] = False
        latest = np.maximum.accumulate(np.where(stays, 0, np.arange(len(out))))
        out["maker"] = self._order + len(first) + latest
        self._order += len(first) + len(out)


class Market:
    """All products together.

    Parameters
    ----------
    products
        What is traded.
    seed, start_ns
        Determine every print; the start is rounded down to a whole second.
    pace
        For load tests.
    planted
        Whether anomalies are planted.
    past_s
        Seconds of trading before the start: what a client finds already there.
    """

    def __init__(
        self,
        products: Sequence[Product],
        seed: int,
        start_ns: int,
        *,
        pace: Pace | None = None,
        planted: bool = True,
        past_s: int = 60,
    ) -> None:
        assert start_ns >= OPENING_NS, "a market starts after the venue opened"
        self.products = tuple(products)
        self.start_ns = start_ns // NS * NS
        self._pace = pace or Pace()
        self._past_s = past_s
        self._schedule = iter(Scenario(seed, products, self.start_ns)) if planted else iter(())
        self._next = next(self._schedule, None)
        self._natural = sum(product.trades_per_s for product in products)
        self._instruments = tuple(
            Instrument(
                product,
                index,
                np.random.default_rng([seed, zlib.crc32(product.id.encode())]),
                steady=self._pace.rate is not None,
            )
            for index, product in enumerate(products)
        )
        self._plants: tuple[list[Plant], ...] = tuple([] for _ in products)

    def blocks(self) -> Iterator[Block]:
        """Trade second after second, without end: first the past, then from the start on."""
        past = [self._block(second) for second in range(-self._past_s, 0)]
        # Ids are counted from the start on, so those of the past, whose number is known only now, lie below.
        shifts = [self._first_id(each.product) - each.trade_id for each in self._instruments]
        for block in past:
            for prints in (block.prints, *block.by_product):
                prints["trade_id"] += np.take(shifts, prints["product"])
                prints["sequence"] += np.take(shifts, prints["product"]) * _SEQUENCES_PER_TRADE
            yield block
        for instrument, shift in zip(self._instruments, shifts, strict=True):
            instrument.trade_id += shift
            instrument.sequence += shift * _SEQUENCES_PER_TRADE
        for second in itertools.count():
            yield self._block(second)

    def _first_id(self, product: Product) -> int:
        """Id of the first trade from the start on; a later start of the same market is always above this run's."""
        per_s = product.trades_per_s * self._pace.at(0, self._natural) / self._natural
        return 1 + int(_IDS_AHEAD * per_s * ((self.start_ns - OPENING_NS) // NS))

    def _block(self, second: int) -> Block:
        start_ns = self.start_ns + second * NS
        labels = self._plant_until(start_ns + NS)
        pace = self._pace.at(second, self._natural) / self._natural
        each = tuple(
            instrument.second(start_ns, pace, plants)
            for instrument, plants in zip(self._instruments, self._plants, strict=True)
        )
        prints = np.concatenate(each)
        muted = {i for i, plants in enumerate(self._plants) if any(p.mutes(start_ns) for p in plants)}
        self._settle(start_ns + NS)
        order = np.argsort(prints["ts"], kind="stable")
        return Block(start_ns, prints[order], each, frozenset(muted), labels)

    def _plant_until(self, end_ns: int) -> tuple[Label, ...]:
        labels = []
        index = {product.id: i for i, product in enumerate(self.products)}
        while self._next is not None and self._next.start_ts < end_ns:
            labels.append(self._next)
            self._plants[index[self._next.symbol]].append(plant(self._next))
            self._next = next(self._schedule, None)
        return tuple(labels)

    def _settle(self, end_ns: int) -> None:
        for instrument, plants in zip(self._instruments, self._plants, strict=True):
            for each in [p for p in plants if p.end_ns < end_ns]:
                instrument.settle(each.lasting)
                plants.remove(each)
