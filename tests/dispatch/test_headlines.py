import pytest
from msgspec.structs import replace

from support.letters import AT, NOON, breakout, dollar_jump, fast_move, gap, grown, message, over, silence, stretch
from tapewatch.alert import Message
from tapewatch.dispatch.headlines import grouped, span
from tapewatch.dispatch.telling import page
from tapewatch.model import NS

calm = {"escalation": 0, "escalated_ts": ()}

HOUR = 3_600 * NS


def falls(*percents: float, **fields: object) -> tuple:
    return tuple(grown(f"C{number}", percent, **fields) for number, percent in enumerate(percents, 1))


SYMBOL = [
    (message("symbol", fast_move(**calm)), "▼ DOGE-USD fell 0.52 % in 8.2 s"),
    (message("symbol", fast_move(**calm, direction="up")), "▲ DOGE-USD rose 0.52 % in 8.2 s"),
    (message("symbol", fast_move()), "▼▼ DOGE-USD fell 0.52 % in 8.2 s, 2.1× the limit"),
    (message("symbol", grown()), "▼▼ DOGE-USD now −8.31 %, 33× the limit"),
    (message("symbol", fast_move(**calm), grown()), "▼▼ DOGE-USD fell 8.31 % in 6 s, 33× the limit"),
    (message("symbol", over(grown())), "✓ DOGE-USD fast move over, peak −8.31 %, held 4 min"),
    (message("symbol", over(grown()), breakout()), "▲ LINK-USD rose 0.12 % in under 1 s"),
    (message("symbol", stretch(**calm)), "▲ PEPE-USD stands 5.07 % above its 60 s average"),
    (
        message("symbol", stretch(peak_ts=AT + NS, escalation=3, peak_observed=5e-06)),
        "▲▲ PEPE-USD now +40.88 % from its 60 s average, 9.1× the limit",
    ),
    (message("symbol", dollar_jump(**calm)), "▼ BTC-USD fell 141.03 USD (0.12 %) in 3.7 s"),
    (message("symbol", dollar_jump(peak_ts=AT + NS)), "▼▼ BTC-USD now −141.03 USD (0.12 %), 4.7× the limit"),
    (message("symbol", silence()), "‖ BTC-USD: coinbase silent for 5 s"),
    (message("symbol", silence(seconds=20, escalation=2)), "‖‖ BTC-USD: coinbase silent for 20 s, 4.0× the limit"),
    (message("symbol", over(silence(seconds=47))), "✓ BTC-USD: coinbase sends again after 47 s"),
    (message("symbol", gap(trades=1)), "‖ BTC-USD: 1 trade missing at coinbase"),
    (message("symbol", over(gap(), 12)), "✓ BTC-USD: gap of 7 trades closed after 12 s"),
]

MARKET = [
    (message("market", *falls(-3.1, 2.2)), "▼▼ C1 −3.10 %, C2 +2.20 %"),
    (message("market", *falls(-3.1, 4.2), update=True), "▲▲ Update: C2 +4.20 %, C1 −3.10 %"),
    (message("market", fast_move("A", **calm), fast_move("B", **calm), update=True), "▼ Also A −0.52 %, B −0.52 %"),
    (message("market", *falls(-1, -2, -3, -4)), "▼▼ Market-wide: 4 symbols fell, C4 −4.00 % most"),
    (message("market", *falls(-1, -2, 3, 4)), "▼▲ Market-wide: 2 symbols fell, 2 rose, C4 +4.00 % most"),
    (message("market", *falls(1, -2, 3, 4)), "▲▲ Market-wide: 3 symbols rose, 1 fell, C4 +4.00 % most"),
    (message("market", *falls(-1, -2, -3, -4), update=True), "▼▼ Market-wide, update: 4 symbols fell, C4 −4.00 % most"),
    (
        message("market", *(fast_move(name, **calm) for name in "ABCD"), update=True),
        "▼ Market-wide: also 4 symbols fell, A −0.52 % most",
    ),
    (message("market", *map(over, falls(-1, -2, -3, -4))), "✓ Over on 4 symbols, C4 −4.00 % was the most"),
    (message("market", *map(over, falls(-1, -2))), "✓ Over: C2 −2.00 %, C1 −1.00 %"),
    (message("market", over(falls(-9)[0]), *falls(1, 2, 3)[1:]), "▲▲ C1 −9.00 %, C3 +3.00 %, C2 +2.00 %"),
    (message("market", *map(over, falls(-1, -2)), update=True), "✓ Over: C2 −2.00 %, C1 −1.00 %"),
    (message("market", *map(over, falls(-1, -2, -3, -4)), update=True), "✓ Over on 4 symbols, C4 −4.00 % was the most"),
    (message("market", silence("A"), silence("B")), "‖ coinbase silent on 2 symbols for 5 s"),
    (
        message("market", silence("A"), silence("B", 11, venue="kraken", escalation=1)),
        "‖‖ coinbase and kraken silent on 2 symbols for 11 s, 2.2× the limit",
    ),
    (
        message("market", silence("A"), silence("B"), over(silence("C", 47))),
        "‖ coinbase silent on 2 symbols for 5 s",
    ),
    (
        message("market", over(silence("A", 47)), over(silence("B", 46))),
        "✓ coinbase sends again on 2 symbols after 47 s",
    ),
    (message("market", gap("A"), gap("B", 12)), "‖ Trades missing on 2 symbols, 12 on B"),
    (message("market", over(gap("A")), over(gap("B", 12))), "✓ Trades no longer missing on 2 symbols"),
    (
        message("market", silence("A"), silence("B"), gap("C")),
        "‖ coinbase silent on 2 symbols for 5 s; C: 7 trades missing at coinbase",
    ),
    (
        message("market", fast_move("A", **calm), gap("B")),
        "▼ A −0.52 %; B: 7 trades missing at coinbase",
    ),
]

