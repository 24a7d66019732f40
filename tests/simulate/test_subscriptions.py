"""What a client may ask for, and how the venue answers what it may not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.simulate.products import choose
from tapewatch.simulate.subscriptions import Answer, Subscriptions

PRODUCTS = choose(["BTC-USD", "ETH-USD", "SOL-USD"])


@pytest.fixture
def client() -> Subscriptions:
    return Subscriptions(PRODUCTS)


def ask(client: Subscriptions, kind: str = "subscribe", **request: Any) -> Answer:
    return client.receive(json.dumps({"type": kind, **request}))


def told(answer: Answer) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in answer.frames]


def channels(answer: Answer) -> dict[str, list[str]]:
    last = told(answer)[-1]
    assert last["type"] == "subscriptions"
    return {channel["name"]: channel["product_ids"] for channel in last["channels"]}


def reasons(answer: Answer) -> list[str]:
    return [frame["reason"] for frame in told(answer) if frame["type"] == "error"]


def test_channels_as_strings_take_the_products_of_the_request(client: Subscriptions) -> None:
    answer = ask(client, product_ids=["BTC-USD", "ETH-USD"], channels=["matches", "heartbeat"])
    assert channels(answer) == {"matches": ["BTC-USD", "ETH-USD"], "heartbeat": ["BTC-USD", "ETH-USD"]}
    assert answer.opened == ("BTC-USD", "ETH-USD")
    assert client.greeted


def test_channels_as_objects_add_products_of_their_own(client: Subscriptions) -> None:
    answer = ask(
        client,
        product_ids=["BTC-USD"],
        channels=["heartbeat", {"name": "matches", "product_ids": ["SOL-USD", "BTC-USD"]}, {"name": "heartbeat"}],
    )
    assert channels(answer) == {"matches": ["BTC-USD", "SOL-USD"], "heartbeat": ["BTC-USD"]}


def test_the_acknowledgement_names_all_current_channels(client: Subscriptions) -> None:
    ask(client, product_ids=["BTC-USD"], channels=["matches"])
    answer = ask(client, product_ids=["ETH-USD"], channels=["matches", "heartbeat"])
    assert channels(answer) == {"matches": ["BTC-USD", "ETH-USD"], "heartbeat": ["ETH-USD"]}
    assert answer.opened == ("ETH-USD",), "a last_match once per subscription"
    assert told(answer)[0]["channels"][0]["account_ids"] is None


def test_unsubscribing_from_products_channels_and_everything(client: Subscriptions) -> None:
    ask(client, product_ids=["BTC-USD", "ETH-USD"], channels=["matches", "heartbeat"])
    answer = ask(client, "unsubscribe", product_ids=["BTC-USD"], channels=["matches"])
    assert channels(answer) == {"matches": ["ETH-USD"], "heartbeat": ["BTC-USD", "ETH-USD"]}
    assert channels(ask(client, "unsubscribe", channels=["heartbeat"])) == {"matches": ["ETH-USD"]}
    assert told(ask(client, "unsubscribe", channels=["matches"]))[0]["channels"] == []
    assert ask(client, product_ids=["ETH-USD"], channels=["matches"]).opened == ("ETH-USD",)


def test_one_error_per_channel_and_the_other_products_stay_subscribed(client: Subscriptions) -> None:
    answer = ask(client, product_ids=["YFI-USD", "BTC-USD", "NIX-USD"], channels=["matches", "heartbeat"])
    one = ["YFI-USD is delisted", "NIX-USD is not a valid product"]
    assert reasons(answer) == one + one
    assert channels(answer) == {"matches": ["BTC-USD"], "heartbeat": ["BTC-USD"]}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"product_ids": ["NIX-USD"], "channels": ["matches"]}, "NIX-USD is not a valid product"),
        ({"channels": ["heartbeat"]}, "You need to specify at least one product ID for channel heartbeat"),
        ({"product_ids": ["BTC-USD"], "channels": ["full"]}, "level2, level3, and full channels now require auth"),
        ({"product_ids": ["BTC-USD"], "channels": ["level2"]}, "level2, level3, and full channels now require auth"),
        (
            {"product_ids": ["BTC-USD"], "channels": ["ticker"]},
            "ticker is not simulated; expected one of matches, hear",
        ),
        ({"product_ids": ["BTC-USD"], "channels": ["wetter"]}, "wetter is not a valid channel"),
        ({"product_ids": ["BTC-USD"]}, "No channels provided"),
        ({"product_ids": ["BTC-USD"], "channels": []}, "No channels provided"),
        ({"product_ids": "BTC-USD", "channels": ["matches"]}, "expected product_ids to be a list of strings"),
        ({"product_ids": [7], "channels": ["matches"]}, "expected product_ids to be a list of strings, found [7]"),
        ({"channels": [{"name": "matches", "product_ids": {}}]}, "expected product_ids of channel matches"),
        ({"product_ids": ["BTC-USD"], "channels": [7]}, "expected a channel's name or an object with a name, found 7"),
    ],
)
def test_a_refused_request_changes_nothing(client: Subscriptions, request_: dict[str, Any], reason: str) -> None:
    answer = ask(client, **request_)
    (error,) = told(answer)
    assert (error["type"], error["message"]) == ("error", "Failed to subscribe")
    assert error["reason"].startswith(reason)
    assert answer.opened == ()
    assert not client.greeted
    assert not any(client.channels.values())


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "Malformed JSON"),
        ("", "Malformed JSON"),
        (b"\xff\xfe", "Malformed JSON"),
        ("[" * 60_000, "Malformed JSON"),
        ("[]", "Invalid message"),
        ("7", "Invalid message"),
        ('{"type":"hello"}', "Invalid message"),
        ('{"channels":["matches"]}', "Invalid message"),
    ],
)
def test_nonsense_is_answered_and_nothing_breaks(client: Subscriptions, message: str | bytes, words: str) -> None:
    (error,) = told(client.receive(message))
    assert (error["type"], error["message"]) == ("error", words)
    assert error["reason"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["matches", "heartbeat", "level2", "status", "x"])
symbols = st.sampled_from(["BTC-USD", "ETH-USD", "YFI-USD", "NIX-USD"])
channel = names | st.fixed_dictionaries({"name": names}, optional={"product_ids": st.lists(symbols)}) | json_values
requests = st.fixed_dictionaries(
    {"type": st.sampled_from(["subscribe", "unsubscribe"])},
    optional={"product_ids": st.lists(symbols) | json_values, "channels": st.lists(channel, max_size=4) | json_values},
)


@given(messages=st.lists(requests | json_values, max_size=6))
def test_no_message_ever_raises_and_every_answer_is_valid(messages: list[Any]) -> None:
    client = Subscriptions(PRODUCTS)
    for message in messages:
        before = set(client.channels["matches"])
        answer = client.receive(json.dumps(message))
        assert answer.frames
        assert {frame["type"] for frame in told(answer)} <= {"error", "subscriptions"}
        assert set(answer.opened) == set(client.channels["matches"]) - before
        assert all(len(ids) == len(set(ids)) for ids in client.channels.values())
        assert all(set(ids) <= {"BTC-USD", "ETH-USD"} for ids in client.channels.values())
