"""The picture that goes with an alert: the minutes around an anomaly.

In: bars and the anomaly. Out: a PNG, the same bytes for the same input. It looks like the dashboards by night.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.words import DECIMALS_MAX
from tapewatch.dispatch import phrases
from tapewatch.dispatch.phrases import plain
from tapewatch.figures import clock, number, price
from tapewatch.model import NS, PRICE_SCALE, Anomaly, Severity
from tapewatch.words import RULES, SHAPES, places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, SCALE = 640, 320, 2
"""Size in the pixels of a page, and how many of the picture there are to one of them."""

PLACE: Final = (0.025, 0.1, 0.85, 0.71)
"""Left, bottom, width and height of the prices, as shares of the picture; the width before the scale is known."""

DIGIT, GUTTER = 6.7, 7.0
"""Width of a digit of the scale, and of what is left free on either side of it, in pixels of a page."""

COLUMNS: Final = 800
"""Bars that are drawn at most: more would share pixels."""

COLOURS: Final = 128

SPAN_MIN_S: Final = 10.0
"""Time that a picture shows at least, so that a single bar has a place."""

STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
"""Distances between marks of the time axis."""

GROUND, GRID, TEXT, MUTED, ACCENT = "#0B0E13", "#1A212B", "#E4E8EE", "#98A3B3", "#3CCFB4"
INK, BAND = "#C6D0DC", "#64748B"
SEVERITY: Final[dict[Severity, tuple[str, str, str]]] = {
    "high": ("#FF6474", "#FF8591", "#3B141C"),
    "medium": ("#D9962B", "#EDB75C", "#33260C"),
    "low": ("#5B9FEA", "#8ABCF5", "#12263D"),
}
"""Colours of the shape, of text, and of the ground below text: the tokens of the dashboards."""

MARKERS: Final[dict[Severity, str]] = {"high": "D", "medium": "s", "low": "o"}

TAG = "#232B36"
"""Ground of the tag that a price has on its axis."""

TAG_HEIGHT: Final = 0.075
"""As a share of the prices' axis: nothing else is written so near."""

ROOM, ROOM_OF_PEAK = 0.08, 0.20
"""What is left free around the prices, and where the peak has its label: shares of their span."""

ROOM_BEFORE, ROOM_AFTER = 0.015, 0.06
"""The same beside them: an alert comes when its peak is the last thing that happened."""

EDGE: Final = 0.05
"""What lies nearer to the left or right edge is not written across it."""

TURN: Final = 0.75
"""What lies farther right has its label on its left."""

MARKS_MAX: Final = 7
"""Times that fit side by side; of prices there are two fewer."""


class _Tag(NamedTuple):
    # A price to stand on the axis, at a height in the quote currency.
    at: float
    text: str
    colour: str
    ground: str


def chart(bars: NDArray[np.void], anomaly: Anomaly) -> bytes | None:
    """Draw prices around an anomaly: what it was compared with, when it opened, how far it went.

    Safe in a thread: nothing is shared between two drawings. The first one loads the library, which takes a second.

    Parameters
    ----------
    bars
        Shape (n,), oldest first, with the float64 fields ``time`` (start, in seconds since the epoch), ``open``,
        ``high``, ``low`` and ``close`` (quote currency). One is enough.

    Returns
    -------
    bytes or None
        A PNG of 1280 × 640 pixels, to be shown half as large; None where there is no bar.
    """
    if len(bars) == 0:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100 * SCALE, facecolor=GROUND)
    axes = figure.add_axes(PLACE, facecolor=GROUND)
    _draw_prices(axes, _thinned(bars))
    _set_limits(axes, bars, anomaly)
    tags = _tags(axes, anomaly)
    _draw_times(axes)
    _draw_scale(axes, tags, places(anomaly))
    _draw_anomaly(axes, anomaly)
    _draw_tags(axes, tags)
    _write_title(axes, anomaly)
    return _packed(figure)


def _packed(figure: Figure) -> bytes:
    # 128 colours are as many as anybody sees here, and make a third of the bytes.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # of a library that is typed but here
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    packed = drawn.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture = BytesIO()
    packed.save(picture, "PNG")
    return picture.getvalue()


def _thinned(bars: NDArray[np.void]) -> NDArray[np.void]:
    # Neighbours that would share pixels become one bar.
    if len(bars) <= COLUMNS:
        return bars
    times = bars["time"]
    column = ((times - times[0]) / (times[-1] - times[0]) * (COLUMNS - 1)).astype(np.int64)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    thin = bars[starts].copy()
    thin["high"] = np.maximum.reduceat(bars["high"], starts)
    thin["low"] = np.minimum.reduceat(bars["low"], starts)
    thin["close"] = bars["close"][np.append(starts[1:], len(bars)) - 1]
    return thin


