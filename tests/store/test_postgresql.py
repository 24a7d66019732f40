"""What is PostgreSQL's alone: sessions, schemas, rights, and what the server says when it refuses."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import make_url, select

from support.databases import PostgresqlDatabase
from support.records import LANE, anomaly, bars_of, change
from tapewatch.errors import StoreError
from tapewatch.runtime.postgres import Server
from tapewatch.store import bulk, schema
from tapewatch.store.lock import WRITER
from tapewatch.store.records import Clock, Commit, Source
from tapewatch.store.sql import Reader, Store

TAPE = Source("tape", "/tapes/a")
NOW = Clock(now_ts=10, wall_ts=20)


@pytest.fixture
def database(postgresql_database: PostgresqlDatabase) -> PostgresqlDatabase:
    return postgresql_database


@pytest.fixture
def store(database: PostgresqlDatabase) -> Iterator[Store]:
    opened = Store.open(database.url, source=TAPE)
    yield opened
    opened.close()


def changed(place: PostgresqlDatabase, **parts: object) -> str:
    return make_url(place.url).set(**parts).render_as_string(hide_password=False)


def end_sessions(database: PostgresqlDatabase) -> None:
    database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def refused(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestNotLetIn:
    def test_no_server(self, database: PostgresqlDatabase) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        said = refused(changed(database, port=port))
        assert said.endswith(": there is no PostgreSQL that answers; start it, or check host and port in --db")
        assert f":{port}/" in said

    @pytest.mark.parametrize("where", ["&sslrootcert=/no/such.pem", "&sslrootcert=/dev/null"])
    def test_tls_without_its_files(self, where: str) -> None:
        def accept() -> None:  # speaks TLS, as far as a client without the authority's certificate gets
            connection, _ = server.accept()
            connection.recv(8)
            connection.sendall(b"S")
            connection.close()

        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=accept, daemon=True).start()
            url = f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/name?sslmode=verify-ca{where}"
            assert "its TLS cannot be set up; check sslmode, sslrootcert" in refused(url)

    def test_no_such_host(self, database: PostgresqlDatabase) -> None:
        assert "no PostgreSQL that answers" in refused(changed(database, host="no.such.host.invalid"))

    def test_a_wrong_password_is_not_shown(self, database: PostgresqlDatabase) -> None:
        said = refused(changed(database, password="wr0ng"))  # noqa: S106  # of nobody
        assert said.endswith("the server does not let this user in; check user and password in --db")
        assert "wr0ng" not in said

    def test_no_password(self, database: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSFILE", "/nowhere")
        said = refused(database.url.replace(f":{make_url(database.url).password}@", "@"))
        assert said.endswith("the server wants a password; put it into --db, PGPASSWORD or ~/.pgpass")

    def test_an_unknown_user(self, database: PostgresqlDatabase) -> None:
        assert "check user and password" in refused(changed(database, username="nobody"))

    def test_an_unknown_database(self, database: PostgresqlDatabase) -> None:
        said = refused(changed(database, database="nowhere"))
        assert "the server has no database of that name; make it with createdb" in said

    def test_a_reader_says_the_same(self, database: PostgresqlDatabase) -> None:
        reader = Reader(changed(database, database="nowhere"))
        with closing(reader), pytest.raises(StoreError, match="no database of that name"):
            reader.ready()


class TestRights:
    @pytest.fixture
    def guest(self, database: PostgresqlDatabase) -> Iterator[str]:
        database.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        yield changed(database, username="guest", password="guest")  # noqa: S106  # of a guest
        database.execute("DROP OWNED BY guest", "DROP ROLE guest")

    def test_a_user_who_may_not_make_tables_is_told(self, guest: str) -> None:
        assert "this user may not do that; grant it the rights" in refused(guest)

    def test_a_user_who_may_only_read_can_look(self, store: Store, database: PostgresqlDatabase, guest: str) -> None:
        store.commit(Commit(NOW, changes=[change(0)]))
        with closing(Reader(guest)) as reader:
            with pytest.raises(StoreError, match="this user may not do that"):
                reader.ready()
            database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
            with reader.connect() as connection:
                assert len(connection.execute(select(schema.changes)).all()) == 1
            with pytest.raises(StoreError, match="this user may not do that"):
                reader.ask("limits", {}, asked_ts=1)


class TestSchemas:
    def test_two_schemas_of_one_database_are_two_databases_of_ours(self, database: PostgresqlDatabase) -> None:
        places = database.another(), database.another()
        stores = [Store.open(place.url, source=Source("simulated", seed=n)) for n, place in enumerate(places)]
        for number, store in enumerate(stores):
            store.commit(Commit(NOW, changes=[change(each) for each in range(number + 1)]))
            assert store.source() == Source("simulated", seed=number)
        assert [place.rows("SELECT count(*) FROM changes") for place in places] == [[(1,)], [(2,)]]
        for store in stores:
            store.close()
        assert "changes" not in [
            name for (name,) in database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]

    def test_a_schema_that_is_not_there_is_told(self, database: PostgresqlDatabase) -> None:
        said = refused(changed(database, query={"options": "-csearch_path=nowhere"}))
        assert said.endswith("there is no schema to write to; make the one that search_path names")


class TestOneWriter:
    def test_a_session_of_another_program_is_named_by_what_it_calls_itself(self, database: PostgresqlDatabase) -> None:
        Store.open(database.url).close()
        url = changed(database, query={"application_name": "tapewatch on the moon"})
        with closing(Store.open(url)):
            assert "another tapewatch on the moon is writing to it" in refused(database.url)

    def test_one_without_a_name_is_named_by_its_session(self, database: PostgresqlDatabase) -> None:
        with database.connect() as other:
            other.execute(f"SELECT pg_advisory_lock({WRITER.number}, 'public'::regnamespace::oid::int)")
            pid = other.info.backend_pid
            assert f"another tapewatch (session {pid} of the server) is writing to it" in refused(database.url)

    def test_what_is_not_exclusive_is_let_in(self, store: Store, database: PostgresqlDatabase) -> None:
        Store.open(database.url, source=TAPE, exclusive=False).close()
        assert store.commit(Commit(NOW)) == 1


class TestTheWorldOutside:
    def test_a_lost_connection_is_told_and_only_another_store_goes_on(
        self, store: Store, database: PostgresqlDatabase
    ) -> None:
        store.commit(Commit(NOW, state={"position": b"1"}))
        end_sessions(database)
        for _ in range(2):
            with pytest.raises(StoreError, match="the connection was lost; what was committed before is safe"):
                store.commit(Commit(NOW, state={"position": b"2"}))
            with pytest.raises(StoreError, match="the connection was lost"):
                store.state("position")
        with closing(Store.open(database.url, source=TAPE)) as again:
            assert again.state("position") == b"1"
            assert again.commit(Commit(NOW)) == 2

    def test_a_connection_lost_while_many_rows_are_copied(self, store: Store, database: PostgresqlDatabase) -> None:
        end_sessions(database)
        many = [change(number) for number in range(bulk.COPY_MIN)]
        with pytest.raises(StoreError, match="the connection was lost"):
            store.commit(Commit(NOW, changes=many))

    def test_a_reader_finds_its_way_back(self, database: PostgresqlDatabase) -> None:
        Store.open(database.url).close()
        with closing(Reader(database.url)) as reader:
            assert reader.ready()
            end_sessions(database)
            with reader.connect() as connection:
                assert connection.execute(select(schema.changes)).all() == []

    def test_tables_that_are_gone_are_told_and_then_there_is_no_database(
        self, store: Store, database: PostgresqlDatabase
    ) -> None:
        store.close()
        with closing(Reader(database.url)) as reader:
            assert reader.ready()
            database.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
            with pytest.raises(StoreError, match="its tables are gone"), reader.connect() as connection:
                connection.execute(select(schema.changes))
            assert not reader.ready()

    def test_a_transaction_in_the_way_is_told(self, store: Store, database: PostgresqlDatabase) -> None:
        # Ours holds the state's row and wants the meta's; theirs holds that one and wants ours: one of them must go.
        store.commit(Commit(NOW, state={"position": b"1"}))
        with database.connect() as other:
            other.execute("SET deadlock_timeout = '1min'")  # so that it is ours that looks
            other.execute("SELECT FROM meta WHERE key = 'clock' FOR UPDATE")
            failed: list[StoreError] = []

            def commit() -> None:
                try:
                    store.commit(Commit(NOW, state={"position": b"2"}))
                except StoreError as error:
                    failed.append(error)

            ours = threading.Thread(target=commit)
            ours.start()
            with database.connect(autocommit=True) as looking:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                while looking.execute(waiting).fetchone() == (0,) and ours.is_alive():
                    ours.join(0.01)
            other.execute("SELECT FROM state WHERE name = 'position' FOR UPDATE")
            ours.join(20)
        said = "another program's transaction stood in the way (deadlock); what was committed before is safe. "
        assert [str(error).partition(": ")[2] for error in failed] == [f"{said}Close that one and start again"]
        assert store.state("position") == b"1"
        assert store.commit(Commit(NOW)) == 2

    def test_a_full_disk_is_told(self, store: Store, database: PostgresqlDatabase) -> None:
        # The server itself cannot be short of space here; it says so in our name.
        database.execute(
            "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
            "CREATE TRIGGER no_space BEFORE INSERT ON changes FOR EACH ROW EXECUTE FUNCTION no_space()",
        )
        with pytest.raises(StoreError, match="the disk is full; what was committed before is safe"):
            store.commit(Commit(NOW, changes=[change(0)]))
        assert store.revision == 0

    def test_a_reader_takes_part_in_no_writing(self, database: PostgresqlDatabase) -> None:
        Store.open(database.url).close()
        with closing(Reader(database.url)) as reader, reader.connect() as connection:
            shown = [
                connection.exec_driver_sql(f"SHOW {name}").scalar()
                for name in ("transaction_isolation", "transaction_read_only")
            ]
        assert shown == ["repeatable read", "on"]


def test_order_is_that_of_code_points_whatever_the_server_thinks(store: Store, database: PostgresqlDatabase) -> None:
    names = ["a-B", "aB", "a", "B", "Ä", "a-b"]
    store.commit(
        Commit(NOW, changes=[change(n, anomaly(n, LANE._replace(symbol=name))) for n, name in enumerate(names)])
    )
    assert [symbol for (symbol,) in database.rows("SELECT symbol FROM anomalies ORDER BY symbol")] == sorted(names)


def test_the_log_has_holes_but_its_order_is_that_of_the_commits(store: Store) -> None:
    store.commit(Commit(NOW, changes=[change(0), change(1)]))
    store.commit(Commit(NOW, changes=[change(0), change(1), change(2)]))
    logged = store.changes_after(0)
    assert [each.ordinal for each in logged] == [0, 1, 2]
    assert logged[-1].seq > 3  # what was told twice has used numbers up
    assert store.changes_after(logged[1].seq) == logged[2:]


def test_it_is_the_server_that_was_started_for_this(postgresql: Server) -> None:
    with psycopg.connect(postgresql.url("postgres").replace("+psycopg", "")) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)


def test_bars_of_one_commit_with_the_same_bucket_are_merged_in_order(
    store: Store, database: PostgresqlDatabase
) -> None:
    lanes = (LANE,)
    whole = [(0, second, second, 100 + second, 1.0) for second in range(bulk.COPY_MIN)]
    store.commit(Commit(NOW, bars=[bars_of(whole[::2], lanes), bars_of(whole[1::2], lanes), bars_of(whole[:1], lanes)]))
    found = database.rows("SELECT count, volume, open_id, close_id FROM bars WHERE width = 60 ORDER BY ts")
    assert found[0] == (61, 61.0, 0, 59)
    assert found[1] == (60, 60.0, 60, 119)
