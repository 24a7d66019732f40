"""One question per stage: who is told nothing, and why, in words that a person can read."""

import pytest
from msgspec.structs import replace

from support.alerts import T0, TERMS
from support.records import anomaly
from tapewatch.alert import Alert, Silence
from tapewatch.dispatch.stages import Scene, Terms, Told, cool_down, inhibit, judge, route, silence
from tapewatch.model import NS, Lane

AT = T0 + 120 * NS


def alert(occasion: str = "opened", at: int = AT, **fields: object) -> Alert:
    lane = Lane("coinbase", str(fields.pop("symbol", "BTC-USD")))
    return Alert(1, "phone", occasion, at, anomaly(1, lane, **fields))  # type: ignore[arg-type]


def scene(terms: Terms = TERMS, **fields: object) -> Scene:
    return Scene(**{"terms": terms, "silences": (), "ill": {}, "told": {}, "named": {}, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "fields", "reason"),
    [
        (TERMS, {"severity": "medium"}, "medium: this channel takes high alone"),
        (Terms("phone", "medium"), {"severity": "low"}, "low: this channel takes medium and above"),
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


def test_a_rule_on_a_symbol_cools_down_from_when_it_was_taken_up() -> None:
    told = scene(told={"coinbase:BTC-USD": {"pct_spike": Told(T0, 2)}})
    judged = cool_down(alert(escalation=2), told)
    assert (judged.verdict, judged.reason) == (
        "cooling",
        "cooling down until 22:00:00: taken up at 21:00:00, 4× the limit",
    )
    assert cool_down(alert(escalation=3), told).verdict is None, "an escalation above the last one told"
    assert cool_down(alert(at=T0 + 3_600 * NS), told).verdict is None, "the hour is over"
    assert cool_down(alert(at=T0 + 3_600 * NS - 1), told).verdict == "cooling"
    assert cool_down(alert(symbol="ETH-USD"), told).verdict is None
    assert cool_down(alert(rule="abs_jump"), told).verdict is None
    assert cool_down(alert("ended"), told).verdict is None


def test_the_first_stage_that_objects_has_the_last_word() -> None:
    everything = scene(
        silences=(Silence(1, 0, 2 * AT),),
        ill={"coinbase:BTC-USD": {"a": "silent_feed"}},
        told={"coinbase:BTC-USD": {"pct_spike": Told(AT, 0)}},
    )
    assert judge(alert(severity="low"), everything).verdict == "unrouted"
    assert judge(alert(), everything).verdict == "silenced"
    assert judge(alert(), replace(everything, silences=())).verdict == "held"
    assert judge(alert(), replace(everything, silences=(), ill={})).verdict == "cooling"
    assert judge(alert(), scene()).verdict is None