def _draw_prices(axes: Axes, bars: NDArray[np.void]) -> None:
    times = bars["time"]
    axes.fill_between(times, bars["low"], bars["high"], step="mid", color=BAND, alpha=0.45, linewidth=0)
    axes.plot(times, bars["close"], color=INK, linewidth=1.0, solid_joinstyle="round")
    if len(bars) == 1:
        axes.vlines(times, bars["low"], bars["high"], color=INK, linewidth=1.0)
        axes.plot(times, bars["close"], color=INK, marker="o", markersize=3)


def _set_limits(axes: Axes, bars: NDArray[np.void], anomaly: Anomaly) -> None:
    # From the first bar on: where an anomaly has lasted for longer than the bars, its beginning is not on the picture.
    first, last = bars["time"][0], max([bars["time"][-1], anomaly.peak_ts / NS, anomaly.last_ts / NS])
    lacking = max(SPAN_MIN_S - (last - first), 0.0) / 2
    first, last = first - lacking, last + lacking
    axes.set_xlim(first - ROOM_BEFORE * (last - first), last + ROOM_AFTER * (last - first))
    marked = [value for value in (anomaly.peak_price, anomaly.peak_reference_price) if value is not None]
    low, high = min([bars["low"].min(), *marked]), max([bars["high"].max(), *marked])
    lacking = (
        max(high * 1e-3 - (high - low), 2 / PRICE_SCALE - (high - low), 0.0) / 2
    )  # prices that stand still are a line in the middle
    low, high = low - lacking, high + lacking
    below, above = (ROOM, ROOM_OF_PEAK) if anomaly.direction == "up" else (ROOM_OF_PEAK, ROOM)
    axes.set_ylim(low - below * (high - low), high + above * (high - low))


def _draw_times(axes: Axes) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator

    left, right = axes.get_xlim()
    step = next((step for step in STEPS_S if (right - left) / step <= MARKS_MAX), STEPS_S[-1])
    start = left + EDGE * (right - left)  # a mark at the very edge would be cut
    times = [float(time) for time in range(math.ceil(start / step) * step, math.ceil(right), step)]
    form = "%H:%M" if step % 60 == 0 else "%H:%M:%S"
    axes.xaxis.set_major_locator(FixedLocator(times))
    axes.xaxis.set_major_formatter(FixedFormatter([clock(round(time) * NS, form) for time in times]))


def _draw_scale(axes: Axes, tags: Sequence[_Tag], decimals: int) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

    bottom, top = axes.get_ylim()
    marks = MaxNLocator(MARKS_MAX - 2, steps=[1, 2, 2.5, 5, 10], integer=True)  # a price is a whole number of units
    values = [float(value) / PRICE_SCALE for value in marks.tick_values(bottom * PRICE_SCALE, top * PRICE_SCALE)]
    step = values[1] - values[0]
    exact = next((count for count in range(decimals, DECIMALS_MAX) if _whole(step * 10**count)), DECIMALS_MAX)
    texts = [number(value, exact) for value in values]
    near = (top - bottom) * TAG_HEIGHT
    shown = [
        "" if any(abs(tag.at - at) < near for tag in tags) else text for at, text in zip(values, texts, strict=True)
    ]
    axes.yaxis.set_major_locator(FixedLocator(values))
    axes.yaxis.set_major_formatter(FixedFormatter(shown))
    axes.set_ylim(bottom, top)
    left, below, _, height = PLACE
    longest = max(len(text) for text in (*shown, *(tag.text for tag in tags)))
    axes.set_position((left, below, 1 - left - (longest * DIGIT + 2 * GUTTER) / WIDTH, height))
    axes.yaxis.tick_right()
    axes.grid(color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, length=0, pad=4)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set(**_font(10.5))
    for spine in axes.spines.values():
        spine.set_visible(False)


def _whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-3 * value


def _tags(axes: Axes, anomaly: Anomaly) -> list[_Tag]:
    # What it was compared with and how far it went, on the axis; pushed apart where they would lie on each other.
    if anomaly.peak_price is None or anomaly.peak_reference_price is None:
        return []
    decimals = places(anomaly)
    _, text, ground = SEVERITY[anomaly.severity]
    reference = _Tag(anomaly.peak_reference_price, price(anomaly.peak_reference_price, decimals), TEXT, TAG)
    peak = _Tag(anomaly.peak_price, price(anomaly.peak_price, decimals), text, ground)
    bottom, top = axes.get_ylim()
    lacking = TAG_HEIGHT * (top - bottom) - abs(peak.at - reference.at)
    if lacking <= 0:
        return [reference, peak]
    push = math.copysign(lacking / 2, peak.at - reference.at)
    return [reference._replace(at=reference.at - push), peak._replace(at=peak.at + push)]


