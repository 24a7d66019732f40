"""A recording loses nothing that was flushed, keeps nothing beyond what was committed, and is never another's."""

import os
import shutil
import stat
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.rows import any_rows
from support.tapes import told
from tapewatch.carry.recording import parquet, recorder
from tapewatch.carry.recording.recorder import Recorder
from tapewatch.carry.tape import Tape, read
from tapewatch.errors import TapeError
from tapewatch.model import NS, ROW, Kind, Lane, Rows

LANES = (Lane("coinbase", "BTC-USD"), Lane("coinbase", "ETH-USD"))


@pytest.fixture(autouse=True)
def killed(monkeypatch):
    """Close at the end what a killed process would have left open."""
    made, real = [], Recorder.__init__

    def remembered(self, *args):
        real(self, *args)
        made.append(self)

    monkeypatch.setattr(Recorder, "__init__", remembered)
    yield
    for each in made:
        if each._file is not None:
            each._file.close()


def tape(count: int, start: int = 0, lanes=LANES, step_ns: int = NS) -> Rows:
    data = np.zeros(count, ROW)
    data["trade_id"] = np.arange(start, start + count)
    data["recv_ts"] = data["trade_id"] * step_ns
    data["lane"] = data["trade_id"] % len(lanes)
    data["kind"] = Kind.TRADE
    return Rows(lanes, data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def record(folder: Path, parts, **options) -> Recorder:
    found = Recorder.open(folder, **options)
    for rows in parts:
        found.append(rows)
        found.flush()
    return found


@given(st.lists(any_rows(most=12), max_size=8), st.integers(1, 20))
@settings(max_examples=60)
def test_what_was_recorded_is_read_in_its_order(tmp_path_factory, parts, part_rows):
    folder = tmp_path_factory.mktemp("recording")
    found = record(folder, parts, part_rows=part_rows)
    assert found.position == sum(len(rows.data) for rows in parts)
    if found.position == 0:
        return
    assert repr(told(Tape([folder]))) == repr(told(parts))  # while it is recorded
    found.close()
    assert repr(told(Tape([folder], block_bytes=64))) == repr(told(parts))  # and afterwards
    assert {path.suffix for path in folder.iterdir()} == {".parquet"}


def test_a_segment_is_sealed_by_rows_by_time_and_for_a_new_lane(tmp_path):
    found = Recorder.open(tmp_path, part_rows=10, part_ns=100 * NS)
    found.append(tape(10))
    assert names(tmp_path) == ["part-00001.journal"]
    found.append(tape(1, 10))
    assert names(tmp_path) == ["part-00001.parquet", "part-00002.journal"]
    found.append(tape(1, 111))
    assert names(tmp_path) == ["part-00001.parquet", "part-00002.parquet", "part-00003.journal"]
    found.append(tape(1, 112, lanes=(*LANES, Lane("binance", "X"))))
    assert names(tmp_path)[2:] == ["part-00003.parquet", "part-00004.journal"]
    found.append(tape(1, 113))
    found.append(Rows.empty())
    found.close()
    assert names(tmp_path)[3:] == ["part-00004.parquet"]
    assert [row[2] for _, row in told(read([tmp_path]))] == [*range(11), 111, 112, 113]


def test_rows_are_there_for_a_reader_once_they_are_flushed(tmp_path):
    found = Recorder.open(tmp_path)
    found.append(tape(3))
    found.flush()
    assert told(read([tmp_path])) == told([tape(3)])


@pytest.mark.parametrize("torn", range(0, 4 * 64 + 1, 7))
def test_a_journal_torn_at_any_byte_gives_its_whole_rows_and_goes_on(tmp_path, torn):
    record(tmp_path, [tape(4)], recording="mine")
    path = tmp_path / "part-00001.journal"
    start = path.stat().st_size - 4 * 64
    path.write_bytes(path.read_bytes()[: start + torn])
    whole = torn // 64
    assert told(read([tmp_path])) == told([tape(whole)])
    again = Recorder.open(tmp_path, rows_kept=whole, recording="mine")
    assert again.position == whole
    again.append(tape(4 - whole, whole))
    again.close()
    assert told(read([tmp_path])) == told([tape(4)])


@pytest.mark.parametrize("keep", [0, 1, 63, 127])
def test_a_journal_torn_in_its_first_line_is_no_row(tmp_path, keep):
    record(tmp_path, [tape(4)], recording="mine")
    path = tmp_path / "part-00001.journal"
    path.write_bytes(path.read_bytes()[:keep])
    assert list(read([tmp_path])) == []
    again = record(tmp_path, [tape(2)], recording="mine")
    assert (again.position, told(read([tmp_path]))) == (2, told([tape(2)]))


@pytest.mark.parametrize("kept", range(13))
@pytest.mark.parametrize("closed", [False, True])
def test_rows_beyond_the_commit_are_cut_off_wherever_they_stand(tmp_path, kept, closed):
    first = record(tmp_path, [tape(4), tape(4, 4), tape(4, 8)], part_rows=4, recording="mine")
    if closed:
        first.close()
    again = Recorder.open(tmp_path, rows_kept=kept, recording="mine", part_rows=4)
    assert again.position == kept
    if kept:
        assert told(read([tmp_path])) == told([tape(kept)])
    again.append(tape(12 - kept, kept))
    again.close()
    assert told(read([tmp_path])) == told([tape(12)])


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("kept", [6, 7, 8])
@pytest.mark.parametrize("step", range(14))
def test_killed_between_any_two_steps_nothing_is_lost(tmp_path, monkeypatch, step, kept):
    """Kill at each change of a file's name or existence, in sealing and then in recovering, and look."""
    found = record(tmp_path, [tape(8)], part_rows=8, recording="mine")
    left = step

    def dying(real):
        def call(*args, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*args, **options)

        return call

    with monkeypatch.context() as patched:
        for name in ("replace", "unlink"):
            patched.setattr(Path, name, dying(getattr(Path, name)))
        patched.setattr(parquet, "sync_folder", dying(parquet.sync_folder))
        patched.setattr(recorder.journal, "header", dying(recorder.journal.header))
        try:
            found.append(tape(2, 8))
            found.flush()
            Recorder.open(tmp_path, rows_kept=kept, recording="mine", part_rows=8)
        except Killed:
            assert [row[2] for _, row in told(read([tmp_path]))][:kept] == list(range(kept))
    for _ in range(2):
        again = Recorder.open(tmp_path, rows_kept=kept, recording="mine", part_rows=8)
        assert again.position == kept
        assert told(read([tmp_path])) == told([tape(kept)])
    again.append(tape(12 - kept, kept))
    again.close()
    assert told(read([tmp_path])) == told([tape(12)])


def test_the_kills_above_reach_every_step(tmp_path, monkeypatch):
    steps = []
    for name in ("replace", "unlink"):
        real = getattr(Path, name)
        monkeypatch.setattr(Path, name, lambda *args, real=real, name=name: (steps.append(name), real(*args))[1])
    found = record(tmp_path, [tape(8)], part_rows=8, recording="mine")
    found.append(tape(2, 8))
    found.flush()
    Recorder.open(tmp_path, rows_kept=6, recording="mine", part_rows=8)
    assert steps == ["replace", "unlink", "unlink", "replace", "unlink"]  # seal; drop the journal; cut the part


def test_a_process_killed_while_it_records(tmp_path):
    """A copy of the folder at each flush is what kill -9 leaves behind there."""
    folder, copies = tmp_path / "live", []
    found = Recorder.open(folder, recording="mine", part_rows=7)
    for at in range(10):
        found.append(tape(3, 3 * at))
        found.flush()
        copies.append(shutil.copytree(folder, tmp_path / f"copy-{at}"))
    for (at, copy), kept in zip(enumerate(copies), [3 * at for at in range(10)], strict=True):
        again = Recorder.open(copy, rows_kept=kept, recording="mine", part_rows=7)
        again.append(tape(30 - kept, kept))
        again.close()
        assert told(read([copy])) == told([tape(30)]), at


class Disk:
    """What a loss of power leaves: of each file and folder what was last synced, and nothing else."""

    def __init__(self, monkeypatch, folder: Path) -> None:
        self._folder, self._real = folder, os.fsync
        self._contents, self._names = {}, {}
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, handle: int) -> None:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            self._names = {path.name: path.stat().st_ino for path in self._folder.iterdir()}
        else:
            self._contents[found.st_ino] = Path(f"/proc/self/fd/{handle}").read_bytes()
        self._real(handle)

    def after_loss(self, folder: Path) -> Path:
        folder.mkdir()
        for name, inode in self._names.items():
            (folder / name).write_bytes(self._contents.get(inode, b""))
        return folder


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to read a file by its handle")
@pytest.mark.parametrize("part_rows", [5, 100])
@pytest.mark.parametrize("cut", [0, 2, 4, 7])
def test_a_loss_of_power_takes_nothing_that_was_flushed(tmp_path, monkeypatch, cut, part_rows):
    folder = tmp_path / "live"
    disk = Disk(monkeypatch, folder)
    record(folder, [tape(3), tape(3, 3), tape(3, 6)], recording="mine", part_rows=part_rows)
    found = Recorder.open(folder, rows_kept=cut, recording="mine", part_rows=part_rows)
    for start in range(cut, 30, 3):
        found.append(tape(3, start))
        found.flush()
        left = disk.after_loss(tmp_path / f"after-{start}")
        again = Recorder.open(left, rows_kept=found.position, recording="mine", part_rows=part_rows)
        assert told(read([left])) == told([tape(start + 3)])
        again.close()


