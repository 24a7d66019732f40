"""The panels of the screen of alerts: channels, what was told and what was not, silences.

In: values of `alerts` and a size. Out: one text per line; nothing here knows where they stand.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rich.text import Text

from tapewatch.alert import Mark, Silence
from tapewatch.figures import clock, day_clock
from tapewatch.view.alert_words import (
    LABEL_WORDS,
    OUTCOME_WORDS,
    delivery_words,
    occasion_words,
    silence_words,
    standing_words,
    why_words,
)
from tapewatch.view.alerts import AlertLine, ChannelLine, MessageStory, Outcome, Standing
from tapewatch.view.status import Status
from tapewatch.view.terminal import ink
from tapewatch.view.terminal.ink import CHIP_CELLS, cell, chip, fitted
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.verdict import feed_words, source_words
from tapewatch.words import ARROWS, FEED_SIGNS, RULES_SHORT, SHAPES, full_sentence, peak_words

KEYS: Final = (
    ("↑↓", "row"),
    ("⏎", "message"),
    ("o c r", "filter"),
    ("m", "mark"),
    ("h", "silence"),
    ("u", "end silence"),
    ("y", "try again"),
    ("d", "dismiss"),
    ("A", "market"),
    ("?", "help"),
    ("q", "quit"),
)
"""Key → what it does."""

KEYS_SHORT: Final = (
    ("⏎", "open"),
    ("o c r", "filter"),
    ("m", "mark"),
    ("h u", "silence"),
    ("y d", "retry"),
    ("A", "back"),
    ("?", "help"),
    ("q", "quit"),
)
"""The same for a narrow window."""

SIGNS: Final[dict[Outcome, str]] = {
    "told": "✓",
    "waiting": "◌",
    "held back": "–",
    "undelivered": SHAPES["high"],
    "not taken": "–",
}

DISMISSED: Final = "undelivered, dismissed"
"""Nobody took the message, and a person knows."""

STATE_SIGNS: Final = {"working": "●", "failing": SHAPES["high"], "unused": "◌"}
STATE_WORDS: Final = {"working": "working", "failing": "failing", "unused": "not used yet"}

NAME_CELLS = 18
TYPE_CELLS = 16
WHY_MIN = 24
LETTER_LINES = 8

NOBODY = (
    ("[[alerts.channels]]", 'name = "phone"', 'url = "ntfy://my-topic"', 'severity = "high"', 'symbols = ["BTC-*"]'),
    "Nobody is told yet. Write into tapewatch.toml:",
    "tapewatch alerts test sends a sample; tapewatch run tells from then on.",
)


def bar(standing: Standing, now: Status, width: int, palette: Palette) -> Text:
    """Say how alerting stands, and whether the market is live."""
    p = palette
    tone, word, _ = standing_words(standing)
    known = f"{len(standing.channels)} channel{'s' * (len(standing.channels) != 1)}"
    trouble = f"{SHAPES['high']} {word} " if tone else "nothing waits " if not word else f"{word} "
    feed, more = feed_words(now)
    colour = {"live": p.accent, "stale": p.high, "reconnecting": p.high}.get(now.state, p.muted)
    left = [
        (7, Text.assemble(("∿ tapewatch ", f"bold {p.accent}"), ("│ ", p.line))),
        (1, Text("Alerts  ", "bold")),
        (3, Text(f"{known} · ", p.muted)),
        (0, Text(trouble, f"bold {p.high}" if tone else p.muted)),
        (4, Text(f"· {standing.silences} silence{'s' * (standing.silences != 1)} ", p.muted)),
    ]
    right = [
        (6, Text(f" {clock(now.now_ns)} UTC  ", p.muted)),
        (2, Text(f" {source_words(now.source)[0]} ", f"bold {p.text} on {p.line}")),
        (0, Text(f" {FEED_SIGNS[now.state]} {feed}", f"bold {colour}")),
        (5, Text(f" {more}", p.muted)),
    ]
    return fitted(width, left, right)


def channel_lines(
    channels: Sequence[ChannelLine], chosen: int | None, wall_ns: int, width: int, palette: Palette
) -> list[Text]:
    """Draw each channel in a line: how it stands, what waits for it, why it fails or what it takes."""
    p, lines, room = palette, [], width - 2
    for i, each in enumerate(channels):
        row = each.row
        colour = {"working": p.accent, "failing": p.high, "unused": p.muted}[row.state]
        since = "" if row.state == "unused" else f" since {day_clock(row.since_ts, wall_ns)}"
        undone = [f"{n} {what}" for n, what in ((each.waiting, "waiting"), (each.undelivered, "undelivered")) if n]
        last = "" if row.accepted_ts is None else f"last accepted {day_clock(row.accepted_ts, wall_ns)}"
        head = Text.assemble(
            (f" {STATE_SIGNS[row.state]} ", colour),
            (cell(row.name, min(NAME_CELLS, max(len(one.row.name) for one in channels))), "bold"),
            (f"  {cell(row.service, 8)}  ", p.muted),
            (f"{STATE_WORDS[row.state]}{since}", f"bold {colour}" if row.state == "failing" else colour),
        )
        told = (row.error or row.takes, p.high if row.error else p.muted)
        head = fitted(
            room,
            [
                (0, head),
                (1, Text("".join(f"  {part}" for part in undone), "bold")),
                (3, Text(f"  {last}" if last else "", p.muted)),
            ],
        )
        head.rstrip()
        left = room - head.cell_len - 2
        if left >= WHY_MIN // 2:
            head.append(f"  {cell(told[0], left)}", told[1])
        lines.append(ink.row(head, width, p, here=i == chosen))
    return lines


def nobody_lines(palette: Palette) -> list[Text]:
    """Say what to write where nobody is told."""
    toml, first, last = NOBODY
    lines = [Text(first, "bold", end=""), Text(end="")]
    lines += [Text(f"  {line}", palette.accent, end="") for line in toml]
    return [*lines, Text(end=""), Text(last, palette.muted, end="")]


def none_lines(palette: Palette) -> list[Text]:
    """Say that the list is empty, and which keys widen it."""
    return [
        Text("No alerts match", "bold", end=""),
        Text("r looks further back; o and c choose others.", palette.muted, end=""),
    ]


class Columns(NamedTuple):
    """Cells of the columns that are as wide as what stands in them."""

    time: int
    channel: int


def columns(found: Sequence[AlertLine], width: int, now_ns: int) -> Columns:
    """Share out a width: the whole time of each row, with its date where it is not today's."""
    return Columns(
        max((len(day_clock(each.alert.at, now_ns)) for each in found), default=8),
        min(NAME_CELLS if width >= WIDE else 10, max(7, *(len(each.alert.channel) for each in found))),
    )


