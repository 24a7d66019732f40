"""What is said of one anomaly that a message tells: at a glance first, exactly after that.

In: an `Anomaly` as it stood last. Out: plain text in the words of the dashboards; times are UTC.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from tapewatch.figures import day_clock, duration, number, percent, signed
from tapewatch.model import NS, Anomaly
from tapewatch.words import (
    FEED_SIGNS,
    MEAN,
    RULES,
    SEVERITIES,
    average_words,
    end_words,
    full_sentence,
    limit_words,
    moved,
    pace_words,
    peak_percent,
    peak_words,
    places,
    ratio,
    ratio_words,
    start_words,
)

NAME_MAX: Final = 32
SENTENCE_MAX: Final = 300
STEPS_MAX: Final = 5
"""Moments of escalation that are told; those of before say less."""

OVER: Final = FEED_SIGNS["ended"]
_FEED: Final = FEED_SIGNS["stale"]
_ARROWS: Final = {"up": "▲", "down": "▼", None: _FEED}


def plain(text: str, most: int = NAME_MAX) -> str:
    """Make text from a venue harmless in any format: printable, on one line, not too long."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def count_words(count: int, noun: str) -> str:
    """Say how many: "1 trade", "1,412 trades", "2 anomalies"."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number(count, 0)} {noun if count == 1 else plural}"


def venues_words(anomalies: Iterable[Anomaly]) -> str:
    """Name their venues: "coinbase", "coinbase and kraken", "3 venues"."""
    names = sorted({plain(each.venue) for each in anomalies})
    return " and ".join(names) if len(names) <= 2 else f"{len(names)} venues"  # noqa: PLR2004  # a pair can be named


def ranked(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """Order by what to tell first: open ones, then the worst severity, then the largest ratio to the limit."""
    return sorted(
        anomalies,
        key=lambda each: (each.ended_ts is not None, SEVERITIES.index(each.severity), -ratio(each), each.sort_key()),
    )


def extent(anomaly: Anomaly) -> float:
    """Measure it so that rows compare: its peak in percent, without a sign; for a feed rule, in the rule's unit."""
    percent = peak_percent(anomaly)
    return abs(anomaly.peak_observed if percent is None else percent)


def arrow(anomaly: Anomaly) -> str:
    """Draw which way it went, twice where it has escalated: "▼", "▲▲", "‖" for a feed; "✓" for what is over."""
    if anomaly.ended_ts is not None:
        return OVER
    return _ARROWS[anomaly.direction] * (2 if anomaly.escalation else 1)


def size(anomaly: Anomaly) -> str:
    """Say how large it became: "−8.31 %", "−141.03 USDC (0.12 %)", "20 s silent", "7 trades missing"."""
    if anomaly.rule == "abs_jump":
        share = percent(peak_percent(anomaly) or 0.0)
        return f"{signed(anomaly.peak_observed, places(anomaly))} {plain(anomaly.unit)} ({share})"
    return f"{count_words(round(anomaly.peak_observed), 'trade')} missing" if _is_gap(anomaly) else move(anomaly)


def move(anomaly: Anomaly) -> str:
    """Say the same so that rows compare: in percent of the reference; "20 s silent", "7 missing"."""
    if anomaly.kind == "market":
        return peak_words(anomaly)
    return f"{peak_words(anomaly)} {'missing' if _is_gap(anomaly) else 'silent'}"


def pace(anomaly: Anomaly) -> str:
    """Say how fast: "in 6 s", "in under 1 s"; "" where there is no beginning, as with a mean or a feed."""
    return pace_words(anomaly)


def from_mean(anomaly: Anomaly) -> str:
    """Say what a stretch is measured from: "from its 60 s average"; "" for every other rule."""
    return f"from {average_words(anomaly)}" if anomaly.rule == MEAN else ""


def what(anomaly: Anomaly) -> str:
    """Say what happened, to stand behind the name: "fell 8.31 % in 6 s", "stands 1.20 % above its 60 s average"."""
    return plain(f"{moved(anomaly)} {pace(anomaly)}".rstrip(), SENTENCE_MAX)


def times_limit(anomaly: Anomaly) -> str:
    """Compare its peak with its limit: "33×"; "" for missing trades, which have no limit to be measured by."""
    return "" if _is_gap(anomaly) else ratio_words(ratio(anomaly))


def against_limit(anomaly: Anomaly, limit: str = "the limit") -> str:
    """Put the comparison behind a sentence: ", 33× the limit"."""
    times = times_limit(anomaly)
    return f", {times} {limit}" if times else ""


