"""What stands where there is nothing to show: why, and what to do about it; and the help.

In: a `Picture`, or the reason why there is none. Out: lines of text.
"""

from rich.text import Text

from tapewatch.view.queries import Filter
from tapewatch.view.status import Status
from tapewatch.view.terminal.palette import Palette
from tapewatch.words import MEANINGS, RULES, SEVERITIES, SHAPES, SPANS

STARTS = (
    ("tapewatch demo", "a simulated market on this machine, with planted anomalies"),
    ("tapewatch run", "the live feed of Coinbase"),
    ("tapewatch run --source tape:FILE --speed 60", "a recorded tape, sixty times as fast"),
)
BESIDE_CELLS = 108
"""Windows of at least so many cells have commands and what they do side by side."""

KEYS = (
    ("↑ ↓  PgUp PgDn", "choose a row; it stays chosen while new ones come"),
    ("⏎", "details of the row, and its place in the chart"),
    ("Esc", "back: no row, the chart at now, the log at its newest"),
    ("1 2 3", "severity: high, medium, low on or off"),
    ("d", "direction: both ways, up, down"),
    ("t  T", "type of anomaly: the next, the one before"),
    ("r", "recency: last 5 min, 1 h, 24 h, 7 d"),
    ("v", "size: all, at least 2, 4, 8 times the limit"),
    ("o", "order: the newest first, or the largest"),
    ("s  S", "symbol of the chart: the next, the one before"),
    ("a", "log of all symbols, or of the chart's alone"),
    ("x", "take all filters away"),
    ("A", "alerts: what was told to whom, what was held back, silences"),
    ("m", "say what the row was: real, a false alarm, expected; or that it was seen"),
    ("h", "hear nothing of the chart's symbol for an hour"),
    ("o  c", "among alerts: what became of them, which channel"),
    ("u", "among alerts: end the silence that Tab and ↑ ↓ have chosen"),
    ("y  d", "among alerts: try an undelivered message again, dismiss it"),
    ("+ −  z", "width of the bars; z lets it fit itself"),
    ("← →", "the chart back and forth in time"),
    ("b", "mean and bands on or off"),
    ("w", "chart or watch-list, where there is room for one"),
    ("Tab", "between log and watch-list; alerts, silences and channels"),
    ("p", "pause; everything stays as it is"),
    ("q", "quit"),
)


def empty(reason: str, width: int, palette: Palette) -> list[Text]:
    """Say that no trade has come yet, why, and which commands bring some; without a reason, that we still look."""
    if not reason:
        return [Text("Looking …", end="")]
    lines = [Text("No trades yet", "bold", end=""), Text(reason, palette.muted, end=""), Text(end="")]
    cells = max(len(command) for command, _ in STARTS)
    for command, what in STARTS:
        if width >= BESIDE_CELLS:
            lines.append(Text.assemble((command.ljust(cells), palette.accent), (f"   {what}", palette.muted), end=""))
        else:
            lines += [Text(command, palette.accent, end=""), Text(f"   {what}", palette.muted, end="")]
    last = Text("This screen fills by itself as soon as one of them runs.", palette.muted, end="")
    return [*lines, Text(end=""), last]


def no_rows(wanted: Filter, now: Status, palette: Palette) -> list[Text]:
    """Say why the log is empty: too narrow a filter, a calm market, or nothing seen yet."""
    restricted = wanted.severities or wanted.rules or wanted.directions or wanted.symbols or wanted.min_size
    if not any(row.trades for row in now.feed):
        first, then = (
            "No anomaly yet.",
            "Fast moves are seen from the first seconds on, the others need about one minute of trades.",
        )
    elif restricted:
        first, then = (
            "No anomalies match these filters.",
            "Press x to take them away, or r to widen the time span.",
        )
    else:
        span = SPANS.get(wanted.recency_s or 0, "this time")
        first, then = (
            f"Nothing abnormal in the {span}." if wanted.recency_s else "Nothing abnormal so far.",
            f"{len(now.armed)} rules are armed on {len(now.feed)} symbols. Press r to look further back.",
        )
    return [Text(first, "bold", end=""), Text(then, palette.muted, end="")]


def help_lines(palette: Palette) -> list[Text]:
    """Explain keys, shapes and types."""
    p = palette
    lines = [Text("Keys", "bold", end="")]
    lines += [Text.assemble((f"  {key:<16}", f"bold {p.accent}"), (what, ""), end="") for key, what in KEYS]
    shapes = Text.assemble(*((f"  {SHAPES[s]} {s}   ", p.severity(s)) for s in SEVERITIES), end="")
    lines += [Text(end=""), Text("Severity, worst first", "bold", end=""), shapes]
    lines += [Text(end=""), Text("Types", "bold", end="")]
    lines += [Text.assemble(f"  {word:<21}", (MEANINGS[rule], p.muted), end="") for rule, word in RULES.items()]
    lines += [
        Text(end=""),
        Text.assemble(
            ("Size   ", "bold"),
            ("how many times its limit; one ▮ for each doubling: 2×, 4×, 8×, 16×, 32×", p.muted),
            end="",
        ),
        Text.assemble(
            ("Chart  ", "bold"),
            ("◆ ■ ○ from 4× on, ⬥ ▪ ∘ below   · mean and bands   ▀ abnormal   ─ no trade", p.muted),
            end="",
        ),
    ]
    return lines
