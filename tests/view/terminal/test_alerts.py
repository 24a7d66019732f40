import re

import pytest
from msgspec.structs import replace

from support.screens import add, alerted, calm, market, press, running, settle, text_of
from support.telling import DESK, PHONE, telling
from support.views import anomaly
from tapewatch.errors import StoreError
from tapewatch.store.sql import Store
from tapewatch.view.terminal.alerts import Alerts
from tapewatch.view.terminal.panel import Panel

SIZES = [(144, 42), (80, 24), (60, 16), (40, 10), (24, 6)]


class Alerting:
    """Remembers what it was asked for."""

    def __init__(self, answer="done: as you wish"):
        self.asked, self.answer = [], answer

    def __call__(self, kind, arguments):
        self.asked.append((kind, arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def reader(tmp_path):
    reader = alerted(tmp_path / "x.db")
    yield reader
    reader.close()


@pytest.fixture
def alerting():
    return Alerting()


def rows(pilot):
    return [line for line in text_of(pilot, "told").splitlines()[2:-1] if "-USD" in line]


def notices(pilot):
    return [notice.message for notice in pilot.app._notifications]


async def test_a_failing_channel_is_seen_from_the_market(reader):
    async with running(reader) as pilot:
        assert "◆ 1 undelivered" in text_of(pilot, "bar")


async def test_what_was_told_to_whom_and_what_was_not_and_why(reader):
    async with running(reader) as pilot:
        await press(pilot, "A")
        assert "Alerts  2 channels · ◆ 1 undelivered · 1 silence" in text_of(pilot, "bar")
        desk, phone = text_of(pilot, "channels").splitlines()[1:-1]
        assert "◆ desk" in desk
        assert "failing since 21:22:48  1 undelivered" in desk
        assert "the mail server refused" in desk
        assert "● phone" in phone
        assert "High severity only, all rules" in phone
        listed = rows(pilot)
        assert [line.split()[3] for line in listed] == [
            "21:32:18",
            "21:28:08",
            "21:25:08",
            "21:24:58",
            "21:24:48",
            "21:24:33",
            "21:24:28",
        ]
        assert "◌ waiting over the budget: for the digest of 22:00" in listed[0]
        assert "✓ told message 2" in listed[1]
        assert "– silenced by silence 1 (BTC-*)" in listed[2]
        assert "◆ undelivered = expected · message 3 HTTP 401: bad token" in listed[4]
        assert "– muted until 22:24 or a move above 240.00" in listed[5]
        assert "✓ told ✓ real · message 1" in listed[6]
        silences = text_of(pilot, "silences")
        assert "silence 1 (BTC-*)" in silences
        assert "until 22:32 · 60 min left" in silences
        assert "from 21:42 until 22:42" in silences
        assert "OLD" not in silences
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, Alerts)


async def test_a_row_of_another_day_shows_its_date(reader, tmp_path):
    add(tmp_path / "x.db", anomaly("day-before", ago_s=80_000))
    with telling(tmp_path / "x.db") as told:
        told.judge("day-before", "desk", "held", "held back: feed silent")
    async with running(reader) as pilot:
        await press(pilot, "A")
        heading = text_of(pilot, "told").splitlines()[1]
        today, *_, before = rows(pilot)
        assert today[heading.index("Time UTC") :].startswith("21:32:18")
        assert before[heading.index("Time UTC") :].startswith("10-09 23:19:28")
        for row in (today, before):
            assert row[heading.index("Channel") :].startswith("desk")
            assert row[heading.index("Change") :].startswith("opened")


async def test_filters(reader):
    async with running(reader) as pilot:
        await press(pilot, "A", "o")
        assert len(rows(pilot)) == 3
        assert "told · 24 h · 3" in text_of(pilot, "told")
        await press(pilot, "o", "o", "o", "o")
        assert "not taken · 24 h · 1" in text_of(pilot, "told")
        await press(pilot, "o", "c")
        assert "desk · all but not taken · 24 h · 3" in text_of(pilot, "told")
        await press(pilot, "c", "c", "r", "r", "r")
        assert "all channels · all but not taken · 5 min · 2" in text_of(pilot, "told")


async def test_a_row_opens_its_message(reader):
    async with running(reader) as pilot:
        await press(pilot, "A", *["down"] * 5, "enter")
        told = text_of(pilot, "told")
        assert "Message 3 to desk: given up 21:32:50 after 2 tries" in told
        assert "21:32:18  HTTP 401: bad token" in told
        assert "│ ▼ BTC-USD fell 45.10 below the last second's 115,602.00" in told
        await press(pilot, "up", "enter")
        assert "given up" not in text_of(pilot, "told")


async def test_a_row_stays_chosen_while_others_come(reader, tmp_path):
    async with running(reader) as pilot:
        await press(pilot, "A", "down", "down")
        with telling(tmp_path / "x.db") as told:
            told.judge("sol-1", "phone", "held", "held back: feed silent")
        pilot.app.screen.look()
        await settle(pilot)
        assert len(rows(pilot)) == 8
        assert "21:28:08" in next(line for line in rows(pilot) if "▌" in line)


async def test_silence_and_its_end_are_confirmed_and_asked_for(reader, alerting):
    async with running(reader, request=alerting) as pilot:
        await press(pilot, "A", "down", "h")
        assert "Tell nobody of SOL-USD for an hour?" in text_of(pilot)
        await press(pilot, "x")  # every other key is a no
        assert alerting.asked == []
        await press(pilot, "h", "y")
        assert alerting.asked == [("silence", {"for_s": 3_600, "symbol": "SOL-USD"})]
        assert notices(pilot) == ["As you wish."]
        await press(pilot, "tab", "down", "u")
        assert "End silence 1 (BTC-*) now?" in text_of(pilot)
        await press(pilot, "y")
        assert alerting.asked[-1] == ("unsilence", {"number": 1})


async def test_the_silence_that_would_end_is_in_sight(reader, tmp_path, alerting):
    with telling(tmp_path / "x.db") as told:
        for _ in range(9):
            told.silence(0, 3_600)
    async with running(reader, request=alerting) as pilot:
        await press(pilot, "A")
        assert "6 more" in text_of(pilot, "silences")  # of the nine, and the two that were there
        await press(pilot, "tab", *["down"] * 7)
        assert re.findall(r"silence (\d+)", text_of(pilot, "silences")) == ["9", "8", "7", "6", "5"]
        assert "▌silence 5 " in text_of(pilot, "silences")
        await press(pilot, "u", "y")
        assert alerting.asked == [("unsilence", {"number": 5})]
        await press(pilot, *["up"] * 3)
        assert "▌silence 8 " in text_of(pilot, "silences").splitlines()[2]  # in sight already: nothing moves
        await press(pilot, "pagedown", "pagedown")
        assert "▌silence 1 " in text_of(pilot, "silences").splitlines()[5]


async def test_every_channel_can_be_seen(reader, tmp_path):
    more = [replace(PHONE, name=f"team-{i}") for i in range(6)]
    with telling(tmp_path / "x.db", PHONE, DESK, *more):
        pass
    async with running(reader) as pilot:
        await press(pilot, "A")
        assert "2 more" in text_of(pilot, "channels")
        assert "team-5" not in text_of(pilot, "channels")
        await press(pilot, "shift+tab", *["down"] * 9)
        assert "team-5" in next(line for line in text_of(pilot, "channels").splitlines() if "▌" in line)


@pytest.mark.parametrize(
    ("key", "said"), [("r", {"label": "true"}), ("f", {"label": "false"}), ("e", {"label": "expected"}), ("k", {})]
)
async def test_marks(reader, alerting, key, said):
    async with running(reader, request=alerting) as pilot:
        await press(pilot, "down", "m")
        assert "SOL-USD: fell 0.28 % in 1 s, from 212.61 to 212.01: what was it?" in text_of(pilot)
        await press(pilot, key)
        await press(pilot, "A", "down", "m", key)
        assert alerting.asked == [("mark", {"anomaly": "sol-1", **said})] * 2


async def test_one_silence_of_many_lanes_is_marked_as_one(tmp_path, alerting):
    async with running(market(tmp_path / "x.db", silent=True), request=alerting) as pilot:
        await press(pilot, "down", "down", "m", "e")
        assert {arguments["anomaly"] for _, arguments in alerting.asked} == {
            "silent-BTC-USD",
            "silent-ETH-USD",
            "silent-SOL-USD",
        }


async def test_the_charts_symbol_is_silenced_from_the_market(reader, alerting):
    async with running(reader, request=alerting) as pilot:
        await press(pilot, "h", "y")
        assert alerting.asked == [("silence", {"for_s": 3_600, "symbol": "BTC-USD"})]


async def test_only_what_was_not_delivered_is_tried_again(reader, alerting):
    async with running(reader, request=alerting) as pilot:
        await press(pilot, "A", "down", "y", "down", "y")
        assert alerting.asked == []
        await press(pilot, "down", "down", "down", "y")
        assert alerting.asked == [("retry", {"message": 3})]


async def test_only_what_was_not_delivered_is_dismissed_once_confirmed(reader, alerting):
    async with running(reader, request=alerting) as pilot:
        await press(pilot, "A", "down", "d", "down", "d")
        assert pilot.app.screen.wanted.outcomes  # no prompt has come between
        await press(pilot, "down", "down", "down", "d")
        assert "Dismiss message 3, which nobody took?" in text_of(pilot)
        await press(pilot, "x")
        assert alerting.asked == []
        await press(pilot, "d", "y")
        assert alerting.asked == [("dismiss", {"message": 3})]


async def test_the_markets_keys_do_nothing_where_it_is_hidden(reader):
    async with running(reader) as pilot:
        await press(pilot, "down", "left", "A")
        control = pilot.app.control
        before = dict(vars(control))
        for key in ("p", "1", "s", "S", "t", "x", "left", "plus", "z", "w", "b", "a", "home"):
            await press(pilot, key)
            assert vars(control) == before, key
        await press(pilot, "A", "1", "p")
        assert control.ask.filter.severities == ("medium", "low")
        assert control.paused_ns


async def test_help_and_quit_are_for_both(reader):
    async with running(reader) as pilot:
        await press(pilot, "A", "question_mark")
        assert "try an undelivered message again, dismiss it" in text_of(pilot)
        await press(pilot, "escape")
        await pilot.press("q")
        assert pilot.app._exit


async def test_nothing_is_left_of_a_database_that_goes_away(reader, tmp_path):
    async with running(reader) as pilot:
        await press(pilot, "A", "tab")
        (tmp_path / "x.db").unlink()
        pilot.app.screen.look()
        await settle(pilot)
        shown = text_of(pilot)
        assert "There is no database" in shown
        for stale in ("Live", "undelivered", "Channels", "Silences", "24 h", "filter"):
            assert stale not in shown
        assert "◌ Waiting" in text_of(pilot, "bar")
        assert "A market" in text_of(pilot, "keys")
        alerted(tmp_path / "x.db").close()
        pilot.app.screen.look()
        await settle(pilot)
        assert len(rows(pilot)) == 7
        assert "Live" in text_of(pilot, "bar")
        assert "silence 1" in text_of(pilot, "silences")


async def test_an_answer_cannot_steer_the_terminal(reader):
    async with running(reader, request=Alerting("done: silence 1 (\x1b[2J) ends now")) as pilot:
        await press(pilot, "h", "y")
        assert notices(pilot) == ["Silence 1 (\N{REPLACEMENT CHARACTER}[2J) ends now."]


@pytest.mark.parametrize(
    ("answer", "word"), [("refused: there is no such anomaly", "There is no such"), (StoreError("it is away"), "It is")]
)
async def test_what_cannot_be_done_is_said(reader, answer, word):
    async with running(reader, request=Alerting(answer)) as pilot:
        await press(pilot, "h", "y")
        assert notices(pilot)[0].startswith(word)


async def test_a_screen_that_can_only_look_says_so(reader):
    async with running(reader) as pilot:
        await press(pilot, "h", "y")
        assert "can only look" in notices(pilot)[0]


async def test_the_log_says_who_was_told_and_what_was_said(reader):
    async with running(reader) as pilot:
        await press(pilot, "down", "pagedown", "enter")
        log = text_of(pilot, "log")
        assert "✓ real fell 2.40 %" in log
        assert "Sent to phone at 21:32" in log
        assert "✓ real: checked with the venue" in log
        assert "= expected fell 0.04 %" in log


async def test_nobody_to_tell(tmp_path):
    async with running(calm(tmp_path / "x.db")) as pilot:
        await press(pilot, "A", "down", "enter", "m", "h", "u", "y")
        told = text_of(pilot, "told")
        assert "[[alerts.channels]]" in told
        assert "tapewatch alerts test" in told
        assert isinstance(pilot.app.screen, Alerts)


async def test_channels_and_no_alert_yet(tmp_path):
    reader = calm(tmp_path / "x.db")
    with telling(tmp_path / "x.db"):
        async with running(reader) as pilot:
            await press(pilot, "A")
            assert "No alerts match" in text_of(pilot, "told")
            assert "desk" in text_of(pilot, "channels")


def overflowing(pilot):
    """Name the panels that were given more than they can show; what they crop never reaches the window."""
    return [
        panel.id
        for panel in pilot.app.screen.query(Panel)
        if panel.display
        and (
            len(panel._strips) > panel.content_size.height
            or any(strip.cell_length > panel.content_size.width for strip in panel._strips)
        )
    ]


async def test_every_size_fits(reader):
    async with running(reader) as pilot:
        await press(pilot, "A", "down", "down", "enter")
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            assert overflowing(pilot) == []
            assert "▌" in text_of(pilot, "told")
            assert "? help  " in text_of(pilot).splitlines()[-1]
            assert "q quit" in text_of(pilot).splitlines()[-1]


@pytest.mark.parametrize("made", [calm, Store.read])
async def test_nothing_to_show_fits_every_size(tmp_path, made):
    async with running(made(tmp_path / "x.db")) as pilot:
        await press(pilot, "A")
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            assert overflowing(pilot) == []
