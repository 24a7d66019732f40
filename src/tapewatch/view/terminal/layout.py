"""A window's size becomes the size of each panel; what has no room is left out, nothing ever wraps.

In: cells and the number of lanes. Out: a `Layout`; 0 for what is not shown.
"""

from typing import NamedTuple

BORDER = PADDING = 2
AXIS_CELLS_MIN = 10
"""The axis of prices is at least so wide."""

DISTRIBUTION_FULL = 9 + BORDER
DISTRIBUTION_SMALL = 3 + BORDER
HOURS_MIN = 6
LOG_MIN = 6
MID_MIN = 9
MID_SHARE = 0.57
LEFT_CELLS = ((180, 56), (130, 46), (96, 37))
"""Windows of at least so many cells have a left column of so many; narrower ones show chart or watch-list."""


class Layout(NamedTuple):
    """Cells of each panel, borders included."""

    left: int
    chart: int
    mid: int
    watch: int
    distribution: int
    hours: int

    @property
    def narrow(self) -> bool:
        """Whether chart and watch-list take turns."""
        return not (self.left and self.chart)


def chart_columns(width: int, *, prefer_watch: bool) -> int:
    """Count the bars for which a window's chart may have room."""
    left = next((cells for from_width, cells in LEFT_CELLS if width >= from_width), width if prefer_watch else 0)
    return max(AXIS_CELLS_MIN, width - left - BORDER - PADDING - AXIS_CELLS_MIN)


def scrolled(top: int, at: int, rows: int, count: int) -> int:
    """Say which of `count` lines is the first of `rows` in sight: `top`, moved no further than line `at` asks for."""
    return max(0, min(max(top, at - rows + 1), at, count - rows))


def arrange(width: int, height: int, lanes: int, *, prefer_watch: bool) -> Layout:
    """Share a window out.

    Parameters
    ----------
    height
        Lines between the top and the last line, banner taken off.
    prefer_watch
        What a window without room for both shows: the watch-list, or the chart.
    """
    mid = min(max(MID_MIN, round(MID_SHARE * height)), height - LOG_MIN)
    if mid < MID_MIN:
        return Layout(0, 0, 0, 0, 0, 0)
    left = next((cells for from_width, cells in LEFT_CELLS if width >= from_width), width if prefer_watch else 0)
    wanted = lanes + BORDER
    distribution = next(
        (cells for cells in (DISTRIBUTION_FULL, DISTRIBUTION_SMALL) if mid - cells >= min(wanted, 5 + BORDER)), 0
    )
    spare = mid - distribution - wanted
    hours = spare if spare >= HOURS_MIN else 0
    return Layout(left, width - left, mid, mid - distribution - hours, distribution, hours)
