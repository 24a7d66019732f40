import pytest

from support.screens import BTC, ETH, SOL, add, calm, market, press, running, settle, text_of
from support.views import NOW, anomaly, build, clock, feed_row
from tapewatch.model import NS
from tapewatch.store.records import Commit
from tapewatch.store.sql import Store
from tapewatch.view.queries import Filter
from tapewatch.view.terminal.candles import HATCH
from tapewatch.view.terminal.picture import Ask

SIZES = [(144, 42), (80, 24), (100, 30), (200, 60), (60, 16), (40, 10), (24, 6), (10, 4)]


@pytest.fixture
def reader(tmp_path):
    reader = market(tmp_path / "x.db")
    yield reader
    reader.close()


def rows(pilot) -> list[str]:
    """Lines of the log that are rows: all between heading and lower border."""
    return text_of(pilot, "log").splitlines()[2:-1]


async def test_the_screen_answers_the_four_questions(reader):
    async with running(reader) as pilot:
        top, *rest = text_of(pilot).splitlines()
        assert "Abnormal now" in top
        assert "◆ high    ◆ 2  ■ 1  ○ 0" in top
        assert "worst ETH-USD fell 4.20 %, 17× the limit" in top
        assert "21:32:48 UTC   Coinbase  ● Live 0.4 s old" in top
        chart = text_of(pilot, "chart")
        assert "BTC-USD" in chart
        assert "114,210.00" in chart
        assert "? help" in rest[-1]
        assert text_of(pilot, "watch").count("\n") == 4  # three lanes and the border


async def test_rows_newest_first(reader):
    async with running(reader) as pilot:
        shown = [line for line in rows(pilot) if line.strip(" │")]
        assert [line.split()[3] for line in shown] == [
            "21:32:18",
            "21:28:08",
            "21:25:08",
            "21:24:58",
            "21:24:48",
            "21:24:33",
            "21:24:28",
        ]


ALL = {"fast-1", "fast-2", "jump-1", "vol-1", "mean-1", "eth-1", "sol-1"}

STEPS = [
    ("1", {"vol-1", "mean-1", "sol-1"}),
    ("1", ALL),
    ("2", {"fast-1", "fast-2", "jump-1", "mean-1", "eth-1"}),
    ("3", {"fast-1", "fast-2", "jump-1", "eth-1"}),
    ("1", ALL),  # with none left all are back
    ("d", {"fast-2"}),
    ("d", ALL - {"fast-2"}),
    ("d", ALL),
    ("t", {"fast-1", "fast-2", "eth-1"}),
    ("t", {"vol-1", "sol-1"}),
    ("t", {"mean-1"}),
    ("t", {"jump-1"}),
    ("T", {"mean-1"}),
    ("x", ALL),
    ("T", set()),  # around to the last of them: missing trades
    ("x", ALL),
    ("r", ALL | {"old-1"}),
    ("r", ALL | {"old-1"}),
    ("r", {"fast-2", "eth-1", "sol-1"}),  # five minutes, and what is open
    ("r", ALL),
    ("a", ALL - {"eth-1", "sol-1"}),
    ("s", {"eth-1"}),  # the log goes with the chart's symbol
    ("S", ALL - {"eth-1", "sol-1"}),
    ("a", ALL),
]


async def test_every_filter_key(reader):
    async with running(reader) as pilot:
        for i, (key, expected) in enumerate(STEPS):
            await press(pilot, key)
            assert {entry.id for entry in pilot.app.picture.entries} == expected, f"step {i}, key {key}"
            assert len([line for line in rows(pilot) if "-USD" in line]) == len(expected), f"step {i}, key {key}"


async def test_filters_are_spelled_out(reader):
    async with running(reader) as pilot:
        assert "all symbols · high medium low · both ways · all types · 1 h · 7" in text_of(pilot, "log")
        await press(pilot, "2", "d", "t", "r", "a")
        assert "BTC-USD · high low · up · Fast move · 24 h · 1" in text_of(pilot, "log")


