"""The page of alerts: who was told what, seen from the market, followed live, and acted upon."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import APIResponse, Page, Route, expect

from support.dashboards import Server, Watched
from support.seen import until
from support.telling import DESK, PHONE, telling
from support.writing import Writer
from tapewatch.model import NS

pytestmark = pytest.mark.browser

READY = ".tw-alerts[data-ready=true]"
ROWS = ".tw-alerts tr[data-key]"
SECONDS = 1_000
SLASH = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true, cancelable: true}))"

BESIDE_COLUMNS = "e => e.getBoundingClientRect().right - e.querySelector('th:last-child').getBoundingClientRect().right"


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
    row(page, "BTC-USD").click()
    page.reload()
    expect(page.locator(".story")).to_contain_text("feed silent")
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
    expect(detail).to_contain_text("Sent to phone at ")
    note, false = detail.get_by_label("Note"), detail.get_by_role("button", name="False alarm", exact=True)
    note.fill("to be checked")
    note.press("Enter")
    expect(detail.locator(".answer")).to_have_text(re.compile(r"acknowledged\.$", re.IGNORECASE))
    expect(note).to_be_focused()
    note.fill("checked with the venue")
    false.press("Enter")
    expect(detail.locator(".answer")).to_have_text(re.compile(r"marked as false\.$", re.IGNORECASE))
    expect(false).to_be_focused()
    mark = page.locator("tr[data-id=told] .mark")
    expect(mark).to_have_text("✗ false alarm")
    detail.get_by_role("button", name="Real", exact=True).click()
    expect(mark).to_have_text("✓ real")
    expect(mark).to_have_attribute("title", "checked with the venue")
    page.get_by_role("link", name="Alerts").click()
    # Keys are those of the page that is shown.
    for key in ("j", "Escape"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("anomaly=told"))
    assert page.evaluate(SLASH), "the chart took a key of another page"
    expect(page.locator(".precision")).to_contain_text("Fast move")
    expect(page.locator(".precision")).to_contain_text("100 %")
    with page.expect_download() as download:
        page.get_by_role("link", name="Labels as CSV").click()
    assert "checked with the venue" in Path(download.value.path()).read_text()


def test_a_silence_comes_and_goes(server: Server, browse, watched: Watched):
    page = browse(f"{server.url}/?page=alerts", ready=READY)
    form, add, answer = page.locator(".silence-form"), page.get_by_role("button", name="Add …"), "section > .answer"
    symbol, send = form.get_by_label("Symbol, * matches any"), form.get_by_role("button", name="Silence", exact=True)
    add.click()
    send.click()
    expect(symbol).to_be_focused()  # nothing is silenced by accident: somebody has to say what
    expect(symbol).to_have_value("")
    symbol.fill(" ")
    assert not symbol.evaluate("e => e.validity.valid")
    form.get_by_label("Severity").select_option("High")
    page.get_by_role("button", name="Cancel").click()
    row(page, "LINK-USD").first.click()
    add.click()
    expect(symbol).to_have_value("LINK-USD")  # what is looked at, whatever the market's page shows
    expect(form.get_by_label("Severity")).to_have_value("")
    symbol.fill("LINK-*")
    form.get_by_role("button", name="15 min").click()
    form.get_by_label("Note").fill("maintenance")
    form.get_by_label("Note").press("Enter")
    silence = page.locator(".silences li").filter(has_text="LINK-*")
    expect(form).to_be_hidden()  # at once: nobody's second silence is shut away
    expect(page.locator(answer).filter(has_text="15 min, until")).to_be_visible()
    expect(add).to_be_focused()
    expect(silence).to_contain_text(re.compile(r"until (\d\d-\d\d )?\d\d:\d\d UTC · 1[45] min left"))
    expect(silence).to_contain_text("maintenance")

    # The list of alerts cannot be read just now: that is said, and what can be read is shown.
    watched.expected = ("Failed to load",)
    page.route("**/api/alerts?*", lambda route: route.fulfill(status=503, json={"error": "x.db: locked"}))
    add.click()
    symbol.fill("BTC-*")
    form.get_by_label("From (UTC), now if empty").fill(f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}T22:30")
    form.get_by_role("button", name="4 h", exact=True).click()
    send.click()
    planned = page.locator(".silences li").filter(has_text="BTC-*")
    expect(planned).to_contain_text(re.compile(r"^BTC.*\d\d-\d\d 22:30 to \d\d-\d\d 02:30 UTC · starts in"))
    expect(page.locator(".notice")).to_contain_text("may be old: x.db: locked.")
    expect(page.locator(ROWS)).not_to_have_count(0)
    page.unroute("**/api/alerts?*")
    expect(page.locator(".notice")).to_be_hidden()

    silence.get_by_role("button").click()
    expect(silence).to_have_count(0)
    page.get_by_role("button", name="Show 1 past").click()
    expect(silence).to_contain_text("ended")


def test_an_answer_that_is_late_holds_up_nothing_and_an_empty_list_says_what_to_expect(server: Server, browse):
    page = browse(f"{server.url}/?page=alerts", ready=READY)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/alerting?by=day", hold)
    page.get_by_role("button", name="7 d").click()
    weeks = page.get_by_role("button", name="Weeks")
    with page.expect_request("**/api/alerting?by=week", timeout=5 * SECONDS):
        weeks.click()
    expect(weeks).to_have_attribute("aria-pressed", "true")

    changes: dict[str, object] = {}
    page.route("**/api/alerts?*", lambda route: route.fulfill(json={"rows": []}))
    page.route("**/api/alerting?by=week", lambda route: route.fulfill(json=route.fetch().json() | changes))
    page.get_by_role("button", name="All", exact=True).click()
    nothing = page.locator(".nothing")
    expect(nothing).to_have_text(re.compile("No alert yet. The channels are ready; what they take appears here"))
    changes["standing"] = {"word": "not running"}
    page.get_by_role("button", name="1 h", exact=True).first.click()
    expect(nothing).to_have_text(re.compile("No alert in this time. Alerting is not running"))
    changes["channels"] = []
    page.get_by_role("button", name="All", exact=True).click()
    expect(nothing).to_have_text(re.compile("No alert yet. No channel is configured any more"))
    for each in held:
        each.continue_()


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
    expect(page.locator(".badge span")).to_be_visible()
    channels = page.get_by_role("heading", name="Channels")
    expect(channels).not_to_be_in_viewport()
    page.get_by_role("button", name="Channels 1 of 2 works").tap()
    expect(channels).to_be_in_viewport()
    page.get_by_role("navigation", name="On this page").get_by_role("button", name="Alerts").tap()
    expect(page.get_by_label("Channel of the alerts")).to_be_in_viewport()
    for width in (390, 360, 768, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        until(page, lambda _: page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") == 0)
        # An open row goes over all columns, and makes no new ones.
        assert page.locator(".list table").evaluate(BESIDE_COLUMNS) < 1


def test_undelivered_messages_stay_until_they_are_tried_again_or_dismissed(server: Server, browse, writer: Writer):
    with telling(writer.path, PHONE, DESK, now_ns=time.time_ns()) as by_hand:
        by_hand.number = 3
        for ident in ("told", "held"):
            by_hand.send("desk", ident, outcomes=("HTTP 401: bad token",))
    page = browse(f"{server.url}/?page=alerts&within=3600", ready=READY)
    lost = page.locator(".lost")
    expect(lost.locator("li")).to_have_count(3)

    # Two more answers about a message: the first one comes last.
    late: list[tuple[Route, APIResponse]] = []
    page.route("**/api/message?*", lambda route: route.continue_() if late else late.append((route, route.fetch())))
    with page.expect_request("**/api/message?*"):
        row(page, "ETH-USD").filter(has_text="undelivered").click()

    lost.get_by_role("button", name="Dismiss message 4").press("Enter")
    expect(lost.locator("li")).to_have_count(2)
    expect(lost.get_by_role("button", name="Dismiss message 2")).to_be_focused()
    expect(row(page, "undelivered, dismissed")).to_have_count(1)

    def refuse(route: Route) -> None:
        if route.request.post_data_json["arguments"] == {"message": 5}:
            route.fulfill(json={"done": False, "said": "There is no channel 'desk' any more"})
        else:
            route.continue_()

    page.route("**/api/ask", refuse)
    lost.get_by_role("button", name="Try all again").click()
    said = "1 message is tried again, 1 not: There is no channel 'desk' any more."
    expect(lost.locator(".answer")).to_have_text(said)
    expect(row(page, "its message is tried again")).to_be_visible()
    expect(page.locator(".story")).to_contain_text("Message 2 to desk: not accepted yet")
    page.route("**/api/message?*", lambda _: None)  # nothing newer covers it up
    (held, first), *_ = late
    assert "given up" in first.text()
    with page.expect_response(lambda response: response.request == held.request):
        held.fulfill(response=first)
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    expect(page.locator(".story")).not_to_contain_text("given up")

    page.unroute("**/api/ask")
    lost.get_by_role("button", name="Dismiss message 5").click()
    expect(lost).to_be_hidden()
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