DIGEST = [
    (message("digest", *falls(-1, 2), at=NOON), "Digest 14:00–15:00: 2 anomalies on 2 symbols, largest C2 +2.00 %"),
    (message("digest", fast_move(), at=NOON), "Digest 14:00–15:00: 1 anomaly on DOGE-USD, largest −0.52 %"),
    (
        message("digest", over(falls(-9)[0]), fast_move("C1", id="small", **calm), at=NOON),
        "Digest 14:00–15:00: 2 anomalies on C1, largest −9.00 %",
    ),
    (
        message("digest", fast_move(), at=NOON + 120 * HOUR),
        "Digest 03-02 14:00–03-07 15:00: 1 anomaly on DOGE-USD, largest −0.52 %",
    ),
    (message("digest", gap(), at=NOON), "Digest 14:00–15:00: 1 anomaly on BTC-USD, largest 7 missing"),
]


@pytest.mark.parametrize(
    ("told", "subject"), SYMBOL + MARKET + DIGEST, ids=lambda value: value if str(value) == value else ""
)
def test_subject(told, subject):
    assert page(told, "").subject == subject


def test_a_digest_says_which_hours_it_covers_or_else_which_minutes():
    first = message("digest", fast_move()).alerts  # of 14:58:01
    assert span(Message(1, "desk", "digest", NOON, first)) == ("14:00", "15:00")
    assert span(Message(1, "desk", "digest", NOON + 2 * HOUR + NS, first)) == ("14:00", "17:00")
    assert span(Message(1, "desk", "digest", NOON + 754 * NS, first)) == ("14:58", "15:12")


def test_a_digest_of_several_days_says_which_and_midnight_belongs_to_the_day_before():
    first = message("digest", fast_move()).alerts
    assert span(Message(1, "desk", "digest", NOON + 9 * HOUR, first)) == ("14:00", "00:00")
    assert span(Message(1, "desk", "digest", NOON + 10 * HOUR, first)) == ("03-02 14:00", "03-03 01:00")
    assert span(Message(1, "desk", "digest", NOON + 9 * HOUR + 754 * NS, first)) == ("03-02 14:58", "03-03 00:12")
    assert span(Message(1, "desk", "digest", NOON + 129 * HOUR, first)) == ("03-02 14:00", "03-08 00:00")


def test_lines_of_a_list_are_symbols_and_silences():
    rows = [
        fast_move("A"),
        stretch("A"),
        gap("A"),
        silence("A"),
        silence("B"),
        silence("C", venue="kraken"),
        stretch("D"),
    ]
    groups = [[each.id for each in group] for group in grouped(rows)]
    assert groups == [
        ["coinbase-A-fast", "A-stretch"],
        ["D-stretch"],
        ["coinbase-A-silent", "coinbase-B-silent"],
        ["kraken-C-silent"],
        ["A-gap"],
    ]


def test_a_line_is_told_by_the_worst_and_of_these_by_the_largest_open_or_not():
    rows = [over(grown()), replace(fast_move(), id="open"), replace(grown("DOGE-USD", -40.0), id="low", severity="low")]
    assert [each.peak_observed for each in grouped(rows)[0]] == [-8.31, -0.52, -40.0]
