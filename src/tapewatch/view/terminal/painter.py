"""A picture and a person's choices become the lines of every panel.

In: `Picture`, `Control` and the window's size. Out: panels sized and filled; nothing is read here.
"""

from collections.abc import Callable

from rich.text import Text
from textual.geometry import Size

from tapewatch.figures import clock, duration
from tapewatch.model import NS
from tapewatch.view.terminal import candles, log, panels, states
from tapewatch.view.terminal.control import Control
from tapewatch.view.terminal.ink import centred
from tapewatch.view.terminal.layout import BORDER, Layout, arrange, scrolled
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.terminal.panel import Panel
from tapewatch.view.terminal.picture import Chart, Picture
from tapewatch.words import SPANS


class Painter:
    """Fill the panels.

    Attributes
    ----------
    row_ids
        Id of the entry on each line of the log; "" where there is none.
    watch_top
        First line of the watch-list that is in sight.
    """

    def __init__(self, panel: Callable[[str], Panel], palette: Palette) -> None:
        self._panel, self._palette = panel, palette
        self.row_ids: list[str] = []
        self.watch_top = 0
        self._top = 0

    def paint(self, picture: Picture | None, reason: str, control: Control, size: Size) -> None:
        """Size and fill everything."""
        p = self._palette
        if picture is None:
            self._paint_nothing(reason, size)
            return
        width = size.width - 2
        warning = panels.banner(picture.status, width, p, paused_ns=control.paused_ns)
        self._panel("banner").display = warning is not None
        self._panel("banner").show([warning] if warning else [])
        height = size.height - 2 - (warning is not None)
        layout = arrange(size.width, height, len(picture.watch), prefer_watch=control.prefer_watch)
        self._size(layout)
        turns = (("w", "chart" if control.prefer_watch else "watch-list"),) if layout.mid and layout.narrow else ()
        keys = panels.KEYS if width >= panels.KEYS_FULL_CELLS else panels.KEYS_SHORT
        health = panels.health_parts(picture.status)
        self._panel("keys").show([panels.key_line(width, p, keys=(*turns, *keys), health=health)])
        self._panel("bar").show([panels.top_line(picture, width, p)])
        if layout.left:
            self._paint_left(picture, control, layout)
        if layout.chart and picture.chart is not None:
            self._paint_chart(picture, picture.chart, control, layout)
        self._paint_log(picture, control, size.width - BORDER, height - layout.mid - BORDER)

    def _size(self, layout: Layout) -> None:
        mid = self._panel("bar").screen.query_one("#mid")
        left = self._panel("bar").screen.query_one("#left")
        mid.display, left.display = layout.mid > 0, layout.left > 0
        mid.styles.height, left.styles.width = layout.mid, layout.left
        for name, cells in (("watch", layout.watch), ("counts", layout.distribution), ("hours", layout.hours)):
            self._panel(name).display, self._panel(name).styles.height = cells > 0, cells
        self._panel("chart").display, self._panel("chart").styles.width = layout.chart > 0, layout.chart

    def _paint_nothing(self, reason: str, size: Size) -> None:
        p = self._palette
        self._size(Layout(0, 0, 0, 0, 0, 0))
        self._panel("bar").show([panels.waiting_line("No verdict yet", size.width - 2, p)])
        self._panel("banner").display = False
        self._panel("keys").show([panels.key_line(size.width - 2, p, keys=panels.KEYS[-2:])])
        lines = states.empty(reason, size.width, p)
        log_panel, self.row_ids = self._panel("log"), []
        log_panel.entitle("")
        log_panel.show(centred(lines, size.width - BORDER, size.height - 2 - BORDER))

    def _paint_left(self, picture: Picture, control: Control, layout: Layout) -> None:
        p, inner = self._palette, layout.left - BORDER
        rows = layout.watch - BORDER
        chosen = picture.chart.watch.lane if picture.chart else None
        at = next((i for i, each in enumerate(picture.watch) if each.lane == chosen), 0)
        self.watch_top = scrolled(self.watch_top, at, rows, len(picture.watch))
        watch = self._panel("watch")
        watch.show(panels.watch_lines(picture.watch, chosen, inner, self.watch_top, rows, p))
        hidden = len(picture.watch) - rows
        change = f"change {panels.change_span(picture.watch)}"
        watch.entitle("Watch-list", f"{hidden} more · {change}" if hidden > 0 else change)
        wanted = control.ask.filter
        if layout.distribution:
            counts = self._panel("counts")
            span = "All time" if wanted.recency_s is None else _heading(wanted.recency_s)
            counts.entitle(span, " ".join(wanted.symbols) or "all symbols")
            rules = layout.distribution - BORDER > len(picture.counts.severities)
            counts.show(panels.distribution_lines(picture.counts, picture.status.armed, inner - 2, p, rules=rules))
        if layout.hours:
            self._panel("hours").entitle("Per hour", "last 24 h, UTC")
            self._panel("hours").show(panels.hour_lines(picture.hours, inner - 2, layout.hours - BORDER, p))

    def _paint_chart(self, picture: Picture, chart: Chart, control: Control, layout: Layout) -> None:
        p, panel = self._palette, self._panel("chart")
        width, height = layout.chart - 4, layout.mid - BORDER
        old = chart.watch.state != "live"
        past = control.ask.end_ns is not None
        when = f"until {clock(chart.end_s * NS, '%m-%d %H:%M')} UTC, Esc for now · " if past else ""
        panel.entitle(chart.watch.symbol, f"{when}{_width(chart.width_s)} bars")
        if not len(chart.bars):
            panel.show(centred(self._no_bars(chart, past=past), width, height))
            return
        look = candles.Look(
            palette=p,
            focus=control.focus(picture),
            as_of_s=picture.status.as_of_ns / NS if old and not past else None,
            bands=control.bands,
        )
        head = panels.chart_head(chart, width, p, live=not old)
        panel.show([head, *candles.draw(chart, width, height - 1, look)])

    def _no_bars(self, chart: Chart, *, past: bool) -> list[Text]:
        p = self._palette
        if past or chart.watch.price is not None:
            return [
                Text("No trades in this span", "bold", end=""),
                Text("Esc shows now, − widens the bars.", p.muted, end=""),
            ]
        return [
            Text(f"No {chart.watch.symbol} trade yet", "bold", end=""),
            Text("The chart begins with the first one.", p.muted, end=""),
        ]

    def _paint_log(self, picture: Picture, control: Control, width: int, height: int) -> None:
        panel, wanted = self._panel("log"), control.ask.filter
        panel.entitle(
            "Anomalies", log.filter_words(wanted, picture.counts.total, largest_first=control.ask.largest_first)
        )
        if not picture.entries:
            lines = states.no_rows(wanted, picture.status, self._palette)
            panel.show(centred(lines, width, height))
            self.row_ids = []
            return
        drawn = log.page(
            picture.entries,
            control.chosen,
            self._top if control.chosen else 0,
            width=width,
            height=height,
            now_ns=picture.status.now_ns,
            expanded=control.expanded,
            palette=self._palette,
            marks=picture.marks,
            told=picture.told,
        )
        panel.show(drawn.lines)
        self.row_ids, self._top = drawn.ids, drawn.top


def _heading(recency_s: int) -> str:
    words = SPANS.get(recency_s, f"last {duration(recency_s)}")
    return words[0].upper() + words[1:]


def _width(seconds: int) -> str:
    return next(
        (f"{seconds // of} {unit}" for of, unit in ((3_600, "h"), (60, "min")) if seconds % of == 0), f"{seconds} s"
    )
