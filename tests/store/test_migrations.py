"""The schema has a number: steps run once and in order, and a newer database is left alone."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, inspect

from support.databases import Database
from support.records import anomaly, change
from tapewatch.errors import StoreError
from tapewatch.model import NS
from tapewatch.store.engine import database_url, open_engine
from tapewatch.store.migrations import ALERTING, STEPS, history, migrate, migrations
from tapewatch.store.records import Clock, Commit
from tapewatch.store.schema import METADATA
from tapewatch.store.sql import Reader, Store


def add_colour(connection: Connection) -> None:
    """Give feeds a colour.

    More words that nobody shows.
    """
    connection.exec_driver_sql("ALTER TABLE feed ADD COLUMN colour TEXT")


def add_taste(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE feed ADD COLUMN taste TEXT")
    connection.exec_driver_sql("UPDATE feed SET taste = colour")


def fail(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE feed ADD COLUMN half TEXT")
    raise RuntimeError("in the middle of a step")


def run(database: Database, steps: tuple) -> None:
    engine = open_engine(database_url(database.url), read_only=False)
    try:
        with engine.begin() as connection:
            migrate(connection, database.name, steps)
    finally:
        engine.dispose()


def ready(database: Database) -> bool:
    with closing(Reader(database.url)) as reader:
        return reader.ready()


def look(database: Database) -> tuple[list[int], set[str], set[str]]:
    engine = open_engine(database_url(database.url), read_only=True)
    with engine.connect() as connection:
        numbers = [row[0] for row in connection.exec_driver_sql("SELECT number FROM migrations ORDER BY number")]
        seen = inspect(connection)
        tables, columns = set(seen.get_table_names()), {column["name"] for column in seen.get_columns("feed")}
    engine.dispose()
    return numbers, tables, columns


def test_a_new_database_has_every_table_and_all_numbers(database: Database) -> None:
    run(database, STEPS)
    numbers, tables, _ = look(database)
    assert numbers == list(range(1, len(STEPS) + 2))
    assert tables - {"sqlite_sequence"} == {*METADATA.tables, "migrations"}


def test_an_old_database_gets_the_steps_that_it_lacks_once(database: Database) -> None:
    run(database, ())
    run(database, (add_colour,))
    run(database, (add_colour, add_taste))
    run(database, (add_colour, add_taste))
    numbers, _, columns = look(database)
    assert numbers == [1, 2, 3]
    assert {"colour", "taste"} <= columns


def test_a_step_that_fails_leaves_the_database_as_it_was(database: Database) -> None:
    run(database, ())
    with pytest.raises(RuntimeError):
        run(database, (add_colour, fail))
    numbers, _, columns = look(database)
    assert numbers == [1]
    assert not {"colour", "half"} & columns


def test_a_newer_database_is_refused_by_writer_and_reader(database: Database) -> None:
    Store.open(database.url).close()
    database.execute("INSERT INTO migrations (number) VALUES (99)")
    said = r"a newer tapewatch wrote it \(schema 99, this one knows \d+\); update tapewatch or choose another database"
    with pytest.raises(StoreError, match=said):
        Store.open(database.url)
    with pytest.raises(StoreError, match=said):
        ready(database)


def test_an_older_database_is_not_read_before_it_was_brought_up(database: Database) -> None:
    Store.open(database.url).close()
    database.execute("DELETE FROM migrations WHERE number > 1")
    with pytest.raises(StoreError, match=r"older than this program's .* tapewatch migrate brings it up"):
        ready(database)


def test_alerting_comes_to_an_old_database_without_telling_what_is_in_its_log(database: Database) -> None:
    Store.open(database.url).close()
    database.execute("DELETE FROM migrations WHERE number > 1")
    for name in ALERTING:
        database.execute(f"DROP TABLE {name}")
    for ordinal in "012":
        row = f"('v', 's', {ordinal}, 'a', 'opened', 1, '')"
        database.execute("INSERT INTO changes (venue, symbol, ordinal, anomaly_id, change, at, record) VALUES " + row)  # noqa: S608  # a test's own words
    Store.open(database.url).close()
    assert set(ALERTING) <= look(database)[1]
    assert database.rows("SELECT value FROM meta WHERE key = 'reader:alerts'") == [("3",)]


def test_alerting_goes_on_in_a_database_of_schema_2(database: Database) -> None:
    Store.open(database.url).close()
    database.execute("DELETE FROM migrations WHERE number > 2")
    database.execute("ALTER TABLE messages DROP COLUMN again_ts")
    for name in ("alerts_waiting", "alerts_undelivered", "alerts_by_symbol"):
        database.execute(f"DROP INDEX {name}")
    database.execute("CREATE INDEX alerts_by_verdict ON alerts (channel, verdict)")
    database.execute("INSERT INTO state (name, value) VALUES ('alerts', '{}'), ('detector', 'x')")
    for seq, message in ((1, "NULL"), (2, "7")):
        row = f"({seq}, 'phone', 'a', 'v', 's', 'r', 'high', 'opened', 0, 1, 'waits', {message}, 1)"
        names = "change_seq, channel, anomaly_id, venue, symbol, rule, severity, occasion, escalation, at, reason"
        database.execute(f"INSERT INTO alerts ({names}, message, judged_ts) VALUES {row}")  # noqa: S608  # a test's own words
    Store.open(database.url).close()
    assert database.rows("SELECT again_ts FROM messages") == []
    assert database.rows("SELECT name FROM state") == [("detector",)]
    assert database.rows("SELECT verdict FROM alerts ORDER BY change_seq") == [("undelivered",), (None,)]
    engine = open_engine(database_url(database.url), read_only=True)
    with engine.connect() as connection:
        found = {index["name"] for index in inspect(connection).get_indexes("alerts")}
    engine.dispose()
    assert found == {index.name for index in METADATA.tables["alerts"].indexes}


def test_sizes_come_to_what_a_database_of_schema_3_holds(database: Database) -> None:
    # 1 % of 0.25 % after 8 s is 4 limits, after 40 s 2; a silence has none.
    start = 1_700_000_000 * NS
    quick = anomaly(1, peak_observed=-1.0, peak_ts=start + 8 * NS, peak_reference_ts=start)
    slow = anomaly(2, peak_observed=1.0, peak_ts=start + 40 * NS, peak_reference_ts=start)
    silent = anomaly(3, rule="silent_feed", kind="feed", peak_observed=5.0, threshold=5.0)
    store = Store.open(database.url)
    store.commit(Commit(Clock(1, 2), changes=[change(n, each) for n, each in enumerate((quick, slow, silent))]))
    store.close()
    names = (
        "change_seq, channel, anomaly_id, venue, symbol, rule, severity, occasion, escalation, at, reason, judged_ts"
    )
    for seq, channel, rule in ((1, "desk", "pct_spike"), (1, "phone", "pct_spike"), (3, "desk", "silent_feed")):
        row = f"({seq}, '{channel}', 'a', 'v', 's', '{rule}', 'high', 'opened', 0, 1, '', 1)"
        database.execute(f"INSERT INTO alerts ({names}) VALUES {row}")  # noqa: S608  # a test's own words
    database.execute("DELETE FROM migrations WHERE number > 3", "ALTER TABLE alerts DROP COLUMN size")
    for column in ("size", "peak_left_ts"):
        database.execute(f"ALTER TABLE anomalies DROP COLUMN {column}")
    Store.open(database.url).close()
    assert database.rows("SELECT size, peak_left_ts FROM anomalies ORDER BY id") == [(4, None), (2, None), (None, None)]
    assert database.rows("SELECT size FROM alerts ORDER BY change_seq, channel") == [(4,), (4,), (None,)]


def test_a_database_of_another_program_is_refused_and_kept(database: Database) -> None:
    database.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreError, match="not a database of tapewatch"):
        Store.open(database.url)
    with pytest.raises(StoreError, match="not a database of tapewatch"):
        ready(database)
    with pytest.raises(StoreError, match="not a database of tapewatch"):
        Store.open(database.url, fresh=database.url.startswith("postgresql"))
    assert database.rows("SELECT count(*) FROM recipes") == [(0,)]


def test_the_migrations_of_another_program_are_not_taken_for_ours(database: Database) -> None:
    Store.open(database.another().url).close()
    database.execute("CREATE TABLE migrations (id INTEGER, migration TEXT)")
    with pytest.raises(StoreError, match="not a database of tapewatch"):
        Store.open(database.url)


def test_the_history_tells_what_was_applied_and_what_is_to_come(database: Database) -> None:
    def told(steps: tuple) -> list[tuple[int, str, bool]]:
        engine = open_engine(database_url(database.url), read_only=False)
        with engine.connect() as connection:
            found = history(connection, database.name, steps)
        engine.dispose()
        return [(each.number, each.words, each.applied_at is not None) for each in found]

    first = "Make the tables."
    Store.open(database.another().url).close()
    run(database, ())
    assert told((add_colour, add_taste)) == [
        (1, first, True),
        (2, "Give feeds a colour.", False),
        (3, "add_taste", False),
    ]
    run(database, (add_colour, add_taste))
    assert [applied for _, _, applied in told((add_colour, add_taste))] == [True, True, True]


def test_what_is_fresh_has_our_tables_only_and_leaves_others(postgresql_database: Database) -> None:
    database = postgresql_database
    Store.open(database.url).close()
    database.execute("CREATE TABLE recipes (name TEXT)", "INSERT INTO meta VALUES ('note', '1')")
    Store.open(database.url, fresh=True).close()
    assert database.rows("SELECT count(*) FROM recipes") == [(0,)]
    assert database.rows("SELECT key FROM meta") == []


def test_the_time_of_a_migration_is_utc_whatever_the_session_thinks(database: Database) -> None:
    if database.url.startswith("postgresql"):
        (name,) = database.rows("SELECT current_database()")[0]
        database.execute(f"ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'")
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=2)
    run(database, ())
    engine = open_engine(database_url(database.url), read_only=True)
    with engine.connect() as connection:
        (applied,) = connection.execute(migrations.select().with_only_columns(migrations.c.applied_at)).scalars()
    engine.dispose()
    assert timedelta() < applied - before < timedelta(minutes=5)
