"""Arrays cross between NumPy and Arrow unchanged, and without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from support.tapes import Print, csv
from tapewatch.carry import arrow

SLICE = st.builds(slice, st.integers(0, 20), st.integers(0, 20))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), SLICE)
def test_numbers(values, part):
    array = arrow.of_numbers(np.array(values, np.int64))
    assert array.to_pylist() == values
    assert arrow.numbers(array[part], np.int64).tolist() == values[part]


def test_numbers_of_a_column_of_rows_are_copied_together():
    rows = np.zeros(3, [("a", "i8"), ("b", "u1")])
    rows["b"] = [1, 2, 3]
    assert arrow.of_numbers(rows["b"]).to_pylist() == [1, 2, 3]


@given(st.lists(st.text(max_size=5), max_size=20))
def test_texts(texts):
    assert arrow.of_texts(texts).to_pylist() == texts


@given(st.lists(st.sampled_from([True, False, None]), max_size=20), SLICE)
def test_booleans_and_what_is_given(values, part):
    array = pa.array(values, pa.bool_())[part]
    assert arrow.given(array).tolist() == [value is not None for value in values[part]]
    known = [
        found for found, value in zip(arrow.booleans(array).tolist(), values[part], strict=True) if value is not None
    ]
    assert known == [value for value in values[part] if value is not None]


PROGRAM = """
import sys
from pathlib import Path
from tapewatch.carry.tape import Recorder, read
recorder = Recorder.open(Path(sys.argv[2]))
for rows in read([sys.argv[1]]):
    recorder.append(rows)
recorder.close()
assert sum(len(rows.data) for rows in read([sys.argv[2]])) == 3
print(sorted({"pandas", "pyarrow.compute", "numba"} & set(sys.modules)))
"""


def test_reading_and_recording_import_nothing_heavy(tmp_path):
    day = csv(tmp_path / "day.csv.gz", [Print(1), Print(2), Print(3)])
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, day, tmp_path / "recording"], capture_output=True, check=True, text=True
    )
    assert ran.stdout == "[]\n"
