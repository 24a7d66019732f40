"""Laws over all conversations: nobody is forgotten, nobody is asked too often, and nobody pays for another."""

import json
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from support.conversations import CHANNELS, Play
from tapewatch.capture.subscribing import ANSWER_NS, ASK_EVERY_NS, RETRY_MAX_NS, Pair
from tapewatch.model import NS
from tapewatch.simulate.products import PRODUCTS
from tapewatch.simulate.subscriptions import Subscriptions
from tapewatch.simulate.troubles import Manners

NAMES = [product.id for product in PRODUCTS]


class Script:
    """Any answers of a venue at any time, from Hypothesis."""

    names = st.lists(st.sampled_from(["BTC", "ETH", "SOL"]), unique=True).map(",".join)
    channels = st.sampled_from(["", " matches", " heartbeat"])
    steps = st.lists(
        st.tuples(
            st.integers(0, 9_000).map(lambda ms: ms * NS // 1000),
            st.one_of(
                st.builds("ack {}{}".format, names, channels),
                names.map("error Failed to subscribe: {}".format),
                st.sampled_from(
                    ["error ETH-USD is delisted", "error BTC-USD: no", "error Invalid product ID provided"]
                ),
                st.sampled_from(["beat ETH", "match BTC", "connect", "nothing"]),
            ),
        ),
        max_size=25,
    )


@settings(max_examples=300)
@given(
    steps=Script.steps, at_last=st.sampled_from(["ack ", "error no", "error BTC-USD, ETH-USD and SOL-USD", "nothing"])
)
def test_whatever_is_answered_each_product_is_asked_for_again_and_never_too_often(
    steps: list[tuple[int, str]], at_last: str
) -> None:
    play = Play("BTC-USD", "ETH-USD", "SOL-USD")
    play.hear("connect")
    for wait_ns, line in steps:
        go_on(play, play.now_ns + wait_ns)
        if line != "nothing":
            play.hear(line)
    waiting, since_ns = set(NAMES[:3]) - play.asking.served, play.now_ns
    go_on(play, since_ns + RETRY_MAX_NS + 3 * ANSWER_NS, at_last)  # each may have to wait for the two others' answers
    asked = {pair.symbol for at, pairs in play.asked for pair in pairs if at >= since_ns}
    if at_last == "nothing":  # then who is not refused is asked for on each new connection
        waiting = {symbol for symbol in waiting if play.asking.until_ns(symbol) is None}
    assert waiting <= asked, "within ten minutes"
    times = [at for at, _ in play.asked]
    assert all(b - a >= ASK_EVERY_NS for a, b in pairwise(times)), "four a second at most"


def go_on(play: Play, until_ns: int, answer: str = "nothing") -> None:
    """Let time pass, with one answer to all requests and a new connection where one is dead."""
    while (wake_ns := max(play.now_ns, play.asking.wake_ns)) <= until_ns:
        asked = len(play.asked)
        play.until(wake_ns)
        if len(play.asked) > asked and answer != "nothing":
            play.hear(answer)
        if play.asking.dead:
            play.hear("connect")
    play.until(until_ns)


def answers(venue: Subscriptions, pairs: Iterable[Pair], manners: Manners) -> list[dict[str, object]]:
    by_channel = {each: [pair.symbol for pair in pairs if pair.channel == each] for each in CHANNELS}
    channels = [{"name": each, "product_ids": names} for each, names in by_channel.items() if names]
    answer = venue.receive(json.dumps({"type": "subscribe", "channels": channels}), manners)
    return [json.loads(frame) for frame in answer.frames]


@settings(max_examples=200)
@given(
    delisted=st.sets(st.sampled_from(NAMES), max_size=4),
    whole=st.booleans(),
    nameless=st.booleans(),
    omitted=st.sets(st.sampled_from([*NAMES, *CHANNELS, f"{NAMES[0]}/matches"]), max_size=1),
    count=st.integers(1, len(NAMES)),
)
def test_the_simulated_venue_serves_all_it_would_and_the_others_when_it_will(
    *, delisted: set[str], whole: bool, nameless: bool, omitted: set[str], count: int
) -> None:
    manners = Manners(frozenset(delisted), whole or nameless, nameless, omitted=frozenset(omitted))
    venue, play = Subscriptions(PRODUCTS), Play(*NAMES[:count])
    would = {
        name
        for name in NAMES[:count]
        if name not in delisted and not any(manners.omits(name, channel) for channel in CHANNELS)
    }
    play.hear("connect")
    converse(play, venue, manners, 60)
    assert would <= play.asking.served, "within a minute, whatever the others do"
    converse(play, venue, Manners(), 60 + RETRY_MAX_NS // NS)
    assert play.asking.served == set(NAMES[:count]), "and all of them ten minutes after the venue would serve them"


def converse(play: Play, venue: Subscriptions, manners: Manners, until_s: int) -> None:
    """Let the venue answer each request at once, until some time."""
    answered = len(play.asked) - 1
    while True:
        while answered < len(play.asked):
            for frame in answers(venue, play.asked[answered][1], manners) if answered >= 0 else ():
                listen(play, frame)
            answered += 1
        if play.asking.wake_ns > until_s * NS:
            break
        play.until(play.asking.wake_ns)
    play.until(until_s * NS)


def listen(play: Play, frame: dict[str, object]) -> None:
    if frame["type"] == "error":
        play.asking.refused(f"{frame['message']}: {frame['reason']}", play.now_ns)
    else:
        channels: list[dict[str, object]] = frame["channels"]  # type: ignore[assignment]  # JSON
        named = {Pair(symbol, str(each["name"])) for each in channels for symbol in each["product_ids"]}  # type: ignore[attr-defined]  # JSON
        play.asking.acknowledged(named, play.now_ns)
