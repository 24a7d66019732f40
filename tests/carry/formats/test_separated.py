"""CSV becomes rows, each line judged by itself, however the file is cut into blocks."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.tapes import HEADER, START_US, Print, collector, csv, ids, told
from tapewatch.carry.formats import separated
from tapewatch.carry.source import FOREIGN, SEEN, Reading, Text
from tapewatch.carry.tape import Tape
from tapewatch.errors import ConfigError, TapeError
from tapewatch.model import Flag, Kind, Lane

BTC = Lane("coinbase", "BTC-USD")
START = START_US * 1000


def parse(text: bytes, block_bytes: int = 1 << 20, symbol: str | None = None):
    bad, report = collector()
    reading = Reading(symbol, block_bytes, report, lambda _: None)
    return told(separated.trades(Text("day.csv", "day.csv", io.BytesIO(text)), reading)), bad


def lines(*found: Print | str, end: str = "\n") -> bytes:
    return end.join([HEADER, *(each if isinstance(each, str) else each.line() for each in found)]).encode()


def trade(print_: Print, price: int, size: float = 1.5, side: int = 1):
    ts, recv = (START_US + print_.ts) * 1000, (START_US + print_.recv) * 1000
    lane = Lane(print_.venue, print_.symbol)
    return lane, (ts, recv, print_.number, 0, price, size, 0, Kind.TRADE, side, FOREIGN)


def test_a_line_becomes_a_row_with_both_clocks_and_the_takers_side():
    one = Print(7, "0.00001895", ts=250, recv=1_000, symbol="BONK-USD", side="sell", amount="47314258")
    two = Print(8, "61837.63", ts=250, recv=1_000, symbol="BTC-USD", side="unknown")
    rows, bad = parse(lines(one, two))
    assert rows == [trade(one, 189_500, 47314258.0, -1), trade(two, 618_376_300_000_000, side=0)]
    assert bad == []


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_no_harm():
    one, two = Print(7), Print(8)
    rows, bad = parse(b"\xef\xbb\xbf" + lines(one, "", two, "", end="\r\n"))
    assert rows == [trade(one, 10**12), trade(two, 10**12)]
    assert bad == []


def test_without_a_time_of_receipt_a_trade_counts_as_received_when_it_happened():
    text = f"exchange,symbol,timestamp,id,side,price,amount\ncoinbase,BTC-USD,{START_US + 5},7,buy,100,1.5\n".encode()
    assert parse(text)[0] == [trade(Print(7, ts=5, recv=5), 10**12)]
    line = Print(7, ts=5, recv=9).line().replace(str(START_US + 9), "")
    assert parse(lines(line))[0] == [trade(Print(7, ts=5, recv=5), 10**12)]


def test_columns_may_stand_in_another_order_and_among_others():
    text = (
        f"id,note,price,side,amount,symbol,exchange,timestamp\n7,x,100,buy,1.5,BTC-USD,coinbase,{START_US}\n".encode()
    )
    assert parse(text)[0] == [trade(Print(7), 10**12)]


BAD = {
    "": "expected 8 columns, found 1",
    "coinbase,BTC-USD": "expected 8 columns, found 2",
    Print(7).line() + ",x": "expected 8 columns, found 9",
    Print(7, "12,5").line(): "expected 8 columns, found 9",
    Print(7, "abc").line(): "price: expected a number with at most 10 decimals, found 'abc'",
    Print(7, "").line(): "price: expected a number with at most 10 decimals, found ''",
    Print(7, "nan").line(): "price: expected a number with at most 10 decimals, found 'nan'",
    Print(7, "inf").line(): "price: expected a number with at most 10 decimals, found 'inf'",
    Print(7, "0.00000000001").line(): "price: expected a number with at most 10 decimals, found '0.00000000001'",
    Print(7, "1e30").line(): "price: expected at most 10000000, found more than 922337203",
    Print(7, "0").line(): "price: expected more than 0, found 0",
    Print(7, "-3").line(): "price: expected more than 0, found -3",
    Print(7, "10000000.01").line(): "price: expected at most 10000000, found 10000000.01",
    Print(7, amount="nan").line(): "size: expected a finite number that is not negative, found nan",
    Print(7, amount="-1").line(): "size: expected a finite number that is not negative, found -1.0",
    Print(7, amount="much").line(): "amount: expected a number, found 'much'",
    Print(7, side="up").line(): "side: expected buy, sell or unknown, found 'up'",
    Print(7, venue="").line(): "exchange: expected a name, found ''",
    Print(7, symbol="").line(): "symbol: expected a name, found ''",
    Print(7).line().replace(",7,", ",7.5,"): "id: expected a whole number, found '7.5'",
    Print(7)
    .line()
    .replace(",7,", ",99999999999999999999,"): "id: expected a whole number, found '99999999999999999999'",
    Print(7).line().replace(",7,", ",-7,"): "trade id: expected one that is not negative, found -7",
    Print(7).line().replace(str(START_US), "noon", 1): "timestamp: expected whole microseconds, found 'noon'",
    Print(7, ts=60_000_001).line(): "time: expected at most 60 s ahead of its receipt, found 60.0 s",
    Print(7, ts=-START_US).line(): "time: expected a time after 1970, found 0 ns",
    Print(7, ts=8 * 10**18).line(): "time: expected a time after 1970, found 0 ns",
}


@pytest.mark.parametrize(("line", "reason"), [case for case in BAD.items() if case[0]], ids=lambda text: text[-60:])
def test_a_bad_line_goes_to_quarantine_and_the_rest_is_read(line, reason):
    rows, bad = parse(lines(Print(5), line, Print(9)))
    assert [row for _, row in rows if row[7] == Kind.TRADE] == [trade(Print(5), 10**12)[1], trade(Print(9), 10**12)[1]]
    assert [(each.place, each.line, each.raw) for each in bad] == [("day.csv", 3, line.encode())]
    assert bad[0].reason.startswith(reason)
    assert str(bad[0]) == f"day.csv, line 3: {bad[0].reason}"


def test_text_that_is_not_utf8_is_one_bad_line():
    rows, bad = parse(lines(Print(5)) + b"\ncoinbase,BTC-\xff,1,1,6,buy,1,1\n" + Print(7).line().encode())
    assert [row[2] for _, row in rows if row[7] == Kind.TRADE] == [5, 7]
    assert [(each.line, each.reason) for each in bad] == [(3, "expected text in UTF-8")]


@pytest.mark.parametrize("price", ["-3", "abc"])
def test_the_id_of_a_refused_trade_counts_as_seen_and_its_raw_line_is_kept_short(price, tmp_path):
    path = csv(tmp_path / "day.csv", [Print(5), Print(6, price, amount="1" * 9000), Print(7)])
    bad, report = collector()
    assert [row[7] for _, row in told(Tape([path], on_bad=report))] == [Kind.TRADE, Kind.TRADE]
    assert (bad[0].venue, bad[0].symbol, len(bad[0].raw)) == ("coinbase", "BTC-USD", 4096)


def test_a_line_whose_id_cannot_be_read_leaves_a_gap(tmp_path):
    path = csv(tmp_path / "day.csv", [Print(5), "garbage", Print(7)])
    assert [(row[7], row[2]) for _, row in told(Tape([path]))] == [
        (Kind.TRADE, 5),
        (Kind.GAP, 6),
        (Kind.FILLED, 6),
        (Kind.TRADE, 7),
    ]


@given(
    st.lists(st.sampled_from(["good", *BAD]), max_size=40),
    st.integers(60, 600),
)
def test_a_line_is_judged_by_itself(kinds, block_bytes):
    found = [Print(number).line() if kind == "good" else kind for number, kind in enumerate(kinds)]
    rows, bad = parse(lines(*found), block_bytes)
    alone = [parse(lines(line)) for line in found]
    assert rows == [row for each, _ in alone for row in each]
    assert [(each.reason, each.raw) for each in bad] == [(one.reason, one.raw) for _, each in alone for one in each]
    assert [each.line for each in bad] == [at for at, (_, each) in enumerate(alone, 2) if each]


def test_a_file_none_of_whose_rows_can_be_read_is_refused_early():
    with pytest.raises(
        TapeError, match=r"day.csv: none of the first 1000 rows could be read; line 1001: price: .* 'x'"
    ):
        parse(lines(*[Print(1, "x")] * 5000))


@pytest.mark.parametrize(
    "header",
    [HEADER.replace("price", "prize"), HEADER.replace(",amount", ""), HEADER + ",price", "a,b,c,d"],
)
def test_a_wrong_column_is_named(header):
    with pytest.raises(TapeError, match=rf"day.csv: expected the columns exchange, symbol, .* found '{header[:1]}"):
        parse(header.encode() + b"\n1,2,3,4,5,6,7,8\n")


def test_one_symbol_cannot_name_two_lanes():
    assert {lane for lane, _ in parse(lines(Print(1), Print(2)), symbol="XBT-USD")[0]} == {Lane("coinbase", "XBT-USD")}
    with pytest.raises(
        TapeError, match="expected one symbol, because it is to be read as XBT-USD, found BTC-USD and E"
    ):
        parse(lines(Print(1), Print(2, symbol="ETH-USD")), symbol="XBT-USD")


# ── aggTrades

AGG = "184359103,122335.79000000,0.00084000,243254795,243254804,1759536000061015,False,True"
AGG_ROW = (1759536000061015000, 1759536000061015000, 184359103, 0, 1_223_357_900_000_000, 0.00084, 0)


def archive(path, text: str, member: str = "BTCUSDC-aggTrades-2025-10-04.csv"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(member, text)
    return path


def test_an_aggregated_trade_of_a_buying_taker(tmp_path):
    path = archive(tmp_path / "BTCUSDC-aggTrades-2025-10-04.zip", AGG + "\n")
    assert told(Tape([path])) == [(Lane("binance", "BTC-USDC"), (*AGG_ROW, Kind.TRADE, 1, 0))]


@pytest.mark.parametrize(
    ("line", "ts", "side"),
    [
        (AGG.replace("False", "True", 1), 1759536000061015000, -1),
        (AGG.replace("1759536000061015", "1759536000061"), 1759536000061000000, 1),
        (AGG.removesuffix(",True").replace("False", "false"), 1759536000061015000, 1),
    ],
    ids=["selling taker", "milliseconds", "futures: seven columns"],
)
def test_variants_of_aggregated_trades(tmp_path, line, ts, side):
    path = tmp_path / "BTCUSDC-aggTrades-2025-10-04.csv"
    path.write_text(line + "\n")
    assert told(Tape([path])) == [(Lane("binance", "BTC-USDC"), (ts, ts, *AGG_ROW[2:], Kind.TRADE, side, 0))]


def test_the_header_of_the_futures_files_is_no_bad_row(tmp_path):
    header = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    path = tmp_path / "BTCUSDT-aggTrades-2025-10-04.csv"
    path.write_text(f"{header}\n{AGG.removesuffix(',True')}\n")
    bad, report = collector()
    assert ids(Tape([path], on_bad=report)) == [184359103]
    assert bad == []


def test_ids_of_aggregated_trades_are_contiguous(tmp_path):
    path = tmp_path / "BTCUSDC-aggTrades-2025-10-04.csv"
    path.write_text(f"{AGG}\n{AGG.replace('184359103', '184359106')}\n")
    kinds = [(row[7], row[2], row[6], row[9]) for _, row in told(Tape([path]))]
    assert kinds == [
        (Kind.TRADE, 184359103, 0, 0),
        (Kind.GAP, 184359104, 184359105, 0),
        (Kind.FILLED, 184359104, 184359105, Flag.GIVEN_UP),
        (Kind.TRADE, 184359106, 0, 0),
    ]


def test_the_symbol_comes_from_the_name_or_the_flag(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text(AGG + "\n")
    with pytest.raises(ConfigError, match=r"trades.csv: expected a name like .* say it with --symbol"):
        list(Tape([path]))
    assert next(iter(Tape([path], symbol="BTC-USDC"))).lanes == (Lane("binance", "BTC-USDC"),)


def test_a_line_of_other_columns_is_no_aggregated_trade(tmp_path):
    path = tmp_path / "BTCUSDC-aggTrades-x.csv"
    path.write_text("1,2,3\n")
    with pytest.raises(TapeError, match="expected the 7 or 8 columns of aggTrades, found 3"):
        list(Tape([path], form="aggtrades"))


def test_bad_aggregated_trades_go_to_quarantine_and_their_id_is_seen(tmp_path):
    path = tmp_path / "BTCUSDC-aggTrades-x.csv"
    path.write_text("\n".join([AGG, "184359104,free,1,1,1,1759536000061015,False,True", AGG.replace("103,", "105,")]))
    bad, report = collector()
    assert [row[7] for _, row in told(Tape([path], on_bad=report))] == [Kind.TRADE, Kind.TRADE]
    assert [(each.line, each.reason) for each in bad] == [
        (2, "price: expected a number with at most 10 decimals, found 'free'")
    ]


def test_marks_of_seen_ids_never_leave_the_station(tmp_path):
    path = csv(tmp_path / "day.csv", [Print(5, "-1"), Print(6)])
    for as_traded in (False, True):
        rows = told(Tape([path], as_traded=as_traded))
        assert [(row[7], row[9]) for _, row in rows] == [(Kind.TRADE, 0)]
    assert SEEN not in set(Kind)
