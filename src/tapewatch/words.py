"""Rules, severities, feeds and sentences in a trader's words; both dashboards say the same.

In: names as they stand in records. Out: plain text, no markup; colours are the dashboards' own matter.
"""

import re
from typing import Final, Literal

from tapewatch.detect.words import plain_name
from tapewatch.figures import (
    decimals_of,
    duration,
    number,
    pace,
    percent,
    places_of_mean,
    price,
    signed_percent,
)
from tapewatch.model import NS, Anomaly, Direction, Severity

FeedWord = Literal["live", "blind", "stale", "no data", "waiting", "reconnecting", "ended", "stopped"]

SEVERITIES: Final[tuple[Severity, ...]] = ("high", "medium", "low")
"""Worst first."""

SHAPES: Final[dict[Severity, str]] = {"high": "◆", "medium": "■", "low": "○"}
"""One shape per severity, the same everywhere, so that severity is told without colour."""

RULES: Final[dict[str, str]] = {
    "pct_spike": "Fast move",
    "vol_breakout": "Volatility breakout",
    "mean_reversion_break": "Mean stretch",
    "abs_jump": "Dollar jump",
    "slow_move": "Slow move",
    "hour_move": "Hour move",
    "silent_feed": "Silent feed",
    "tape_gap": "Missing trades",
    "blind_feed": "Blind feed",
    "new_numbering": "New numbering",
}
"""Rule → its name for people, in the order in which distributions list them."""

RULES_SHORT: Final[dict[str, str]] = {**RULES, "vol_breakout": "Vol. breakout"}
"""The same in at most 14 characters."""

MEANINGS: Final[dict[str, str]] = {
    "pct_spike": "the price moved by a share of itself within seconds",
    "abs_jump": "the price moved by an amount of money within seconds",
    "vol_breakout": "far from the last second, measured in usual moves",
    "mean_reversion_break": "far from the mean of the last minute",
    "slow_move": "the price moved by a share of itself within minutes",
    "hour_move": "the price moved by a share of itself within an hour",
    "silent_feed": "the exchange sends nothing",
    "tape_gap": "trades are missing in what it sent",
    "blind_feed": "the exchange trades and none of it gets through",
    "new_numbering": "the exchange numbers its trades anew",
}
"""The same in half a line, for a legend."""

ARROWS: Final[dict[Direction | None, str]] = {"up": "↑", "down": "↓", None: " "}

RECENCIES: Final[dict[int, str]] = {300: "5 min", 3_600: "1 h", 86_400: "24 h", 604_800: "7 d"}
"""Spans that a filter offers, in seconds."""

SPANS: Final[dict[int, str]] = {300: "last 5 min", 3_600: "last hour", 86_400: "last 24 h", 604_800: "last 7 days"}
"""The same as a heading."""

FEED_SIGNS: Final[dict[FeedWord, str]] = {
    "live": "●",
    "blind": "‖",
    "stale": "‖",
    "no data": "◌",
    "waiting": "◌",
    "reconnecting": "‖",
    "ended": "✓",
    "stopped": "–",
}

QUALITIES: Final[dict[str, str]] = {
    "complete": "No data missing",
    "late": "The trade came more than 10 s after it happened",
    "gap": "Trades are missing in what it was compared with",
}
"""Whether the data were complete at the opening."""

LABELS_SAID: Final[dict[str, str]] = {"true": "real", "false": "false alarm", "expected": "expected"}
"""What a person says of an event, as records have it → as people read it."""

_BY_NAME: Final = {plain_name(name): rule for rule, word in RULES.items() for name in (word, rule)}


def rule_of(text: str) -> str:
    """Find the rule that a person means by its name or by what it is called on the screen; a pattern stays as it is.

    >>> rule_of("Fast move"), rule_of("fast-move"), rule_of("pct_*")
    ('pct_spike', 'pct_spike', 'pct_*')
    """
    return _BY_NAME.get(plain_name(text), text)


MEAN: Final = "mean_reversion_break"
SECOND: Final = "vol_breakout"

SAME_SECOND_NS: Final = 2 * NS
"""A last second whose trade is older than this is said with its age."""


def ratio(anomaly: Anomaly) -> float:
    """Say how many times its limit the peak is: its size, and of a feed rule the peak divided by the limit."""
    return _plain_ratio(anomaly) if anomaly.kind == "feed" or anomaly.size is None else anomaly.size


def size_words(anomaly: Anomaly) -> str:
    """Write the size: "1.6×", "27×"; "" for feed rules, which have none."""
    return "" if anomaly.kind == "feed" else ratio_words(ratio(anomaly))


