"""What letters look like, whole; after a wanted change: pytest tests/dispatch --snapshot-update, and read the files."""

import re

import pytest
from msgspec.structs import replace

from support.letters import (
    AT,
    DASHBOARD,
    NOON,
    ApprovedHtml,
    ApprovedMarkdown,
    ApprovedText,
    breakout,
    dollar_jump,
    fast_move,
    gap,
    grown,
    message,
    over,
    silence,
    stretch,
)
from tapewatch.alert import Began, HeldBack, Message
from tapewatch.dispatch.message import Writer, lead
from tapewatch.dispatch.telling import HELD_MAX
from tapewatch.dispatch.totals import Span
from tapewatch.errors import ConfigError
from tapewatch.model import NS

SYMBOLS = ("ADA-USD", "ATOM-USD", "BCH-USD", "BONK-USD", "CRV-USD", "DOGE-USD", "ENA-USD", "ETC-USD", "LINK-USD")

HOSTILE = "<b>*A*</b>_[x](http://e.example)\n@here|`"


def market(**fields: object) -> Message:
    moves = (-14.6, -12.09, 2.2, -7.06, -6.7, 1.85, -4.92, -3.11, -2.96)
    falls = [grown(symbol, percent) for symbol, percent in zip(SYMBOLS, moves, strict=True)]
    return message("market", *falls, stretch("DOGE-USD"), **fields)


def hour(**fields: object) -> Message:
    rows = [
        grown("ENA-USD", 16.86),
        stretch("ENA-USD"),
        over(grown("DOGE-USD", -14.62)),
        dollar_jump(),
        gap(),
        gap("A"),
    ]
    return message("digest", *rows, at=NOON, **fields)


ENA = "coinbase:ENA-USD"

BEGAN = {f"coinbase:{symbol}": Began(AT - 1_500 * NS, 0.4) for symbol in SYMBOLS}

HELD = HeldBack(
    AT - 600 * NS,
    34,
    0,
    (
        *(
            grown(symbol, percent, size=-percent * 4)
            for symbol, percent in zip(SYMBOLS, (-2.9, -2.1, -1.2), strict=False)
        ),
        dollar_jump(size=2.0),
        breakout(size=1.01),
        fast_move("ATOM-USD", size=1.0),
    ),
)


def spans(_lane: str, _since: int, _until: int) -> Span:
    return Span(low=0.2204, low_ts=AT - 240 * NS, high=0.4, high_ts=AT - 1_499 * NS, last=0.27504)


MESSAGES = {
    "fall": message("symbol", fast_move()),
    "rise": message(
        "symbol",
        fast_move(
            "LINK-USD",
            direction="up",
            peak_observed=0.27,
            observed=0.27,
            peak_price=21.448,
            peak_reference_price=21.39,
            peak_left_ts=AT - 300_000_000,
            peak_reference_ts=AT - 300_000_000,
            escalation=0,
            escalated_ts=(),
            explain="LINK-USD rose 0.27 % in 0.3 s, from 21.39 to 21.448 (limit 0.25 % in 10 s)",
        ),
    ),
    "escalated": message("symbol", grown()),
    "opened-and-escalated": message("symbol", fast_move(), grown()),
    "two-rules-on-one-trade": message("symbol", fast_move("BTC-USD"), dollar_jump(), breakout("BTC-USD")),
    "market-wide": market(),
    "market-wide-update": market(update=True),
    "second-symbol": message("market", fast_move("ETH-USD"), breakout("ETH-USD"), update=True, earlier=("BTC-USD",)),
    "third-and-fourth": message("market", fast_move("ADA-USD"), fast_move("BCH-USD"), update=True, earlier=SYMBOLS[3:]),
    "three-symbols": message("market", grown("DOGE-USD", -3.1), grown("ENA-USD", 2.2), stretch()),
    "silent-feed": message("symbol", silence()),
    "silent-feed-on-many": message("market", *(silence(symbol, 20, escalation=2) for symbol in SYMBOLS)),
    "silent-feed-over": message("market", *(over(silence(symbol, 47), 42) for symbol in SYMBOLS)),
    "missing-trades": message("symbol", gap()),
    "missing-trades-on-two": message("market", gap(), gap("ETH-USD", 12)),
    "mean": message("symbol", stretch()),
    "breakout": message("symbol", breakout()),
    "late": message("symbol", fast_move(quality="late")),
    "gap": message("symbol", grown(quality="gap")),
    "over": message("symbol", over(grown())),
    "two-venues": message("market", grown(), grown(venue="kraken", percent=-8.02)),
    "digest": hour(),
    "digest-with-a-note": hour(note="This goes back 3 h. 1,050 more in the next digests, one an hour."),
    "digest-of-days": message("digest", grown("ENA-USD", 16.86), over(dollar_jump()), at=NOON + 5 * 86_400 * NS),
    "sample": message("sample"),
    "hostile": message("symbol", fast_move(HOSTILE), stretch(HOSTILE, venue="<i>v</i>")),
    "hostile-list": message("market", grown(HOSTILE), grown("A", venue="<script>"), note="<b>*note*</b>"),
    "slide": message(
        "symbol", grown("ENA-USD", -12.56, size=33.0), began={ENA: Began(AT - 1_500 * NS, 0.4)}, held=HELD, update=True
    ),
    "slide-market-wide": market(began=BEGAN, held=HELD, update=True),
    "grown": message("symbol", grown=(grown("ENA-USD", -12.56, size=50.0),), at=AT + 60 * NS, update=True),
    "digest-with-held-back": hour(held=replace(HELD, count=1_234, silenced=7)),
    "forty-symbols": message("market", *(grown(f"COIN{number}-USD", -number / 4) for number in range(1, 41))),
}


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer(None, DASHBOARD)


