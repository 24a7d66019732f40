"""Lists as tables on a terminal, and as lines of the same width in a pipe: frozen values in, text out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tapewatch.alert import Mark, Silence
    from tapewatch.view.alerts import AlertLine, ChannelLine, MessageLine, MessageStory
    from tapewatch.view.marks import Precision

DATE = "%Y-%m-%d %H:%M:%S"

ID_CELLS = 8
"""So much of an anomaly's id is printed: its beginning is enough to name it."""


def console() -> "Console":
    """Make a console on standard output; a pipe gets the width of COLUMNS, or a wide one."""
    from tapewatch.view.terminal.command import pipe_or_terminal

    return pipe_or_terminal()


def table(*headings: str, right: Sequence[str] = ()) -> "Table":
    """Make an empty table.

    Parameters
    ----------
    right
        Headings of the columns that hold numbers.
    """
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", no_wrap=True, vertical="bottom")
    made.columns[-1].no_wrap = False
    return made


def alerts(found: "Sequence[AlertLine]") -> None:
    """Print what became of alerts, and why."""
    from tapewatch.figures import clock
    from tapewatch.view.alert_words import occasion_words
    from tapewatch.words import RULES, peak_words, size_words

    made = table(
        "UTC",
        "Channel",
        "Symbol",
        "Type",
        "Severity",
        "Peak",
        "Size",
        "What",
        "Outcome",
        "Anomaly",
        "Why",
        right=("Peak", "Size"),
    )
    for line in found:
        alert, anomaly = line.alert, line.alert.anomaly
        who = (alert.channel, anomaly.symbol, RULES.get(anomaly.rule, anomaly.rule), anomaly.severity)
        what = (
            peak_words(anomaly),
            size_words(anomaly) or "–",
            occasion_words(alert),
            line.outcome,
            anomaly.id[:ID_CELLS],
            alert.reason,
        )
        made.add_row(clock(alert.at, DATE), *who, *what)
    _print(made, found, "no alert yet, or none that is like that")


def messages(found: "Sequence[MessageLine]") -> None:
    """Print messages, and how far each has come."""
    from tapewatch.figures import clock

    made = table("No", "UTC", "Channel", "State", "Tries", "Alerts", "Subject", right=("No", "Tries", "Alerts"))
    for line in found:
        post = line.post
        counts = (str(post.attempts), str(line.alerts))
        subject = f"{post.letter.subject} ({post.error})" if post.error else post.letter.subject
        made.add_row(str(post.number), clock(post.at, DATE), post.channel, post.state, *counts, subject)
    _print(made, found, "no message yet, or none that is like that")


def message(found: "Sequence[MessageStory]") -> None:
    """Print a message as it was sent, and every attempt."""
    from tapewatch.figures import clock

    out = console()
    for story in found:
        post = story.post
        out.print(f"Message {post.number} to {post.channel}, {post.state}", style="bold")
        out.print(f"{post.letter.subject}\n\n{post.letter.text.strip()}\n")
        made = table("Tried, UTC", "Took", "Outcome", right=("Took",))
        for attempt in story.attempts:
            made.add_row(clock(attempt.tried_ts, DATE), f"{attempt.took_ms:,.0f} ms", attempt.outcome)
        _print(made, story.attempts, "not tried yet")


def channels(found: "Sequence[ChannelLine]") -> None:
    """Print how the channels stand."""
    from tapewatch.figures import clock

    numbers = ("Waiting", "Undelivered")
    made = table("Channel", "Service", "State", "Since, UTC", "Last accepted", *numbers, "Takes", right=numbers)
    for line in found:
        row = line.row
        accepted = "–" if row.accepted_ts is None else clock(row.accepted_ts, DATE)
        state = f"{row.state}: {row.error}" if row.error else row.state
        counts = (str(line.waiting), str(line.undelivered))
        made.add_row(row.name, row.service, state, clock(row.since_ts, DATE), accepted, *counts, row.takes)
    _print(made, found, "no channel has been told anything on this database; see tapewatch alerts test")


def silences(found: "Sequence[Silence]", lanes_ns: int) -> None:
    """Print silences; `lanes_ns` is the lanes' clock as alerting reads it."""
    from tapewatch.figures import clock
    from tapewatch.view.alert_words import matches_words, silence_state

    made = table("No", "State", "From, UTC", "Until, UTC", "Matches", "Note", right=("No",))
    for each in found:
        span = (clock(each.since, DATE), clock(each.until, DATE))
        made.add_row(str(each.number), silence_state(each, lanes_ns), *span, matches_words(each), each.note)
    _print(made, found, "no silence yet")


def marks(found: "Sequence[Mark]") -> None:
    """Print what people said of anomalies."""
    from tapewatch.figures import clock

    made = table("Said, UTC", "Anomaly", "Verdict", "Note")
    for each in found:
        made.add_row(clock(each.marked_ts, DATE), each.anomaly_id[:ID_CELLS], each.label or "acknowledged", each.note)
    _print(made, found, "nobody has said anything of an anomaly yet")


def precision(found: "Sequence[Precision]") -> None:
    """Print how often the rules were right."""
    from tapewatch.figures import clock
    from tapewatch.words import RULES

    numbers = ("True", "False", "Expected", "Precision")
    made = table("From, UTC", "Type", *numbers, right=numbers)
    for each in found:
        start = "all time" if not each.start else clock(each.start, "%Y-%m-%d")
        share = "–" if each.share is None else f"{100 * each.share:.0f} %"
        counts = (str(each.true), str(each.false), str(each.expected))
        made.add_row(start, RULES.get(each.rule, each.rule), *counts, share)
    _print(made, found, "nothing has been marked as true, false or expected yet")


def _print(made: "Table", found: Sequence[Any], nothing: str) -> None:
    out = console()
    if found:
        out.print(made)
    else:
        out.print(nothing)