def size_rank(anomaly: Anomaly) -> tuple[bool, float]:
    """Order by size, the largest first; what has none comes behind what has one."""
    return anomaly.kind == "feed", -ratio(anomaly)


def pips(anomaly: Anomaly) -> int:
    """Count doublings of the limit that the peak has reached, 0 … 5: the size at a glance; 0 for feed rules."""
    if anomaly.kind == "feed":
        return 0
    return sum(ratio(anomaly) >= 2**step for step in range(1, 6))


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
    share = peak_percent(anomaly)
    if share is not None:
        return signed_percent(share)
    if anomaly.unit == "s":
        return duration(anomaly.peak_observed)
    if anomaly.unit == "times":
        return "once"
    return number(anomaly.peak_observed, 0)


def ratio_words(value: float) -> str:
    """Say a ratio: "1.6×", "27×"."""
    return f"{number(value, 1 if value < 9.95 else 0)}×"  # noqa: PLR2004  # 9.96 would print as 10.0


def places(anomaly: Anomaly) -> int:
    """Count the decimals of its prices, 2 … 10; of a mean so many that it says something."""
    exact = [decimals_of(value) for value in (anomaly.peak_price,) if value is not None]
    if anomaly.peak_reference_price is not None:
        of_reference = places_of_mean if anomaly.rule == MEAN else decimals_of
        exact.append(of_reference(anomaly.peak_reference_price))
    return max(exact, default=2)


def start_words(anomaly: Anomaly) -> str:
    """Write what its peak is compared with: "0.24864"; "" for a feed."""
    return "" if anomaly.peak_reference_price is None else price(anomaly.peak_reference_price, places(anomaly))


def end_words(anomaly: Anomaly) -> str:
    """Write the price at its peak: "0.22798"; "" for a feed."""
    return "" if anomaly.peak_price is None else price(anomaly.peak_price, places(anomaly))


def pace_words(anomaly: Anomaly) -> str:
    """Say how fast its peak was reached: "in 2.3 s", "in under 1 s", "from its last trade 43 s before".

    Where it is not known when the price left its reference, the time from that is an upper bound: "within 8.2 s". ""
    where there is no beginning, as with a mean or a feed.
    """
    if anomaly.kind == "feed" or anomaly.rule == MEAN or anomaly.peak_reference_ts is None:
        return ""
    age_ns = anomaly.peak_ts - anomaly.peak_reference_ts
    if anomaly.rule == SECOND:
        old = age_ns > SAME_SECOND_NS
    else:  # older than its rule looks back
        old = anomaly.size is not None and anomaly.size < _plain_ratio(anomaly)
    if old:
        return f"from its last trade {duration(age_ns / NS)} before"
    if anomaly.rule == SECOND:
        return f"in {pace(age_ns / NS)}"
    if anomaly.peak_left_ts is None:
        return f"within {pace(max(1.0, age_ns / NS))}"
    return f"in {pace((anomaly.peak_ts - anomaly.peak_left_ts) / NS)}"


def average_words(anomaly: Anomaly) -> str:
    """Name what a stretch is measured from: "its 60 s average"."""
    found = re.search(r"its (\d+)-second mean", anomaly.explain)
    return f"its {found[1]} s average" if found else "its average"


def moved(anomaly: Anomaly) -> str:
    """Say the heart of it after the symbol: "rose 11.06 %", "fell 141.03 USD (0.12 %)", "silent for 47 s"."""
    share = peak_percent(anomaly)
    up = anomaly.direction == "up"
    if anomaly.kind == "feed":
        if anomaly.rule == "new_numbering":
            return "has its trades numbered anew"
        if anomaly.unit == "s":
            never = anomaly.explain.startswith("no data")
            ill = "blind" if anomaly.rule == "blind_feed" else "no data" if never else "silent"
            return f"{ill} for {peak_words(anomaly)}"
        return f"misses {_trades(anomaly.peak_observed)}"
    far = percent(share or 0.0)
    if anomaly.rule == MEAN:
        return f"stands {far} {'above' if up else 'below'} {average_words(anomaly)}"
    if anomaly.unit != "percent" and anomaly.rule != SECOND:  # limited in money
        far = f"{number(abs(anomaly.peak_observed), places(anomaly))} {anomaly.unit} ({far})"
    return f"{'rose' if up else 'fell'} {far}"


