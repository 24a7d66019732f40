"""Where Kafka is, and what its topics are called."""

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from tapewatch.errors import ConfigError


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
