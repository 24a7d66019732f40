"""What is SQLite's alone: files and folders, a full disk, a file that another program keeps locked."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select

from support.records import change
from tapewatch.errors import ConfigError, StoreError
from tapewatch.store import schema
from tapewatch.store.records import Clock, Commit, Source
from tapewatch.store.sql import Reader, Store

TAPE = Source("tape", "/tapes/a")
NOW = Clock(now_ts=10, wall_ts=20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "x.db"


@pytest.fixture
def store(path: Path):
    opened = Store.open(path, source=TAPE)
    yield opened
    opened.close()


def rows(path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


class TestPlaces:
    def test_a_missing_folder_is_made(self, path: Path) -> None:
        Store.open(path).close()
        assert path.exists()

    def test_a_place_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match=r"the folder cannot be made .* choose another place with --db"):
            Store.open(tmp_path / "file" / "x.db")

    def test_a_folder_in_place_of_the_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="cannot be opened; check the path"):
            Store.open(tmp_path)

    def test_a_file_that_is_no_database_is_refused_and_kept(self, tmp_path: Path) -> None:
        text = "a letter, longer than the header of a database " * 10
        (tmp_path / "letter.db").write_text(text)
        with pytest.raises(StoreError, match="not a database of tapewatch; choose another database"):
            Store.open(tmp_path / "letter.db")
        assert (tmp_path / "letter.db").read_text() == text

    def test_create_false_makes_nothing(self, path: Path) -> None:
        with pytest.raises(StoreError, match="there is no such database"):
            Store.open(path, create=False)
        assert not path.parent.exists()

    @pytest.mark.parametrize("address", ["sqlite://", "nonsense://host/x", "sqlite:///:memory:"])
    def test_an_address_that_is_none_is_a_wrong_value(self, address: str) -> None:
        with pytest.raises(ConfigError, match=r"--db expects"):
            Store.open(address)

    def test_a_url_and_a_path_name_the_same_file(self, path: Path) -> None:
        Store.open(f"sqlite:///{path}", source=TAPE).close()
        assert Reader(path).ready()


class TestTheWorldOutside:
    def test_a_full_disk_is_told_and_what_was_committed_stays(self, store: Store, path: Path) -> None:
        store.commit(Commit(NOW, state={"position": b"1"}))
        with store._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 40")
        with pytest.raises(StoreError, match="the disk is full; what was committed before is safe"):
            store.commit(Commit(NOW, state={"position": b"2", "detector": b"x" * 1_000_000}))
        assert rows(path, "SELECT value FROM state") == [(b"1",)]
        assert store.revision == 1

    def test_a_locked_database_is_told(self, store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store._engine.dispose()
        monkeypatch.setattr("tapewatch.store.engine.BUSY_MS", 1)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program keeps it locked; what was committed before is safe"):
            store.commit(Commit(NOW))
        other.execute("ROLLBACK")
        other.close()
        assert store.commit(Commit(NOW)) == 1


class TestReader:
    def test_it_makes_no_folder(self, path: Path) -> None:
        assert not Reader(path).ready()
        assert not path.parent.exists()

    def test_an_empty_file_is_a_database_that_nobody_has_made(self, tmp_path: Path) -> None:
        (tmp_path / "x.db").touch()
        reader = Reader(tmp_path / "x.db")
        assert not reader.ready()
        assert (tmp_path / "x.db").stat().st_size == 0
        reader.close()

    def test_it_sees_the_file_that_took_the_place_of_the_first(self, path: Path) -> None:
        first = Store.open(path, source=TAPE)
        first.commit(Commit(NOW, changes=[change(0)]))
        first.close()
        reader = Store.read(path)

        def logged() -> int:
            with reader.connect() as connection:
                return len(connection.execute(select(schema.changes)).all())

        assert logged() == 1
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        assert not reader.ready()
        second = Store.open(path, source=TAPE)
        assert logged() == 0
        second.close()
        reader.close()
