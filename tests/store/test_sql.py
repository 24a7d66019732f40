"""The store keeps every promise of a commit: all or nothing, once, merged in any division, one writer, one source."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from support.databases import Database
from support.records import LANE, anomaly, bars_of, change
from tapewatch.errors import StoreError
from tapewatch.model import Lane
from tapewatch.store import schema
from tapewatch.store.records import QUARANTINE_KEPT, RAW_MAX, Answer, Clock, Commit, FeedRow, Quarantined, Source
from tapewatch.store.sql import Store

TAPE = Source("tape", "/tapes/a")
NOW = Clock(now_ts=10, wall_ts=20)
LANES = (LANE, Lane("coinbase", "ETH-USD"))


@pytest.fixture
def store(database: Database):
    opened = Store.open(database.url, source=TAPE)
    yield opened
    opened.close()


def bars(database: Database) -> list[tuple]:
    columns = "venue, symbol, width, ts, open_id, close_id, open, high, low, close, count"
    return database.rows(f"SELECT {columns} FROM bars ORDER BY venue, symbol, width, ts")  # noqa: S608 # a constant


def test_an_anomaly_comes_out_as_it_went_in(store: Store, database: Database) -> None:
    feed = {"direction": None, "trade_id": None, "price": None, "rule": "silent_feed", "kind": "feed"}
    odd = anomaly(7, escalated_ts=(5, 9), escalation=2, history=True, **feed)
    store.commit(Commit(NOW, changes=[change(0, odd)], open_anomalies=[odd]))
    with closing(Store.read(database.url)) as reader, reader.connect() as connection:
        row = dict(connection.execute(select(schema.anomalies)).one()._mapping)
        record = connection.execute(select(schema.changes.c.record)).scalar_one()
    assert row == msgspec.structs.asdict(odd) | {"escalated_ts": "[5,9]"}
    assert msgspec.json.decode(record, type=type(odd)) == odd


def test_a_change_told_twice_is_logged_once(store: Store, database: Database) -> None:
    store.commit(Commit(NOW, changes=[change(0), change(1)]))
    store.commit(Commit(NOW, changes=[change(1), change(2)]))
    assert database.rows("SELECT ordinal FROM changes ORDER BY seq") == [(0,), (1,), (2,)]
    logged = store.changes_after(0)
    assert [entry.ordinal for entry in logged] == [0, 1, 2]
    assert store.changes_after(logged[0].seq) == logged[1:]
    assert store.changes_after(0, 2) == logged[:2]


def test_ordinals_count_by_lane(store: Store) -> None:
    store.commit(Commit(NOW, changes=[change(0), change(0, anomaly(1, LANES[1]))]))
    assert [(logged.symbol, logged.ordinal) for logged in store.changes_after(0)] == [("BTC-USD", 0), ("ETH-USD", 0)]


def test_an_open_anomaly_is_stored_as_it_stands_and_then_as_it_ended(store: Store, database: Database) -> None:
    first = anomaly(0)
    store.commit(Commit(NOW, changes=[change(0, first)], open_anomalies=[first]))
    grown = msgspec.structs.replace(first, triggers=40, peak_observed=0.9)
    store.commit(Commit(NOW, open_anomalies=[grown]))
    assert database.rows("SELECT triggers, peak_observed, ended_ts FROM anomalies") == [(40, 0.9, None)]
    ended = msgspec.structs.replace(grown, triggers=41, ended_ts=99)
    store.commit(Commit(NOW, changes=[change(1, ended, "ended")]))
    assert database.rows("SELECT triggers, ended_ts FROM anomalies") == [(41, 99)]
    told = database.rows("SELECT change, record FROM changes ORDER BY seq")
    assert [(change, json.loads(record)["triggers"]) for change, record in told] == [("opened", 1), ("ended", 41)]


def test_of_several_changes_of_one_anomaly_the_last_stands(store: Store, database: Database) -> None:
    first = anomaly(0)
    more = msgspec.structs.replace(first, escalation=1, triggers=9)
    done = msgspec.structs.replace(more, ended_ts=5)
    changes = [change(0, first), change(1, more, "escalated"), change(2, done, "ended")]
    store.commit(Commit(NOW, changes=changes))
    assert database.rows("SELECT escalation, triggers, ended_ts FROM anomalies") == [(1, 9, 5)]


trades = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 130), st.integers(1, 50), st.integers(0, 64).map(lambda n: n / 16)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trades=trades, cuts=st.lists(st.integers(0, 40), max_size=6))
def test_bars_merged_in_any_division_are_those_of_the_whole(database: Database, trades, cuts) -> None:
    # Ids follow the order of arrival, times do not: late rows fall into old bars.
    tape = [(lane, second, 100 + number, price, size) for number, (lane, second, price, size) in enumerate(trades)]
    edges = sorted({0, len(tape), *(cut for cut in cuts if cut < len(tape))})
    places = database.another(), database.another()
    whole, parts = (Store.open(place.url, source=TAPE) for place in places)
    whole.commit(Commit(NOW, bars=[bars_of(tape, LANES)]))
    for start, stop in pairwise(edges):
        parts.commit(Commit(NOW, bars=[bars_of(tape[start:stop], LANES)]))
    whole.close()
    parts.close()
    assert bars(places[1]) == bars(places[0])
    volumes = "SELECT volume FROM bars ORDER BY venue, symbol, width, ts"  # sizes are sixteenths: sums are exact
    assert places[1].rows(volumes) == places[0].rows(volumes)


def test_increments_of_one_commit_are_merged_by_hand(store: Store, database: Database) -> None:
    late_first = bars_of([(0, 5, 12, 70, 1.5)], LANES)
    earlier_id = bars_of([(0, 5, 11, 40, 2.0)], LANES)
    store.commit(Commit(NOW, bars=[late_first, earlier_id]))
    query = "SELECT open_id, close_id, open, high, low, close, volume, count, revision FROM bars WHERE width = 1"
    unit = 10**10
    assert database.rows(query) == [(11, 12, 40 * unit, 70 * unit, 40 * unit, 70 * unit, 3.5, 2, 1)]


def test_a_bar_carries_the_commit_that_touched_it_last(store: Store, database: Database) -> None:
    store.commit(Commit(NOW, bars=[bars_of([(0, 0, 1, 5, 1.0), (0, 1, 2, 5, 1.0)], LANES)]))
    assert store.commit(Commit(NOW, bars=[bars_of([(0, 1, 3, 5, 1.0)], LANES)])) == 2
    assert database.rows("SELECT ts / 1000000000, revision FROM bars WHERE width = 1 ORDER BY ts") == [(0, 1), (1, 2)]
    assert '"revision":2' in database.rows("SELECT value FROM meta WHERE key = 'clock'")[0][0]


def test_the_number_of_commits_goes_on_after_a_restart(database: Database) -> None:
    for expected in (1, 2):
        store = Store.open(database.url, source=TAPE)
        assert store.commit(Commit(NOW)) == expected
        store.close()


def test_state_and_feed_are_replaced(store: Store) -> None:
    assert store.state("detector") is None
    row = FeedRow("coinbase", "BTC-USD", "waiting", "not yet", 1, armed=("pct_spike", "tape_gap"), trades=3)
    store.commit(Commit(NOW, state={"detector": b"\x00\x01", "position": b"1"}, feed=[row]))
    later = msgspec.structs.replace(row, state="live", reason="", trades=4, last_price=7)
    store.commit(Commit(NOW, state={"detector": b"\x02"}, feed=[later]))
    assert (store.state("detector"), store.state("position")) == (b"\x02", b"1")
    assert store.feed() == [later]
    assert later.lane == LANE


def test_quarantine_keeps_the_newest_and_cuts_what_is_long(store: Store, database: Database) -> None:
    def bad(number: int) -> Quarantined:
        return Quarantined(number, "coinbase", None, "not JSON", b"x" * (RAW_MAX + 1) if number == 0 else b"{")

    store.commit(Commit(NOW, quarantine=[bad(0)]))
    assert database.rows("SELECT length(raw) FROM quarantine") == [(RAW_MAX,)]
    store.commit(Commit(NOW, quarantine=[bad(number) for number in range(1, QUARANTINE_KEPT + 6)]))
    expected = (QUARANTINE_KEPT, 6, QUARANTINE_KEPT + 5)
    assert database.rows("SELECT count(*), min(recv_ts), max(recv_ts) FROM quarantine") == [expected]


def test_a_text_that_no_database_takes_is_set_aside_all_the_same(store: Store, database: Database) -> None:
    bad = Quarantined(1, "coinbase", "BTC\0USD", "not JSON: '\0\ud800'", b"\0\xff")
    row = FeedRow("coinbase", "BTC-USD", "reconnecting", "closed: \0", 1)
    store.commit(Commit(NOW, quarantine=[bad], feed=[row]))
    assert database.rows("SELECT symbol, reason, raw FROM quarantine") == [
        ("BTC␀USD", "not JSON: '␀\\ud800'", b"\0\xff")
    ]
    assert store.feed()[0].reason == "closed: ␀"


def test_a_batch_of_another_engine_is_remembered_with_what_it_brought(store: Store) -> None:
    store.commit(Commit(NOW, changes=[change(0)], state={"batch": b"17"}))
    broken = FeedRow("coinbase", "BTC-USD", None, "", 1)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"NOT NULL|not-null"):
        store.commit(Commit(NOW, changes=[change(1)], feed=[broken], state={"batch": b"18"}))
    assert (store.state("batch"), len(store.changes_after(0))) == (b"17", 1)


def test_a_failing_commit_leaves_nothing_and_the_next_one_succeeds(store: Store, database: Database) -> None:
    broken = FeedRow("coinbase", "BTC-USD", None, "", 1)  # type: ignore[arg-type]
    what = Commit(NOW, changes=[change(0)], bars=[bars_of([(0, 0, 1, 5, 1.0)], LANES)], state={"position": b"9"})
    with pytest.raises(Exception, match=r"NOT NULL|not-null"):
        store.commit(msgspec.structs.replace(what, feed=[broken]))
    assert database.rows("SELECT count(*) FROM changes") == [(0,)]
    assert bars(database) == []
    assert store.state("position") is None
    assert store.commit(what) == 1
    assert [logged.ordinal for logged in store.changes_after(0)] == [0]


def test_requests_are_asked_by_a_reader_and_answered_in_the_same_row(store: Store, database: Database) -> None:
    reader = Store.read(database.url)
    seq = reader.ask("limits", {"rule": "pct_spike"}, asked_ts=5)
    asked = store.pending_requests()
    assert [(request.seq, request.kind, request.arguments) for request in asked] == [
        (seq, "limits", '{"rule":"pct_spike"}')
    ]
    store.commit(Commit(NOW, answers=[Answer(seq, 6, "done")]))
    assert store.pending_requests() == []
    assert database.rows("SELECT asked_ts, answered_ts, answer FROM requests") == [(5, 6, "done")]
    reader.close()


class TestOneSource:
    def test_another_source_is_refused_in_a_sentence_that_helps(self, database: Database) -> None:
        Store.open(database.url, source=Source("simulated", seed=1)).close()
        for other in (Source("simulated", seed=2), TAPE, Source("coinbase", "wss://feed")):
            with pytest.raises(StoreError) as caught:
                Store.open(database.url, source=other)
            assert str(caught.value) == (
                f"{database.name}: belongs to the source simulated seed 1, not to {other}; "
                "choose another database with --db"
            )
        again = Store.open(database.url, source=Source("simulated", seed=1))
        assert again.source() == Source("simulated", seed=1)
        again.close()

    @pytest.mark.parametrize(
        ("source", "venue", "goes_on"),
        [
            (Source("simulated", seed=1), "simulated", True),
            (Source("simulated", seed=1), "coinbase", False),
            (Source("kafka", "cluster/topic", seed=1), "coinbase", False),
            (Source("coinbase", "wss://feed"), "coinbase", True),
            (TAPE, "coinbase", True),
        ],
        ids=str,
    )
    def test_simulated_trades_under_another_name_can_be_read_and_not_added_to(
        self, database: Database, source: Source, venue: str, goes_on: bool
    ) -> None:
        store = Store.open(database.url, source=source)
        store.commit(Commit(clock=Clock(1, 1), feed=[FeedRow(venue, "BTC-USD", "stopped", "", 1)]))
        store.close()
        if goes_on:
            Store.open(database.url, source=source).close()
            return
        with pytest.raises(StoreError) as caught:
            Store.open(database.url, source=source)
        assert str(caught.value) == (
            f"{database.name}: holds simulated trades under the name coinbase, as an older version called them; it can "
            "still be shown, but not be filled further. Choose another database with --db, or begin anew with "
            "tapewatch demo"
        )
        reader = Store.read(database.url)
        with reader.connect() as connection:
            assert connection.execute(select(schema.feed.c.venue)).scalars().all() == ["coinbase"]
        reader.close()

    def test_a_refusal_lets_the_lock_go(self, database: Database) -> None:
        Store.open(database.url, source=TAPE).close()
        with pytest.raises(StoreError):
            Store.open(database.url, source=Source("coinbase", "wss://feed"))
        Store.open(database.url, source=TAPE).close()


class TestOneWriter:
    def test_a_second_instance_is_refused(self, store: Store, database: Database) -> None:
        with pytest.raises(StoreError, match=rf"process {os.getpid()}( on .+)?\) is writing to it; stop that one"):
            Store.open(database.url, source=TAPE)
        store.commit(Commit(NOW))

    def test_the_lock_ends_with_its_process_even_by_kill(self, database: Database) -> None:
        code = (
            "import sys, time; from tapewatch.store.sql import Store; from tapewatch.store.records import Source\n"
            "Store.open(sys.argv[1], source=Source('tape', '/tapes/a')); print('open', flush=True); time.sleep(60)"
        )
        child = subprocess.Popen([sys.executable, "-c", code, database.url], stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "open\n"
            with pytest.raises(StoreError, match=rf"process {child.pid}( on .+)?\)"):
                Store.open(database.url, source=TAPE)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
        Store.open(database.url, source=TAPE).close()


class TestReader:
    def test_it_waits_for_a_database_that_nobody_has_made(self, database: Database) -> None:
        reader = Store.read(database.url)
        assert not reader.ready()
        with pytest.raises(StoreError, match="there is no database yet; start tapewatch run"), reader.connect():
            pass
        Store.open(database.url, source=TAPE).close()
        assert reader.ready()
        reader.close()

    def test_it_sees_the_fresh_database_that_took_the_place_of_the_first(self, database: Database) -> None:
        first = Store.open(database.url, source=TAPE)
        first.commit(Commit(NOW, changes=[change(0)]))
        first.close()
        reader = Store.read(database.url)

        def logged() -> int:
            with reader.connect() as connection:
                return len(connection.execute(select(schema.changes)).all())

        assert logged() == 1
        second = Store.open(database.url, source=Source("simulated", seed=1), fresh=True)
        assert logged() == 0
        assert second.revision == 0
        second.close()
        reader.close()

    def test_one_connection_sees_one_commit(self, store: Store, database: Database) -> None:
        store.commit(Commit(NOW, changes=[change(0)]))
        reader = Store.read(database.url)
        with reader.connect() as connection:
            before = len(connection.execute(select(schema.changes)).all())
            store.commit(Commit(NOW, changes=[change(1)]))
            assert len(connection.execute(select(schema.changes)).all()) == before == 1
        reader.close()

    def test_it_cannot_write(self, database: Database) -> None:
        Store.open(database.url).close()
        reader = Store.read(database.url)
        with pytest.raises(StoreError, match="cannot be written"), reader.connect() as connection:
            connection.execute(schema.meta.delete())
        reader.close()
