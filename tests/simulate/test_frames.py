"""What we say, held against every recorded frame of the kinds that we speak."""

import json
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.simulated import START_NS, Listener, publish_until, publisher
from tapewatch.model import NS
from tapewatch.simulate import frames
from tapewatch.simulate.market import PRINT, Market, Pace
from tapewatch.simulate.products import PRODUCTS, choose
from tapewatch.simulate.subscriptions import Subscriptions

SPOKEN = {"match", "last_match", "heartbeat", "subscriptions", "error"}
Json = dict[str, Any]


def said() -> list[Json]:
    """Say all that forty seconds bring, a crash among it, and answer a client that asks for the wrong things."""
    market = Market(PRODUCTS, 7, START_NS)
    source, listener = publisher(market), Listener()
    publish_until(source, START_NS + NS, listener)
    client = Subscriptions(PRODUCTS)
    listener.raw = []
    for request in (
        {"type": "subscribe", "product_ids": ["BTC-USD", "YFI-USD"], "channels": ["matches", "heartbeat", "level2"]},
        {"type": "subscribe", "channels": ["heartbeat"]},
    ):
        answer = client.receive(json.dumps(request))
        listener.raw += answer.frames
        for symbol in answer.opened:
            listener.raw += source.last_match(symbol)
    publish_until(source, START_NS + 40 * NS, listener)
    return listener.frames


@pytest.fixture(scope="module")
def ours() -> list[Json]:
    return said()


def recordings(folder: Path) -> dict[str, list[Json]]:
    """Read recorded sessions by name: each one's frames of the kinds that we speak, in order."""
    captures = folder / "captures"
    sessions = {
        "2021": [
            line.partition(": ")[2]
            for line in (captures / "coinbase-exchange-2021-04-17.ws").read_text().splitlines()
            if re.match(r"\d+\.\d+: \{", line)
        ],
        "2026": (captures / "coinbase-exchange-2026-07-07.ndjson").read_text().splitlines(),
    }
    decoded = {name: [json.loads(line) for line in lines] for name, lines in sessions.items()}
    decoded["2025"] = json.loads((captures / "coinbase-exchange-matches-2025-08-22.json").read_text())
    probe = json.loads((captures / "exchange_2026-09-29_probe.json").read_text())
    decoded["probe"] = [frame for _, frame in probe["frames"]]
    decoded["errors"] = [item["frame"] for item in probe["error_frames"]]
    decoded["others"] = [frame for item in probe["other_live_frames"] for frame in item["frames"]]
    return {name: [frame for frame in found if frame["type"] in SPOKEN] for name, found in decoded.items()}


@pytest.fixture(scope="module")
def recorded(shared: Path) -> dict[str, list[Json]]:
    return recordings(shared)


