import pytest

from support.views import anomaly, silence
from tapewatch import words
from tapewatch.detect.rules import RULES


def test_peak_is_in_percent_of_its_reference_for_every_market_rule():
    jump = anomaly("a", rule="abs_jump", unit="USD", peak_observed=-30.0, peak_reference_price=60_000.0)
    assert words.peak_words(jump) == "−0.05 %"
    assert words.peak_words(anomaly("b", peak_observed=12.085)) == "+12.09 %"


def test_feed_rules_have_a_peak_of_their_own():
    assert words.peak_words(silence("a", "BTC-USD", ago_s=60, seconds=47)) == "47 s"
    gap = anomaly("b", rule="tape_gap", kind="feed", unit="trades", peak_observed=7.0, threshold=1.0)
    assert words.peak_words(gap) == "7"
    assert words.moved(gap) == "misses 7 trades"


@pytest.mark.parametrize(
    ("peak", "pips"), [(0.25, 0), (0.4999, 0), (0.5, 1), (0.99, 1), (1.0, 2), (2.0, 3), (4.0, 4), (8.0, 5), (80.0, 5)]
)
def test_a_pip_is_a_doubling_of_the_limit(peak, pips):
    assert words.pips(anomaly("a", peak_observed=-peak, threshold=0.25)) == pips


@pytest.mark.parametrize(
    ("ratio", "text"), [(1.0, "1.0×"), (9.94, "9.9×"), (9.96, "10×"), (43.7, "44×"), (1200, "1,200×")]
)
def test_ratio(ratio, text):
    assert words.ratio_words(ratio) == text


def test_sentence_leaves_out_symbol_and_limit():
    assert words.sentence(anomaly("a")) == "fell 2.81 % in 0.9 s, from 19.385 to 18.841"
    assert words.sentence(silence("b", "BTC-USD", ago_s=60)) == "no frame from coinbase for 5.0 s"


def test_state_says_how_long_it_held():
    assert words.state_words(anomaly("a", ended=False)) == "open"
    assert words.state_words(anomaly("a", held_s=63)) == "ended, 63 s"


def test_detail_says_what_the_sentence_leaves_out():
    one = anomaly("a", held_s=240, triggers=1412, escalation=4, peak_observed=-7.06, peak_price=17.588)
    assert words.detail_parts(one, "21:31:22") == (
        "Peak −7.06 % at 21:31:22, price 17.588",
        "Held 4 min, true on 1,412 trades",
        "Escalated to 16× its limit",
        "Quality complete",
    )


def test_detail_of_a_single_trade_that_never_escalated():
    parts = words.detail_parts(anomaly("a", triggers=1, escalation=0, held_s=0), "21:31:22")
    assert parts[1:] == ("Held < 1 s, true on 1 trade", "Quality complete")


def test_moved_names_the_way():
    assert words.moved(anomaly("a", peak_observed=11.06, direction="up")) == "rose 11.06 %"
    stretch = anomaly(
        "b", rule="mean_reversion_break", direction="up", unit="USD", peak_observed=0.5, peak_reference_price=20.0
    )
    assert words.moved(stretch) == "stands 2.50 % above its mean"
    assert words.moved(silence("c", "BTC-USD", ago_s=60)) == "silent for 47 s"


def test_the_rules_are_those_that_detect():
    assert {rule.name: rule.words for rule in RULES} == words.RULES
    assert words.MEANINGS.keys() == words.RULES.keys()


def test_short_names_fit_the_terminal_column():
    assert max(len(name) for name in words.RULES_SHORT.values()) <= 14
    assert words.RULES_SHORT.keys() == words.RULES.keys()
