"""The loop around the pipeline: what is committed when, what a restart finds, what it says when it cannot go on."""

import asyncio
import json
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest

from support.databases import Database, PostgresqlDatabase
from support.markets import Tape, seeded
from support.runs import IDENTITY, SkippingTime, embedded, memory, pieces, tape
from support.virtual_time import PATIENCE_S
from tapewatch.carry.source import BadRow
from tapewatch.carry.tape import read
from tapewatch.detect.core import Detector, replay
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import ConfigError, StoreError, TapeError
from tapewatch.model import NS, Lane, Rows
from tapewatch.runtime.embedded import COMMIT_EVERY_NS
from tapewatch.runtime.recording import RECORDING, Recording
from tapewatch.store.bulk import COPY_MIN
from tapewatch.store.jsonl import JsonLines
from tapewatch.store.records import Commit, Quarantined
from tapewatch.store.sql import Store

ETH = Lane("coinbase", "ETH-USD")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def rise(start: int, price: int, number: int) -> Rows:
    """Two trades that open an anomaly."""
    return Tape(ETH).trade(start, price, number=number).trade(start + 1, price * 2, number=number + 1).rows()


async def run_all(path: Path | str, rows: Rows, size: int = 500, **others: object) -> None:
    time = SkippingTime()
    await embedded(path, pieces(rows, size), time, sleep=time.sleep, **others).run()


async def test_runs_that_stop_anywhere_add_up_to_one(database: Database) -> None:
    rows = seeded(11, 4000, 3)
    one = database.another()
    await run_all(one.url, rows)
    for until in (700, 701, 1900, 2600, len(rows.data)):
        time = SkippingTime()
        run = embedded(database.url, pieces(rows, 97), time, sleep=time.sleep)
        take = run.source.take

        def take_until(limit: int, until: int = until, run=run, take=take) -> Rows | None:
            room = until - run.progress.rows - run._rows_before
            if room <= 0:
                run.stop()
                return None
            return take(min(limit, room))

        run.source.take = take_until  # type: ignore[method-assign]
        await run.run()
        assert run.progress.rows + run._rows_before == until
    whole, added = memory(one), memory(database)
    assert added.changes == whole.changes
    assert added.anomalies == whole.anomalies
    assert added.counters == whole.counters
    for key, values in whole.bars.items():
        assert added.bars[key] == pytest.approx(values, rel=1e-9)


async def test_sqlite_and_postgresql_remember_the_same(tmp_path: Path, postgresql_database: PostgresqlDatabase) -> None:
    rows = seeded(13, 6000, 3)
    await run_all(tmp_path / "x.db", rows)
    await run_all(postgresql_database.url, rows)
    found = memory(tmp_path / "x.db")
    assert len(found.changes) > 10
    assert len(found.bars) > COPY_MIN, "some of it went by COPY"
    assert memory(postgresql_database) == found


async def test_commits_come_at_most_every_50_ms(path: Path) -> None:
    rows = Tape(ETH)
    for number in range(400):
        rows.trade(f"{number * 0.01:.2f}", "100")
    time = SkippingTime()
    run = embedded(path, pieces(rows.rows(), 1000), time, speed=1.0, sleep=time.sleep)
    commits: list[int] = []
    stored = run._store.commit

    def commit(what):
        commits.append(what.clock.wall_ts)
        return stored(what)

    run._store.commit = commit  # type: ignore[method-assign]
    await run.run()
    between = [later - earlier for earlier, later in pairwise(commits[1:-2])]  # the first and the last do not wait
    assert min(between) >= COMMIT_EVERY_NS
    assert len(commits) >= 60  # four seconds: nothing waits much longer, either


async def test_a_quiet_source_is_committed_every_second(path: Path) -> None:
    rows = Tape(ETH).trade(0, "100").trade(10, "100").rows()
    time = SkippingTime()
    await embedded(path, pieces(rows, 10), time, speed=1.0, sleep=time.sleep).run()
    store = Store.open(path)
    assert store.revision >= 10
    store.close()


