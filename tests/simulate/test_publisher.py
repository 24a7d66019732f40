"""The market is told in order, once, however late or often the loop comes by."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.simulated import START_NS, Listener, publish_until, publisher
from tapewatch.capture.config import CaptureConfig
from tapewatch.detect.rules.silent_feed import SilentFeed
from tapewatch.model import NS
from tapewatch.simulate.market import Market
from tapewatch.simulate.plants import Label
from tapewatch.simulate.products import choose
from tapewatch.simulate.publisher import Publisher

PRODUCTS = choose(["BTC-USD", "ETH-USD", "LTC-USD"])
ONE = choose(["BTC-USD"])
SECONDS = 8


def fresh(seed: int = 7) -> Publisher:
    return publisher(Market(PRODUCTS, seed, START_NS, past_s=20))


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    listener = Listener(PRODUCTS)
    publish_until(fresh(), START_NS + SECONDS * NS, listener)
    return listener.raw


@settings(max_examples=15)
@given(steps=st.lists(st.integers(0, SECONDS * NS), max_size=30))
def test_how_often_the_loop_comes_by_does_not_matter(whole: list[bytes], steps: list[int]) -> None:
    listener, source = Listener(PRODUCTS), fresh()
    for step in sorted([*steps, SECONDS * NS]):
        publish_until(source, START_NS + step, listener)
        assert source.published_ns == START_NS + step
    assert listener.raw == whole


def test_nothing_is_told_before_its_time_and_everything_at_it(whole: list[bytes]) -> None:
    listener, source = Listener(PRODUCTS), fresh()
    woken = 0
    while (wake_ns := source.wake_ns()) <= START_NS + SECONDS * NS:
        before = len(listener.raw)
        publish_until(source, wake_ns - 1, listener)
        assert len(listener.raw) == before
        publish_until(source, wake_ns, listener)
        woken += 1
        assert woken < 10_000
    assert listener.raw == whole


def test_heartbeats_come_once_a_second_and_name_the_last_match() -> None:
    listener = Listener(PRODUCTS)
    publish_until(fresh(), START_NS + SECONDS * NS, listener)
    beats = [frame for frame in listener.frames if frame["type"] == "heartbeat"]
    assert len(beats) == (SECONDS + 1) * len(PRODUCTS)
    assert [beat["time"][17:19] for beat in beats[::3]] == [f"{second:02d}" for second in range(SECONDS + 1)]


def test_each_client_gets_what_it_asked_for_in_the_same_order() -> None:
    everything, some, beats, nothing = (Listener(PRODUCTS) for _ in range(4))
    some.matches, some.heartbeats = ["ETH-USD", "BTC-USD"], []
    beats.matches, beats.heartbeats = [], ["LTC-USD"]
    nothing.matches = nothing.heartbeats = []
    publish_until(fresh(), START_NS + SECONDS * NS, everything, some, beats, nothing)
    told = everything.frames
    assert some.frames == [f for f in told if f["type"] == "match" and f["product_id"] != "LTC-USD"]
    assert beats.frames == [f for f in told if f["type"] == "heartbeat" and f["product_id"] == "LTC-USD"]
    assert nothing.raw == []
    only_some = Listener(PRODUCTS)
    only_some.matches, only_some.heartbeats = ["ETH-USD", "BTC-USD"], []
    publish_until(fresh(), START_NS + SECONDS * NS, only_some)
    assert only_some.raw == some.raw


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_last_match_is_the_trade_before_the_next_match(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    source = fresh(seed)
    for _ in range(6):
        publish_until(source, source.published_ns + rng.randrange(NS), Listener(PRODUCTS))
        late = Listener(PRODUCTS)
        for product in PRODUCTS:
            late.raw += source.last_match(product.id)
        publish_until(source, source.published_ns + 4 * NS, late)
        for product in PRODUCTS:
            mine = [f for f in late.frames if f["product_id"] == product.id and f["type"] != "heartbeat"]
            assert mine[0]["type"] == "last_match"
            assert [f["trade_id"] - mine[0]["trade_id"] for f in mine] == list(range(len(mine)))


def test_what_was_planted_is_told_when_it_begins_and_a_silence_is_complete() -> None:
    labels: list[Label] = []
    listener = Listener(PRODUCTS)
    source = publisher(Market(PRODUCTS, 3, START_NS, past_s=5), labels.extend)
    while not any(label.kind == "silence" for label in labels):
        publish_until(source, source.published_ns + NS)
        assert source.published_ns < START_NS + 1800 * NS
    silence = labels[-1]
    assert 0 <= source.published_ns - silence.start_ts < NS
    publish_until(source, silence.end_ts - 1, listener)
    quiet = {frame["product_id"] for frame in listener.frames}
    assert quiet == {product.id for product in PRODUCTS} - {silence.symbol}
    publish_until(source, silence.end_ts + 5 * NS, listener)
    (first, *_) = [frame for frame in listener.frames if frame["product_id"] == silence.symbol]
    assert first["type"] == "heartbeat"


@pytest.mark.parametrize("seed", range(3))
def test_a_silence_shows_as_one_and_not_as_a_dead_connection_to_a_client_of_one_product(seed: int) -> None:
    class Heard(Listener):
        def __init__(self) -> None:
            super().__init__(ONE)
            self.times: list[int] = []

        def send(self, frames: list[bytes], now_ns: int, *, matches: bool = False) -> None:  # noqa: ARG002
            self.times += [now_ns] * bool(frames)

    labels: list[Label] = []
    source, listener, now_ns = publisher(Market(ONE, seed, START_NS), labels.extend), Heard(), START_NS
    while not any(label.kind == "silence" and label.end_ts < now_ns - NS for label in labels):
        now_ns += NS // 10
        publish_until(source, now_ns, listener)
    longest_s = max(np.diff(listener.times)) / NS
    assert SilentFeed().limit_s <= longest_s < CaptureConfig().silence_s - 0.5
