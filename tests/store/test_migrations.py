"""The schema has a number: steps run once and in order, and a newer database is left alone."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect

from tapewatch.errors import StoreError
from tapewatch.store.engine import database_url, open_engine
from tapewatch.store.migrations import STEPS, migrate
from tapewatch.store.schema import METADATA
from tapewatch.store.sql import Reader, Store


def add_colour(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE feed ADD COLUMN colour TEXT")


def add_taste(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE feed ADD COLUMN taste TEXT")
    connection.exec_driver_sql("UPDATE feed SET taste = colour")


def fail(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE feed ADD COLUMN half TEXT")
    raise RuntimeError("in the middle of a step")


def run(path: Path, steps: tuple) -> None:
    engine = open_engine(database_url(path), read_only=False)
    try:
        with engine.begin() as connection:
            migrate(connection, str(path), steps)
    finally:
        engine.dispose()


def look(path: Path) -> tuple[list[int], set[str], set[str]]:
    engine = open_engine(database_url(path), read_only=True)
    with engine.connect() as connection:
        numbers = [row[0] for row in connection.exec_driver_sql("SELECT number FROM migrations ORDER BY number")]
        seen = inspect(connection)
        tables, columns = set(seen.get_table_names()), {column["name"] for column in seen.get_columns("feed")}
    engine.dispose()
    return numbers, tables, columns


def test_a_new_database_has_every_table_and_all_numbers(tmp_path: Path) -> None:
    run(tmp_path / "x.db", STEPS)
    numbers, tables, _ = look(tmp_path / "x.db")
    assert numbers == list(range(1, len(STEPS) + 2))
    assert tables - {"sqlite_sequence"} == {*METADATA.tables, "migrations"}


def test_an_old_database_gets_the_steps_that_it_lacks_once(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    run(path, ())
    run(path, (add_colour,))
    run(path, (add_colour, add_taste))
    run(path, (add_colour, add_taste))
    numbers, _, columns = look(path)
    assert numbers == [1, 2, 3]
    assert {"colour", "taste"} <= columns


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    run(path, ())
    with pytest.raises(RuntimeError):
        run(path, (add_colour, fail))
    numbers, _, columns = look(path)
    assert numbers == [1]
    assert not {"colour", "half"} & columns


def test_a_newer_database_is_refused_by_writer_and_reader(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO migrations (number) VALUES (99)")
    connection.close()
    said = r"a newer tapewatch wrote it \(schema 99, this one knows \d+\); update tapewatch or choose another file"
    with pytest.raises(StoreError, match=said):
        Store.open(path)
    with pytest.raises(StoreError, match=said):
        Reader(path).ready()


def test_an_older_database_is_not_read_before_it_was_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE migrations SET number = 0")
    connection.close()
    with pytest.raises(StoreError, match=r"older than this program's .* start tapewatch run on it once"):
        Reader(path).ready()


def test_a_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="not a database of tapewatch"):
        Store.open(path)
    with pytest.raises(StoreError, match="not a database of tapewatch"):
        Reader(path).ready()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    connection.close()
