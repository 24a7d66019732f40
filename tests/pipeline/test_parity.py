"""One tape through backtest, embedded run and pipeline: the same anomalies to the byte, the same changes and bars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.brokers import RunningBroker
from support.databases import PostgresqlDatabase, SqliteDatabase
from support.parity import SHARDS, Pipeline, agreed, cascade, hour, quiet, remembered, run_embedded, same
from support.pipeline import spark
from tapewatch.detect.rules import RULES
from tapewatch.runtime.spark import FILES, DetectConfig, labels_of, on_disk

SNAPSHOTS = {"maintenanceInterval": "1s", "minDeltasForSnapshot": "2"}
"""So that a short query has them."""


@pytest.fixture(scope="module")
def session(broker: RunningBroker) -> Iterator[Any]:
    """Run one Spark for all tapes; it is asked for behind the broker, which skips where there is no Java."""
    often = {f"spark.sql.streaming.stateStore.{name}": value for name, value in SNAPSHOTS.items()}
    with spark(DetectConfig(master="local[2]", shards=SHARDS, options=often)) as made:
        yield made


@pytest.fixture
def pipeline(broker: RunningBroker, session: Any, tmp_path: Path) -> Pipeline:
    return Pipeline(broker, session, tmp_path)


@pytest.mark.parametrize("shards", [1, 2, 5, 8, 40])
def test_each_shard_has_a_task_of_its_own(session: Any, shards: int) -> None:
    labels = labels_of(session, shards)
    dealt = session.createDataFrame([(label,) for label in labels], "shard int").repartition(shards, "shard")
    tasks = dealt.selectExpr("spark_partition_id() AS task", "shard").collect()
    assert sorted((row.task, row.shard) for row in tasks) == list(enumerate(labels))


def test_only_on_a_disk_a_checkpoint_is_written_as_on_a_disk(session: Any) -> None:
    assert session.conf.get(FILES[0]) == FILES[1]
    assert [on_disk(session, place) for place in ("data/x", "/x", "file:/x", "file:///x")] == [True] * 4
    assert not any(on_disk(session, place) for place in ("hdfs://h/x", "s3a://bucket/x"))


def test_an_hour_of_a_simulated_market_with_everything_going_wrong(
    pipeline: Pipeline, postgresql_database: PostgresqlDatabase, tmp_path: Path
) -> None:
    tape = hour(tmp_path)
    found = agreed(tape, pipeline, postgresql_database, SqliteDatabase(tmp_path / "x.db"), 8)
    assert found.rules() == {rule.name for rule in RULES}
    snapshots = list((tmp_path / "checkpoint" / "state").rglob("*.sst"))
    assert snapshots  # else a restart reads every change of the state since the beginning
    run_embedded([tape], another := postgresql_database.another())
    same(remembered(another), found)


def test_a_product_of_the_cascade(
    pipeline: Pipeline, postgresql_database: PostgresqlDatabase, tmp_path: Path, shared: Path
) -> None:
    found = agreed(cascade(shared), pipeline, postgresql_database, SqliteDatabase(tmp_path / "x.db"), 4)
    assert found.rules() >= {"pct_spike", "vol_breakout", "mean_reversion_break"}


def test_the_quiet_day(
    pipeline: Pipeline, postgresql_database: PostgresqlDatabase, tmp_path: Path, shared: Path
) -> None:
    found = agreed(quiet(shared), pipeline, postgresql_database, SqliteDatabase(tmp_path / "x.db"), 6)
    assert found.rules() >= {"abs_jump", "vol_breakout", "mean_reversion_break"}