@pytest.fixture(scope="module")
def unlinked() -> Writer:
    return Writer(None, "")


@pytest.mark.parametrize("name", MESSAGES)
def test_text(name, writer, snapshot):
    letter = writer.write(MESSAGES[name], spans)
    assert f"{letter.subject}\n\n{letter.text}\n" == snapshot(extension_class=ApprovedText)


def test_what_cannot_be_worded_is_told_in_bare_words(writer):
    letter = writer.bare(message("market", fast_move("A<b>"), fast_move("ETH-USD")))
    assert letter.subject == "Alert: A<b>, ETH-USD"
    assert "ETH-USD pct_spike" in letter.text
    assert "A&lt;b&gt;" in letter.html
    assert letter.key == writer.write(message("market", fast_move("A<b>"), fast_move("ETH-USD"))).key


@pytest.mark.parametrize("name", MESSAGES)
def test_markdown(name, writer, snapshot):
    assert f"{writer.write(MESSAGES[name], spans).markdown}\n" == snapshot(extension_class=ApprovedMarkdown)


@pytest.mark.parametrize("name", MESSAGES)
def test_html(name, writer, snapshot):
    assert f"{writer.write(MESSAGES[name], spans).html}\n" == snapshot(extension_class=ApprovedHtml)


def test_messages_that_waited_go_out_as_one_that_names_them_all(writer):
    letters = [(AT + number * 60 * NS, writer.write(MESSAGES[name])) for number, name in enumerate(("fall", "hostile"))]
    whole = writer.bundle(letters)
    assert whole.subject == "2 messages that could not be delivered before, 14:58:01–14:59:01"
    for at, (_, letter) in zip(("14:58:01", "14:59:01"), letters, strict=True):
        assert f"{at}  {letter.subject}" in whole.text
    assert whole.text.endswith(f"{DASHBOARD}/?page=alerts")
    assert whole.html.startswith("<ul><li>14:58:01  ")
    assert "<b>*A*" not in whole.html
    assert "@here" not in whole.markdown
    assert whole.key not in {letter.key for _, letter in letters}
    many = writer.bundle(letters * 60)
    assert "… and 20 more" in many.text
    assert len(many.text.splitlines()) == 103


@pytest.mark.parametrize("name", MESSAGES)
def test_subjects_fit_a_line_and_lists_a_screen(name, writer):
    letter = writer.write(MESSAGES[name], spans)
    assert len(letter.subject) <= 90
    assert "\n" not in letter.subject
    listed = [line for line in letter.text.splitlines() if not line.startswith("  since ")]
    assert len(listed) <= 18 + (HELD_MAX + 2 if MESSAGES[name].held else 0)
    assert len(letter.markdown) <= 2_000


def test_the_key_is_that_of_the_message_and_of_no_other(writer, unlinked):
    opened, escalated = message("symbol", fast_move()), message("symbol", grown())
    keys = [
        writer.write(each).key
        for each in (
            opened,
            escalated,
            replace(opened, channel="other"),
            replace(opened, kind="market"),
            replace(opened, alerts=(*opened.alerts, *escalated.alerts)),
            message("sample"),
            message("sample", at=NOON + NS),
        )
    ]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)
    assert unlinked.write(replace(opened, number=8, at=opened.at + NS, note="again")).key == keys[0]


def test_the_lead_is_what_is_furthest_over_its_limit_of_one_symbol_and_the_largest_of_several():
    assert lead(MESSAGES["two-rules-on-one-trade"]).rule == "abs_jump"
    assert lead(message("symbol", stretch("A", peak_observed=1.0), fast_move("A"))).rule == "pct_spike", (
        "severity first"
    )
    assert lead(message("symbol", over(grown()), breakout())).rule == "vol_breakout", "what is open first"
    assert lead(MESSAGES["forty-symbols"]).symbol == "COIN40-USD"
    assert lead(message("symbol", fast_move(), grown())).escalation == 5, "as it stood last"


def test_links_lead_to_the_anomaly(writer):
    letter = writer.write(message("symbol", fast_move(id="8d1f")))
    assert all(f"{DASHBOARD}/?anomaly=8d1f" in body for body in (letter.text, letter.markdown, letter.html))
    digest = writer.write(hour())
    assert digest.text.endswith(DASHBOARD)


