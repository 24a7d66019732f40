"""Each fault is visible in what a client gets, at its rate, and always the same for a seed."""

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model import NS
from tapewatch.simulate.faults import OVERSIZED_BYTES, Faults, Frame, Injector

NOW = 1_783_465_080 * NS


def match(number: int) -> bytes:
    fields = {"type": "match", "trade_id": number, "side": "sell", "size": "1", "price": "2.5", "product_id": "BTC-USD"}
    return json.dumps({**fields, "time": "2026-07-07T22:58:00.000000Z"}).encode()


MATCHES = [match(number) for number in range(1, 2001)]


def ids(passed: list[Frame]) -> list[int]:
    return [json.loads(frame.payload)["trade_id"] for frame in passed]


def passed(injector: Injector, frames: list[bytes] = MATCHES, now_ns: int = NOW) -> list[Frame]:
    return injector.pass_on(frames, now_ns, matches=True)


def injector(seed: int = 7, **rates: float) -> Injector:
    return Injector(Faults(**rates), seed, 0)


def test_off_by_default() -> None:
    assert not Faults().any
    assert Faults(drop=0.1).any
    assert passed(injector()) == [Frame(frame) for frame in MATCHES]


def test_dropped_frames_are_gone() -> None:
    found = ids(passed(injector(drop=0.1)))
    assert len(found) == pytest.approx(1800, abs=60)
    assert found == sorted(set(found))


def test_stragglers_come_later() -> None:
    spoiled = injector(straggle=0.1, straggle_s=3.0)
    found = ids(passed(spoiled))
    missing = set(range(1, 2001)) - set(found)
    assert len(missing) == pytest.approx(200, abs=60)
    assert passed(spoiled, [], NOW + 3 * NS - 1) == []
    assert ids(passed(spoiled, [], NOW + 3 * NS)) == sorted(missing)
    assert passed(spoiled, [], NOW + 4 * NS) == []


def test_duplicates_come_twice_in_place() -> None:
    found = ids(passed(injector(duplicate=0.1)))
    assert sorted(found) == found
    assert Counter(Counter(found).values()) == {1: 4000 - len(found), 2: len(found) - 2000}
    assert len(found) == pytest.approx(2200, abs=60)


def test_reordered_frames_come_behind_the_next_one() -> None:
    found = ids(passed(injector(reorder=0.1)))
    assert sorted(found) == [number for number in range(1, 2001) if number in set(found)]
    assert len(found) >= 1999, "at most the last one still waits"
    swapped = sum(one > other for one, other in pairwise(found))
    assert swapped == pytest.approx(180, abs=60)
    assert max(abs(number - place) for place, number in enumerate(found, 1)) == 1


def test_a_delayed_connection_stalls_and_keeps_its_order() -> None:
    spoiled = injector(delay=1.0, delay_s=2.0)
    assert passed(spoiled, MATCHES[:1]) == []
    later = Injector(Faults(), 7, 0)
    assert spoiled.pass_on([b"{}"], NOW + NS, matches=False) == []
    assert [frame.payload for frame in passed(spoiled, [], NOW + 2 * NS)] == [MATCHES[0], b"{}"]
    assert passed(later, MATCHES[:1]) == [Frame(MATCHES[0])]


def test_corrupt_frames_are_no_json() -> None:
    (frame,) = passed(injector(corrupt=1.0), MATCHES[:1])
    assert frame.text
    with pytest.raises(json.JSONDecodeError):
        json.loads(frame.payload)


@pytest.mark.parametrize("fault", ["mistype", "missing", "absurd"])
def test_damaged_frames_are_json_that_is_wrong_in_many_ways(fault: str) -> None:
    damages: Counter[str] = Counter()
    for raw, frame in zip(MATCHES[:60], passed(injector(**{fault: 1.0}), MATCHES[:60]), strict=True):
        good, bad = json.loads(raw), json.loads(frame.payload)
        changed = [key for key in good if key not in bad or bad[key] != good[key]]
        assert len(changed) == 1
        damages[f"{changed[0]} {bad.get(changed[0], 'gone')!s}"[:24]] += 1
        if fault == "missing":
            assert changed[0] not in bad
        if fault == "mistype":
            assert type(bad[changed[0]]) is not type(good[changed[0]])
        if fault == "absurd":
            assert changed == ["price"]
    assert len(damages) >= 2


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("binary", lambda frame: not frame.text),
        ("oversized", lambda frame: len(frame.payload) > OVERSIZED_BYTES),
        ("unknown", lambda frame: json.loads(frame.payload)["type"] == "weather"),
    ],
)
def test_additional_frames_follow_an_unharmed_one(fault: str, check: Any) -> None:
    one, more = passed(injector(**{fault: 1.0}), MATCHES[:1])
    assert one == Frame(MATCHES[0])
    assert check(more)


def test_a_disconnect_cuts_behind_the_frame() -> None:
    spoiled = injector(disconnect=0.01)
    found = ids(passed(spoiled))
    assert spoiled.hung_up
    assert found == list(range(1, len(found) + 1))
    assert 0 < len(found) < 2000


def test_a_silence_loses_what_it_covers() -> None:
    spoiled = injector(silence=0.002, silence_s=8.0)
    found = ids(passed(spoiled))
    assert 0 < len(found) < 2000
    assert spoiled.pass_on([b"{}"], NOW + 8 * NS - 1, matches=False) == []
    assert spoiled.pass_on([b"{}"], NOW + 8 * NS, matches=False) == [Frame(b"{}")]


def test_heartbeats_set_nothing_off() -> None:
    everything = Faults(**dict.fromkeys(Faults().rates, 1.0))
    spoiled = Injector(everything, 7, 0)
    assert spoiled.pass_on([b"{}"] * 10, NOW, matches=False) == [Frame(b"{}")] * 10
    assert not spoiled.hung_up


RATES = dict.fromkeys(["drop", "straggle", "duplicate", "reorder", "corrupt", "absurd", "binary", "unknown"], 0.05)


@settings(max_examples=50)
@given(cuts=st.lists(st.integers(0, 300), max_size=6), seed=st.integers(0, 1000))
def test_how_frames_are_bundled_does_not_matter(cuts: list[int], seed: int) -> None:
    whole = passed(injector(seed, **RATES), MATCHES[:300])
    parts: list[Frame] = []
    spoiled = injector(seed, **RATES)
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 300], strict=True):
        parts += passed(spoiled, MATCHES[start:stop])
    assert parts == whole


def test_connections_and_seeds_differ() -> None:
    assert ids(passed(injector(drop=0.1))) == ids(passed(injector(drop=0.1)))
    assert ids(passed(injector(drop=0.1))) != ids(passed(injector(8, drop=0.1)))
    assert ids(passed(injector(drop=0.1))) != ids(passed(Injector(Faults(drop=0.1), 7, 1)))


@pytest.mark.parametrize("wrong", [{"drop": 1.5}, {"drop": -0.1}, {"delay_s": 0}, {"typo": 0.1}])
def test_rates_are_probabilities(wrong: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Faults)
