"""What a person does with the dashboard: choose, look, go through the log with the keyboard, take it away as a file."""

import csv
import io
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.seen import data, marked, until
from support.writing import Writer

pytestmark = pytest.mark.browser

LIVE = ".tw-top[data-s=live]"
ROWS = "tr[data-id]"


@pytest.fixture(scope="module", autouse=True)
def planted(writer: Writer) -> None:
    """One high, one medium and one low anomaly of LINK-USD, and one of BTC-USD."""
    writer.plant("high-link")
    writer.plant(
        "medium-link",
        severity="medium",
        rule="vol_breakout",
        direction="up",
        unit="USD",
        observed=0.9,
        threshold=0.5,
        peak_observed=2.4,
    )
    writer.plant(
        "low-link",
        severity="low",
        rule="mean_reversion_break",
        unit="USD",
        observed=0.9,
        threshold=0.5,
        peak_observed=0.9,
    )
    writer.plant("high-btc", symbol="BTC-USD")


def ids(page: Page) -> set[str]:
    return set(page.locator(ROWS).evaluate_all("rows => rows.map((row) => row.dataset.id)"))


def test_a_filter_narrows_log_and_chart_and_survives_a_reload(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD&bars=1")
    expect(page.locator("tr[data-id=medium-link]")).to_be_visible()
    until(page, lambda _: {"high-link", "medium-link"} <= set(marked(page)))
    page.get_by_role("button", name="High", exact=True).click()
    expect(page.locator("tr[data-id=high-link]")).to_be_hidden()
    until(page, lambda _: "medium-link" in marked(page) and "high-link" not in marked(page))
    expect(page).to_have_url(re.compile("severity=Medium&severity=Low"))
    page.reload()
    expect(page.locator("tr[data-id=medium-link]")).to_be_visible()
    assert ids(page) == {"medium-link", "low-link"}
    until(page, lambda _: "medium-link" in marked(page) and "high-link" not in marked(page))
    assert page.get_by_role("button", name="High", exact=True).get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("scope=This+symbol", {"high-link", "medium-link", "low-link"}),
        ("type=Fast+move", {"high-link", "high-btc"}),
        ("direction=Up", {"medium-link"}),
        ("size=≥+8×", {"high-link", "high-btc"}),
        ("size=≥+4×&severity=Medium", {"medium-link"}),
        ("severity=Low", {"low-link"}),
        ("severity=High&scope=This+symbol&direction=Down&last=5+min", {"high-link"}),
    ],
)
def test_a_link_shows_what_it_says(server, browse, query, expected):
    page = browse(f"{server.url}/?symbol=LINK-USD&{query}", ready=".tw-log[data-ready=true]")
    until(page, lambda log: int(log["rows"]) == len(expected), "log")
    assert ids(page) == expected


def test_no_match_says_what_to_do(server, browse):
    page = browse(f"{server.url}/?type=Silent+feed", ready=".tw-log[data-ready=true]")
    expect(page.get_by_text("No anomalies match. Widen the time span, or choose more.")).to_be_visible()
    page.get_by_role("button", name="High", exact=True).click()
    page.get_by_role("button", name="Medium", exact=True).click()
    page.get_by_role("button", name="Low", exact=True).click()
    expect(page.get_by_text("No severity is chosen.")).to_be_visible()


def test_a_count_is_a_link_to_its_rows(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=".tw-log[data-ready=true]")
    until(page, lambda log: log["rows"] == "4", "log")
    large = page.get_by_title("List the high ones of at least 8× their limit")
    expect(large).to_have_text("2")
    large.click()
    until(page, lambda log: log["rows"] == "2", "log")
    assert ids(page) == {"high-link", "high-btc"}
    expect(page).to_have_url(re.compile("severity=High&size="))
    page.get_by_title("Show all").first.click()
    until(page, lambda log: log["rows"] == "4", "log")
    page.get_by_role("link", name="Volatility breakout").click()
    until(page, lambda log: log["rows"] == "1", "log")
    expect(page).to_have_url(re.compile(r"type=Volatility\+breakout"))
    page.get_by_role("link", name="Volatility breakout").click()
    until(page, lambda log: log["rows"] == "4", "log")
    page.locator("rect.hour[tabindex='0']").last.click()
    expect(page.locator(".only")).to_contain_text("Only what opened")
    expect(page).to_have_url(re.compile("hour=20"))
    page.get_by_role("button", name="Show all", exact=True).first.click()
    expect(page.locator(".only")).to_be_hidden()


