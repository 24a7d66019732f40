"""The schema: tables as SQLAlchemy Core sees them, the same for SQLite and PostgreSQL.

Prices are integers of 1e-10, times integers of ns; names of lanes are spelled out, because numbers
of lanes mean nothing outside one `Rows`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA = MetaData()
TEXT = Text().with_variant(Text(collation="C"), "postgresql")  # sorted by code point, as Python and SQLite do
SEQ = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where the type is INTEGER

anomalies = Table(
    "anomalies",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("venue", TEXT, nullable=False),
    Column("symbol", TEXT, nullable=False),
    Column("rule", TEXT, nullable=False),
    Column("severity", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("direction", TEXT),
    Column("opened_ts", BigInteger, nullable=False),
    Column("opened_at", TEXT, nullable=False),
    Column("trade_id", BigInteger),
    Column("price", Double),
    Column("reference_price", Double),
    Column("reference_ts", BigInteger),
    Column("observed", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("unit", TEXT, nullable=False),
    Column("peak_observed", Double, nullable=False),
    Column("peak_price", Double),
    Column("peak_ts", BigInteger, nullable=False),
    Column("peak_reference_price", Double),
    Column("peak_reference_ts", BigInteger),
    Column("last_ts", BigInteger, nullable=False),
    Column("ended_ts", BigInteger),
    Column("triggers", BigInteger, nullable=False),
    Column("escalation", Integer, nullable=False),
    Column("escalated_ts", TEXT, nullable=False),  # JSON array
    Column("quality", TEXT, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("explain", TEXT, nullable=False),
    Column("size", Double),
    Column("peak_left_ts", BigInteger),
    Index("anomalies_by_time", "opened_ts", "severity", "rule", "direction", "symbol"),  # counts need no row
    Index("anomalies_by_lane", "symbol", "opened_ts"),
    Index("anomalies_by_severity", "severity", "opened_ts"),
    Index("anomalies_open", "ended_ts", "opened_ts"),
)

changes = Table(
    "changes",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("venue", TEXT, nullable=False),
    Column("symbol", TEXT, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("anomaly_id", TEXT, nullable=False),
    Column("change", TEXT, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("record", TEXT, nullable=False),  # the anomaly as it then stood, the text of its JSON
    UniqueConstraint("venue", "symbol", "ordinal", name="changes_told_once"),
    sqlite_autoincrement=True,
)

bars = Table(
    "bars",
    METADATA,
    Column("venue", TEXT, primary_key=True),
    Column("symbol", TEXT, primary_key=True),
    Column("width", Integer, primary_key=True),  # seconds
    Column("ts", BigInteger, primary_key=True),  # start of the bucket
    Column("open_id", BigInteger, nullable=False),
    Column("close_id", BigInteger, nullable=False),
    Column("open", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("close", BigInteger, nullable=False),
    Column("volume", Double, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),  # the commit that touched it last; readers resume by it
    Index("bars_by_revision", "revision"),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("recv_ts", BigInteger, nullable=False),
    Column("venue", TEXT, nullable=False),
    Column("symbol", TEXT),
    Column("reason", TEXT, nullable=False),
    Column("raw", LargeBinary, nullable=False),  # at most 4 KiB
    sqlite_autoincrement=True,
)

feed = Table(
    "feed",
    METADATA,
    Column("venue", TEXT, primary_key=True),
    Column("symbol", TEXT, primary_key=True),
    Column("state", TEXT, nullable=False),  # no data, waiting, live, blind, reconnecting, ended, stopped
    Column("reason", TEXT, nullable=False),  # why not live, or what gets lost, for a person; "" when all is well
    Column("now_ts", BigInteger, nullable=False),  # the lane's clock: ours live, the tape's on a replay
    Column("last_frame_ts", BigInteger),  # receive time, lane's clock
    Column("last_trade_ts", BigInteger),  # venue's time
    Column("last_price", BigInteger),
    Column("connected_ts", BigInteger),
    Column("next_try_ts", BigInteger),
    Column("attempts", Integer, nullable=False),  # tries since the connection was lost
    Column("trades", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("gaps_opened", BigInteger, nullable=False),
    Column("gaps_filled", BigInteger, nullable=False),
    Column("gaps_given_up", BigInteger, nullable=False),
    Column("reconnects", BigInteger, nullable=False),
    Column("armed", TEXT, nullable=False),  # JSON array: names of the rules armed on the lane
    Column("warming", TEXT, nullable=False, server_default="[]"),  # of these, those that have seen too little to speak
    Column("blind_ts", BigInteger),  # since when the venue trades and nothing is taken, lane's clock; null: all is well
    Column("cause", Integer, nullable=False, server_default="0"),  # model.Cause by the last clock
)

meta = Table(
    "meta",
    METADATA,
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),  # JSON
)
"""Keys: ``source`` {kind, address, …} whose database this is; ``command``, a text that a person may type to go on with
it; ``clock`` {now_ts, wall_ts, speed, revision, latency_p50_ms, latency_p99_ms} and ``unnamed``, how many inputs
in quarantine ever named no lane, written with every commit; ``reader:alerts`` how far alerting has read the log of
changes, by ``seq``; ``alerting`` when it was there last.
"""

state = Table(
    "state",
    METADATA,
    Column("name", TEXT, primary_key=True),  # "detector", "position", "alerts"
    Column("value", LargeBinary, nullable=False),
)

requests = Table(
    "requests",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("asked_ts", BigInteger, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("arguments", TEXT, nullable=False),  # JSON
    Column("answered_ts", BigInteger),
    Column("answer", TEXT),
    sqlite_autoincrement=True,
)

UNDELIVERED = "verdict = 'undelivered'"

alerts = Table(
    "alerts",
    METADATA,
    Column("change_seq", BigInteger, primary_key=True),
    Column("channel", TEXT, primary_key=True),
    Column("anomaly_id", TEXT, nullable=False),
    Column("venue", TEXT, nullable=False),
    Column("symbol", TEXT, nullable=False),
    Column("rule", TEXT, nullable=False),
    Column("severity", TEXT, nullable=False),
    Column("occasion", TEXT, nullable=False),  # opened, escalated, ended
    Column("escalation", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),  # lanes' clock
    Column("verdict", TEXT),  # null while it waits
    Column("reason", TEXT, nullable=False),
    Column("message", BigInteger),  # number of the message that names it
    Column("judged_ts", BigInteger, nullable=False),  # our clock: when verdict or reason changed last
    Column("size", Double),  # how many times its limit the anomaly was; null: a feed anomaly's
    Index("alerts_by_time", "at"),
    Index("alerts_by_anomaly", "anomaly_id"),
    Index("alerts_by_message", "message"),
    Index("alerts_waiting", "at", sqlite_where=text("verdict IS NULL"), postgresql_where=text("verdict IS NULL")),
    Index("alerts_undelivered", "at", sqlite_where=text(UNDELIVERED), postgresql_where=text(UNDELIVERED)),
    Index("alerts_by_symbol", "symbol", "at"),
)

messages = Table(
    "messages",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),  # symbol, market, digest
    Column("at", BigInteger, nullable=False),  # lanes' clock
    Column("made_ts", BigInteger, nullable=False),  # our clock
    Column("severity", TEXT),  # the worst that it names
    Column("anomaly_id", TEXT),  # whose chart goes with it; null: none
    Column("key", TEXT, nullable=False),
    Column("subject", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("markdown", TEXT, nullable=False),
    Column("html", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),  # waiting, sent, undelivered, dismissed
    Column("attempts", Integer, nullable=False),
    Column("next_try_ts", BigInteger, nullable=False),  # our clock
    Column("again_ts", BigInteger),  # our clock: when a person asked to try it again
    Column("done_ts", BigInteger),  # our clock: accepted, or given up
    Column("error", TEXT, nullable=False),  # of the last attempt, for a person; "" when it was accepted
    Index("messages_by_state", "state", "channel", "next_try_ts"),
    Index("messages_by_time", "at"),
)

attempts = Table(
    "attempts",
    METADATA,
    Column("seq", SEQ, primary_key=True, autoincrement=True),
    Column("message", BigInteger, nullable=False),
    Column("tried_ts", BigInteger, nullable=False),  # our clock
    Column("took_ms", Double, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("outcome", TEXT, nullable=False),
    Index("attempts_by_message", "message"),
    sqlite_autoincrement=True,
)

channels = Table(
    "channels",
    METADATA,
    Column("name", TEXT, primary_key=True),
    Column("service", TEXT, nullable=False),  # "Slack", "E-Mail"; never its address, which is a secret
    Column("takes", TEXT, nullable=False),  # what is routed to it, for a person
    Column("state", TEXT, nullable=False),  # unused, working, failing
    Column("since_ts", BigInteger, nullable=False),  # our clock: of the state
    Column("accepted_ts", BigInteger),  # our clock: of the last message that was accepted
    Column("error", TEXT, nullable=False),  # why it fails, for a person
)

silences = Table(
    "silences",
    METADATA,
    Column("number", SEQ, primary_key=True, autoincrement=True),
    Column("venue", TEXT, nullable=False),  # patterns
    Column("symbol", TEXT, nullable=False),
    Column("rule", TEXT, nullable=False),
    Column("severity", TEXT),
    Column("since", BigInteger, nullable=False),  # lanes' clock
    Column("until", BigInteger, nullable=False),
    Column("note", TEXT, nullable=False),
    sqlite_autoincrement=True,
)

marks = Table(
    "marks",
    METADATA,
    Column("anomaly_id", TEXT, primary_key=True),
    Column("label", TEXT),  # true, false, expected
    Column("acknowledged_ts", BigInteger),
    Column("note", TEXT, nullable=False),
    Column("marked_ts", BigInteger, nullable=False),
)
