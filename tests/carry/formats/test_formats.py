"""A file's format is found out; what is none, or broken, is said in one sentence."""

import gzip
import json
import zipfile

import pyarrow as pa
import pytest

from support.tapes import HEADER, Print, csv, ids
from tapewatch.carry import formats
from tapewatch.carry.formats.symbols import dashed
from tapewatch.carry.source import Reading, compression
from tapewatch.carry.tape import Tape
from tapewatch.errors import ConfigError, TapeError

LINE = Print(7).line()
CSV = f"{HEADER}\n{LINE}\n".encode()
MATCH = {
    "type": "match", "trade_id": 7, "sequence": 1, "product_id": "BTC-USD", "price": "1", "size": "1",
    "time": "2025-10-10T00:00:00Z", "side": "sell",
}  # fmt: skip
SPOT = {"e": "trade", "s": "BTCUSDT", "t": 7, "p": "1", "q": "1", "T": 1_760_054_400_000, "m": True}
MARKET = {"channel": "market_trades", "events": [{"trades": [{**MATCH, "trade_id": "7", "side": "SELL"}]}]}
TEXTS = {
    "csv": CSV,
    "aggtrades": b"7,1.0,1.0,1,1,1759536000061015,False,True\n",
    "binance-socket": b"1760054400000000000 " + json.dumps({"data": SPOT}).encode(),
    "coinbase-advanced": json.dumps({"t": "recv", "ts": 1_760_054_401, "data": json.dumps(MARKET)})
    .replace(": ", ":", 1)
    .encode(),
    "coinbase-socket": json.dumps(MATCH).encode(),
    "coinbase-array": json.dumps([MATCH]).encode(),
}


def packed(path, text: bytes, how: str):
    if how == "gzip":
        path.write_bytes(gzip.compress(text))
    elif how == "zstd":
        path.write_bytes(pa.Codec("zstd").compress(text, asbytes=True))
    elif how == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("BTCUSDT-aggTrades-1.csv", text)
    else:
        path.write_bytes(text)
    return path


def test_every_format_has_a_text_here():
    assert set(TEXTS) == {each.name for each in formats.FORMATS}


