import pytest

from support.views import NOW, anomaly, silence
from tapewatch import words
from tapewatch.detect.rules import RULES
from tapewatch.model import NS


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


def move(**fields):
    """Make a fall from 114,210.00 to 111,880.12 as it was at its peak, after an opening of 0.26 %."""
    at = NOW - 60 * NS
    plain = {
        "observed": -0.26, "price": 113_913.05, "peak_observed": -2.04, "peak_price": 111_880.12,
        "peak_reference_price": 114_210.0, "peak_ts": at, "peak_reference_ts": at - 9 * NS,
        "peak_left_ts": at - 2_340_000_000, "size": 8.16, "symbol": "BTC-USD",
        "explain": "BTC-USD fell 0.26 % in 1.6 s, from 114,210.00 to 113,913.05 (limit 0.25 % in 10 s)",
    }  # fmt: skip
    return anomaly("move", **plain | fields)


def test_the_sentence_is_the_peaks_and_agrees_with_what_stands_beside_it():
    assert words.sentence(move()) == "fell 2.04 % in 2.3 s, from 114,210.00 to 111,880.12"
    assert words.peak_words(move()) == "−2.04 %"
    assert words.full_sentence(move()) == (
        "BTC-USD fell 2.04 % in 2.3 s, from 114,210.00 to 111,880.12 (limit 0.25 % in 10 s)"
    )


@pytest.mark.parametrize(
    ("left_s", "reference_s", "size", "said"),
    [
        (0.5, 9.9, 8.16, "in under 1 s"),  # a jump after nine quiet seconds
        (0.0, 9.9, 8.16, "in under 1 s"),
        (6.0, 9.9, 8.16, "in 6 s"),
        (0.5, 43.0, 3.93, "from its last trade 43 s before"),  # the window began in silence
        (0.5, 180.0, 1.92, "from its last trade 3 min before"),
        (None, 8.2, 8.16, "within 8.2 s"),
        (None, 0.4, 8.16, "within 1 s"),
        (None, 240.0, 8.16, "within 4 min"),  # a slow move
    ],
)
def test_the_pace_is_that_of_the_move_and_not_the_age_of_a_trade(left_s, reference_s, size, said):
    at = move().peak_ts
    left = None if left_s is None else at - round(left_s * NS)
    one = move(peak_left_ts=left, peak_reference_ts=at - round(reference_s * NS), size=size)
    assert words.sentence(one) == f"fell 2.04 % {said}, from 114,210.00 to 111,880.12"


def test_what_is_measured_in_money_has_its_percent_beside():
    jump = move(rule="abs_jump", unit="USD", peak_observed=-2_329.88, threshold=30.0, size=None)
    assert words.sentence(jump) == "fell 2,329.88 USD (2.04 %) in 2.3 s, from 114,210.00 to 111,880.12"


