"""Spark Structured Streaming: messages of a topic in, one commit to the store per micro-batch out.

Each micro-batch is one transaction that also records its number, so that one told twice changes nothing.
"""

import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

import tapewatch
from tapewatch.carry.codec import VERSION_BYTES, VERSION_HEADER
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.errors import ConfigError
from tapewatch.runtime import shards
from tapewatch.runtime.jars import CONNECTOR, fetched
from tapewatch.runtime.ports import HOST
from tapewatch.runtime.sink import Sink

LOCAL = "local"
"""How the name of a master begins that has its workers in this process's own JVM."""

SHIPPED = "tapewatch-package"
"""Folder in an executor's own, where our package is unpacked."""

BATCH_BYTES = 64 * 2**20
"""A worker takes no more at once, however long the messages of others are."""

FETCHED = {
    "kafka.max.poll.records": "5000",
    "kafka.max.partition.fetch.bytes": str(8 * 2**20),
}
"""Kafka's defaults, 500 messages and 1 MiB, are for consumers that do more than copy each message."""

STATE_STORE = {
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}
"""A micro-batch writes what has changed; from time to time Spark writes a snapshot of the state."""

FILES = (
    "spark.sql.streaming.checkpointFileManagerClass",
    "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager",
)
"""How a checkpoint on a local disk is written.

Hadoop's other interface, Spark's choice, starts a process for each link that might be one: a dozen per micro-batch.
Both rename a whole file into its place, which only a local disk does over an older one. Spark's checksums stand alone:
Hadoop's would lie in a second file, which a kill may separate from the first.
"""


class DetectConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``detect``."""

    master: Annotated[str, Meta(min_length=1, description="Spark's master")] = "local[*]"
    checkpoint: Annotated[str, Meta(min_length=1, description="Folder of the query's checkpoint")] = "data/checkpoint"
    shards: Annotated[int, Meta(ge=1, le=10_000, description="Parts into which the lanes are divided")] = 2
    trigger_s: Annotated[float, Meta(ge=0, le=3600, description="Least time from one micro-batch to the next")] = 0.0
    rows_per_batch: Annotated[int, Meta(ge=1, description="Most messages in a micro-batch")] = 2**20
    arrow_rows: Annotated[int, Meta(ge=1_000, le=1_000_000, description="Messages that are decoded at a time")] = 50_000
    announce: Annotated[bool, Meta(description="Send anomalies to the topic kafka.anomalies, too")] = True
    ui_port: Annotated[int, Meta(ge=1, le=65_535, description="Port of Spark's own pages")] = 4040
    options: Annotated[dict[str, str], Meta(description="Any setting of Spark")] = {}


def session(config: DetectConfig, cache: Path) -> Any:
    """Start Spark, or connect to a cluster, whose executors then work with this installation's own code.

    Raises
    ------
    ConfigError
        Java or pyspark is missing.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    listening = config.options.get("spark.driver.bindAddress", HOST)
    os.environ.setdefault("SPARK_LOCAL_IP", listening)  # else Spark's pages are there for the whole network
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError("Spark needs pyspark: pip install 'tapewatch[spark]'") from None
    settings = {
        "spark.jars": ",".join(str(path) for path in fetched(CONNECTOR, cache)),
        "spark.sql.shuffle.partitions": str(config.shards),
        **STATE_STORE,
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(config.arrow_rows),
        "spark.sql.execution.arrow.maxBytesPerBatch": str(BATCH_BYTES),
        "spark.sql.streaming.numRecentProgressUpdates": "10",  # all of them are asked for twice a second
        "spark.python.unix.domain.socket.enabled": "true",  # which also keeps rows off the loopback's ports
        "spark.ui.port": str(config.ui_port),
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": HOST,
        "spark.driver.host": HOST,
        **({} if config.master.startswith(LOCAL) else {"spark.executorEnv.PYTHONPATH": SHIPPED}),
        **config.options,
    }
    builder = SparkSession.builder.master(config.master).appName("tapewatch")
    for name, value in settings.items():
        builder = builder.config(name, value)
    made = builder.getOrCreate()
    if FILES[0] not in config.options and on_disk(made, config.checkpoint):
        made.conf.set(*FILES)
        _local_files(made).setWriteChecksum(False)
    if not config.master.startswith(LOCAL):
        _ship(made.sparkContext)
    return made


