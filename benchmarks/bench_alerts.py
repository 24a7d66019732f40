"""What a person would have been told of the great crash and of a quiet day, with the defaults and one channel.

Run: ``.venv/bin/python benchmarks/bench_alerts.py [--all] [FOLDER …]``. The ten products of 2025-10-10 are replayed
together, then bitcoin's calm 2025-10-04, or the tapes of other folders; messages are judged by tape time, second by
second as they would have been live, and printed as they would have arrived: those of the worst hour, or ``--all``.
Behind them the figures: which moves a message names, and when. It needs the recordings.
"""

import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from tapewatch.alert import Message
from tapewatch.carry.tape import Tape
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.dispatch.desk import Desk, Entry
from tapewatch.dispatch.message import Writer
from tapewatch.dispatch.stages import Terms
from tapewatch.dispatch.telling import page
from tapewatch.dispatch.totals import Span
from tapewatch.figures import clock
from tapewatch.model import NS, PRICE_SCALE, Anomaly, Kind, Rows

RECORDED = Path(__file__).resolve().parents[2] / "shared/data"
HOUR_NS = 3_600 * NS
FAST, SLOW = ("pct_spike", "abs_jump"), ("slow_move", "hour_move")
CRASH = 14 * 3_600 + 57 * 60
"""Second of 2025-10-10 (UTC) at which the crash began."""


class Prices:
    """What each lane has traded, as a database's bars would tell it."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}
        self._whole: dict[str, np.ndarray] = {}

    def add(self, rows: Rows) -> None:
        """Take trades."""
        for number, lane in enumerate(rows.lanes):
            own = rows.data[(rows.data["lane"] == number) & (rows.data["kind"] == Kind.TRADE)]
            if len(own):
                self._parts.setdefault(str(lane), []).append(own[["ts", "price"]].copy())
                self._whole.pop(str(lane), None)

    def span(self, lane: str, since: int, until: int) -> Span | None:
        """Tell how far a lane went; see `totals.Spans`."""
        if lane not in self._whole:
            self._whole[lane] = np.sort(np.concatenate(self._parts[lane]), order="ts")
            self._parts[lane] = [self._whole[lane]]
        whole = self._whole[lane]
        inside = whole[np.searchsorted(whole["ts"], since) : np.searchsorted(whole["ts"], until, side="right")]
        if not len(inside):
            return None
        low, high = inside["price"].argmin(), inside["price"].argmax()
        prices = inside["price"] / PRICE_SCALE
        return Span(prices[low], int(inside["ts"][low]), prices[high], int(inside["ts"][high]), prices[-1])


class Seen(NamedTuple):
    """What a message shows: when, and the anomalies whose figures stand in it, as they stood."""

    at: int
    named: tuple[Anomaly, ...]


class Told(NamedTuple):
    """Everything that was decided about a tape, and how each anomaly ended up."""

    entries: list[Entry]
    messages: list[Message]
    seen: list[Seen]
    final: dict[str, Anomaly]
    prices: Prices
    judged: int
    seconds: float


def seconds_of(tape: Tape) -> Iterator[Rows]:
    """Divide a tape as it would have come: second by second of the collector's clock."""
    for rows in tape:
        cuts = np.flatnonzero(np.diff(rows.data["recv_ts"] // NS)) + 1
        for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(rows.data)], strict=True):
            yield rows.part(start, stop)


def judge(folder: Path, terms: Terms | None = None) -> Told:
    """Detect over a tape as over a live market, and judge what was found."""
    detector, desk, numbers = Detector(RuleBook.of({})), Desk([terms or Terms("phone")]), count(1)
    entries: list[Entry] = []
    messages: list[Message] = []
    seen: list[Seen] = []
    final: dict[str, Anomaly] = {}
    prices = Prices()
    judged, spent = 0, 0.0

    def tell(new: Sequence[Entry], now: int) -> None:
        nonlocal judged, spent
        began = time.perf_counter()
        desk.take(new, (), None, final)
        desk.advance(now, final)
        decided = desk.collect()
        spent += time.perf_counter() - began
        judged += len(decided.alerts)
        messages.extend(decided.messages)
        seen.extend(Seen(each.at, page(each, "", prices.span).named) for each in decided.messages)

    for rows in seconds_of(Tape(sorted(str(path) for path in folder.iterdir()))):
        new = [Entry(next(numbers), change) for change in detector.update(rows).changes]
        entries += new
        prices.add(rows)
        final |= {entry.change.anomaly.id: entry.change.anomaly for entry in new}
        final |= {anomaly.id: anomaly for anomaly in detector.open_anomalies()}
        tell(new, int(rows.data["recv_ts"][-1]))
    tell((), max((entry.change.at for entry in entries), default=0) + 2 * HOUR_NS)
    return Told(entries, messages, seen, final, prices, judged, spent)


def worst_hour(messages: Sequence[Message]) -> list[Message]:
    """Find the hour with the most messages, wherever it begins."""
    windows = ([m for m in messages if first.at <= m.at < first.at + HOUR_NS] for first in messages)
    return max(windows, key=len, default=[])


def percent(anomaly: Anomaly) -> float:
    """Measure a move in percent of its reference, without a sign."""
    return abs(anomaly.peak_observed) if anomaly.unit == "percent" else 0.0


