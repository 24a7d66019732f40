import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.views import anomaly
from tapewatch.model import NS, Anomaly
from tapewatch.store.bars import CHART
from tapewatch.view.indicators import bollinger
from tapewatch.view.status import Watch
from tapewatch.view.terminal.candles import HATCH, Look, draw
from tapewatch.view.terminal.palette import DARK
from tapewatch.view.terminal.picture import Chart

START = 1_760_130_000  # 21:00:00, so that labels fall on round minutes
LOOK = Look(DARK, bands=False)


def chart(bars: list[tuple[float, ...]], *marks: Anomaly, width_s: int = 10, columns: int | None = None) -> Chart:
    """Make a chart of (column, open, high, low, close) with a volume of 4 each; the last close is the price."""
    data = np.array([(START + width_s * x, o, h, low, c, 4.0, 1, x, x) for x, o, h, low, c in bars], dtype=CHART)
    last = float(data["close"][-1]) if len(data) else None
    end = columns or (int(bars[-1][0]) + 1 if bars else 1)
    watch = Watch(
        venue="coinbase",
        symbol="LINK-USD",
        state="live",
        price=last,
        change_percent=0.0,
        since_ns=None,
        high=last,
        low=last,
        spark=(),
        spark_step_s=1,
        worst=None,
        open_count=0,
        decimals=2,
    )
    return Chart(
        watch=watch,
        width_s=width_s,
        start_s=START,
        end_s=START + width_s * end - 1,
        bars=data,
        bands=bollinger(data["close"], 3),
        marks=list(marks),
        mean_bars=3,
        sigmas=2.0,
        auto=False,
    )


def mark(ident: str, column: int, **fields: object) -> Anomaly:
    """Make an anomaly that opened and peaked in a column."""
    at = (START + 10 * column) * NS
    return anomaly(ident, opened_ts=at, last_ts=at, **{"peak_ts": at, "ended_ts": at} | fields)


def plain(lines, columns: int) -> list[str]:
    return [line.plain[:columns] for line in lines]


def test_a_bar_of_one_price_is_half_a_cell():
    lines = draw(chart([(0, 12.0, 14.0, 6.0, 8.0), (1, 8.0, 8.0, 8.0, 8.0)]), 14, 8, LOOK)
    assert "".join(line.plain[1] for line in lines[:6]).strip() in {"╹", "╻"}


def halves(lines, column: int) -> list[str]:
    """Undo the cells: b, w or a blank for each half row of a column, from the top."""
    cells = {"┃": "bb", "│": "ww", "╹": "b ", "╻": " b", "╵": "w ", "╷": " w", "╿": "bw", "╽": "wb"}
    return list("".join(cells.get(line.plain[column], "  ") for line in lines))


@given(
    st.lists(st.tuples(*[st.integers(1, 1_000)] * 4), min_size=1, max_size=30),
    st.integers(5, 40),
)
def test_every_candle_is_where_its_prices_are(raw, height):
    bars = [(i, o, max(o, h, low, c), min(o, h, low, c), c) for i, (o, h, low, c) in enumerate(raw)]
    lines = draw(chart(bars), 60, height, LOOK)
    assert len(lines) == height
    assert all(line.cell_len == 60 for line in lines)
    rows = height - (5 if height >= 11 else 2)
    top, bottom = max(b[2] for b in bars), min(b[3] for b in bars)
    pad = (top - bottom) / max(2, rows - 3) * 1.5 or top * 1e-4
    half = (top - bottom + 2 * pad) / (2 * rows)
    for x, o, high, low, c in bars:
        column = halves(lines[:rows], x)
        inked = [i for i, part in enumerate(column) if part != " "]
        body = [i for i, part in enumerate(column) if part == "b"]
        for price, at in ((high, inked[0]), (low, inked[-1]), (max(o, c), body[0]), (min(o, c), body[-1])):
            upper = top + pad - at * half
            assert upper + 1e-6 >= price >= upper - half - 1e-6
        assert "".join(column).strip().strip("w").strip("b") == ""  # no holes


def test_up_is_light_and_down_is_dark():
    lines = draw(chart([(0, 10.0, 20.0, 10.0, 20.0), (1, 20.0, 20.0, 10.0, 10.0)]), 14, 6, LOOK)
    styles = {str(span.style) for line in lines[:4] for span in line.spans if span.start < 2}
    assert {DARK.up, DARK.down} <= styles


def test_time_keeps_its_place_where_nothing_traded():
    lines = draw(chart([(0, 10.0, 11.0, 9.0, 10.0), (4, 10.0, 11.0, 9.0, 10.0)]), 16, 6, LOOK)
    assert any(line.plain[1:4] == "───" for line in lines)


def test_only_the_newest_bars_that_fit_are_drawn():
    bars = [(i, 10.0, 11.0, 9.0, 10.0) for i in range(100)]
    lines = draw(chart(bars), 30, 8, LOOK)
    assert all(line.cell_len == 30 for line in lines)
    assert lines[0].plain[20:] != ""


@pytest.mark.parametrize("size", [(5, 10), (11, 10), (40, 2), (40, 3), (1, 1)])
def test_no_room_is_no_crash(size):
    width, height = size
    lines = draw(chart([(0, 10.0, 11.0, 9.0, 10.0)]), width, height, LOOK)
    assert len(lines) == height
    assert all(line.cell_len == width for line in lines)


def test_no_bars_are_no_crash():
    assert "".join(line.plain for line in draw(chart([]), 40, 12, LOOK)).strip() == ""


