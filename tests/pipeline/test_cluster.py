"""The same tapes on a Spark cluster: a master and two workers, to which our package comes with the job."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.brokers import RunningBroker
from support.cluster import Cluster, cluster
from support.databases import PostgresqlDatabase, SqliteDatabase
from support.parity import SHARDS, Pipeline, agreed, cascade, hour, quiet
from support.pipeline import spark
from tapewatch.runtime.spark import DetectConfig

pytestmark = pytest.mark.long

WORKERS = 2


@pytest.fixture(scope="module")
def standalone(broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a cluster; it is asked for behind the broker, which skips where there is no Java."""
    with cluster(tmp_path_factory.mktemp("cluster"), WORKERS) as found:
        yield found


@pytest.fixture(scope="module")
def session(standalone: Cluster) -> Iterator[Any]:
    config = DetectConfig(master=standalone.master, shards=SHARDS, options={"spark.executor.memory": "512m"})
    with spark(config) as made:
        yield made


def test_executors_work_with_the_code_that_came_with_the_job(session: Any, standalone: Cluster) -> None:
    def where(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        from tapewatch.detect import kernels

        for _ in batches:
            yield pa.RecordBatch.from_pydict({"path": [kernels.__file__]})

    rows = session.range(0, 8, numPartitions=8).mapInArrow(where, "path string").collect()
    paths = {Path(row.path) for row in rows}
    assert all(path.is_relative_to(standalone.work) for path in paths), paths
    assert len(paths) == WORKERS


@pytest.mark.parametrize(("tape", "batches"), [("hour", 8), ("cascade", 4), ("quiet", 6)])
def test_the_same_on_two_workers(
    tape: str,
    batches: int,
    broker: RunningBroker,
    session: Any,
    postgresql_database: PostgresqlDatabase,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    path = (
        hour(tmp_path)
        if tape == "hour"
        else {"cascade": cascade, "quiet": quiet}[tape](request.getfixturevalue("shared"))
    )
    pipeline = Pipeline(broker, session, tmp_path)
    assert agreed(path, pipeline, postgresql_database, SqliteDatabase(tmp_path / "x.db"), batches).lines
