from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.text import Text
from textual.app import App
from textual.strip import Strip

from tapewatch.view.terminal.panel import Panel, _changed

line = st.lists(st.text("ab·", min_size=1, max_size=4).map(Segment), max_size=6)


@given(line, line)
def test_what_lies_outside_the_change_is_the_same(old, new):
    start, end = _changed(old, new)
    before, after = Strip(old).text, Strip(new).text
    assert before[:start] == after[:start]
    assert 0 <= start <= end <= max(len(before), len(after))
    if len(before) == len(after):
        assert before[end:] == after[end:]
    else:
        assert end == max(len(before), len(after))


def test_a_change_in_the_middle():
    old = [Segment("21:32:48 "), Segment("0.4"), Segment(" s old")]
    new = [Segment("21:32:48 "), Segment("0.9"), Segment(" s old")]
    assert _changed(old, new) == (9, 12)


class Lone(App[None]):
    def compose(self):
        yield Panel("lone")


async def test_nothing_that_a_panel_is_given_steers_the_terminal():
    async with Lone().run_test() as pilot:
        panel = pilot.app.query_one(Panel)
        panel.show([Text.assemble("red \x1b[31m", ("clear \x9b2J", "bold"), " two\nlines \u202etfel")])
        await pilot.pause()
        shown = panel.render_line(0).text
        assert shown.isprintable()
        assert shown.rstrip() == "red \ufffd[31mclear \ufffd2J two\ufffdlines \ufffdtfel"
