import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.views import NOW, anomaly, silence
from tapewatch.view.queries import Filter
from tapewatch.view.terminal import log
from tapewatch.view.terminal.palette import DARK
from tapewatch.view.verdict import grouped

ENTRIES = grouped(
    [
        anomaly("a", ago_s=10, ended=False, peak_observed=-2.81),
        anomaly("b", ago_s=100, severity="medium", rule="vol_breakout", direction="up", held_s=63),
        anomaly("c", ago_s=90_000, severity="low", rule="mean_reversion_break", symbol="PEPE-USD"),
        silence("s1", "BTC-USD", ago_s=47),
        silence("s2", "ETH-USD", ago_s=46),
    ]
)


def page(width=140, height=12, chosen=None, top=0, expanded=False, entries=ENTRIES):
    return log.page(entries, chosen, top, width=width, height=height, now_ns=NOW, expanded=expanded, palette=DARK)


def plain(drawn) -> list[str]:
    return [line.plain.rstrip() for line in drawn.lines]


def test_a_row_says_everything_at_full_width():
    heading, first, *_ = plain(page(144))
    assert " ".join(heading.split()) == "Severity Time UTC Symbol Type Peak Size State What happened"
    said = "◆ high 21:32:38 LINK-USD ↓ Fast move −2.81 % 11× ▮▮▮·· open fell 2.81 % in under 1 s, from 19.385 to 18.841"
    assert " ".join(first.split()) == said


def test_a_silence_is_one_row():
    silent = [line for line in plain(page(160)) if "Silent feed" in line]
    assert len(silent) == 1
    assert "2 symbols" in silent[0]
    assert "no frame from coinbase for 47 s, on 2 symbols" in silent[0]


def test_another_day_shows_its_date():
    assert any("10-09 20:32:48" in line for line in plain(page()))


def test_columns_stand_under_their_headings():
    heading, *rows = plain(page())
    for row in rows:
        assert row[heading.index("State") :].startswith(("open", "ended"))
        assert row[heading.index("Time")].isdigit()


@given(st.integers(1, 220), st.integers(1, 12), st.sampled_from([None, "a", "c", "s1", "gone"]), st.booleans())
def test_a_page_fits_and_shows_the_chosen_row(width, height, chosen, expanded):
    drawn = page(width, height, chosen, expanded=expanded)
    assert len(drawn.lines) <= height
    assert len(drawn.lines) == len(drawn.ids)
    assert all(line.cell_len <= width for line in drawn.lines)
    if chosen in {"a", "c", "s1"} and height > 1:
        assert chosen in drawn.ids


@pytest.mark.parametrize(
    ("width", "gone"),
    [
        (140, set()),
        (96, {"pips"}),
        (78, {"sentence"}),
        (60, {"sentence", "state"}),
        (20, {"symbol", "type", "peak", "state"}),
    ],
)
def test_columns_give_way(width, gone):
    entries = ENTRIES[:2]
    layout = log.columns(entries, width, NOW)._asdict()
    assert {name for name in gone if not layout[name]} == gone
    assert layout["time"]


def test_the_page_follows_the_chosen_row_down_and_up():
    many = grouped(anomaly(f"{i:02d}", ago_s=100 - i) for i in range(40))
    ids = [entry.id for entry in many]
    down = page(height=11, chosen=ids[25], entries=many)
    assert down.ids[-1] == ids[25]
    assert down.top == 16
    same = page(height=11, chosen=ids[20], top=down.top, entries=many)
    assert same.top == down.top  # in sight already
    up = page(height=11, chosen=ids[3], top=down.top, entries=many)
    assert up.ids[1] == ids[3]


def test_details_are_in_sight_with_their_row():
    many = grouped(anomaly(f"{i:02d}", ago_s=100 - i) for i in range(40))
    last = many[-1].id
    drawn = page(height=8, chosen=last, expanded=True, entries=many)
    assert drawn.ids.count(last) >= 3
    assert "LINK-USD fell 2.81 % in under 1 s, from 19.385 to 18.841 (limit 0.25 % in 10 s)" in "\n".join(plain(drawn))


def test_details_name_the_lanes_of_a_silence():
    drawn = page(chosen="s1", expanded=True)
    assert any("BTC-USD, ETH-USD" in line for line in plain(drawn))


def test_the_chosen_row_is_marked_by_shape_not_by_colour_alone():
    lines = plain(page(chosen="b"))
    assert [line[0] == "▌" for line in lines].count(True) == 1


def test_filter_words():
    assert log.filter_words(Filter(), 651) == "all symbols · high medium low · both ways · all types · 1 h · 651"
    narrow = Filter(("low", "high"), ("pct_spike", "tape_gap"), ("up",), ("BTC-USD", "ETH-USD"), None)
    assert (
        log.filter_words(narrow, 1_234)
        == "BTC-USD ETH-USD · high low · up · Fast move Missing trades · any time · 1,234"
    )
    assert "· 10 min ·" in log.filter_words(Filter(recency_s=600), 0)
