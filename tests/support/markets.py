"""Tapes for tests: written by hand row by row, or drawn from a seed with every kind of trouble.

Seconds are counted from `START`; prices are decimal strings of the quote currency.
"""

import random
from decimal import Decimal
from typing import Self

import numpy as np
from hypothesis import strategies as st

from tapewatch.model import NS, NUMBERING, PRICE_MAX, PRICE_SCALE, Cause, Flag, Kind, Lane, Rows, RowTuple

START = 1_760_054_400 * NS
"""Midnight of 2025-10-10 UTC, where made-up tapes begin."""

LANES = (
    Lane("coinbase", "BTC-USD"),
    Lane("coinbase", "DOGE-USD"),
    Lane("binance", "BTC-USDC"),
    Lane("coinbase", "PEPE-USD"),
)

Seconds = int | str
"""Seconds after `START`; fractions as strings, so that they are exact."""


def ns(seconds: Seconds) -> int:
    """Turn seconds into nanoseconds, exactly."""
    return int(Decimal(seconds) * NS)


def units(price: Seconds) -> int:
    """Turn a price into units of 1e-10, exactly."""
    return int(Decimal(price) * PRICE_SCALE)


class Tape:
    """A tape written by hand; trade ids count up by themselves unless they are given.

    >>> tape = Tape(Lane("coinbase", "BTC-USD")).trade(0, "100").trade("0.5", "100.25")
    >>> tape.rows().data["trade_id"].tolist()
    [1, 2]
    """

    def __init__(self, *lanes: Lane) -> None:
        self.lanes = lanes or LANES
        self.tuples: list[RowTuple] = []
        self.next_id = [1] * len(self.lanes)

    def rows(self) -> Rows:
        """Give what was written so far."""
        return Rows.of(self.lanes, self.tuples)

    def trade(
        self,
        at: Seconds,
        price: Seconds,
        *,
        number: int | None = None,
        recv: Seconds | None = None,
        size: float = 1.0,
        flags: int = 0,
        lane: int = 0,
    ) -> Self:
        """Print one trade, received at once unless `recv` says otherwise."""
        number = self.next_id[lane] if number is None else number
        self.next_id[lane] = max(self.next_id[lane], number + 1)
        return self._row(Kind.TRADE, lane, at, recv, number, units(price), size, flags=flags)

    def gap(self, at: Seconds, first: int, last: int, *, flags: int = 0, lane: int = 0) -> Self:
        """Skip the ids first … last."""
        self.next_id[lane] = max(self.next_id[lane], last + 1)
        return self._row(Kind.GAP, lane, at, None, first, aux=last, flags=flags)

    def late(self, at: Seconds, price: Seconds, number: int, *, size: float = 1.0, lane: int = 0) -> Self:
        """Let a trade of an open gap go."""
        return self._row(Kind.LATE, lane, at, None, number, units(price), size)

    def filled(self, at: Seconds, first: int, last: int, *, given_up: bool = False, lane: int = 0) -> Self:
        """Close the gap first … last."""
        return self._row(Kind.FILLED, lane, at, None, first, aux=last, flags=Flag.GIVEN_UP if given_up else 0)

    def epoch(self, at: Seconds, first: int, before: int, *, lane: int = 0) -> Self:
        """Begin to number trades anew, from `first`."""
        self.next_id[lane] = first
        return self._row(Kind.EPOCH, lane, at, None, first, aux=before)

    def clock(
        self,
        recv: Seconds,
        frame: Seconds,
        venue: Seconds | None = None,
        *,
        flags: int = 0,
        lane: int = 0,
        blind: Seconds | None = None,
        why: Cause = Cause.NONE,
    ) -> Self:
        """Tick at `recv`; the last frame came at `frame`; `venue`: the venue's time where it is known.

        `blind`: since when nothing gets through, and `why`.
        """
        last_frame, since = START + ns(frame), 0 if blind is None else START + ns(blind)
        row = (0 if venue is None else START + ns(venue), START + ns(recv), why, since, 0, 0.0, last_frame)
        self.tuples.append((*row, lane, Kind.CLOCK, 0, flags))
        return self

    def _row(
        self,
        kind: Kind,
        lane: int,
        at: Seconds,
        recv: Seconds | None,
        number: int,
        price: int = 0,
        size: float = 0.0,
        *,
        aux: int = 0,
        flags: int = 0,
    ) -> Self:
        ts = START + ns(at)
        recv_ts = ts if recv is None else START + ns(recv)
        self.tuples.append((ts, recv_ts, number, 0, price, size, aux, lane, kind, 1 if price else 0, flags))
        return self


