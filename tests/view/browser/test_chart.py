"""The chart does not mislead: what is not known is a hole, the price's tag says when, a marker says what it is."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.dashboards import Server
from support.seen import data, marked, until
from support.writing import Writer
from tapewatch.model import Lane

pytestmark = pytest.mark.browser

LIVE = ".tw-top[data-s=live]"
LOST = 77
LANE = Lane("coinbase", "LINK-USD")


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory):
    """One lane, whose trades are numbered without a break, as a venue does."""
    writer = Writer(tmp_path_factory.mktemp("db") / "x.db", symbols=("LINK-USD",))
    writer.history(900)
    with writer:
        yield writer


def over(page: Page, x: float, y: float) -> None:
    box = page.locator(".canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x, box["y"] + y, steps=6)  # a drag is one only where it passes places between


def drag(page: Page, by: int) -> None:
    over(page, 300, 150)
    page.mouse.down()
    over(page, 300 + by, 150)
    page.mouse.up()


def test_missing_trades_are_a_hole_before_and_after_a_restart(browse, tmp_path: Path):
    path = tmp_path / "x.db"
    first = Writer(path, symbols=("LINK-USD",))
    first.history(60)
    first.trade_ids[LANE] += LOST
    with first:
        server = Server(path)
        server.start()
        page = browse(f"{server.url}/?bars=1&style=Line", ready=LIVE)
        holes = until(page, lambda chart: f":{LOST}" in chart.get("holes", ""))["holes"]
        assert len(holes.split()) == 1
    first.close()
    until(page, lambda chart: chart["s"] == "stale")
    second = Writer(path, symbols=("LINK-USD",))
    second.trade_ids[LANE] = first.trade_ids[LANE] + 5
    with second:
        after = until(page, lambda chart: len(chart.get("holes", "").split()) == 2)["holes"]
        start, _, end = after.split()[1].partition(":")[0].partition("-")
        assert int(end) - int(start) >= 3  # what passed between the two
        assert after.split()[1].endswith(":5")
        page.reload()
        assert until(page, lambda chart: len(chart.get("holes", "").split()) == 2)["holes"] == after
    page.close()
    server.stop()


def test_where_nobody_traded_there_is_no_hole(server, browse):
    page = browse(f"{server.url}/?bars=1", ready=LIVE)
    until(page, lambda chart: int(chart["bars"]) > 900)
    assert data(page)["holes"] == ""


def test_the_price_s_tag_says_when_where_the_newest_bar_is_out_of_sight(server, browse):
    page = browse(f"{server.url}/?bars=1", ready=LIVE)
    assert until(page, lambda chart: chart.get("edge") == "true")["tag"] == ""
    drag(page, 600)
    away = until(page, lambda chart: chart["edge"] == "false")
    assert away["tag"] == time.strftime("%H:%M:%S", time.gmtime(float(away["to"])))
    page.get_by_role("button", name="Latest").click()
    until(page, lambda chart: chart["edge"] == "true" and chart["tag"] == "")


def test_the_wheel_keeps_the_newest_bar_and_elsewhere_what_the_pointer_is_at(server, browse):
    page = browse(f"{server.url}/?bars=1", ready=LIVE)
    wide = until(page, lambda chart: chart.get("edge") == "true")
    over(page, 200, 150)
    for _ in range(5):
        page.mouse.wheel(0, -120)
    near = until(page, lambda chart: float(chart["visible"]) < 0.8 * float(wide["visible"]))
    assert near["edge"] == "true"
    drag(page, 500)
    before = until(page, lambda chart: chart["edge"] == "false")
    over(page, 500, 150)
    page.mouse.wheel(0, -120)
    after = until(page, lambda chart: chart["visible"] != before["visible"])
    assert float(before["from"]) <= float(after["from"])
    assert float(after["to"]) < float(before["to"])


def test_a_marker_says_what_it_is_and_of_several_which(server, browse, writer: Writer):
    at = time.time_ns()
    same = {"opened_ts": at, "peak_ts": at, "last_ts": at}
    planted = [
        writer.plant("one", **same),
        writer.plant("two", rule="vol_breakout", severity="medium", unit="USD", threshold=0.5, **same),
    ]
    page = browse(f"{server.url}/?bars=1", ready=LIVE)
    until(page, lambda _: {"one", "two"} <= set(marked(page)))
    over(page, *marked(page)["one"])
    card = page.get_by_role("tooltip")
    expect(card).to_contain_text("2 at ")
    expect(card).to_contain_text("Fast move")
    expect(card).to_contain_text("Volatility breakout")
    over(page, 120, 60)
    expect(card).to_be_hidden()
    for each in planted:
        writer.end(each)


def test_bands_take_no_part_in_the_scale(server, browse):
    heights = {}
    for bands in ("true", "false"):
        page = browse(f"{server.url}/?bars=10&sigma=5.0&bands={bands}", ready=LIVE)
        low, high = map(float, until(page, lambda chart: " " in chart.get("scale", ""))["scale"].split())
        heights[bands] = high - low
    assert heights["true"] == pytest.approx(heights["false"], rel=0.1)  # bands of 5 σ are several times as high