def on_disk(spark: Any, checkpoint: str) -> bool:
    """Tell whether a checkpoint lies in a file system that this machine has mounted."""
    return (urlsplit(checkpoint).scheme or urlsplit(_hadoop(spark).get("fs.defaultFS")).scheme) == "file"


def _hadoop(spark: Any) -> Any:
    return spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001  # there is no other way to it from Python


def _local_files(spark: Any) -> Any:
    # The one of this JVM, which all its tasks share; another class in its place ends the snapshots of the state.
    return spark.sparkContext._jvm.org.apache.hadoop.fs.FileSystem.getLocal(_hadoop(spark))  # noqa: SLF001


def _ship(context: Any) -> None:
    # Unpacked, not as a zip on the path: numba keeps what it compiles beside the source, or where NUMBA_CACHE_DIR says,
    # only of sources that are files.
    from pyspark import SparkFiles

    package = Path(tapewatch.__file__).parent
    folder = Path(SparkFiles.getRootDirectory()) / "shipped"  # which goes with the session
    folder.mkdir()
    archive = folder / f"{SHIPPED}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for module in sorted(package.rglob("*.py")):
            packed.write(module, module.relative_to(package.parent))
    context.addArchive(f"{archive}#{SHIPPED}")


def messages_of(spark: Any, kafka: KafkaConfig, config: DetectConfig) -> Any:
    """Describe the messages, with the columns of `shards.MESSAGES`, as a streaming frame."""
    client = {f"kafka.{name}": value for name, value in kafka.java_client().items()}
    return (
        spark.readStream.format("kafka")
        .options(**client)
        .option("subscribe", f"{kafka.trades},{kafka.quarantine}")
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", config.rows_per_batch)
        .option("includeHeaders", "true")
        .options(**FETCHED)
        .load()
        .selectExpr(*_columns(kafka.trades))
    )


def labels_of(spark: Any, shards: int) -> list[int]:
    """Name the shards so that Spark deals out one to each task: the hash of 0, 1, 2, … leaves tasks without any."""
    tried = range(shards * (30 + shards.bit_length()))  # that one task is left out has a chance below e^-30
    labels = spark.range(len(tried)).selectExpr("CAST(id AS INT) AS label")
    dealt = labels.selectExpr("label", f"pmod(hash(label), {shards}) AS task").collect()
    first = {row.task: row.label for row in reversed(dealt)}
    return [first[task] for task in range(shards)]


def told_of(spark: Any, kafka: KafkaConfig, config: DetectConfig, rules: Mapping[str, Any]) -> Any:
    """Describe the query: a streaming frame with what each shard told in each micro-batch."""
    pack = shards.packing(kafka.trades, labels_of(spark, config.shards))
    packed = messages_of(spark, kafka, config).mapInArrow(pack, shards.PACKED)
    return packed.groupBy("shard").applyInPandasWithState(
        shards.folding(rules), shards.TOLD, shards.STATE, "append", "NoTimeout"
    )


def _columns(topic: str) -> tuple[str, ...]:
    # Nulls are cheap on the way to Python: what is as it should be is not sent. Our own header stands first; it is
    # looked for where another's does.
    other, version = f"topic <> '{topic}'", f"X'{VERSION_BYTES.hex()}'"
    fine = f"{other} OR get(headers, 0).key = '{VERSION_HEADER}' AND get(headers, 0).value = {version}"
    found = f"get(filter(headers, header -> header.key = '{VERSION_HEADER}'), 0).value"
    return (
        "partition",
        "offset",
        "unix_micros(timestamp) AS time_us",
        "key",
        "value",
        f"CASE WHEN {fine} THEN NULL ELSE nullif(coalesce({found}, X''), {version}) END AS version",
        f"CASE WHEN {other} THEN topic END AS aside",
    )


def start(frame: Any, sink: Sink, config: DetectConfig, *, once: bool = False) -> Any:
    """Start the query; each micro-batch is collected to the driver and committed there.

    Parameters
    ----------
    once
        End when all is done that the topic holds now.
    """

    def commit(batch: Any, number: int) -> None:
        query = batch.sparkSession.sparkContext.getLocalProperty("sql.streaming.queryId")
        sink.commit(query, number, [shards.read_told(bytes(row.told)) for row in batch.collect()])

    when: dict[str, Any] = {"availableNow": True} if once else {"processingTime": f"{config.trigger_s} seconds"}
    return (
        frame.writeStream.queryName("tapewatch")
        .option("checkpointLocation", config.checkpoint)
        .foreachBatch(commit)
        .trigger(**when)
        .start()
    )
