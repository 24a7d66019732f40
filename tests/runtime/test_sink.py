"""One transaction per micro-batch: told twice, after an outage, or to the wrong database."""

from collections.abc import Mapping
from contextlib import closing
from functools import partial

import msgspec
import pytest

from support.databases import Database
from support.runs import memory
from support.views import anomaly, opened
from tapewatch.errors import ConfigError, DatabaseAwayError
from tapewatch.model import Lane
from tapewatch.runtime.shards import Told
from tapewatch.runtime.sink import BATCH, Sink
from tapewatch.store.records import Clock, Commit, FeedRow, Quarantined, Source
from tapewatch.store.sql import Store
from tapewatch.telemetry import REGISTRY

SOURCE = Source("kafka", "127.0.0.1:9092/tapewatch.trades")


def told(number: int, now_ts: int = 0) -> Told:
    item = Quarantined(1, "kafka", None, f"reason {number}", b"")
    found = anomaly(f"a{number}")
    return Told(now_ts, list(opened(found)), [found], [], [item], 1, [])


def sink(
    database: Database,
    *,
    shards: int = 2,
    rules: Mapping[str, object] | None = None,
    waits: list[float] | None = None,
    patience: int = 0,
) -> Sink:
    def wait(seconds: float) -> bool:
        assert waits is not None
        waits.append(seconds)
        return len(waits) > patience

    return Sink(partial(Store.open, database.url, source=SOURCE), shards, rules or {}, lambda: 5, wait)


def test_a_micro_batch_that_is_told_twice_changes_nothing(database: Database) -> None:
    first = sink(database)
    assert first.commit("q", 0, [told(0)])
    before = memory(database)
    assert not first.commit("q", 0, [told(0)])
    first.close()
    again = sink(database)
    assert not again.commit("q", 0, [told(0)])
    assert memory(database) == before
    assert again.commit("q", 1, [told(1)])
    again.close()
    assert [row[3] for row in memory(database).changes] == ["opened", "opened"]
    assert database.rows("SELECT value FROM meta WHERE key = 'unnamed'") == [("2",)]


def test_what_was_committed_is_counted_once(database: Database) -> None:
    made = sink(database)
    lane = Lane("coinbase", "SINK-USD")
    first, second = (FeedRow(lane.venue, lane.symbol, "live", "", 0, trades=trades) for trades in (5, 7))
    name = {"venue": lane.venue, "symbol": lane.symbol}
    trades = REGISTRY.get_sample_value("tapewatch_trades_total", name) or 0
    before = REGISTRY.get_sample_value("tapewatch_changes_total", {"rule": "pct_spike", "change": "opened"}) or 0
    part = msgspec.structs.replace(told(0), feed=[first])
    made.commit("q", 0, [part])
    made.commit("q", 0, [part])
    assert severities() == 1
    found = part.changes[0].anomaly
    ended = msgspec.structs.replace(part.changes[0], change="ended", ordinal=2)
    made.commit("q", 1, [Told(0, [ended], [], [], [], 0, [second])])
    made.close()
    assert severities() == 0
    assert (REGISTRY.get_sample_value("tapewatch_trades_total", name) or 0) - trades == 7
    after = REGISTRY.get_sample_value("tapewatch_changes_total", {"rule": found.rule, "change": "opened"})
    assert (found.rule, after) == ("pct_spike", before + 1)


def severities() -> float:
    return sum(
        REGISTRY.get_sample_value("tapewatch_open_anomalies", {"severity": severity}) or 0
        for severity in ("high", "medium", "low")
    )


def test_the_clock_does_not_go_back_where_nothing_came(database: Database) -> None:
    first = sink(database)
    first.commit("q", 0, [told(0, now_ts=77)])
    first.close()
    again = sink(database)
    again.commit("q", 1, [])
    again.close()
    ((clock,),) = database.rows("SELECT value FROM meta WHERE key = 'clock'")
    assert '"now_ts":77' in clock


def test_an_orderly_stop_is_noted_and_the_next_rows_take_it_back(database: Database) -> None:
    made = sink(database)
    made.rest()  # nothing was ever committed: there is nothing to note
    live = FeedRow("coinbase", "BTC-USD", "live", "", 7, trades=5)
    made.commit("q", 0, [msgspec.structs.replace(told(0, now_ts=77), feed=[live])])
    before = memory(database)
    made.rest()
    made.close()
    assert database.rows("SELECT state, reason, trades FROM feed") == [("stopped", "detect was stopped", 5)]
    assert memory(database) == before
    assert database.rows("SELECT value FROM meta WHERE key = 'unnamed'") == [("1",)]
    again = sink(database)
    again.commit("q", 1, [Told(78, [], [], [], [], 0, [live])])
    again.close()
    assert database.rows("SELECT state FROM feed") == [("live",)]


