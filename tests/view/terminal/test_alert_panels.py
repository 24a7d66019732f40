import pytest

from support.telling import letter
from support.views import NOW, anomaly
from tapewatch.alert import Alert, Silence
from tapewatch.model import NS
from tapewatch.store.records import Post
from tapewatch.view.alerts import AlertLine, MessageStory
from tapewatch.view.terminal import alert_panels
from tapewatch.view.terminal.palette import DARK

HOUR, DAY = 3_600, 86_400


@pytest.mark.parametrize(
    ("since_s", "until_s", "said"),
    [
        (-60, 3_480, "until 22:30 · 58 min left"),
        (-60, 3 * HOUR, "until 10-11 00:32 · 3 h left"),
        (600, HOUR, "from 21:42 until 22:32"),
        (HOUR, 3 * HOUR, "from 22:32 until 10-11 00:32"),
        (DAY, DAY + HOUR, "from 10-11 21:32 until 22:32"),
        (DAY, 2 * DAY, "from 10-11 21:32 until 10-12 21:32"),
    ],
)
def test_a_silence_says_when_it_ends(since_s, until_s, said):
    assert alert_panels.term_words(Silence(1, NOW + since_s * NS, NOW + until_s * NS), NOW) == said


def test_a_short_window_keeps_the_notes_of_silences():
    found = [Silence(i, NOW + i * DAY * NS, NOW + 2 * i * DAY * NS, symbol="BTC-*", note="listing") for i in (0, 1)]
    lines = alert_panels.silence_lines(found, 1, NOW, 78, DARK)
    assert all("listing" in line.plain for line in lines)
    assert [line.plain[0] for line in lines] == [" ", "▌"]
    assert {line.cell_len for line in lines} == {78}


def undelivered(state):
    each = anomaly("a")
    line = AlertLine(Alert(1, "desk", "opened", each.opened_ts, each, "undelivered", "nobody took it", 7), NOW, state)
    post = Post(7, "desk", "symbol", NOW, NOW, letter(7, [each]), None, state=state, attempts=2, done_ts=NOW)
    return line, MessageStory(post, [], [line])


@pytest.mark.parametrize(
    ("state", "row", "urgent"),
    [
        ("undelivered", "◆ undelivered message 7", True),
        ("dismissed", "– undelivered, dismissed message 7", False),
    ],
)
def test_a_message_that_a_person_has_dismissed_alarms_nobody(state, row, urgent):
    line, _ = undelivered(state)
    drawn = alert_panels.alert_row(line, 120, alert_panels.columns([line], 120, NOW), NOW, DARK, None)
    assert row in drawn.plain
    styles = {str(span.style) for span in drawn.spans if drawn.plain[span.start : span.end].startswith(row[:3])}
    assert (f"bold {DARK.high}" in styles) == urgent


def test_the_story_of_a_dismissed_message():
    line, story = undelivered("dismissed")
    drawn = alert_panels.story_lines(line, story, NOW, 100, DARK)
    assert "Message 7 to desk: given up 21:32:48 after 2 tries, dismissed" in [each.plain.strip() for each in drawn]
