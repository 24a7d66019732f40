"""The page of alerts: who was told what, seen from the market, followed live, and acted upon."""

import re
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect

from support.dashboards import Server
from support.seen import until
from support.telling import DESK, PHONE, telling
from support.writing import Writer
from tapewatch.model import NS

pytestmark = pytest.mark.browser

READY = ".tw-alerts[data-ready=true]"
ROWS = ".tw-alerts tr[data-key]"
SECONDS = 1_000


@pytest.fixture(scope="module", autouse=True)
def told(writer: Writer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two anomalies that were told, one that was held back, one whose message nobody took, and one of two days ago."""
    for ident, symbol in (("told", "LINK-USD"), ("held", "BTC-USD"), ("lost", "ETH-USD"), ("later", "ETH-USD")):
        writer.plant(ident, symbol=symbol)
    before = time.time_ns() - 2 * 86_400 * NS
    writer.end(writer.plant("days-ago", opened_ts=before, peak_ts=before, last_ts=before))
    until_stored(writer.path)
    now = time.time_ns()
    with telling(writer.path, replace(PHONE, accepted_ts=now), replace(DESK, since_ts=now), now_ns=now) as by_hand:
        by_hand.send("phone", "told")
        by_hand.judge("held", "phone", "held", "held back: feed silent")
        by_hand.send("desk", "lost", outcomes=("HTTP 500: try later", "HTTP 401: bad token"))


def until_stored(path: Path) -> None:
    """Wait until the writer has committed all that was planted."""
    for _ in range(200):
        with telling(path) as by_hand:
            if any(change.anomaly.id == "days-ago" and change.change == "ended" for _, change in changes(by_hand)):
                return
        time.sleep(0.05)
    raise AssertionError("the writer did not write")


def changes(by_hand):
    return by_hand.outbox.fresh(0, 1_000).changes


def row(page: Page, text: str):
    return page.locator(ROWS).filter(has_text=text)


def test_a_channel_that_fails_is_seen_from_the_market_and_leads_to_its_page(server: Server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD")
    expect(page.locator(".badge.bad")).to_have_text("1 undelivered")
    page.get_by_role("link", name="Alerts").click()
    expect(page.locator(READY)).to_be_visible()
    expect(page).to_have_url(re.compile("page=alerts"))
    expect(page.locator(".tw-chart")).to_be_hidden()
    expect(page.locator(".lost")).to_contain_text("1 message was not delivered")
    expect(page.locator(".channels")).to_contain_text("failing")
    expect(row(page, "LINK-USD")).to_contain_text("told")
    expect(row(page, "BTC-USD")).to_contain_text("feed silent")
    for role in ("button", "combobox", "link", "textbox", "grid", "heading"):
        for element in page.locator(".tw-alerts, .tw-top").get_by_role(role).all():
            name = element.evaluate("e => e.getAttribute('aria-label') || e.textContent || e.title || e.placeholder")
            assert name.strip(), f"a {role} without a name: {element.evaluate('e => e.outerHTML')[:200]}"
    page.go_back()
    expect(page.locator(".tw-chart")).to_be_visible()
    page.go_forward()
    page.reload()
    expect(row(page, "BTC-USD")).to_be_visible()
    page.get_by_role("link", name="Market").click()
    # The chart was laid out behind the other page; its bars lie as wide as ever.
    until(page, lambda chart: 50 < float(chart["visible"]) < 1_000)


def test_a_row_opens_its_message_and_leads_to_the_chart(server: Server, browse):
    page = browse(f"{server.url}/?page=alerts&outcome=undelivered", ready=READY)
    expect(page.locator(ROWS)).to_have_count(1)
    row(page, "ETH-USD").click()
    story = page.locator(".story")
    expect(story).to_contain_text("given up")
    expect(story.locator(".letter")).to_contain_text("ETH-USD fell 2.81 %")
    expect(story.locator(".attempts li")).to_have_count(2)
    story.get_by_role("link", name="Show it in the chart").click()
    until(page, lambda chart: chart["symbol"] == "ETH-USD" and "lost@" in chart.get("marked", ""))
    expect(page.locator(".tw-log tr[aria-selected=true]")).to_have_attribute("data-id", "lost")
    expect(page).to_have_url(re.compile("anomaly=lost"))


def test_what_is_told_appears_without_a_reload(server: Server, browse, writer: Writer):
    page = browse(f"{server.url}/?page=alerts", ready=READY)
    expect(page.locator(ROWS)).to_have_count(3)
    with telling(writer.path, PHONE, DESK, now_ns=time.time_ns()) as by_hand:
        by_hand.number = 2
        by_hand.send("desk", "later", outcomes=("HTTP 500: try later",), done=False)
    # Half a second to look, one between two readings; the rest is for a busy machine.
    expect(row(page, "waiting to be sent")).to_be_visible(timeout=5 * SECONDS)
    expect(page.locator(".badge")).to_have_text("1 undelivered")


def test_what_a_person_says_stands_in_the_log_and_counts(server: Server, browse, writer: Writer):
    page = browse(f"{server.url}/?symbol=LINK-USD&anomaly=told", ready=".tw-log tr[aria-selected=true]")
    detail = page.locator(".tw-log tr.more")
    expect(detail).to_contain_text("told phone")
    detail.get_by_label("Note").fill("checked with the venue")
    detail.get_by_role("button", name="False", exact=True).click()
    expect(detail.locator(".answer")).to_have_text("Marked as false.")
    mark = page.locator("tr[data-id=told] .mark")
    expect(mark).to_have_text("✗ false")
    detail.get_by_role("button", name="True", exact=True).click()
    expect(mark).to_have_text("✓ true")
    expect(mark).to_have_attribute("title", "checked with the venue")
    page.get_by_role("link", name="Alerts").click()
    expect(page.locator(".precision")).to_contain_text("Fast move")
    expect(page.locator(".precision")).to_contain_text("100 %")
    with page.expect_download() as download:
        page.get_by_role("link", name="Labels as CSV").click()
    assert "checked with the venue" in Path(download.value.path()).read_text()


def test_a_silence_comes_and_goes(server: Server, browse):
    page = browse(f"{server.url}/?page=alerts", ready=READY)
    page.get_by_role("button", name="Add …").click()
    page.get_by_label("Symbol, * matches any").fill("LINK-*")
    page.get_by_role("button", name="15 min").click()
    page.locator(".silence-form").get_by_label("Note").fill("maintenance")
    page.get_by_role("button", name="Silence", exact=True).click()
    silence = page.locator(".silences li").filter(has_text="LINK-*")
    expect(silence).to_contain_text("15 min left")
    expect(silence).to_contain_text("maintenance")
    silence.get_by_role("button").click()
    expect(silence).to_have_count(0)
    page.get_by_role("button", name="Show 1 past").click()
    expect(silence).to_contain_text("ended")


def test_a_link_leads_to_an_anomaly_that_the_filter_hides(server: Server, browse):
    page = browse(f"{server.url}/?anomaly=days-ago&last=5+min", ready=".tw-log tr[aria-selected=true]")
    expect(page.locator(".tw-log tr[data-id]").first).to_have_attribute("data-id", "days-ago")
    expect(page.locator(".tw-log tr.more")).to_contain_text("Nobody was told")
    until(page, lambda chart: chart["symbol"] == "LINK-USD")


def test_a_link_to_what_nobody_knows_is_said(server: Server, browse):
    page = browse(f"{server.url}/?anomaly=nothing-such")
    expect(page.locator(".unknown")).to_contain_text("There is no anomaly nothing-such in this database")
    page.locator(".tw-log tr[data-id]").first.click()
    expect(page.locator(".unknown")).to_be_hidden()


def test_a_phone_shows_cards(server: Server, browse):
    page = browse(f"{server.url}/?page=alerts", ready=READY, width=390, height=844, has_touch=True, is_mobile=True)
    card = page.locator(".tw-alerts .card[data-outcome=undelivered]")
    expect(card).to_contain_text("ETH-USD")
    card.tap()
    expect(page.locator(".story")).to_contain_text("given up")
    for width in (390, 360, 768, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        until(page, lambda _: page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") == 0)


def test_an_undelivered_message_stays_until_it_is_tried_again(server: Server, browse):
    page = browse(f"{server.url}/?page=alerts&within=3600", ready=READY)
    page.locator(".lost").get_by_role("button", name="Try message 2 again").click()
    expect(page.locator(".lost")).to_be_hidden()
    expect(row(page, "its message is tried again")).to_be_visible()
    expect(page.locator(".badge")).to_have_text("desk fails")


def test_nobody_to_tell_is_told_how(browse, tmp_path):
    writer = Writer(tmp_path / "x.db")
    with writer:
        server = Server(writer.path)
        server.start()
        try:
            page = browse(f"{server.url}/?page=alerts", ready=READY)
            expect(page.get_by_text("Nobody is told yet")).to_be_visible()
            expect(page.locator(".toml pre")).to_contain_text("[[alerts.channels]]")
            expect(page.get_by_text("tapewatch alerts test")).to_be_visible()
            page.context.close()  # before its server: it would complain
        finally:
            server.stop()