async def test_clock_and_feed_say_how_it_stands(path: Path) -> None:
    rows = Tape(ETH).trade(0, "100").trade(30, "101").rows()
    time = SkippingTime()
    await embedded(path, pieces(rows, 10), time, speed=60.0, sleep=time.sleep).run()
    reader = Store.read(path)
    with reader.connect() as connection:
        clock = json.loads(connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'clock'").scalar_one())
        feed = connection.exec_driver_sql("SELECT state, reason, now_ts FROM feed").one()
    reader.close()
    end = int(rows.data["recv_ts"][-1])
    assert tuple(feed) == ("ended", "end of tape", end)
    assert (clock["now_ts"], clock["wall_ts"], clock["speed"]) == (end, time.now_ns(), 0.0), (
        "its clock stands still at the end"
    )
    assert clock["latency_p99_ms"] is None  # the tape's clock is not ours


async def test_stopping_says_so_and_goes_on_later(path: Path) -> None:
    rows = Tape(ETH).trade(0, "100").trade(5, "101").rows()
    time = SkippingTime()
    run = embedded(path, pieces(rows, 10), time, speed=1.0, sleep=time.sleep)
    run.stored.set = run.stop  # type: ignore[method-assign]  # as soon as the first row is stored
    await run.run()
    store = Store.open(path)
    (row,) = store.feed()
    assert (row.state, row.trades) == ("stopped", 1)
    assert "goes on from here" in row.reason
    store.close()
    time = SkippingTime()
    await embedded(path, pieces(rows, 10), time, speed=1.0, sleep=time.sleep).run()
    assert memory(path).counters == {ETH: (2, 0, 0, 0, 0, 0)}


async def test_bad_rows_are_set_aside_once_however_often_the_tape_is_read(path: Path) -> None:
    bad = [BadRow("made up", line, *ETH, 7, f"price: line {line}", b"raw") for line in range(3)]
    first, second = rise(0, 100, 1), rise(10, 300, 3)
    blocks = [bad[0], first, bad[1], second, bad[2]]
    for _ in range(3):
        time = SkippingTime()
        run = embedded(path, tape(blocks), time, sleep=time.sleep)
        wait = run.source.wait

        async def wait_and_stop(timeout_s: float, run=run, wait=wait) -> None:
            await wait(timeout_s)
            run.stop()

        run.source.wait = wait_and_stop  # type: ignore[method-assign]
        await run.run()
    await embedded(path, tape(blocks), SkippingTime()).run()
    found = memory(path)
    assert found.quarantine == [(*ETH, f"made up, line {line}: price: line {line}", b"raw") for line in range(3)]
    assert found.counters[ETH] == (4, 0, 3, 0, 0, 0)


class TestRecording:
    async def test_the_recording_replays_to_what_the_run_found(self, path: Path, tmp_path: Path) -> None:
        rows = seeded(5, 3000, 3)
        for _ in range(2):  # the second one finds nothing left to do, and changes nothing
            store = Store.open(path, source=IDENTITY)
            recording = Recording.open(tmp_path / "rec", store.state(RECORDING), _rows(store))
            store.close()
            await run_all(path, rows, 333, recording=recording)
        recorded = list(read([tmp_path / "rec"]))
        assert sum(len(part.data) for part in recorded) == len(rows.data)
        changes = [change for _, update in replay(recorded, Detector(RuleBook.default())) for change in update.changes]
        assert changes == memory(path).told()

    async def test_one_that_the_first_commit_with_rows_never_saw_is_gone_on_with(
        self, path: Path, tmp_path: Path
    ) -> None:
        rows = seeded(5, 900, 2)
        run = embedded(path, pieces(rows, 300), SkippingTime(), recording=Recording.open(tmp_path / "rec", None, 0))
        stored = run._store.commit

        def commit(what: Commit) -> int:
            if what.bars:
                raise StoreError("the power fails")
            return stored(what)

        run._store.commit = commit  # type: ignore[method-assign]
        with pytest.raises(StoreError, match="the power fails"):
            await run.run()
        assert sum(len(part.data) for part in read([tmp_path / "rec"])) > 0, "recorded, and not committed"
        store = Store.open(path, source=IDENTITY)
        recording = Recording.open(tmp_path / "rec", store.state(RECORDING), _rows(store))
        store.close()
        await run_all(path, rows, 333, recording=recording)
        recorded = [row for part in read([tmp_path / "rec"]) for row in part.data["trade_id"].tolist()]
        assert recorded == rows.data["trade_id"].tolist()

    async def test_a_hole_in_a_recording_is_refused(self, path: Path, tmp_path: Path) -> None:
        store = Store.open(path, source=IDENTITY)
        recording = Recording.open(tmp_path / "rec", None, 0)
        store.close()
        await run_all(path, rise(0, 100, 1), recording=recording)
        rows = Tape(ETH).trade(0, 100).trade(1, 200).trade(2, 300).rows()
        await run_all(path, rows)
        store = Store.open(path, source=IDENTITY)
        with pytest.raises(ConfigError, match="1 rows came since that were not recorded; choose an empty folder"):
            Recording.open(tmp_path / "rec", store.state(RECORDING), _rows(store))
        Recording.open(tmp_path / "other", store.state(RECORDING), _rows(store)).close()
        store.close()


def _rows(store: Store) -> int:
    position = store.state("position")
    return 0 if position is None else json.loads(position)["rows"]


async def test_the_file_of_changes_follows_the_log(path: Path, tmp_path: Path) -> None:
    rows = seeded(2, 2000, 2)
    store = Store.open(path, source=IDENTITY)
    store.close()
    time = SkippingTime()
    run = embedded(path, pieces(rows, 50), time, sleep=time.sleep)
    run._jsonl = JsonLines.open(tmp_path / "c.jsonl", run._store.changes_after)
    await run.run()
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    found = [(line["venue"], line["symbol"], line["ordinal"], line["change"], line["at"]) for line in lines]
    assert found == [entry[:5] for entry in memory(path).changes]
    assert found


class TestRequests:
    async def ask(self, path: Path, kind: str, arguments: dict[str, object], rows: Rows | None = None) -> str:
        store = Store.open(path, source=IDENTITY)
        store.close()
        seq = Store.read(path).ask(kind, arguments, asked_ts=1)
        time = SkippingTime()
        run = embedded(path, pieces(rows or rise(0, 100, 1), 1), time, speed=1.0, sleep=time.sleep, linger=True)

        async def stop_when_answered() -> None:
            while not run._answered:  # noqa: ASYNC110  # the runtime has no event for it, and needs none
                await asyncio.sleep(0)
            run.stop()

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(run.run(), stop_when_answered())
        connection = sqlite3.connect(path)
        answer, answered_ts = connection.execute(
            "SELECT answer, answered_ts FROM requests WHERE seq = ?", (seq,)
        ).fetchone()
        connection.close()
        assert answered_ts >= 1_700_000_000 * NS
        return answer

    async def test_an_unknown_kind_is_refused_in_a_sentence(self, path: Path) -> None:
        assert await self.ask(path, "coffee", {}) == "refused: expected a request of kind limits, found 'coffee'"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"rule": "pct_spoke", "values": {"threshold_pct": 1}}, "unknown rule; did you mean pct_spike?"),
            ({"rule": "pct_spike", "values": {"threshold_pct": -1}}, "expected float >= 0.001"),
            ({"rule": "pct_spike", "values": {"sigma": 1}}, "sigma"),
            ({"values": {}}, "required field `rule`"),
        ],
    )
    async def test_wrong_limits_are_refused_in_a_sentence(self, path: Path, arguments, said: str) -> None:
        answer = await self.ask(path, "limits", arguments)
        assert answer.startswith("refused: ")
        assert said in answer

    async def test_new_limits_hold_and_outlive_a_restart(self, path: Path) -> None:
        arguments = {"rule": "pct_spike", "pattern": "ETH-*", "values": {"threshold_pct": 400}}
        calm = Tape(ETH).trade(0, "100").rows()
        answer = await self.ask(path, "limits", arguments, calm)
        assert answer == "done: pct_spike on ETH-*: threshold_pct 400"
        rows = Tape(ETH).trade(0, "100").trade(20, "100").trade(21, "200").trade(22, "700").rows()
        await run_all(path, rows)
        spikes = [record["threshold"] for record in _records(path) if record["rule"] == "pct_spike"]
        assert spikes == [400.0]  # +100 % is within the new limit, +600 % is not

    async def test_no_values_bring_the_configured_limits_back(self, path: Path) -> None:
        await self.ask(path, "limits", {"rule": "pct_spike", "values": {"threshold_pct": 400}}, Tape(ETH).rows())
        answer = await self.ask(path, "limits", {"rule": "pct_spike", "values": {}}, Tape(ETH).rows())
        assert answer == "done: pct_spike on *: as configured"
        await run_all(path, rise(0, 100, 1))
        spikes = [record["threshold"] for record in _records(path) if record["rule"] == "pct_spike"]
        assert spikes == [0.25]


