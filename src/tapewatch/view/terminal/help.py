"""The help: keys, shapes and types, over the screen until a key is pressed."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tapewatch.view.terminal import states
from tapewatch.view.terminal.palette import Palette


class Help(ModalScreen[None]):
    """Explain what is on the screen and what the keys do."""

    CSS = """
    Help { align: center middle; background: $tw-ground 60%; }
    #help { width: 84; max-width: 100%; height: auto; max-height: 100%; background: $tw-panel; color: $tw-text;
            border: round $tw-accent; border-title-color: $tw-text; border-title-style: bold;
            border-subtitle-color: $tw-muted; padding: 0 2; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape,q,question_mark,f1,enter,space", "dismiss", "Close")]

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self._palette = palette

    def compose(self) -> ComposeResult:
        """Set the text up."""
        with VerticalScroll(id="help") as box:
            box.border_title, box.border_subtitle = "Help", "Esc closes · ↑↓ scroll"
            yield Static(Text("\n").join(states.help_lines(self._palette)))