def test_a_mark_stands_beside_its_bar_up_above_and_down_below():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(30)]
    up, down = mark("u", 5, direction="up"), mark("d", 20, severity="medium")
    lines = plain(draw(chart(bars, up, down), 60, 16, LOOK), 30)[:11]
    candle_rows = [y for y, line in enumerate(lines) if line[1] not in " ·"]
    (up_row,) = [y for y, line in enumerate(lines) if line[5] == "◆"]
    (down_row,) = [y for y, line in enumerate(lines) if line[20] == "■"]
    assert up_row == candle_rows[0] - 1
    assert down_row == candle_rows[-1] + 1


def test_the_peak_is_written_beside_a_high_one():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(30)]
    text = "\n".join(plain(draw(chart(bars, mark("a", 5, peak_observed=-7.06)), 60, 16, LOOK), 30))
    assert "◆ −7.06 %" in text


def test_marks_do_not_cover_each_other():
    bars = [(0, 10.0, 20.0, 1.0, 10.0), *((i, 10.0, 10.5, 9.5, 10.0) for i in range(1, 30))]
    near = [mark(str(i), 5, peak_ts=(START + 50 + i) * NS) for i in range(4)]
    same = [*near, mark("beside", 6)]
    lines = draw(chart(bars, *same), 60, 21, LOOK)[:-5]
    columns = [[y for y, line in enumerate(lines) if line.plain[x] == "◆"] for x in (5, 6)]
    assert len(columns[0]) == 3  # up to three levels
    assert not set(columns[0]) & set(columns[1])


def test_what_peaks_at_one_moment_on_one_side_shares_a_mark():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(30)]
    found = [
        mark("fast", 5),
        mark("jump", 5, threshold=0.01),
        mark("up", 5, direction="up"),
        mark("low", 5, severity="low"),
    ]
    text = "\n".join(plain(draw(chart(bars, *found), 60, 16, LOOK)[:-5], 30))
    assert text.count("◆") == 2
    assert "◆ −2.81 % ×3" in text
    assert "◆ −2.81 %\n" in re.sub(" +\n", "\n", text)


def test_low_and_small_medium_ones_are_in_the_ribbon_only():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(30)]
    low = mark("l", 5, severity="low")
    small = mark("m", 9, severity="medium", peak_observed=-0.3)
    lines = plain(draw(chart(bars, low, small), 60, 16, LOOK), 30)
    assert not any(shape in line for line in lines[:11] for shape in "◆■○")
    _, medium, lowest = lines[-5:-2]
    assert medium == "·" * 9 + "▀" + "·" * 20
    assert lowest == "·" * 5 + "▀" + "·" * 24


def test_the_chosen_one_is_marked_whatever_it_is():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(30)]
    low = mark("l", 5, severity="low")
    lines = draw(chart(bars, low), 60, 16, LOOK._replace(focus=low))
    (line,) = [line for line in lines[:11] if "○" in line.plain]
    style = next(str(span.style) for span in line.spans if span.start <= 5 < span.end)
    assert DARK.accent in style
    assert any(DARK.selected in str(span.style) for line in lines[:11] for span in line.spans)


def test_an_open_one_reaches_to_now():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(30)]
    lines = plain(draw(chart(bars, mark("o", 25, ended_ts=None)), 60, 16, LOOK), 30)
    assert lines[-5] == "·" * 25 + "▀" * 5


def test_a_low_window_has_one_ribbon_of_the_worst_and_no_volume():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(30)]
    lines = draw(chart(bars, mark("a", 3, severity="low"), mark("b", 3), mark("c", 8, severity="medium")), 60, 8, LOOK)
    ribbon = lines[-2]
    assert ribbon.plain.startswith("···▀····▀·")
    assert "abnormal" in ribbon.plain
    colours = {x: next(str(s.style) for s in ribbon.spans if s.start <= x < s.end) for x in (3, 8)}
    assert colours == {3: DARK.high, 8: DARK.medium}


def test_axes():
    bars = [(i, 10.0, 12.0, 8.0, 10.5) for i in range(60)]
    lines = draw(chart(bars), 80, 16, LOOK)
    assert [line.plain[60:].strip() for line in lines if " 10.50 " in line.plain] == ["10.50"]
    assert "12.00" in "".join(line.plain for line in lines)
    times = lines[-1].plain
    assert times.index("21:00") == 0  # labels begin at their moment, a bar is ten seconds
    assert times.index("21:05") == 30


def test_volume_by_its_root():
    data = chart([(i, 10.0, 12.0, 8.0, 10.0) for i in range(3)])
    data.bars["volume"] = (1.0, 0.0, 49.0)
    volume = draw(data, 30, 16, LOOK)[-2].plain
    assert volume[:3] == "▂▁█"  # a seventh of the height, nothing, all of it


def test_bands_are_dots_around_the_candles():
    bars = [(i, 10.0 + i % 2, 11.5, 9.5, 10.0 + (i + 1) % 2) for i in range(30)]
    without = "".join(line.plain[:30] for line in draw(chart(bars), 60, 20, LOOK)[:15])
    dotted = "".join(line.plain[:30] for line in draw(chart(bars), 60, 20, LOOK._replace(bands=True))[:15])
    assert "·" not in without
    assert "·" in dotted


def test_what_comes_after_the_last_frame_is_hatched():
    bars = [(i, 10.0, 12.0, 8.0, 10.0) for i in range(10)]
    lines = draw(chart(bars, columns=14), 40, 12, LOOK._replace(as_of_s=START + 99))
    assert all(line.plain[10:14] == HATCH * 4 for line in lines[:7])
    assert not any(HATCH in line.plain[:10] for line in lines)
