"""Take the pictures of the documentation from a dashboard that is running.

    tapewatch demo --port 8710 &
    python docs/screenshots.py http://127.0.0.1:8710 [FOLDER]

The demo tells most three minutes after its start: one crash is in sight, and something is abnormal now. For a picture
of alerts that were told, which a demo does not do, let `tapewatch run --source simulated` have a channel.
Needs Playwright and a Chromium: the system's, or Playwright's own.
"""  # noqa: INP001  # a script, not a package

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).with_name("pictures")
MARKET, ALERTS = "", "alerts"
SHOTS = {
    "dashboard": (MARKET, "dark", 1440, 900),
    "dashboard-light": (MARKET, "light", 1440, 900),
    "dashboard-phone": (MARKET, "dark", 390, 844),
    "dashboard-alerts": (ALERTS, "dark", 1440, 900),
}
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def main(url: str, folder: Path) -> None:
    """Write one file per shot, once bars and the state of the feed are there."""
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name, (shown, theme, width, height) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.add_init_script(f"localStorage.setItem('stActiveTheme-/-v2', '\"{theme.capitalize()}\"')")
            page.goto(f"{url}/?page={shown}" if shown else url)
            if shown == ALERTS:
                page.wait_for_selector(".tw-alerts[data-ready=true]")
            else:
                page.wait_for_selector(".tw-chart[data-bars]:not([data-bars='0'])")
                page.wait_for_selector(".tw-log[data-ready=true]")
            page.wait_for_timeout(1_500)  # fonts, and the first counts
            page.screenshot(path=folder / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0] if given else "http://127.0.0.1:8710", Path(given[1]) if len(given) > 1 else PICTURES)
