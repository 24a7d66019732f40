"""A widget that shows lines and repaints only those that changed: what keeps a link over ssh quiet."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.text import Text
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget


class Panel(Widget):
    """Show one text per line.

    Attributes
    ----------
    painted
        Lines that were repainted so far; tests and the curious read it.
    """

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, panel: "Panel", line: int) -> None:
            super().__init__()
            self.panel, self.line = panel, line

    def __init__(self, id: str, title: str = "", *, focusable: bool = False) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.can_focus = focusable
        self.border_title = title or None
        self.painted = 0
        self._strips: list[Strip] = []

    def show(self, lines: Sequence[Text]) -> None:
        """Replace the lines; what stays the same is not painted again."""
        console = self.app.console
        # A text of one style renders without it; the base style is laid under every segment.
        strips = [Strip(Segment.apply_style(line.render(console), console.get_style(line.style))) for line in lines]
        width = self.content_size.width
        for y in range(max(len(strips), len(self._strips))):
            old = self._strips[y] if y < len(self._strips) else None
            new = strips[y] if y < len(strips) else None
            if old != new:
                self.painted += 1
                self.refresh(Region(0, y, width, 1))
        self._strips = strips

    def render_line(self, y: int) -> Strip:
        """Give Textual a line."""
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(0)
        return strip.adjust_cell_length(self.content_size.width).apply_style(self.rich_style)

    def on_click(self, event: Click) -> None:
        """Pass a click on with the line that it hit."""
        offset = event.get_content_offset(self)
        if offset is not None:
            self.post_message(self.Clicked(self, offset.y))