def heading(width: int, layout: Columns, palette: Palette) -> Text:
    """Name the columns."""
    parts = [cell("Severity", CHIP_CELLS), cell("Time UTC", layout.time)]
    parts += [cell("Channel", layout.channel), cell("Symbol", 9)]
    if width >= WIDE:
        parts += [cell("Type", TYPE_CELLS), cell("Peak", 8, right=True)]
    parts += [cell("Change", 6), "Outcome, and why"]
    return Text(" " + " ".join(parts), palette.muted, no_wrap=True, end="")


WIDE = 100


def alert_row(line: AlertLine, width: int, layout: Columns, now_ns: int, palette: Palette, mark: Mark | None) -> Text:
    """Draw an alert in one line; what a person said of the anomaly stands before the reason."""
    alert, each, p = line.alert, line.alert.anomaly, palette
    sign, word = SIGNS[line.outcome], OUTCOME_WORDS[alert.verdict]
    style = {"told": "", "undelivered": f"bold {p.high}"}.get(line.outcome, p.muted)
    if line.delivery == "dismissed":
        sign, word, style = SIGNS["held back"], DISMISSED, p.muted
    kind = f"{ARROWS[each.direction]} {RULES_SHORT.get(each.rule, each.rule)}"
    parts = [
        chip(each.severity, p),
        Text(cell(day_clock(alert.at, now_ns), layout.time)),
        Text(cell(alert.channel, layout.channel)),
        Text(cell(each.symbol, 9), "bold"),
    ]
    if width >= WIDE:
        parts += [Text(cell(kind, TYPE_CELLS)), Text(cell(peak_words(each), 8, right=True))]
    said = "" if mark is None else f"{LABEL_WORDS[mark.label]} · "
    number = "" if alert.message is None else f"message {alert.message} "
    parts += [
        Text(cell(occasion_words(alert), 6)),
        Text.assemble(
            (f"{sign} {word} ", style),
            said,
            (f"{number}{why_words(line)}", p.muted),
        ),
    ]
    return Text(" ").join(parts)


