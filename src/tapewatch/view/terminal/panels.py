"""The panels around the chart: verdict, watch-list, distributions, hours, keys.

In: parts of a `Picture` and a size. Out: one text per line.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from tapewatch.figures import clock, duration, number, price, signed
from tapewatch.model import Lane, Severity
from tapewatch.view.alert_words import standing_words
from tapewatch.view.queries import SIZES, Counts
from tapewatch.view.status import Status, Watch
from tapewatch.view.terminal.ink import EIGHTHS, Piece, cell, chip, fitted, spark
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.terminal.picture import Chart, Picture
from tapewatch.view.verdict import feed_words, source_words, verdict_words
from tapewatch.words import FEED_SIGNS, RULES_SHORT, SEVERITIES, SHAPES

KEYS = (
    ("↑↓", "row"),
    ("⏎", "details"),
    ("1 2 3", "severity"),
    ("d", "way"),
    ("t", "type"),
    ("r", "recency"),
    ("v o", "size"),
    ("s", "symbol"),
    ("a", "all"),
    ("A", "alerts"),
    ("+ −", "zoom"),
    ("p", "pause"),
    ("?", "help"),
    ("q", "quit"),
)
"""Key → what it does."""

KEYS_SHORT = (
    ("⏎", "details"),
    ("1 2 3", "severity"),
    ("d t r v o s a", "filter"),
    ("A", "alerts"),
    ("p", "pause"),
    ("+ −", "zoom"),
    ("?", "help"),
    ("q", "quit"),
)
"""The same for a narrow window."""

KEYS_FULL_CELLS = 120

BAR_CELLS = 20
MISSING = "–"


def top_line(picture: Picture, width: int, palette: Palette) -> Text:
    """Say whether something is abnormal, how bad it is, and whether it is live."""
    p, now, judged = palette, picture.status, picture.verdict
    headline, rest = verdict_words(judged, now)
    old = now.state not in ("live", "waiting")
    left: list[Piece] = [
        (7, Text.assemble(("∿ tapewatch ", f"bold {p.accent}"), ("│ ", p.line))),
        (2, Text(f"{headline} ", p.muted if judged.worst else "bold" if not old else p.muted)),
    ]
    if judged.severity:
        left.append(
            (
                0,
                chip(judged.severity, p)
                if not old
                else Text(f" {SHAPES[judged.severity]} {judged.severity} ", p.muted),
            )
        )
        for severity in SEVERITIES:
            colour = p.muted if old else p.severity(severity)
            left.append((1, Text.assemble((f" {SHAPES[severity]} ", colour), (f"{judged.counts[severity]} ", "bold"))))
        subject, comma, limit = rest.rpartition(", ")
        left += [
            (5, Text(" worst", p.muted)),
            (3, Text(f" {subject if comma else rest}", p.muted if old else "bold")),
            (5, Text(f"{comma}{limit}", p.muted)),
        ]
    else:
        left.append((4, Text(f" {rest}", p.muted)))
    tone, trouble, _ = standing_words(picture.standing)
    word, more = feed_words(now)
    colour = {"live": p.accent, "stale": p.high, "reconnecting": p.high}.get(now.state, p.muted)
    right: list[Piece] = [
        (6, Text(f" {clock(now.now_ns)} UTC  ", p.muted)),
        (3, Text(f" {SHAPES['high']} {trouble} " if tone else "", f"bold {p.high}")),
        (1, Text(f" {source_words(now.source)[0]} ", f"bold {p.text} on {p.line}")),
        (0, Text(f" {FEED_SIGNS[now.state]} {word}", f"bold {colour}")),
        (4, Text(f" {more}", p.muted)),
    ]
    return fitted(width, left, right)


def banner(now: Status, width: int, palette: Palette, *, paused_ns: int | None) -> Text | None:
    """Say in a line what is wrong with the picture and what to do; None where all is well."""
    p = palette
    if paused_ns is not None:
        return fitted(
            width,
            [
                (0, Text(f" Paused at {clock(paused_ns)} UTC ", f"bold {p.ground} on {p.accent}")),
                (1, Text("  p goes on", p.muted)),
            ],
        )
    as_of = f"Prices and the verdict are as of {clock(now.as_of_ns)} UTC."
    match now.state:
        case "stale" | "reconnecting":
            label = Text(f" {SHAPES['high']} {feed_words(now)[0]} ", p.chip("high"))
            due = "" if now.next_try_s is None else f" Try {now.attempts + 1} in {duration(now.next_try_s)}."
            return fitted(
                width, [(0, label), (1, Text(f"  {_sentence(now.reason)}{due}")), (2, Text(f"  {as_of}", p.muted))]
            )
        case "ended" | "stopped":
            label = Text(f" {FEED_SIGNS[now.state]} {feed_words(now)[0]} ", f"bold {p.text} on {p.line}")
            why = _sentence(now.reason) or "Nothing more will come."
            return fitted(width, [(0, label), (1, Text(f"  {why}")), (2, Text(f"  {as_of}", p.muted))])
        case "live" if now.reason:
            return fitted(width, [(0, Text(f" {SHAPES['high']} {_sentence(now.reason)}", f"bold {p.high}"))])
        case "live" if now.differs:
            return fitted(width, [(0, Text(f" {_sentence(now.differs)}", p.muted))])
    return None


def watch_lines(
    watch: Sequence[Watch], chosen: Lane | None, width: int, top: int, height: int, palette: Palette
) -> list[Text]:
    """Draw the watch-list from its line `top` on: symbol, price, shape of the hour, change, worst open severity."""
    p, lines = palette, []
    name = min(10, max((len(_short(each.symbol)) for each in watch), default=4))
    figures = [MISSING if each.price is None else price(each.price, each.decimals) for each in watch]
    cells = max((len(figure) for figure in figures), default=8)
    room = width - (name + cells + 1 + 10 + 3)
    line_cells = room - 1 if room >= 7 else 0  # noqa: PLR2004  # a shorter line says nothing
    for each, figure in list(zip(watch, figures, strict=True))[top : top + height]:
        here = each.lane == chosen
        live = each.state in ("live", "ended", "stopped")
        change = MISSING if each.change_percent is None else f"{signed(each.change_percent, 2)} %"
        line = Text.assemble(
            ("▌" if here else " ", p.accent),
            (cell(_short(each.symbol), name), "bold"),
            (f" {figure:>{cells}}", "" if live else p.muted),
            (f" {spark(each.spark, line_cells)}" if line_cells else "", p.spark),
            (f"{change:>10} " if live else f"{each.state[:9]:>10} ", "" if live else p.muted),
            (SHAPES[each.worst] if each.worst else " ", p.severity(each.worst) if each.worst else ""),
            end="",
        )
        line.pad_right(max(0, width - line.cell_len))
        line.truncate(width)
        if here:
            line.stylize_before(f"on {p.selected}")
        lines.append(line)
    return lines


def change_span(watch: Sequence[Watch]) -> str:
    """Say over how long prices have changed: "over 1 h", or "since 12:04" where nothing is known before."""
    known = [each.since_ns for each in watch if each.change_percent is not None]
    since = [each for each in known if each is not None]
    return f"since {clock(min(since), '%H:%M')}" if since and len(since) == len(known) else "over 1 h"


def distribution_lines(
    counts: Counts, armed: frozenset[str], width: int, palette: Palette, *, rules: bool
) -> list[Text]:
    """Draw how many there are of each severity and how large, and with room for it of each type, off where not armed.

    A severity's line is divided by size, since most severities are one type's: how many reached 2, 4 and 8 times their
    limit stands where a type has its bar.
    """
    p = palette
    name = max(len(word) for word in RULES_SHORT.values()) + 2
    room = max(0, width - name - 1 - 6)
    most = max(1, *counts.rules.values())
    lines = [_sizes_line(counts, severity, name, room, p) for severity in SEVERITIES]
    rows: list[tuple[str, str, int, str, bool]] = [
        (" ", word, counts.rules[rule], p.muted, bool(armed) and rule not in armed)
        for rule, word in (RULES_SHORT.items() if rules else ())
    ]
    for shape, word, count, colour, off in rows:
        filled = 0 if not count else max(1, round(count / most * room))
        figure, style = ("off", p.muted) if off and not count else (number(count, 0), "")
        lines.append(
            Text.assemble(
                (f"{shape} ", colour),
                word.ljust(name - 1),
                ("▀" * filled, colour),
                ("·" * (room - filled), p.line),
                (f"{figure:>6}", style),
                end="",
            )
        )
    return lines


def _sizes_line(counts: Counts, severity: Severity, name: int, room: int, palette: Palette) -> Text:
    p, all_of = palette, counts.severities[severity]
    reached = counts.sizes.get(severity, (0,) * len(SIZES))
    parts = [f"≥{least}× {number(count, 0)}" for least, count in zip(SIZES, reached, strict=True)]
    while parts and sum(len(part) + 2 for part in parts) > room:
        parts.pop(0)  # the largest say most
    told = "  ".join(parts).ljust(room)
    colour = p.severity(severity)
    return Text.assemble(
        (f"{SHAPES[severity]} ", colour),
        severity.ljust(name - 1),
        (told, p.text if any(reached) else p.muted),
        f"{number(all_of, 0):>6}",
        end="",
    )


def hour_lines(hours: NDArray[np.void], width: int, height: int, palette: Palette) -> list[Text]:
    """Draw openings per hour, one column an hour, stacked with high at the foot, where columns compare."""
    rows, step = height - 1, width // max(1, len(hours))
    if rows < 1 or step < 1:
        return []
    totals = np.sum([hours[severity] for severity in SEVERITIES], axis=0)
    scale = rows * len(EIGHTHS) / max(1, int(totals.max()))
    columns = [_column([float(hour[severity]) * scale for severity in SEVERITIES], rows, palette) for hour in hours]
    bar, gap = max(1, step - 1), step - max(1, step - 1)
    lines = [
        Text.assemble(*(part for column in columns for part in ((column[y][0] * bar, column[y][1]), " " * gap)), end="")
        for y in reversed(range(rows))
    ]
    foot = [" "] * width
    for i, hour in enumerate(hours):
        of_day = int(hour["time"]) // 3_600 % 24
        if of_day % 6 == 0:
            foot[i * step : i * step + 2] = f"{of_day:02d}"
    lines.append(Text("".join(foot)[:width], palette.muted, end=""))
    return lines


def _column(heights: list[float], rows: int, palette: Palette) -> list[tuple[str, str]]:
    # From the foot up: each cell is as full as the column is there, in the colour of what stands at its middle.
    edges = np.cumsum(heights)
    cells = []
    for y in range(rows):
        filled = min(len(EIGHTHS), max(0, round(edges[-1] - y * len(EIGHTHS))))
        if not y and not filled:
            cells.append(("▁", palette.severity("low") if edges[-1] else palette.line))
            continue
        at = int(np.searchsorted(edges, y * len(EIGHTHS) + filled / 2, side="right"))
        severity = SEVERITIES[min(at, len(SEVERITIES) - 1)]
        cells.append((EIGHTHS[filled - 1], palette.severity(severity)) if filled else (" ", ""))
    return cells


def chart_head(chart: Chart, width: int, palette: Palette, *, live: bool) -> Text:
    """Say the price, its change, what is open, and the figures of the bars in sight."""
    p, watch = palette, chart.watch
    if watch.price is None:
        return fitted(width, [(0, Text("no trade yet", p.muted))])
    decimals, sight = watch.decimals, chart.bars["time"] >= chart.start_s
    parts: list[Piece] = [(0, Text(f"{price(watch.price, decimals)} ", "bold" if live else p.muted))]
    if watch.change_percent is not None:
        arrow = "↑" if watch.change_percent > 0 else "↓" if watch.change_percent < 0 else " "
        parts += [
            (1, Text(f" {arrow} {signed(watch.change_percent, 2)} % ", "bold")),
            (3, Text(f"{change_span([watch]).removeprefix('over ')}  ", p.muted)),
        ]
    if watch.worst:
        parts += [(2, chip(watch.worst, p)), (4, Text(f" {watch.open_count} open  "))]
    if sight.any():
        high, low = chart.bars["high"][sight].max(), chart.bars["low"][sight].min()
        parts += [
            (
                5,
                Text.assemble(
                    ("High ", p.muted), f"{price(high, decimals)} ", ("Low ", p.muted), f"{price(low, decimals)}  "
                ),
            ),
        ]
        mean, upper = chart.bands.mean[-1], chart.bands.upper[-1]
        if np.isfinite(mean):
            parts += [
                (6, Text.assemble((f"Mean {chart.mean_bars} ", p.muted), f"{price(mean, decimals)}  ")),
                (7, Text.assemble((f"{chart.sigmas:g} σ ", p.muted), price(upper - mean, decimals))),
            ]
    return fitted(width, parts)


def health_parts(now: Status) -> list[str]:
    """Say how the feed and the runtime do, most telling first."""
    parts = [
        f"{number(now.trades_per_min, 0)} trades a minute",
        f"gaps {now.gaps_open} open, {now.gaps_filled} filled, {now.gaps_given_up} given up",
        f"quarantined {number(now.quarantined, 0)}",
        f"duplicates {number(now.duplicates, 0)}",
        f"reconnects {number(now.reconnects, 0)}",
    ]
    if now.latency_p50_ms is not None and now.latency_p99_ms is not None:
        parts.insert(1, f"stored after {now.latency_p50_ms:.0f} ms, p99 {now.latency_p99_ms:.0f} ms")
    return parts


def key_line(width: int, palette: Palette, *, keys: Sequence[tuple[str, str]], health: Sequence[str] = ()) -> Text:
    """Name the keys; where there is little room the first ones, but help and quit always; with much of it, the feed."""
    roomy = sum(len(key) + len(what) + 5 for key, what in keys) <= width
    parts: list[Piece] = []
    for rank, (key, what) in enumerate(keys):
        text = Text.assemble(
            (f" {key} ", f"bold {palette.accent}"), (f"{what}{'   ' if roomy else ' '}", palette.muted)
        )
        parts.append((-1 if what in ("help", "quit") else rank, text))
    aside: list[Piece] = [(len(keys) + i, Text(f"  {part}", palette.muted)) for i, part in enumerate(health)]
    return fitted(width, parts, aside)


def waiting_line(what: str, width: int, palette: Palette) -> Text:
    """Stand in for the first line where there is nothing to tell of."""
    p = palette
    left = Text.assemble(("∿ tapewatch ", f"bold {p.accent}"), ("│ ", p.line), (what, p.muted))
    return fitted(width, [(0, left)], [(1, Text("◌ Waiting", p.muted))])


def _short(symbol: str) -> str:
    return symbol.removesuffix("-USD")


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}{'' if not reason or reason.endswith('.') else '.'}"
