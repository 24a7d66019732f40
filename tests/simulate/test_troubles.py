"""A bad day of the venue: what is planted happens at its time, to whom it was meant for, and to nobody else."""

import json
from typing import Any

import pytest

from support.simulated import START_NS, Listener, publish_until
from tapewatch.errors import ConfigError
from tapewatch.model import NS
from tapewatch.simulate.history import History
from tapewatch.simulate.market import Market
from tapewatch.simulate.products import choose
from tapewatch.simulate.publisher import Publisher
from tapewatch.simulate.subscriptions import Answer, Subscriptions
from tapewatch.simulate.troubles import KINDS, LEAP, Manners, Trouble, Troubles, troubles

PRODUCTS = choose(["BTC-USD", "ETH-USD"])
CHANNELS = ["matches", "heartbeat"]


def planted(*lines: str) -> Troubles:
    return Troubles([Trouble.read(line) for line in lines], PRODUCTS, START_NS)


def told(*lines: str, seconds: int = 30) -> list[dict[str, Any]]:
    """Hear a market for some seconds; every frame, as JSON."""
    market = Market(PRODUCTS, 7, START_NS, planted=False, past_s=20)
    source = Publisher(market, History(PRODUCTS), lambda _: None, planted(*lines))
    listener = Listener(PRODUCTS)
    for second in range(seconds):  # a loop that comes by every second
        publish_until(source, START_NS + (second + 1) * NS - 1, listener)
    return listener.frames


def ids(frames: list[dict[str, Any]], symbol: str = "ETH-USD") -> list[int]:
    return [frame["trade_id"] for frame in frames if frame["type"] == "match" and frame["product_id"] == symbol]


def at_s(frame: dict[str, Any]) -> float:
    return float(frame["time"][17:-1])


CALM = told()


def ask(manners: Manners, *symbols: str, channels: list[str] | None = None) -> tuple[Answer, Subscriptions]:
    client = Subscriptions(PRODUCTS)
    request = {"type": "subscribe", "product_ids": symbols, "channels": channels or CHANNELS}
    return client.receive(json.dumps(request), manners), client


