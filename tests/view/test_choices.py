import pytest

from tapewatch.errors import ConfigError
from tapewatch.view.choices import filter_of
from tapewatch.view.queries import Filter


def test_nothing_given_is_the_last_hour():
    assert filter_of() == Filter()


def test_words():
    wanted = filter_of(
        severities=["High", "low"],
        types=["fast-move", "Missing trades", "vol_breakout"],
        directions=["UP"],
        symbols=["btc-usd"],
        last="24h",
    )
    assert wanted == Filter(("high", "low"), ("pct_spike", "tape_gap", "vol_breakout"), ("up",), ("BTC-USD",), 86_400)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("5 min", 300), ("1h", 3_600), ("7d", 604_800), ("all", None)]
)
def test_spans(text, seconds):
    assert filter_of(last=text).recency_s == seconds


@pytest.mark.parametrize("text", ["", "0m", "5", "h", "-1h", "1.5h", "99999999d"])
def test_no_span(text):
    with pytest.raises(ConfigError, match=r"--last expects a span such as 5m, 1h, 24h or 7d, or all, found"):
        filter_of(last=text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"severities": ["hihg"]}, "--severity expects high, medium or low, found 'hihg'; did you mean high?"),
        ({"severities": ["x"]}, "--severity expects high, medium or low, found 'x'"),
        ({"directions": ["left"]}, "--direction expects up or down, found 'left'"),
        ({"types": ["fast-mov"]}, "found 'fast-mov'; did you mean fast-move?"),
    ],
)
def test_a_wrong_word_is_told_with_the_right_ones(given, message):
    with pytest.raises(ConfigError) as told:
        filter_of(**given)
    assert str(told.value).endswith(message)
