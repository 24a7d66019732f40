import re
from html import unescape
from html.parser import HTMLParser
from importlib import resources

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tapewatch.dispatch.examples import examples
from tapewatch.dispatch.stationery import FORMATS, KINDS, NAMES, environment, in_markdown, render
from tapewatch.dispatch.telling import page

PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \\`*_[]<>~|&#;@:/"), max_size=30)


@example("__0__")  # a row of them, of which the inner ones stand beside letters
@given(PRINTABLE)
def test_markdown_shows_what_was_escaped_and_nothing_else(text):
    shown = MarkdownIt("commonmark").render(f"x{in_markdown(text)}x")
    bare = unescape(re.sub(r"</?p>\n?", "", shown))
    assert bare.replace("\N{ZERO WIDTH SPACE}", "") == f"x{text}x".replace("\N{ZERO WIDTH SPACE}", "")


@pytest.mark.parametrize(
    "text", ["BTC-USD", "BTC_USDT", "−0.52 % in 8 s, 2.1× (limit 0.25 %)", "+1.20 %", "A&B", "#1", "1.5"]
)
def test_what_has_no_meaning_inside_a_line_is_left_alone(text):
    assert in_markdown(text) == text


def test_nobody_is_mentioned_and_nothing_becomes_a_link():
    assert in_markdown("@everyone") == "@\u200beveryone"
    assert in_markdown("https://a.example") == "https:\u200b//a.example"


def test_every_template_is_there_and_there_is_no_other():
    folder = resources.files("tapewatch.dispatch") / "templates"
    assert {path.name for path in folder.iterdir()} == set(NAMES)


def test_examples_are_of_every_kind():
    assert {message.kind for message in examples()} == set(KINDS)
    rules = {alert.anomaly.rule for message in examples() for alert in message.alerts}
    assert {"pct_spike", "mean_reversion_break", "silent_feed", "tape_gap"} <= rules
    assert {alert.occasion for message in examples() for alert in message.alerts} == {"opened", "escalated", "ended"}


class Balance(HTMLParser):
    """Follows which elements are open."""

    VOID = ("br", "meta")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, _attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("message", examples(), ids=lambda message: message.kind)
def test_html_is_well_formed_and_asks_nobody_for_anything(message):
    html = render(environment(None), FORMATS["html"].format(message.kind), page(message, "http://a.example"))
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert not re.search(r"<(script|img|link|iframe|style)|url\(", html)
