"""The stages that judge an alert, one small function per question: alert and scene in, the alert out, judged or not.

A stage judges, it never drops: the first one that has something against an alert writes verdict and reason into it.
Time comes from the alert; what was told before comes with the scene.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.alert import Alert, Silence, Verdict
from tapewatch.figures import clock, day_clock
from tapewatch.model import NS, Severity
from tapewatch.words import SEVERITIES

ILL: Final[dict[str, str]] = {"silent_feed": "feed silent", "tape_gap": "trades missing"}
"""What an open feed anomaly is called where it holds others back."""


RECENT_NS: Final = 60 * NS
"""What was fetched as history at a warm start, and is older, is no news."""


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
    cool_down_ns
        Quiet of one rule on one symbol after it was taken up to be told.
    budget
        Messages in a clock hour; what comes beyond goes into a digest at its end.
    free_step
        Escalations of so many steps break the budget.
    group_ns
        What opens within so long is one event; 0: every alert is a message of its own.
    follow_up_max_ns
        The longest time between two updates on one event.
    late_ns
        What is older when it is first looked at goes into a digest.
    """

    channel: str
    severity: Severity = "high"
    rules: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    ends: bool = False
    cool_down_ns: int = 3_600 * NS
    budget: int = 10
    free_step: int = 3
    group_ns: int = 10 * NS
    follow_up_max_ns: int = 120 * NS
    late_ns: int = 3_600 * NS


class Told(Struct, frozen=True, array_like=True):
    """When a rule on a symbol was last taken up to be told, ns by the lanes' clock, at how many steps of escalation."""

    at: int
    escalation: int


class Scene(Struct, frozen=True):
    """What the stages look at beside the alert.

    Attributes
    ----------
    silences
        All that were ever set and not yet forgotten.
    ill
        Lane → id of a feed anomaly that is open on it → its rule.
    told
        Lane → rule → when it was last taken up to be told to the channel.
    named
        Ids of the open anomalies that a message to the channel has named.
    now
        The lanes' clock, ns; None: the alert's own moment.
    """

    terms: Terms
    silences: Sequence[Silence]
    ill: Mapping[str, Mapping[str, str]]
    told: Mapping[str, Mapping[str, Told]]
    named: Mapping[str, int]
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
        taken = "high alone" if terms.severity == "high" else f"{terms.severity} and above"
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


def cool_down(alert: Alert, scene: Scene) -> Alert:
    """Ask whether the same rule on the same symbol was taken up lately; what has escalated higher breaks through."""
    told = scene.told.get(lane_of(alert), {}).get(alert.anomaly.rule)
    if told is None or alert.occasion == "ended" or alert.anomaly.escalation > told.escalation:
        return alert
    until = told.at + scene.terms.cool_down_ns
    if not told.at <= alert.at < until:
        return alert
    reached = f", {2**told.escalation}× the limit" if told.escalation else ""
    taken = f"taken up at {clock(told.at)}{reached}"  # it may still wait for its event or digest
    return _judged(alert, "cooling", f"cooling down until {day_clock(until, alert.at)}: {taken}")


STAGES: Final[tuple[Stage, ...]] = (route, silence, inhibit, cool_down)
"""In the order in which they are asked."""


def lane_of(alert: Alert) -> str:
    """Name an alert's lane."""
    return f"{alert.anomaly.venue}:{alert.anomaly.symbol}"


def _judged(alert: Alert, verdict: Verdict, reason: str) -> Alert:
    return replace(alert, verdict=verdict, reason=reason)
