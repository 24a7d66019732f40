"""The pipeline in tests: the commands as processes of their own, on a real broker and a real database."""

import subprocess
import sys
from pathlib import Path

from support.databases import Database
from tapewatch.carry.kafka.config import KafkaConfig

LONG_S = 300.0
"""A dead-man's limit, not a figure."""


def topics(config: KafkaConfig) -> list[str]:
    """Write a test's own topics as flags."""
    names = ("brokers", "trades", "anomalies", "quarantine", "partitions")
    return [part for name in names for part in ("--set", f"kafka.{name}={getattr(config, name)}")]


def detect(config: KafkaConfig, database: Database, folder: Path, *flags: str) -> list[str]:
    """Write the command line of a detector; its checkpoint lies in `folder`."""
    place = ("--db", database.url, "--checkpoint", str(folder / "checkpoint"), "--master", "local[2]")
    return [sys.executable, "-m", "tapewatch", "detect", *topics(config), *place, *flags]


def produce(config: KafkaConfig, source: str, *flags: str) -> list[str]:
    """Write the command line of a producer."""
    return [sys.executable, "-m", "tapewatch", "produce", "--source", source, "--speed", "0", *topics(config), *flags]


def done(command: list[str], code: int = 0) -> str:
    """Run a command to its end, which must come with this exit code; give out all that it said."""
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_S,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == code, said
    return said