def limit(anomaly: Anomaly) -> str:
    """Say its limit: "0.25 % in 10 s"; "" where there is none."""
    return plain(limit_words(anomaly), SENTENCE_MAX)


def as_opened(anomaly: Anomaly) -> bool:
    """Tell whether it still stands as it opened, so that the sentence of its opening says all."""
    as_it_was = (anomaly.observed, anomaly.opened_ts) == (anomaly.peak_observed, anomaly.peak_ts)
    return anomaly.ended_ts is None and as_it_was


def sentence(anomaly: Anomaly, now: int) -> str:
    """Say how it stands: in a whole sentence while it is as it opened, then what it has become since.

    Parameters
    ----------
    now
        ns; times of another day than this one's are written with their date.
    """
    if as_opened(anomaly) or _is_gap(anomaly):
        return plain(full_sentence(anomaly), SENTENCE_MAX)
    against = against_limit(anomaly)
    if anomaly.kind == "feed":
        heard = "" if anomaly.peak_reference_ts is None else f" since {day_clock(anomaly.peak_reference_ts, now)} UTC"
        return f"No frame from {plain(anomaly.venue)}{heard}, for {duration(anomaly.peak_observed)}{against}"
    peak = f"Peak at {day_clock(anomaly.peak_ts, now)} UTC"
    if anomaly.rule == MEAN:
        return f"{peak}: {end(anomaly)} against {average_words(anomaly)} of {start(anomaly)}{against}"
    return f"{peak}: from {start(anomaly)} to {end(anomaly)} {pace(anomaly)}{against}"


def opening(anomaly: Anomaly) -> str:
    """Say how it opened, in a whole sentence."""
    same = anomaly.peak_reference_ts == anomaly.reference_ts
    return plain(
        full_sentence(
            replace(
                anomaly,
                peak_observed=anomaly.observed,
                peak_price=anomaly.price,
                peak_ts=anomaly.opened_ts,
                peak_reference_price=anomaly.reference_price,
                peak_reference_ts=anomaly.reference_ts,
                peak_left_ts=anomaly.peak_left_ts if same else None,
                size=None,
            )
        ),
        SENTENCE_MAX,
    )


def start(anomaly: Anomaly) -> str:
    """Write what its peak is compared with: "0.24864"; "" for a feed."""
    return start_words(anomaly)


def end(anomaly: Anomaly) -> str:
    """Write the price at its peak: "0.22798"; "" for a feed."""
    return end_words(anomaly)


def reached(anomaly: Anomaly, now: int) -> str:
    """Say when it escalated after its opening: "4× the limit at 14:58:03, 32× at 14:58:12"; "" if it did not.

    Steps are of the limit as it is: of a move from a reference older than its rule looks back they say more than is so.
    """
    if anomaly.size is not None and anomaly.size < abs(anomaly.peak_observed) / anomaly.threshold:
        return ""
    steps = {at // NS: (2**step, at) for step, at in enumerate(anomaly.escalated_ts, 1) if at > anomaly.opened_ts}
    told = [f"{number(times, 0)}× at {day_clock(at, now)}" for times, at in list(steps.values())[-STEPS_MAX:]]
    return ", ".join(told).replace("× at", "× the limit at", 1)


def line(anomaly: Anomaly) -> str:
    """Say it beside the anomaly that is told first: "Dollar jump: fell 141.03 USDC in 4 s, 4.7× its limit"."""
    over = ", over" if anomaly.ended_ts is not None else ""
    return f"{RULES.get(anomaly.rule, plain(anomaly.rule))}: {what(anomaly)}{against_limit(anomaly, 'its limit')}{over}"


def tail(anomaly: Anomaly, count: int, *, past: bool) -> str:
    """Say what ends a line of a list: "Fast move, 2 more, over"; `count` anomalies stand behind the line.

    A list that looks back on the `past` does not say what is over: most is.
    """
    parts = [RULES.get(anomaly.rule, plain(anomaly.rule))]
    if count > 1:
        parts.append(f"{number(count - 1, 0)} more")
    if anomaly.ended_ts is not None and not past:
        parts.append("over")
    if anomaly.quality != "complete":
        parts.append({"late": "late", "gap": "data missing"}[anomaly.quality])
    return ", ".join(parts)


def names_words(names: Sequence[str], most: int) -> str:
    """List names: "ADA-USD, BCH-USD and 7 more"."""
    left = len(names) - most
    return f"{', '.join(names[:most])} and {left} more" if left > 0 else ", ".join(names)


def _is_gap(anomaly: Anomaly) -> bool:
    return anomaly.kind == "feed" and anomaly.unit != "s"
