"""A question in the last line, answered with one key: what it is about and the choices in, the chosen one out."""

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Key
from textual.screen import ModalScreen

from tapewatch.view.terminal.ink import cell, fitted
from tapewatch.view.terminal.palette import Palette
from tapewatch.view.terminal.panel import Panel


class Prompt(ModalScreen[str | None]):
    """Ask a person to confirm or to choose; every other key is a no.

    Parameters
    ----------
    question
        What it is about.
    choices
        Key → what it means.
    """

    CSS = """
    Prompt { align: left bottom; background: $tw-ground 0%; }
    #prompt { height: 1; width: 100%; background: $tw-selected; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, question: str, choices: Mapping[str, str], palette: Palette) -> None:
        super().__init__()
        self.question, self.choices, self._palette = question, choices, palette

    def compose(self) -> ComposeResult:
        """Set the line up."""
        yield Panel("prompt")

    def on_mount(self) -> None:
        """Draw it."""
        p = self._palette
        answers = Text(end="")
        for key, what in (*self.choices.items(), ("Esc", "not now")):
            answers.append_text(Text.assemble((f" {key} ", f"bold {p.accent}"), (f"{what} ", p.muted)))
        width = self.app.size.width - 2
        question = cell(self.question, min(len(self.question), max(0, width - answers.cell_len - 2)))
        self.query_one(Panel).show([fitted(width, [(0, Text(f"{question}  ", "bold")), (1, answers)])])

    def on_key(self, event: Key) -> None:
        """Answer."""
        event.stop()
        self.dismiss(event.character if event.character in self.choices else None)
