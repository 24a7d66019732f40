"""The page before the first trade, in a calm, with fifty symbols, and when its server is told to stop."""

import re
import time
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from support.dashboards import OUTAGE, Server
from support.pages import Page
from support.seen import until
from support.views import BTC, feed_row
from support.writing import SOURCE, Writer
from tapewatch.store.records import Clock, Commit
from tapewatch.store.sql import Store

pytestmark = pytest.mark.browser


@pytest.fixture
def alone(tmp_path: Path):
    """Serve a database of this test's own, in which nothing stands yet."""
    server = Server(tmp_path / "x.db")
    Store.open(server.db, source=SOURCE).close()
    server.start()
    yield server
    if server.process is not None:
        server.stop()


def test_before_the_first_trade_the_page_says_what_to_run_and_then_fills_by_itself(alone, browse):
    page = browse(alone.url, ready=".tw-top[data-s=waiting]", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("heading", name="No trades yet")).to_be_visible()
    expect(page.get_by_text("No verdict yet")).to_be_visible()
    page.get_by_role("button", name="Copy make demo").click()
    expect(page.get_by_role("status").filter(has_text="copied")).to_have_count(1)
    assert page.evaluate("navigator.clipboard.readText()") == "make demo"
    with Writer(alone.db) as writer:
        until(page, lambda chart: int(chart["bars"]) > 0)
        expect(page.get_by_role("heading", name="No trades yet")).to_be_hidden()
        writer.plant("first")
        expect(page.locator("tr[data-id=first]")).to_be_visible()


def test_between_the_start_and_the_first_trade_nobody_is_told_to_start_anything(alone, browse):
    store = Store.open(alone.db)
    waiting = feed_row(BTC, state="waiting", last_frame_ts=None, last_trade_ts=None, last_price=None, trades=0)
    now = time.time_ns()
    store.commit(Commit(Clock(now, now), feed=[waiting]))
    store.close()
    page = browse(alone.url, ready=".tw-rail button[data-symbol='BTC-USD']")
    expect(page.get_by_text("the first trade appears here as soon as it comes")).to_be_visible()
    expect(page.get_by_text("make demo")).to_be_hidden()
    expect(page.locator(".source")).to_have_text("Coinbase")


def test_a_fresh_database_under_the_same_name_is_shown_instead(alone, browse):
    with Writer(alone.db, ("BTC-USD",)) as writer:
        writer.history(600)
        page = browse(f"{alone.url}/?symbol=BTC-USD&bars=1")
        until(page, lambda chart: int(chart["bars"]) >= 600)
    for file in alone.db.parent.glob("x.db*"):
        file.unlink()
    with Writer(alone.db, ("BTC-USD",), seed=8):
        until(page, lambda chart: 0 < int(chart["bars"]) < 100)


def test_a_young_database_shows_seconds_until_somebody_chooses(alone, browse):
    with Writer(alone.db, ("BTC-USD",)) as writer:
        writer.history(100)
        page = browse(alone.url)
        until(page, lambda chart: int(chart["bars"]) >= 100)
        expect(page.get_by_role("button", name="1 s", exact=True)).to_have_attribute("aria-pressed", "true")
        assert "bars=" not in page.url
        page.get_by_role("button", name="10 s", exact=True).click()
        until(page, lambda chart: 0 < int(chart["bars"]) < 30)
        page.get_by_role("button", name="1 min", exact=True).click()
        expect(page).to_have_url(re.compile("bars=60"))


def test_a_calm(alone, browse):
    with Writer(alone.db):
        page = browse(alone.url, ready=".tw-top[data-s=live]")
        expect(page.locator(".verdict")).to_contain_text("Nothing abnormal now")
        expect(page.locator(".verdict")).to_contain_text("all 3 symbols within limits")
        expect(page.locator(".none")).to_have_text(
            "Nothing abnormal in the last hour. All 3 symbols were within their limits."
        )


def test_fifty_symbols(alone, browse):
    with Writer(alone.db, tuple(f"S{i:02}-USD" for i in range(50))):
        page = browse(alone.url)
        expect(page.locator(".watch button")).to_have_count(50)
        watch = page.locator(".watch")
        assert watch.evaluate("e => e.scrollHeight > e.clientHeight"), "the list scrolls, not the page"
        assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollHeight") == 900
        page.locator("button[data-symbol='S49-USD']").click()
        until(page, lambda chart: chart["symbol"] == "S49-USD" and int(chart["bars"]) > 0)


def test_it_stops_within_five_seconds_with_pages_open(alone, browse, watched):
    watched.expected = OUTAGE
    with Writer(alone.db) as writer:
        browse(alone.url, ready=".tw-top[data-s=live]")
        # This one is not read from, so the server waits to send when it is told to stop.
        with connect(f"{alone.url.replace('http', 'ws')}/api/live", max_queue=1) as socket:
            socket.send(msgspec.json.encode(Page(writer.lanes[0]).wish).decode())
            socket.recv()
            assert alone.stop() in (0, -15)