def reasons(answer: Answer) -> list[str]:
    return [frame["reason"] for frame in map(json.loads, answer.frames) if frame["type"] == "error"]


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("mute", Trouble("mute")),
        ("whole@2", Trouble("whole", "", 2 * NS)),
        ("busy:7@2+5", Trouble("busy", "7", 2 * NS, 7 * NS)),
        ("omit:matches", Trouble("omit", "matches")),
        ("omit:ETH-USD/matches@0.5", Trouble("omit", "ETH-USD/matches", NS // 2)),
    ],
)
def test_a_line_says_what_happens_to_whom_and_when(line: str, trouble: Trouble) -> None:
    assert Trouble.read(line) == trouble


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "expected KIND"),
        ("strike", "expected KIND"),
        ("mute@soon", "expected KIND"),
        ("mute+5", "expected KIND"),
        ("delist", "expected a product, such as delist:ETH-USD"),
        ("leap@5", "expected a product, such as leap:ETH-USD"),
        ("whole:ETH-USD", "expected whole without a name, since it concerns all"),
        ("busy:long", "expected whole seconds to wait, such as busy:5"),
    ],
)
def test_a_line_that_says_nothing_is_refused(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Trouble.read(line)


@pytest.mark.parametrize("line", ["leap:XRP-USD", "omit:machtes", "omit:XRP-USD/matches", "delist:ETH-USDT"])
def test_a_trouble_of_a_product_that_is_not_traded_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=f"exchange.troubles: expected one of BTC-USD, ETH-USD, found '{line}'"):
        troubles([line], PRODUCTS)
    assert troubles(["omit:matches", "omit:ETH-USD", "delist:BTC-USD"], PRODUCTS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_something(kind: str) -> None:
    named = {"busy": ":7", "delist": ":ETH-USD", "renumber": ":ETH-USD", "leap": ":ETH-USD", "number": ":ETH-USD"}
    line = f"{kind}{named.get(kind, '')}@5+5" if kind != "omit" else "omit:ETH-USD/matches@5+5"
    trouble, before, during = planted(line), START_NS, START_NS + 5 * NS
    answers = trouble.manners(before) == Manners() != trouble.manners(during)
    turned_away = trouble.door(before) is None and trouble.door(during) is not None
    assert answers or turned_away or told(line) != CALM


def test_nothing_planted_changes_nothing() -> None:
    assert told() == CALM
    assert planted().manners(START_NS) == Manners()


def test_a_delisted_product_says_nothing_and_misses_nothing_when_it_is_listed_again() -> None:
    frames = told("delist:ETH-USD@10+10")
    heard = sorted({int(at_s(frame)) for frame in frames if frame["product_id"] == "ETH-USD"})
    assert heard == [*range(10), *range(20, 30)], "2026-07-07T22:58:00Z is the start"
    assert ids(frames) == list(range(ids(frames)[0], ids(frames)[0] + len(ids(frames)))), "nobody could trade meanwhile"
    assert ids(frames, "BTC-USD") == ids(CALM, "BTC-USD")


def test_numbers_that_begin_anew_are_the_heartbeats_too() -> None:
    frames = told("renumber:ETH-USD@10")
    before = [frame for frame in frames if at_s(frame) < 10]
    after = [frame for frame in frames if at_s(frame) >= 10 and frame["product_id"] == "ETH-USD"]
    assert before == [frame for frame in CALM if at_s(frame) < 10]
    assert ids(after) == list(range(1, len(ids(after)) + 1))
    named = [frame["last_trade_id"] for frame in after if frame["type"] == "heartbeat"][1:]
    assert max(named) <= len(ids(after))
    assert ids(frames, "BTC-USD") == ids(CALM, "BTC-USD")


def test_one_id_leaps_and_neither_the_next_nor_a_heartbeat_follows() -> None:
    frames = told("leap:ETH-USD@10")
    changed = [(now, was) for now, was in zip(frames, CALM, strict=True) if now != was]
    ((now, was),) = changed
    assert now["trade_id"] == was["trade_id"] + LEAP
    assert at_s(now) >= 10


def test_prices_become_numbers_for_a_while() -> None:
    frames = told("number:ETH-USD@10+5")
    for now, was in zip(frames, CALM, strict=True):
        if now["type"] == "match" and now["product_id"] == "ETH-USD" and 10 <= int(at_s(now)) < 15:
            assert isinstance(now["price"], float | int)
            assert float(was["price"]) == now["price"]
        else:
            assert now == was


@pytest.mark.parametrize(
    ("manners", "answer"),
    [
        (Manners(delisted=frozenset({"ETH-USD"})), ["ETH-USD is delisted"] * 2),
        (Manners(delisted=frozenset({"ETH-USD"}), whole=True), ["ETH-USD is delisted"]),
        (Manners(delisted=frozenset({"ETH-USD"}), whole=True, nameless=True), ["Invalid product ID provided"]),
        (Manners(refuses=True), ["Subscriptions are not available at the moment"]),
    ],
    ids=["the product", "the request", "the request without a name", "every request"],
)
def test_what_is_refused(manners: Manners, answer: list[str]) -> None:
    said, client = ask(manners, "BTC-USD", "ETH-USD")
    assert reasons(said) == answer
    alone = not manners.whole and not manners.refuses
    assert client.channels == ({name: ["BTC-USD"] if alone else [] for name in CHANNELS})
    said, client = ask(manners, "BTC-USD")
    assert bool(reasons(said)) is manners.refuses


@pytest.mark.parametrize(
    ("omitted", "channels"),
    [
        ("matches", {"matches": [], "heartbeat": ["BTC-USD", "ETH-USD"]}),
        ("ETH-USD", {"matches": ["BTC-USD"], "heartbeat": ["BTC-USD"]}),
        ("ETH-USD/matches", {"matches": ["BTC-USD"], "heartbeat": ["BTC-USD", "ETH-USD"]}),
    ],
)
def test_what_is_left_out_of_an_acknowledgement_is_not_served(omitted: str, channels: dict[str, list[str]]) -> None:
    said, client = ask(Manners(omitted=frozenset({omitted})), "BTC-USD", "ETH-USD")
    assert client.channels == channels
    (acknowledged,) = map(json.loads, said.frames)
    assert {each["name"]: each["product_ids"] for each in acknowledged["channels"]} == {
        name: symbols for name, symbols in channels.items() if symbols
    }


def test_who_is_not_answered_is_not_served_and_not_thrown_out() -> None:
    said, client = ask(Manners(mute=True), "BTC-USD")
    assert said == Answer([])
    assert client.greeted
    assert not any(client.channels.values())


def test_what_was_delisted_must_be_asked_for_again() -> None:
    _, client = ask(Manners(), "BTC-USD", "ETH-USD")
    client.drop({"ETH-USD"})
    assert client.channels == {name: ["BTC-USD"] for name in CHANNELS}