def test_a_link_is_a_link_whatever_its_address():
    letter = Writer(None, 'http://a.example/x(1)"><b>/').write(message("symbol", fast_move(id="1&2)")))
    assert letter.text.endswith("http://a.example/x%281%29%22%3E%3Cb%3E/?anomaly=1%262%29")


@pytest.mark.parametrize("name", MESSAGES)
def test_no_dashboard_no_links(name, unlinked):
    letter = unlinked.write(MESSAGES[name])
    assert "anomaly=" not in f"{letter.text}{letter.markdown}{letter.html}"
    assert "href" not in letter.html
    assert "](" not in letter.markdown.replace("\\](", "")


def test_what_comes_from_data_is_escaped(writer):
    letter = writer.write(MESSAGES["hostile"])
    assert "<b>*A*" not in letter.html
    assert "&lt;b&gt;*A*" in letter.html
    assert "\\<b\\>\\*A\\*" in letter.markdown
    assert "@here" not in letter.markdown
    assert "//e.example" not in letter.markdown.replace("\N{ZERO WIDTH SPACE}//", "")
    assert "\n@" not in f"{letter.subject}{letter.text}"


@pytest.fixture
def folder(tmp_path):
    def make(**files: str):
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        return tmp_path

    return make


def test_a_persons_template_wins_file_by_file(folder, writer):
    mine = folder(symbol__md="{{ lead.name }} {{ lead.move }}\n", symbol__subject__txt="{{ subject }}\n!\n")
    (mine / ".hidden").write_text("{{ of no concern }}")
    letter, ours = Writer(mine, DASHBOARD).write(MESSAGES["fall"]), writer.write(MESSAGES["fall"])
    assert letter.markdown == "DOGE-USD −0.52 %"
    assert letter.subject == "▼▼ DOGE-USD fell 0.52 % in 8.2 s, 2.1× the limit !"
    assert (letter.text, letter.html) == (ours.text, ours.html)


def test_a_persons_frame_stands_around_our_bodies(folder):
    mine = Writer(folder(frame__html="<main>{% block body %}{% endblock %}</main>"), DASHBOARD)
    assert mine.write(MESSAGES["fall"]).html.startswith("<main><p")


def test_a_persons_template_is_escaped_too(folder):
    mine = folder(symbol__md="**{{ lead.symbol }}** {% set a %}{{ lead.symbol }}{% endset %}{{ a }} {{ '*' }}")
    assert Writer(mine, "").write(message("symbol", fast_move("<A>"))).markdown == "**\\<A\\>** \\<A\\> \\*"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"symbol__md": "a\n\n{{ pirce }}"},
            "/symbol.md line 3: no field 'pirce'; did you mean 'lead.price'? fields: kind",
        ),
        (
            {"symbol__md": "a\n{{ lead.pirce }}"},
            "/symbol.md line 2: no field 'pirce'; did you mean 'price'? fields: name",
        ),
        (
            {"market__html": "{% if update and not update %}{{ rwos }}{% endif %}"},
            "/market.html line 1: no field 'rwos'",
        ),
        ({"digest__text__txt": "x\n{% if %}"}, "/digest.text.txt line 2: Expected an expression"),
        ({"sample__md": "{{ 1 / 0 }}"}, "/sample.md line 1: division by zero"),
        ({"symbol__md": "{{ lead.__class__ }}"}, "/symbol.md line 1: access to attribute '__class__'"),
        ({"symbol__html": "{% include 'secret.html' %}"}, "/symbol.html line 1: there is no template 'secret.html'"),
        (
            {"symbl__md": "x"},
            "/symbl.md: no template has this name; did you mean 'symbol.md'? templates: symbol.subject",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_template_that_cannot_be_used_is_refused_at_once(files, told, folder, tmp_path):
    with pytest.raises(ConfigError) as refused:
        Writer(folder(**files), DASHBOARD)
    assert f"alerts.templates: {tmp_path}{told}" in str(refused.value)


def test_a_template_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "symbol.md"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=f"alerts.templates: {path}: expected UTF-8, found other bytes"):
        Writer(tmp_path, "")
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=f"alerts.templates: {path} cannot be read: Is a directory"):
        Writer(tmp_path, "")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=f"alerts.templates: expected a folder, found none at {tmp_path}/x"):
        Writer(tmp_path / "x", "")


def test_a_template_that_fails_later_gives_way_to_ours(folder):
    # No example has this symbol, so that it is found only when it matters.
    late = "{% if lead.symbol == 'BTC-USD' %}{{ 1 / 0 }}{% endif %}fine"
    mine = Writer(folder(symbol__text__txt=late, symbol__subject__txt=late), DASHBOARD)
    assert mine.write(message("symbol", fast_move())).text == "fine"
    letter = mine.write(message("symbol", fast_move("BTC-USD")))
    assert letter.subject == "▼▼ BTC-USD fell 0.52 % in 8.2 s, 2.1× the limit"
    told, empty, first, *_ = letter.text.splitlines()
    assert told == "The template symbol.text.txt failed (division by zero); this is tapewatch's own."
    assert not empty
    assert first.startswith("◆ BTC-USD fell 0.52 %")