def test_a_recording_is_never_begun_over_another(tmp_path):
    first = record(tmp_path, [tape(4)])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name in (None, "mine"):
        with pytest.raises(
            TapeError, match="expected an empty folder to record into, found another recording of 4 rows"
        ):
            Recorder.open(tmp_path, rows_kept=1, recording=name)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert Recorder.open(tmp_path, rows_kept=4, recording=first.recording).position == 4
    assert Recorder.open(tmp_path / "other").recording != first.recording


def test_a_file_is_no_folder_to_record_into(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TapeError, match="file: expected a folder to record into, found a file"):
        Recorder.open(tmp_path / "file")


def test_rows_that_were_committed_but_are_not_there_are_missed(tmp_path):
    record(tmp_path, [tape(4)], recording="mine")
    with pytest.raises(
        TapeError, match=r"expected the 5 rows that the database .* found 4; record into another, empty"
    ):
        Recorder.open(tmp_path, rows_kept=5, recording="mine")


def test_a_missing_segment_is_missed(tmp_path):
    record(tmp_path, [tape(2, at) for at in range(0, 6, 2)], part_rows=2).close()
    (tmp_path / "part-00002.parquet").unlink()
    with pytest.raises(TapeError, match="expected the segments 1 to 3 of a recording, found no part-00002"):
        list(read([tmp_path]))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TapeError, match="file/recording: cannot be recorded into: Not a directory"):
        Recorder.open(tmp_path / "file" / "recording")


