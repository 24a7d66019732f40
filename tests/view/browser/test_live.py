"""The running dashboard follows its database: prices, anomalies, outages."""

import re
import time

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from support.dashboards import OUTAGE
from support.seen import data, marked, until
from support.writing import Writer

pytestmark = pytest.mark.browser

LIVE = ".tw-top[data-s=live]"


def stored_bars(server, symbol: str) -> tuple[int, list[float]]:
    """Read a lane's seconds from the server: the revision, and the time of each bar."""
    wish = {"venue": "coinbase", "symbol": symbol, "width": 1, "limit": 10_000}
    answer = httpx.get(f"{server.url}/api/bars", params=wish)
    return int(answer.headers["tapewatch-revision"]), np.frombuffer(answer.content).reshape(-1, 9)[:, 0].tolist()


def test_the_price_moves_within_five_seconds(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD")
    expect(page.locator(LIVE)).to_be_visible()
    before, shown = data(page)["price"], page.locator(".price").inner_text()
    until(page, lambda chart: chart["price"] != before, timeout_s=5)
    expect(page.locator(".price")).not_to_have_text(shown, timeout=5_000)


def test_the_chart_shows_every_bar_that_is_stored(server, browse, writer: Writer):
    page = browse(f"{server.url}/?symbol=LINK-USD&bars=1")
    writer.stop()
    revision, times = stored_bars(server, "LINK-USD")
    until(page, lambda chart: int(chart["revision"]) == revision)
    shown = page.evaluate("globalThis[Symbol.for('tapewatch.store')].series.bars.map((bar) => bar.time)")
    assert shown == times[-len(shown) :]
    assert data(page)["bars"] == str(len(shown))
    writer.start()


def test_an_anomaly_appears_as_marker_and_row(server, browse, writer: Writer):
    page = browse(f"{server.url}/?symbol=LINK-USD")
    planted = writer.plant("planted-1")
    row = page.locator("tr[data-id='planted-1']")
    expect(row).to_be_visible()
    expect(row).to_contain_text("fell 2.81 % in under 1 s, from ")
    expect(row).to_contain_text("open")
    until(page, lambda _: "planted-1" in marked(page))
    expect(page.locator(".verdict")).to_contain_text("Abnormal now")
    writer.end(planted)
    expect(row).to_contain_text("ended, < 1 s")


def test_a_marker_of_two_leads_to_both(server, browse, writer: Writer):
    peak = time.time_ns()
    twins = [writer.plant(f"twin-{i}", symbol="ETH-USD", peak_ts=peak, threshold=0.5 / i) for i in (1, 2)]
    page = browse(f"{server.url}/?symbol=ETH-USD&bars=1")
    places = until(page, lambda _: {"twin-1", "twin-2"} <= set(marked(page))) and marked(page)
    assert places["twin-1"] == places["twin-2"]
    selected = page.locator("tr[aria-selected=true]")
    for ident in ("twin-2", "twin-1", "twin-2"):  # the worse one first
        for last in (False, False, False, True):  # a new bar may move the marker away from under the click
            box, (x, y) = page.locator(".canvas").bounding_box(), marked(page)[ident]
            page.mouse.move(box["x"] + x, box["y"] + y - 60)
            page.mouse.click(box["x"] + x, box["y"] + y)
            try:
                expect(selected).to_have_attribute("data-id", ident, timeout=10_000 if last else 2_000)
            except AssertionError:
                if last:
                    raise
            else:
                break
    for twin in twins:
        writer.end(twin)


def test_zoom_survives_new_bars_and_a_rerun(server, browse, writer: Writer):
    page = browse(f"{server.url}/?symbol=LINK-USD&bars=1")
    until(page, lambda chart: int(chart["bars"]) > 100)
    box = page.locator(".canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.mouse.wheel(0, -400)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 120, box["y"] + box["height"] / 3, steps=8)
    page.mouse.up()
    until(page, lambda chart: chart["edge"] == "false")
    page.wait_for_timeout(800)  # the chart glides on a little after the hand has let go
    view = ("from", "to", "visible")
    before = data(page)
    bars = int(before["bars"])
    until(page, lambda chart: int(chart["bars"]) >= bars + 3)
    page.get_by_role("radio", name="24 h").click()
    expect(page).to_have_url(re.compile("last=24"))
    after = until(page, lambda chart: int(chart["bars"]) >= bars + 6)
    assert [after[name] for name in view] == [before[name] for name in view]
    page.get_by_role("button", name="Latest").click()
    until(page, lambda chart: chart["edge"] == "true")


def test_latest_leads_to_the_newest_bar_however_busy_the_page_is(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD&bars=1")
    until(page, lambda chart: int(chart["bars"]) > 1_000)
    box = page.locator(".canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + box["height"] / 3)
    for _ in range(3):
        page.mouse.wheel(-1_500, 0)
        page.wait_for_timeout(200)
    until(page, lambda chart: chart["edge"] == "false")
    # The page has no time to draw for longer than any animation would last.
    page.get_by_role("button", name="Latest").evaluate(
        "button => { button.click(); const end = performance.now() + 1500; while (performance.now() < end); }"
    )
    until(page, lambda chart: chart["edge"] == "true", timeout_s=5)


def test_at_the_right_edge_the_chart_follows(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD&bars=1")
    before = float(until(page, lambda chart: bool(chart.get("to")))["to"])
    assert until(page, lambda chart: float(chart["to"]) >= before + 3)["edge"] == "true"


def test_older_bars_come_when_one_scrolls_back(server, browse):
    page = browse(f"{server.url}/?symbol=BTC-USD&bars=1")
    until(page, lambda chart: int(chart["bars"]) >= 2_000)
    box = page.locator(".canvas").bounding_box()
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + 300, y)
    for _ in range(6):
        page.mouse.wheel(-1_500, 0)
        page.wait_for_timeout(200)
    assert until(page, lambda chart: int(chart["bars"]) >= 2_900)["edge"] == "false"


def test_all_tabs_of_a_browser_are_live(server, browse):
    first = browse(f"{server.url}/?symbol=LINK-USD", ready=LIVE)
    pages = [first, *(first.context.new_page() for _ in range(11))]
    for page in pages[1:]:
        page.goto(f"{server.url}/?symbol=LINK-USD")
    for page in pages:
        page.wait_for_selector(LIVE, timeout=90_000)
    for page in pages:
        before = int(data(page)["revision"])
        until(page, lambda chart, before=before: int(chart["revision"]) > before)


def test_a_server_that_comes_back_has_missed_nothing(server, browse, watched, writer: Writer):
    watched.expected = OUTAGE
    page = browse(f"{server.url}/?symbol=ETH-USD&bars=1", ready=LIVE)
    until(page, lambda chart: int(chart["bars"]) > 100)
    server.stop()
    expect(page.locator(".tw-top[data-s=lost]")).to_be_visible()
    expect(page.get_by_text("This page has lost its server.")).to_be_visible()
    writer.plant("while-away", symbol="ETH-USD")
    page.wait_for_timeout(4_000)
    server.start()
    expect(page.locator(LIVE)).to_be_visible()
    expect(page.locator("tr[data-id='while-away']")).to_be_visible()
    writer.stop()
    revision, times = stored_bars(server, "ETH-USD")
    until(page, lambda chart: int(chart["revision"]) == revision)
    shown = page.evaluate("globalThis[Symbol.for('tapewatch.store')].series.bars.map((bar) => bar.time)")
    writer.start()
    assert shown == times[-len(shown) :], "every bar, also those of the outage"
    assert len(shown) >= 2_000


def test_a_silent_feed_and_a_program_that_ended_are_said(server, browse, writer: Writer):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=LIVE)
    writer.frozen = True
    expect(page.locator(".banner")).to_contain_text("Silent feed.")
    expect(page.locator(".feed")).to_contain_text("Stale")
    expect(page.locator(".price[data-old=true]")).to_be_visible()
    writer.frozen = False
    expect(page.locator(LIVE)).to_be_visible()
    writer.stop()
    expect(page.locator(".banner")).to_contain_text("Not running.")
    writer.start()
    expect(page.locator(LIVE)).to_be_visible()
    expect(page.locator(".banner")).to_be_hidden()
