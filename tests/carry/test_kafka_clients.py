"""Errors of brokers: what passes by itself, and what a person must change."""

import pytest
from confluent_kafka import KafkaError

from tapewatch.carry.kafka.clients import refusal
from tapewatch.errors import BrokerAwayError, ConfigError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TRANSPORT, BrokerAwayError),
        (KafkaError.NOT_CONTROLLER, BrokerAwayError),
        (KafkaError.REQUEST_TIMED_OUT, BrokerAwayError),
        (KafkaError._AUTHENTICATION, ConfigError),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, ConfigError),
        (KafkaError.INVALID_CONFIG, ConfigError),
        (KafkaError.POLICY_VIOLATION, ConfigError),
    ],
)
def test_what_passes_by_itself_is_no_matter_of_settings(code: int, kind: type[Exception]) -> None:
    found = refusal(KafkaError(code, "so it says"), "topic t")
    assert (type(found), str(found)) == (kind, "topic t: so it says")
