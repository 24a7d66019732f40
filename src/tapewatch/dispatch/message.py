"""What an alert looks like when it arrives: a message in, a letter in four formats out.

Words are made in `telling`, looks in the templates beside this file; a person's own templates win, file by file.
"""

from collections.abc import Sequence
from hashlib import blake2b
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from tapewatch.alert import Letter, Message
from tapewatch.dispatch.examples import examples
from tapewatch.dispatch.fields import Page
from tapewatch.dispatch.stationery import (
    FORMATS,
    NAMES,
    SHARED,
    check_names,
    environment,
    in_markdown,
    own_names,
    reason,
    refusals,
    render,
)
from tapewatch.dispatch.telling import leading, page
from tapewatch.dispatch.totals import Spans, nowhere
from tapewatch.figures import clock, day_clock
from tapewatch.model import Anomaly

SUBJECT_MAX: Final = 200

BUNDLED_MAX: Final = 100
"""Messages that are listed where several go out as one."""


def lead(message: Message) -> Anomaly:
    """Find the anomaly that a message tells first: what is furthest over its limit, or of several symbols the largest.

    The chart that goes with the message is of this one. The message tells of one at least.
    """
    assert message.anomalies, "a message that tells of nothing has no lead"
    return leading(message.kind, message.anomalies)


class Writer:
    """Writes letters.

    A template gets the fields of `fields.Page` by their names, such as ``{{ subject }}`` or ``{{ lead.move }}``; what
    it puts in is escaped for its format, HTML or Markdown, by itself. All templates, ours and theirs, are tried first,
    with examples of every kind, so that a mistake is found before there is something to tell.

    Parameters
    ----------
    folder
        Templates that replace ours, by their file names (`stationery.NAMES`); None: none do.
    dashboard
        Where the dashboard is, for links; "": no links.

    Raises
    ------
    ConfigError
        There is no such folder, a file in it has the name of no template, or a template cannot be used.
    """

    def __init__(self, folder: Path | None, dashboard: str) -> None:
        self._dashboard = quote(dashboard.rstrip("/"), safe=":/?#[]@!$&'*+,;=%~")
        self._ours = environment(None)
        self._own = frozenset[str]() if folder is None else own_names(folder)
        self._templates = environment(folder) if self._own else self._ours
        for name in NAMES:
            with refusals(name):
                check_names(self._templates, name)
        for message in examples():
            for form in FORMATS.values():
                with refusals(form.format(message.kind)):
                    render(self._templates, form.format(message.kind), page(message, self._dashboard))

    def write(self, message: Message, spans: Spans = nowhere) -> Letter:
        """Write a message; `spans` knows what has traded.

        A person's template that fails on it gives way to ours, with a sentence that says so: no alert is lost to its
        looks.
        """
        said = page(message, self._dashboard, spans)
        parts = {part: self._part(form.format(message.kind), said) for part, form in FORMATS.items()}
        subject = " ".join(parts["subject"].split())[:SUBJECT_MAX] or said.subject
        return Letter(_key(message), subject, parts["text"], parts["markdown"], parts["html"])

    def bare(self, message: Message) -> Letter:
        """Write the least about a message that cannot be written as others: no alert is lost to its words."""
        anomalies = message.anomalies
        lines = [f"{each.symbol} {each.rule} {each.id}" for each in anomalies]
        names = ", ".join(sorted({each.symbol for each in anomalies}))
        text = "\n".join([*lines, "tapewatch could not word this alert; its log says why.", self._dashboard])
        return Letter(
            _key(message), f"Alert: {names}"[:SUBJECT_MAX], text, in_markdown(text), f"<pre>{escape(text)}</pre>"
        )

    def bundle(self, letters: Sequence[tuple[int, Letter]]) -> Letter:
        """Write one letter of several that have waited for their receiver: their subjects, in their order.

        Parameters
        ----------
        letters
            Each with its moment by the lanes' clock, ns, the first one in front; at least one.
        """
        end = letters[-1][0]
        span = f"{day_clock(letters[0][0], end)}–{clock(end)}"
        subject = f"{len(letters)} messages that could not be delivered before, {span}"
        lines = [f"{day_clock(at, end)}  {letter.subject}" for at, letter in letters[:BUNDLED_MAX]]
        if len(letters) > BUNDLED_MAX:
            lines.append(f"… and {len(letters) - BUNDLED_MAX} more")
        link = f"{self._dashboard}/?page=alerts" if self._dashboard else ""
        text = "\n".join([*lines, *(["", link] if link else [])])
        listed = "\n".join(f"- {in_markdown(line)}" for line in lines)
        markdown = f"{listed}\n\n{link}" if link else listed
        rows = "".join(f"<li>{escape(line)}</li>" for line in lines)
        anchor = f'<p><a href="{escape(link)}">Alerts</a></p>' if link else ""
        keys = " ".join(letter.key for _, letter in letters)
        return Letter(
            blake2b(keys.encode(), digest_size=16).hexdigest(), subject, text, markdown, f"<ul>{rows}</ul>{anchor}"
        )

    def _part(self, name: str, said: Page) -> str:
        if self._own.isdisjoint({name, *SHARED}):
            return render(self._ours, name, said)
        try:
            return render(self._templates, name, said)
        except Exception as error:  # noqa: BLE001  # a template may do anything, and raise anything
            note = f"The template {name} failed ({reason(error)}); this is tapewatch's own."
            return render(self._ours, name, replace(said, note=f"{said.note} {note}".lstrip()))


def _key(message: Message) -> str:
    alerts: list[tuple[str, str, float]] = [
        (each.anomaly.id, each.occasion, each.anomaly.escalation) for each in message.alerts
    ]
    alerts += [(each.id, "grown", each.peak_observed) for each in message.grown]
    # What names nothing: only its moment, and what it says, tell it from another one.
    text = msgspec.json.encode([message.channel, message.kind, alerts or (message.at, message.note)])
    return blake2b(text, digest_size=16).hexdigest()