async def test_the_chosen_row_stays_chosen_while_others_come(reader, tmp_path):
    async with running(reader) as pilot:
        await press(pilot, "down", "down")
        assert pilot.app.control.chosen == "fast-2"
        add(tmp_path / "x.db", anomaly("new-1", ago_s=5), anomaly("new-2", ago_s=4))
        await press(pilot, "b")  # any key
        pilot.app._tick()
        await settle(pilot)
        assert [entry.id for entry in pilot.app.picture.entries][:3] == ["new-2", "new-1", "sol-1"]
        assert pilot.app.control.chosen == "fast-2"
        chosen = [line for line in rows(pilot) if "▌" in line]
        assert len(chosen) == 1
        assert "21:28:08" in chosen[0]


async def test_up_and_down_stop_at_the_ends(reader):
    async with running(reader) as pilot:
        await press(pilot, "down")
        assert pilot.app.control.chosen == "sol-1"
        await press(pilot, "up")
        assert pilot.app.control.chosen == "sol-1"
        await press(pilot, "pagedown")
        assert pilot.app.control.chosen == "fast-1"
        await press(pilot, "pageup")
        assert pilot.app.control.chosen == "sol-1"
        await press(pilot, "escape")
        assert pilot.app.control.chosen is None


async def test_details_and_the_place_in_the_chart(reader):
    async with running(reader) as pilot:
        await press(pilot, "down", "pagedown", "enter")
        log = text_of(pilot, "log")
        assert "BTC-USD fell 2.40 % in under 1 s, from 116,480.10 to 113,684.58 (limit 0.25 % in 10 s)" in log
        assert "Opened 2025-10-10 21:24:28 UTC, ended 21:26:48 · Peak −2.40 % at 21:24:28, price 113,684.58" in log
        assert pilot.app.control.focus(pilot.app.picture).id == "fast-1"
        await press(pilot, "enter")
        assert "Opened" not in text_of(pilot, "log")


async def test_details_of_another_symbol_show_its_chart(reader):
    async with running(reader) as pilot:
        await press(pilot, "down", "enter")
        assert pilot.app.picture.chart.watch.lane == SOL
        assert "SOL-USD" in text_of(pilot, "chart")


async def test_details_of_long_ago_move_the_chart_there_and_escape_brings_it_back(reader):
    async with running(reader, ask=Ask(width_s=10)) as pilot:
        await press(pilot, "r", "down", "pagedown", "enter")
        assert pilot.app.control.chosen == "old-1"
        chart = pilot.app.picture.chart
        assert chart.start_s <= NOW // NS - 7_200 <= chart.end_s
        assert "Esc for now" in text_of(pilot, "chart")
        await press(pilot, "escape")
        assert pilot.app.picture.chart.end_s == NOW // NS


async def test_symbol_of_the_chart(reader):
    async with running(reader) as pilot:
        for lane in (ETH, SOL, BTC):
            await press(pilot, "s")
            assert pilot.app.picture.chart.watch.lane == lane
        await press(pilot, "S")
        assert pilot.app.picture.chart.watch.lane == SOL


async def test_arrows_choose_in_the_panel_that_has_the_focus(reader):
    async with running(reader) as pilot:
        await press(pilot, "tab", "down")
        assert pilot.app.focused.id == "watch"
        assert pilot.app.picture.chart.watch.lane == ETH
        assert pilot.app.control.chosen is None


async def test_zoom_and_fit(reader):
    async with running(reader) as pilot:
        fitted = pilot.app.picture.chart.width_s
        assert fitted == 30  # an hour fills the columns with 30 s and not with 10 s
        await press(pilot, "minus")
        assert pilot.app.picture.chart.width_s == 60
        assert "1 min bars" in text_of(pilot, "chart")
        await press(pilot, "plus", "plus")
        assert pilot.app.picture.chart.width_s == 10
        await press(pilot, "z")
        assert pilot.app.picture.chart.width_s == fitted


async def test_pan_goes_back_and_not_beyond_now(reader):
    async with running(reader) as pilot:
        await press(pilot, "left")
        chart = pilot.app.picture.chart
        assert chart.end_s < NOW // NS
        assert pilot.app.control.ask.end_ns is not None
        await press(pilot, "right", "right")
        assert pilot.app.control.ask.end_ns is None
        assert pilot.app.picture.chart.end_s == NOW // NS


