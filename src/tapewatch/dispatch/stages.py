"""The stages that judge an alert, one small function per question: alert and scene in, the alert out, judged or not.

A stage judges, it never drops: the first one that has something against an alert writes verdict and reason into it.
Time comes from the alert; what was told before comes with the scene.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.alert import Alert, Silence, Verdict
from tapewatch.detect.rules import RULES
from tapewatch.figures import clock, day_clock, number, price
from tapewatch.model import NS, Anomaly, Severity
from tapewatch.words import SEVERITIES, ratio_words

ILL: Final[dict[str, str]] = {
    "silent_feed": "feed silent",
    "tape_gap": "trades missing",
    "blind_feed": "feed blind",
    "new_numbering": "trades numbered anew",
}
"""What an open feed anomaly is called where it holds others back."""


RECENT_NS: Final = 60 * NS
"""What was fetched as history at a warm start, and is older, is no news."""

KEPT: Final = 4.0
"""While a rule is muted its bar never falls below what was told, or so many times the limit where that is less."""

REVERSAL_NS: Final = 60 * NS
"""So soon after a move its reversal is told from its own limit on, however short the budget."""

GREATER: Final = 2
"""Steps above `Terms.free_step` from which a move is told whatever was told before: 32 times its limit."""

TOLD_FROM: Final[dict[str, float]] = {rule.name: rule.told_from for rule in RULES}
"""Rule → the size from which a move is told alone."""


class Terms(Struct, frozen=True):
    """What one channel is to be told, and how much of it.

    Attributes
    ----------
    severity
        The lowest that it takes.
    rules, symbols, venues
        Patterns; empty: all.
    ends
        Tell ends, too.
    min_size
        How many times its limit a move must be to be told alone; None: each rule's own (`TOLD_FROM`).
    cool_down_ns
        How long a rule is muted on a symbol and in a direction after it was taken up to be told.
    halving_ns
        While it is muted, what breaks through must be larger than a bar that starts at twice what was told and halves
        in so long.
    budget
        Messages in an hour. The more of them are spent, the larger a move must be, and the further apart messages are.
    free_step
        Moves of so many steps are told, however short the budget.
    group_ns
        Least time between two messages on one event while the budget is whole; what moves within so long moves
        together. 0: every alert is a message of its own.
    follow_up_max_ns
        The same when the budget is spent.
    late_ns
        What is older when it is first looked at goes into a digest.
    """

    channel: str
    severity: Severity = "high"
    rules: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    ends: bool = False
    min_size: float | None = None
    cool_down_ns: int = 3_600 * NS
    halving_ns: int = 180 * NS
    budget: int = 10
    free_step: int = 3
    group_ns: int = 10 * NS
    follow_up_max_ns: int = 300 * NS
    late_ns: int = 3_600 * NS

    @property
    def free_size(self) -> float:
        """How many times its limit a move of `free_step` steps is."""
        return 2.0**self.free_step


class Told(Struct, frozen=True, array_like=True):
    """When a rule on a symbol was last taken up to be told, ns by the lanes' clock, and how large it was then."""

    at: int
    size: float


class Scene(Struct, frozen=True):
    """What the stages look at beside the alert.

    Attributes
    ----------
    silences
        All that were ever set and not yet forgotten.
    ill
        Lane → id of a feed anomaly that is open on it → its rule.
    told
        Lane → `key_of` an anomaly → when it was last taken up to be told to the channel.
    named
        Ids of the open anomalies that a message to the channel has named.
    spent
        Which part of the hour's budget is spent, 0 … 1.
    now
        The lanes' clock, ns; None: the alert's own moment.
    """

    terms: Terms
    silences: Sequence[Silence]
    ill: Mapping[str, Mapping[str, str]]
    told: Mapping[str, Mapping[str, Told]]
    named: Mapping[str, int]
    spent: float = 0.0
    now: int | None = None


Stage = Callable[[Alert, Scene], Alert]


def judge(alert: Alert, scene: Scene) -> Alert:
    """Ask every stage in turn, until one judges; what none objects to is to be told."""
    for stage in STAGES:
        alert = stage(alert, scene)
        if alert.verdict is not None:
            assert alert.reason, "a verdict comes with its reason"
            break
    return alert


def route(alert: Alert, scene: Scene) -> Alert:
    """Ask whether the channel takes it: by severity, rule, symbol and venue."""
    terms, anomaly = scene.terms, alert.anomaly
    if SEVERITIES.index(anomaly.severity) > SEVERITIES.index(terms.severity):
        taken = "high severity only" if terms.severity == "high" else f"{terms.severity} severity and above"
        return _judged(alert, "unrouted", f"{anomaly.severity}: this channel takes {taken}")
    for what, value, patterns in (
        ("rule", anomaly.rule, terms.rules),
        ("symbol", anomaly.symbol, terms.symbols),
        ("venue", anomaly.venue, terms.venues),
    ):
        if patterns and not any(fnmatchcase(value, pattern) for pattern in patterns):
            return _judged(alert, "unrouted", f"{what} {value}: this channel takes {', '.join(patterns)}")
    if anomaly.history and scene.now is not None and scene.now - alert.at > RECENT_NS:
        return _judged(alert, "unrouted", "from before the start: its trades were fetched as history")
    if alert.occasion == "ended" and anomaly.id not in scene.named:
        return _judged(alert, "unrouted", "the end of what was not told")
    return alert


def silence(alert: Alert, scene: Scene) -> Alert:
    """Ask whether a person wants to hear nothing of it."""
    for each in scene.silences:
        if each.covers(alert.anomaly, alert.at):
            note = f": {each.note}" if each.note else ""
            return _judged(alert, "silenced", f"silenced by {each.name} until {day_clock(each.until, alert.at)}{note}")
    return alert


