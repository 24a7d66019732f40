import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from tapewatch.view.terminal.ink import Canvas, cell, chip, fitted, spark
from tapewatch.view.terminal.palette import DARK


@pytest.mark.parametrize(
    ("severity", "text"), [("high", " ◆ high   "), ("medium", " ■ medium "), ("low", " ○ low    ")]
)
def test_a_chip_says_it_by_shape_and_word(severity, text):
    assert chip(severity, DARK).plain == text


@given(st.text("ab漢é…", max_size=12), st.integers(0, 20), st.booleans())
def test_a_cell_is_as_wide_as_asked(text, width, right):
    assert cell_len(cell(text, width, right=right)) == width


def test_what_is_cut_ends_with_an_ellipsis():
    assert cell("BTC-USD", 5) == "BTC-…"
    assert cell("BTC-USD", 9) == "BTC-USD  "
    assert cell("1.0", 5, right=True) == "  1.0"


def parts(*ranked):
    return [(rank, Text(text)) for rank, text in ranked]


def test_a_line_puts_its_parts_at_both_ends():
    assert fitted(12, parts((0, "ab"), (1, "cd")), parts((0, "z"))).plain == "abcd       z"


def test_the_highest_rank_goes_first_and_of_equals_the_last():
    left, right = parts((0, "aaa"), (2, "bbb"), (1, "ccc")), parts((1, "ddd"))
    assert fitted(9, left, right).plain == "aaacccddd"
    assert fitted(8, left, right).plain == "aaaccc  "
    assert fitted(2, left, right).plain == "aa"


@given(st.lists(st.tuples(st.integers(0, 5), st.text("abc", max_size=9)), min_size=1, max_size=6), st.integers(0, 40))
def test_a_line_is_never_wider_than_its_window(ranked, width):
    assert fitted(width, parts(*ranked)).cell_len == width


def test_spark():
    assert spark([], 4) == "    "
    assert spark([1.0, 1.0], 4) == "  ▁▁"
    assert spark([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert spark([0, 9, 0, 7], 2) == "█▁"  # each cell is the last value of its share


def test_a_canvas_joins_cells_of_equal_style():
    canvas = Canvas(4, 1)
    canvas.put(0, 0, "ab", "red")
    canvas.put(3, 0, "xyz", "red")  # what lies outside is left out
    line = canvas.line(0)
    assert line.plain == "ab x"
    assert [(span.start, span.end, span.style) for span in line.spans] == [(0, 2, "red"), (3, 4, "red")]


def test_a_tint_lies_under_what_has_no_ground_of_its_own():
    canvas = Canvas(3, 1)
    canvas.put(0, 0, "a", "red")
    canvas.put(1, 0, "b", "red on blue")
    canvas.tint(range(3), "green")
    assert [str(span.style) for span in canvas.line(0).spans] == ["red on green", "red on blue", " on green"]


def test_free_cells():
    canvas = Canvas(2, 1)
    canvas.put(0, 0, "·┃", "")
    assert canvas.free(0, 0)
    assert not canvas.free(1, 0)
    assert not canvas.free(2, 0)
    assert not canvas.free(0, -1)