def test_the_worst_and_what_is_open_are_links(server, browse):
    page = browse(f"{server.url}/?symbol=BTC-USD&page=alerts", ready=LIVE)
    page.locator("a.worst").click()
    expect(page.locator("tr.more")).to_have_count(1)
    expect(page).to_have_url(re.compile("anomaly=high-"))
    page.get_by_title("1 low open; list them").click()
    until(page, lambda log: log["rows"] == "1", "log")
    assert ids(page) == {"low-link"}


def test_a_row_moves_the_chart_and_nothing_is_built_anew(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD")
    page.locator(".canvas").evaluate("canvas => { canvas.dataset.same = 'yes'; }")
    page.locator("tr[data-id=high-btc]").click()
    until(page, lambda chart: chart["symbol"] == "BTC-USD" and int(chart["bars"]) > 0)
    expect(page.locator("tr.more")).to_contain_text("12 trades over the limit")
    expect(page).to_have_url(re.compile("symbol=BTC-USD"))
    expect(page.locator(".canvas[data-same=yes]")).to_have_count(1)
    page.reload()
    until(page, lambda chart: chart["symbol"] == "BTC-USD")


def test_the_watch_list_and_the_list_over_the_chart_choose_a_symbol(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD")
    page.locator("button[data-symbol='ETH-USD']").click()
    until(page, lambda chart: chart["symbol"] == "ETH-USD")
    expect(page.locator("button[data-symbol='ETH-USD']")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Symbol", exact=True).select_option("coinbase:BTC-USD")
    until(page, lambda chart: chart["symbol"] == "BTC-USD")
    page.get_by_role("button", name="1 min", exact=True).click()
    until(page, lambda chart: 0 < int(chart["bars"]) < 60)
    expect(page).to_have_url(re.compile("bars=60"))


def test_a_marker_chooses_its_row(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD&bars=1&severity=High")
    until(page, lambda _: "high-link" in marked(page))
    canvas = page.locator(".canvas")
    box = canvas.bounding_box()
    x, y = marked(page)["high-link"]
    page.mouse.click(box["x"] + x, box["y"] + y)
    expect(page.locator("tr[data-id=high-link]")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("tr.more")).to_have_count(0)


def test_the_log_by_keyboard(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=".tw-log[data-ready=true]")
    expect(page.locator(ROWS)).to_have_count(4)
    first, second = (page.locator(ROWS).nth(i).get_attribute("data-id") for i in (0, 1))
    page.keyboard.press("j")
    expect(page.locator(f"tr[data-id={first}]")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"tr[data-id={second}]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(f"tr[data-id={second}]")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("k")
    expect(page.locator(f"tr[data-id={first}]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("tr.more")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_label("Symbol", exact=True)).to_be_focused()


def test_the_log_as_a_file(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD&scope=This+symbol", ready=LIVE)
    until(page, lambda log: log["rows"] == "3", "log")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert {row["id"] for row in rows} == {"high-link", "medium-link", "low-link"}
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON lines").click()
    assert len(Path(download.value.path()).read_text(encoding="utf-8").splitlines()) == 3


def test_how_the_chart_is_drawn(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD&bars=1", ready=LIVE)
    expect(page.locator(".legend")).to_contain_text("Mean 20")
    before = until(page, lambda chart: bool(chart.get("visible")))
    page.get_by_role("button", name="Display").click()
    page.get_by_role("radio", name="Line").click()
    page.get_by_label("Over how many bars").fill("50")
    page.get_by_label("Over how many bars").press("Enter")
    expect(page.locator(".legend")).to_contain_text("Mean 50")
    page.get_by_text("Mean and Bollinger bands").click()
    expect(page.locator(".legend").get_by_text("Mean 50")).to_be_hidden()
    expect(page).to_have_url(re.compile("style=Line"))
    assert data(page)["visible"] == before["visible"]


def test_dark_by_default_and_the_switch_keeps_what_was_chosen(server, browse):
    page = browse(f"{server.url}/?symbol=BTC-USD&last=24+h", color_scheme="light")
    ground = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    assert page.evaluate(ground) == "rgb(11, 14, 19)"
    page.get_by_role("button", name="Light theme").click()
    expect(page.get_by_role("button", name="Dark theme")).to_be_visible()
    until(page, lambda chart: chart["symbol"] == "BTC-USD")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    expect(page.get_by_role("radio", name="24 h")).to_be_checked()
    assert page.locator(".tw-chart").evaluate("e => getComputedStyle(e).color") == "rgb(20, 26, 34)"


def test_the_pictures_of_the_documentation_can_be_taken(server, tmp_path):
    script = Path(__file__).parents[3] / "docs" / "screenshots.py"
    subprocess.run([sys.executable, script, server.url, tmp_path], check=True, timeout=120)
    sizes = {path.stem: struct.unpack(">II", path.read_bytes()[16:24]) for path in tmp_path.glob("*.png")}
    wide = dict.fromkeys(("dashboard", "dashboard-light", "dashboard-alerts"), (1440, 900))
    assert sizes == wide | {"dashboard-phone": (390, 844)}


def test_no_width_scrolls_sideways(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=LIVE)
    until(page, lambda log: log["rows"] == "4", "log")
    for width in (1920, 1440, 1280, 1024, 768, 390, 360):
        page.set_viewport_size({"width": width, "height": 844})
        until(page, lambda _: page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") == 0)
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_phone_shows_cards(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD", width=390, height=844, has_touch=True, is_mobile=True)
    card = page.locator(".card[data-id=high-btc]")
    expect(card).to_contain_text("BTC-USD ↓ −2.81 % 11×")
    card.tap()
    until(page, lambda chart: chart["symbol"] == "BTC-USD")
    expect(card).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".tw-log table")).to_be_hidden()


def test_a_new_row_is_tinted_only_where_motion_is_welcome(server, browse, writer: Writer):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=".tw-log[data-ready=true]", reduced_motion="reduce")
    expect(page.locator(ROWS).first).to_be_visible()
    planted = writer.plant("fresh-1", severity="low")
    row = page.locator("tr[data-id=fresh-1]")
    expect(row).to_have_class("fresh")
    assert row.evaluate("row => getComputedStyle(row).animationName") == "none"
    expect(row).not_to_have_class("fresh")
    writer.end(planted)


def test_everything_that_can_be_used_has_a_name(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=LIVE)
    for role in ("button", "combobox", "link", "radio", "grid", "img", "heading"):
        for element in page.get_by_role(role).all():
            name = element.evaluate("e => e.getAttribute('aria-label') || e.textContent || e.title")
            assert name.strip(), f"a {role} without a name: {element.evaluate('e => e.outerHTML')[:200]}"
    assert page.locator("[aria-live=polite]").count() >= 1
    assert page.locator("html").get_attribute("lang") == "en"


def test_what_opens_is_said_to_those_who_listen(server, browse, writer: Writer):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=".tw-log[data-ready=true]")
    planted = writer.plant("loud-1", symbol="ETH-USD")
    expect(page.get_by_role("log")).to_contain_text("High: ETH-USD fell 2.81 %")
    writer.end(planted)


def test_sound_is_off_until_somebody_asks(server, browse):
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=LIVE)
    bell = page.get_by_role("button", name="Sound and desktop notice")
    expect(bell).to_have_attribute("aria-pressed", "false")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(bell).to_have_attribute("aria-pressed", "true")


def test_the_log_by_size_and_a_feed_s_last(server, browse, writer: Writer):
    silent = writer.plant("silent", rule="silent_feed", kind="feed", unit="s", threshold=5.0, peak_observed=600.0)
    page = browse(f"{server.url}/?symbol=LINK-USD", ready=".tw-log[data-ready=true]")
    expect(page.locator("tr[data-id=silent]")).to_be_visible()
    page.get_by_role("button", name="Size", exact=True).click()
    expect(page.locator(ROWS).last).to_have_attribute("data-id", "silent")
    expect(page).to_have_url(re.compile("sort=size"))
    *sizes, none = page.locator(f"{ROWS} .ratio").all_inner_texts()
    assert none == "–"
    numbers = [float(each.removesuffix("×")) for each in sizes]
    assert len(numbers) > 3
    assert numbers == sorted(numbers, reverse=True)
    page.reload()
    expect(page.locator(ROWS).last).to_have_attribute("data-id", "silent")
    page.get_by_role("button", name="Time UTC").click()
    expect(page).not_to_have_url(re.compile("sort="))
    writer.end(silent)