@pytest.mark.parametrize("how", ["none", "gzip", "zstd", "zip"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_format_is_told_by_content_however_it_is_packed_and_may_be_forced(tmp_path, name, how):
    path = packed(tmp_path / "BTCUSDT-aggTrades-1", TEXTS[name], how)
    assert compression(path) == how
    assert formats.is_tape(path)
    assert ids(Tape([path])) == [7]
    assert ids(Tape([path], form=name)) == [7]


def test_an_unknown_format_names_those_that_are_known(tmp_path):
    with pytest.raises(ConfigError, match=r"--format: expected one of tape, aggtrades, csv, .*, found 'excel'"):
        Tape([csv(tmp_path / "day.csv", [])], form="excel")


@pytest.mark.parametrize(("form", "words"), [("tape", "found another"), ("csv", "found a recording of ours")])
def test_our_own_format_cannot_be_forced_upon_others_nor_others_upon_ours(tmp_path, form, words):
    path = tmp_path / "day"
    path.write_bytes(CSV if form == "tape" else b"PAR1")
    with pytest.raises(ConfigError, match=f"day: expected the format {form}, {words}"):
        list(Tape([path], form=form))


BROKEN = {
    "nothing in it": (b"", r"expected a recorded tape, found an empty file"),
    "a picture": (b"\x89PNG\r\n\x1a\n", r"expected a recorded tape \(tape, aggtrades.*begins with b'.x89PNG"),
    "prose": (b"# Notes\n\nhello\n", r"expected a recorded tape .*, found text that begins with b'# Notes"),
    "other JSON": (b'{\n "a": 1\n}', r"expected a recorded tape .*, found text that begins with"),
    "packed nothing": (gzip.compress(b""), r"expected a recorded tape, found an empty file"),
    "gzip cut at its end": (gzip.compress(CSV)[:-3], r"expected a whole file, found it damaged or cut short"),
    "gzip cut in its middle": (gzip.compress(CSV)[:40], r"expected a whole file, found it damaged or cut short"),
    "gzip with a wrong sum": (
        gzip.compress(CSV)[:-8] + b"\0" * 8,
        r"expected a whole file, found it damaged or cut short: zlib inflate failed",
    ),
    "zstd cut": (pa.Codec("zstd").compress(CSV, asbytes=True)[:-3], r"expected a whole file, found it damaged"),
    "zip cut": (b"PK\x03\x04" + b"\0" * 40, r"expected a whole file, found it damaged or cut short"),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_tape_or_broken_is_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "day"
    path.write_bytes(content)
    kind = TapeError if "damaged" in words else ConfigError
    with pytest.raises(kind, match=f"^{path}: {words}") as caught:
        list(Tape([path]))
    with pytest.raises(kind, match=f"^{path}: {words}"):
        Tape([path]).fingerprint()
    assert "\n" not in str(caught.value)


def test_a_broken_file_in_a_folder_is_not_passed_over(tmp_path):
    csv(tmp_path / "a.csv", [Print(1)])
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(CSV)[:40])
    with pytest.raises(TapeError, match=r"b.csv.gz: expected a whole file"):
        list(Tape([tmp_path]))


def test_a_member_of_an_archive_is_named_in_what_is_wrong(tmp_path):
    path = packed(tmp_path / "day.zip", b"7,x\n", "zip")
    with pytest.raises(TapeError, match=r"day.zip/BTCUSDT-aggTrades-1.csv: expected the 7 or 8 columns"):
        list(Tape([path], form="aggtrades"))


def test_an_archive_packed_in_an_unknown_way_is_refused(tmp_path):
    path = packed(tmp_path / "day.zip", CSV, "zip")
    content = path.read_bytes()
    index = content.index(b"PK\x01\x02")
    path.write_bytes(content[: index + 10] + b"\x63\x00" + content[index + 12 :])  # its method: 99, encrypted
    with pytest.raises(TapeError, match=r"day.zip: expected a whole file, found it damaged or cut short"):
        list(Tape([path]))


def test_members_of_an_archive_are_read_in_order_of_name(tmp_path):
    path = tmp_path / "days.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b.csv", f"{HEADER}\n{Print(2).line()}\n")
        archive.mkdir("folder")
        archive.writestr("a.csv", CSV.replace(b",7,", b",1,"))
    assert ids(Tape([path])) == [1, 2]


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    path = csv(tmp_path / "day.csv", [Print(1)])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    tape = Tape([path])
    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(TapeError, match=r"day.csv: cannot be read: Permission denied"):
        list(tape)


def test_a_line_without_end_is_refused(tmp_path):
    path = tmp_path / "day.csv"
    path.write_bytes(HEADER.encode() + b"\n" + b"1" * (9 << 20))
    with pytest.raises(TapeError, match=r"day.csv, line 2: expected lines of at most 8388608 bytes"):
        list(Tape([path], block_bytes=1 << 16))


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDC", "BTC-USDC"),
        ("ETHBTC", "ETH-BTC"),
        ("BTCUSD", "BTC-USD"),
        ("BNBFDUSD", "BNB-FDUSD"),
        ("1000PEPEUSDT", "1000PEPE-USDT"),
        ("USDCUSDT", "USDC-USDT"),
        ("BTC-USD", "BTC-USD"),
        ("USDT", None),
        ("BTCXYZ", None),
    ],
)
def test_symbols_of_binance(name, symbol):
    assert dashed(name) == symbol


def test_a_reading_block_by_block_never_holds_a_whole_file(tmp_path):
    path = csv(tmp_path / "day.csv", [Print(number) for number in range(2000)])
    reading = Reading(None, 1 << 12, pytest.fail, lambda _: None)
    blocks = [len(rows.data) for rows in formats.rows_of(path, None, reading)]
    assert sum(blocks) == 2000
    assert max(blocks) <= (1 << 12) // len(LINE) + 1
