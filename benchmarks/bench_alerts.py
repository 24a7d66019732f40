"""What a person would have been told of the great crash and of a quiet day, with the defaults and one channel.

Run: ``.venv/bin/python benchmarks/bench_alerts.py [--all]``. Ten products of 2025-10-10 are replayed together, then
bitcoin's calm 2025-10-04; messages are judged by tape time and printed as they would have arrived, those of the worst
hour or ``--all``. Beside them: what telling every high change would have sent. It needs the recordings.
"""

import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from tapewatch.alert import Message
from tapewatch.carry.tape import Tape
from tapewatch.detect.core import Detector, replay
from tapewatch.detect.rules import RuleBook
from tapewatch.dispatch.desk import Desk, Entry
from tapewatch.dispatch.message import Writer
from tapewatch.dispatch.stages import Terms
from tapewatch.figures import clock
from tapewatch.model import NS, Lane

RECORDED = Path(__file__).resolve().parents[2] / "shared/data"
HOUR_NS = 3_600 * NS
CASCADE_HOUR_MAX, QUIET_DAY_MAX, FIRST_S_MAX = 30, 48, 1.0


class Told(NamedTuple):
    """Everything that was decided about a tape."""

    entries: list[Entry]
    messages: list[Message]
    judged: int
    seconds: float


def judge(folder: Path) -> Told:
    """Detect over a tape, and judge what was found."""
    detector, numbers = Detector(RuleBook.of({})), count(1)
    tape = Tape(sorted(str(path) for path in folder.iterdir()))
    entries = [Entry(next(numbers), change) for _, update in replay(tape, detector) for change in update.changes]
    desk = Desk([Terms("phone")])
    began = time.perf_counter()
    desk.take(entries, ())
    desk.advance(max(entry.change.at for entry in entries) + 2 * HOUR_NS)
    decided = desk.collect()
    return Told(entries, decided.messages, len(decided.alerts), time.perf_counter() - began)


def worst_hour(messages: Sequence[Message]) -> list[Message]:
    """Find the hour with the most messages, wherever it begins."""
    windows = ([m for m in messages if first.at <= m.at < first.at + HOUR_NS] for first in messages)
    return max(windows, key=len, default=[])


def firsts(told: Told) -> list[tuple[Lane, float, str]]:
    """Tell how long after each lane's first high anomaly it was told, and how."""
    opened: dict[Lane, Entry] = {}
    for entry in sorted(told.entries, key=lambda entry: entry.change.at):
        anomaly = entry.change.anomaly
        if anomaly.severity == "high" and entry.change.change == "opened":
            opened.setdefault(Lane(anomaly.venue, anomaly.symbol), entry)
    named = {alert.seq: message for message in told.messages for alert in message.alerts}
    found = []
    for lane, entry in opened.items():
        message = named.get(entry.seq)
        late_s = float("inf") if message is None else (message.at - entry.change.at) / NS
        found.append((lane, late_s, "never" if message is None else message.kind))
    return found


def untold(told: Told) -> list[str]:
    """List the lanes whose largest escalation no message names."""
    largest: dict[str, Entry] = {}
    for entry in told.entries:
        anomaly = entry.change.anomaly
        before = largest.get(anomaly.symbol)
        if anomaly.severity == "high" and (before is None or anomaly.escalation > before.change.anomaly.escalation):
            largest[anomaly.symbol] = entry
    named = {alert.anomaly.id: alert.anomaly.escalation for message in told.messages for alert in message.alerts}
    steps = {symbol: entry.change.anomaly for symbol, entry in largest.items()}
    return [symbol for symbol, found in steps.items() if named.get(found.id, -1) < found.escalation]


def show(console: Console, messages: Sequence[Message]) -> None:
    """Print messages as a person would have got them."""
    writer = Writer(None, "http://127.0.0.1:8710")
    for message in messages:
        letter = writer.write(message)
        console.print(f"\n{clock(message.at)}  {letter.subject}", style="bold", markup=False)
        console.print("\n".join(f"          {line}" for line in letter.text.strip().splitlines()), markup=False)


def main() -> None:
    """Measure and print."""
    console = Console(highlight=False, width=120)
    if not RECORDED.is_dir():
        console.print(f"the recordings are not at hand: expected them in {RECORDED}")
        return
    cascade, quiet = judge(RECORDED / "cascade-2025-10-10"), judge(RECORDED / "quiet-2025-10-04")
    everything = "--all" in sys.argv
    show(console, cascade.messages if everything else worst_hour(cascade.messages))
    if everything:
        show(console, quiet.messages)
    table = Table("", "asked", "measured", "every high change told")
    for name, told, most in (("cascade, worst hour", cascade, CASCADE_HOUR_MAX), ("quiet day", quiet, QUIET_DAY_MAX)):
        high = [e for e in told.entries if e.change.anomaly.severity == "high" and e.change.change != "ended"]
        flood = [Message(0, "", "symbol", entry.change.at, ()) for entry in sorted(high, key=lambda e: e.change.at)]
        inside = (worst_hour(told.messages), worst_hour(flood)) if told is cascade else (told.messages, flood)
        table.add_row(f"{name}, messages", f"at most {most}", str(len(inside[0])), f"{len(inside[1]):,}")
    waits = firsts(cascade)
    slowest = max(late_s for _, late_s, kind in waits if kind != "market")
    grouped = sum(kind == "market" for *_, kind in waits)
    table.add_row(
        "cascade, first message of a product", f"{FIRST_S_MAX:.0f} s", f"{slowest:.2f} s, {grouped} market-wide"
    )
    table.add_row("cascade, largest escalations untold", "none", ", ".join(untold(cascade)) or "none")
    table.add_row("cascade, messages of the day", "", str(len(cascade.messages)))
    rate = len(cascade.entries) / cascade.seconds
    table.add_row("judging", "", f"{rate:,.0f} changes/s")
    console.print(table)


if __name__ == "__main__":
    main()
