"""One look as plain lines: what a pipe, a log or a mail can carry.

In: a `Picture` and a width. Out: texts; a console that is no terminal prints them without a single escape code.
"""

from collections.abc import Iterator

from rich.text import Text

from tapewatch.figures import duration
from tapewatch.view.terminal import log, panels, states
from tapewatch.view.terminal.ink import fitted
from tapewatch.view.terminal.palette import DARK
from tapewatch.view.terminal.picture import Ask, Picture
from tapewatch.words import SPANS

LISTS_CELLS = 60


def snapshot(picture: Picture | None, reason: str, ask: Ask, width: int) -> list[Text]:
    """Draw verdict, feed, watch-list, distributions and the last anomalies."""
    lines = list(_lines(picture, ask, width)) if picture else states.empty(reason, width, DARK)[:-2]
    for line in lines:
        line.rstrip()
    return lines


def _lines(picture: Picture, ask: Ask, width: int) -> Iterator[Text]:
    now = picture.status
    yield panels.top_line(picture, width, DARK)
    warning = panels.banner(now, width, DARK, paused_ns=None)
    if warning is not None:
        yield warning
    yield fitted(width, [(i, Text(f"{' · ' if i else ' '}{part}")) for i, part in enumerate(panels.health_parts(now))])
    lists = min(width, LISTS_CELLS)
    yield from _headed(f"Watch-list, change {panels.change_span(picture.watch)}", lists)
    yield from panels.watch_lines(picture.watch, None, lists, 0, len(picture.watch), DARK)
    span = (
        "all time"
        if ask.filter.recency_s is None
        else SPANS.get(ask.filter.recency_s, f"last {duration(ask.filter.recency_s)}")
    )
    yield from _headed(f"Anomalies, {span}", lists)
    for line in panels.distribution_lines(picture.counts, now.armed, lists - 1, DARK, rules=True):
        yield Text.assemble(" ", line)
    shown = picture.entries[: ask.limit]
    which = "Largest" if ask.largest_first else "Latest"
    yield from _headed(f"{which} {len(shown)} of {log.filter_words(ask.filter, picture.counts.total)}", width)
    if not shown:
        for line in states.no_rows(ask.filter, now, DARK)[:1]:
            yield Text.assemble(" ", line)
        return
    yield from log.page(
        shown, None, 0, width=width, height=len(shown) + 1, now_ns=now.now_ns, expanded=False, palette=DARK
    ).lines


def _headed(title: str, width: int) -> Iterator[Text]:
    yield Text()
    yield Text.assemble((f" {title} ", "bold"), ("─" * max(0, width - len(title) - 2), DARK.line))
