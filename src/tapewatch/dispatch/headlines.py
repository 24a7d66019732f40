"""The subject of a letter: what a person reads on a locked phone, and decides by.

In: a message and its anomalies as they stood last. Out: one line; what, how much and how fast stand before all else.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from tapewatch.alert import Message
from tapewatch.dispatch.phrases import (
    OVER,
    against_limit,
    arrow,
    count_words,
    extent,
    from_mean,
    move,
    plain,
    ranked,
    size,
    venues_words,
    what,
)
from tapewatch.figures import clock, duration
from tapewatch.model import NS, Anomaly
from tapewatch.words import RULES, SEVERITIES, held_s, peak_words, sentence

NAMED_MAX: Final = 3
"""Symbols that a subject names; more of them are a market-wide event, and are counted."""

MINUTE_NS, HOUR_NS, DAY_NS = 60 * NS, 3_600 * NS, 86_400 * NS

Named = Callable[[Anomaly], str]
"""How a message names an anomaly's symbol: with its venue where there are several."""

Line = Sequence[Anomaly]
"""One line of a list: anomalies of one symbol, or one silence of many; the first of them stands for all."""


def grouped(anomalies: Sequence[Anomaly]) -> list[Line]:
    """Put together what a list tells in one line: a symbol's market anomalies, its gaps, the silence of a venue.

    Returns
    -------
    list of Line
        Moves first, then distances from a mean, silences and gaps; of each the largest first.
    """
    groups: dict[tuple[str, ...], list[Anomaly]] = {}
    for each in ranked(anomalies):
        silent = each.rule == "silent_feed"
        key = (each.rule, each.venue) if silent else (each.kind, each.venue, each.symbol)
        groups.setdefault(key, []).append(each)
    for members in groups.values():
        members.sort(key=lambda each: (SEVERITIES.index(each.severity), -extent(each)))
    return sorted(groups.values(), key=lambda members: (_part(members[0]), -extent(members[0])))


def subject(message: Message, anomalies: Sequence[Anomaly], first: Anomaly, named: Named) -> str:
    """Say a message in one line.

    Parameters
    ----------
    anomalies
        As they stood last; at least one.
    first
        The one to tell first.
    """
    fresh = {alert.anomaly.id for alert in message.alerts if alert.occasion == "opened"}
    if message.kind == "digest":
        return _digest(message, anomalies, named)
    if message.kind == "symbol":
        return f"{arrow(first)} {_one(first, named, fresh)}"
    update = "" if not message.update else "also" if fresh >= {each.id for each in anomalies} else "update"
    groups = grouped(anomalies)
    market = [group for group in groups if group[0].kind == "market"]
    feeds = [group for group in groups if group[0].kind == "feed"]
    parts = [*([_market(market, named, update)] if market else []), *_feeds(feeds, named)]
    heads = [arrow(each) for group in feeds for each in group]
    sign = _way(market) if market else min(heads, key=lambda each: (each == OVER, -len(each)))
    return f"{sign} {'; '.join(parts)}"


def span(message: Message) -> tuple[str, str]:
    """Say which time a digest covers: whole hours where it was written at the end of one, else minutes.

    What is more than one day has its dates; midnight ends the day before it.

    >>> span(Message(1, "desk", "digest", at=15 * HOUR_NS, alerts=()))
    ('15:00', '15:00')
    """
    whole = message.at % HOUR_NS < MINUTE_NS
    step = HOUR_NS if whole else MINUTE_NS
    first = min((alert.at for alert in message.alerts), default=message.at)
    since, until = first // step * step, message.at // step * step
    form = "%H:%M" if since // DAY_NS == max(since, until - 1) // DAY_NS else "%m-%d %H:%M"
    return clock(since, form), clock(until, form)


def _part(anomaly: Anomaly) -> int:
    # Only what is measured alike can be compared.
    if anomaly.kind == "feed":
        return 2 if anomaly.rule == "silent_feed" else 3
    return 1 if from_mean(anomaly) else 0


def _one(anomaly: Anomaly, named: Named, fresh: Collection[str]) -> str:
    name, over = named(anomaly), anomaly.ended_ts is not None
    if anomaly.kind == "feed":
        return _silence([anomaly], named) if anomaly.rule == "silent_feed" else _ill(anomaly, name)
    if over:
        rule = RULES.get(anomaly.rule, plain(anomaly.rule)).lower()
        return f"{name} {rule} over, peak {size(anomaly)}, held {duration(held_s(anomaly))}"
    if not anomaly.escalation:
        return f"{name} {what(anomaly)}"
    if anomaly.id in fresh:
        return f"{name} {what(anomaly)}{against_limit(anomaly)}"
    return f"{name} now {size(anomaly)} {from_mean(anomaly)}".rstrip() + f"{against_limit(anomaly)}"


