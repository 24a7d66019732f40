"""Events become log lines and counters: each event stands here once, beside the counter that it bumps.

One event per line, ``event key=value``. Levels: ERROR a person must act; WARNING data was lost or
delayed; INFO start, stop, connect, resync; DEBUG frames.
"""

import logging
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
"""Everything that /metrics shows; a registry of our own, so that tests and embedders see only ours."""

ProcessCollector(registry=REGISTRY)  # memory, processor time and start of this process, where /proc tells them

_log = logging.getLogger("tapewatch")


class Event(NamedTuple):
    """One thing that can happen: its name in the log, its level and its counter."""

    name: str
    level: int
    counter: Counter | None = None


def _counter(name: str, help_: str, *labels: str) -> Counter:
    return Counter(f"tapewatch_{name}", help_, labels, registry=REGISTRY)


STARTED = Event("started", logging.INFO)
STOPPED = Event("stopped", logging.INFO)
DASHBOARD_FAILED = Event("dashboard_failed", logging.ERROR)
CONNECTED = Event("feed_connected", logging.INFO, _counter("connects_total", "Connections made to a venue", "venue"))
SUBSCRIBED = Event("feed_subscribed", logging.INFO)
REFUSED = Event("feed_refused", logging.WARNING, _counter("refusals_total", "Error frames of a venue", "venue"))
UNCHECKED = Event("symbols_unchecked", logging.WARNING)
DISCONNECTED = Event(
    "feed_disconnected", logging.WARNING, _counter("disconnects_total", "Connections lost or refused", "venue")
)
PAUSED = Event(
    "feed_paused", logging.WARNING, _counter("pauses_total", "Times a socket was left alone: rows waited", "venue")
)
CONSUMER_DROPPED = Event(
    "consumer_dropped",
    logging.WARNING,
    _counter("consumers_dropped_total", "Clients that the simulated exchange dropped because they read too slowly"),
)
QUARANTINED = Event(
    "frame_quarantined", logging.WARNING, _counter("quarantined_total", "Input set aside with a reason", "reason")
)
NUMBERED_ANEW = Event(
    "trades_numbered_anew",
    logging.WARNING,
    _counter("epochs_total", "Times that a venue began to number a symbol's trades anew", "venue", "symbol"),
)
IGNORED = Event("frame_ignored", logging.DEBUG, _counter("ignored_total", "Messages of kinds not asked for", "kind"))
DATABASE_AWAY = Event(
    "database_away", logging.WARNING, _counter("database_away_total", "Commits that had to wait for the database")
)
CLOCK_STEPPED = Event(
    "clock_stepped",
    logging.WARNING,
    _counter("clock_steps_total", "Times the wall clock moved against the monotonic one by more than 2 s", "cause"),
)
UNSENT = Event(
    "messages_unsent", logging.WARNING, _counter("unsent_total", "Messages that a stop left without a broker's answer")
)
KAFKA_TROUBLE = Event(
    "kafka_trouble", logging.WARNING, _counter("kafka_troubles_total", "Times the brokers took no messages")
)
KAFKA_EXPIRED = Event("kafka_expired", logging.WARNING)
ANOMALY = Event(
    "anomaly", logging.INFO, _counter("changes_total", "Anomalies opened, escalated, ended", "rule", "change")
)

CHANNEL_FAILING = Event(
    "channel_failing",
    logging.INFO,  # it is said to people in words
    _counter("channel_failures_total", "Times a channel began to accept nothing", "channel"),
)
CHANNEL_WORKING = Event("channel_working", logging.INFO)
UNDELIVERED = Event(
    "message_undelivered", logging.ERROR, _counter("undelivered_total", "Messages given up after a day", "channel")
)
REQUEST_FAILED = Event("request_failed", logging.ERROR)
UNREADABLE = Event(
    "change_unreadable",
    logging.ERROR,
    _counter("changes_unreadable_total", "Changes of the log that alerting could not read, and told nobody"),
)
UNWORDED = Event("message_unworded", logging.ERROR)
ILL = Event("tapewatch_ill", logging.INFO, _counter("ill_total", "Times tapewatch said that it is not well itself"))
WELL = Event("tapewatch_well", logging.INFO)
HEARTBEAT_FAILED = Event("heartbeat_failed", logging.WARNING)
CHART_FAILED = Event(
    "chart_failed", logging.WARNING, _counter("charts_failed_total", "Messages that went out without their chart")
)

