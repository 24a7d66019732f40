"""The one line that answers: is something abnormal, and how bad.

In: open anomalies and the `Status`. Out: a `Verdict`, entries of the log, words for the feed.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from msgspec import Struct, structs

from tapewatch.figures import age, clock, duration, number
from tapewatch.model import NS, Anomaly, Severity
from tapewatch.store.records import Source
from tapewatch.view.status import SEVERITY_RANK, Status
from tapewatch.view.untold import untold
from tapewatch.words import SEVERITIES, moved, ratio, ratio_words, size_rank

NAMES_MAX = 3
"""Symbols that are named at once."""

SAME_SILENCE_NS = 5 * NS
"""Lanes of a venue whose silences began within so long of the first one share one cause."""


TOGETHER = ("silent_feed", "blind_feed")
"""Rules that lanes of one venue fire for one cause."""


class Entry(Struct, frozen=True):
    """A row of the log: an anomaly, or one silence told by several lanes of a venue.

    Attributes
    ----------
    anomaly
        The first of them to open, whose id is the row's identity; where there are several, with the symbol
        "10 symbols", the largest peak, and open as long as one of them is.
    members
        All of them; one in most cases.
    """

    anomaly: Anomaly
    members: tuple[Anomaly, ...]

    @property
    def id(self) -> str:
        """What a dashboard keeps its selection by."""
        return self.anomaly.id


def grouped(anomalies: Iterable[Anomaly]) -> list[Entry]:
    """Make one entry of what is one event: the silences of a venue's lanes that began together.

    Parameters
    ----------
    anomalies
        In any order; that of the first member is kept.
    """
    oldest_first = sorted(anomalies, key=Anomaly.sort_key)
    groups: dict[str, list[Anomaly]] = {}
    silence: dict[tuple[str, str], Anomaly] = {}
    for each in oldest_first:
        head = silence.get((each.venue, each.rule)) if each.rule in TOGETHER else None
        if head is not None and each.opened_ts - head.opened_ts <= SAME_SILENCE_NS:
            groups[head.id].append(each)
            continue
        groups[each.id] = [each]
        if each.rule in TOGETHER:
            silence[each.venue, each.rule] = each
    return [_entry(members) for members in reversed(groups.values())]


class Verdict(Struct, frozen=True):
    """What is abnormal now.

    Attributes
    ----------
    counts
        Open events by severity; one silence on all lanes counts once.
    worst
        Of the worst severity that is open, the largest; a feed only where no move is. None in a calm.
    """

    counts: dict[Severity, int]
    worst: Anomaly | None

    @property
    def severity(self) -> Severity | None:
        """The worst severity that is open."""
        return None if self.worst is None else self.worst.severity


def verdict(open_now: Iterable[Anomaly]) -> Verdict:
    """Judge what is open."""
    events = [entry.anomaly for entry in grouped(open_now)]
    counts = {severity: sum(each.severity == severity for each in events) for severity in SEVERITIES}
    worst = min(events, key=lambda each: (SEVERITY_RANK[each.severity], size_rank(each), each.sort_key()), default=None)
    return Verdict(counts, worst)


def verdict_words(judged: Verdict, now: Status) -> tuple[str, str]:
    """Say it: a headline, and what stands behind the counts; dashboards put the chip and the counts between.

    Returns
    -------
    headline, rest
        "Abnormal now", "ENA-USD rose 11.06 %, 44× the limit"; "Nothing abnormal now", "all 10 symbols within
        limits"; with an old picture "Abnormal at 21:32:47". Nothing is said to be within its limits of which nobody can
        tell: "8 of 10 symbols within limits; ENA-USD no data for 40 s; PEPE-USD warming up"; and "Cannot tell" where a
        lane is blind, or nothing comes at all.
    """
    if not now.feed or (now.state == "waiting" and not any(row.trades for row in now.feed)):
        return "No verdict yet", "no trade has arrived"
    untellable = untold(now)
    market = judged.worst is not None and judged.worst.kind == "market"
    dark = {row.symbol for row in now.feed if row.state in ("blind", "no data")} & set(untellable)
    if not market and dark and (len(dark) == len(now.feed) or any(row.state == "blind" for row in now.feed)):
        return "Cannot tell", _within(now, untellable)
    when = "now" if now.state in ("live", "waiting") else f"at {clock(now.as_of_ns)}"
    if judged.worst is None:
        return f"Nothing abnormal {when}", _within(now, untellable)
    subject = judged.worst.venue if judged.worst.kind == "feed" and " " in judged.worst.symbol else judged.worst.symbol
    said = f"{subject} {moved(judged.worst)}"
    if judged.worst.rule == "tape_gap":  # a number of trades has no limit to be measured by
        return f"Abnormal {when}", said
    return f"Abnormal {when}", f"{said}, {ratio_words(ratio(judged.worst))} the limit"


def _within(now: Status, untellable: dict[str, str]) -> str:
    # Symbols that share a reason share its words; what all share needs no names, but the venue's reason.
    lanes, well = len(now.feed), len(now.feed) - len(untellable)
    if not untellable:
        return f"all {lanes} symbols within limits" if lanes > 1 else "within its limits"
    by_reason: dict[str, list[str]] = {}
    for symbol, why in untellable.items():
        by_reason.setdefault(why, []).append(symbol)
    parts = [f"{well} of {lanes} symbols within limits"] if well else []
    for why, symbols in by_reason.items():
        names = ", ".join(symbols[:NAMES_MAX]) + (f" and {len(symbols) - NAMES_MAX} more" * (len(symbols) > NAMES_MAX))
        parts.append(f"{names} {why}" if well or len(by_reason) > 1 or lanes == 1 else f"all {lanes} symbols {why}")
    if not well and len(by_reason) == 1 and now.reason:
        parts = [now.reason if next(iter(by_reason)).startswith("no data") else f"{parts[0]}: {now.reason}"]
    return "; ".join(parts)


def source_words(source: Source | None) -> tuple[str, str]:
    """Say where the data come from, so that nobody takes a simulation for a market.

    Returns
    -------
    badge, more
        "Simulated", "Replay", "Kafka" or "Coinbase", and a sentence for who asks; both "" before there is a source. A
        feed that speaks Coinbase's protocol from elsewhere is called by its host.
    """
    match source:
        case None:
            return "", ""
        case Source(kind="simulated", seed=int(seed)):
            return "Simulated", f"No real market: an exchange simulated on this machine, seed {seed}."
        case Source(kind="simulated", address=address):
            return "Simulated", f"No real market: {address} speaks as Coinbase does, and is not Coinbase."
        case Source(kind="tape", address=path):
            return "Replay", f"No live market: the recorded tape {path}."
        case Source(kind="kafka", seed=int(seed)):
            return "Simulated", f"No real market: an exchange simulated on this machine, seed {seed}, through Kafka."
        case Source(kind="kafka", address=address):
            topic = address.rpartition("/")[2]
            return "Kafka", f"The rows of Kafka's topic {topic}: a market's, a tape's or a simulation's."
    host = urlsplit(source.address).hostname or source.kind
    if host == "coinbase.com" or host.endswith(".coinbase.com"):
        return "Coinbase", f"The live feed of {host}."
    return urlsplit(source.address).netloc or host, f"A feed in Coinbase's format, from {source.address}."


def feed_words(now: Status) -> tuple[str, str]:
    """Say whether it is live: a word, and what goes with it."""
    age_s = now.age_s or 0.0
    match now.state:
        case "live" if now.replay:
            fast = number(now.speed, 0 if now.speed >= 1 else 1)
            return "Replaying", f"{clock(now.now_ns, '%Y-%m-%d')} at {fast}×"
        case "live":
            return "Live", f"{age(age_s)} old"
        case "stale":
            return (
                "Stale",
                f"{duration(age_s)} without a frame" if now.running else f"nothing stored for {duration(age_s)}",
            )
        case "reconnecting":
            due = f" in {duration(now.next_try_s)}" if now.next_try_s else " now"
            return "Reconnecting", f"try {now.attempts + 1}{due}"
        case "blind" | "no data" | "waiting":
            said = now.reason.removeprefix("no data: ") if now.state != "waiting" else "no trade yet"
            return now.state.capitalize(), said
        case "ended":
            return "Replay finished", f"at {clock(now.as_of_ns)}"
        case _:
            return "Stopped", f"at {clock(now.as_of_ns)}"


def _entry(members: Sequence[Anomaly]) -> Entry:
    head = members[0]
    if len(members) == 1:
        return Entry(head, (head,))
    largest = max(members, key=ratio)
    together = structs.replace(
        head,
        symbol=f"{len(members)} symbols",
        peak_observed=largest.peak_observed,
        peak_ts=largest.peak_ts,
        last_ts=max(each.last_ts for each in members),
        ended_ts=None
        if any(each.ended_ts is None for each in members)
        else max(each.ended_ts or 0 for each in members),
        triggers=sum(each.triggers for each in members),
        escalation=max(each.escalation for each in members),
        explain=head.explain.replace(" (limit", f", on {len(members)} symbols (limit"),
    )
    return Entry(together, tuple(members))