def shape(value: Any) -> Any:
    """Keys in their order and types, without values."""
    if isinstance(value, dict):
        return tuple((key, shape(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return ("list", tuple(sorted({shape(inner) for inner in value}, key=repr)))
    return type(value).__name__


def shapes(found: list[Json]) -> set[tuple[str, Any]]:
    return {(frame["type"], shape(frame)) for frame in found}


GRAMMAR = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "price": r"(0|[1-9]\d*)(\.\d*[1-9])?",
    "size": r"(0|[1-9]\d*)(\.\d{1,8})?",
    "side": r"buy|sell",
    "maker_order_id": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "product_id": r"[A-Z0-9]{1,8}-[A-Z]{2,5}",
    "message": r"Failed to subscribe",
    "reason": r".{5,200}",
}
GRAMMAR["taker_order_id"] = GRAMMAR["maker_order_id"]


def assert_grammar(found: list[Json]) -> None:
    for frame in found:
        for key, value in frame.items():
            if key in GRAMMAR:
                assert re.fullmatch(GRAMMAR[key], value), f"{key}: {value!r}"
            elif key in {"trade_id", "last_trade_id", "sequence"}:
                assert type(value) is int
                assert value > 0


def assert_laws(found: list[Json]) -> None:
    """Hold a tape to what is true of all of the venue's: contiguous ids, rising sequences, sweeps, heartbeats."""
    last: dict[str, Json] = {}
    for frame in found:
        before = last.get(frame.get("product_id", ""))
        if frame["type"] == "heartbeat" and before is not None:
            assert frame["last_trade_id"] == before["trade_id"]
            assert frame["sequence"] >= before["sequence"]
            assert re.search(r"\.00000[01]Z$", frame["time"]), "once a second, on the second"
        if frame["type"] in {"match", "last_match"}:
            if before is not None:
                assert frame["trade_id"] == before["trade_id"] + 1
                assert frame["sequence"] > before["sequence"]
                assert frame["time"] >= before["time"]
                # A recorded taker came back 22 ms later with the same id: only what happens at once is a sweep.
                if (frame["taker_order_id"], frame["time"]) == (before["taker_order_id"], before["time"]):
                    assert_sweep(before, frame)
            last[frame["product_id"]] = frame


def assert_sweep(before: Json, after: Json) -> None:
    assert after["side"] == before["side"]
    assert after["sequence"] == before["sequence"] + 2
    rise = Decimal(after["price"]) - Decimal(before["price"])
    # `side` is the maker's: an aggressor who buys meets sellers, and walks up.
    assert rise >= 0 if after["side"] == "sell" else rise <= 0


def test_every_recorded_shape_is_one_that_we_speak(ours: list[Json], recorded: dict[str, list[Json]]) -> None:
    spoken = shapes(ours)
    for name, found in recorded.items():
        assert found, name
        # In 2021 the acknowledgement had no `account_ids` yet.
        heard = {each for each in shapes(found) if name != "2021" or each[0] != "subscriptions"}
        assert heard <= spoken, name


def test_every_shape_that_we_speak_was_recorded(ours: list[Json], recorded: dict[str, list[Json]]) -> None:
    heard = shapes([frame for name, found in recorded.items() if name != "2021" for frame in found])
    assert shapes(ours) <= heard
    assert {frame["type"] for frame in ours} == SPOKEN


def test_strings_are_written_as_the_recorded_ones(ours: list[Json], recorded: dict[str, list[Json]]) -> None:
    assert_grammar(ours)
    for found in recorded.values():
        assert_grammar(found)


def test_the_venues_laws_hold_on_our_tape_and_on_the_recorded_ones(
    ours: list[Json], recorded: dict[str, list[Json]]
) -> None:
    assert_laws(ours)
    for name in ("2021", "2025", "2026", "probe"):
        assert_laws(recorded[name])


def test_we_answer_errors_as_recorded(ours: list[Json], recorded: dict[str, list[Json]]) -> None:
    reasons = {frame["reason"] for frame in ours if frame["type"] == "error"}
    for frame in recorded["errors"]:
        assert frame["reason"] in reasons


def test_prices_have_the_decimals_of_their_increment(ours: list[Json]) -> None:
    decimals = {product.id: product.price_decimals for product in PRODUCTS}
    most: dict[str, int] = {}
    for frame in ours:
        if "price" in frame:
            places = len(frame["price"].partition(".")[2])
            most[frame["product_id"]] = max(most.get(frame["product_id"], 0), places)
    assert most == decimals


def test_a_subscription_is_answered_in_the_recorded_order(ours: list[Json]) -> None:
    # errors, the acknowledgement, then the last trade of each product; the feed follows.
    kinds = [frame["type"] for frame in ours]
    assert kinds[:6] == ["error", "error", "error", "subscriptions", "last_match", "error"]


def test_a_taker_who_buys_is_shown_as_a_maker_who_sells() -> None:
    prints = np.zeros(2, dtype=PRINT)
    prints["side"] = [1, -1]
    prints["ticks"], prints["size"], prints["ts"] = 6351460, 20000000, 1_783_465_097_164_892_000
    products = choose(["BTC-USD"])
    buy, sell = (json.loads(raw) for raw in frames.matches(prints, products))
    assert (buy["side"], sell["side"]) == ("sell", "buy")
    assert (buy["price"], buy["size"], buy["time"]) == ("63514.6", "0.2", "2026-07-07T22:58:17.164892Z")
    rest = frames.rest_trades(prints, products[0])[0]
    assert rest == {
        "trade_id": 0,
        "side": "sell",
        "size": "0.20000000",
        "price": "63514.60",
        "time": "2026-07-07T22:58:17.164892Z",
    }


@given(count=st.integers(0, 10**16), decimals=st.integers(0, 10))
def test_decimals_are_exact_and_plain(count: int, decimals: int) -> None:
    text = frames.plain(count, decimals)
    assert Decimal(text) == Decimal(count).scaleb(-decimals)
    assert re.fullmatch(GRAMMAR["price"], text)


def test_orders_keep_their_ids_and_no_two_share_one() -> None:
    market = Market(choose(["BTC-USD", "ETH-USD"]), 7, START_NS, pace=Pace(rate=2000.0), past_s=5)
    prints = next(iter(market.blocks())).prints
    told = [json.loads(raw) for raw in frames.matches(prints, market.products)]
    takers = dict(zip(prints["taker"].tolist(), (frame["taker_order_id"] for frame in told), strict=True))
    makers = dict(zip(prints["maker"].tolist(), (frame["maker_order_id"] for frame in told), strict=True))
    assert len(set(takers.values()) | set(makers.values())) == len(takers) + len(makers)
    reused = sum(one["maker_order_id"] == other["maker_order_id"] for one, other in pairwise(told))
    assert 0 < reused < len(told)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_laws_hold_for_any_seed(seed: int) -> None:
    source, listener = publisher(Market(PRODUCTS, seed, START_NS)), Listener()
    publish_until(source, START_NS + 30 * NS, listener)
    assert_laws(listener.frames)
    assert_grammar(listener.frames)
