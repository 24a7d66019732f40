"""A broker that asks for a login, and both clients: what one of them sends the other reads, and no plan tells it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import brokers
from support.brokers import RunningBroker
from support.markets import seeded
from tapewatch.carry import codec
from tapewatch.carry.kafka.ends import end_of
from tapewatch.carry.kafka.sender import Sender
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.errors import ConfigError
from tapewatch.runtime import spark
from tapewatch.runtime.jars import cache

PASSWORD = 'a"; b\\c'  # noqa: S105  # whatever a person may choose
LOGIN = {
    "security.protocol": "sasl_plaintext",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "reader",
    "sasl.password": PASSWORD,
}
SETTINGS = r"""
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  username="broker" password="own" user_broker="own" user_reader="a\\"; b\\\\c";
"""


@pytest.fixture(scope="module")
def secure() -> Iterator[RunningBroker]:
    with brokers.broker(SETTINGS, LOGIN) as made:
        yield made


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    config = spark.DetectConfig(
        master="local[1]", checkpoint=str(tmp_path_factory.mktemp("c")), options={"spark.ui.enabled": "false"}
    )
    made = spark.session(config, cache())
    yield made
    made.stop()


@pytest.mark.slow
def test_both_clients_log_in_with_the_same_settings(secure: RunningBroker, session: Any, tmp_path: Path) -> None:
    config = secure.config()
    make_topics(config)
    rows = seeded(1, 200, 2)
    end = end_of(config)
    sender = Sender(config, "s", end)
    for _ in sender.send(rows, 0):
        sender.poll()
    while sender.unanswered:
        sender.poll(0.01)
    options = {f"kafka.{name}": value for name, value in config.java_client().items()}
    read = session.read.format("kafka").options(**options).option("subscribe", config.trades).load()
    assert sorted(bytes(row.value) for row in read.select("value").collect()) == sorted(
        codec.encode(rows, [f"s:{end.partitions}:{row}" for row in range(len(rows.data))])
    )

    frame = spark.told_of(session, config, spark.DetectConfig(checkpoint=str(tmp_path)), {})
    for plan in (read, frame):
        told = plan._jdf.queryExecution().toString()
        assert "kafka" in told.lower()
        assert "b\\" not in told
        assert "password=" not in told.replace("password=[hidden]", "")


def test_a_wrong_password_is_refused_at_once_and_not_told(secure: RunningBroker) -> None:
    config = secure.config(options={**LOGIN, "sasl.password": "hush"})
    with pytest.raises(ConfigError, match=r"kafka.brokers .*: refuses us: .*[Aa]uthentication") as told:
        make_topics(config)
    assert "hush" not in str(told.value)