async def test_bands_on_and_off(reader):
    async with running(reader) as pilot:
        dots = text_of(pilot, "chart").count("·")
        await press(pilot, "b")
        assert text_of(pilot, "chart").count("·") < dots
        await press(pilot, "b")
        assert text_of(pilot, "chart").count("·") == dots


async def test_pause_stands_still_and_goes_on(tmp_path):
    reader, wall = market(tmp_path / "x.db"), [NOW]
    async with running(reader, wall=lambda: wall[0]) as pilot:
        await press(pilot, "p")
        assert "Paused at 21:32:48 UTC" in text_of(pilot)
        before = text_of(pilot)
        wall[0] += 3 * NS
        add(tmp_path / "x.db", anomaly("new", ago_s=-1))
        pilot.app._tick()
        await settle(pilot)
        assert text_of(pilot) == before
        await press(pilot, "minus")  # looking around while paused still sees the paused moment
        assert "new" not in {entry.id for entry in pilot.app.picture.entries}
        await press(pilot, "p")
        assert "Paused" not in text_of(pilot)
        assert "new" in {entry.id for entry in pilot.app.picture.entries}


async def test_help_opens_and_closes(reader):
    async with running(reader) as pilot:
        await press(pilot, "question_mark")
        assert "severity: high, medium, low on or off" in text_of(pilot)
        await press(pilot, "escape")
        assert "severity: high" not in text_of(pilot)


async def test_quit(reader):
    async with running(reader) as pilot:
        await pilot.press("q")
        assert pilot.app._exit


async def test_chart_and_watchlist_take_turns_in_a_narrow_window(reader):
    async with running(reader, (80, 24)) as pilot:
        assert pilot.app.query_one("#chart").display
        assert not pilot.app.query_one("#left").display
        await press(pilot, "w")
        assert not pilot.app.query_one("#chart").display
        assert "SOL" in text_of(pilot, "watch")
        assert "w chart" in text_of(pilot, "keys")


async def test_mouse(reader):
    async with running(reader) as pilot:
        await pilot.click("#log", offset=(20, 3))
        await settle(pilot)
        assert pilot.app.control.chosen == "fast-2"
        await pilot.click("#log", offset=(20, 3))
        await settle(pilot)
        assert pilot.app.control.expanded
        await pilot.click("#watch", offset=(5, 3))
        await settle(pilot)
        assert pilot.app.picture.chart.watch.lane == SOL


@pytest.mark.parametrize("kind", ["market", "stale", "calm", "none"])
async def test_every_size_and_state_fits(tmp_path, kind):
    path = tmp_path / "x.db"
    made = {
        "market": lambda: market(path),
        "stale": lambda: market(path, frame_ago_s=47, silent=True),
        "calm": lambda: calm(path),
        "none": lambda: Store.read(path),
    }
    reader = made[kind]()
    async with running(reader) as pilot:
        await press(pilot, "down", "enter")
        for width, height in (*SIZES, (144, 42)):
            await pilot.resize_terminal(width, height)
            await press(pilot, "w")
            lines = text_of(pilot).splitlines()
            assert len(lines) == height
            assert all(len(line) <= width for line in lines)
        # Grown again, the chart has asked for more bars.
        chart = pilot.app.picture and pilot.app.picture.chart
        assert chart is None or (chart.end_s - chart.start_s) // chart.width_s > 70
    reader.close()


async def test_only_what_changed_is_painted(tmp_path):
    reader, wall = market(tmp_path / "x.db"), [NOW]
    async with running(reader, wall=lambda: wall[0]) as pilot:
        pilot.app._tick()
        await settle(pilot)
        assert all(not panel.repainted for panel in pilot.app.query("Panel"))
        wall[0] += NS  # one second later: the clock and the age in the first line
        pilot.app._tick()
        await settle(pilot)
        assert {panel.id for panel in pilot.app.query("Panel") if panel.repainted} == {"bar"}
        (region,) = pilot.app.query_one("#bar").repainted
        assert region.x > 60


