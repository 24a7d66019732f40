"""Our own tape comes back as it was written."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.rows import any_rows
from support.tapes import told
from tapewatch.carry.recording import parquet
from tapewatch.carry.source import Reading
from tapewatch.carry.tape import Tape
from tapewatch.errors import TapeError
from tapewatch.model import Lane, Rows

ROWS = Rows.of(
    [Lane("a", "b"), Lane("a", "c")], [(1, 2, 3, 4, 5, 6.5, 7, 1, 1, -1, 2), (8, 9, 10, 0, 0, 0.0, 11, 0, 2, 0, 0)]
)


def read(path, block_bytes=1 << 22, symbol=None):
    return parquet.read(path, Reading(symbol, block_bytes, pytest.fail, lambda _: None))


@given(any_rows(), st.sampled_from([64, 640, 1 << 22]))
@settings(max_examples=60)
def test_rows_come_back_bit_by_bit(tmp_path_factory, rows, block_bytes):
    path = tmp_path_factory.mktemp("parquet") / "part-00001.parquet"
    parquet.write(path, rows, "abc")
    found = told(read(path, block_bytes))
    assert repr(found) == repr(told([rows]))  # repr tells -0.0 from 0.0
    assert parquet.describe(path) == (len(rows.data), "abc")


def test_the_columns_are_those_of_a_row_with_lanes_by_name(tmp_path):
    path = tmp_path / "day.parquet"
    parquet.write(path, ROWS, "abc")
    table = pq.read_table(path)
    assert table.column_names[:2] == ["venue", "symbol"]
    assert table.to_pylist()[0] == {
        "venue": "a", "symbol": "c", "ts": 1, "recv_ts": 2, "trade_id": 3, "sequence": 4, "price": 5, "size": 6.5,
        "aux": 7, "kind": 1, "side": -1, "flags": 2,
    }  # fmt: skip
    assert pa.types.is_dictionary(table.schema.field("venue").type)
    assert table.schema.metadata[b"tapewatch.tape"] == b"1"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["day.parquet"]


def test_a_file_is_read_under_another_symbol(tmp_path):
    path = tmp_path / "day.parquet"
    parquet.write(path, ROWS.part(0, 1), "abc")
    assert [lane for lane, _ in told(Tape([path], symbol="x"))] == [Lane("a", "x")]
    parquet.write(path, ROWS, "abc")
    with pytest.raises(TapeError, match="expected one symbol"):
        list(Tape([path], symbol="x"))


def write(path, change, metadata=None):
    parquet.write(path, ROWS, "abc")
    table = change(pq.read_table(path))
    pq.write_table(table.replace_schema_metadata(table.schema.metadata if metadata is None else metadata), path)


KIND = parquet.SCHEMA.get_field_index("kind")
FOREIGN = {
    "of somebody else": (
        lambda table: table,
        {},
        "expected a tape recorded by tapewatch, found a Parquet file without",
    ),
    "newer": (lambda table: table, {"tapewatch.tape": "2"}, "expected a tape of version 1 or older, found 2"),
    "a column short": (
        lambda table: table.drop_columns("aux"),
        None,
        "expected the columns venue, symbol, ts, .*found",
    ),
    "with a value missing": (
        lambda table: table.set_column(KIND, "kind", pa.array([1, None], pa.uint8())),
        None,
        "expected a value in every row, found none in kind",
    ),
    "of an unknown kind": (
        lambda table: table.set_column(KIND, "kind", pa.array([1, 9], pa.uint8())),
        None,
        r"expected rows of kinds 1 to 6, found \[9\]",
    ),
    "of another type": (
        lambda table: table.set_column(KIND, "kind", pa.array(["a", "b"])),
        None,
        "expected a whole file, found it damaged",
    ),
}


@pytest.mark.parametrize(("change", "metadata", "words"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_tape_of_ours_is_refused_in_one_sentence(tmp_path, change, metadata, words):
    path = tmp_path / "day.parquet"
    write(path, change, metadata)
    with pytest.raises(TapeError, match=f"day.parquet: {words}"):
        list(read(path))


@pytest.mark.parametrize("keep", [4, 100, -1])
def test_a_file_cut_short_is_refused(tmp_path, keep):
    path = tmp_path / "day.parquet"
    parquet.write(path, ROWS, "abc")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TapeError, match=r"day.parquet: expected a whole file, found it damaged"):
        list(Tape([path]))