def test_a_breakout_is_said_in_percent_of_the_last_second():
    tiny = {
        "rule": "vol_breakout", "unit": "USD", "direction": "up", "threshold": 1e-7, "reference_price": 0.00001212,
        "peak_observed": 2.2e-7, "peak_price": 0.00001234, "peak_reference_price": 0.00001212, "peak_left_ts": None,
    }  # fmt: skip
    at = move().peak_ts
    one = move(**tiny, peak_reference_ts=at - NS // 2)
    assert words.sentence(one) == "rose 1.82 % in under 1 s, from 0.00001212 to 0.00001234"
    assert words.limit_words(one) == "0.83 %"
    late = move(**tiny, peak_reference_ts=at - 40 * NS)
    assert words.sentence(late) == "rose 1.82 % from its last trade 40 s before, from 0.00001212 to 0.00001234"


def test_a_stretch_is_said_in_percent_of_its_average():
    stretch = {
        "rule": "mean_reversion_break", "unit": "USD", "threshold": 0.03, "peak_observed": -0.038,
        "reference_price": 18.632, "peak_reference_price": 18.632, "peak_price": 18.594,
        "explain": "BTC-USD stands 0.038 below its 60-second mean of 18.632 (limit 0.030)",
    }  # fmt: skip
    assert words.sentence(move(**stretch)) == "0.20 % below its 60 s average of 18.632, at 18.594"
    assert words.full_sentence(move(**stretch)) == (
        "BTC-USD stands 0.20 % below its 60 s average of 18.632, at 18.594 (limit 0.16 %)"
    )


def test_a_round_price_does_not_round_its_average_away():
    stretch = {
        "rule": "mean_reversion_break", "unit": "USD", "threshold": 1e-7, "peak_observed": -3.21e-7,
        "peak_reference_price": 0.000010321, "peak_price": 0.00001,
    }  # fmt: skip
    assert words.sentence(move(**stretch)) == "3.11 % below its average of 0.00001032, at 0.00001000"


def test_a_silence_is_said_as_long_as_it_has_lasted():
    assert words.sentence(silence("b", "BTC-USD", ago_s=60)) == "no frame from coinbase for 47 s"
    assert words.sentence(silence("b", "BTC-USD", ago_s=60, seconds=720)) == "no frame from coinbase for 12 min"
    assert words.full_sentence(silence("b", "9 symbols", ago_s=60)) == (
        "no frame from coinbase for 47 s, on 9 symbols (limit 5 s)"
    )


def test_a_gap_is_said_by_the_largest_of_them():
    gap = {
        "rule": "tape_gap", "kind": "feed", "unit": "trades", "threshold": 1.0, "observed": 499.0,
        "explain": "499 trades missing, ids 1201 to 1699", "triggers": 1, "peak_price": None,
    }  # fmt: skip
    assert words.sentence(move(**gap, peak_observed=499.0)) == "499 trades missing, ids 1201 to 1699"
    larger = move(**gap | {"triggers": 3}, peak_observed=785.0)
    assert words.sentence(larger) == "785 trades missing in the largest of 3 gaps"
    assert words.peak_words(larger) == "785"
    assert words.over_limit_words(larger) == "3 gaps"


def test_the_size_is_that_of_the_record_and_feed_rules_have_none():
    assert words.size_words(move(size=1.92)) == "1.9×"
    assert words.size_words(move(size=None)) == "8.2×"  # of before there were sizes
    assert words.size_words(silence("b", "BTC-USD", ago_s=60)) == ""
    rows = [silence("s", "BTC-USD", ago_s=60, seconds=470), move(size=2.0), move(size=9.0)]
    assert [each.size for each in sorted(rows, key=words.size_rank)] == [9.0, 2.0, None]


def test_state_says_how_long_it_held():
    assert words.state_words(anomaly("a", ended=False)) == "open"
    assert words.state_words(anomaly("a", held_s=63)) == "ended, 63 s"


def test_detail_says_what_the_sentence_leaves_out():
    one = anomaly("a", held_s=240, triggers=1412, peak_observed=-7.06, peak_price=17.588)
    assert words.detail_parts(one, "21:31:22") == (
        "Peak −7.06 % at 21:31:22, price 17.588",
        "Lasted 4 min",
        "1,412 trades over the limit",
        "28× its limit",
        "No data missing",
    )


def test_detail_of_a_single_trade_that_goes_on():
    parts = words.detail_parts(anomaly("a", triggers=1, held_s=0, ended=False, quality="late"), "21:31:22")
    assert parts[1:] == (
        "Lasts < 1 s so far",
        "1 trade over the limit",
        "11× its limit",
        "The trade came more than 10 s after it happened",
    )


def test_moved_names_the_way():
    assert words.moved(anomaly("a", peak_observed=11.06, direction="up")) == "rose 11.06 %"
    stretch = anomaly(
        "b", rule="mean_reversion_break", direction="up", unit="USD", peak_observed=0.5, peak_reference_price=20.0
    )
    assert words.moved(stretch) == "stands 2.50 % above its average"
    assert words.moved(silence("c", "BTC-USD", ago_s=60)) == "silent for 47 s"


def test_the_rules_are_those_that_detect():
    assert {rule.name: rule.words for rule in RULES} == words.RULES
    assert words.MEANINGS.keys() == words.RULES.keys()


def test_short_names_fit_the_terminal_column():
    assert max(len(name) for name in words.RULES_SHORT.values()) <= 14
    assert words.RULES_SHORT.keys() == words.RULES.keys()
