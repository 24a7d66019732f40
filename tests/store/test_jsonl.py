"""The file of changes: one line each, in order, never twice, never missing, whole after a crash."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.databases import Database
from support.records import LANE, anomaly, change
from tapewatch.errors import StoreError
from tapewatch.model import Lane
from tapewatch.store.jsonl import BLOCK, JsonLines
from tapewatch.store.records import Clock, Commit, LoggedChange
from tapewatch.store.sql import Store

NOW = Clock(1, 2)


@pytest.fixture
def store(database: Database):
    opened = Store.open(database.url)
    yield opened
    opened.close()


def log(store: Store, start: int, stop: int) -> None:
    store.commit(Commit(NOW, changes=[change(number) for number in range(start, stop)]))


def follow(path: Path, store: Store) -> int:
    sink = JsonLines.open(path, store.changes_after)
    try:
        return sink.follow()
    finally:
        sink.close()


def test_a_line_holds_the_change_and_the_anomaly_as_it_then_stood(store: Store, tmp_path: Path) -> None:
    eth = Lane("coinbase", "ETH-USD")
    found = anomaly(3, eth, escalation=1, escalated_ts=(8,))
    store.commit(Commit(NOW, changes=[change(0), change(0, found, "escalated")]))
    assert follow(tmp_path / "out" / "a.jsonl", store) == 2
    lines = (tmp_path / "out" / "a.jsonl").read_text().splitlines()
    line = json.loads(lines[1])
    assert list(line) == ["seq", "venue", "symbol", "ordinal", "change", "at", "anomaly"]
    assert (line["seq"], line["symbol"], line["ordinal"], line["change"]) == (2, "ETH-USD", 0, "escalated")
    assert list(line["anomaly"]) == list(found.__struct_fields__)
    assert line["anomaly"]["escalated_ts"] == [8]
    assert json.loads(lines[0])["anomaly"]["explain"] == anomaly(0).explain


def test_a_restart_neither_repeats_nor_skips(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    log(store, 0, 3)
    assert follow(path, store) == 3
    assert follow(path, store) == 0
    log(store, 3, 2500)  # more than one batch
    assert follow(path, store) == 2497
    assert [json.loads(line)["ordinal"] for line in path.read_text().splitlines()] == list(range(2500))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(torn=st.integers(0, 4000))
def test_a_file_torn_at_any_byte_becomes_whole(database: Database, tmp_path_factory, torn: int) -> None:
    folder = tmp_path_factory.mktemp("torn")
    store = Store.open(database.another().url)
    log(store, 0, 4)
    follow(folder / "whole.jsonl", store)
    whole = (folder / "whole.jsonl").read_bytes()
    (folder / "torn.jsonl").write_bytes(whole[:torn])
    follow(folder / "torn.jsonl", store)
    store.close()
    assert (folder / "torn.jsonl").read_bytes() == whole


def test_a_line_longer_than_a_block_is_found(tmp_path: Path) -> None:
    text = json.dumps("x" * (3 * BLOCK))
    logged = [LoggedChange(seq, *LANE, seq, "id", "opened", 1, f'{{"explain":{text}}}') for seq in (1, 2)]

    def changes_after(seq: int, limit: int) -> list[LoggedChange]:
        return [entry for entry in logged if entry.seq > seq][:limit]

    path = tmp_path / "a.jsonl"
    sink = JsonLines.open(path, changes_after)
    assert sink.follow() == 2
    sink.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    again = JsonLines.open(path, changes_after)
    assert (again.seq, again.follow(), again.seq) == (1, 1, 2)
    again.close()
    assert path.read_bytes() == whole


def test_the_file_of_another_database_is_refused_and_kept(store: Store, database: Database, tmp_path: Path) -> None:
    log(store, 0, 2)
    path = tmp_path / "a.jsonl"
    follow(path, store)
    before = path.read_bytes()
    other = Store.open(database.another().url)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"its last line \(seq 2\) is not in this database's log of changes"):
            follow(path, other)
        other.commit(Commit(NOW, changes=[change(5), change(6)]))  # the same numbers, other changes
    other.close()
    assert path.read_bytes() == before


def test_a_file_of_something_else_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    with pytest.raises(StoreError, match="its last line is not a change"):
        follow(path, store)
    assert path.read_text() == "dear diary\n"


def test_a_place_that_cannot_be_written_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be written .* choose another --jsonl"):
        follow(tmp_path, store)
