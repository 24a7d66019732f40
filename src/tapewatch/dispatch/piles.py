"""Alerts that wait to be told, in piles with names: each in pages, so that what was written is not written again.

In: alerts, one after the other. Out: those that have waited longest, and the pages that changed, as bytes.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Final

import msgspec

from tapewatch.alert import Alert

PAGE: Final = 100
"""Alerts on one page."""

MOST: Final = 10 * PAGE
"""Alerts that are taken from a pile at once, and so those that one message names.

All of a message is stored in one transaction: of more, it would hold up whoever detects; and nobody would read them.
"""


class Piles:
    """Alerts that wait, in the order in which they came; all pages of a pile are full but its last one.

    Parameters
    ----------
    pages
        What `changed` wrote, by the names of the pages: that of the pile, a slash and a number.

    Examples
    --------
    >>> piles = Piles({})
    >>> piles.take("/phone/digest"), piles.count("/phone/digest"), piles.changed()
    ([], 0, {})
    """

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        self._piles: dict[str, dict[int, list[Alert]]] = {}
        self._ids: dict[str, Counter[str]] = {}
        self._changed: set[tuple[str, int]] = set()
        for pile, number in sorted((_parts(name) for name in pages), key=lambda parts: parts[1]):
            alerts = msgspec.json.decode(pages[f"{pile}/{number}"], type=list[Alert])
            self._piles.setdefault(pile, {})[number] = alerts
            self._ids.setdefault(pile, Counter()).update(alert.anomaly.id for alert in alerts)

    def add(self, pile: str, alert: Alert) -> int:
        """Put an alert at the end of a pile, and tell how many wait before it."""
        pages = self._piles.setdefault(pile, {})
        last = next(reversed(pages), 0)
        if len(pages.get(last, ())) == PAGE:
            last += 1
        pages.setdefault(last, []).append(alert)
        self._ids.setdefault(pile, Counter())[alert.anomaly.id] += 1
        self._changed.add((pile, last))
        return self.count(pile) - 1

    def count(self, pile: str) -> int:
        """Tell how many wait in a pile."""
        pages = self._piles.get(pile)
        return (len(pages) - 1) * PAGE + len(pages[next(reversed(pages))]) if pages else 0

    def holds(self, pile: str, anomaly_id: str) -> bool:
        """Tell whether something of an anomaly waits in a pile."""
        return self._ids.get(pile, Counter())[anomaly_id] > 0

    def take(self, pile: str) -> list[Alert]:
        """Take those that have waited longest, at most `MOST`."""
        pages = self._piles.get(pile, {})
        numbers = list(islice(pages, MOST // PAGE))
        self._changed |= {(pile, number) for number in numbers}
        alerts = [alert for number in numbers for alert in pages.pop(number)]
        self._ids.get(pile, Counter()).subtract(alert.anomaly.id for alert in alerts)
        if not pages:
            self._piles.pop(pile, None)
            self._ids.pop(pile, None)
        return alerts

    def changed(self) -> dict[str, bytes]:
        """Write down the pages that are others than when it was asked last; an empty one is to be forgotten."""
        changed, self._changed = sorted(self._changed), set()
        written = ((pile, number, self._piles.get(pile, {}).get(number)) for pile, number in changed)
        return {f"{pile}/{number}": msgspec.json.encode(page) if page else b"" for pile, number, page in written}


def _parts(name: str) -> tuple[str, int]:
    pile, _, number = name.rpartition("/")
    return pile, int(number)
