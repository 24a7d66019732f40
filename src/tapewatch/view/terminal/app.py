"""The screen: keys and a timer in, panels out. It reads in a worker thread and draws what that brings.

The reader, the clock and the speed are given; so a test runs it over a frozen picture.
"""

from collections.abc import Callable
from typing import ClassVar

from msgspec import structs
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message

from tapewatch.store.sql import Reader
from tapewatch.view.terminal.alerts import Alerts
from tapewatch.view.terminal.control import Control
from tapewatch.view.terminal.help import Help
from tapewatch.view.terminal.layout import chart_columns
from tapewatch.view.terminal.painter import Painter
from tapewatch.view.terminal.palette import DARK, Palette
from tapewatch.view.terminal.panel import Panel
from tapewatch.view.terminal.picture import Ask, Picture, look
from tapewatch.view.terminal.wishes import Request, Wishes, about

KEYS = (
    ("up,k", "move(-1)"),
    ("down,j", "move(1)"),
    ("pageup", "move(-10)"),
    ("pagedown", "move(10)"),
    ("escape,home", "now"),
    ("enter", "details"),
    ("1", "severity(0)"),
    ("2", "severity(1)"),
    ("3", "severity(2)"),
    ("d", "direction"),
    ("t", "type(1)"),
    ("T", "type(-1)"),
    ("r", "recency"),
    ("v", "size"),
    ("o", "order"),
    ("s", "symbol(1)"),
    ("S", "symbol(-1)"),
    ("a", "scope"),
    ("x", "clear"),
    ("plus,equals_sign", "zoom(-1)"),
    ("minus,underscore", "zoom(1)"),
    ("z", "fit"),
    ("left", "pan(-1)"),
    ("right", "pan(1)"),
    ("b", "bands"),
    ("w", "watch"),
    ("p", "pause"),
    ("A", "alerts"),
    ("m", "mark"),
    ("h", "silence"),
    ("question_mark,f1", "help"),
    ("q", "quit"),
)


MARKET = frozenset(action.partition("(")[0] for _, action in KEYS) - {"help", "quit"}
"""Actions that only make sense where their effect is seen."""


