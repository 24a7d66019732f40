"""What is said of alerting in few words, the same in both dashboards.

In: values of `alerts` and `marks`. Out: plain text; times of day are UTC and by the lanes' clock, which on a replay is
not ours: one list has one clock.
"""

from typing import Final, Literal

from tapewatch.alert import Alert, Label, Silence
from tapewatch.dispatch.phrases import count_words
from tapewatch.figures import day_clock, duration, number
from tapewatch.model import NS
from tapewatch.store.records import Post
from tapewatch.view.alerts import AlertLine, Standing, on_lanes_clock
from tapewatch.view.wire import Tone
from tapewatch.words import LABELS_SAID, RULES

SilenceState = Literal["active", "planned", "past"]

OUTCOME_WORDS: Final[dict[str | None, str]] = {
    None: "waiting",
    "sent": "told",
    "grouped": "told",
    "digest": "told, in a digest",
    "cooling": "muted",
    "small": "too small",
    "silenced": "silenced",
    "held": "held back",
    "unrouted": "not taken",
    "undelivered": "undelivered",
}
"""Verdict → a word or two for a column."""

LABEL_WORDS: Final[dict[Label | None, str]] = {
    "true": f"✓ {LABELS_SAID['true']}",
    "false": f"✗ {LABELS_SAID['false']}",
    "expected": f"= {LABELS_SAID['expected']}",
    None: "seen",
}
"""What a person said of an anomaly, short; None where somebody has only taken note of it."""


def occasion_words(alert: Alert) -> str:
    """Say what happened to the anomaly: "opened", "4×" its limit, "ended"."""
    return f"{2**alert.anomaly.escalation}×" if alert.occasion == "escalated" else alert.occasion


def why_words(line: AlertLine) -> str:
    """Say why, or what it waits for, but for what its outcome's word and its message's number say already."""
    alert, reason = line.alert, line.alert.reason
    if line.outcome == "undelivered":
        return reason.partition(" was not delivered: ")[2] or reason
    if alert.message is not None:
        reason = reason.removeprefix(f"in message {alert.message}")
    return reason.removeprefix(OUTCOME_WORDS[alert.verdict]).lstrip(" ,:")


def told_words(line: AlertLine) -> str:
    """Say in a few words what became of an alert of an anomaly: "Sent to phone at 14:58", "desk: cooling down"."""
    alert, word = line.alert, OUTCOME_WORDS[line.alert.verdict]
    about = "" if alert.occasion == "opened" else f" ({occasion_words(alert)})"
    if line.outcome == "told":
        digest = " in a digest" * (alert.verdict == "digest")
        at = day_clock(alert.at if line.sent_ts is None else line.sent_ts, alert.at)
        return f"Sent to {alert.channel}{digest} at {at[: -len(':00')]}{about}"
    if line.outcome == "waiting" or alert.occasion != "opened":
        return f"{alert.channel}{about}: {word if line.outcome != 'waiting' else f'waiting, {alert.reason}'}"
    return f"{alert.channel}: {alert.reason}"


def matches_words(silence: Silence) -> str:
    """Say what a silence covers: "BTC-* · Fast move · high"."""
    rule = RULES.get(silence.rule, silence.rule)
    named = [part for part in (silence.venue, silence.symbol, rule) if part != "*"]
    return " · ".join([*named, *([silence.severity] if silence.severity else [])]) or "everything"


def silence_state(silence: Silence, lanes_ns: int) -> SilenceState:
    """Tell whether it holds."""
    return "past" if silence.until <= lanes_ns else "planned" if silence.since > lanes_ns else "active"


def silence_words(silence: Silence, now_ns: int) -> str:
    """Say how long it holds: "58 min left", "starts in 5 min", "ended 21:27:48"."""
    if silence.until <= now_ns:
        return f"ended {day_clock(silence.until, now_ns)}"
    if silence.since > now_ns:
        return f"starts in {duration((silence.since - now_ns) / NS)}"
    return f"{duration((silence.until - now_ns) / NS)} left"


def standing_words(now: Standing) -> tuple[Tone, str, str]:
    """Say in a word what a person must know of alerting wherever they look, and more for who asks.

    Returns
    -------
    tone, word, more
        "" for the word where all is well.
    """
    parts = []
    if now.unattended:
        waits = f"{count_words(now.behind, 'change')} not judged yet" if now.behind else "nobody would be told"
        parts.append(("not running", f"{waits}: tapewatch alerts run does it"))
    if now.undelivered:
        parts.append((f"{number(now.undelivered, 0)} undelivered", "nobody took them; try them again"))
    if now.failing:
        one = len(now.failing) == 1
        names = " and ".join(now.failing)
        parts.append((f"{names} fails" if one else f"{len(now.failing)} fail", f"{names} accept{'s' * one} nothing"))
    tone: Tone = "bad" if parts else ""
    if now.waiting:
        word = f"{number(now.waiting, 0)} waiting"
        parts.append((word, f"{word} to be sent"))
    if not parts:
        return tone, "", ""
    return tone, parts[0][0], "; ".join(more for _, more in parts)


def delivery_words(post: Post, now_ns: int) -> str:
    """Say how far a message has come.

    Parameters
    ----------
    now_ns
        By the lanes' clock; times of another day are said with their date.
    """
    tries = f"{number(post.attempts, 0)} {'try' if post.attempts == 1 else 'tries'}"
    when = "" if post.done_ts is None else f" {day_clock(on_lanes_clock(post.done_ts, post.at, post.made_ts), now_ns)}"
    if post.state == "sent":
        return f"accepted{when}, {'first try' if post.attempts == 1 else tries}"
    if post.done_ts is not None:
        dismissed = ", dismissed" * (post.state == "dismissed")
        return f"given up{when}{f' after {tries}' if post.attempts else ', never tried'}{dismissed}"
    if not post.attempts:
        return "waiting for its first try"
    due = on_lanes_clock(post.next_try_ts, post.at, post.made_ts)
    return f"not accepted yet, {tries}; next {day_clock(due, now_ns)}"
