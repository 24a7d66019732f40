"""Rules, severities, feeds and sentences in a trader's words; both dashboards say the same.

In: names as they stand in records. Out: plain text, no markup; colours are the dashboards' own matter.
"""

from typing import Final, Literal

from tapewatch.figures import duration, number, price, signed
from tapewatch.model import Anomaly, Direction, Severity

FeedWord = Literal["live", "stale", "waiting", "reconnecting", "ended", "stopped"]

SEVERITIES: Final[tuple[Severity, ...]] = ("high", "medium", "low")
"""Worst first."""

SHAPES: Final[dict[Severity, str]] = {"high": "◆", "medium": "■", "low": "○"}
"""One shape per severity, the same everywhere, so that severity is told without colour."""

RULES: Final[dict[str, str]] = {
    "pct_spike": "Fast move",
    "vol_breakout": "Volatility breakout",
    "mean_reversion_break": "Mean stretch",
    "abs_jump": "Dollar jump",
    "silent_feed": "Silent feed",
    "tape_gap": "Missing trades",
}
"""Rule → its name for people, in the order in which distributions list them."""

RULES_SHORT: Final[dict[str, str]] = {**RULES, "vol_breakout": "Vol. breakout"}
"""The same in at most 14 characters."""

MEANINGS: Final[dict[str, str]] = {
    "pct_spike": "the price moved by a share of itself within seconds",
    "abs_jump": "the price moved by an amount of money within seconds",
    "vol_breakout": "far from the last second, measured in usual moves",
    "mean_reversion_break": "far from the mean of the last minute",
    "silent_feed": "the exchange sends nothing",
    "tape_gap": "trades are missing in what it sent",
}
"""The same in half a line, for a legend."""

ARROWS: Final[dict[Direction | None, str]] = {"up": "↑", "down": "↓", None: " "}

RECENCIES: Final[dict[int, str]] = {300: "5 min", 3_600: "1 h", 86_400: "24 h", 604_800: "7 d"}
"""Spans that a filter offers, in seconds."""

SPANS: Final[dict[int, str]] = {300: "last 5 min", 3_600: "last hour", 86_400: "last 24 h", 604_800: "last 7 days"}
"""The same as a heading."""

FEED_SIGNS: Final[dict[FeedWord, str]] = {
    "live": "●",
    "stale": "‖",
    "waiting": "◌",
    "reconnecting": "‖",
    "ended": "✓",
    "stopped": "–",
}

QUALITIES: Final[dict[str, str]] = {
    "complete": "Quality complete",
    "late": "Quality late: the trade came more than 10 s after it happened",
    "gap": "Quality gap: trades are missing in what it was compared with",
}


def ratio(anomaly: Anomaly) -> float:
    """Divide the peak by the limit; 1 or more by construction."""
    return abs(anomaly.peak_observed) / anomaly.threshold


def pips(anomaly: Anomaly) -> int:
    """Count doublings of the limit that the peak has reached, 0 … 5: the steps of escalation at a glance."""
    return sum(abs(anomaly.peak_observed) >= anomaly.threshold * 2**step for step in range(1, 6))


def peak_percent(anomaly: Anomaly) -> float | None:
    """Give the peak in percent of what it was compared with, so that all market rules compare; None for feed rules."""
    if anomaly.kind == "feed":
        return None
    if anomaly.unit == "percent":
        return anomaly.peak_observed
    if not anomaly.peak_reference_price:
        return None
    return 100 * anomaly.peak_observed / anomaly.peak_reference_price


def peak_words(anomaly: Anomaly) -> str:
    """Say how large it became: "−7.06 %", "47 s" of silence or "7" missing trades."""
    percent = peak_percent(anomaly)
    if percent is not None:
        return f"{signed(percent, 2)} %"
    if anomaly.unit == "s":
        return duration(anomaly.peak_observed)
    return number(anomaly.peak_observed, 0)


def ratio_words(value: float) -> str:
    """Say a ratio: "1.6×", "27×"."""
    return f"{number(value, 1 if value < 9.95 else 0)}×"  # noqa: PLR2004  # 9.96 would print as 10.0


def sentence(anomaly: Anomaly) -> str:
    """Shorten `explain` by what has columns of its own: the symbol in front and the limit behind.

    Examples
    --------
    "BTC-USD fell 3.18 % in 8.2 s, from 114,210.00 to 110,578.10 (limit 0.25 % in 10 s)" becomes
    "fell 3.18 % in 8.2 s, from 114,210.00 to 110,578.10".
    """
    return anomaly.explain.removeprefix(f"{anomaly.symbol} ").partition(" (limit")[0]


def state_words(anomaly: Anomaly) -> str:
    """Say whether it is over and how long it held: "open" or "ended, 63 s"."""
    return "open" if anomaly.ended_ts is None else f"ended, {duration(held_s(anomaly))}"


def held_s(anomaly: Anomaly) -> float:
    """Seconds from the opening to the last time that it was held."""
    return max(0, anomaly.last_ts - anomaly.opened_ts) / 1e9


def detail_parts(anomaly: Anomaly, clock: str) -> tuple[str, ...]:
    """Say what the sentence leaves out, one part a fact.

    Parameters
    ----------
    clock
        Time of the peak as this dashboard writes times.
    """
    at_price = f", price {price(anomaly.peak_price)}" if anomaly.peak_price is not None else ""
    noun = "trades" if anomaly.kind == "market" else "checks" if anomaly.unit == "s" else "gaps"
    times = f"{number(anomaly.triggers, 0)} {noun if anomaly.triggers != 1 else noun[:-1]}"
    parts = [
        f"Peak {peak_words(anomaly)} at {clock}{at_price}",
        f"Held {duration(held_s(anomaly))}, true on {times}",
    ]
    if anomaly.escalation:
        parts.append(f"Escalated to {2**anomaly.escalation}× its limit")
    return (*parts, QUALITIES[anomaly.quality])


def moved(anomaly: Anomaly) -> str:
    """Say the heart of it after the symbol: "rose 11.06 %", "stands 1.20 % above its mean", "silent for 47 s"."""
    percent = peak_percent(anomaly)
    if anomaly.rule == "silent_feed":
        return f"silent for {peak_words(anomaly)}"
    if percent is None:
        noun = "trade" if anomaly.peak_observed == 1 else "trades"
        return f"misses {peak_words(anomaly)} {noun}"
    size = f"{number(abs(percent), 2)} %"
    if anomaly.rule == "mean_reversion_break":
        return f"stands {size} {'above' if anomaly.direction == 'up' else 'below'} its mean"
    return f"{'rose' if anomaly.direction == 'up' else 'fell'} {size}"
