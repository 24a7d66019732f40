"""One set of settings for two clients of Kafka: librdkafka's names in, those of Java's out, no secret in words."""

from pathlib import Path

import pytest

from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.config import Settings
from tapewatch.errors import ConfigError

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


def java(**options: str) -> dict[str, str]:
    named = {name.replace("_", "."): value for name, value in options.items()}
    return KafkaConfig(brokers="a:1,b:2", options=named).java_client()


def test_without_options_there_are_the_brokers_alone() -> None:
    assert KafkaConfig(brokers="a:1,b:2").java_client() == {"bootstrap.servers": "a:1,b:2"}


@pytest.mark.parametrize(
    ("mechanism", "module"), [("PLAIN", PLAIN), ("SCRAM-SHA-256", SCRAM), ("SCRAM-SHA-512", SCRAM)]
)
def test_a_login_becomes_one_sentence_of_jaas(mechanism: str, module: str) -> None:
    for name in ("sasl_mechanism", "sasl_mechanisms"):
        given = {name: mechanism, "sasl_username": "reader", "sasl_password": "p", "security_protocol": "sasl_ssl"}
        assert java(**given) == {
            "bootstrap.servers": "a:1,b:2",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.jaas.config": f'{module} required username="reader" password="p";',
        }


def test_a_password_cannot_end_the_sentence() -> None:
    given = {"sasl_mechanism": "PLAIN", "sasl_username": "r", "sasl_password": 'a"; b\\'}
    found = java(**given)
    assert found["sasl.jaas.config"] == f'{PLAIN} required username="r" password="a\\"; b\\\\";'


def test_certificates() -> None:
    given = {
        "ssl_ca_location": "/ca.pem",
        "ssl_keystore_location": "/me.p12",
        "ssl_keystore_password": "k",
        "ssl_endpoint_identification_algorithm": "none",
    }
    found = java(**given)
    del found["bootstrap.servers"]
    assert found == {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/ca.pem",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": "/me.p12",
        "ssl.keystore.password": "k",
        "ssl.endpoint.identification.algorithm": "",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"linger_ms": "5"},
            "kafka.options.linger.ms: Spark's client has no such setting; give it to tapewatch produce",
        ),
        ({"ssl_key_location": "/k"}, "kafka.options.ssl.key.location: .* give ssl.keystore.location and .* PKCS#12"),
        (
            {"enable_ssl_certificate_verification": "false"},
            "enable.ssl.certificate.verification: Spark's client has no",
        ),
        ({"sasl_username": "x"}, "kafka.options.sasl.username: Spark's client has no such setting"),
        ({"sasl_mechanism": "PLAIN", "sasl_username": "x"}, "sasl.mechanism PLAIN expects sasl.password, found none"),
        ({"sasl_mechanism": "PLAIN"}, "sasl.mechanism PLAIN expects sasl.username, found none"),
        ({"sasl_mechanism": "GSSAPI"}, "expects one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 here, found 'GSSAPI'"),
    ],
)
def test_what_cannot_be_said_there_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        java(**options)


class TestSecrets:
    def test_the_environment_names_them_too(self) -> None:
        environment = {
            "TAPEWATCH_KAFKA__OPTIONS": '{"security.protocol" = "SASL_SSL"}',
            "TAPEWATCH_KAFKA__OPTION_FILES": '{"sasl.password" = "/run/secrets/p"}',
        }
        config = Settings.load(None, environment).section("kafka", KafkaConfig)
        assert config.options == {"security.protocol": "SASL_SSL"}
        assert config.option_files == {"sasl.password": "/run/secrets/p"}

    def test_they_come_from_files(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("hidden\n")
        login = {"sasl.mechanism": "PLAIN", "sasl.username": "reader"}
        config = KafkaConfig(options=login, option_files={"sasl.password": str(tmp_path / "password")})
        assert config.client()["sasl.password"] == "hidden"
        assert config.java_client()["sasl.jaas.config"].endswith('username="reader" password="hidden";')

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        config = KafkaConfig(option_files={"sasl.password": str(tmp_path / "no")})
        with pytest.raises(
            ConfigError, match=r"kafka\.option_files\.sasl\.password: .*no cannot be read: No such file"
        ):
            config.client()

    def test_they_are_not_in_words(self) -> None:
        config = KafkaConfig(options={"sasl.password": "hidden"})
        assert "hidden" not in repr(config) + str(config)