def story_lines(line: AlertLine, story: MessageStory | None, wall_ns: int, width: int, palette: Palette) -> list[Text]:
    """Draw what an alert opens: its reason in full, its message as it was sent, and each attempt."""
    p, room = palette, max(10, width - 4)
    lines = [Text(f"   {part}", end="") for part in textwrap.wrap(full_sentence(line.alert.anomaly), room)]
    if story is None:
        return [*lines, *(Text(f"   {part}", p.muted, end="") for part in textwrap.wrap(line.alert.reason, room))]
    post = story.post
    stands = f"Message {post.number} to {post.channel}: {delivery_words(post, wall_ns)}"
    lines += [
        Text(f"   {part}", p.high if post.state == "undelivered" else "", end="")
        for part in textwrap.wrap(stands, room)
    ]
    lines += [
        Text.assemble(
            (f"   {day_clock(each.tried_ts, wall_ns)}  ", p.muted),
            (cell(each.outcome, room - 12).rstrip(), "" if each.accepted else p.high),
            end="",
        )
        for each in (story.attempts if len(story.attempts) > 1 or not all(a.accepted for a in story.attempts) else [])
    ]
    body = post.letter.text.removeprefix(post.letter.subject).strip()
    wrapped = [part for paragraph in body.splitlines() for part in (textwrap.wrap(paragraph, room - 2) or [""])]
    lines.append(Text.assemble(("   │ ", p.line), (cell(post.letter.subject, room - 2), "bold"), end=""))
    shown = wrapped[:LETTER_LINES]
    lines += [Text.assemble(("   │ ", p.line), part, end="") for part in shown]
    if len(wrapped) > len(shown):
        lines.append(
            Text(f"   │ … {len(wrapped) - len(shown)} more lines: tapewatch alerts show {post.number}", p.muted, end="")
        )
    return lines


def alert_page(
    found: Sequence[AlertLine],
    chosen: int | None,
    top: int,
    *,
    width: int,
    height: int,
    now_ns: int,
    extra: Sequence[Text],
    marks: Mapping[str, Mark],
    palette: Palette,
) -> tuple[list[Text], int]:
    """Draw the rows from `top` on, moved so that the chosen one is in sight with what it has opened.

    Returns
    -------
    tuple
        At most `height` lines, and the `top` with which they were drawn.
    """
    layout = columns(found, width, now_ns)
    room = max(1, height - 1)
    extra = list(extra)[: max(0, room - 1)]
    top = max(0, min(top, len(found) - room + len(extra)))
    if chosen is not None:
        top = min(chosen, max(top, chosen + len(extra) - room + 1))
    lines = [heading(width, layout, palette)]
    for i, each in enumerate(found[top : top + room], top):
        here = i == chosen
        drawn = alert_row(each, width, layout, now_ns, palette, marks.get(each.alert.anomaly.id))
        lines += [ink.row(line, width, palette, here=here) for line in (drawn, *(extra if here else []))]
    lines[0].truncate(width)
    return lines[:height], top


def silence_lines(
    found: Sequence[Silence], chosen: int | None, now_ns: int, width: int, palette: Palette
) -> list[Text]:
    """Draw each silence in a line: what it covers, when it holds, and why."""
    name = min(width // 2, max((len(each.name) for each in found), default=0))
    terms = [term_words(each, now_ns) for each in found]
    cells = max((len(term) for term in terms), default=0)
    lines = [
        Text.assemble((cell(each.name, name), "bold"), f"  {term:<{cells}}", (f"  {each.note}", palette.muted))
        for each, term in zip(found, terms, strict=True)
    ]
    return [ink.row(line, width, palette, here=i == chosen) for i, line in enumerate(lines)]


def term_words(silence: Silence, now_ns: int) -> str:
    """Say when it holds, with the date where it is another: "until 16:00 · 58 min left", "from 14:00 until 16:00"."""

    def moment(ts: int, today_ns: int) -> str:
        return day_clock(ts, today_ns).rpartition(":")[0]

    if silence.since > now_ns:
        return f"from {moment(silence.since, now_ns)} until {moment(silence.until, silence.since)}"
    return f"until {moment(silence.until, now_ns)} · {silence_words(silence, now_ns)}"
