"""A Spark cluster of its own on loopback: a master and workers, started by pyspark's own script."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from support.pipeline import LONG_S
from tapewatch.runtime.ports import choose

LOOK_S = 0.2


class Cluster(NamedTuple):
    """A running cluster.

    Attributes
    ----------
    master
        Its address.
    work
        Folder in which executors work.
    """

    master: str
    work: Path


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Run a master and workers of one core each; our package is not on their path."""
    found = Cluster(f"spark://127.0.0.1:{choose(None, 17_077, 'spark')}", folder / "work")
    port, pages = found.master.rpartition(":")[2], choose(None, 18_080, "spark")
    at = ("--host", "127.0.0.1")
    with ExitStack() as stack:
        _start(stack, folder, "master.Master", *at, "--port", port, "--webui-port", str(pages))
        for number in range(workers):
            own = ("--webui-port", str(choose(None, 18_180 + 10 * number, "spark")), "--work-dir", str(found.work))
            _start(stack, folder, "worker.Worker", *at, *own, "--cores", "1", "--memory", "1g", found.master)
        _await(f"http://127.0.0.1:{pages}/json/", workers, folder)
        yield found


def _start(stack: ExitStack, folder: Path, name: str, *flags: str) -> None:
    import pyspark

    script = Path(pyspark.__file__).parent / "bin" / "spark-class"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log = stack.enter_context((folder / "log").open("ab"))
    process = subprocess.Popen(
        [script, f"org.apache.spark.deploy.{name}", *flags],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    stack.callback(process.wait, LONG_S)
    stack.callback(process.terminate)


def _await(url: str, workers: int, folder: Path) -> None:
    deadline = time.monotonic() + LONG_S
    alive = 0
    while alive < workers:
        assert time.monotonic() < deadline, (folder / "log").read_text()[-2_000:]
        try:
            alive = httpx.get(url, trust_env=False).json()["aliveworkers"]
        except httpx.HTTPError:
            alive = 0
        time.sleep(LOOK_S)
