"""Clients of librdkafka: settings in, a client out that answers, or one sentence that says why none does."""

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.errors import BrokerAwayError, ConfigError, TapewatchError

try:
    from confluent_kafka import KafkaError, KafkaException
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("Kafka needs confluent-kafka: pip install 'tapewatch[kafka]'") from error

ANSWER_S = 10.0
"""How long a broker may take to answer before we say that none does."""

LOOK_S = 1.0
RETRY_S = 0.2

REFUSALS = (
    KafkaError._AUTHENTICATION,  # noqa: SLF001  # librdkafka's public names
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
)
"""Errors that stay until a person has changed a setting, here or there."""

PASSING = (
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.INVALID_REPLICATION_FACTOR,  # other brokers may start yet
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REASSIGNMENT_IN_PROGRESS,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.THROTTLING_QUOTA_EXCEEDED,
)
"""What a broker says while it or another one starts, stops, or has too much to do."""

_NEW = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART)
"""What is said of a topic that was just made."""

_OUR_OWN = re.compile(r" \(after \d+ms in state [A-Z_]+.*\)")

Client = TypeVar("Client")


class Heard:
    """Keeps what a client tells of its broker.

    Attributes
    ----------
    reason
        Why it does not answer, for a person; "" while nothing was said.
    refused
        Whether it is no use to ask again.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.refused = False

    def __call__(self, error: KafkaError) -> None:
        """Take an error; that all brokers are down says nothing that the error before it has not said better."""
        if error.code() in REFUSALS:
            self.refused = True
            self.reason = words(error)
        elif error.code() != KafkaError._ALL_BROKERS_DOWN and not self.refused:  # noqa: SLF001
            self.reason = words(error)


def words(error: KafkaError) -> str:
    """Tell what librdkafka says, without the state of its own machinery."""
    return _OUR_OWN.sub("", str(error.str()))


def made(kind: Callable[[dict[str, Any]], Client], config: KafkaConfig, **settings: Any) -> tuple[Client, Heard]:
    """Make a client, and what hears its broker's troubles.

    Raises
    ------
    ConfigError
        A setting of ``kafka.options`` is none.
    """
    heard = Heard()
    try:
        return kind({"error_cb": heard, **config.client(), **settings}), heard
    except (KafkaException, TypeError, ValueError) as error:
        said = error.args[0]
        raise ConfigError(f"kafka.options: {words(said) if isinstance(said, KafkaError) else said}") from None


def listed(client: Any, heard: Heard, config: KafkaConfig, timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """Ask for the topics.

    Raises
    ------
    ConfigError
        The broker refuses us.
    BrokerAwayError
        No broker answers.
    """
    for _ in range(math.ceil(timeout_s / LOOK_S)):
        try:
            found: dict[str, Any] = client.list_topics(timeout=LOOK_S).topics
        except KafkaException as error:
            client.poll(0)
            if heard.refused:
                raise ConfigError(f"kafka.brokers {config.brokers}: refuses us: {heard.reason}") from None
            heard.reason = heard.reason or words(error.args[0])
        else:
            return found
    raise BrokerAwayError(f"kafka.brokers {config.brokers}: no broker answers: {heard.reason}")


def partitions_of(client: Any, topic: str, timeout_s: float = ANSWER_S) -> int:
    """Count a topic's partitions.

    Raises
    ------
    ConfigError
        There is no such topic, or it is not for us.
    FeedError
        No broker answers.
    """

    def ask() -> int:
        found = client.list_topics(topic, timeout=timeout_s).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    count: int = patient(client, ask, f"topic {topic}", timeout_s)
    return count


def patient(client: Any, ask: Callable[[], Any], about: str, timeout_s: float = ANSWER_S) -> Any:
    """Ask, and ask again while a topic that was just made is not known to every broker.

    Raises
    ------
    TapewatchError
        As `refusal` makes it.
    """
    tries = max(1, round(timeout_s / RETRY_S))
    while True:
        tries -= 1
        try:
            return ask()
        except KafkaException as error:
            if tries == 0 or error.args[0].code() not in _NEW:
                raise refusal(error.args[0], about) from None
            client.poll(RETRY_S)


def refusal(error: KafkaError, about: str) -> TapewatchError:
    """Make an error of ours of the broker's: `BrokerAwayError` where asking again may help, else `ConfigError`."""
    ours = error.code() < 0 and error.code() not in REFUSALS  # librdkafka's own: no answer, no connection
    return (BrokerAwayError if ours or error.code() in PASSING else ConfigError)(f"{about}: {words(error)}")
