"""A Kafka broker of our own on this machine: one node, without ZooKeeper, on loopback."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tapewatch.errors import TapewatchError
from tapewatch.runtime.jars import java

HOST = "127.0.0.1"
CLUSTER = "dGFwZXdhdGNoLWxvb3BiYQ"
"""Id of the cluster: 16 bytes as base64."""

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


class Broker:
    """One broker and its folder.

    Parameters
    ----------
    home
        The folder; made where there is none.
    jars
        Of Apache Kafka.
    port, controller_port
        Free, on loopback.
    """

    def __init__(self, home: Path, jars: Sequence[Path], port: int, controller_port: int) -> None:
        self.address = f"{HOST}:{port}"
        self._home = home.resolve()
        self._settings = self._home / "server.properties"
        self._classes = ":".join(str(jar) for jar in jars)
        self._ports = {"host": HOST, "port": port, "controller": controller_port}

    @property
    def command(self) -> tuple[str, ...]:
        """Runs the broker in the foreground."""
        return (java(), "-Xmx512m", "-XX:+UseSerialGC", "-cp", self._classes, "kafka.Kafka", str(self._settings))

    def prepare(self) -> None:
        """Write its settings, and make its data where there are none.

        Raises
        ------
        TapewatchError
            The data cannot be made.
        """
        data = self._home / "data"
        self._home.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(SETTINGS.format(data=data, **self._ports))
        if (data / "meta.properties").exists():
            return
        arguments = ("format", "--cluster-id", CLUSTER, "--config", str(self._settings))
        done = subprocess.run(  # noqa: S603  # Java, which was found
            [java(), "-cp", self._classes, "kafka.tools.StorageTool", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise TapewatchError(f"Kafka's data cannot be made in {data}: {_why(done.stderr)}")


def _why(stack_trace: str) -> str:
    lines = [line.strip() for line in stack_trace.splitlines() if not line.lstrip().startswith(("at ", "..."))]
    return lines[-1].removeprefix("Caused by: ") if lines else "it said nothing"
