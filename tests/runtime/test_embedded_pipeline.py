"""However rows are divided into batches and commits, and wherever a run ends, the database is the same."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.markets import LANES, Tape, seeded, tapes
from support.oracle import judge
from support.runs import IDENTITY, Memory, memory
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RULES, RuleBook
from tapewatch.model import NS, Lane, Rows
from tapewatch.runtime.embedded import resume
from tapewatch.runtime.pipeline import QUARANTINE_PER_COMMIT, Pipeline
from tapewatch.runtime.source import LaneStatus, Position
from tapewatch.store.records import Clock, Quarantined
from tapewatch.store.sql import Store

NOW = Clock(1, 2)


def assert_is_what_the_oracle_says(found: Memory, rows: Rows) -> None:
    verdict = judge(rows)
    assert found.told() == verdict.changes
    last = {change.anomaly.id: change.anomaly for change in verdict.changes}
    assert found.anomalies == last | {anomaly.id: anomaly for anomaly in verdict.open}
    bars = {(*key[0], key[1], key[2]): bar for key, bar in verdict.bars.items()}
    assert found.bars.keys() == bars.keys()
    for key, (open_id, close_id, opened, high, low, close, count, volume) in found.bars.items():
        bar = bars[key]
        assert (open_id, close_id, opened, high, low, close, count) == (
            bar.open_id,
            bar.close_id,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.count,
        )
        assert volume == pytest.approx(bar.volume, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    rows=tapes(120),
    steps=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["batch", "commit", "kill"])), max_size=12),
)
def test_stops_and_divisions_leave_no_trace(tmp_path_factory, rows: Rows, steps: list[tuple[int, str]]) -> None:
    path = tmp_path_factory.mktemp("laws") / "x.db"
    store = Store.open(path, source=IDENTITY)
    pipeline = resume(store, RuleBook.default())
    for count, then in [*steps, (len(rows.data), "commit")]:
        at = pipeline.position.rows
        pipeline.take(rows.part(at, at + count))
        if then == "commit":
            store.commit(pipeline.prepare(NOW, {}).commit)
        elif then == "kill":  # everything since the last commit is lost; the tape is read again from there
            pipeline = resume(store, RuleBook.default())
    while pipeline.position.rows < len(rows.data):
        at = pipeline.position.rows
        pipeline.take(rows.part(at, at + 50))
    store.commit(pipeline.prepare(NOW, {}).commit)
    store.close()
    assert_is_what_the_oracle_says(memory(path), rows)


def test_a_long_tape_of_all_kinds_is_stored_as_the_oracle_reads_it(tmp_path: Path) -> None:
    rows = seeded(3, 3000, 3)
    assert set(rows.data["kind"].tolist()) == {1, 2, 3, 4, 5, 6}
    store = Store.open(tmp_path / "x.db", source=IDENTITY)
    pipeline = Pipeline(Detector(RuleBook.default()))
    for start in range(0, len(rows.data), 101):
        pipeline.take(rows.part(start, start + 101))
        if start % 3 == 0:
            store.commit(pipeline.prepare(NOW, {}).commit)
    store.commit(pipeline.prepare(NOW, {}).commit)
    store.close()
    assert_is_what_the_oracle_says(memory(tmp_path / "x.db"), rows)


def test_batches_whose_lane_numbers_mean_different_lanes_are_kept_apart() -> None:
    btc, doge = LANES[0], LANES[1]
    one = Tape(btc, doge).trade(0, "100", lane=0).trade(0, "2", lane=1).rows()
    other = Tape(doge, btc).trade(1, "3", number=2, lane=0).trade(1, "101", number=2, lane=1).rows()
    pipeline = Pipeline(Detector(RuleBook.default()))
    pipeline.take(one)
    pipeline.take(other)
    prepared = pipeline.prepare(NOW, {})
    tens = {
        (bars.lanes[bar["lane"]], int(bar["close"]) // 10**10)
        for bars in prepared.commit.bars
        for bar in bars.data[bars.data["width"] == 10]
    }
    assert tens == {(btc, 100), (doge, 2), (doge, 3), (btc, 101)}
    assert {(row.symbol, row.trades) for row in prepared.commit.feed} == {("BTC-USD", 2), ("DOGE-USD", 2)}


def test_the_feed_is_counted_by_kind() -> None:
    lane = Lane("coinbase", "ETH-USD")
    written = (
        Tape(lane)
        .trade(0, "10", number=1)
        .trade(1, "11", number=1)  # told again
        .gap(2, 2, 4)
        .trade("2.5", "12", number=5, recv=3)
        .late("1.5", "13", 2)
        .filled(4, 2, 4, given_up=True)
        .gap(5, 6, 6)
        .trade(5, "14", number=7)
        .late("4.5", "15", 6)
        .filled(6, 6, 6)
        .clock(9, "6.25")
        .gap(10, 8, 8)  # opened by our own clock: no frame
    )
    pipeline = Pipeline(Detector(RuleBook.default()))
    pipeline.take(written.rows())
    status = LaneStatus("live", duplicates=2, quarantined=3, reconnects=1, connected_ts=5)
    (row,) = pipeline.prepare(Clock(77, 2), {lane: status}).commit.feed
    assert (row.state, row.now_ts, row.connected_ts, row.reconnects) == ("live", 77, 5, 1)
    assert (row.trades, row.duplicates, row.quarantined) == (5, 3, 3)
    assert (row.gaps_opened, row.gaps_filled, row.gaps_given_up) == (3, 1, 1)
    start = written.rows().data["ts"][0]
    assert (row.last_trade_ts, row.last_price) == (start + 5 * NS, 14 * 10**10)
    assert row.last_frame_ts == start + 25 * NS // 4
    assert row.armed == tuple(rule.name for rule in RULES if rule.name != "abs_jump")


def test_counters_go_on_from_what_is_stored(tmp_path: Path) -> None:
    lane = Lane("coinbase", "ETH-USD")
    store = Store.open(tmp_path / "x.db", source=IDENTITY)
    for start in (0, 10):
        pipeline = resume(store, RuleBook.default())
        pipeline.take(Tape(lane).trade(start, "10", number=start + 1).rows())
        for seen in (1, 4):  # the source's own counters begin at 0 with each run
            status = LaneStatus("live", duplicates=seen, quarantined=seen, reconnects=seen)
            store.commit(pipeline.prepare(NOW, {lane: status}).commit)
    (row,) = store.feed()
    assert (row.trades, row.duplicates, row.quarantined, row.reconnects) == (2, 8, 8, 8)
    store.close()


def test_input_that_names_no_lane_is_counted_for_none(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "x.db", source=IDENTITY)
    for _ in range(2):
        pipeline = resume(store, RuleBook.default())
        pipeline.refuse(
            [Quarantined(1, *LANES[0], "absurd price", b"{}"), Quarantined(2, "coinbase", None, "no JSON", b"{")]
        )
        store.commit(pipeline.prepare(NOW, {LANES[0]: LaneStatus("live", quarantined=1)}).commit)
    reader = Store.read(tmp_path / "x.db")
    assert store.feed()[0].quarantined == 2
    with reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'unnamed'").scalar_one() == "2"
    reader.close()
    store.close()


def test_a_flood_of_bad_input_is_counted_in_full_and_kept_in_part() -> None:
    pipeline = Pipeline(Detector(RuleBook.default()))
    flood = [Quarantined(number, "coinbase", None, "not JSON", b"{") for number in range(QUARANTINE_PER_COMMIT + 5)]
    pipeline.refuse(flood[:3])
    pipeline.refuse(flood[3:])
    assert pipeline.position == Position(0, QUARANTINE_PER_COMMIT + 5, QUARANTINE_PER_COMMIT + 5)
    assert list(pipeline.prepare(NOW, {}).commit.quarantine) == flood[:QUARANTINE_PER_COMMIT]
    pipeline.refuse(flood[:1])
    assert list(pipeline.prepare(NOW, {}).commit.quarantine) == flood[:1]


def test_only_new_trades_are_measured() -> None:
    lane = Lane("coinbase", "ETH-USD")
    written = Tape(lane).trade(0, "10", number=1).trade(0, "10", number=2).trade(9, "10", number=1)
    written.gap(10, 3, 3).late(11, "10", 3).filled(11, 3, 3).clock(12, 11)
    pipeline = Pipeline(Detector(RuleBook.default()))
    pipeline.take(written.rows())
    assert pipeline.prepare(NOW, {}).received().tolist() == [written.rows().data["recv_ts"][0]]


def test_other_limits_end_what_a_changed_rule_had_open() -> None:
    lane = Lane("coinbase", "ETH-USD")
    pipeline = Pipeline(Detector(RuleBook.default()))
    pipeline.take(Tape(lane).trade(0, "100").trade(1, "100.5").rows())
    first = pipeline.prepare(NOW, {}).commit
    assert [change.change for change in first.changes] == ["opened"]
    pipeline.rearm(RuleBook.of({"pct_spike": {"threshold_pct": 5}}))
    second = pipeline.prepare(NOW, {}).commit
    assert [(change.change, change.ordinal) for change in second.changes] == [("ended", 1)]
    assert second.open_anomalies == []
    pipeline.take(Tape(lane).trade(2, "101", number=3).rows())
    assert pipeline.prepare(NOW, {}).commit.changes == []
