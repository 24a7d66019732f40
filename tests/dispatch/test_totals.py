"""How far an event has carried a symbol and the market, by hand."""

import pytest

from support.alerts import T0
from tapewatch.alert import Began
from tapewatch.dispatch.totals import (
    LANES_MAX,
    Span,
    Total,
    market_words,
    nowhere,
    row_words,
    total_of,
    total_words,
    totals_of,
)
from tapewatch.model import NS

ENA = "coinbase:ENA-USD"
NOW = T0 + 1_800 * NS
"""21:30:00."""


def total(now: float, most: float, most_s: float = 600, lane: str = ENA, since: int = T0) -> Total:
    return Total(lane, since, now, most, T0 + round(most_s * NS))


@pytest.mark.parametrize(
    ("span", "now", "most", "most_ts"),
    [
        (Span(low=0.25, low_ts=3, high=0.41, high_ts=1, last=0.3), -25.0, -37.5, 3),  # fell by three eighths
        (Span(low=0.39, low_ts=3, high=0.6, high_ts=5, last=0.42), 5.0, 50.0, 5),
        (Span(low=0.2, low_ts=3, high=0.6, high_ts=5, last=0.4), 0.0, -50.0, 3),  # as far both ways
        (Span(low=0.4, low_ts=2, high=0.4, high_ts=2, last=0.4), 0.0, 0.0, 2),
    ],
)
def test_a_total_is_in_percent_of_the_beginning_now_and_at_most(
    span: Span, now: float, most: float, most_ts: int
) -> None:
    found = total_of(ENA, Began(T0, 0.4), NOW, lambda *_: span)
    assert found == Total(ENA, T0, pytest.approx(now), pytest.approx(most), most_ts)


def test_what_is_not_known_has_no_total() -> None:
    assert total_of(ENA, Began(T0, 0.4), NOW, nowhere) is None
    assert total_of(ENA, Began(T0, 0.0), NOW, lambda *_: Span(1, 1, 1, 1, 1)) is None, "a feed has no price"


def test_prices_are_asked_for_from_the_beginning_until_now_of_a_number_of_lanes() -> None:
    asked = []

    def spans(lane: str, since: int, until: int) -> Span | None:
        asked.append((lane, since, until))
        return None if lane == "coinbase:S1" else Span(1.5, 1, 3.0, 2, 2.0)

    began = {f"coinbase:S{number}": Began(T0 + number, 2.0) for number in range(LANES_MAX + 5)}
    found = totals_of(began, NOW, spans)
    assert asked == [(f"coinbase:S{number}", T0 + number, NOW) for number in range(LANES_MAX)]
    assert len(found) == LANES_MAX - 1
    assert found["coinbase:S0"] == Total("coinbase:S0", T0, 0.0, 50.0, 2)


def test_a_total_says_now_and_the_most() -> None:
    assert total_words(total(-31.24, -44.9, 1_294), NOW) == "now −31.24 %, at most −44.90 % at 21:21:34"
    assert row_words(total(-31.24, -44.9, 1_294), NOW) == "since 21:00 in all −31.24 %, at most −44.90 % at 21:21"


def test_the_most_is_not_said_twice() -> None:
    assert total_words(total(-44.9, -44.905), NOW) == "now −44.90 %, the most so far"
    assert row_words(total(-44.9, -44.905), NOW) == "since 21:00 in all −44.90 %"


def test_times_of_another_day_have_their_date() -> None:
    tomorrow = NOW + 86_400 * NS
    assert total_words(total(1.0, 2.0), tomorrow) == "now +1.00 %, at most +2.00 % at 10-10 21:10:00"
    assert row_words(total(1.0, 1.0), tomorrow) == "since 10-10 21:00 in all +1.00 %"


def test_a_market_is_its_symbols_middle_and_what_went_furthest() -> None:
    totals = {
        "coinbase:A": total(-2.0, -4.0, lane="coinbase:A", since=T0 + NS),
        "coinbase:B": total(-1.0, -9.5, 61, lane="coinbase:B"),
        "coinbase:C": total(5.0, 6.0, lane="coinbase:C", since=T0 + 2 * NS),
    }
    assert market_words(totals, NOW) == (
        "since 21:00:00: the median of 3 symbols is −1.00 % now; B went furthest, −9.50 % at 21:01:01"
    )
    assert market_words(dict(list(totals.items())[:1]), NOW) == ""
    assert market_words({}, NOW) == ""
