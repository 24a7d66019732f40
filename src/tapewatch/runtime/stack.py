"""The whole pipeline on one machine: broker, PostgreSQL, exchange, producer, Spark and dashboard, in order and healthy.

A folder holds their data and logs. What a killed parent left is found by a mark in its environment, and ended.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import msgspec
import psutil
from msgspec import Meta, Struct

from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.errors import ConfigError, FeedError, TapewatchError
from tapewatch.runtime import ports, postgres
from tapewatch.runtime.broker import Broker
from tapewatch.runtime.jars import BROKER, CONNECTOR, fetched
from tapewatch.runtime.process import Process
from tapewatch.runtime.supervise import OURS, Child

MARK = "TAPEWATCH_STACK"
"""Environment variable of everything that belongs to a stack: its folder."""

READY_S = 180.0
"""How long a part may take to be healthy: Spark's first start compiles the rules."""

LOOK_EVERY_S = 0.3
GRACE_S = 8.0
"""How long a part may take to end."""


class StackConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``stack``."""

    home: Annotated[str, Meta(min_length=1, description="Folder of its data and logs")] = "data/stack"
    source: Annotated[str, Meta(description="simulated, coinbase or tape:PATH")] = "simulated"
    rate: Annotated[float, Meta(gt=0, description="Trades a second of the simulated exchange")] | None = None


class Part(NamedTuple):
    """One process of the stack.

    Attributes
    ----------
    healthy
        Why it is not healthy yet; None when it is.
    address
        What a person can open or connect to.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    healthy: Callable[[], Awaitable[str | None]]
    address: str


class Running(Struct, frozen=True):
    """What ``stack status`` reads: the parent, and each part's address."""

    pid: int
    started: float
    addresses: dict[str, str]


class Stack:
    """Start all parts in order, keep them running, and end them.

    Parameters
    ----------
    config
        Where, and what to capture.
    cache
        Folder of the jars.
    process
        Ours.
    """

    def __init__(self, config: StackConfig, cache: Path, process: Process) -> None:
        self._config = config
        self._cache = cache
        self._process = process
        self._home = Path(config.home).resolve()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._addresses: dict[str, str] = {}

    async def up(self) -> None:
        """Run until a signal comes.

        Raises
        ------
        TapewatchError
            A part does not become healthy; says where its log is.
        """
        home, say = self._home, self._process.say
        (home / "logs").mkdir(parents=True, exist_ok=True)
        if (other := running(home)) is not None:
            raise ConfigError(f"stack.home {home}: a stack is running there already (process {other.pid})")
        if ended := end_leftovers(home):
            say("stack", f"ended {ended} processes that an earlier one had left")
        server = postgres.Server(home / "postgresql", postgres.find())
        try:
            say("jars", "fetching them, once" if not (self._cache / BROKER.name).exists() else "at hand")
            jars = await asyncio.to_thread(fetched, BROKER, self._cache)
            await asyncio.to_thread(fetched, CONNECTOR, self._cache)
            await asyncio.to_thread(_start_database, server)
            say("postgresql", f"healthy: {postgres.HOST}:{server.port}, data in {server.home}")
            for part in self._parts(server, jars):
                if self._process.stopping.is_set():
                    break
                await self._start(part)
            await self._watch(server)
        finally:
            await self._end()
            server.stop()
            (home / "stack.json").unlink(missing_ok=True)
            say("stack", "stopped; its data are kept")

    def _parts(self, server: postgres.Server, jars: list[Path]) -> Sequence[Part]:
        broker = Broker(self._home / "kafka", jars, *(_free(9092 + at, "kafka") for at in (0, 1)))
        broker.prepare()
        kafka = KafkaConfig(brokers=broker.address)
        database = {"TAPEWATCH_RUN__DB": server.url()}
        exchange, rest = _free(8720, "exchange"), _free(8730, "exchange")
        produce, detect, page, pages = (_free(at, "stack") for at in (8712, 8713, 8710, 4040))
        source = self._config.source
        urls: tuple[str, ...] = ()
        parts = [Part("kafka", broker.command, {}, _topics(kafka), broker.address)]
        if source == "simulated":
            rate = () if self._config.rate is None else ("--rate", str(self._config.rate))
            labels = ("--labels", str(self._home / "labels.jsonl"))
            command = (*OURS, "exchange", "--port", str(exchange), "--rest-port", str(rest), *rate, *labels)
            urls = tuple(
                part
                for name, url in (("ws_url", f"ws://127.0.0.1:{exchange}"), ("rest_url", f"http://127.0.0.1:{rest}"))
                for part in ("--set", f"capture.coinbase.{name}={url}")
            )
            parts.append(Part("exchange", command, {}, _answers(f"http://127.0.0.1:{rest}/time"), urls[1]))
            source = "coinbase"
        brokers = ("--brokers", broker.address)
        parts += [
            Part(
                "produce",
                (*OURS, "produce", "--source", source, *brokers, "--health-port", str(produce), *urls),
                {},
                _answers(f"http://127.0.0.1:{produce}/readyz"),
                f"http://127.0.0.1:{produce}/metrics",
            ),
            Part(
                "detect",
                (
                    *(*OURS, "detect", *brokers, "--health-port", str(detect)),
                    *("--checkpoint", str(self._home / "checkpoint"), "--set", f"detect.ui_port={pages}"),
                ),
                database,
                _answers(f"http://127.0.0.1:{detect}/readyz"),
                f"http://127.0.0.1:{pages}",
            ),
            Part(
                "dashboard",
                (*OURS, "dashboard", "--port", str(page)),
                database,
                _answers(f"http://127.0.0.1:{page}/api/health"),
                f"http://127.0.0.1:{page}",
            ),
        ]
        return parts

    async def _start(self, part: Part) -> None:
        log = self._home / "logs" / f"{part.name}.log"
        child = Child(
            part.command,
            say=lambda text: self._process.say(part.name, text),
            clock=self._process.clock,
            environment={**part.environment, MARK: str(self._home)},
            log=log,
            grace_s=GRACE_S,
        )
        task = self._tasks[part.name] = asyncio.create_task(child.run())
        deadline = time.monotonic() + READY_S
        why: str | None = "not asked yet"
        while why is not None and not self._process.stopping.is_set():
            await asyncio.sleep(LOOK_EVERY_S)
            if task.done() or time.monotonic() > deadline:
                raise TapewatchError(f"{part.name} does not become healthy ({why}); see {log}")
            why = await part.healthy()
        if why is None:
            self._addresses[part.name] = part.address
            self._process.say(part.name, f"healthy after {self._process.seconds:.0f} s: {part.address}")
            self._note()

    def _note(self) -> None:
        mine = psutil.Process()
        noted = Running(mine.pid, mine.create_time(), self._addresses)
        (self._home / "stack.json").write_bytes(msgspec.json.encode(noted))

    async def _watch(self, server: postgres.Server) -> None:
        if not self._process.stopping.is_set():
            self._process.say("stack", f"up; logs in {self._home / 'logs'}; Ctrl-C stops it")
        while not self._process.stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._process.stopping.wait()
            if server.pid is None:
                self._process.say("postgresql", "ended; it is started again")
                await asyncio.to_thread(server.start)

    async def _end(self) -> None:
        for task in reversed(self._tasks.values()):
            task.cancel()
            await asyncio.wait([task])
        end_leftovers(self._home)  # Spark's own children


