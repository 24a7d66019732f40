"""Topics: made where they are missing, and judged where they are there already."""

from tapewatch.carry.kafka.clients import ANSWER_S, listed, made, refusal
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.errors import ConfigError, FeedError

try:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.admin._config import ConfigResource
    from confluent_kafka.cimpl import NewTopic
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

DAY_MS = 86_400_000

BATCH_BYTES = 1_000_000
"""Messages that travel together, at most."""

ROOM_BYTES = 1_048_588
"""``max.message.bytes`` of a topic that is made: Kafka's own default, whatever the broker's is."""

ROOM_BYTES_MIN = 8_192
"""The same of a topic that is there: a frame that was set aside, with its reason, must find room."""

SAFE_REPLICAS = 3
"""From so many on, one of them may be away without a message being known to a single broker only."""


def make_topics(config: KafkaConfig, timeout_s: float = ANSWER_S) -> list[str]:
    """Make the topics that are missing, and tell which; those that are there are left as they are.

    Raises
    ------
    ConfigError
        The broker refuses us or a setting.
    FeedError
        No broker answers.
    """
    admin, heard = made(AdminClient, config)
    there = listed(admin, heard, config, timeout_s)
    missing = [topic for topic in _wanted(config) if topic.topic not in there]
    for name, future in admin.create_topics(missing).items() if missing else ():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise refusal(error.args[0], f"topic {name}: cannot be made") from None
        except TimeoutError:
            raise FeedError(f"topic {name}: cannot be made: no answer within {timeout_s:.0f} s") from None
    return [topic.topic for topic in missing]


def cluster_of(config: KafkaConfig) -> str:
    """Tell the cluster's id, the same whichever of its brokers are named.

    Raises
    ------
    ConfigError
        The broker refuses us.
    BrokerAwayError
        No broker answers.
    """
    admin, heard = made(AdminClient, config)
    listed(admin, heard, config)
    return str(admin.list_topics(timeout=ANSWER_S).cluster_id)


def _wanted(config: KafkaConfig) -> list[NewTopic]:
    safe = {"min.insync.replicas": "2"} if config.replication >= SAFE_REPLICAS else {}
    common = {"max.message.bytes": str(ROOM_BYTES), **safe}
    kept = {**common, "cleanup.policy": "delete", "retention.ms": str(round(config.retention_days * DAY_MS))}
    return [
        NewTopic(config.trades, config.partitions, config.replication, config=kept),
        NewTopic(
            config.anomalies, config.partitions, config.replication, config={**common, "cleanup.policy": "compact"}
        ),
        NewTopic(config.quarantine, 1, config.replication, config=kept),
    ]


def batch_bytes(config: KafkaConfig, timeout_s: float = ANSWER_S) -> int:
    """Judge the topics that a producer fills, and tell how large a batch both of them take.

    Raises
    ------
    ConfigError
        Rows would be lost in one: it is compacted, or its messages may not be as long as ours.
    """
    admin, heard = made(AdminClient, config)
    listed(admin, heard, config, timeout_s)
    room = BATCH_BYTES
    for topic in (config.trades, config.quarantine):
        try:
            (future,) = admin.describe_configs([ConfigResource("topic", topic)]).values()
            found = {name: entry.value for name, entry in future.result(timeout_s).items()}
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                continue  # who may not look must trust
            raise refusal(error.args[0], f"topic {topic}: its settings cannot be read") from None
        except TimeoutError:
            raise FeedError(f"topic {topic}: its settings cannot be read: no answer within {timeout_s:.0f} s") from None
        if "compact" in (found["cleanup.policy"] or ""):
            raise ConfigError(f"topic {topic}: expected cleanup.policy delete, found compact, which removes rows")
        if (bytes_max := int(found["max.message.bytes"] or 0)) < ROOM_BYTES_MIN:
            raise ConfigError(
                f"topic {topic}: expected max.message.bytes of {ROOM_BYTES_MIN} or more, found {bytes_max}"
            )
        room = min(room, bytes_max)
    return room
