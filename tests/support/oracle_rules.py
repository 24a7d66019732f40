"""The rules as the page states them: one row after another in, what fires on it out.

Each class is one rule of one lane, written to be read beside the page: plain lists, Python
integers, and float64 in the order that the page prescribes. `sum` is avoided for floats, since
newer Pythons compensate it.
"""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from support.oracle_words import (
    NS,
    UNITS,
    breakout_sentence,
    difference_text,
    exact,
    price_text,
    quote_of,
    rounded,
    stretch_sentence,
    window_sentence,
)

Parameters = dict[str, float]


class Finding(NamedTuple):
    """A rule is true on a row: what the row is compared with, and what is said about it."""

    direction: str | None
    observed: float
    threshold: float
    reference_price: float | None
    reference_ts: int | None
    gap_since: int  # a gap not filled, at or after this effective time, spoils the quality
    explain: Callable[[], str]  # asked for at the opening only
    left_ts: int | None = None  # effective time of the trade right behind the one that the row is compared with


class Sample(NamedTuple):
    """The last price of a second of event time that has a trade."""

    ts: int  # effective time of the trade that supplied it
    price: int


class Seconds:
    """The samples of one lane: its completed seconds, and the one in progress."""

    def __init__(self) -> None:
        self.completed: list[Sample] = []
        self.current: Sample | None = None

    def restart(self) -> None:
        self.completed = []
        self.current = None

    def complete(self, ts: int) -> None:
        """Complete the second in progress if `ts` lies in a later one."""
        if self.current is not None and ts // NS > self.current.ts // NS:
            self.completed.append(self.current)
            self.current = None

    def trade(self, ts: int, price: int) -> None:
        self.current = Sample(ts, price)


class Window:
    """The rows within the window and the last row before them."""

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self.restart()

    def restart(self) -> None:
        self.times: list[int] = []
        self.prices: list[int] = []
        self.first = 0  # the last row before the window, or the first of all
        self.low = self.high = 0  # the latest row at the lowest and at the highest price

    def add(self, ts: int, price: int) -> None:
        self.times.append(ts)
        self.prices.append(price)
        while self.first + 1 < len(self.times) and self.times[self.first + 1] < ts - self.window_ns:
            self.first += 1
        self.low = self._latest(self.low, min)
        self.high = self._latest(self.high, max)

    def _latest(self, known: int, extreme: Callable[..., int]) -> int:
        newest = len(self.prices) - 1
        if known >= self.first:
            wanted = extreme(self.prices[known], self.prices[newest])
            return newest if wanted == self.prices[newest] else known
        # The known extreme has left the window: look at all of it.
        wanted = extreme(self.prices[self.first :])
        return max(row for row in range(self.first, newest + 1) if self.prices[row] == wanted)


class _Move:
    """What `pct_spike` and `abs_jump` share: the price against the extremes of its window."""

    severity = "high"

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        self.symbol = symbol
        self.parameters = parameters
        self.window_s = exact(parameters["window_s"])
        self.window = Window(int(self.window_s * NS))

    def restart(self) -> None:
        self.window.restart()

    def see(self, ts: int, price: int, _seconds: Seconds) -> list[Finding]:
        window = self.window
        window.add(ts, price)
        low, high = window.prices[window.low], window.prices[window.high]
        findings = []
        if self.reaches(price - low, low):
            findings.append(self._finding("up", ts, price, window.low))
        if self.reaches(high - price, high):
            findings.append(self._finding("down", ts, price, window.high))
        return findings

    def _finding(self, direction: str, ts: int, price: int, row: int) -> Finding:
        since, start = self.window.times[row], self.window.prices[row]
        opens = ts - self.window.window_ns
        size = self.printed(abs(price - start), start)
        return Finding(
            direction=direction,
            observed=size if direction == "up" else -size,
            threshold=self.threshold,
            reference_price=float(start) / 1e10,
            reference_ts=since,
            gap_since=opens,
            left_ts=self.window.times[row + 1],
            explain=lambda: window_sentence(
                f"{self.symbol} {'rose' if direction == 'up' else 'fell'} {self.shown(price, start)}",
                elapsed=ts - since,
                older=since < opens,
                start=start,
                price=price,
                limit=self.limit_text,
                window_s=self.parameters["window_s"],
            ),
        )


class PctSpike(_Move):
    """The price moved by a share of the window's extreme."""

    name = "pct_spike"

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        super().__init__(symbol, parameters)
        self.unit = "percent"
        self.threshold = float(parameters["threshold_pct"])
        self.share = exact(parameters["threshold_pct"]) / 100
        self.limit_text = f"{rounded(self.threshold, 2)} %"

    def reaches(self, move: int, start: int) -> bool:
        return move * self.share.denominator >= start * self.share.numerator

    def printed(self, move: int, start: int) -> float:
        return 100.0 * (float(move) / float(start))

    def shown(self, price: int, start: int) -> str:
        return f"{rounded(self.printed(abs(price - start), start), 2)} %"


