"""One question per stage: who is told nothing, and why, in words that a person can read."""

import pytest
from msgspec.structs import replace

from support.alerts import T0, TERMS
from support.records import anomaly
from tapewatch.alert import Alert, Silence
from tapewatch.dispatch.stages import (
    Scene,
    Terms,
    Told,
    bar,
    great,
    inhibit,
    judge,
    key_of,
    mute,
    needed_size,
    not_left_out,
    reach,
    route,
    silence,
    weigh,
)
from tapewatch.model import NS, Lane

AT = T0 + 120 * NS
UP = "pct_spike up"


def alert(occasion: str = "opened", at: int = AT, **fields: object) -> Alert:
    lane = Lane("coinbase", str(fields.pop("symbol", "BTC-USD")))
    return Alert(1, "phone", occasion, at, anomaly(1, lane, **fields))  # type: ignore[arg-type]


def scene(terms: Terms = TERMS, **fields: object) -> Scene:
    return Scene(**{"terms": terms, "silences": (), "ill": {}, "told": {}, "named": {}, **fields})  # type: ignore[arg-type]


def told(at: int = T0, size: float = 4.0, key: str = UP) -> Scene:
    return scene(told={"coinbase:BTC-USD": {key: Told(at, size)}})


@pytest.mark.parametrize(
    ("terms", "fields", "reason"),
    [
        (TERMS, {"severity": "medium"}, "medium: this channel takes high severity only"),
        (Terms("phone", "medium"), {"severity": "low"}, "low: this channel takes medium severity and above"),
        (Terms("phone", rules=("silent_*",)), {}, "rule pct_spike: this channel takes silent_*"),
        (Terms("phone", symbols=("ETH-*", "SOL-USD")), {}, "symbol BTC-USD: this channel takes ETH-*, SOL-USD"),
        (Terms("phone", venues=("kraken",)), {}, "venue coinbase: this channel takes kraken"),
    ],
)
def test_a_channel_gets_what_is_routed_to_it(terms: Terms, fields: dict[str, object], reason: str) -> None:
    judged = route(alert(**fields), scene(terms))
    assert (judged.verdict, judged.reason) == ("unrouted", reason)


@pytest.mark.parametrize(
    "terms",
    [TERMS, Terms("phone", "low"), Terms("phone", rules=("pct_*",)), Terms("phone", symbols=("X", "BTC-*"))],
)
def test_what_is_routed_to_it_goes_on(terms: Terms) -> None:
    assert route(alert(), scene(terms)).verdict is None


def test_what_a_warm_start_fetched_is_news_only_if_it_is_recent() -> None:
    old = alert(history=True)
    judged = route(old, scene(now=AT + 61 * NS))
    assert (judged.verdict, judged.reason) == ("unrouted", "from before the start: its trades were fetched as history")
    assert route(old, scene(now=AT + 60 * NS)).verdict is None
    assert route(old, scene()).verdict is None


def test_the_end_of_what_was_not_told_is_not_told() -> None:
    ended = alert("ended")
    assert route(ended, scene()).reason == "the end of what was not told"
    assert route(ended, scene(named={ended.anomaly.id: AT})).verdict is None


def test_a_silence_holds_from_its_beginning_to_just_before_its_end() -> None:
    hush = Silence(3, AT, AT + 60 * NS, symbol="BTC-*", note="the Fed speaks")
    judged = silence(alert(), scene(silences=(hush,)))
    assert (judged.verdict, judged.reason) == (
        "silenced",
        "silenced by silence 3 (BTC-*) until 21:03:00: the Fed speaks",
    )
    assert silence(alert(at=AT - 1), scene(silences=(hush,))).verdict is None
    assert silence(alert(at=AT + 60 * NS), scene(silences=(hush,))).verdict is None
    assert silence(alert(symbol="ETH-USD"), scene(silences=(hush,))).verdict is None


@pytest.mark.parametrize(
    ("fields", "covers"),
    [
        ({}, True),
        ({"venue": "kraken"}, False),
        ({"rule": "abs_*"}, False),
        ({"rule": "pct_*"}, True),
        ({"severity": "low"}, False),
        ({"severity": "high"}, True),
    ],
)
def test_a_silence_covers_what_all_its_parts_match(fields: dict[str, object], covers: bool) -> None:
    hush = replace(Silence(1, 0, 2 * AT), **fields)
    assert (silence(alert(), scene(silences=(hush,))).verdict == "silenced") is covers


@pytest.mark.parametrize(("rule", "words"), [("silent_feed", "feed silent"), ("tape_gap", "trades missing")])
def test_a_sick_feed_holds_its_lanes_market_back_but_not_itself(rule: str, words: str) -> None:
    ill = scene(ill={"coinbase:BTC-USD": {"a": rule}})
    judged = inhibit(alert(), ill)
    assert (judged.verdict, judged.reason) == ("held", f"held back: {words}")
    assert inhibit(alert(symbol="ETH-USD"), ill).verdict is None
    assert inhibit(alert(kind="feed", rule="tape_gap"), ill).verdict is None


def test_a_rule_is_muted_on_a_symbol_and_in_a_direction_from_when_it_was_taken_up() -> None:
    judged = mute(alert(size=5.0), told())
    # Two minutes of a halving of three: 8 / 2^(2/3) = 5.04 times 0.25 %.
    assert (judged.verdict, judged.reason) == (
        "cooling",
        "muted until 22:00 or a move above 1.26 %: last sent 21:00 at 4.0×",
    )
    assert mute(alert(size=5.05), told()).verdict is None, "above the bar"
    assert mute(alert(at=T0 + 3_600 * NS), told()).verdict is None, "the hour is over"
    assert mute(alert(at=T0 + 3_600 * NS - 1), told()).verdict == "cooling"
    assert mute(alert(at=T0 - 1), told()).verdict is None, "a clock that was ahead once mutes nothing"
    assert mute(alert(direction="down"), told()).verdict is None
    assert mute(alert(symbol="ETH-USD"), told()).verdict is None
    assert mute(alert(rule="abs_jump"), told()).verdict is None
    assert mute(alert("ended"), told()).verdict is None


