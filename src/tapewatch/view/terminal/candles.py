"""The chart in cells: one column a bar, half a cell high, so that ribbon and volume line up with the bars.

In: a `Chart` and a size. Out: one text per line. Pure; the cells are chosen here and nowhere else.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from tapewatch.figures import clock, price
from tapewatch.model import NS, Anomaly, Direction
from tapewatch.view.status import SEVERITY_RANK
from tapewatch.view.terminal.ink import EIGHTHS, Canvas
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.terminal.picture import Chart
from tapewatch.words import SEVERITIES, SHAPES, peak_words, ratio

CELLS = {"bb": "┃", "ww": "│", "b ": "╹", " b": "╻", "w ": "╵", " w": "╷", "bw": "╿", "wb": "╽"}
"""Upper and lower half of a cell (body, wick or nothing) → its character."""

HATCH = "\N{BOX DRAWINGS LIGHT DIAGONAL UPPER RIGHT TO LOWER LEFT}"
LEGEND_CELLS = 9
LABELS = 4
LEVELS = 3
COLUMNS_PER_MARK = 5
RIBBON_FROM_ROWS = 11
"""Below so many rows the ribbon is one line for the worst severity, and there is no volume."""

MEDIUM_FROM_RATIO = 2.5
LARGE_FROM = 4.0
SMALL = {"high": "⬥", "medium": "▪", "low": "∘"}
"""Shapes of marks of less than so many times their limit: sixty equal ones would tell nothing."""

TIME_STEPS_S = (10, 30, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 172_800, 604_800)
LABEL_CELLS = 10


class Look(NamedTuple):
    """How a chart is to look, beside its data.

    Attributes
    ----------
    focus
        The anomaly whose span and mark are lifted out.
    as_of_s
        Where the data ends because the feed does, seconds since the epoch; None while it goes on.
    bands
        Whether mean and bands are drawn.
    """

    palette: Palette
    focus: Anomaly | None = None
    as_of_s: float | None = None
    bands: bool = True


class _Scale:
    """Prices to half rows."""

    def __init__(self, low: float, high: float, rows: int) -> None:
        pad = (high - low) / max(2, rows - 3) * 1.5 or high * 1e-4  # room for a mark above and below
        self.low, self.high, self.rows = low - pad, high + pad, rows

    def half(self, value: float) -> int:
        """Index of a half row, 0 at the top; what lies outside goes to the edge."""
        share = (self.high - value) / (self.high - self.low)
        return min(2 * self.rows - 1, max(0, int(share * 2 * self.rows)))

    def ticks(self) -> Iterator[float]:
        """Round prices about three rows apart."""
        rough = (self.high - self.low) / max(1.0, self.rows / 2.6)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= rough * 0.75)
        for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            yield n * step


def draw(chart: Chart, width: int, height: int, look: Look) -> list[Text]:
    """Draw a chart.

    Returns
    -------
    lines
        `height` texts of `width` cells: prices, ribbon, volume, and the axis of time.
    """
    axis = max(LEGEND_CELLS, len(price(float(chart.watch.price or 0), chart.watch.decimals)) + 2) + 1
    columns = min(width - axis, (chart.end_s - chart.start_s) // chart.width_s + 1)
    full = height >= RIBBON_FROM_ROWS
    foot = (len(SEVERITIES) + 1 if full else 1) + 1
    rows = height - foot
    if columns < 1 or rows < 2 or not len(chart.bars):  # noqa: PLR2004  # one row cannot show a difference
        return [Text(" " * width, end="") for _ in range(height)]
    first_s = (chart.end_s // chart.width_s - columns + 1) * chart.width_s
    shown = chart.bars["time"] >= first_s
    bars, at = chart.bars[shown], ((chart.bars["time"][shown] - first_s) // chart.width_s).astype(int)
    scale = _range(chart, bars, rows)
    canvas = Canvas(columns, rows)
    place = _Place(canvas, scale, first_s, chart.width_s, chart.end_s)
    if look.bands:
        _draw_bands(place, chart, shown, at, look)
    _draw_candles(place, bars, at, look)
    _draw_hatch(place, look)
    _draw_marks(place, chart, bars, at, look)
    labels = _price_labels(chart, scale, axis, look)
    lines = [Text.assemble(canvas.line(y), labels[y], end="") for y in range(rows)]
    lines += _ribbon(place, chart.marks, axis, look, full=full)
    if full:
        lines.append(_volume(bars, at, columns, axis, look))
    lines.append(_time_axis(place, columns, axis, look))
    for line in lines:
        line.pad_right(max(0, width - line.cell_len))
        line.truncate(width)
    return lines


class _Place(NamedTuple):
    canvas: Canvas
    scale: _Scale
    first_s: int
    width_s: int
    end_s: int

    def column(self, ts: int) -> int:
        """Column of a moment in ns; may lie outside."""
        return int((ts / NS - self.first_s) // self.width_s)

    def span(self, anomaly: Anomaly) -> range:
        """Columns in which it was abnormal."""
        last = self.end_s * NS if anomaly.ended_ts is None else anomaly.ended_ts
        return range(max(0, self.column(anomaly.opened_ts)), min(self.canvas.columns, self.column(last) + 1))


def _range(chart: Chart, bars: NDArray[np.void], rows: int) -> _Scale:
    last = chart.watch.price or float(chart.bars["close"][-1])
    if not len(bars):
        return _Scale(last, last, rows)
    return _Scale(float(bars["low"].min()), float(bars["high"].max()), rows)


def _draw_bands(place: _Place, chart: Chart, shown: NDArray[np.bool_], at: NDArray[np.int_], look: Look) -> None:
    for line, style in (
        (chart.bands.upper, look.palette.dim),
        (chart.bands.lower, look.palette.dim),
        (chart.bands.mean, look.palette.muted),
    ):
        for x, value in zip(at.tolist(), line[shown].tolist(), strict=True):
            if place.scale.low < value < place.scale.high:
                place.canvas.put(x, place.scale.half(value) // 2, "·", style)


def _draw_candles(place: _Place, bars: NDArray[np.void], at: NDArray[np.int_], look: Look) -> None:
    half = place.scale.half
    before = -1
    for x, bar in zip(at.tolist(), bars, strict=True):
        top, bottom = half(bar["high"]), half(bar["low"])
        body = sorted((half(bar["open"]), half(bar["close"])))
        style = look.palette.up if bar["close"] >= bar["open"] else look.palette.down
        for y in range(top // 2, bottom // 2 + 1):
            parts = "".join(
                "b" if body[0] <= h <= body[1] else "w" if top <= h <= bottom else " " for h in (2 * y, 2 * y + 1)
            )
            place.canvas.put(x, y, CELLS[parts], style)
        if before >= 0:  # nothing traded in between: the price in force
            y = half(bar["open"]) // 2
            for gap in range(before + 1, x):
                if place.canvas.free(gap, y):
                    place.canvas.put(gap, y, "─", look.palette.dim)
        before = x


def _draw_hatch(place: _Place, look: Look) -> None:
    if look.as_of_s is None:
        return
    for x in range(max(0, place.column(int(look.as_of_s * NS)) + 1), place.canvas.columns):
        for y in range(place.canvas.rows):
            place.canvas.put(x, y, HATCH, look.palette.line)


def _draw_marks(place: _Place, chart: Chart, bars: NDArray[np.void], at: NDArray[np.int_], look: Look) -> None:
    palette, canvas = look.palette, place.canvas
    if look.focus is not None:
        canvas.tint(place.span(look.focus), palette.selected)
    focus_id = look.focus.id if look.focus else ""
    bar_at = dict(zip(at.tolist(), bars, strict=True))
    labels = 0
    for each, *others in _peaks(chart.marks, focus_id)[: max(3, canvas.columns // COLUMNS_PER_MARK)]:
        x, up = place.column(each.peak_ts), each.direction == "up"
        bar = bar_at.get(x)
        if bar is None:
            continue
        beside = place.scale.half(bar["high"] if up else bar["low"]) // 2
        levels = (beside - level if up else beside + level for level in range(1, LEVELS + 1))
        y = next((y for y in levels if _room(canvas, x, y)), None)
        if y is None:
            continue
        own = palette.severity(each.severity)
        canvas.put(x, y, _shape(each), f"bold {palette.ground} on {palette.accent}" if each.id == focus_id else own)
        label = peak_words(each) + (f" ×{len(others) + 1}" if others else "")
        wanted = (each.severity == "high" and labels < LABELS) or each.id == focus_id
        if wanted and all(canvas.free(x + 1 + i, y) for i in range(len(label) + 2)):
            canvas.put(x + 2, y, label, f"bold {own}")
            labels += 1


def _shape(anomaly: Anomaly) -> str:
    return (SHAPES if ratio(anomaly) >= LARGE_FROM else SMALL)[anomaly.severity]


def _peaks(marks: Sequence[Anomaly], focus_id: str) -> list[list[Anomaly]]:
    # What peaks at the same moment on the same side shares a mark; the worst, or the chosen one, speaks for all.
    peaks: dict[tuple[int, Direction], list[Anomaly]] = {}
    for each in sorted(marks, key=lambda each: (each.id != focus_id, SEVERITY_RANK[each.severity], -ratio(each))):
        if each.direction:
            peaks.setdefault((each.peak_ts, each.direction), []).append(each)
    return [
        members for members in peaks.values() if any(_worth_a_mark(each) or each.id == focus_id for each in members)
    ]


def _worth_a_mark(anomaly: Anomaly) -> bool:
    # A column is a few pixels wide: what finds no mark stands in the ribbon.
    return anomaly.severity == "high" or (anomaly.severity == "medium" and ratio(anomaly) >= MEDIUM_FROM_RATIO)


def _room(canvas: Canvas, x: int, y: int) -> bool:
    shapes = "".join([*SHAPES.values(), *SMALL.values()])
    beside = (canvas.free(x + dx, y) or not canvas.free(x + dx, y, through=shapes) for dx in (-1, 1))
    return canvas.free(x, y) and all(beside)


def _price_labels(chart: Chart, scale: _Scale, axis: int, look: Look) -> list[Text]:
    palette, decimals = look.palette, chart.watch.decimals
    labels = [Text(" " * axis, end="") for _ in range(scale.rows)]
    taken = -2
    for tick in sorted(scale.ticks(), reverse=True):
        y = scale.half(tick) // 2
        if y - taken >= 2:  # noqa: PLR2004  # a free row between labels
            labels[y], taken = Text(f"  {price(tick, decimals)} ".ljust(axis), palette.muted, end=""), y
    last = chart.watch.price
    if last is not None and scale.low <= last <= scale.high:
        live = look.as_of_s is None
        style = f"bold {palette.ground} on {palette.accent if live else palette.muted}"
        label = Text(" ", end="").append(f" {price(last, decimals)} ", style)
        label.pad_right(max(0, axis - label.cell_len))
        labels[scale.half(last) // 2] = label
    return labels


def _ribbon(place: _Place, marks: Sequence[Anomaly], axis: int, look: Look, *, full: bool) -> list[Text]:
    palette, lines = look.palette, []
    worst: dict[int, Anomaly] = {}
    for each in sorted(marks, key=lambda each: -SEVERITY_RANK[each.severity]):
        worst.update(dict.fromkeys(place.span(each), each))
    if not full:
        canvas = Canvas(place.canvas.columns, 1)
        for x in range(canvas.columns):
            canvas.put(
                x, 0, "▀" if x in worst else "·", palette.severity(worst[x].severity) if x in worst else palette.line
            )
        return [Text.assemble(canvas.line(0), Text(" abnormal".ljust(axis), palette.muted), end="")]
    for severity in SEVERITIES:
        canvas = Canvas(place.canvas.columns, 1)
        canvas.put(0, 0, "·" * canvas.columns, palette.line)
        for each in marks:
            if each.severity == severity:
                span = place.span(each)
                canvas.put(span.start, 0, "▀" * len(span), palette.severity(severity))
        legend = Text.assemble((f" {SHAPES[severity]} ", palette.severity(severity)), (severity, palette.muted))
        lines.append(Text.assemble(canvas.line(0), legend, end=""))
    return lines


def _volume(bars: NDArray[np.void], at: NDArray[np.int_], columns: int, axis: int, look: Look) -> Text:
    canvas = Canvas(columns, 1)
    share = (
        np.sqrt(bars["volume"] / bars["volume"].max())
        if len(bars) and bars["volume"].max() > 0
        else np.zeros(len(bars))
    )
    for x, part in zip(at.tolist(), share.tolist(), strict=True):
        canvas.put(x, 0, EIGHTHS[int(part * (len(EIGHTHS) - 1))], look.palette.dim)
    return Text.assemble(canvas.line(0), Text(" volume".ljust(axis), look.palette.muted), end="")


def _time_axis(place: _Place, columns: int, axis: int, look: Look) -> Text:
    canvas = Canvas(columns + axis, 1)
    step = next((s for s in TIME_STEPS_S if s >= place.width_s * LABEL_CELLS), TIME_STEPS_S[-1])
    form = "%H:%M:%S" if step % 60 else "%H:%M" if step < TIME_STEPS_S[-3] else "%m-%d"
    for t in range(-(-place.first_s // step) * step, place.first_s + columns * place.width_s, step):
        canvas.put((t - place.first_s) // place.width_s, 0, clock(t * NS, form), look.palette.muted)
    return canvas.line(0)