def _market(groups: Sequence[Line], named: Named, update: str) -> str:
    firsts = [group[0] for group in groups]
    over = all(each.ended_ts is not None for each in firsts)
    if len(firsts) <= NAMED_MAX:
        told = ", ".join(_moved(each, named) for each in firsts)
        start = "Over: " if over else {"": "", "also": "Also ", "update": "Update: "}[update]
        return f"{start}{told}"
    most = _moved(firsts[0], named)
    if over:
        return f"Over on {len(firsts)} symbols, {most} was the most"
    fell = sum(each.direction == "down" for each in firsts)
    ways = [("fell", fell), ("rose", len(firsts) - fell)]
    ways.sort(key=lambda way: -way[1])
    also = "also " if update == "also" else ""
    (verb, count), (other, rest) = ways
    counted = f"{also}{count} symbols {verb}" + (f", {rest} {other}" if rest else "")
    return f"Market-wide{', update' if update == 'update' else ''}: {counted}, {most} most"


def _moved(anomaly: Anomaly, named: Named) -> str:
    return f"{named(anomaly)} {move(anomaly)} {from_mean(anomaly)}".rstrip()


def _way(groups: Sequence[Line]) -> str:
    # Of a few that are named, the way of the first; of many, the way that most of them went, or both.
    open_now = [group[0] for group in groups if group[0].ended_ts is None]
    if not open_now:
        return OVER
    if len(groups) <= NAMED_MAX:
        return arrow(open_now[0])
    up = sum(each.direction == "up" for each in open_now)
    if 2 * up == len(open_now):
        return "▼▲"
    way = [each for each in open_now if each.direction == ("up" if 2 * up > len(open_now) else "down")]
    return max((arrow(each) for each in way), key=len)


def _feeds(groups: Sequence[Line], named: Named) -> list[str]:
    silent = [each for group in groups for each in group if each.rule == "silent_feed"]
    gaps = [group[0] for group in groups if group[0].rule != "silent_feed"]
    parts = [_silence(silent, named)] if silent else []
    trades = "trades" if parts else "Trades"
    if len(gaps) == 1:
        parts.append(_ill(gaps[0], named(gaps[0])))
    elif gaps and any(each.rule != "tape_gap" for each in gaps):
        parts.append("; ".join(_ill(each, named(each)) for each in gaps[:NAMED_MAX]))
    elif gaps and all(each.ended_ts is not None for each in gaps):
        parts.append(f"{trades} no longer missing on {len(gaps)} symbols")
    elif gaps:
        parts.append(f"{trades} missing on {len(gaps)} symbols, {peak_words(gaps[0])} on {named(gaps[0])}")
    return parts


def _silence(silent: Sequence[Anomaly], named: Named) -> str:
    # Lanes of one venue fall silent together: one event.
    open_now = [each for each in silent if each.ended_ts is None]
    told = open_now or silent
    longest = max(told, key=extent)
    venues, lasted = venues_words(told), duration(longest.peak_observed)
    head, on = (f"{named(longest)}: ", "") if len(told) == 1 else ("", f" on {len(told)} symbols")
    if not open_now:
        return f"{head}{venues} sends again{on} after {lasted}"
    return f"{head}{venues} silent{on} for {lasted}{against_limit(longest) if longest.escalation else ''}"


def _ill(anomaly: Anomaly, name: str) -> str:
    lasted = duration(anomaly.peak_observed)
    if anomaly.rule == "new_numbering":
        return f"{name} {plain(sentence(anomaly))}"
    if anomaly.rule != "blind_feed":
        return _gap(anomaly, name)
    if anomaly.ended_ts is not None:
        return f"{name}: trades get through again after {lasted}"
    return f"{name} {plain(sentence(anomaly))}{against_limit(anomaly) if anomaly.escalation else ''}"


def _gap(anomaly: Anomaly, name: str) -> str:
    missing = count_words(round(anomaly.peak_observed), "trade")
    if anomaly.ended_ts is not None:
        return f"{name}: gap of {missing} closed after {duration(held_s(anomaly))}"
    return f"{name}: {missing} missing at {plain(anomaly.venue)}"


def _digest(message: Message, anomalies: Sequence[Anomaly], named: Named) -> str:
    lanes = {(each.venue, each.symbol) for each in anomalies}
    largest = grouped(anomalies)[0][0]
    since, until = span(message)
    counted = count_words(len(anomalies), "anomaly")
    told = f"Digest {since}–{until}: {counted}"
    if len(lanes) == 1:
        return f"{told} on {named(largest)}, largest {move(largest)}"
    return f"{told} on {len(lanes)} symbols, largest {named(largest)} {move(largest)}"