def _records(path: Path) -> list[dict[str, object]]:
    return [json.loads(entry[5]) for entry in memory(path).changes if entry[3] == "opened"]


class TestTrouble:
    @pytest.mark.parametrize("blob", [b"", b"\xc1", b"\x92\x63\x90", b"\x92\x01"])
    async def test_a_state_that_cannot_be_read_says_what_to_do(self, path: Path, blob: bytes) -> None:
        await run_all(path, rise(0, 100, 1))
        connection = sqlite3.connect(path)
        connection.execute("UPDATE state SET value = ? WHERE name = 'detector'", (blob,))
        connection.commit()
        connection.close()
        with pytest.raises(StoreError, match=r"x\.db: detector's state: .* start with another database with --db"):
            embedded(path, pieces(rise(0, 100, 1), 1), SkippingTime())

    async def test_a_store_that_fails_ends_the_run_and_keeps_what_was_committed(self, path: Path) -> None:
        rows = seeded(1, 1000, 2)
        time = SkippingTime()
        run = embedded(path, pieces(rows, 50), time, speed=1e6, sleep=time.sleep)
        commit, calls = run._store.commit, []

        def fail_later(what):
            calls.append(what)
            if len(calls) == 4:
                raise StoreError("x.db: the disk is full")
            return commit(what)

        run._store.commit = fail_later  # type: ignore[method-assign]
        with pytest.raises(StoreError, match="the disk is full"):
            await run.run()
        await run_all(path, rows)  # the lock was let go, and the rest can be stored later
        await run_all(path.with_name("whole.db"), rows)
        found, whole = memory(path), memory(path.with_name("whole.db"))
        assert (found.changes, found.anomalies, found.counters) == (whole.changes, whole.anomalies, whole.counters)

    async def test_it_says_why_it_is_not_ready(self, path: Path) -> None:
        time = SkippingTime()
        run = embedded(path, pieces(rise(0, 100, 1), 10), time, sleep=time.sleep)
        assert run.trouble() == "no row stored yet"
        await run.run()
        assert run.trouble() is None
        await time.sleep(6)
        assert run.trouble() == "no commit for 6.0 s"
        assert run.describe()["rows"] == 2

    async def test_bad_input_of_no_lane_is_kept(self, path: Path) -> None:
        time = SkippingTime()
        run = embedded(path, pieces(rise(0, 100, 1), 10), time, sleep=time.sleep)
        run.source._quarantine.append(Quarantined(1, "coinbase", None, "not JSON: x", b"{"))  # type: ignore[attr-defined]
        await run.run()
        assert memory(path).quarantine == [("coinbase", None, "not JSON: x", b"{")]


async def test_a_recording_that_cannot_be_finished_keeps_nothing_else_open(path: Path, tmp_path: Path) -> None:
    recording = Recording.open(tmp_path / "rec", None, 0)

    def fail() -> None:
        raise TapeError("rec: cannot be recorded into: no space left")

    finish, recording.close = recording.close, fail  # type: ignore[method-assign]
    with pytest.raises(TapeError, match="no space left"):
        await run_all(path, rise(0, 100, 1), recording=recording)
    finish()
    assert memory(path).counters[ETH][0] == 2
    Store.open(path, source=IDENTITY).close()  # the lock was let go
