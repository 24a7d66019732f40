"""A pipeline whose parts are killed: commands that are started again, servers that come back, and a timetable."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from support.brokers import RunningBroker
from support.databases import PostgresqlDatabase, kill
from support.pipeline import LONG_S
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.runtime.postgres import Server

FAILED, REFUSED = 1, 2
"""Exit codes of a command: started again it may do better; never."""

LOOK_S = 0.2
AFTER_S = 1.0
"""How long after its point a fault may come: in whatever the parts do just then."""


class Supervised:
    """A command that is started again when it was killed or has failed.

    Parameters
    ----------
    name
        For people.
    log
        File to which everything goes that it says.

    Attributes
    ----------
    ended
        Whether it has come to its own end.
    kills
        How often it was killed while it ran.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.ended = False
        self.kills = 0
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def tend(self) -> None:
        """Start it where it does not run and has not come to its end."""
        if self._process is not None and (code := self._process.poll()) is not None:
            assert code in (0, FAILED, -signal.SIGKILL), f"{self.name} ended with {code}: {self.said()}"
            self.ended = code == 0
            self._process = None
        if self._process is None and not self.ended:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )

    def await_word(self, word: str) -> None:
        """Start it, and wait until it has said something."""
        deadline = time.monotonic() + LONG_S
        while word not in self.said():
            assert time.monotonic() < deadline, f"{self.name} does not say {word!r}: {self.said()}"
            self.tend()
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """Kill it alone; whatever it has started must end by itself."""
        if self._process is None or self._process.poll() is not None:
            return
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        self.kills += 1
        _, left = psutil.wait_procs(children, timeout=LONG_S)
        assert not left, f"{self.name} was killed, and {left} went on"

    def kill_child(self, name: str) -> None:
        """Kill what it has started of that name, if it has."""
        if self._process is None or self._process.poll() is not None:
            return
        for child in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if child.name() == name:
                    child.kill()
                    self.kills += 1

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(LONG_S)
            finally:
                self._process.kill()
            self._process = None

    def said(self) -> str:
        """Read the end of what it said."""
        return self._log.read_text(errors="replace")[-4_000:] if self._log.exists() else ""


class Fault(NamedTuple):
    """Something that goes wrong once so much is done.

    Attributes
    ----------
    at
        Share of the rows.
    committed
        Whether it is the database's rows that are meant, or the topic's.
    after_s
        How long after that.
    strike
        Does it, and gives out what brings it back.
    away_s
        How long until then.
    """

    name: str
    at: float
    committed: bool
    after_s: float
    strike: Callable[[], Callable[[], None] | None]
    away_s: float = 0.0


class Progress:
    """How far a replay is, as far as the servers tell just now.

    Parameters
    ----------
    rows, trades
        Of the whole tape; trades as the database counts them, those that were told again included.
    """

    def __init__(self, kafka: KafkaConfig, database: PostgresqlDatabase, rows: int, trades: int) -> None:
        self._kafka = kafka
        self._database = database
        self._rows = rows
        self._trades = trades
        self._seen = {True: 0.0, False: 0.0}

    def share(self, *, committed: bool) -> float:
        """Tell the share of the rows that are committed, or in the topic."""
        with suppress(psycopg.Error, KafkaException):
            self._seen[committed] = self._committed() if committed else self._sent()
        return self._seen[committed]

    def _committed(self) -> float:
        (found,) = self._database.rows("SELECT COALESCE(SUM(trades + duplicates), 0) FROM feed")
        return float(found[0]) / self._trades

    def _sent(self) -> float:
        consumer = Consumer({**self._kafka.client(), "group.id": "progress"})
        try:
            places = [TopicPartition(self._kafka.trades, number) for number in range(self._kafka.partitions)]
            return sum(consumer.get_watermark_offsets(place, 1.0)[1] for place in places) / self._rows
        finally:
            consumer.close()


def replay(commands: Sequence[Supervised], progress: Progress, faults: Sequence[Fault]) -> None:
    """Keep the commands running through all faults, until the first command has come to its end.

    Raises
    ------
    AssertionError
        A command ended as it must not, or nothing came to an end.
    """
    deadline = time.monotonic() + LONG_S + sum(fault.away_s + fault.after_s for fault in faults)
    waiting = sorted(faults, key=lambda fault: fault.at)
    due: list[tuple[float, Callable[[], object]]] = []
    while waiting or due or not commands[0].ended:
        words = "; ".join(f"{command.name}: {command.said()}" for command in commands)
        assert time.monotonic() < deadline, f"it does not end; {words}"
        now = time.monotonic()
        for fault in [fault for fault in waiting if progress.share(committed=fault.committed) >= fault.at]:
            waiting.remove(fault)
            due.append((now + fault.after_s, lambda fault=fault: _struck(fault, due)))  # type: ignore[misc]
        for entry in [entry for entry in due if entry[0] <= now]:
            due.remove(entry)
            entry[1]()
        for command in commands:
            command.tend()
        time.sleep(LOOK_S)


def _struck(fault: Fault, due: list[tuple[float, Callable[[], object]]]) -> None:
    mend = fault.strike()
    if mend is not None:
        due.append((time.monotonic() + fault.away_s, mend))


def broker_away(broker: RunningBroker) -> Callable[[], None]:
    """Kill the broker; give out what starts it again."""
    broker.kill()
    return broker.start


def database_away(server: Server) -> Callable[[], None]:
    """Kill the database's server; give out what starts it again."""
    kill(server)
    return server.start


def points(rng: random.Random, count: int, first: float = 0.05, last: float = 0.8) -> list[float]:
    """Draw shares of a replay, one from each of `count` equal parts of it."""
    width = (last - first) / count
    return [first + width * (number + rng.random()) for number in range(count)]
