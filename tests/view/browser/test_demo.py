"""The product as a newcomer sees it: `tapewatch demo`, and a browser at the address that it prints."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.seen import data, marked, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIRST_PLANTED_S = 90
"""The first anomaly is planted within 30 s; a machine under load may be late in starting."""


@pytest.fixture
def demo(tmp_path: Path):
    """Run the demo; give the dashboard's address and the file of what is planted."""
    command = [sys.executable, "-m", "tapewatch", "demo", "--db", str(tmp_path / "demo.db")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if address := re.match(r"dashboard +(http://\S+)$", line):
                break
        else:
            pytest.fail(f"the demo ended: {''.join(lines)}")
        yield address[1], tmp_path / "demo.labels.jsonl"
        process.terminate()
        process.stderr.read()
        process.wait(10)


def test_the_price_moves_and_what_was_planted_appears(demo, browse):
    url, labels = demo
    page = browse(url)
    expect(page.locator(".tw-top[data-s=live]")).to_be_visible()
    before = data(page)["price"]
    until(page, lambda chart: chart["price"] != before, timeout_s=5)
    row = page.locator("tr[data-id]").first
    expect(row).to_be_visible(timeout=FIRST_PLANTED_S * 1_000)
    planted = json.loads(labels.read_text(encoding="utf-8").splitlines()[0])
    rows = page.locator("tr[data-id]").filter(has_text=planted["symbol"])
    expect(rows.first).to_contain_text("↓" if planted["direction"] == "down" else "↑")
    ident = rows.last.get_attribute("data-id")
    page.locator(f"button[data-symbol='{planted['symbol']}']").click()
    until(page, lambda _: ident in marked(page))
    expect(page.locator(".verdict")).to_contain_text(re.compile("Abnormal|Nothing abnormal"))
