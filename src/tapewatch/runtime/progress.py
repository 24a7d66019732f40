"""How a query gets on: Spark's own report of a micro-batch in, metrics and one line for a person out."""

import msgspec
from msgspec import Struct

from tapewatch import telemetry

MEGABYTE = 1_000_000

Offsets = dict[str, dict[str, int]]
"""Topic → partition → offset."""


class _Source(Struct, rename="camel"):
    end_offset: Offsets | None = None
    latest_offset: Offsets | None = None


class _State(Struct, rename="camel"):
    num_rows_total: int = 0
    memory_used_bytes: int = 0
    custom_metrics: dict[str, int] = {}


class Progress(Struct, rename="camel"):
    """What Spark reports of one micro-batch (StreamingQueryProgress).

    Attributes
    ----------
    batch_id
        Its number.
    timestamp
        When it began.
    num_input_rows
        Messages read.
    input_rows_per_second, processed_rows_per_second
        Messages that arrived, and that were done, per second.
    duration_ms
        Stage → ms; ``triggerExecution`` is all of it.
    """

    batch_id: int
    timestamp: str
    num_input_rows: int
    duration_ms: dict[str, int]
    sources: list[_Source]
    state_operators: list[_State] = []
    input_rows_per_second: float = 0.0
    processed_rows_per_second: float = 0.0

    @property
    def ran(self) -> bool:
        """Whether it was one: Spark reports about waiting, too, under the number of the next one."""
        return "addBatch" in self.duration_ms

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.duration_ms.get("triggerExecution", 0) / 1_000

    @property
    def state_bytes(self) -> int:
        """Size of all shards' state: RocksDB's files, and what it keeps in memory."""
        return sum(
            state.memory_used_bytes + state.custom_metrics.get("rocksdbSstFileSize", 0)
            for state in self.state_operators
        )

    def lags(self) -> dict[tuple[str, str], int]:
        """Tell for each topic and partition how many messages were not read yet."""
        return {
            (topic, partition): max(0, latest - ((source.end_offset or {}).get(topic, {}).get(partition, 0)))
            for source in self.sources
            for topic, partitions in (source.latest_offset or {}).items()
            for partition, latest in partitions.items()
        }

    def line(self, rows: int) -> str:
        """Say it in one line.

        Parameters
        ----------
        rows
            Messages read since the start.
        """
        return (
            f"{rows:,} rows; {self.input_rows_per_second:,.0f} a second came, "
            f"{self.processed_rows_per_second:,.0f} a second were done; micro-batch {self.batch_id} took "
            f"{self.seconds:.1f} s; {sum(self.lags().values()):,} wait in {len(self.lags())} partitions; "
            f"state {sum(state.num_rows_total for state in self.state_operators)} shards, "
            f"{self.state_bytes / MEGABYTE:.1f} MB"
        )


def read(report: str) -> Progress:
    """Read a report, which Spark gives as JSON."""
    return msgspec.json.decode(report, type=Progress)


def measure(progress: Progress) -> None:
    """Put a report into the metrics."""
    for (topic, partition), lag in progress.lags().items():
        telemetry.KAFKA_LAG.labels(topic, partition).set(lag)
    telemetry.SPARK_ROWS_IN.set(progress.input_rows_per_second)
    if not progress.ran:
        return
    telemetry.SPARK_ROWS.inc(progress.num_input_rows)
    telemetry.SPARK_ROWS_DONE.set(progress.processed_rows_per_second)
    telemetry.SPARK_BATCH_SECONDS.observe(progress.seconds)
    telemetry.SPARK_STATE_BYTES.set(progress.state_bytes)
    telemetry.SPARK_STATE_SHARDS.set(sum(state.num_rows_total for state in progress.state_operators))