def sentence(anomaly: Anomaly) -> str:
    """Say what happened, as it was at its peak, without the symbol in front and the limit behind.

    Every figure is the peak's, and so agrees with what stands beside it.

    Returns
    -------
    str
        "fell 2.04 % in 2.3 s, from 114,210.00 to 111,880.12"; "0.20 % below its 60 s average of 18.632, at 18.594".
    """
    if anomaly.kind == "feed":
        return _feed_sentence(anomaly)
    if anomaly.rule == MEAN:
        return f"{moved(anomaly).removeprefix('stands ')} of {start_words(anomaly)}, at {end_words(anomaly)}"
    return f"{moved(anomaly)} {pace_words(anomaly)}".rstrip() + f", from {start_words(anomaly)} to {end_words(anomaly)}"


def full_sentence(anomaly: Anomaly) -> str:
    """Say the same with symbol and limit: "BTC-USD fell 2.04 % in 2.3 s, from … to … (limit 0.25 % in 10 s)"."""
    said = sentence(anomaly)
    if anomaly.kind == "market" or anomaly.rule in ("blind_feed", "new_numbering"):
        said = f"{anomaly.symbol} {'stands ' * (anomaly.rule == MEAN)}{said}"
    limit = limit_words(anomaly)
    return f"{said} (limit {limit})" if limit else said


def limit_words(anomaly: Anomaly) -> str:
    """Say its limit: "0.25 % in 10 s"; in percent where the rule measures by σ; "" where there is none."""
    if anomaly.rule in (MEAN, SECOND):
        return percent(100 * anomaly.threshold / anomaly.reference_price) if anomaly.reference_price else ""
    _, found, rest = anomaly.explain.rpartition(" (limit ")
    return rest.removesuffix(")") if found else ""


def state_words(anomaly: Anomaly) -> str:
    """Say whether it is over and how long it lasted: "open" or "ended, 63 s"."""
    return "open" if anomaly.ended_ts is None else f"ended, {duration(held_s(anomaly))}"


def held_s(anomaly: Anomaly) -> float:
    """Seconds from the opening to the last time that it was held."""
    return max(0, anomaly.last_ts - anomaly.opened_ts) / 1e9


def over_limit_words(anomaly: Anomaly) -> str:
    """Say how often it was over its limit: "326 trades over the limit"; "" for a silence, whose length says it."""
    if anomaly.unit in ("s", "times") and anomaly.kind == "feed":
        return ""
    noun = "trade" if anomaly.kind == "market" else "gap"
    behind = " over the limit" if anomaly.kind == "market" else ""
    return f"{number(anomaly.triggers, 0)} {noun}{'s' * (anomaly.triggers != 1)}{behind}"


def lasted_words(anomaly: Anomaly) -> str:
    """Say how long it lasted, and how often it was over its limit: "4 min, 1,412 trades over the limit"."""
    return ", ".join(part for part in (duration(held_s(anomaly)), over_limit_words(anomaly)) if part)


def detail_parts(anomaly: Anomaly, clock: str) -> tuple[str, ...]:
    """Say what the sentence leaves out, one part a fact.

    Parameters
    ----------
    clock
        Time of the peak as this dashboard writes times.
    """
    at_price = f", price {end_words(anomaly)}" if anomaly.peak_price is not None else ""
    lasted = duration(held_s(anomaly))
    parts = [
        f"Peak {peak_words(anomaly)} at {clock}{at_price}",
        f"Lasted {lasted}" if anomaly.ended_ts is not None else f"Lasts {lasted} so far",
        over_limit_words(anomaly),
        f"{size_words(anomaly)} its limit" if anomaly.kind == "market" else "",
        QUALITIES[anomaly.quality],
    ]
    return tuple(part for part in parts if part)


def _plain_ratio(anomaly: Anomaly) -> float:
    return abs(anomaly.peak_observed) / anomaly.threshold


def _trades(count: float) -> str:
    return f"{number(count, 0)} trade{'s' * (count != 1)}"


def _feed_sentence(anomaly: Anomaly) -> str:
    on = f", on {anomaly.symbol}" if " " in anomaly.symbol else ""  # of several: "10 symbols"
    said = anomaly.explain.partition(" (limit")[0]
    if anomaly.rule == "blind_feed":
        return f"{moved(anomaly)}{on}: {said.partition(': ')[2]}"
    if anomaly.rule == "new_numbering":
        return said.removeprefix(f"{anomaly.symbol} ")
    if anomaly.unit == "s" and said.startswith("no data"):
        return f"no data from {anomaly.venue} for {duration(anomaly.peak_observed)}{on}: {said.partition(': ')[2]}"
    if anomaly.unit == "s":
        return f"no frame from {anomaly.venue} for {duration(anomaly.peak_observed)}{on}"
    if anomaly.peak_observed == anomaly.observed:
        return said
    gaps = f"the largest of {number(anomaly.triggers, 0)} gaps" if anomaly.triggers > 1 else "one gap"
    return f"{_trades(anomaly.peak_observed)} missing in {gaps}"
