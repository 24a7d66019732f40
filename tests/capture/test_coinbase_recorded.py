"""The protocol reads every real frame of the recordings; the standard library's JSON and Decimal are the oracle."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tapewatch.capture.coinbase import CHANNELS, SPOKEN, UNREQUESTED, Coinbase
from tapewatch.model import NS, PRICE_SCALE, Kind, RowTuple

AFTER = 2_000_000_000 * NS  # later than every recording, so that no time lies in the future

Message = dict[str, Any]


def recorded_2026(captures: Path) -> list[str]:
    return (captures / "coinbase-exchange-2026-07-07.ndjson").read_text().splitlines()


def recorded_2025(captures: Path) -> list[str]:
    frames = json.loads((captures / "coinbase-exchange-matches-2025-08-22.json").read_text())
    return [json.dumps(each) for each in frames]


def recorded_2021(captures: Path) -> list[str]:
    lines = (captures / "coinbase-exchange-2021-04-17.ws").read_text().splitlines()
    return [line.split(": ", 1)[1] for line in lines if line and not line.startswith("wss:")]


def probed(captures: Path) -> list[str]:
    probe = json.loads((captures / "exchange_2026-09-29_probe.json").read_text())
    frames = [each for _, each in probe["frames"]]
    frames += [each["frame"] for each in probe["error_frames"]]
    return [json.dumps(each) for each in frames]


RECORDINGS = {
    "2026-07-07": (recorded_2026, ("BTC-USD", "ETH-USD")),
    "2025-08-22": (recorded_2025, ("BTC-USD", "ETH-USD", "LTC-USD")),
    "2021-04-17": (
        recorded_2021,
        (
            "SKL-USD",
            "SKL-BTC",
            "BAND-GBP",
            "NMR-EUR",
            "BAND-BTC",
            "YFI-BTC",
            "DASH-BTC",
            "NU-GBP",
            "CRV-EUR",
            "SKL-GBP",
        ),
    ),
    "2026-09-29": (probed, ("BTC-USD", "YFI-USD")),
}


class Read:
    """A whole recording, read by the protocol."""

    def __init__(self, captures: Path, name: str) -> None:
        frames, symbols = RECORDINGS[name]
        self.frames = frames(captures)
        self.messages: list[Message] = [json.loads(each) for each in self.frames]
        self.venue = Coinbase(symbols)
        self.venue.subscribe(AFTER)
        self.answers = [self.venue.receive(each, AFTER) for each in self.frames]

    def of(self, *kinds: str) -> Iterator[tuple[Message, list[RowTuple]]]:
        for message, rows in zip(self.messages, self.answers, strict=True):
            if message["type"] in kinds:
                yield message, rows


@pytest.fixture(params=RECORDINGS)
def read(request: pytest.FixtureRequest, shared: Path) -> Read:
    return Read(shared / "captures", request.param)


def test_every_real_frame_is_read_or_ignored_and_none_is_set_aside(read: Read) -> None:
    kinds = Counter(message["type"] for message in read.messages)
    assert set(kinds) <= SPOKEN | UNREQUESTED
    assert read.venue.quarantined == []
    assert read.venue.ignored == {kind: n for kind, n in kinds.items() if kind in UNREQUESTED}


def test_every_match_is_one_trade_with_exactly_its_values(read: Read) -> None:
    for message, rows in read.of("match", "last_match"):
        (row,) = rows
        lane = read.venue.lanes[row[7]]
        assert (lane.venue, lane.symbol) == ("coinbase", message["product_id"])
        assert (row[2], row[3], row[8]) == (message["trade_id"], message["sequence"], Kind.TRADE)
        assert Decimal(row[4]) / PRICE_SCALE == Decimal(message["price"])
        assert row[5] == float(message["size"])
        assert row[9] == {"buy": -1, "sell": 1}[message["side"]]
        seconds, fraction = message["time"].rstrip("Z").split(".")
        assert row[0] % NS == int(f"{fraction:0<9}")
        assert seconds == _utc(row[0] // NS)


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")


def test_trade_ids_follow_one_another_and_sequences_rise(read: Read) -> None:
    last: dict[int, RowTuple] = {}
    for _, rows in read.of("match", "last_match"):
        for row in rows:
            if row[7] in last:
                assert row[2] == last[row[7]][2] + 1
                assert row[3] > last[row[7]][3]
            last[row[7]] = row
    assert all(ledger.due_ns == 2**63 - 1 for ledger in read.venue.ledgers), "no gap is open, no id awaited"


def test_the_recording_of_2026_holds_what_is_known_of_it(shared: Path) -> None:
    read = Read(shared / "captures", "2026-07-07")
    kinds = Counter(row[8] for rows in read.answers for row in rows)
    assert kinds == {Kind.TRADE: 437}
    assert read.venue.ignored == {"snapshot": 2, "l2update": 1898}
    beats = 0
    highest: dict[str, int] = {}
    for message, rows in read.of("match", "last_match", "heartbeat"):
        if message["type"] == "heartbeat":
            beats += 1
            assert message["last_trade_id"] == highest[message["product_id"]], "the heartbeat names the last match"
        for row in rows:
            highest[message["product_id"]] = row[2]
    assert beats == 118
    times = {message["product_id"]: message["time"] for message, _ in read.of("heartbeat")}
    for lane, ledger in zip(read.venue.lanes, read.venue.ledgers, strict=True):
        clock_s, fraction = divmod(ledger.clock(AFTER)[0], NS)
        assert (_utc(clock_s), fraction) == (times[lane.symbol].removesuffix(".000000Z"), 0)
    assert read.venue.asking.served == {"BTC-USD", "ETH-USD"}


def test_the_matches_of_2025_are_447_without_a_break(shared: Path) -> None:
    read = Read(shared / "captures", "2025-08-22")
    trades = Counter(row[7] for rows in read.answers for row in rows)
    assert trades == {0: 143, 1: 284, 2: 20}


def test_the_ticker_names_the_taker_whom_our_rows_name(shared: Path) -> None:
    read = Read(shared / "captures", "2021-04-17")
    ours = {
        (read.venue.lanes[row[7]].symbol, row[2]): row[9] for _, rows in read.of("match", "last_match") for row in rows
    }
    assert len(ours) == 107
    shared_trades = 0
    for message, _ in read.of("ticker"):
        key = (message["product_id"], message["trade_id"])
        if key in ours:
            shared_trades += 1
            assert ours[key] == {"buy": 1, "sell": -1}[message["side"]]
    assert shared_trades > 0


def test_a_real_refusal_leaves_the_other_products_subscribed(shared: Path) -> None:
    venue = Coinbase(RECORDINGS["2026-09-29"][1])
    venue.subscribe(AFTER)
    for raw in probed(shared / "captures"):
        venue.receive(raw, AFTER)
    assert venue.refusal("YFI-USD") == "coinbase does not serve YFI-USD: YFI-USD is delisted"
    assert venue.ledgers[0].highest_id == 1099995625
    assert venue.asking.served == {"BTC-USD"}


def test_our_request_has_the_shape_of_a_real_one(shared: Path) -> None:
    lines = (shared / "captures" / "coinbase-exchange-2021-04-17.ws").read_text().splitlines()
    real = [json.loads(line.split(": ", 1)[1]) for line in lines if " <- " in line]
    (ours,) = (json.loads(each) for each in Coinbase(("BTC-USD",)).subscribe(AFTER))
    for request in real:
        assert request.keys() == ours.keys()
        assert {key: type(value) for key, value in request.items()} == {key: type(value) for key, value in ours.items()}
    assert ours["channels"] == list(CHANNELS)


def test_another_feed_at_the_same_address_is_set_aside_not_misread(shared: Path) -> None:
    # Frames of the Advanced Trade feed, a protocol of the same venue that this one does not speak.
    frames = json.loads((shared / "captures" / "advanced_trade_2026-08-12_ccxt.json").read_text())
    texts = [json.dumps(each) for each in _objects(frames) if "channel" in each]
    assert texts
    venue = Coinbase(("BTC-USD",))
    assert [venue.receive(each, AFTER) for each in texts] == [[]] * len(texts)
    assert len(venue.quarantined) == len(texts)


def _objects(value: object) -> Iterator[Message]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)
