import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.letters import AT, breakout, dollar_jump, fast_move, gap, grown, over, silence, stretch
from tapewatch.dispatch import phrases
from tapewatch.model import NS

DAY = 86_400 * NS


@given(st.text(max_size=60))
def test_plain_text_is_one_short_printable_line(text):
    shown = phrases.plain(text)
    assert shown.isprintable()
    assert len(shown) <= phrases.NAME_MAX


def test_plain_text_says_what_it_left_out():
    assert phrases.plain("BTC-USD") == "BTC-USD"
    assert phrases.plain("A\nSubject: B\u202e") == "A�Subject: B�"
    assert phrases.plain("A" * 40) == "A" * 31 + "…"


@pytest.mark.parametrize(("count", "text"), [(1, "1 anomaly"), (2, "2 anomalies"), (1_412, "1,412 anomalies")])
def test_counting(count, text):
    assert phrases.count_words(count, "anomaly") == text


def test_names_are_listed_up_to_a_number():
    assert phrases.names_words(["A", "B", "C"], 3) == "A, B, C"
    assert phrases.names_words(["A", "B", "C", "D"], 2) == "A, B and 2 more"


@pytest.mark.parametrize(("ns", "text"), [(0, "in under 1 s"), (999_999_999, "in under 1 s"), (8 * NS, "in 8 s")])
def test_pace(ns, text):
    assert phrases.pace(fast_move(peak_left_ts=AT - ns)) == text


def test_what_has_no_beginning_has_no_pace():
    assert [phrases.pace(each) for each in (stretch(), silence(), gap())] == ["", "", ""]


def test_sizes_are_in_the_unit_of_their_rule_and_moves_compare():
    rows = (grown(), dollar_jump(), stretch(), silence(seconds=47), gap(), gap(trades=1))
    assert [phrases.size(each) for each in rows] == [
        "−8.31 %", "−141.03 USD (0.12 %)", "+5.07 %", "47 s silent", "7 trades missing", "1 trade missing",
    ]  # fmt: skip
    assert [phrases.move(each) for each in rows] == [
        "−8.31 %", "−0.12 %", "+5.07 %", "47 s silent", "7 missing", "1 missing",
    ]  # fmt: skip


def test_the_limit_stands_in_the_sentence_of_the_opening():
    assert phrases.limit(fast_move()) == "0.25 % in 10 s"
    assert phrases.limit(fast_move("A (limit 1)")) == "0.25 % in 10 s"
    assert phrases.limit(gap()) == ""


def test_what_stands_as_it_opened_is_told_by_its_own_sentence():
    assert phrases.sentence(fast_move(), AT) == fast_move().explain
    assert phrases.sentence(silence(), AT) == "no frame from coinbase for 5 s (limit 5 s)"


def test_what_has_grown_is_told_by_its_peak():
    assert phrases.sentence(grown(), AT) == "Peak at 14:58:12 UTC: from 0.24864 to 0.22798 in 6 s, 33× the limit"
    assert phrases.sentence(over(breakout()), AT).startswith("Peak at 14:58:01 UTC: from 21.390 to 21.416 in under 1 s")
    torn = fast_move(observed=0.26, peak_observed=0.51)  # several trades of one moment
    assert phrases.sentence(torn, AT).startswith("Peak at 14:58:01 UTC")
    mean = stretch(peak_ts=AT + NS, peak_observed=2.2e-06)
    assert (
        phrases.sentence(mean, AT)
        == "Peak at 14:58:02 UTC: 0.00001285 against its 60 s average of 0.00001223, 4.0× the limit"
    )
    silent = silence(seconds=20)
    assert phrases.sentence(silent, AT) == "No frame from coinbase since 14:57:56 UTC, for 20 s, 4.0× the limit"


def test_times_of_another_day_have_their_date():
    assert phrases.sentence(grown(), AT + DAY).startswith("Peak at 03-02 14:58:12 UTC")
    assert phrases.reached(grown(), AT + DAY).startswith("8× the limit at 03-02 14:58:03")


def test_escalation_is_told_by_moments_without_that_of_the_opening():
    assert phrases.reached(grown(), AT) == "8× the limit at 14:58:03, 32× at 14:58:12"
    assert phrases.reached(fast_move(), AT) == ""
    many = grown(escalated_ts=tuple(AT + step * NS for step in range(1, 9)))
    assert phrases.reached(many, AT).startswith("16× the limit at 14:58:05")
    assert phrases.reached(many, AT).count("×") == phrases.STEPS_MAX


def test_lines_beside_and_below():
    assert phrases.line(dollar_jump()) == "Dollar jump: fell 141.03 USD (0.12 %) in 3.7 s, 4.7× its limit"
    assert phrases.line(over(gap())) == "Missing trades: misses 7 trades, over"
    assert phrases.tail(over(grown(quality="gap")), 3, past=False) == "Fast move, 2 more, over, data missing"
    assert phrases.tail(over(grown()), 1, past=True) == "Fast move"


def test_open_ones_come_first_then_the_worst_then_what_is_furthest_over_its_limit():
    rows = [over(grown("A", -90.0)), stretch("B"), fast_move("C"), breakout("D"), grown("E")]
    assert [each.symbol for each in phrases.ranked(rows)] == ["E", "C", "D", "B", "A"]


def test_one_or_two_venues_are_named():
    rows = [silence(venue=name) for name in ("kraken", "coinbase", "kraken")]
    assert phrases.venues_words(rows) == "coinbase and kraken"
    assert phrases.venues_words([*rows, silence(venue="binance")]) == "3 venues"