def test_a_journal_of_a_newer_program_or_of_none_is_refused(tmp_path):
    path = tmp_path / "part-00001.journal"
    for head, words in (
        (b'{"tapewatch_journal":2,"recording":"x","lanes":[]}\n', "expected a journal of version 1, found 2"),
        (b"hello\n", "expected a recording's journal, found something else"),
    ):
        path.write_bytes(head)
        with pytest.raises(TapeError, match=words):
            list(read([path]))


def test_a_full_disk_stops_the_recording_without_spoiling_it(tmp_path, monkeypatch):
    found = record(tmp_path, [tape(4)], recording="mine", part_rows=4)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(parquet, "write", full)
        with pytest.raises(TapeError, match="cannot be recorded into: No space left on device"):
            found.append(tape(1, 4))
    with pytest.raises(TapeError, match="cannot be recorded into: File exists"):
        found.append(tape(1, 4))
    assert told(read([tmp_path])) == told([tape(4)])


def test_a_segment_sealed_while_the_folder_is_read_is_read_as_sealed(tmp_path):
    found = record(tmp_path, [tape(2), tape(2, 2)], part_rows=2)
    reader = iter(read([tmp_path]))
    first = told([next(reader)])
    found.append(tape(2, 4))  # seals the second segment
    assert first + told(reader) == told([tape(4)])


def test_journals_grow_and_never_shrink(tmp_path):
    found = Recorder.open(tmp_path)
    sizes = []
    for at in range(5):
        found.append(tape(1, at))
        found.flush()
        sizes.append((tmp_path / "part-00001.journal").stat().st_size)
    assert [b - a for a, b in pairwise(sizes)] == [64] * 4
    assert sizes[0] % 64 == 0
