from hypothesis import given
from hypothesis import strategies as st

from tapewatch.view.terminal.layout import LOG_MIN, arrange, chart_columns, scrolled

sizes = {
    "width": st.integers(1, 300),
    "height": st.integers(0, 100),
    "lanes": st.integers(1, 60),
    "prefer_watch": st.booleans(),
}


@given(**sizes)
def test_everything_fits(width, height, lanes, prefer_watch):
    layout = arrange(width, height, lanes, prefer_watch=prefer_watch)
    assert all(cells >= 0 for cells in layout)
    assert layout.left + layout.chart in {0, width}
    assert layout.watch + layout.distribution + layout.hours == layout.mid
    assert layout.mid == 0 or height - layout.mid >= LOG_MIN


def test_the_sizes_of_the_design():
    assert arrange(144, 40, 10, prefer_watch=False) == (46, 98, 23, 12, 11, 0)
    assert arrange(200, 58, 10, prefer_watch=False) == (56, 144, 33, 12, 11, 10)
    assert arrange(100, 28, 10, prefer_watch=False) == (37, 63, 16, 11, 5, 0)
    assert arrange(80, 22, 10, prefer_watch=False)[:3] == (0, 80, 13)
    assert arrange(80, 22, 10, prefer_watch=True)[:3] == (80, 0, 13)


def test_few_lanes_leave_room_for_the_hours():
    layout = arrange(144, 40, 3, prefer_watch=False)
    assert (layout.watch, layout.distribution, layout.hours) == (5, 11, 7)


def test_a_low_window_has_the_log_alone():
    assert arrange(144, 14, 10, prefer_watch=False).mid == 0


def test_a_chart_asks_for_no_more_bars_than_might_fit():
    assert chart_columns(144, prefer_watch=False) == 144 - 46 - 2 - 2 - 10
    assert chart_columns(80, prefer_watch=False) == 80 - 2 - 2 - 10
    assert chart_columns(10, prefer_watch=False) >= 1


@given(st.integers(-5, 50), st.integers(1, 12), st.integers(1, 40), st.data())
def test_what_is_chosen_is_in_sight_and_the_panel_is_full(top, rows, count, data):
    at = data.draw(st.integers(0, count - 1))
    first = scrolled(top, at, rows, count)
    assert 0 <= first <= at < first + rows
    assert first + min(rows, count) <= count
    assert scrolled(first, at, rows, count) == first
