"""What a person wants to see, changed key by key; no screen here.

In: keys as methods, with the `Picture` that the person looked at. Out: the next `Ask`, and which row is chosen.
"""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import structs

from tapewatch.model import NS, Anomaly, Lane
from tapewatch.view.queries import SIZES, Filter
from tapewatch.view.terminal.picture import ZOOMS, Ask, Chart, Picture
from tapewatch.view.verdict import Entry
from tapewatch.words import RECENCIES, RULES, SEVERITIES

T = TypeVar("T")
PAGE_ROWS = 200
NEAR_END_ROWS = 20


class Control:
    """The choices of one person.

    Attributes
    ----------
    chosen
        Id of the entry that is chosen; it stays so while others come and go.
    expanded
        Whether its details are shown.
    paused_ns
        "Now" at which the screen stands still; None while it goes on.
    """

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.chosen: str | None = None
        self.expanded = False
        self.paused_ns: int | None = None
        self.prefer_watch = False
        self.bands = True

    def toggle_severity(self, index: int) -> None:
        """Take a severity in or out; with none left all are back, for an empty log would tell nothing."""
        shown = set(self.ask.filter.severities or SEVERITIES) ^ {SEVERITIES[index]}
        whole = len(shown) in (0, len(SEVERITIES))
        self._filter(severities=() if whole else tuple(each for each in SEVERITIES if each in shown))

    def next_direction(self) -> None:
        """Both ways, up, down, and around."""
        self._filter(directions={(): ("up",), ("up",): ("down",)}.get(self.ask.filter.directions, ()))

    def next_type(self, step: int) -> None:
        """All types, then each alone, and around."""
        choices: list[tuple[str, ...]] = [(), *((rule,) for rule in RULES)]
        self._filter(rules=_around(choices, self.ask.filter.rules, step))

    def next_size(self) -> None:
        """All sizes, at least 2, 4, 8 times the limit, and around."""
        self._filter(min_size=_around([0.0, *map(float, SIZES)], self.ask.filter.min_size, 1))

    def toggle_order(self) -> None:
        """List the newest first, or the largest."""
        self.ask = structs.replace(self.ask, largest_first=not self.ask.largest_first, limit=PAGE_ROWS)

    def next_recency(self) -> None:
        """From the last five minutes to the last seven days, and around."""
        self._filter(recency_s=_around(list(RECENCIES), self.ask.filter.recency_s, 1))

    def next_symbol(self, step: int, picture: Picture) -> None:
        """Show the chart of the next symbol in the watch-list."""
        lanes = [each.lane for each in picture.watch]
        if lanes:
            self.show(_around(lanes, self._lane(picture), step))

    def show(self, lane: Lane) -> None:
        """Show a lane's chart; a log of one symbol goes with it."""
        self.ask = structs.replace(self.ask, lane=lane, end_ns=None)
        if self.ask.filter.symbols:
            self._filter(symbols=(lane.symbol,))

    def toggle_scope(self, picture: Picture) -> None:
        """List the anomalies of all symbols, or of the chart's alone."""
        lane = self._lane(picture)
        self._filter(symbols=() if self.ask.filter.symbols or lane is None else (lane.symbol,))

    def clear(self) -> None:
        """Take all filters away but the span of time."""
        self.ask = structs.replace(self.ask, filter=Filter(recency_s=self.ask.filter.recency_s))

    def zoom(self, step: int, chart: Chart) -> None:
        """Make the bars wider (1) or narrower (−1)."""
        at = ZOOMS.index(self.ask.width_s or chart.width_s)
        self.ask = structs.replace(self.ask, width_s=ZOOMS[min(len(ZOOMS) - 1, max(0, at + step))])

    def fit(self) -> None:
        """Let the bars' width fit itself again."""
        self.ask = structs.replace(self.ask, width_s=None)

    def pan(self, step: int, picture: Picture) -> None:
        """Move the chart by a quarter of itself; it does not go beyond now."""
        chart = picture.chart
        if chart is None:
            return
        end_s = chart.end_s + step * max(1, (chart.end_s - chart.start_s) // 4)
        now_ns = self.paused_ns or picture.status.now_ns
        self.ask = structs.replace(self.ask, end_ns=end_s * NS if end_s * NS < now_ns else None)

    def pause(self, picture: Picture) -> None:
        """Stand still, or go on."""
        self.paused_ns = None if self.paused_ns is not None else picture.status.now_ns
        self.ask = structs.replace(self.ask, until_ns=self.paused_ns)

    def back(self) -> None:
        """Give the row up, and the chart's place in the past."""
        self.chosen, self.expanded = None, False
        self.ask = structs.replace(self.ask, end_ns=None, limit=PAGE_ROWS)

    def move(self, step: int, picture: Picture) -> None:
        """Choose a row so many lines further down; the first step chooses the first row."""
        entries = picture.entries
        if not entries:
            return
        at = next((i for i, each in enumerate(entries) if each.id == self.chosen), None)
        to = 0 if at is None and step > 0 else max(0, min(len(entries) - 1, (at or 0) + step))
        self.chosen = entries[to].id
        if not picture.complete and to > len(entries) - NEAR_END_ROWS:
            self.ask = structs.replace(self.ask, limit=self.ask.limit + PAGE_ROWS)
        if self.expanded:
            self._focus(entries[to], picture)

    def choose(self, ident: str, picture: Picture) -> None:
        """Choose a row by its id, as a click does; the chosen one again opens its details."""
        if ident == self.chosen:
            self.toggle_details(picture)
        else:
            self.chosen = ident

    def toggle_details(self, picture: Picture) -> None:
        """Open or close the details of the chosen row, and show its place in the chart."""
        if self.chosen is None:
            self.move(1, picture)
        entry = self.entry(picture.entries)
        self.expanded = entry is not None and not self.expanded
        if entry is not None and self.expanded:
            self._focus(entry, picture)

    def entry(self, entries: Sequence[Entry]) -> Entry | None:
        """Find the chosen entry."""
        return next((each for each in entries if each.id == self.chosen), None)

    def focus(self, picture: Picture) -> Anomaly | None:
        """Find the chosen anomaly where it belongs to the lane in the chart."""
        entry = self.entry(picture.entries)
        if entry is None or picture.chart is None:
            return None
        lane = picture.chart.watch.lane
        return next((each for each in entry.members if Lane(each.venue, each.symbol) == lane), None)

    def _lane(self, picture: Picture) -> Lane | None:
        # Keys may come faster than pictures: what was asked for last counts.
        return self.ask.lane or (picture.chart.watch.lane if picture.chart else None)

    def _focus(self, entry: Entry, picture: Picture) -> None:
        members = [Lane(each.venue, each.symbol) for each in entry.members]
        chart = picture.chart
        if chart is None:
            return
        self.ask = structs.replace(self.ask, lane=chart.watch.lane if chart.watch.lane in members else members[0])
        span_s = chart.end_s - chart.start_s
        at_s = entry.anomaly.opened_ts // NS
        if not chart.start_s <= at_s <= chart.end_s:
            # A third of the chart shows what came after it.
            end_ns = (at_s + span_s // 3) * NS
            now_ns = self.paused_ns or picture.status.now_ns
            self.ask = structs.replace(self.ask, end_ns=end_ns if end_ns < now_ns else None)

    def _filter(self, **choices: object) -> None:
        self.ask = structs.replace(self.ask, filter=structs.replace(self.ask.filter, **choices), limit=PAGE_ROWS)


def _around(choices: Sequence[T], current: object, step: int) -> T:
    at = next((i for i, each in enumerate(choices) if each == current), -1 if step > 0 else 0)
    return choices[(at + step) % len(choices)]
