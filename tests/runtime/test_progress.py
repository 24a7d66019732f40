"""Spark's reports become metrics and a line."""

import json

from tapewatch import telemetry
from tapewatch.runtime.progress import measure, read

REPORT = {
    "id": "8a", "runId": "9b", "name": None, "timestamp": "2026-01-01T00:00:00.000Z", "batchId": 12,
    "batchDuration": 900, "numInputRows": 4500, "inputRowsPerSecond": 5000.0, "processedRowsPerSecond": 9000.5,
    "durationMs": {"addBatch": 700, "triggerExecution": 900},
    "stateOperators": [
        {"operatorName": "x", "numRowsTotal": 2, "memoryUsedBytes": 1_500_000,
         "customMetrics": {"rocksdbSstFileSize": 500_000}}
    ],
    "sources": [
        {"description": "KafkaV2", "startOffset": None, "endOffset": {"rows": {"0": 10, "1": 5}},
         "latestOffset": {"rows": {"0": 14, "1": 5}, "aside": {"0": 3}}, "metrics": {}}
    ],
    "sink": {"description": "ForeachBatchSink"},
}  # fmt: skip


def test_a_report_says_what_is_left_and_what_it_cost() -> None:
    progress = read(json.dumps(REPORT))
    assert progress.ran
    assert progress.lags() == {("rows", "0"): 4, ("rows", "1"): 0, ("aside", "0"): 3}
    assert progress.line(1_234_567) == (
        "1,234,567 rows; 5,000 a second came, 9,000 a second were done; micro-batch 12 took 0.9 s; "
        "7 wait in 3 partitions; state 2 shards, 2.0 MB"
    )


def test_a_report_becomes_metrics() -> None:
    sample = telemetry.REGISTRY.get_sample_value
    before = sample("tapewatch_spark_rows_total") or 0
    measure(read(json.dumps(REPORT)))
    assert sample("tapewatch_kafka_lag", {"topic": "rows", "partition": "0"}) == 4
    assert sample("tapewatch_spark_rows_total") == before + 4500
    assert sample("tapewatch_spark_state_bytes") == 2_000_000
    assert sample("tapewatch_spark_state_shards") == 2
    assert (sample("tapewatch_spark_rows_in"), sample("tapewatch_spark_rows_done")) == (5000.0, 9000.5)


def test_who_waits_has_done_nothing() -> None:
    idle = {
        **REPORT, "durationMs": {"latestOffset": 3, "triggerExecution": 4}, "numInputRows": 0, "stateOperators": [],
        "sources": [{"endOffset": None, "latestOffset": None}],
    }  # fmt: skip
    del idle["inputRowsPerSecond"]
    progress = read(json.dumps(idle))
    before = telemetry.REGISTRY.get_sample_value("tapewatch_spark_rows_total")
    measure(progress)
    assert not progress.ran
    assert progress.lags() == {}
    assert telemetry.REGISTRY.get_sample_value("tapewatch_spark_rows_total") == before