def running(home: Path) -> Running | None:
    """Read which stack runs in a folder; None where none does."""
    try:
        noted = msgspec.json.decode((home / "stack.json").read_bytes(), type=Running)
        alive = psutil.Process(noted.pid).create_time() == noted.started
    except (OSError, msgspec.DecodeError, psutil.Error):
        return None
    return noted if alive else None


def down(home: Path) -> int:
    """End a stack, or what a killed one has left; tell how many processes were asked to end."""
    noted = running(home)
    if noted is not None:
        process = psutil.Process(noted.pid)
        process.terminate()
        with suppress(psutil.TimeoutExpired):
            process.wait(60)
    ended = end_leftovers(home)
    server = postgres.Server(home / "postgresql", postgres.find())
    if server.pid is not None:
        server.stop()
        ended += 1
    return ended + (noted is not None)


def end_leftovers(home: Path) -> int:
    """End every process that carries the mark of a stack's folder, except ourselves; tell how many."""
    found = [each for each in psutil.process_iter() if each.pid != os.getpid() and _marked(each, home)]
    for each in found:
        with suppress(psutil.Error):
            each.terminate()
    _, stubborn = psutil.wait_procs(found, timeout=GRACE_S)
    for each in stubborn:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(stubborn, timeout=GRACE_S)
    return len(found)


def _marked(process: psutil.Process, home: Path) -> bool:
    try:
        return bool(process.environ().get(MARK) == str(home))
    except (psutil.Error, OSError):
        return False


def _start_database(server: postgres.Server) -> None:
    server.start()
    server.create()


def _free(default: int, name: str) -> int:
    return ports.choose(None, default, name)


def _answers(url: str) -> Callable[[], Awaitable[str | None]]:
    async def healthy() -> str | None:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(url, timeout=5.0)
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        reason: Any = answer.text[:200]
        return None if answer.is_success else reason

    return healthy


def _topics(kafka: KafkaConfig) -> Callable[[], Awaitable[str | None]]:
    async def healthy() -> str | None:
        try:
            await asyncio.to_thread(make_topics, kafka, 2.0)
        except FeedError as error:
            return str(error)
        return None

    return healthy
