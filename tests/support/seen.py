"""What a page shows, read from the data attributes of its parts."""

import contextlib
from collections.abc import Callable

from playwright.sync_api import Page

Data = dict[str, str]


def data(page: Page, part: str = "chart") -> Data:
    """Read the data attributes of a part."""
    return dict(page.locator(f".tw-{part}").evaluate("element => ({...element.dataset})"))


def until(page: Page, holds: Callable[[Data], bool], part: str = "chart", *, timeout_s: float = 20) -> Data:
    """Wait until something holds of a part's attributes."""
    for _ in range(round(timeout_s * 10)):
        seen = data(page, part)
        with contextlib.suppress(KeyError):  # after a reload an attribute is not there at once
            if holds(seen):
                return seen
        page.wait_for_timeout(100)
    raise AssertionError(f"waited {timeout_s} s in vain; {part} shows {seen}")


def marked(page: Page) -> dict[str, tuple[int, int]]:
    """Find the markers in the chart: anomaly → where it stands in the canvas."""
    places = {}
    for each in data(page).get("marked", "").split():
        ident, _, place = each.rpartition("@")
        x, y = place.split(",")
        places[ident] = (int(x), int(y))
    return places