class AbsJump(_Move):
    """The price moved by an amount of the quote currency."""

    name = "abs_jump"

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        super().__init__(symbol, parameters)
        self.unit = quote_of(symbol)
        self.threshold = float(parameters["limit_quote"])
        self.units = exact(parameters["limit_quote"]) * UNITS
        self.limit_text = price_text(math.ceil(self.units))

    def reaches(self, move: int, _start: int) -> bool:
        return move >= self.units

    def printed(self, move: int, _start: int) -> float:
        return float(move) / 1e10

    def shown(self, price: int, start: int) -> str:
        return difference_text(price, start)


class Floor:
    """The smallest move that the two rules with a σ speak of: an amount, or a share of the base."""

    def __init__(self, parameters: Parameters) -> None:
        self.amount = exact(parameters["floor_quote"]) * UNITS if "floor_quote" in parameters else None
        self.share = exact(parameters["floor_pct"]) / 100 if "floor_pct" in parameters else None

    def reached(self, move: int, base: int, n: int = 1) -> bool:
        """Compare a sum of `n` moves with the floor for the sum of their `n` bases."""
        if self.amount is not None:
            return abs(move) >= n * self.amount
        return abs(move) * self.share.denominator >= base * self.share.numerator

    def printed(self, base: float) -> float:
        """Give the floor in units of price for one base."""
        if self.amount is not None:
            return float(self.amount)
        return base * float(self.share.numerator) / float(self.share.denominator)


def deviation(values: list[float]) -> float:
    """Give the population standard deviation in two passes, added from oldest to newest."""
    total = 0.0
    for value in values:
        total += value
    mean = total / len(values)
    squares = 0.0
    for value in values:
        d = value - mean
        squares += d * d
    return math.sqrt(squares / len(values))


class VolBreakout:
    """The price leaves the last second by many σ of the returns from second to second."""

    name, severity = "vol_breakout", "medium"

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        self.symbol = symbol
        self.parameters = parameters
        self.unit = quote_of(symbol)
        self.floor = Floor(parameters)
        self.returns = int(parameters["returns"])
        self.window_s = Fraction(1)
        self.sigmas = float(parameters["sigmas"])

    def restart(self) -> None:
        """Nothing to forget: the samples belong to the lane."""

    def see(self, _ts: int, price: int, seconds: Seconds) -> list[Finding]:
        samples = seconds.completed[-(self.returns + 1) :]
        if len(samples) < self.returns + 1:
            return []
        base = samples[-1].price
        move = price - base
        if move == 0 or not self.floor.reached(move, base):
            return []
        sigma = deviation(
            [float(b.price) / float(a.price) - 1.0 for a, b in itertools.pairwise(samples)],
        )
        if abs(float(price) / float(base) - 1.0) < self.sigmas * sigma:
            return []
        threshold = max(self.sigmas * sigma * float(base), self.floor.printed(float(base))) / 1e10
        return [
            Finding(
                direction="up" if move > 0 else "down",
                observed=float(move) / 1e10,
                threshold=threshold,
                reference_price=float(base) / 1e10,
                reference_ts=samples[-1].ts,
                gap_since=samples[0].ts,
                explain=lambda: breakout_sentence(self.symbol, price, base, threshold),
            )
        ]


class MeanReversionBreak:
    """The price stands many σ from the mean of the last seconds."""

    name, severity = "mean_reversion_break", "low"

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        self.symbol = symbol
        self.parameters = parameters
        self.unit = quote_of(symbol)
        self.floor = Floor(parameters)
        self.samples = int(parameters["samples"])
        self.window_s = Fraction(self.samples)
        self.sigmas = float(parameters["sigmas"])

    def restart(self) -> None:
        """Nothing to forget: the samples belong to the lane."""

    def see(self, _ts: int, price: int, seconds: Seconds) -> list[Finding]:
        n = self.samples
        samples = seconds.completed[-n:]
        if len(samples) < n:
            return []
        total = sum(sample.price for sample in samples)
        stretch = n * price - total
        if stretch == 0 or not self.floor.reached(stretch, total, n):
            return []
        sigma = deviation([float(sample.price) for sample in samples])
        if float(abs(stretch)) / n < self.sigmas * sigma:
            return []
        threshold = max(self.sigmas * sigma, self.floor.printed(float(total) / n)) / 1e10
        return [
            Finding(
                direction="up" if stretch > 0 else "down",
                observed=float(stretch) / (n * 1e10),
                threshold=threshold,
                reference_price=float(total) / (n * 1e10),
                reference_ts=samples[-1].ts,
                gap_since=samples[0].ts,
                explain=lambda: stretch_sentence(self.symbol, price, total, n, threshold),
            )
        ]