def named(told: Told, anomaly: Anomaly, least: float, within_s: float) -> bool:
    """Tell whether a message up to so long after its peak names an anomaly with at least so many percent."""
    until = anomaly.peak_ts + round(within_s * NS)
    return any(
        each.id == anomaly.id and percent(each) >= least
        for message in told.seen[: bisect_right(told.seen, until, key=lambda seen: seen.at)]
        for each in message.named
    )


def counted(told: Told, anomaly: Anomaly, within_s: float) -> bool:
    """Tell whether a message soon after its peak names a larger one of its symbol."""
    until = anomaly.peak_ts + round(within_s * NS)
    return any(
        anomaly.peak_ts <= message.at <= until
        and any(each.symbol == anomaly.symbol and percent(each) > percent(anomaly) for each in message.named)
        for message in told.seen
    )


def is_early(ts: int) -> bool:
    """Tell whether it lies before the crash."""
    return ts // NS % 86_400 < CRASH


def largest(told: Told, wanted: Callable[[Anomaly], bool], most: int = 5) -> list[Anomaly]:
    """List the largest fast moves, the largest first."""
    moves = [each for each in told.final.values() if each.rule in FAST and wanted(each)]
    return sorted(moves, key=lambda each: -abs(each.peak_observed) / each.threshold)[:most]


def share(found: Sequence[bool]) -> str:
    """Count: "37 of 37"."""
    return f"{sum(found)} of {len(found)}"


def in_hour(told: Told, anomaly: Anomaly) -> bool:
    """Tell whether a message of the hour after it names it, or a larger one of its symbol."""
    until = anomaly.opened_ts + HOUR_NS
    return any(
        anomaly.opened_ts <= message.at <= until
        and any(
            each.id == anomaly.id
            or (each.symbol == anomaly.symbol and abs(each.peak_observed) > abs(anomaly.peak_observed))
            for each in message.named
            if each.rule in FAST
        )
        for message in told.seen
    )


def crash_figures(told: Told) -> Iterator[tuple[str, str, str]]:
    """Measure what the crash's messages say: figure, asked, measured."""
    fast = [each for each in told.final.values() if each.rule == "pct_spike"]
    eight = [each for each in fast if percent(each) >= 8]
    four = [each for each in fast if percent(each) >= 4]
    yield "fast moves of 8 % and more, named within 2 min", "all", share([named(told, each, 8, 120) for each in eight])
    four_found = [named(told, each, 4, 600) or counted(told, each, 600) for each in four]
    yield "4 % and more, named, or beside a larger one within 10 min", "all", share(four_found)
    yield "messages in the worst hour", "at most 30", str(len(worst_hour(told.messages)))
    yield "messages in the day", "at most 150", str(len(told.messages))
    yield "messages before 14:57", "at most 20", str(sum(is_early(each.at) for each in told.messages))
    early = largest(told, lambda each: is_early(each.peak_ts))
    shown = {each.id for message in told.seen if is_early(message.at) for each in message.named}
    yield "the five largest moves before 14:57, named before", "5 of 5", share([each.id in shown for each in early])
    slow = [each for each in told.final.values() if each.rule == "hour_move" and percent(each) >= 8]
    names = {each.id for message in told.seen for each in message.named}
    yield "slides of 8 % and more within an hour, named", "all", share([each.id in names for each in slow])
    high = (e for e in told.entries if e.change.anomaly.severity == "high" and not is_early(e.change.at))
    first = min((entry.change.at for entry in high if entry.change.change == "opened"), default=0)
    after = min((message.at for message in told.messages if message.at >= first), default=0)
    yield "first message of the crash after its first high anomaly", "1 s", f"{(after - first) / NS:.2f} s"


def quiet_figures(told: Told) -> Iterator[tuple[str, str, str]]:
    """Measure what a quiet day's messages say."""
    yield "messages in the day", "at most 20", str(len(told.messages))
    found = [in_hour(told, each) for each in largest(told, lambda _: True)]
    yield "the five largest moves, named within the hour, or a larger one", "5 of 5", share(found)


def show(console: Console, told: Told, messages: Sequence[Message]) -> None:
    """Print messages as a person would have got them."""
    writer = Writer(None, "http://127.0.0.1:8710")
    for message in messages:
        letter = writer.write(message, told.prices.span)
        console.print(f"\n{clock(message.at)}  {letter.subject}", style="bold", markup=False)
        console.print("\n".join(f"          {line}" for line in letter.text.strip().splitlines()), markup=False)


def main() -> None:
    """Measure and print."""
    console = Console(highlight=False, width=140)
    given = [Path(each) for each in sys.argv[1:] if each != "--all"]
    folders = given or [RECORDED / "cascade-2025-10-10", RECORDED / "quiet-2025-10-04"]
    for folder in folders:
        if not folder.is_dir():
            console.print(f"the recordings are not at hand: expected them in {folder}")
            return
    for folder in folders:
        told = judge(folder)
        show(console, told, told.messages if "--all" in sys.argv else worst_hour(told.messages))
        table = Table(folder.name, "asked", "measured")
        for row in quiet_figures(told) if "quiet" in folder.name else crash_figures(told):
            table.add_row(*row)
        high = [e for e in told.entries if e.change.anomaly.severity == "high" and e.change.change != "ended"]
        table.add_row("every high change told would be messages", "", f"{len(high):,}")
        table.add_row("judging", "", f"{len(told.entries) / told.seconds:,.0f} changes/s")
        console.print(table)


if __name__ == "__main__":
    main()