def test_a_stop_notes_nothing_where_the_database_is_away(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sink(database)
    made.commit("q", 0, [])

    def fails(*_: object) -> None:
        raise DatabaseAwayError("gone")

    monkeypatch.setattr(Store, "commit", fails)
    made.rest()
    made.close()


def test_another_number_of_shards_is_refused(database: Database) -> None:
    first = sink(database)
    first.commit("q", 0, [])
    first.close()
    with pytest.raises(ConfigError, match=r"detect\.shards: expected 2, into which .* is divided, found 3; .* anew"):
        sink(database, shards=3)
    sink(database).close()  # and the database is free again


def test_a_checkpoint_of_another_database_is_refused(database: Database) -> None:
    made = sink(database)
    with pytest.raises(ConfigError, match=r"detect\.checkpoint: expected one that stands before micro-batch 0, .* 4"):
        made.commit("q", 4, [])
    made.commit("q", 0, [])
    made.commit("q", 1, [])
    with pytest.raises(ConfigError, match=r"detect\.checkpoint: expected one that stands before micro-batch 2, .* 0"):
        made.commit("q", 0, [])  # an older one, whose micro-batches are cut anew
    with pytest.raises(ConfigError, match=r"\(query q\), found another one \(query p\); .* begin anew"):
        made.commit("p", 2, [])
    made.close()


def test_a_note_of_another_version_is_refused(database: Database) -> None:
    with closing(Store.open(database.url, source=SOURCE)) as store:
        store.commit(Commit(Clock(1, 1), state={BATCH: b'{"query":"q","number":3}'}))
    with pytest.raises(ConfigError, match=r"expected the last micro-batch as this version of tapewatch notes it"):
        sink(database)


def test_a_micro_batch_is_not_done_once_more_with_other_rules(database: Database) -> None:
    first = sink(database)
    first.commit("q", 0, [told(0)])
    first.close()
    before = memory(database)
    other = sink(database, rules={"abs_jump": {"limit_quote": 7}})
    with pytest.raises(ConfigError, match=r'rules: expected {}, with which micro-batch 0 .* found {"abs_jump"'):
        other.commit("q", 0, [told(1)])
    other.close()
    assert memory(database) == before
    same = sink(database)
    assert not same.commit("q", 0, [told(0)])
    same.close()
    changed = sink(database, rules={"abs_jump": {"limit_quote": 7}})
    assert changed.commit("q", 1, [told(1)])
    changed.close()


def test_a_password_is_not_told(postgresql_database: Database) -> None:
    made = sink(postgresql_database)
    with pytest.raises(ConfigError) as caught:
        made.commit("q", 4, [])
    made.close()
    assert postgresql_database.url.split(":")[2].split("@")[0] not in str(caught.value)


def test_followers_are_called_for_a_micro_batch_that_was_told_before_too(database: Database) -> None:
    made = sink(database)
    calls: list[int] = []
    made.followers.append(lambda: calls.append(len(made.changes_after(0, 10))) or 0)
    made.commit("q", 0, [told(0)])
    made.commit("q", 0, [told(0)])
    made.close()
    assert calls == [1, 1]


def test_a_database_that_is_away_is_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    made = sink(database, waits=waits, patience=10)
    made.commit("q", 0, [told(0)])
    commit, failures = Store.commit, iter([True, True, False])

    def away(self: Store, what: object) -> int:
        if next(failures):
            raise DatabaseAwayError("x: gone")
        assert made.trouble == "x: gone"
        return commit(self, what)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "commit", away)
    assert made.commit("q", 1, [told(1)])
    assert made.trouble is None
    made.close()
    assert waits == [0.5, 1.0]
    assert len(memory(database).changes) == 2


def test_what_was_committed_though_the_answer_was_lost_is_not_committed_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sink(database, waits=[], patience=10)
    commit = Store.commit

    def lost(self: Store, what: object) -> int:
        commit(self, what)  # type: ignore[arg-type]
        monkeypatch.undo()
        raise DatabaseAwayError("x: gone")

    monkeypatch.setattr(Store, "commit", lost)
    assert not made.commit("q", 0, [told(0)])
    made.close()
    assert len(memory(database).changes) == 1


def test_a_stop_does_not_wait_for_a_database(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sink(database, waits=[], patience=0)
    monkeypatch.setattr(Store, "commit", lambda *_: (_ for _ in ()).throw(DatabaseAwayError("x: gone")))
    with pytest.raises(DatabaseAwayError):
        made.commit("q", 0, [told(0)])
