"""A widget that shows lines and repaints only the cells that changed: what keeps a link over ssh quiet."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from rich.segment import Segment
from rich.text import Text
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tapewatch.dispatch.phrases import plain


class Panel(Widget):
    """Show one text per line.

    Attributes
    ----------
    repainted
        Regions that the last `show` had painted again.
    """

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, panel: "Panel", line: int) -> None:
            super().__init__()
            self.panel, self.line = panel, line

    def __init__(self, id: str, *, focusable: bool = False) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.can_focus = focusable
        self.repainted: list[Region] = []
        self._strips: list[Strip] = []
        self._titles: tuple[str, str] = ("", "")

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Write into the border, above and below; Textual would paint everything again even for the same words."""
        if (title, subtitle) != self._titles:
            self._titles = (title, subtitle)
            self.border_title, self.border_subtitle = title or None, subtitle or None

    def show(self, lines: Sequence[Text]) -> None:
        """Replace the lines; cells that stay the same are not painted again."""
        console, nothing = self.app.console, Strip([])
        # A text of one style renders without it; the base style is laid under every segment.
        strips = [
            Strip(_harmless(Segment.apply_style(line.render(console), console.get_style(line.style)))) for line in lines
        ]
        self.repainted = []
        for y in range(max(len(strips), len(self._strips))):
            old = self._strips[y] if y < len(self._strips) else nothing
            new = strips[y] if y < len(strips) else nothing
            if old != new:
                start, end = _changed(list(old), list(new))
                self.repainted.append(Region(start, y, end - start, 1))
        self._strips = strips
        if self.repainted:
            self.refresh(*self.repainted)

    def render_line(self, y: int) -> Strip:
        """Give Textual a line."""
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(0)
        return strip.adjust_cell_length(self.content_size.width).apply_style(self.rich_style)

    def on_click(self, event: Click) -> None:
        """Pass a click on with the line that it hit."""
        offset = event.get_content_offset(self)
        if offset is not None:
            self.post_message(self.Clicked(self, offset.y))


def _harmless(segments: Iterable[Segment]) -> Iterator[Segment]:
    # What people and venues wrote must not steer the terminal; nothing reaches it but through a panel or a notice.
    for text, style, _ in segments:
        yield Segment(text if text.isprintable() else plain(text, len(text)), style)


def _changed(old: list[Segment], new: list[Segment]) -> tuple[int, int]:
    # Lines are drawn to their panel's width, so what is equal at the right end stands in the same cells, too.
    old_cells, new_cells = _cells(old), _cells(new)
    start = _cells(segment for segment, _ in takewhile(lambda pair: pair[0] == pair[1], zip(new, old, strict=False)))
    if old_cells != new_cells:
        return start, max(old_cells, new_cells)
    same_end = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(new), reversed(old), strict=False))
    return start, max(start, new_cells - _cells(segment for segment, _ in same_end))


def _cells(segments: Iterable[Segment]) -> int:
    return sum(segment.cell_length for segment in segments)