class Top(App[None]):
    """Show a database in a terminal.

    Parameters
    ----------
    reader
        Of the database; there need not be one yet.
    ask
        What to show at first.
    clock
        Wall clock of who writes the database, ns since the epoch.
    differs
        Says how ours differs from that.
    hz
        Looks at the database a second.
    request
        Asks alerting for something, see `Services.ask`; None: the screen can only look.
    """

    TITLE = "tapewatch top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in KEYS]
    CSS = """
    Screen { background: $tw-ground; color: $tw-text; overflow: hidden; }
    Panel { background: $tw-ground; color: $tw-text; }
    #bar, #banner, #keys { height: 1; background: $tw-panel; padding: 0 1; }
    #banner { display: none; }
    .box { border: round $tw-line; padding: 0 1; border-title-color: $tw-text; border-title-style: bold;
           border-subtitle-color: $tw-muted; }
    .box:focus { border: round $tw-accent; }
    #watch, #log { padding: 0; }
    #log { height: 1fr; }
    """

    class Seen(Message):
        """A look at the database is done: it brought a picture, or a reason why there is none."""

        def __init__(self, picture: Picture | None, reason: str) -> None:
            super().__init__()
            self.picture, self.reason = picture, reason

    def __init__(
        self,
        reader: Reader,
        *,
        ask: Ask,
        clock: Callable[[], int],
        hz: float,
        palette: Palette = DARK,
        request: Request | None = None,
        differs: Callable[[], str] = str,
    ) -> None:
        self.palette = palette  # before super: the style sheet asks for it
        super().__init__()
        self.control = Control(ask)
        self.picture: Picture | None = None
        self._reader, self._clock, self._differs, self._hz = reader, clock, differs, hz
        self._reason = ""
        self._reading = self._again = False
        self._painter = Painter(self.panel, palette)
        self._wishes = Wishes(self, request, palette)

    def get_css_variables(self) -> dict[str, str]:
        """Give the style sheet our colours."""
        own = {f"tw-{name}": value for name, value in self.palette._asdict().items()}
        return super().get_css_variables() | own

    def compose(self) -> ComposeResult:
        """Set the panels up; what has no room is hidden."""
        yield Panel("bar")
        yield Panel("banner")
        with Horizontal(id="mid"):
            with Vertical(id="left"):
                yield Panel("watch", focusable=True).add_class("box")
                yield Panel("counts").add_class("box")
                yield Panel("hours").add_class("box")
            yield Panel("chart").add_class("box")
        yield Panel("log", focusable=True).add_class("box")
        yield Panel("keys")

    def on_mount(self) -> None:
        """Look at once, then as often as asked."""
        self.panel("log").focus()
        self.set_interval(1 / self._hz, self._tick)

    def panel(self, name: str) -> Panel:
        """Find a panel by its name."""
        return self.screen_stack[0].query_one(f"#{name}", Panel)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse what acts on the market while another screen hides it."""
        if action in MARKET and len(self.screen_stack) > 1:
            return False
        return super().check_action(action, parameters)

    def on_resize(self) -> None:
        """Share the window out anew; a wider chart needs more bars."""
        self._draw()
        self._look()

    def _tick(self) -> None:
        if self.control.paused_ns is None:
            self._look()

    def _look(self) -> None:
        if self._reading:
            self._again = True
            return
        self._reading, self._again = True, False
        columns = chart_columns(self.size.width, prefer_watch=self.control.prefer_watch)
        told = self.control.chosen if self.control.expanded else None
        self._read(structs.replace(self.control.ask, columns=columns, told=told))

    @work(thread=True, group="read")
    def _read(self, ask: Ask) -> None:
        self.post_message(self.Seen(*look(self._reader, self._clock(), ask, self._differs())))

    def on_top_seen(self, message: Seen) -> None:
        """Draw what a look has brought."""
        self._reading = False
        self.picture, self._reason = message.picture, message.reason
        self._draw()
        if self._again:
            self._look()

    def _draw(self) -> None:
        self._painter.paint(self.picture, self._reason, self.control, self.size)

    def _chosen(self) -> None:
        # The choice shows at once; what it asks of the database comes with the next look.
        self._draw()
        self._look()

    def on_panel_clicked(self, message: Panel.Clicked) -> None:
        """Choose with the mouse what the arrows choose without one."""
        picture, line = self.picture, message.line
        if picture is None:
            return
        if message.panel.id == "log" and line < len(self._painter.row_ids) and self._painter.row_ids[line]:
            self.control.choose(self._painter.row_ids[line], picture)
        if message.panel.id == "watch" and line + self._painter.watch_top < len(picture.watch):
            self.control.show(picture.watch[line + self._painter.watch_top].lane)
        self._chosen()

    def action_move(self, step: int) -> None:
        """Choose another row of the log, or another lane where the watch-list has the focus."""
        if self.picture is not None:
            if self.focused is not None and self.focused.id == "watch":
                self.control.next_symbol(step, self.picture)
            else:
                self.control.move(step, self.picture)
            self._chosen()

    def action_details(self) -> None:
        """Open or close the details of the chosen row."""
        if self.picture is not None:
            self.control.toggle_details(self.picture)
            self._chosen()

    def action_now(self) -> None:
        """Give up the chosen row and the chart's place in the past."""
        self.control.back()
        self._chosen()

    def action_severity(self, index: int) -> None:
        """Show a severity or not."""
        self.control.toggle_severity(index)
        self._chosen()

    def action_direction(self) -> None:
        """Show both ways, one, or the other."""
        self.control.next_direction()
        self._chosen()

    def action_type(self, step: int) -> None:
        """Show all types, or one after the other."""
        self.control.next_type(step)
        self._chosen()

    def action_recency(self) -> None:
        """Look further back, and around."""
        self.control.next_recency()
        self._chosen()

    def action_size(self) -> None:
        """Show all sizes, or only large ones."""
        self.control.next_size()
        self._chosen()

    def action_order(self) -> None:
        """List the newest first, or the largest."""
        self.control.toggle_order()
        self._chosen()

    def action_symbol(self, step: int) -> None:
        """Show another lane's chart."""
        if self.picture is not None:
            self.control.next_symbol(step, self.picture)
            self._chosen()

    def action_scope(self) -> None:
        """List all symbols, or the chart's alone."""
        if self.picture is not None:
            self.control.toggle_scope(self.picture)
            self._chosen()

    def action_clear(self) -> None:
        """Take all filters away."""
        self.control.clear()
        self._chosen()

    def action_zoom(self, step: int) -> None:
        """Make the bars wider or narrower."""
        if self.picture is not None and self.picture.chart is not None:
            self.control.zoom(step, self.picture.chart)
            self._chosen()

    def action_fit(self) -> None:
        """Let the bars' width fit itself."""
        self.control.fit()
        self._chosen()

    def action_pan(self, step: int) -> None:
        """Move the chart in time."""
        if self.picture is not None:
            self.control.pan(step, self.picture)
            self._chosen()

    def action_bands(self) -> None:
        """Draw mean and bands, or not."""
        self.control.bands = not self.control.bands
        self._draw()

    def action_watch(self) -> None:
        """Show the watch-list instead of the chart, or the other way round."""
        self.control.prefer_watch = not self.control.prefer_watch
        self._chosen()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        if self.picture is not None:
            self.control.pause(self.picture)
            self._chosen()

    def action_alerts(self) -> None:
        """Show what was told to whom."""
        self.push_screen(
            Alerts(self._reader, clock=self._clock, hz=self._hz, palette=self.palette, wishes=self._wishes)
        )

    def action_mark(self) -> None:
        """Say what the chosen row was: one anomaly, or one event on several symbols."""
        entry = self.picture and self.control.entry(self.picture.entries)
        if entry:
            self._wishes.mark([each.id for each in entry.members], about(entry.anomaly))

    def action_silence(self) -> None:
        """Hear nothing of the chart's symbol for an hour."""
        if self.picture is not None and self.picture.chart is not None:
            self._wishes.silence(self.picture.chart.watch.symbol)

    def action_help(self) -> None:
        """Explain the screen."""
        self.push_screen(Help(self.palette))
