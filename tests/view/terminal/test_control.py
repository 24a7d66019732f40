import numpy as np
import pytest
from msgspec import structs

from support.screens import BTC, ETH, SOL, market
from support.views import NOW, anomaly, silence
from tapewatch.model import NS
from tapewatch.view.queries import Filter
from tapewatch.view.terminal.control import Control
from tapewatch.view.terminal.picture import Ask, Picture, look
from tapewatch.view.verdict import grouped


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Picture:
    reader = market(tmp_path_factory.mktemp("market") / "x.db")
    seen, _ = look(reader, NOW, Ask())
    reader.close()
    assert seen is not None
    return seen


@pytest.fixture
def control() -> Control:
    return Control(Ask())


def test_a_severity_goes_and_comes(control):
    control.toggle_severity(1)
    assert control.ask.filter.severities == ("high", "low")
    control.toggle_severity(1)
    assert control.ask.filter == Filter()


def test_with_no_severity_left_all_are_back(control):
    for index in range(3):
        control.toggle_severity(index)
    assert control.ask.filter == Filter()


def test_recency_that_is_none_of_the_offered_goes_to_the_first(control):
    control.ask = Ask(filter=Filter(recency_s=120))
    control.next_recency()
    assert control.ask.filter.recency_s == 300


def test_types_backwards_from_a_choice_of_several(control):
    control.ask = Ask(filter=Filter(rules=("pct_spike", "abs_jump")))
    control.next_type(-1)
    assert control.ask.filter.rules == ("new_numbering",)


def test_clear_leaves_the_span_of_time(control):
    control.ask = Ask(filter=Filter(("high",), ("pct_spike",), ("up",), ("BTC-USD",), 300))
    control.clear()
    assert control.ask.filter == Filter(recency_s=300)


def test_sizes_and_orders_go_around(control):
    sizes = []
    for _ in range(4):
        control.next_size()
        sizes.append(control.ask.filter.min_size)
    assert sizes == [2.0, 4.0, 8.0, 0.0]
    control.toggle_order()
    assert control.ask.largest_first


def test_zoom_stops_at_both_ends(control, picture):
    for _ in range(20):
        control.zoom(-1, picture.chart)
    assert control.ask.width_s == 1
    for _ in range(20):
        control.zoom(1, picture.chart)
    assert control.ask.width_s == 3_600


def test_keys_that_come_faster_than_pictures_all_count(control, picture):
    for _ in range(4):
        control.next_symbol(1, picture)
    assert control.ask.lane == ETH  # from BTC around three lanes, and one on
    control.toggle_scope(picture)
    assert control.ask.filter.symbols == ("ETH-USD",)
    assert picture.chart.width_s == 30
    control.zoom(1, picture.chart)
    control.zoom(1, picture.chart)
    assert control.ask.width_s == 300


def test_pan_by_a_quarter(control, picture):
    control.pan(-1, picture)
    chart = picture.chart
    assert control.ask.end_ns == (chart.end_s - (chart.end_s - chart.start_s) // 4) * NS


def test_a_change_of_filter_reads_the_first_page_again(control):
    control.ask = Ask(limit=800)
    control.next_direction()
    assert control.ask.limit == Ask().limit


def test_moving_in_an_empty_log_chooses_nothing(control, picture):
    control.move(1, structs.replace(picture, entries=[]))
    assert control.chosen is None
    control.toggle_details(structs.replace(picture, entries=[]))
    assert not control.expanded


def test_a_chosen_row_that_is_gone_starts_anew(control, picture):
    control.chosen = "gone"
    control.move(1, picture)
    assert control.chosen == picture.entries[0].id


def test_details_of_nothing_chosen_are_those_of_the_newest(control, picture):
    control.toggle_details(picture)
    assert (control.chosen, control.expanded) == (picture.entries[0].id, True)


def test_a_silence_of_all_lanes_keeps_the_chart_that_is_there(control, picture):
    silent = grouped(silence(f"s-{lane.symbol}", lane.symbol, ago_s=40) for lane in (BTC, ETH, SOL))
    picture = structs.replace(picture, entries=silent)
    control.toggle_details(picture)
    assert control.ask.lane == BTC == picture.chart.watch.lane
    assert control.focus(picture).symbol == "BTC-USD"


def test_going_through_rows_with_details_moves_the_chart_along(control, picture):
    there = structs.replace(
        picture, entries=grouped([anomaly("a", symbol="SOL-USD"), anomaly("b", symbol="ETH-USD", ago_s=90)])
    )
    control.toggle_details(there)
    assert control.ask.lane == SOL
    control.move(1, there)
    assert control.ask.lane == ETH


def test_without_lanes_there_is_no_next_symbol(control, picture):
    control.next_symbol(1, structs.replace(picture, watch=[], chart=None))
    assert control.ask.lane is None


def test_pause_freezes_what_is_asked(control, picture):
    control.pause(picture)
    assert control.ask.until_ns == control.paused_ns == picture.status.now_ns
    control.pause(picture)
    assert control.ask.until_ns is None


def test_the_picture_of_the_fixture_is_whole(picture):
    assert len(picture.watch) == 3
    assert np.isfinite(picture.chart.bands.mean[-1])
