"""Small pieces of which every panel is drawn: chips, bars, columns, a canvas of cells.

In: words and a palette. Out: Rich texts of one line each; nothing here knows where they stand.
"""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from tapewatch.model import Severity
from tapewatch.view.terminal.palette import Palette
from tapewatch.words import SHAPES

EIGHTHS = "▁▂▃▄▅▆▇█"
CHIP_CELLS = 10

Piece = tuple[int, Text]
"""A part of a line and its rank: the part with the highest rank is the first to go where room is short."""


def chip(severity: Severity, palette: Palette) -> Text:
    """Draw a severity: shape, word and fill, always as wide."""
    return Text(f" {SHAPES[severity]} {severity:<6} ", palette.chip(severity))


def fitted(width: int, left: Sequence[Piece], right: Sequence[Piece] = ()) -> Text:
    """Draw a line of parts, some at its left and some at its right end, without those for which there is no room."""
    parts = [*left, *right]
    while sum(part.cell_len for _, part in parts) > width and len(parts) > 1:
        worst = max(range(len(parts)), key=lambda i: (parts[i][0], i))
        del parts[worst]
    kept = {id(part) for _, part in parts}
    line = Text(no_wrap=True, end="")
    for _, part in left:
        if id(part) in kept:
            line.append_text(part)
    tail = Text(end="")
    for _, part in right:
        if id(part) in kept:
            tail.append_text(part)
    line.append(" " * max(0, width - line.cell_len - tail.cell_len))
    line.append_text(tail)
    line.truncate(width)
    return line


def cell(text: str, width: int, *, right: bool = False) -> str:
    """Bring a text to a width in cells; what is cut off ends with an ellipsis."""
    if cell_len(text) > width:
        return set_cell_size(text, max(0, width - 1)) + "…" * (width > 0)
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def row(line: Text, width: int, palette: Palette, *, here: bool) -> Text:
    """Bring a line of a list to the list's width; the chosen one has a bar in front and a ground of its own."""
    full = Text.assemble(("▌" if here else " ", palette.accent), line, end="", no_wrap=True)
    full.truncate(width, overflow="ellipsis")
    full.pad_right(max(0, width - full.cell_len))
    if here:
        full.stylize_before(f"on {palette.selected}")
    return full


def spark(values: Sequence[float], width: int) -> str:
    """Draw a line of eight heights, its right end the last value; short series stay short."""
    if not values:
        return " " * width
    if len(values) > width:  # each cell is the last value of its share
        values = [values[(i + 1) * len(values) // width - 1] for i in range(width)]
    low, high = min(values), max(values)
    scale = (len(EIGHTHS) - 1) / (high - low) if high > low else 0.0
    return "".join(EIGHTHS[round((value - low) * scale)] for value in values).rjust(width)


def centred(lines: Sequence[Text], width: int, height: int) -> list[Text]:
    """Put lines into the middle as one block: they keep a common left edge."""
    left = max(0, (width - max((line.cell_len for line in lines), default=0)) // 2)
    shown = [Text.assemble(" " * left, line, end="") for line in lines]
    for line in shown:
        line.truncate(max(0, width), overflow="ellipsis")
    return [Text(end="")] * max(0, (height - len(lines)) // 2) + shown[: max(0, height)]


class Canvas:
    """A grid of cells, each a character and a style, from which lines are taken."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._chars = [[" "] * columns for _ in range(rows)]
        self._styles = [[""] * columns for _ in range(rows)]
        self._tints: dict[int, str] = {}

    def put(self, x: int, y: int, text: str, style: str) -> None:
        """Write characters of one cell each; what lies outside is left out."""
        if not 0 <= y < self.rows:
            return
        for i, char in enumerate(text, x):
            if 0 <= i < self.columns:
                self._chars[y][i], self._styles[y][i] = char, style

    def free(self, x: int, y: int, *, through: str = " ·") -> bool:
        """Tell whether a cell is on the canvas and holds nothing that may not be drawn over."""
        return 0 <= x < self.columns and 0 <= y < self.rows and self._chars[y][x] in through

    def tint(self, columns: Iterable[int], colour: str) -> None:
        """Give columns a ground of their own."""
        self._tints.update(dict.fromkeys(columns, colour))

    def line(self, y: int) -> Text:
        """Take a line, with one run for each stretch of equal style."""
        line = Text(no_wrap=True, end="")
        run, style = "", ""
        for x, (char, own) in enumerate(zip(self._chars[y], self._styles[y], strict=True)):
            ground = self._tints.get(x)
            wanted = f"{own} on {ground}" if ground and " on " not in own else own
            if wanted != style and run:
                line.append(run, style or None)
                run = ""
            run, style = run + char, wanted
        line.append(run, style or None)
        return line
