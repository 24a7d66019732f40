"""Where Kafka is, what its topics are called, and how both of its clients are told: librdkafka, and Spark's in Java."""

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from tapewatch.errors import ConfigError

SAME = (
    "bootstrap.servers",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "isolation.level",
    "metadata.max.age.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.ms",
    "ssl.cipher.suites",
    "ssl.keystore.password",
)
"""Settings that both clients know by the same name, with the same meaning."""

LOGINS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
"""What Java's client logs in with, by SASL mechanism."""


class KafkaConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``kafka``."""

    brokers: Annotated[str, Meta(min_length=1, description="Addresses of brokers, host:port, separated by commas")] = (
        "127.0.0.1:9092"
    )
    trades: Annotated[str, Meta(min_length=1, description="Topic of the rows")] = "tapewatch.trades"
    anomalies: Annotated[str, Meta(min_length=1, description="Topic of the anomalies, compacted")] = (
        "tapewatch.anomalies"
    )
    quarantine: Annotated[str, Meta(min_length=1, description="Topic of what was set aside")] = "tapewatch.quarantine"
    partitions: Annotated[int, Meta(ge=1, le=10_000, description="Partitions of a topic that is made")] = 4
    replication: Annotated[
        int, Meta(ge=-1, le=9, description="Replicas of a topic that is made; -1: the broker's")
    ] = -1
    retention_days: Annotated[float, Meta(gt=0, le=3650, description="How long rows are kept")] = 7.0
    options: Annotated[
        dict[str, str], Meta(description="Any setting of librdkafka, e.g. security.protocol and sasl.username")
    ] = {}
    option_files: Annotated[
        dict[str, str], Meta(description="The same with the value in a file, for secrets: sasl.password = PATH")
    ] = {}

    def client(self) -> dict[str, Any]:
        """Gather the settings that every client shares.

        Raises
        ------
        ConfigError
            A secret's file cannot be read.
        """
        secrets = {}
        for name, path in self.option_files.items():
            try:
                secrets[name] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"kafka.option_files.{name}: {path} cannot be read: {error.strerror}") from None
        return {"bootstrap.servers": self.brokers, "log_level": 2, **self.options, **secrets}

    def java_client(self) -> dict[str, str]:
        """Spell the same settings as Java's client names them.

        A certificate of ours (``ssl.keystore.location``) is a PKCS#12 file, which both read; whom we trust
        (``ssl.ca.location``) is a PEM file. The files must be there on every machine that reads.

        Raises
        ------
        ConfigError
            A setting has no counterpart there, or a secret's file cannot be read.

        Examples
        --------
        >>> KafkaConfig(options={"ssl.ca.location": "/etc/ca.pem"}).java_client()["ssl.truststore.location"]
        '/etc/ca.pem'
        """
        given = {name: str(value) for name, value in self.client().items()}
        del given["log_level"]
        if "sasl.mechanisms" in given:  # librdkafka takes both
            given["sasl.mechanism"] = given.pop("sasl.mechanisms")
        java = {name: given.pop(name) for name in SAME if name in given}
        if (protocol := given.pop("security.protocol", None)) is not None:
            java["security.protocol"] = protocol.upper()
        if (mechanism := given.pop("sasl.mechanism", None)) is not None:
            java["sasl.mechanism"] = mechanism
            java["sasl.jaas.config"] = _login(
                mechanism, given.pop("sasl.username", None), given.pop("sasl.password", None)
            )
        if (trusted := given.pop("ssl.ca.location", None)) is not None:
            java |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": trusted}
        if (certificate := given.pop("ssl.keystore.location", None)) is not None:
            java |= {"ssl.keystore.type": "PKCS12", "ssl.keystore.location": certificate}
        if (check := given.pop("ssl.endpoint.identification.algorithm", None)) is not None:
            java["ssl.endpoint.identification.algorithm"] = "" if check == "none" else check
        if given:
            name = next(iter(given))
            raise ConfigError(f"kafka.options.{name}: Spark's client has no such setting; {_instead(name)}")
        return java

    def __repr__(self) -> str:
        return f"KafkaConfig(brokers={self.brokers!r}, trades={self.trades!r})"  # options may hold a secret


def _login(mechanism: str, username: str | None, password: str | None) -> str:
    if mechanism not in LOGINS:
        raise ConfigError(
            f"kafka.options.sasl.mechanism: Spark's client expects one of {', '.join(LOGINS)} here, found {mechanism!r}"
        )
    if username is None or password is None:
        missing = "sasl.username" if username is None else "sasl.password"
        raise ConfigError(f"kafka.options: sasl.mechanism {mechanism} expects {missing}, found none")
    return f"{LOGINS[mechanism]} required username={_quoted(username)} password={_quoted(password)};"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _instead(name: str) -> str:
    if name in {"ssl.certificate.location", "ssl.key.location", "ssl.key.password"}:
        return "give ssl.keystore.location and ssl.keystore.password, a PKCS#12 file, which both clients read"
    return "give it to tapewatch produce alone, with --set"
