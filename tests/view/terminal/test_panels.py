import numpy as np
import pytest
from msgspec import structs

from support.screens import BTC, SOL, market
from support.views import NOW, anomaly
from tapewatch.model import NS
from tapewatch.store.sql import Store
from tapewatch.view.queries import HISTOGRAM, Counts
from tapewatch.view.terminal import panels
from tapewatch.view.terminal.palette import DARK
from tapewatch.view.terminal.picture import Ask, Picture, look
from tapewatch.view.verdict import verdict
from tapewatch.words import RULES, RULES_SHORT


def seen(tmp_path_factory, **fields) -> Picture:
    reader = market(tmp_path_factory.mktemp("market") / "x.db", **fields)
    picture, _ = look(reader, NOW, Ask())
    reader.close()
    assert picture is not None
    return picture


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> Picture:
    return seen(tmp_path_factory)


@pytest.fixture(scope="module")
def stale(tmp_path_factory) -> Picture:
    return seen(tmp_path_factory, frame_ago_s=47, silent=True)


def test_the_first_line_gives_way_from_the_least_important(live):
    full = panels.top_line(live, 144, DARK).plain
    assert full.startswith(
        "∿ tapewatch │ Abnormal now  ◆ high    ◆ 2  ■ 1  ○ 0  worst ETH-USD fell 4.20 %, 17× the limit"
    )
    assert full.endswith("21:32:48 UTC   Coinbase  ● Live 0.4 s old")
    narrow = panels.top_line(live, 80, DARK).plain
    assert "tapewatch" not in narrow
    assert "ETH-USD fell 4.20 %" in narrow
    assert "Coinbase" in narrow
    least = panels.top_line(live, 20, DARK).plain
    assert "◆ high" in least
    assert "Live" in least


def test_no_verdict_is_coloured_when_the_picture_is_old(live, stale):
    def colours(picture):
        line = panels.top_line(picture, 144, DARK)
        return {str(span.style) for span in line.spans if span.start < 90}

    assert any(DARK.high in each for each in colours(live))
    assert not any(DARK.high in each for each in colours(stale))


def test_a_change_says_since_when(live):
    btc, eth, sol = live.watch
    young = [structs.replace(each, since_ns=since) for each, since in ((btc, NOW - 60 * NS), (eth, NOW - 720 * NS))]
    assert panels.change_span(live.watch) == "over 1 h"
    assert panels.change_span(young) == "since 21:20"
    assert panels.change_span([*young, sol]) == "over 1 h"
    chart = structs.replace(live.chart, watch=young[1])
    assert "% since 21:20" in panels.chart_head(chart, 144, DARK, live=True).plain
    assert "% 1 h" in panels.chart_head(live.chart, 144, DARK, live=True).plain


def test_calm_is_said(live):
    calm = structs.replace(live, verdict=verdict([]))
    assert "Nothing abnormal now  all 3 symbols within limits" in panels.top_line(calm, 144, DARK).plain


def test_banner(live, stale):
    assert panels.banner(live.status, 144, DARK, paused_ns=None) is None
    said = panels.banner(stale.status, 144, DARK, paused_ns=None).plain
    assert said.rstrip() == (
        " ◆ Stale   No frame of coinbase since 21:32:01.  Prices and the verdict are as of 21:32:01 UTC."
    )
    assert "Paused at 21:32:48 UTC" in panels.banner(stale.status, 144, DARK, paused_ns=NOW).plain


def test_a_lane_that_is_worse_than_the_others_is_named(live):
    status = structs.replace(live.status, reason="no frame of SOL-USD since 21:32:40")
    assert "No frame of SOL-USD since 21:32:40." in panels.banner(status, 144, DARK, paused_ns=None).plain


def test_watch_lines(live):
    lines = [line.plain for line in panels.watch_lines(live.watch, SOL, 44, 0, 10, DARK)]
    assert [line[1:4] for line in lines] == ["BTC", "ETH", "SOL"]
    assert [line[0] for line in lines] == [" ", " ", "▌"]
    assert all(line.cell_len == 44 for line in panels.watch_lines(live.watch, SOL, 44, 0, 10, DARK))
    assert "114,210.00" in lines[0]
    assert [line[-1] for line in lines] == ["◆", "◆", "■"]


def test_watch_lines_from_the_middle(live):
    (line,) = panels.watch_lines(live.watch, BTC, 44, 1, 1, DARK)
    assert line.plain.startswith(" ETH")


@pytest.mark.parametrize("width", [12, 24, 30, 37, 56])
def test_watch_lines_of_any_width(live, stale, width):
    for picture in (live, stale):
        assert {line.cell_len for line in panels.watch_lines(picture.watch, BTC, width, 0, 9, DARK)} == {width}


