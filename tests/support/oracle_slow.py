"""The two rules on slow moves as the page states them: all completed steps of the window, looked at on each trade."""

import math
from fractions import Fraction
from typing import NamedTuple

from support.oracle_rules import Finding, Parameters, Seconds
from support.oracle_words import NS, exact, minutes_text, plain, price_text, rounded


class Step(NamedTuple):
    """A second or a minute that has trades: its extremes, each with the time of the last trade at it."""

    number: int
    low: int
    low_ts: int
    high: int
    high_ts: int


class _Slow:
    """The price against the extremes of the completed steps of its window."""

    name: str
    severity, unit = "high", "percent"
    step_s: int

    def __init__(self, symbol: str, parameters: Parameters, steps: float) -> None:
        self.symbol = symbol
        self.parameters = parameters
        self.steps = int(steps)  # of a window, the one in progress included
        self.window_s = Fraction(self.steps * self.step_s)
        self.share = exact(parameters["threshold_pct"]) / 100
        self.restart()

    def restart(self) -> None:
        self.completed: list[Step] = []
        self.current: Step | None = None

    def see(self, ts: int, price: int, _seconds: Seconds) -> list[Finding]:
        number = ts // (self.step_s * NS)
        if self.current is not None and number > self.current.number:
            self.completed = [step for step in [*self.completed, self.current] if step.number > number - self.steps]
            self.current = None
        findings = []
        if self.completed:
            low = min(step.low for step in self.completed)
            since = max(step.low_ts for step in self.completed if step.low == low)
            findings += self._compare("up", ts, price, low, since, number)
            high = max(step.high for step in self.completed)
            since = max(step.high_ts for step in self.completed if step.high == high)
            findings += self._compare("down", ts, price, high, since, number)
        old = self.current or Step(number, price, ts, price, ts)
        low = (price, ts) if price <= old.low else (old.low, old.low_ts)
        high = (price, ts) if price >= old.high else (old.high, old.high_ts)
        self.current = Step(number, *low, *high)
        return findings

    def _compare(self, direction: str, ts: int, price: int, start: int, since: int, number: int) -> list[Finding]:
        move = price - start if direction == "up" else start - price
        if move < math.ceil(start * self.share):
            return []
        size = 100.0 * (float(move) / float(start))
        verb = "rose" if direction == "up" else "fell"
        limit = f"{plain(self.parameters['threshold_pct'])} % in {minutes_text(int(self.window_s) * NS)}"
        return [
            Finding(
                direction=direction,
                observed=size if direction == "up" else -size,
                threshold=float(self.parameters["threshold_pct"]),
                reference_price=float(start) / 1e10,
                reference_ts=since,
                gap_since=(number - self.steps + 1) * self.step_s * NS,
                explain=lambda: (
                    f"{self.symbol} {verb} {rounded(size, 2)} % in {minutes_text(ts - since)}, "
                    f"from {price_text(start)} to {price_text(price)} (limit {limit})"
                ),
            )
        ]


class SlowMove(_Slow):
    """Within minutes, by seconds."""

    name, step_s = "slow_move", 1

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        super().__init__(symbol, parameters, parameters["window_s"])


class HourMove(_Slow):
    """Within an hour, by minutes."""

    name, step_s = "hour_move", 60

    def __init__(self, symbol: str, parameters: Parameters) -> None:
        super().__init__(symbol, parameters, parameters["window_min"])