PAUSES = (
    *(0, 0, 0, 1, 10**6, 3 * 10**7, 10**8, 10**8, 3 * 10**8, 3 * 10**8, NS // 2, NS - 1, NS, NS + 1),
    *(2 * NS, 2 * NS + 1, 5 * NS, 10 * NS, 10 * NS + 1, 60 * NS, 60 * NS + 1, 130 * NS),
)
"""How long a lane rests, ns: bursts, whole seconds, and both sides of every limit in time."""
STEADY = 14  # so many of them do not end a second's trade by much

MOVES = ("tick", "none", "run", "percent", "amount", "share", "leap")
WILD = (4, 1, 2, 2, 2, 1, 1)
MILD = (60, 5, 3, 1, 1, 2, 0)  # small σ, so that the rules that measure it speak too
FLAT = (0, 60, 0, 0, 2, 2, 0)  # hardly any σ, so that floors decide


class _Walk:
    """One lane of an adversarial tape: it knows enough to hit limits exactly and to break every habit."""

    def __init__(self, rng: random.Random, lane: int, temper: str) -> None:
        self.rng = rng
        self.lane = lane
        self.temper = temper
        self.now = START + rng.randrange(NS)
        self.last_frame = self.now
        self.ts = self.now
        self.number = rng.choice((0, 1, 1000))
        self.price = units(rng.choice(("0.0000000001", "0.0000071234", "0.2", "17.588", "114210.55", "9999999.99")))
        self.recent = [self.price]
        self.gaps: list[tuple[int, int]] = []
        self.told: list[RowTuple] = []
        self.run = 1
        self.blind_since = 0

    def rows(self) -> list[RowTuple]:
        """Draw what capture lets go next: one row, or two that belong together."""
        weights = {
            "mild": (300, 1, 1, 1, 20, 1, 0),
            "flat": (300, 1, 1, 1, 20, 1, 0),
            "wild": (30, 1, 1, 1, 4, 1, 0.1),
            "torn": (10, 8, 3, 1, 4, 3, 0.03),
            "deaf": (6, 1, 1, 1, 8, 1, 0.1),
        }[self.temper]
        draw = (self._trade, self._gap, self._late, self._filled, self._clock, self._again, self._epoch)
        rows = self.rng.choices(draw, weights)[0]()
        self.told += rows
        return rows

    def _row(self, kind: Kind, number: int, price: int, aux: int, flags: int) -> RowTuple:
        lag = self.rng.choice((0, 50_000_000, 50_000_000, -1_200_000_000, 10 * NS, 10 * NS + 1))
        ts = self.now - lag
        size = self.rng.choice((0.0, 0.1, 1.0, 12345.678)) if price else 0.0
        self.last_frame = self.now
        self.ts = max(self.ts, ts)
        return (
            ts,
            self.now,
            number,
            self.rng.randrange(9),
            price,
            size,
            aux,
            self.lane,
            kind,
            1 if price else 0,
            flags,
        )

    def _history(self) -> int:
        return Flag.HISTORY if self.rng.random() < 0.1 else 0

    def _rest(self) -> None:
        steady = self.rng.random() < {"mild": 0.995, "flat": 0.995, "wild": 0.8, "torn": 0.5, "deaf": 0.5}[self.temper]
        self.now += self.rng.choice(PAUSES[:STEADY] if steady else PAUSES)

    def _trade(self) -> list[RowTuple]:
        self._rest()
        self._move()
        if self.gaps and self.rng.random() < 0.02:  # it stood in a gap, and comes too late to be a trade
            return [self._row(Kind.TRADE, self.rng.choice(self.gaps)[1], self.price, 0, 0)]
        self.number += 1
        return [self._row(Kind.TRADE, self.number, self.price, 0, self._history())]

    def _move(self) -> None:
        move = self.rng.choices(MOVES, {"mild": MILD, "flat": FLAT}.get(self.temper, WILD))[0]
        start = self.rng.choice(self.recent[-3:] if self.temper == "mild" else self.recent[-12:])
        if self.temper == "flat":
            self.price = start = self.recent[0]
        sign = self.rng.choice((-1, 1))
        shy = self.rng.choice((0, 0, 1))  # one unit short of the limit
        tick = max(1, self.price // 10**5)
        price = {
            "tick": self.price + sign * tick,
            "none": self.price,
            "run": self.price + self.run * tick * self.rng.randrange(1, 40),
            "percent": start + sign * (-(-start // 400) - shy),
            "share": start + sign * (-(-start * 3 // 2500) - shy),
            "amount": start + sign * (self.rng.choice((15, 25, 30, 60)) * PRICE_SCALE - shy),
            "leap": start * self.rng.choice((1, 1, 1, 2, 9)) // self.rng.choice((1, 2, 9)),
        }[move]
        if self.rng.random() < 0.05:
            self.run = -self.run
        self.price = min(max(price, 1), PRICE_MAX * PRICE_SCALE)
        self.recent.append(self.price)

    def _gap(self) -> list[RowTuple]:
        first = self.number + self.rng.choice((1, 1, 1, 2))
        last = first + self.rng.choice((0, 0, 1, 6))
        self.number = last
        self.gaps.append((first, last))
        rows = [self._row(Kind.GAP, first, 0, last, self._history())]
        if self.rng.random() < 0.2:  # as readers of foreign tapes do
            self.gaps.pop()
            rows.append(self._row(Kind.FILLED, first, 0, last, Flag.GIVEN_UP))
        return rows

    def _late(self) -> list[RowTuple]:
        if not self.gaps or self.rng.random() < 0.1:
            return [self._row(Kind.LATE, self.rng.randrange(self.number + 2), self.price, 0, 0)]
        first, last = self.rng.choice(self.gaps)
        return [self._row(Kind.LATE, number, self.price, 0, 0) for number in range(first, last + 1) if self._keeps()]

    def _keeps(self) -> bool:
        return self.rng.random() < 0.7

    def _filled(self) -> list[RowTuple]:
        if not self.gaps:
            return [self._row(Kind.FILLED, max(1, self.number), 0, self.number, 0)]
        first, last = self.gaps.pop(self.rng.randrange(len(self.gaps)))
        return [self._row(Kind.FILLED, first, 0, last, self.rng.choice((0, Flag.GIVEN_UP)))]

    def _clock(self) -> list[RowTuple]:
        silent = self.rng.random() < (0.7 if self.temper == "deaf" else 0.2)
        self.now += self.rng.choice((NS, NS, 5 * NS, 5 * NS - 1, 10 * NS, 20 * NS)) if silent else 0
        if not silent:
            self.last_frame = self.now - self.rng.choice((0, 1, NS, 5 * NS - 1, 5 * NS))
        venue = self.rng.choice((0, 0, self.now, self.ts, self.ts + 60 * NS, self.ts + 60 * NS + 1))
        blind = self.rng.random()
        if blind < 0.1:
            self.blind_since = self.now - self.rng.choice((0, 5 * NS - 1, 5 * NS, 9 * NS))
        elif blind < 0.3:
            self.blind_since = 0
        why = self.rng.choice((0, *Cause))
        row = (venue, self.now, why, self.blind_since, 0, 0.0, self.last_frame, self.lane)
        return [(*row, Kind.CLOCK, 0, self._history())]

    def _epoch(self) -> list[RowTuple]:
        before = self.number
        self.number = (before // NUMBERING + 1) * NUMBERING + self.rng.choice((0, 1, 5_000))
        self.gaps.clear()
        return [self._row(Kind.EPOCH, self.number + 1, 0, before, self._history())]

    def _again(self) -> list[RowTuple]:
        # Some rows are told twice, in their order.
        start = self.rng.randrange(len(self.told) + 1)
        return self.told[start : start + self.rng.choice((1, 1, 5, 40))]


def adversarial(rng: random.Random, count: int, lanes: int = 2) -> Rows:
    """Draw a tape that breaks every habit of a market, about `count` rows long."""
    walks = [_Walk(rng, lane, rng.choice(("mild", "mild", "flat", "wild", "torn", "deaf"))) for lane in range(lanes)]
    tuples: list[RowTuple] = []
    while len(tuples) < count:
        tuples += rng.choice(walks).rows()
    return Rows.of(LANES[:lanes], tuples)


def seeded(seed: int, count: int = 4000, lanes: int = 3) -> Rows:
    """Draw the adversarial tape of a seed, always the same."""
    return adversarial(random.Random(seed), count, lanes)  # noqa: S311 - no secret depends on it


def legal(rows: Rows) -> Rows:
    """Leave out ranges that end before they begin, which no capture lets go."""
    backwards = np.isin(rows.data["kind"], (Kind.GAP, Kind.FILLED)) & (rows.data["aux"] < rows.data["trade_id"])
    return Rows(rows.lanes, rows.data[~backwards])


def in_order(rows: Rows) -> Rows:
    """Sort by receive time: one speed for the whole tape, though what its lanes rest is drawn lane by lane."""
    return Rows(rows.lanes, rows.data[np.argsort(rows.data["recv_ts"], kind="stable")])


def tapes(count_max: int = 60) -> st.SearchStrategy[Rows]:
    """Adversarial tapes for Hypothesis, which shrinks the choices that led to them."""
    return st.builds(
        adversarial, st.randoms(use_true_random=False), st.integers(1, count_max), st.integers(1, len(LANES) - 1)
    )