async def test_stale(tmp_path):
    async with running(market(tmp_path / "x.db", frame_ago_s=47, silent=True)) as pilot:
        screen = text_of(pilot)
        assert "‖ Stale 47 s without a frame" in screen
        assert "Abnormal at 21:32:01" in screen
        assert "No frame of coinbase since 21:32:01." in screen
        assert "Prices and the verdict are as of 21:32:01 UTC." in screen
        assert "3 symbols" in text_of(pilot, "log")
        assert HATCH in text_of(pilot, "chart")


async def test_reconnecting(tmp_path):
    lost = {
        "state": "reconnecting",
        "reason": "connection closed by coinbase",
        "next_try_ts": NOW + 8 * NS,
        "attempts": 3,
    }
    async with running(market(tmp_path / "x.db", frame_ago_s=47, **lost)) as pilot:
        assert "Connection closed by coinbase. Try 4 in 8 s." in text_of(pilot)
        assert "Reconnecting try 4 in 8 s" in text_of(pilot)


async def test_ended(tmp_path):
    async with running(market(tmp_path / "x.db", state="ended")) as pilot:
        assert "✓ Replay finished at 21:32:47" in text_of(pilot)
        assert "Nothing more will come." in text_of(pilot)


async def test_waiting(tmp_path):
    row = feed_row(BTC, state="waiting", trades=0, last_price=None, last_frame_ts=None)
    async with running(build(tmp_path / "x.db", Commit(clock(), feed=[row]))) as pilot:
        screen = text_of(pilot)
        assert "No verdict yet" in screen
        assert "Waiting no trade yet" in screen
        assert "No BTC-USD trade yet" in screen
        assert "No anomaly yet." in screen


async def test_no_database_says_what_to_do_and_the_screen_fills_when_it_comes(tmp_path):
    reader = Store.read(tmp_path / "x.db")
    async with running(reader) as pilot:
        screen = text_of(pilot)
        assert "No trades yet" in screen
        assert "x.db yet." in screen
        assert "tapewatch demo" in screen
        market(tmp_path / "x.db").close()
        pilot.app._tick()
        await settle(pilot)
        assert "Abnormal now" in text_of(pilot)


async def test_a_database_of_somebody_else_is_said(tmp_path):
    (tmp_path / "x.db").write_bytes(b"this is no database" * 100)
    async with running(Store.read(tmp_path / "x.db")) as pilot:
        assert "it is not a database" in text_of(pilot)


async def test_calm(tmp_path):
    async with running(calm(tmp_path / "x.db")) as pilot:
        screen = text_of(pilot)
        assert "Nothing abnormal now" in screen
        assert "all 3 symbols within limits" in screen
        assert "Nothing abnormal in the last hour." in screen
        assert "8 rules are armed on 3 symbols." in screen


async def test_no_match(reader):
    async with running(reader) as pilot:
        await press(pilot, "T")
        assert "No anomalies match these filters." in text_of(pilot)
        assert "Press x" in text_of(pilot)


async def test_filters_from_the_start(reader):
    wanted = Filter(symbols=("ETH-USD",), severities=("high",))
    async with running(reader, ask=Ask(filter=wanted)) as pilot:
        assert pilot.app.picture.chart.watch.lane == ETH
        assert [entry.id for entry in pilot.app.picture.entries] == ["eth-1"]


async def test_more_rows_are_read_where_the_list_ends(tmp_path):
    many = [anomaly(f"a{i:03d}", ago_s=i) for i in range(1, 251)]
    reader = build(tmp_path / "x.db", Commit(clock(), changes=[], feed=[feed_row(BTC)]))
    add(tmp_path / "x.db", *many)
    async with running(reader) as pilot:
        assert len(pilot.app.picture.entries) == 200
        await press(pilot, "down", *["pagedown"] * 25)
        assert len(pilot.app.picture.entries) == 250
        assert pilot.app.control.chosen == "a250"
        assert "▌" in text_of(pilot, "log")