def test_a_stale_lane_says_so_instead_of_a_change(stale):
    assert all("stale" in line.plain for line in panels.watch_lines(stale.watch, BTC, 44, 0, 9, DARK))


def counts(**rules: int) -> Counts:
    severities = {"high": 4, "medium": 2, "low": 0}
    sizes = {"high": (3, 2, 1), "medium": (0, 0, 0), "low": (0, 0, 0)}
    return Counts(0, severities, dict.fromkeys(RULES, 0) | rules, {"up": 0, "down": 0}, sizes)


def test_distributions():
    armed = frozenset(RULES) - {"abs_jump"}
    drawn = panels.distribution_lines(counts(pct_spike=4, vol_breakout=1), armed, 42, DARK, rules=True)
    severities, types = [line.plain for line in drawn[:3]], {line.plain[2:16].strip(): line.plain for line in drawn[3:]}
    assert all(line.cell_len == 42 for line in drawn)
    assert types.keys() == set(RULES_SHORT.values())
    assert severities[0].split() == ["◆", "high", "≥4×", "2", "≥8×", "1", "4"]  # no room for the least
    room = 42 - 16 - 1 - 6
    assert types["Fast move"].count("▀") == room
    assert types["Vol. breakout"].count("▀") == round(room / 4)
    assert [word for word, line in types.items() if line.endswith("off")] == ["Dollar jump"]


def test_severities_are_divided_by_size_where_types_have_bars():
    lines = panels.distribution_lines(counts(), frozenset(), 60, DARK, rules=False)
    assert [line.plain.split()[1:] for line in lines] == [
        ["high", "≥2×", "3", "≥4×", "2", "≥8×", "1", "4"],
        ["medium", "≥2×", "0", "≥4×", "0", "≥8×", "0", "2"],
        ["low", "≥2×", "0", "≥4×", "0", "≥8×", "0", "0"],
    ]


def test_one_of_many_is_still_seen():
    lines = panels.distribution_lines(counts(pct_spike=10_000, tape_gap=1), frozenset(), 42, DARK, rules=True)
    assert [line.plain.count("▀") for line in lines if "Missing trades" in line.plain] == [1]


def test_hours():
    hours = np.zeros(24, dtype=HISTOGRAM)
    hours["time"] = np.arange(24) * 3_600 + 1_760_054_400  # a midnight
    hours["high"][6], hours["low"][6] = 4, 4
    hours["medium"][7] = 4
    *columns, foot = panels.hour_lines(hours, 48, 5, DARK)
    assert foot.plain.rstrip() == "00          06          12          18"
    assert [line.plain[12] for line in columns] == ["█", "█", "█", "█"]
    assert [line.plain[14] for line in columns] == [" ", " ", "█", "█"]
    assert columns[3].plain[0] == "▁"  # nothing, but the hour has its place
    style = {y: next(str(s.style) for s in columns[y].spans if s.start <= 12 < s.end) for y in range(4)}
    assert style == {0: DARK.low, 1: DARK.low, 2: DARK.high, 3: DARK.high}


def test_hours_without_room():
    hours = np.zeros(24, dtype=HISTOGRAM)
    assert panels.hour_lines(hours, 20, 5, DARK) == []
    assert panels.hour_lines(hours, 48, 1, DARK) == []


def test_head_of_the_chart(live):
    line = panels.chart_head(live.chart, 100, DARK, live=True).plain
    assert line.startswith("114,210.00  ")
    assert "1 h" in line
    assert "◆ high" in line
    assert "1 open" in line
    assert "Mean 20" in line
    narrow = panels.chart_head(live.chart, 24, DARK, live=True).plain
    assert narrow.startswith("114,210.00 ")
    assert len(narrow) == 24


def test_keys():
    wide = panels.key_line(142, DARK, keys=panels.KEYS).plain
    assert all(what in wide for _, what in panels.KEYS)
    narrow = panels.key_line(24, DARK, keys=panels.KEYS_SHORT).plain
    assert "help" in narrow
    assert "quit" in narrow
    assert "zoom" not in narrow


def test_health(live):
    assert panels.health_parts(live.status) == [
        "180 trades a minute",  # a trade in each second on each of three lanes
        "stored after 61 ms, p99 148 ms",
        "gaps 0 open, 0 filled, 0 given up",
        "quarantined 0",
        "duplicates 0",
        "reconnects 0",
    ]


def test_no_database_is_a_sentence(tmp_path):
    picture, reason = look(Store.read(tmp_path / "x.db"), NOW, Ask())
    assert picture is None
    assert reason == f"There is no database {tmp_path / 'x.db'} yet."


def test_worst_of_one(live):
    judged = verdict([anomaly("a", symbol="BTC-USD", peak_observed=-1.0)])
    assert (
        "BTC-USD fell 1.00 %, 4.0× the limit" in panels.top_line(structs.replace(live, verdict=judged), 144, DARK).plain
    )
