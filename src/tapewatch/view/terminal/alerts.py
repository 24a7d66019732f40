"""The screen of alerts: keys and a timer in, panels out; it reads in a worker thread and draws what that brings."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct, structs
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from tapewatch.alert import Mark, Silence
from tapewatch.errors import StoreError
from tapewatch.store.sql import Reader
from tapewatch.view import alerts, marks
from tapewatch.view.alerts import OUTCOMES, AlertFilter, AlertLine, ChannelLine, MessageStory, Outcome, Standing
from tapewatch.view.status import Status, status
from tapewatch.view.terminal import alert_panels, panels, states
from tapewatch.view.terminal.ink import centred
from tapewatch.view.terminal.layout import BORDER, scrolled
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.terminal.panel import Panel
from tapewatch.view.terminal.wishes import Wishes, about
from tapewatch.words import RECENCIES

if TYPE_CHECKING:
    from tapewatch.view.terminal.app import Top

SOME: tuple[Outcome, ...] = tuple(each for each in OUTCOMES if each != "not taken")
CHOICES: tuple[tuple[Outcome, ...], ...] = (SOME, *((each,) for each in OUTCOMES))
ROWS = 300
CHANNELS_SHOWN, SILENCES_SHOWN = 6, 5

KEYS = (
    ("up,k", "move(-1)"),
    ("down,j", "move(1)"),
    ("pageup", "move(-10)"),
    ("pagedown", "move(10)"),
    ("enter", "details"),
    ("o", "outcome"),
    ("c", "channel"),
    ("r", "recency"),
    ("m", "mark"),
    ("h", "silence"),
    ("u", "unsilence"),
    ("y", "retry"),
    ("d", "let_be"),
    ("A,escape", "market"),
    ("question_mark,f1", "app.help"),
    ("q", "app.quit"),
)


class Told(Struct, frozen=True):
    """Everything that the screen shows, read in one transaction."""

    status: Status
    standing: Standing
    lines: list[AlertLine]
    silences: list[Silence]
    marks: dict[str, Mark]
    story: MessageStory | None

    @property
    def channels(self) -> tuple[ChannelLine, ...]:
        """Those that fail first."""
        return self.standing.channels


def look(reader: Reader, wall_ns: int, wanted: AlertFilter, number: int | None) -> tuple[Told | None, str]:
    """Read it, or say in a sentence why that cannot be done.

    Parameters
    ----------
    number
        Of the message that is looked at; None for none.
    """
    try:
        if not reader.ready():
            return None, f"There is no database {reader.name} yet."
        with reader.connect() as conn:
            now, standing = status(conn, wall_ns), alerts.standing(conn, wall_ns)
            lines = alerts.alerts(conn, wanted, now.now_ns, ROWS)
            silences = alerts.silences(conn, standing.lanes_ns)
            return Told(
                now,
                standing,
                lines,
                [each for each in silences if each.until > standing.lanes_ns],
                marks.marks_of(conn, {each.alert.anomaly.id for each in lines}),
                None if number is None else alerts.message(conn, number),
            ), ""
    except StoreError as error:
        return None, f"{error}."


class Alerts(Screen[None]):
    """Show what was told to whom, and let a person silence, mark and try again."""

    CSS = """
    Alerts { background: $tw-ground; color: $tw-text; overflow: hidden; }
    #told { height: 1fr; }
    #channels, #told, #silences { padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in KEYS]
    app: "Top"

    class Seen(Message):
        """A look at the database is done."""

        def __init__(self, told: Told | None, reason: str) -> None:
            super().__init__()
            self.told, self.reason = told, reason

    def __init__(
        self, reader: Reader, *, clock: Callable[[], int], hz: float, palette: Palette, wishes: Wishes
    ) -> None:
        super().__init__()
        self.wanted = AlertFilter(outcomes=SOME, within_s=86_400)
        self.told: Told | None = None
        self.chosen: tuple[int, str] | None = None
        self.expanded = False
        self._reader, self._clock, self._hz, self._palette, self._wishes = reader, clock, hz, palette, wishes
        self._reason = ""
        self._top = 0
        self._at_of = {"channels": 0, "silences": 0}
        self._top_of = {"channels": 0, "silences": 0}
        self._reading = self._again = False

    def compose(self) -> ComposeResult:
        """Set the panels up."""
        yield Panel("bar")
        yield Panel("channels", focusable=True).add_class("box")
        yield Panel("told", focusable=True).add_class("box")
        yield Panel("silences", focusable=True).add_class("box")
        yield Panel("keys")

    def on_mount(self) -> None:
        """Look at once, then as often as the market's screen does."""
        self._panel("told").focus()
        self.set_interval(1 / self._hz, self.look)
        self.look()

    def on_resize(self) -> None:
        """Share the window out anew."""
        self._draw()

    def look(self) -> None:
        """Read again; while that is being done, once more behind it."""
        if self._reading:
            self._again = True
            return
        self._reading, self._again = True, False
        line = self._line
        self._read(self.wanted, line.alert.message if line is not None and self.expanded else None)

    @work(thread=True, group="read-alerts")
    def _read(self, wanted: AlertFilter, number: int | None) -> None:
        self.post_message(self.Seen(*look(self._reader, self._clock(), wanted, number)))

    def on_alerts_seen(self, message: Seen) -> None:
        """Draw what a look has brought."""
        self._reading = False
        self.told, self._reason = message.told, message.reason
        self._draw()
        if self._again:
            self.look()

    def on_panel_clicked(self, message: Panel.Clicked) -> None:
        """Choose with the mouse."""
        message.stop()
        message.panel.focus()

    def _panel(self, name: str) -> Panel:
        return self.query_one(f"#{name}", Panel)

    @property
    def _at(self) -> int | None:
        lines = self.told.lines if self.told else []
        return next((i for i, each in enumerate(lines) if (each.alert.seq, each.alert.channel) == self.chosen), None)

    @property
    def _line(self) -> AlertLine | None:
        at = self._at
        return None if at is None or self.told is None else self.told.lines[at]

    def _draw(self) -> None:
        p, width, told = self._palette, self.size.width, self.told
        if told is None:
            self._draw_nothing()
            return
        keys = alert_panels.KEYS if width >= panels.KEYS_FULL_CELLS else alert_panels.KEYS_SHORT
        self._panel("keys").show([panels.key_line(width - 2, p, keys=keys)])
        self._panel("bar").show([alert_panels.bar(told.standing, told.status, width - 2, p)])
        rest = self.size.height - 2
        here = self._here("channels", len(told.channels))
        lines = alert_panels.channel_lines(told.channels, here, self._clock(), width - BORDER, p)
        rest -= self._show("channels", "Channels", lines, CHANNELS_SHOWN, rest)
        here = self._here("silences", len(told.silences))
        lines = alert_panels.silence_lines(told.silences, here, told.standing.lanes_ns, width - BORDER, p)
        rest -= self._show("silences", "Silences", lines, SILENCES_SHOWN, rest)
        box = self._panel("told")
        box.entitle("Told, and held back", self._filter_words(told))
        box.show(self._list_lines(told, width - BORDER, rest - BORDER))

    def _draw_nothing(self) -> None:
        p, width = self._palette, self.size.width
        self._panel("bar").show([panels.waiting_line("Alerts", width - 2, p)])
        self._panel("keys").show([panels.key_line(width - 2, p, keys=alert_panels.KEYS[-3:])])
        for name in self._at_of:
            self._panel(name).display = False
        lines = states.empty(self._reason, width, p)
        self._panel("told").entitle("")
        self._panel("told").show(centred(lines, width - BORDER, self.size.height - 2 - BORDER))

    @property
    def _focus(self) -> str:
        return "told" if self.focused is None or self.focused.id is None else self.focused.id

    def _here(self, name: str, count: int) -> int | None:
        # The line that the arrows have chosen; nothing is marked where the arrows do not act.
        self._at_of[name] = max(0, min(self._at_of[name], count - 1))
        return self._at_of[name] if self._focus == name else None

    def _show(self, name: str, title: str, lines: list[Text], most: int, rest: int) -> int:
        # Returns the lines that the box takes; where the window is low the list has them all.
        panel = self._panel(name)
        panel.display = bool(lines) and rest >= most + 8
        if not panel.display:
            return 0
        rows = min(len(lines), most)
        top = self._top_of[name] = scrolled(self._top_of[name], self._at_of[name], rows, len(lines))
        panel.styles.height = rows + BORDER
        panel.entitle(title, f"{len(lines) - rows} more" if len(lines) > rows else "")
        panel.show(lines[top : top + rows])
        return rows + BORDER

    def _list_lines(self, told: Told, width: int, height: int) -> list[Text]:
        p = self._palette
        if not told.lines:
            if not told.channels:
                return centred(alert_panels.nobody_lines(p), width, height)
            return centred(alert_panels.none_lines(p), width, height)
        line, extra = self._line, []
        if line is not None and self.expanded:
            story = told.story if told.story is not None and told.story.post.number == line.alert.message else None
            extra = alert_panels.story_lines(line, story, self._clock(), width, p)
        lines, self._top = alert_panels.alert_page(
            told.lines,
            self._at,
            self._top if self.chosen else 0,
            width=width,
            height=height,
            now_ns=told.status.now_ns,
            extra=extra,
            marks=told.marks,
            palette=p,
        )
        return lines

    def _filter_words(self, told: Told) -> str:
        outcomes = "all but not taken" if self.wanted.outcomes == SOME else " ".join(self.wanted.outcomes)
        span = "any time" if self.wanted.within_s is None else RECENCIES[self.wanted.within_s]
        count = f"{len(told.lines)}{'+' * (len(told.lines) == ROWS)}"
        return " · ".join((" ".join(self.wanted.channels) or "all channels", outcomes, span, count))

    def action_move(self, step: int) -> None:
        """Choose another row of the panel that has the focus."""
        if self.told is None:
            return
        if self._focus in self._at_of:
            self._at_of[self._focus] += step
        elif self.told.lines:
            at = self._at
            to = 0 if at is None else max(0, min(len(self.told.lines) - 1, at + step))
            chosen = self.told.lines[to].alert
            self.chosen = (chosen.seq, chosen.channel)
        self._draw()
        if self.expanded:
            self.look()

    def action_details(self) -> None:
        """Open or close the message of the chosen row."""
        if self._line is None:
            self.action_move(1)
        self.expanded = self._line is not None and not self.expanded
        self._draw()
        self.look()

    def action_outcome(self) -> None:
        """List all that concerned somebody, or one outcome after the other."""
        at = CHOICES.index(self.wanted.outcomes)
        self._choose(outcomes=CHOICES[(at + 1) % len(CHOICES)])

    def action_channel(self) -> None:
        """List all channels, or one after the other."""
        if self.told is not None:
            names = [(), *((name,) for name in sorted(each.row.name for each in self.told.channels))]
            at = names.index(self.wanted.channels) if self.wanted.channels in names else -1
            self._choose(channels=names[(at + 1) % len(names)])

    def action_recency(self) -> None:
        """Look further back, and around."""
        spans = [*RECENCIES, None]
        self._choose(within_s=spans[(spans.index(self.wanted.within_s) + 1) % len(spans)])

    def action_mark(self) -> None:
        """Say what the chosen row's anomaly was."""
        if (line := self._line) is not None:
            self._wishes.mark([line.alert.anomaly.id], about(line.alert.anomaly))

    def action_silence(self) -> None:
        """Hear nothing of the chosen row's symbol for an hour."""
        if (line := self._line) is not None:
            self._wishes.silence(line.alert.anomaly.symbol)

    def action_unsilence(self) -> None:
        """End the chosen silence."""
        if self.told is not None and self.told.silences:
            self._wishes.unsilence(self.told.silences[self._at_of["silences"]])

    def action_retry(self) -> None:
        """Try the chosen row's message again, where nobody took it."""
        if (line := self._line) is not None and line.alert.message is not None and line.outcome == "undelivered":
            self._wishes.retry(line.alert.message)

    def action_let_be(self) -> None:
        """Dismiss the chosen row's message, where nobody took it."""
        if (line := self._line) is not None and line.alert.message is not None and line.delivery == "undelivered":
            self._wishes.dismiss(line.alert.message)

    def action_market(self) -> None:
        """Go back to the market, by way of what is open here."""
        self.dismiss()

    def _choose(self, **choices: object) -> None:
        self.wanted = structs.replace(self.wanted, **choices)
        self.chosen, self.expanded, self._top = None, False, 0
        self.look()