@pytest.mark.parametrize(
    ("fields", "above"),
    [
        ({"unit": "USD", "threshold": 30.0}, "a move above 151.19 USD"),
        ({"unit": "USD", "threshold": 5.5e-07}, "a move above 0.0000027718 USD"),
        ({"unit": "percent", "threshold": 0.25}, "a move above 1.26 %"),
    ],
)
def test_the_bar_is_said_in_the_rules_own_unit(fields: dict[str, object], above: str) -> None:
    assert f" or {above}: " in mute(alert(size=2.0, **fields), told()).reason


def test_the_bar_is_twice_what_was_told_and_halves_again_and_again_down_to_what_was_told_or_four() -> None:
    small, large, terms = Told(T0, 3.0), Told(T0, 40.0), TERMS
    minutes = (0, 3, 6, 9, 12, 15, 30)
    assert [bar(small, T0 + each * 60 * NS, terms) for each in minutes] == [6, 3, 3, 3, 3, 3, 3]
    assert [bar(large, T0 + each * 60 * NS, terms) for each in minutes] == [80, 40, 20, 10, 5, 4, 4]
    assert bar(large, T0, replace(terms, halving_ns=0)) == 4


def test_a_feed_is_muted_by_steps() -> None:
    feed = {"kind": "feed", "rule": "silent_feed", "direction": None, "size": None}
    before = told(size=2.0, key="silent_feed")
    assert mute(alert(escalation=1, **feed), before).reason == "muted until 22:00: last sent 21:00 at 2.0×"
    assert mute(alert(escalation=2, **feed), before).verdict is None


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [({"size": 1.99}, "small"), ({"size": 2.0}, None), ({"size": 1.0, "kind": "feed"}, None)],
)
def test_what_is_too_small_is_not_told_alone(fields: dict[str, object], verdict: str | None) -> None:
    assert weigh(alert(**fields), scene()).verdict == verdict


def test_a_rule_without_words_of_its_own_is_told_from_its_limit_on() -> None:
    assert weigh(alert(rule="another", size=1.0), scene(spent=1.0)).verdict is None


@pytest.mark.parametrize(
    ("terms", "spent", "needed"),
    [
        (TERMS, 0.0, 2.0),
        (TERMS, 0.25, 4.0),  # 2 × 4^½
        (TERMS, 1.0, 8.0),
        (Terms("phone", min_size=1.0), 0.25, 8**0.5),
        (Terms("phone", min_size=1.0), 1.0, 8.0),
        (Terms("phone", min_size=20.0), 1.0, 20.0),
        (Terms("phone", free_step=5), 1.0, 32.0),
    ],
)
def test_what_is_needed_rises_with_what_is_spent_up_to_what_is_told_at_any_price(
    terms: Terms, spent: float, needed: float
) -> None:
    assert needed_size(alert().anomaly, scene(terms, spent=spent), AT) == pytest.approx(needed)


@pytest.mark.parametrize(("ago_s", "needed"), [(0, 2.0), (60, 2.0), (61, 8.0), (-1, 8.0)])
def test_what_takes_back_what_was_just_told_pays_nothing(ago_s: int, needed: float) -> None:
    before = replace(told(AT - ago_s * NS), spent=1.0)
    assert needed_size(alert(direction="down").anomaly, before, AT) == pytest.approx(needed)
    assert needed_size(alert(direction="up").anomaly, before, AT) == pytest.approx(8.0), "the same again is none"


def test_great_moves_pass_what_mutes_and_what_weighs() -> None:
    everything = replace(told(AT, 1_000.0), spent=1.0)
    assert judge(alert(size=1.5, escalation=5), everything).verdict is None
    assert judge(alert(size=1.5, escalation=4), everything).verdict == "cooling"
    assert great(alert(escalation=5).anomaly, TERMS)
    assert not great(alert(escalation=5).anomaly, replace(TERMS, free_step=4))


def test_eight_times_its_limit_is_never_left_out_and_a_feed_has_no_size() -> None:
    assert [not_left_out(alert(size=size).anomaly, TERMS) for size in (7.9, 8.0)] == [False, True]
    assert not_left_out(alert(size=1.0, escalation=3).anomaly, TERMS), "it was as large once"
    assert not not_left_out(alert(kind="feed", size=None, escalation=9).anomaly, TERMS)
    assert reach(alert(kind="feed", size=None, escalation=3).anomaly) == 8


def test_a_direction_is_a_key_of_its_own_where_there_is_one() -> None:
    assert key_of(alert(direction="down").anomaly) == "pct_spike down"
    assert key_of(alert(rule="tape_gap", direction=None).anomaly) == "tape_gap"


def test_the_first_stage_that_objects_has_the_last_word() -> None:
    everything = scene(
        silences=(Silence(1, 0, 2 * AT),),
        ill={"coinbase:BTC-USD": {"a": "silent_feed"}},
        told={"coinbase:BTC-USD": {UP: Told(AT, 4.0)}},
    )
    assert judge(alert(severity="low"), everything).verdict == "unrouted"
    assert judge(alert(), everything).verdict == "silenced"
    assert judge(alert(), replace(everything, silences=())).verdict == "held"
    assert judge(alert(), replace(everything, silences=(), ill={})).verdict == "cooling"
    assert judge(alert(), scene()).verdict == "small"
    assert judge(alert(size=2.0), scene()).verdict is None
