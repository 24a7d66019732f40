"""Rows as messages: what goes in comes out, and what is no row is refused without touching its neighbours."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.markets import seeded, tapes
from tapewatch.carry import codec
from tapewatch.carry.codec import decode, encode, key_of
from tapewatch.model import Kind, Lane, Rows

BTC = Lane("coinbase", "BTC-USD")
TRADE = {
    "kind": "trade", "venue": "coinbase", "symbol": "BTC-USD", "recv_ts": 7, "ts": 5, "trade_id": 12,
    "price": "61837.63", "size": 0.5, "side": "sell",
}  # fmt: skip


def named(rows: Rows) -> list[tuple[object, ...]]:
    """Rows with the name of their lane in place of its number, which means nothing outside."""
    return [(*row[:7], rows.lanes[row[7]], *row[8:]) for row in rows.data.tolist()]


def message(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in {**TRADE, **changes}.items() if value is not None}).encode()


@given(tapes())
@settings(max_examples=60)
def test_what_is_written_is_read(rows: Rows) -> None:
    backwards = np.isin(rows.data["kind"], (Kind.GAP, Kind.FILLED)) & (rows.data["aux"] < rows.data["trade_id"])
    rows = Rows(rows.lanes, rows.data[~backwards])  # what no capture lets go
    again, refused = decode(encode(rows))
    assert refused == []
    assert named(again) == named(rows)


def test_a_message_is_what_the_documentation_says() -> None:
    row = (5, 7, 12, 0, 618376300000000, 0.5, 0, 0, int(Kind.TRADE), -1, 0)
    (written,) = encode(Rows.of([BTC], [row]))
    assert json.loads(written) == TRADE
    gap = (0, 9, 13, 0, 0, 0.0, 15, 0, int(Kind.GAP), 0, 0)
    (written,) = encode(Rows.of([BTC], [gap]))
    expected = {"kind": "gap", "venue": "coinbase", "symbol": "BTC-USD", "recv_ts": 9, "trade_id": 13, "aux": 15}
    assert json.loads(written) == expected
    assert key_of(BTC) == b"coinbase:BTC-USD"


WRONG = {
    "not JSON": (b"{", "expected a row as JSON"),
    "not UTF-8": (b'{"kind":"\xff"}', "expected a row as JSON"),
    "empty": (b"", "expected a row as JSON"),
    "two in one": (message() + b"\n" + message(), "expected a row as JSON"),
    "another kind": (message(kind="quote"), "quote"),
    "no symbol": (message(symbol=None), "symbol"),
    "symbol with NUL": (message(symbol="BTC\0USD"), "symbol: expected a name"),
    "symbol with colon": (message(symbol="a:b"), "symbol: expected a name"),
    "negative id": (message(trade_id=-1), "trade_id"),
    "id beyond 64 bits": (message(trade_id=2**63), "trade_id"),
    "price as number": (message(price=3.5), "price"),
    "price of eleven decimals": (
        message(price="0.00000000001"),
        "price: expected digits and a point with at most 10 decimals",
    ),
    "price of zero": (message(price="0"), "price: expected digits"),
    "no price": (message(price=None), "price: expected digits"),
    "price with an exponent": (message(price="1e3"), "price: expected digits and a point"),
    "price with a sign": (message(price="+1"), "price: expected digits"),
    "price with another's digits": (message(price="\u0661"), "price: expected digits"),
    "a time that nothing can be added to": (message(ts=2**62 + 1), "ts"),
    "price too high": (message(price="10000000.1"), "at most 10000000, found"),
    "endless size": (message().replace(b"0.5", b"1e999"), "size"),
    "gap that ends before it begins": (message(kind="gap", trade_id=12, aux=11), "aux: expected the last id"),
}


@pytest.mark.parametrize(("wrong", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_row_is_refused_and_its_neighbours_are_not(wrong: bytes, words: str) -> None:
    rows, refused = decode([message(trade_id=1), wrong, message(trade_id=3)])
    assert rows.data["trade_id"].tolist() == [1, 3]
    ((at, reason),) = refused
    assert at == 1
    assert words in reason


@given(st.lists(st.sampled_from([message(), *(wrong for wrong, _ in WRONG.values())]), max_size=8))
def test_each_message_is_judged_alone(messages: list[bytes]) -> None:
    rows, refused = decode(messages)
    alone = [decode([each]) for each in messages]
    assert len(rows.data) == sum(len(found.data) for found, _ in alone)
    assert refused == [(at, bad[0].reason) for at, (_, bad) in enumerate(alone) if bad]


def test_fields_that_a_later_version_may_add_are_passed_over() -> None:
    rows, refused = decode([message(note="new")])
    assert (len(rows.data), refused) == (1, [])


def test_messages_are_plain_json_of_one_line() -> None:
    for each in encode(seeded(3, 500, 3)):
        assert b"\n" not in each
        assert msgspec.json.decode(each)["kind"] in ("trade", "gap", "late", "filled", "clock", "epoch")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("abc", 479470107),
    ],
)
def test_keys_are_hashed_as_java_clients_of_kafka_do(key: str, expected: int) -> None:
    assert codec._murmur2(key.encode()) == expected % 2**32  # the examples of Kafka's own tests (UtilsTest)
