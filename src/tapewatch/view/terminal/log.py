"""The log of anomalies: columns that give way where there is little room, and the details of the chosen row.

In: entries, the chosen one's id and a size. Out: one text per line, and which entry each line belongs to.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.text import Text

from tapewatch import words
from tapewatch.alert import Mark
from tapewatch.figures import clock, day_clock, duration
from tapewatch.model import Anomaly
from tapewatch.view.alert_words import LABEL_WORDS, told_words
from tapewatch.view.alerts import AlertLine
from tapewatch.view.queries import Filter
from tapewatch.view.terminal import ink
from tapewatch.view.terminal.ink import CHIP_CELLS, cell, chip
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.verdict import Entry

SENTENCE_CELLS_MIN = 16  # enough for "fell 2.81 % in …"
SENTENCE_CELLS = 30
DETAILS_INDENT = CHIP_CELLS + 1
WIDE_CELLS = 96
ROOMY_CELLS = 130
PIPS = 5
NO_SIZE = "–"
"""In the column of sizes, of a feed rule."""


class Columns(NamedTuple):
    """Cells of each column; 0 where there is no room for it. `gap` lies between them."""

    gap: int
    time: int
    symbol: int
    type: int
    peak: int
    ratio: int
    pips: int
    state: int
    sentence: int


def columns(entries: Sequence[Entry], width: int, now_ns: int) -> Columns:
    """Share out a width: what a row must say first, then the state, the sentence, and the pips."""
    anomalies = [entry.anomaly for entry in entries]
    time = max((len(day_clock(each.opened_ts, now_ns)) for each in anomalies), default=8)
    symbol = max(6, *(len(each.symbol) for each in anomalies)) if anomalies else 8
    peak = max(8, *(len(words.peak_words(each)) for each in anomalies)) if anomalies else 8
    ratio = max((len(words.size_words(each)) for each in anomalies), default=0)
    kind = 2 + max(len(word) for word in words.RULES_SHORT.values())
    gap = 2 if width >= ROOMY_CELLS else 1
    left = width - CHIP_CELLS - gap - time
    taken = dict.fromkeys(Columns._fields, 0) | {"gap": gap, "time": time}
    for name, cells in (("symbol", symbol), ("type", kind), ("peak", peak), ("ratio", max(5, ratio)), ("state", 13)):
        if left < cells + gap:
            break
        taken[name] = cells
        left -= cells + gap
    else:
        left -= gap
        if left >= SENTENCE_CELLS + PIPS + gap or PIPS <= left < SENTENCE_CELLS_MIN:
            taken["pips"] = PIPS
            left -= PIPS + gap
        taken["sentence"] = left if left >= SENTENCE_CELLS_MIN else 0
    return Columns(**taken)


def heading(layout: Columns, palette: Palette) -> Text:
    """Name the columns."""
    named = (
        ("Severity", CHIP_CELLS, False),
        ("Time UTC", layout.time, False),
        ("Symbol", layout.symbol, False),
        ("Type", layout.type, False),
        ("Peak", layout.peak, True),
        ("Size", layout.ratio, True),
        ("", layout.pips, False),
        ("State", layout.state, False),
        ("What happened", layout.sentence, False),
    )
    parts = [cell(name, cells, right=right) for name, cells, right in named if cells]
    return Text((" " * layout.gap).join(parts), palette.muted, no_wrap=True, end="")


def row(entry: Entry, layout: Columns, now_ns: int, palette: Palette, mark: Mark | None = None) -> Text:
    """Draw an entry in one line; what a person said of it stands before the sentence."""
    each, p = entry.anomaly, palette
    said = "" if mark is None else f"{LABEL_WORDS[mark.label]} "
    size, steps = words.size_words(each) or NO_SIZE, words.pips(each)
    kind = f"{words.ARROWS[each.direction]} {words.RULES_SHORT.get(each.rule, each.rule)}"
    parts = (
        (layout.time, Text(cell(day_clock(each.opened_ts, now_ns), layout.time))),
        (layout.symbol, Text(cell(each.symbol, layout.symbol), "bold")),
        (layout.type, Text(cell(kind, layout.type))),
        (layout.peak, Text(cell(words.peak_words(each), layout.peak, right=True))),
        (layout.ratio, Text(cell(size, layout.ratio, right=True))),
        (layout.pips, Text.assemble("▮" * steps, ("·" * (PIPS - steps), p.dim))),
        (layout.state, Text(cell(words.state_words(each), layout.state), "bold" if each.ended_ts is None else p.muted)),
        (
            layout.sentence,
            Text.assemble(said, (cell(words.sentence(each), max(0, layout.sentence - len(said))), p.muted)),
        ),
    )
    gap = Text(" " * layout.gap)
    return Text.assemble(
        chip(each.severity, p), *(part for cells, text in parts if cells for part in (gap, text)), end=""
    )


def details(
    entry: Entry, width: int, palette: Palette, told: Sequence[AlertLine] = (), mark: Mark | None = None
) -> list[Text]:
    """Draw what the row leaves out, wrapped: the whole sentence, the life of the anomaly, who was told of it."""
    each = entry.anomaly
    indent = " " * (DETAILS_INDENT if width >= WIDE_CELLS else 1)
    room = max(10, width - len(indent) - 1)
    lines = [Text(indent + line, end="") for line in textwrap.wrap(words.full_sentence(each), room)]
    life = " · ".join([*_life(each), *words.detail_parts(each, clock(each.peak_ts))])
    if len(entry.members) > 1:
        life += " · " + ", ".join(sorted(member.symbol for member in entry.members))
    lines += [Text(indent + line, palette.muted, end="") for line in textwrap.wrap(life, room)]
    whom = " · ".join(told_words(line) for line in told if line.outcome != "not taken")
    noted = f"{LABEL_WORDS[mark.label]}: {mark.note}" if mark is not None and mark.note else ""
    for each_said in (whom, noted):
        lines += [Text(indent + line, end="") for line in textwrap.wrap(each_said, room)]
    return lines


def _life(anomaly: Anomaly) -> tuple[str, ...]:
    ended = f"ended {clock(anomaly.ended_ts)}" if anomaly.ended_ts is not None else "still open"
    return (f"Opened {clock(anomaly.opened_ts, '%Y-%m-%d %H:%M:%S')} UTC, {ended}",)


class Page(NamedTuple):
    """Lines of the log, and the id of the entry that each of them belongs to."""

    lines: list[Text]
    ids: list[str]
    top: int


def page(
    entries: Sequence[Entry],
    chosen: str | None,
    top: int,
    *,
    width: int,
    height: int,
    now_ns: int,
    expanded: bool,
    palette: Palette,
    marks: Mapping[str, Mark] = {},
    told: Sequence[AlertLine] = (),
) -> Page:
    """Draw the rows from `top` on, moved so that the chosen one is in sight with its details.

    Parameters
    ----------
    marks
        What people said, by the entry's id.
    told
        Who was told of the chosen one.

    Returns
    -------
    page
        At most `height` lines, and the `top` with which they were drawn.
    """
    layout = columns(entries, width - 1, now_ns)
    at = next((i for i, entry in enumerate(entries) if entry.id == chosen), None)
    extra = (
        details(entries[at], width - 1, palette, told, marks.get(entries[at].id)) if at is not None and expanded else []
    )
    extra = extra[: max(0, height - 2)]
    room = max(1, height - 1)
    top = max(0, min(top, len(entries) - room + len(extra)))
    if at is not None:
        top = min(at, max(top, at + len(extra) - room + 1))
    lines, ids = [Text.assemble(" ", heading(layout, palette), end="")], [""]
    lines[0].truncate(width)
    for i, entry in enumerate(entries[top : top + room], top):
        drawn = [row(entry, layout, now_ns, palette, marks.get(entry.id)), *(extra if i == at else [])]
        lines += [ink.row(line, width, palette, here=i == at) for line in drawn]
        ids += [entry.id] * len(drawn)
    return Page(lines[:height], ids[:height], top)


def filter_words(wanted: Filter, total: int, *, largest_first: bool = False) -> str:
    """Spell out a filter: "all symbols · high medium low · both ways · all types · 1 h · 651"."""
    rules = " ".join(words.RULES_SHORT.get(rule, rule) for rule in wanted.rules)
    recency = (
        "any time" if wanted.recency_s is None else words.RECENCIES.get(wanted.recency_s, duration(wanted.recency_s))
    )
    return " · ".join(
        (
            " ".join(wanted.symbols) or "all symbols",
            " ".join(s for s in words.SEVERITIES if not wanted.severities or s in wanted.severities),
            " ".join(wanted.directions) if len(wanted.directions) == 1 else "both ways",
            rules or "all types",
            *((f"≥ {wanted.min_size:g}×",) if wanted.min_size else ()),
            recency,
            *(("largest first",) if largest_first else ()),
            f"{total:,}",
        )
    )