def inhibit(alert: Alert, scene: Scene) -> Alert:
    """Ask whether its lane's feed is abnormal itself: then the market may not be what it seems."""
    ill = scene.ill.get(lane_of(alert))
    if not ill or alert.anomaly.kind == "feed":
        return alert
    rule = next(iter(ill.values()))
    return _judged(alert, "held", f"held back: {ILL.get(rule, rule)}")


def mute(alert: Alert, scene: Scene) -> Alert:
    """Ask whether the same was taken up lately; what is larger than the bar breaks through."""
    told = scene.told.get(lane_of(alert), {}).get(key_of(alert.anomaly))
    if told is None or alert.occasion == "ended" or great(alert.anomaly, scene.terms):
        return alert
    until = told.at + scene.terms.cool_down_ns
    if not told.at <= alert.at < until:
        return alert
    needed = bar(told, alert.at, scene.terms) if alert.anomaly.kind == "market" else told.size
    if reach(alert.anomaly) > needed:
        return alert
    above = f" or {_above(alert.anomaly, needed)}" if alert.anomaly.kind == "market" else ""
    sent = f"last sent {clock(told.at, '%H:%M')} at {ratio_words(told.size)}"
    return _judged(alert, "cooling", f"muted until {day_clock(until, alert.at)[:-3]}{above}: {sent}")


def weigh(alert: Alert, scene: Scene) -> Alert:
    """Ask whether it is large enough to be told alone; the shorter the budget, the larger it must be."""
    anomaly, terms = alert.anomaly, scene.terms
    if anomaly.kind == "feed" or alert.occasion == "ended" or great(anomaly, terms):
        return alert
    size, least = reach(anomaly), needed_size(anomaly, scene, alert.at)
    if size >= least:
        return alert
    short = ": the largest first, as the hour's messages run short" if least > floor_of(anomaly, terms) else ""
    return _judged(alert, "small", f"{ratio_words(size)} its limit, told alone from {ratio_words(least)}{short}")


STAGES: Final[tuple[Stage, ...]] = (route, silence, inhibit, mute, weigh)
"""In the order in which they are asked."""


def reach(anomaly: Anomaly) -> float:
    """Measure how large it is: its size, or by its steps what has none, such as a silence."""
    return 2.0**anomaly.escalation if anomaly.size is None else anomaly.size


def floor_of(anomaly: Anomaly, terms: Terms) -> float:
    """Find the size from which it is told alone while the budget is whole."""
    return TOLD_FROM.get(anomaly.rule, 1.0) if terms.min_size is None else terms.min_size


def needed_size(anomaly: Anomaly, scene: Scene, at: int) -> float:
    """Find the size from which it is told alone now: from its floor up to what is told at any price.

    It rises soon, so that a quiet day's messages are few: of a budget of ten one message makes 2 times the limit 3.1,
    and five make it 5.3. What is told from its limit on by itself is rare, and pays nothing; nor does what takes back
    what was just told.
    """
    floor, terms = floor_of(anomaly, scene.terms), scene.terms
    if (terms.min_size is None and is_rare(anomaly)) or _reverses(anomaly, scene, at):
        return floor
    return floor * math.pow(max(1.0, terms.free_size / floor), math.sqrt(scene.spent))


def _reverses(anomaly: Anomaly, scene: Scene, at: int) -> bool:
    told = scene.told.get(f"{anomaly.venue}:{anomaly.symbol}", {}).get(_opposite(anomaly))
    return told is not None and 0 <= at - told.at <= REVERSAL_NS


def _opposite(anomaly: Anomaly) -> str:
    return f"{anomaly.rule} {'down' if anomaly.direction == 'up' else 'up'}"


def great(anomaly: Anomaly, terms: Terms) -> bool:
    """Tell whether it is so large that it is told whatever was told before."""
    return anomaly.escalation >= terms.free_step + GREATER and reach(anomaly) >= (terms.min_size or 0.0)


def not_left_out(anomaly: Anomaly, terms: Terms) -> bool:
    """Tell whether the next message names it even where it is muted: it is large, or rare."""
    if anomaly.kind == "feed" or reach(anomaly) < (terms.min_size or 0.0):
        return False
    return is_rare(anomaly) or max(reach(anomaly), 2.0**anomaly.escalation) >= terms.free_size


def is_rare(anomaly: Anomaly) -> bool:
    """Tell whether its rule speaks so rarely that each of its anomalies is told from its limit on."""
    return TOLD_FROM.get(anomaly.rule, 1.0) <= 1.0


def bar(told: Told, at: int, terms: Terms, kept: float = KEPT) -> float:
    """Find the size that breaks through at a moment: twice what was told, halved again and again."""
    halvings = max(0, at - told.at) / terms.halving_ns if terms.halving_ns else math.inf
    return max(2.0 * told.size * math.pow(2.0, -halvings), min(told.size, kept))


def key_of(anomaly: Anomaly) -> str:
    """Name what is muted together on a lane: a rule and its direction, so that a reversal speaks."""
    return f"{anomaly.rule} {anomaly.direction or ''}".rstrip()


def lane_of(alert: Alert) -> str:
    """Name an alert's lane."""
    return f"{alert.anomaly.venue}:{alert.anomaly.symbol}"


def _above(anomaly: Anomaly, size: float) -> str:
    limit = size * anomaly.threshold
    if anomaly.unit == "percent":
        return f"a move above {number(limit, 2)} %"
    return f"a move above {price(round(limit, 2) if limit >= 1 else limit)} {anomaly.unit}"


def _judged(alert: Alert, verdict: Verdict, reason: str) -> Alert:
    return replace(alert, verdict=verdict, reason=reason)