def _draw_anomaly(axes: Axes, anomaly: Anomaly) -> None:
    shape, text, ground = SEVERITY[anomaly.severity]
    opened, falls = anomaly.opened_ts / NS, anomaly.direction == "down"
    began = anomaly.reference_ts / NS if anomaly.rule == "silent_feed" and anomaly.reference_ts is not None else opened
    axes.axvspan(began, anomaly.last_ts / NS, color=ACCENT, alpha=0.10, linewidth=0)
    axes.axvline(opened, color=ACCENT, linewidth=0.75)
    left, right = axes.get_xlim()
    if opened >= left:  # beside its line, where the price has left room
        outside = (opened - left) / (right - left) > TURN
        axes.annotate(
            f"opened {clock(anomaly.opened_ts)}",
            (opened, 1.0 if falls else 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if outside else 4, -3 if falls else 3),
            textcoords="offset points",
            ha="right" if outside else "left",
            va="top" if falls else "bottom",
            color=ACCENT,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": GROUND, "edgecolor": "none", "alpha": 0.6},
            **_font(10.5),
        )
    if anomaly.peak_price is None or anomaly.peak_reference_price is None or anomaly.peak_ts / NS < left:
        return
    peak = anomaly.peak_ts / NS
    axes.axhline(anomaly.peak_reference_price, color=MUTED, linewidth=0.75, linestyle=(0, (2, 3)))
    axes.plot(
        [peak],
        [anomaly.peak_price],
        marker=MARKERS[anomaly.severity],
        markersize=5,
        markeredgecolor=shape,
        markerfacecolor=GROUND if anomaly.severity == "low" else shape,
        markeredgewidth=1.25,
        zorder=5,
    )
    place = (peak - left) / (right - left)
    axes.annotate(
        _written(phrases.size(anomaly)),
        (peak, anomaly.peak_price),
        xytext=(0, -9 if falls else 9),  # outwards, where the price has not been
        textcoords="offset points",
        ha="right" if place > 1 - EDGE else "left" if place < EDGE else "center",
        va="top" if falls else "bottom",
        color=text,
        bbox={"boxstyle": "round,pad=0.3,rounding_size=0.25", "facecolor": ground, "edgecolor": "none"},
        zorder=6,
        **_font(11, bold=True),
    )


def _draw_tags(axes: Axes, tags: Sequence[_Tag]) -> None:
    for tag in tags:
        axes.annotate(
            tag.text,
            (1.0, tag.at),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=tag.colour,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": tag.ground, "edgecolor": "none"},
            **_font(10.5),
        )


def _write_title(axes: Axes, anomaly: Anomaly) -> None:
    head = _written(plain(anomaly.symbol))
    said = _written(f"{phrases.what(anomaly)}{phrases.against_limit(anomaly)}")
    details = [
        RULES.get(anomaly.rule, anomaly.rule),
        plain(anomaly.venue),
        f"{clock(anomaly.opened_ts, '%Y-%m-%d')} UTC",
    ]
    colour, shape = SEVERITY[anomaly.severity][0], SHAPES[anomaly.severity]
    before: Any = axes.annotate(shape, (0, 1), (0, 27), "axes fraction", "offset points", color=colour, **_font(13))
    for text, colour, font in ((head, TEXT, _font(13, bold=True)), (said, TEXT, _font(13))):
        before = axes.annotate(text, (1, 0), (5, 0), before, "offset points", color=colour, va="bottom", **font)
    under = _written(" · ".join(details))
    axes.annotate(under, (0, 1), (0, 11), "axes fraction", "offset points", color=MUTED, **_font(10.5))


@cache
def _known() -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(_file(bold=False)).get_charmap())


def _written(text: str) -> str:
    # The font knows no emoji, for example; the library would warn of each.
    return "".join(character if ord(character) in _known() else "\N{REPLACEMENT CHARACTER}" for character in text)


@cache
def _file(*, bold: bool) -> str:
    import matplotlib as mpl

    return str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"))


def _font(pixels: float, *, bold: bool = False) -> dict[str, Any]:
    # Whatever a person's matplotlibrc says; a dollar sign is a dollar sign.
    from matplotlib.font_manager import FontProperties

    return {"font": FontProperties(fname=_file(bold=bold), size=pixels * 0.72), "parse_math": False, "usetex": False}
