"""Raw recordings of sockets become rows; what is not as documented goes to quarantine."""

import json

import pytest

from support.tapes import collector, told
from tapewatch.carry.tape import Tape
from tapewatch.errors import TapeError
from tapewatch.model import Kind, Lane

BTC = Lane("coinbase", "BTC-USD")
USDT = Lane("binance", "BTC-USDT")
SECOND = 1_760_054_400  # 2025-10-10T00:00:00Z
NS = 10**9


def match(number: int, **fields: object) -> dict[str, object]:
    return {
        "type": "match",
        "trade_id": number,
        "sequence": 1000 + number,
        "product_id": "BTC-USD",
        "price": "61837.63",
        "size": "0.02",
        "time": "2025-10-10T00:00:00.25Z",
        "side": "sell",
    } | fields


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in match(6).items() if name != key}


def read(path, frames, wrap=json.dumps):
    path.write_text("".join(f"{frame if isinstance(frame, str) else wrap(frame)}\n" for frame in frames))
    bad, report = collector()
    return told(Tape([path], on_bad=report)), bad


def row(number: int, *, ts=SECOND * NS + NS // 4, recv=None, side=1, price=618_376_300_000_000, sequence=None):
    sequence = 1000 + number if sequence is None else sequence
    return (ts, ts if recv is None else recv, number, sequence, price, 0.02, 0, Kind.TRADE, side, 0)


def test_frames_of_the_exchange_feed_give_trades_of_the_opposite_side(tmp_path):
    frames = [
        {"type": "subscriptions", "channels": []},
        match(5, type="last_match"),
        {"type": "l2update", "changes": []},
        match(6, side="buy"),
        {"type": "brand_new", "trade_id": 1},
    ]
    rows, bad = read(tmp_path / "frames.ndjson", frames)
    assert rows == [(BTC, row(5)), (BTC, row(6, side=-1))]
    assert bad == []


def test_a_recording_may_tell_when_a_frame_came_and_what_the_client_sent(tmp_path):
    frames = [
        f"wss://ws-feed.pro.coinbase.com <-> {SECOND}.5",
        f'wss://ws-feed.pro.coinbase.com <- {SECOND}.6: {{"type":"subscribe"}}',
        f"{SECOND}.7000001: {json.dumps(match(5))}",
    ]
    assert read(tmp_path / "day.ws", frames) == ([(BTC, row(5, recv=SECOND * NS + 700_000_100))], [])


def test_a_json_array_is_a_recording_too(tmp_path):
    path = tmp_path / "frames.json"
    path.write_text(json.dumps([match(5), match(6, side="up")], indent=2))
    bad, report = collector()
    assert told(Tape([path], on_bad=report)) == [(BTC, row(5))]
    assert [(each.line, each.reason) for each in bad] == [(2, "Invalid enum value 'up' - at `$.side`")]


@pytest.mark.parametrize("text", ["[1, 2", "[{}] x"])
def test_a_broken_array_is_refused(tmp_path, text):
    path = tmp_path / "frames.json"
    path.write_text(text)
    with pytest.raises(TapeError, match=r"frames.json: expected a JSON array of frames: "):
        list(Tape([path]))


def recorded(frame: object) -> str:
    return json.dumps({"t": "recv", "conn": "1", "ts": SECOND + 0.5, "data": json.dumps(frame)})


def market(*trades: tuple[int, str], kind: str = "update") -> dict[str, object]:
    found = [
        {"product_id": "BTC-USD", "trade_id": str(number), "price": "61837.63", "size": "0.02", "side": side}
        | {"time": "2025-10-10T00:00:00.25Z"}
        for number, side in trades
    ]
    return {
        "channel": "market_trades",
        "timestamp": "x",
        "sequence_num": 1,
        "events": [{"type": kind, "trades": found}],
    }


def test_frames_of_advanced_trade_are_sorted_by_id(tmp_path):
    frames = [
        '{"t":"header","format":2}',
        json.dumps({"t": "send", "ts": SECOND, "data": "{}"}),
        recorded({"channel": "l2_data", "events": []}),
        recorded(market((7, "BUY"), (6, "SELL"), (5, "SELL"), kind="snapshot")),
    ]
    recv = SECOND * NS + NS // 2
    want = [(BTC, row(n, recv=recv, side=side, sequence=0)) for n, side in ((5, 1), (6, 1), (7, -1))]
    assert read(tmp_path / "day.jsonl", frames) == (want, [])


def test_one_bad_trade_of_a_frame_does_not_spoil_the_others(tmp_path):
    frame = market((5, "BUY"), (6, "MAYBE"), (7, "BUY"))
    rows, bad = read(tmp_path / "day.jsonl", ['{"t":"header"}', recorded(frame)])
    assert [row[2] for _, row in rows] == [5, 7]  # and no gap: the id of the bad one was seen
    assert [(each.line, each.symbol, each.reason) for each in bad] == [
        (2, "BTC-USD", "Invalid enum value 'MAYBE' - at `$.side`")
    ]


def spot(number: int, **fields: object) -> str:
    trade = {
        "e": "trade",
        "s": "BTCUSDT",
        "t": number,
        "p": "61837.63000000",
        "q": "0.02",
        "T": SECOND * 1000,
        "m": True,
    }
    return f"{SECOND * NS + 7} " + json.dumps({"stream": "btcusdt@trade", "data": trade | fields})


def test_frames_of_binance_carry_both_clocks(tmp_path):
    frames = [
        f"{SECOND * NS} " + json.dumps({"lastUpdateId": 1, "bids": []}),
        f"{SECOND * NS} " + json.dumps({"stream": "b", "data": {"u": 1, "s": "BTCUSDT"}}),
        spot(5),
        spot(6, m=False),
    ]
    want = [
        (USDT, row(n, ts=SECOND * NS, recv=SECOND * NS + 7, side=side, sequence=0)) for n, side in ((5, -1), (6, 1))
    ]
    assert read(tmp_path / "day", frames) == (want, [])


BAD_EXCHANGE = {
    "not json": ("{", "Input data was truncated", False),
    "no type": ({"tipe": "match"}, "Object missing required field `type`", False),
    "binary": ("\x00\x01", "JSON is malformed", False),
    "no price": (without("price"), "Object missing required field `price`", True),
    "price is a number": (match(6, price=1.5), "Expected `str`, got `float` - at `$.price`", True),
    "price is a word": (
        match(6, price="free"),
        "price: expected a number with at most 10 decimals, found 'free'",
        True,
    ),
    "price is nothing": (match(6, price="0"), "price: expected more than 0, found 0", True),
    "price too fine": (
        match(6, price="0.00000000001"),
        "price: expected a number with at most 10 decimals, found '0.00000000001'",
        True,
    ),
    "size is a word": (match(6, size="some"), "size: expected a number, found 'some'", True),
    "size is not a number": (match(6, size="nan"), "size: expected a finite number", True),
    "time is a word": (match(6, time="noon"), "time: expected ISO 8601 with a zone, found 'noon'", True),
    "time is in no zone": (match(6, time="2025-10-10T00:00:00"), "time: expected ISO 8601 with a zone", True),
    "id is a text": (match(6, trade_id="six"), "Expected `int`, got `str` - at `$.trade_id`", False),
    "id is huge": (match(6, trade_id=2**63), "Expected `int`", False),
}


@pytest.mark.parametrize(("frame", "reason", "seen"), BAD_EXCHANGE.values(), ids=BAD_EXCHANGE)
def test_a_bad_frame_goes_to_quarantine_and_the_rest_is_read(tmp_path, frame, reason, seen):
    rows, bad = read(tmp_path / "frames.ndjson", [match(5), frame, match(7)])
    kinds = [row[7] for _, row in rows]
    assert kinds == ([Kind.TRADE, Kind.TRADE] if seen else [Kind.TRADE, Kind.GAP, Kind.FILLED, Kind.TRADE])
    assert [each.line for each in bad] == [2]
    assert bad[0].reason.startswith(reason)
    assert bad[0].symbol == ("BTC-USD" if seen else None)


BAD_LINES = {
    "no time": ("{}", "expected a time in ns, a blank and a frame"),
    "a time beyond int64": ("9" * 19 + " {}", "expected a time in ns, a blank and a frame"),
    "no frame": (f"{SECOND * NS} {{", "Input data was truncated"),
    "venue's time beyond int64": (spot(6, T=10**16), "Expected `int` <= "),
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_of_binance_goes_to_quarantine(tmp_path, line, reason):
    _, bad = read(tmp_path / "day", [spot(5), line, spot(7)])
    assert [(each.line, each.reason[: len(reason)]) for each in bad] == [(2, reason)]


@pytest.mark.parametrize("ts", ['"NaN"', '"Infinity"', "1e999999999", "-1"])
def test_an_absurd_time_of_receipt_is_one_bad_line(tmp_path, ts):
    line = '{"t":"recv","ts":' + ts + ',"data":"{}"}'
    rows, bad = read(tmp_path / "day.jsonl", ['{"t":"header"}', line, recorded(market((5, "BUY")))])
    assert len(rows) == 1
    assert [each.line for each in bad] == [2]


def test_a_trade_far_ahead_is_believed_once_a_heartbeat_vouches_for_its_time(tmp_path):
    ahead = match(5, time="2025-10-10T00:02:00Z")
    beat = {"type": "heartbeat", "product_id": "BTC-USD", "last_trade_id": 4, "time": "2025-10-10T00:01:30Z"}
    stamp = f"{SECOND}: ".__add__
    rows, bad = read(tmp_path / "day.ws", [ahead, beat, ahead], lambda frame: stamp(json.dumps(frame)))
    assert len(rows) == 1
    assert [(each.line, each.recv_ts) for each in bad] == [(1, SECOND * NS)]
    assert bad[0].reason == "time: expected at most 60 s ahead of its receipt, found 120.0 s"


def test_the_flag_names_the_lane_instead(tmp_path):
    path = tmp_path / "frames.ndjson"
    path.write_text(json.dumps(match(5)) + "\n" + json.dumps(match(6, product_id="ETH-USD")) + "\n")
    with pytest.raises(TapeError, match="expected one symbol, because it is to be read as XBT-USD"):
        list(Tape([path], symbol="XBT-USD"))


# ── the real recordings

TRADES = {
    "captures/coinbase-exchange-2026-07-07.ndjson": 2 + 435,  # last_match and match
    "captures/coinbase-exchange-matches-2025-08-22.json": 447,
}


@pytest.mark.parametrize("name", TRADES)
def test_every_trade_of_a_real_capture_is_read(shared, name):
    bad, report = collector()
    rows = told(Tape([shared / name], on_bad=report))
    assert [row[7] for _, row in rows] == [Kind.TRADE] * TRADES[name]  # contiguous: no gap
    assert bad == []


def test_the_old_session_holds_the_trades_that_a_plain_count_finds(shared):
    path = shared / "captures/coinbase-exchange-2021-04-17.ws"
    text = path.read_text()
    trades = [row for _, row in told(Tape([path])) if row[7] == Kind.TRADE]
    assert len(trades) == text.count('{"type":"match"') + text.count('{"type":"last_match"')
    began, ended = 1_618_677_816 * NS, (1_618_677_816 + 32) * NS
    assert all(began < recv < ended for _, recv, *_ in trades)


def test_the_advanced_session_holds_each_id_of_its_span_once(shared):
    rows = told(Tape([shared / "captures/coinbase-advanced-2026-08-09.jsonl.zst"]))
    for lane in (BTC, Lane("coinbase", "ETH-USD")):
        numbers = [row[2] for each, row in rows if each == lane]
        assert len(numbers) > 100  # the snapshot of 100 trades, and what came then
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_local_clock_of_the_skewed_recording_runs_behind(shared):
    rows = told(Tape([shared / "skew"]))
    assert {lane for lane, _ in rows} == {USDT}
    numbers = [row[2] for _, row in rows]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))  # across both files: no gap
    behind = sorted((row[0] - row[1]) / NS for _, row in rows)
    assert 1.06 - 0.01 < behind[len(behind) // 2] < 1.28 + 0.01
