"""Frames made by hand go into the protocol; rows, requests and quarantine come out."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.frames import START_NS, error, frame, heartbeat, match, subscriptions
from support.ledgers import Left, words
from tapewatch.capture.coinbase import FRAME_MAX, RAW_MAX, UNREQUESTED, Coinbase, planned_restart
from tapewatch.capture.numbering import NAMED_LEAP_MAX, NEVER_NS
from tapewatch.model import NS, NUMBERING, Kind, Lane

NOW = START_NS + 40_000_000
PRICE = 635_146_000_000_000  # 63514.6


def feed(*symbols: str) -> Coinbase:
    """Return a feed that has subscribed, and whose first lane has traded up to id 100."""
    venue = Coinbase(symbols or ("BTC-USD", "ETH-USD"))
    venue.subscribe(NOW)
    assert words(venue.receive(match(100), NOW)) == ["TRADE 100"]
    return venue


def test_one_request_subscribes_all_symbols_to_both_channels() -> None:
    (request,) = Coinbase(("BTC-USD", "ETH-USD")).subscribe(NOW)
    assert json.loads(request) == {
        "type": "subscribe",
        "product_ids": ["BTC-USD", "ETH-USD"],
        "channels": ["matches", "heartbeat"],
    }


def test_a_match_becomes_a_row_with_the_takers_side() -> None:
    venue = feed()
    raw = match(101, side="sell", size="0.25", price="63514.6", sequence=9, at_ns=START_NS + 7_000)
    assert venue.receive(raw, NOW) == [(START_NS + 7_000, NOW, 101, 9, PRICE, 0.25, 0, 0, int(Kind.TRADE), 1, 0)]
    ((*_, side, _flags),) = venue.receive(match(102, side="buy"), NOW)
    assert side == -1, "the maker bought, so the taker sold"


def test_rows_carry_the_number_of_their_lane() -> None:
    venue = feed()
    (row,) = venue.receive(match(5, product_id="ETH-USD"), NOW)
    assert venue.lanes[row[7]] == Lane("coinbase", "ETH-USD")


def test_last_match_is_a_trade_like_any_other() -> None:
    venue = feed()
    assert venue.receive(match(100, type="last_match"), NOW) == []
    assert venue.ledgers[0].duplicates == 1
    assert words(venue.receive(match(103, type="last_match"), NOW)) == ["GAP 101-102", "TRADE 103"]


def test_a_new_field_is_no_reason_to_stop() -> None:
    venue = feed()
    assert words(venue.receive(match(101, invented={"by": ["the", "venue"]}), NOW)) == ["TRADE 101"]


def test_clock_rows_come_once_a_second_per_lane_from_the_first_subscription() -> None:
    venue = Coinbase(("BTC-USD", "ETH-USD"))
    assert venue.wake_ns() == NEVER_NS
    assert venue.tick(NOW) == []
    venue.subscribe(NOW)
    assert venue.wake_ns() == NOW + NS
    assert venue.tick(NOW + NS - 1) == []
    first = venue.tick(NOW + NS)
    assert [(Kind(row[8]), row[7], row[1], row[6]) for row in first] == [
        (Kind.CLOCK, 0, NOW + NS, NOW),
        (Kind.CLOCK, 1, NOW + NS, NOW),
    ]
    assert venue.tick(NOW + NS) == []
    venue.subscribe(NOW + NS + 5)  # a new connection does not disturb the clocks
    assert venue.wake_ns() == NOW + 2 * NS
    assert len(venue.tick(NOW + 2 * NS)) == 2


def test_seconds_in_which_we_were_held_up_are_not_made_up_for() -> None:
    venue = feed()
    assert len(venue.tick(NOW + 10 * NS + 5)) == 2
    assert venue.wake_ns() == NOW + 11 * NS + 5


def test_every_frame_of_a_lane_is_heard_even_one_that_is_set_aside() -> None:
    venue = feed()
    for seconds, raw in enumerate((match(101), heartbeat(101), match(102, price="x"), match(103, side=5)), start=1):
        venue.receive(raw, NOW + seconds)
        assert venue.ledgers[0].last_frame_ns == NOW + seconds
    assert venue.ledgers[1].last_frame_ns == 0


def test_a_heartbeat_names_an_id_that_becomes_a_gap() -> None:
    venue = feed()
    assert venue.receive(heartbeat(102, at_ns=START_NS), NOW) == []
    assert venue.wake_ns() == NOW + NS
    venue.tick(NOW + NS)
    assert words(venue.tick(NOW + 2 * NS)) == ["GAP 101-102", "CLOCK", "CLOCK"]
    assert venue.tick(NOW + 3 * NS)[0][0] == START_NS, "from now on its time is known"


def test_a_restart_closes_gaps_and_shows_what_was_missed() -> None:
    venue = Coinbase(("BTC-USD", "ETH-USD"), {Lane("coinbase", "ETH-USD"): Left(50, ((40, 41),))})
    assert [(row[7], *words([row])) for row in venue.start(NOW)] == [(1, "GIVEN_UP 40-41")]
    assert words(venue.receive(match(60, product_id="ETH-USD", type="last_match"), NOW)) == ["GAP 51-59", "TRADE 60"]
    assert words(venue.receive(match(60), NOW)) == ["TRADE 60"]


@pytest.mark.parametrize("kind", sorted(UNREQUESTED))
def test_a_kind_that_was_not_asked_for_is_ignored_and_counted(kind: str) -> None:
    venue = feed()
    assert venue.receive(json.dumps({"type": kind, "product_id": "BTC-USD", "trade_id": 500}), NOW) == []
    assert venue.ignored == {kind: 1}
    assert venue.quarantined == []
    assert words(venue.receive(match(101), NOW)) == ["TRADE 101"], "its id is from another space, or told elsewhere"


BAD = {
    "binary": (b'{"type":"match"}', "binary frame", None),
    "empty": ("", "malformed JSON", None),
    "cut off": (match(101)[:80], "malformed JSON", None),
    "not JSON": ("<html>502 Bad Gateway</html>", "malformed JSON", None),
    "lone surrogate": ('{"type":"match","x":"\ud800"}', "malformed JSON", None),
    "deep": ('{"type":"match","x":' + "[" * 100_000, "malformed JSON", None),
    "array": (f"[{match(101)}]", "wrong field", None),
    "number": ("17", "wrong field", None),
    "null": ("null", "wrong field", None),
    "no type": (match(101, type=None), "wrong field", "BTC-USD"),
    "type is a number": (match(101, type=5), "wrong field", "BTC-USD"),
    "unknown type": (match(101, type="greeting"), "unknown message type", "BTC-USD"),
    "unknown type, long": (json.dumps({"type": "x" * 10_000}), "unknown message type", None),
    "other product": (match(101, product_id="XRP-USD"), "unrequested product", None),
    "other product's heartbeat": (heartbeat(7, product_id="XRP-USD"), "unrequested product", None),
    "heartbeat without id": (heartbeat(7, last_trade_id=None), "wrong field", "BTC-USD"),
    "heartbeat with a wrong time": (heartbeat(7, time="noon"), "absurd time", "BTC-USD"),
    "heartbeat that leaps": (heartbeat(10**12), "absurd trade id", "BTC-USD"),
    "acknowledgement of the wrong shape": ('{"type":"subscriptions","channels":{"name":7}}', "wrong field", None),
    "error of the wrong shape": ('{"type":"error","message":[1]}', "wrong field", None),
    "oversized": (match(101, note="x" * 5_000_000), "oversized frame", None),
    "id is text": (match(101, trade_id="101"), "wrong field", "BTC-USD"),
    "id is negative": (match(101, trade_id=-1), "wrong field", "BTC-USD"),
    "id is true": (match(101, trade_id=True), "wrong field", "BTC-USD"),
    "id is too large for a row": (match(101, trade_id=2**63), "wrong field", "BTC-USD"),
    "id is missing": (match(101, trade_id=None), "wrong field", "BTC-USD"),
}

SEEN = {
    "price is missing": (match(101, price=None), "wrong field"),
    "price is zero": (match(101, price="0.00"), "absurd price"),
    "price is negative": (match(101, price="-1"), "absurd price"),
    "price is not a number": (match(101, price="NaN"), "absurd price"),
    "price is infinite": (match(101, price="Infinity"), "absurd price"),
    "price is too high": (match(101, price="10000000.01"), "absurd price"),
    "price is too fine": (match(101, price="1.00000000001"), "absurd price"),
    "size is text": (match(101, size="much"), "absurd size"),
    "size is negative": (match(101, size="-1"), "absurd size"),
    "side is unknown": (match(101, side="up"), "wrong field"),
    "side is missing": (match(101, side=None), "wrong field"),
    "sequence is text": (match(101, sequence="1"), "wrong field"),
    "time is missing": (match(101, time=None), "wrong field"),
    "time is wrong": (match(101, time="2026-02-30T00:00:00Z"), "absurd time"),
    "time lies in the future": (match(101, at_ns=NOW + 61 * NS), "absurd time"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_goes_to_quarantine_and_the_feed_goes_on(name: str) -> None:
    raw, kind, symbol = BAD[name]
    venue = feed()
    assert venue.receive(raw, NOW + 5) == []
    (item,) = venue.quarantined
    assert (item.kind, item.symbol, item.venue, item.recv_ts) == (kind, symbol, "coinbase", NOW + 5)
    assert len(item.raw) <= RAW_MAX
    assert len(item.reason) < 300
    assert venue.quarantined_count == [int(lane.symbol == symbol) for lane in venue.lanes], (
        "on no lane that it is not of"
    )
    assert words(venue.receive(match(102), NOW)) == ["GAP 101-101", "TRADE 102"], "its id was not seen"


@pytest.mark.parametrize("name", SEEN)
def test_a_quarantined_trade_whose_id_can_be_read_leaves_no_gap(name: str) -> None:
    raw, kind = SEEN[name]
    venue = feed()
    assert venue.receive(raw, NOW) == []
    (item,) = venue.quarantined
    assert (item.kind, item.symbol) == (kind, "BTC-USD")
    assert item.raw == raw.encode()
    assert venue.quarantined_count == [1, 0]
    assert words(venue.receive(match(102), NOW)) == ["TRADE 102"]


def test_a_quarantined_last_match_counts_as_seen_too() -> None:
    venue = feed()
    venue.receive(match(101, type="last_match", side=None), NOW)
    assert words(venue.receive(match(102), NOW)) == ["TRADE 102"]


@pytest.mark.parametrize("trade_id", [-1, True, 2**63, NUMBERING])
def test_an_id_that_is_none_is_never_noted(trade_id: int) -> None:
    # So high a lane believes every id that lies ahead; what the tape cannot hold must not become its highest.
    venue = Coinbase(("BTC-USD",))
    venue.receive(match(NUMBERING - 2), NOW)
    assert venue.receive(match(1, trade_id=trade_id), NOW) == []
    assert venue.ledgers[0].highest_id == NUMBERING - 2


def test_an_id_that_leaps_goes_to_quarantine_when_no_heartbeat_has_named_it() -> None:
    venue = feed()
    raw = match(500_000_100, at_ns=NOW + 1)
    assert venue.receive(raw, NOW + 1) == []
    assert venue.quarantined == []
    for second in range(1, 4):
        assert words(venue.receive(match(100 + second, at_ns=NOW + second * NS), NOW + second * NS)) == [
            f"TRADE {100 + second}"
        ]
        venue.receive(heartbeat(100 + second), NOW + second * NS)
        venue.tick(NOW + second * NS)
    venue.tick(NOW + 4 * NS)
    (item,) = venue.quarantined
    assert (item.kind, item.symbol, item.raw) == ("absurd trade id", "BTC-USD", raw.encode())
    assert item.reason == "absurd trade id: 500000100 leaps from 103, and no heartbeat has named it"
    assert words(venue.receive(match(104, at_ns=NOW + 5 * NS), NOW + 5 * NS)) == ["TRADE 104"], "nothing else is lost"


def test_a_quarantined_trade_still_reveals_what_was_skipped() -> None:
    venue = feed()
    assert words(venue.receive(match(103, price="0"), NOW)) == ["GAP 101-102"]


def test_an_absurd_id_on_a_virgin_lane_poisons_nothing() -> None:
    venue = feed()
    for bad in (match(2**63 - 1, product_id="ETH-USD", price="0"), match(10**30, product_id="ETH-USD")):
        assert venue.receive(bad, NOW) == []
    assert words(venue.receive(match(7, product_id="ETH-USD"), NOW)) == ["TRADE 7"]


def test_a_minute_ahead_is_measured_from_the_later_of_our_clock_and_the_heartbeat() -> None:
    behind = NOW - 3600 * NS  # our clock is an hour slow
    venue = Coinbase(("BTC-USD",))
    venue.subscribe(behind)
    assert venue.receive(match(1), behind) == []
    assert venue.quarantined[0].kind == "absurd time"
    for seconds in (0, 1):  # the first one could be absurd, the second one agrees with it
        venue.receive(heartbeat(1, at_ns=START_NS + seconds * NS - NS), behind + seconds * NS)
    venue.receive(heartbeat(1, at_ns=START_NS), behind)
    assert words(venue.receive(match(2, at_ns=START_NS + 60 * NS), behind)) == ["TRADE 2"]
    assert venue.receive(match(3, at_ns=START_NS + 60 * NS + 1_000), behind) == []


def test_one_heartbeat_of_another_century_moves_no_clock() -> None:
    venue = feed()
    far = START_NS + 100 * 365 * 86_400 * NS
    assert venue.receive(heartbeat(100, at_ns=far), NOW) == []
    assert [item.kind for item in venue.quarantined] == ["absurd time"]
    assert venue.receive(match(101, at_ns=far - NS), NOW) == []
    assert [item.kind for item in venue.quarantined] == ["absurd time", "absurd time"]
    assert words(venue.receive(match(102), NOW)) == ["TRADE 102"]
    venue.receive(heartbeat(102, at_ns=START_NS), NOW)
    assert venue.ledgers[0].heartbeat_ts == START_NS


def test_a_heartbeat_that_names_far_too_high_an_id_opens_no_gap() -> None:
    venue = feed()
    assert words(venue.receive(match(101), NOW)) == ["TRADE 101"]
    assert venue.receive(heartbeat(101 + NAMED_LEAP_MAX + 1), NOW) == []
    assert [item.kind for item in venue.quarantined] == ["absurd trade id"]
    assert words(venue.receive(match(102), NOW)) == ["TRADE 102"]
    assert venue.receive(heartbeat(102 + NAMED_LEAP_MAX), NOW) == []
    assert words(venue.tick(NOW + 2 * NS))[0] == f"GAP 103-{102 + NAMED_LEAP_MAX}"


def test_exactly_a_minute_ahead_is_believed() -> None:
    venue = feed()
    now_ns = START_NS
    assert words(venue.receive(match(101, at_ns=now_ns + 60 * NS), now_ns)) == ["TRADE 101"]


def test_the_longest_frame_that_is_read() -> None:
    venue = feed()
    bare = len(match(101, note=""))
    assert words(venue.receive(match(101, note="x" * (FRAME_MAX - bare)), NOW)) == ["TRADE 101"]
    assert venue.receive(match(102, note="x" * (FRAME_MAX - bare + 1)), NOW) == []
    assert venue.quarantined[0].kind == "oversized frame"


def test_only_the_head_of_a_quarantined_frame_is_kept() -> None:
    venue = feed()
    venue.receive("ä" * 10_000, NOW)
    venue.receive(b"\xff" * 10_000, NOW)
    assert [len(item.raw) for item in venue.quarantined] == [RAW_MAX, RAW_MAX]


MANGLED = st.one_of(
    st.text(),
    st.binary(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=8,
    ).map(json.dumps),
    st.dictionaries(
        st.sampled_from(list(json.loads(match(1)))),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers()),
    ).map(lambda changes: frame(json.loads(match(101)), changes)),
    st.dictionaries(
        st.sampled_from(list(json.loads(heartbeat(1)))), st.none() | st.integers() | st.text(max_size=20)
    ).map(lambda changes: frame(json.loads(heartbeat(101)), changes)),
)


@given(st.lists(MANGLED, max_size=10))
def test_no_input_raises_and_each_frame_is_accounted_for(frames: list[str | bytes]) -> None:
    venue = feed()
    rows, without_a_row = [], 0
    for raw in frames:
        set_aside = len(venue.quarantined)
        rows += venue.receive(raw, NOW)
        if len(venue.quarantined) == set_aside and json.loads(raw)["type"] in ("heartbeat", "subscriptions"):
            without_a_row += 1
    rows += venue.tick(NOW + 31 * NS)  # by now every straggler has been let go
    told = sum(row[8] in (Kind.TRADE, Kind.LATE) for row in rows)
    counted = len(venue.quarantined) + venue.ignored.total() + len(venue.errors) + venue.ledgers[0].duplicates
    assert told + counted + without_a_row == len(frames)
    assert venue.ledgers[0].highest_id < 2**63


@pytest.mark.parametrize("seed", range(5))
def test_no_bytes_flipped_in_a_frame_stop_the_feed(seed: int) -> None:
    rng, venue = random.Random(seed), feed()  # noqa: S311  # the seed stands in the name of the test
    for _ in range(2_000):
        text = list(rng.choice((match(101), heartbeat(101), subscriptions("BTC-USD"), error("YFI-USD is delisted"))))
        for _ in range(rng.randint(1, 4)):
            text[rng.randrange(len(text))] = chr(rng.choice((0, 34, 44, 48, 57, 92, 93, 125, 228, 0x1F600, 0xD800)))
        for row in venue.receive("".join(text), NOW):
            assert all(-(2**63) <= value < 2**63 for value in row if isinstance(value, int))
    assert words(venue.receive(match(venue.ledgers[0].highest_id + 1), NOW))[-1].startswith("TRADE")


@pytest.mark.parametrize(
    ("unix_s", "planned"),
    [
        (1_783_533_900, True),  # Wednesday 2026-07-08 14:05 in New York (18:05 UTC)
        (1_783_530_300, False),  # an hour before
        (1_783_535_399, True),  # 14:29:59
        (1_783_535_400, False),  # 14:30
        (1_783_447_500, False),  # Tuesday 14:05
        (1_783_706_700, False),  # Friday 14:05
        (1_767_639_900, True),  # Monday 2026-01-05 14:05 in New York (19:05 UTC: winter time)
    ],
)
def test_planned_restarts_are_told_in_new_yorks_time(unix_s: int, *, planned: bool) -> None:
    assert planned_restart(unix_s * NS) is planned