TRADES = _counter("trades_total", "Trades that were new", "venue", "symbol")
GAPS_OPENED = _counter("gaps_opened_total", "Gaps in trade ids", "venue", "symbol")
GAPS_CLOSED = _counter("gaps_closed_total", "Gaps filled or given up", "venue", "symbol", "outcome")
DUPLICATES = _counter("duplicates_total", "Rows told again, which changed nothing", "venue", "symbol")
DISCARDED = _counter("discarded_total", "Trades that came and did not get through", "venue", "symbol", "reason")
BLIND_SECONDS = Gauge(
    "tapewatch_blind_seconds",
    "For how long the venue has traded and nothing of it got through; 0 where all is well",
    ["venue", "symbol"],
    registry=REGISTRY,
)
COMMITS = _counter("commits_total", "Transactions committed")
COMMIT_SECONDS = Histogram("tapewatch_commit_seconds", "Duration of a commit", registry=REGISTRY)
LAST_COMMIT = Gauge(
    "tapewatch_last_commit_timestamp_seconds", "When the last commit was done; 0 before the first", registry=REGISTRY
)
LAST_FRAME = Gauge(
    "tapewatch_last_frame_timestamp_seconds",
    "When the lane's last frame came; 0 before the first, none for a tape",
    ["venue", "symbol"],
    registry=REGISTRY,
)
LATENCY_SECONDS = Histogram(
    "tapewatch_frame_to_commit_seconds",
    "Frame received to row committed",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
KAFKA_SENT = _counter("kafka_rows_total", "Rows given to Kafka's queue")
KAFKA_ACKNOWLEDGED = _counter("kafka_acknowledged_total", "Messages that all replicas have")
KAFKA_WAITING = Gauge(
    "tapewatch_kafka_waiting_messages", "Messages that wait for the broker's answer", registry=REGISTRY
)
SPARK_ROWS = _counter("spark_rows_total", "Messages that micro-batches have read")
SPARK_BATCH_SECONDS = Histogram("tapewatch_spark_batch_seconds", "Duration of a micro-batch", registry=REGISTRY)
SPARK_ROWS_IN = Gauge("tapewatch_spark_rows_in", "Messages a second that came of late", registry=REGISTRY)
SPARK_ROWS_DONE = Gauge("tapewatch_spark_rows_done", "Messages a second that the last batch did", registry=REGISTRY)
SPARK_STATE_SHARDS = Gauge("tapewatch_spark_state_shards", "Shards that have a state", registry=REGISTRY)
SPARK_STATE_BYTES = Gauge("tapewatch_spark_state_bytes", "Size of the state of all shards", registry=REGISTRY)
KAFKA_LAG = Gauge("tapewatch_kafka_lag", "Messages not read yet", ["topic", "partition"], registry=REGISTRY)
ALERTS = _counter("alerts_total", "Alerts by how they ended", "channel", "verdict")
ATTEMPTS = _counter("message_attempts_total", "Tries to send a message", "channel", "outcome")
MESSAGE_SECONDS = Histogram(
    "tapewatch_message_seconds",
    "Message decided to accepted by its receiver",
    ["channel"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3_600, 86_400),
    registry=REGISTRY,
)
MESSAGES_WAITING = Gauge(
    "tapewatch_messages_waiting", "Messages nobody has accepted yet", ["channel"], registry=REGISTRY
)
CHANNEL_UP = Gauge(
    "tapewatch_channel_up", "1 where the last attempt was accepted, else 0", ["channel"], registry=REGISTRY
)
ALERTS_BEHIND = Gauge(
    "tapewatch_alerts_behind_changes", "Changes in the log that alerting has not judged yet", registry=REGISTRY
)
HEARTBEATS = _counter("heartbeats_total", "Calls of the service that notices when they stop", "outcome")
READY = Gauge("tapewatch_ready", "1 where /readyz says ready, 0 where it says why not", registry=REGISTRY)
QUEUE_ROWS = Gauge("tapewatch_queue_rows", "Rows received and not yet detected", registry=REGISTRY)
OPEN_ANOMALIES = Gauge("tapewatch_open_anomalies", "Anomalies open now", ["severity"], registry=REGISTRY)


def log(event: Event, /, labels: tuple[str, ...] = (), **fields: object) -> None:
    """Write one event as a line and bump its counter by one, with `labels` in the counter's order."""
    count(event, labels)
    if _log.isEnabledFor(event.level):
        _log.log(event.level, "%s %s", event.name, " ".join(f"{key}={_text(value)}" for key, value in fields.items()))


def count(event: Event, /, labels: tuple[str, ...] = (), by: int = 1) -> None:
    """Bump an event's counter without a line, for what comes in floods."""
    if event.counter is not None:
        (event.counter.labels(*labels) if labels else event.counter).inc(by)


def configure(level: str = "INFO") -> None:
    """Send our events to standard error, one line each; called once by a command."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.handlers[:] = [handler]
    _log.setLevel(level)
    _log.propagate = False


def _text(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text
