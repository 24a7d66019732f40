"""The whole pipeline on one machine: broker, PostgreSQL, exchange, producer, Spark and dashboard, in order and healthy.

In: settings. Out: processes that run until a signal comes; a folder keeps their data and logs.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.errors import ConfigError, StoreError, TapewatchError
from tapewatch.runtime import postgres, standing
from tapewatch.runtime.jars import BROKER, CONNECTOR, fetched
from tapewatch.runtime.opening import StackConfig
from tapewatch.runtime.parts import POSTGRESQL, Kept, Part, keep, named, parts
from tapewatch.runtime.process import Process
from tapewatch.runtime.supervise import USAGE, Child
from tapewatch.store.lock import Lock

READY_S = 300.0
"""How long a part may take to be healthy: Spark's first start compiles the rules."""

LOOK_EVERY_S = 0.3
PATIENCE_S = 10.0
"""After so long a part's start is told why it takes longer."""

WATCH_EVERY_S = 1.0
LAST_BYTES = 4_096

T = TypeVar("T")


class Stack:
    """Start all parts in order, keep them running, and end them.

    Parameters
    ----------
    config
        Where, and what to capture.
    kafka
        What the topics are called.
    cache
        Folder of the jars.
    process
        Ours.
    flags
        Settings that every command of ours is given.
    alerting
        There are channels to tell.
    """

    def __init__(
        self,
        config: StackConfig,
        kafka: KafkaConfig,
        cache: Path,
        process: Process,
        flags: Sequence[str] = (),
        *,
        alerting: bool = False,
    ) -> None:
        self._config = config
        self._kafka = kafka
        self._cache = cache
        self._process = process
        self._flags = flags
        self._alerting = alerting
        self._home = Path(config.home).resolve()
        self._parts: list[Part] = []
        self._up = False
        self._children: dict[str, tuple[Child, asyncio.Task[None]]] = {}
        self._pids: dict[str, int | None] = {}  # of the children that were healthy last

    async def up(self) -> None:
        """Run until a signal comes.

        Raises
        ------
        ConfigError
            One runs in this folder already, or something was set wrong: nothing, or nothing any more, runs.
        TapewatchError
            A part does not become healthy; says why, and where its log is.
        """
        home = self._home
        installation = postgres.find()
        lock = _lock(home)
        try:
            os.environ[standing.MARK] = str(home)  # whatever is started from here on is ours
            standing.note(home)
            if ended := await asyncio.to_thread(standing.end_leftovers, home):
                self._process.say("stack", f"ended {ended} processes that an earlier one had left")
            jars = await self._unless_stopped(self._fetch)
            if jars is not None:  # only now, since a port that is chosen is nobody's until its server runs
                kept = keep(home, named(self._config.source))
                await self._run(kept, jars, postgres.Server(home / POSTGRESQL, installation))
        finally:
            try:
                await self.end()
            finally:
                standing.forget(home)
                lock.release()
        self._process.say("stack", "stopped; its data are kept")

    async def _run(self, kept: Kept, jars: list[Path], server: postgres.Server) -> None:
        began_s = self._process.seconds
        # To its end, which is near: half a start cannot be found.
        await asyncio.to_thread(_start_database, server, kept.ports[POSTGRESQL])
        self._healthy(_database(server), self._process.seconds - began_s)
        described = await self._unless_stopped(
            lambda: parts(
                self._home,
                kept,
                jars,
                server.url(),
                flags=self._flags,
                rate=self._config.rate,
                alerting=self._alerting,
            )
        )
        for part in described or ():
            await self.start(part)
            if self._process.stopping.is_set():
                return
        self._up = True
        self._note()
        self._tell(kept)
        await self._watch(server)

    def _fetch(self) -> list[Path]:
        if not (self._cache / CONNECTOR.name).exists():
            self._process.say("jars", f"fetching Kafka's and its connector's into {self._cache}, once")
        fetched(CONNECTOR, self._cache)
        return fetched(BROKER, self._cache)

    async def start(self, part: Part) -> None:
        """Start a part, and return when it is healthy, when it is done, or when somebody stops us.

        Raises
        ------
        ConfigError
            It was set wrong.
        TapewatchError
            It does not become healthy.
        """
        began = time.monotonic()
        log = self._home / "logs" / f"{part.name}.log"
        log.parent.mkdir(exist_ok=True)
        child = Child(
            part.command,
            say=lambda text: self._process.say(part.name, text),
            clock=self._process.clock,
            environment={**part.environment, standing.MARK: str(self._home), standing.PART: part.name},
            log=log,
            grace_s=standing.GRACE_S,
            finite=part.finite,
        )
        task = asyncio.create_task(child.run())
        self._children[part.name] = child, task
        why: str | None = "not asked yet"
        told = False
        while why is not None:
            await asyncio.wait((task,), timeout=LOOK_EVERY_S)
            if self._process.stopping.is_set():
                return
            waited = time.monotonic() - began
            if task.done():
                if child.code == 0:
                    break
                wrong = ConfigError if child.code == USAGE else TapewatchError
                raise wrong(f"stack: {part.name} cannot be started: {_last_line(log)}; see {log}")
            why = await self._process.unless_stopped(
                asyncio.ensure_future(standing.health(child.pid, part.probe, self._home, self._kafka))
            )
            if why is not None and waited > READY_S:
                raise TapewatchError(f"stack: {part.name} is not healthy after {READY_S:.0f} s: {why}; see {log}")
            if why is not None and waited > PATIENCE_S and not told:
                told = True
                self._process.say(part.name, f"not healthy yet: {why}")
        self._healthy(part, time.monotonic() - began)

    def _healthy(self, part: Part, seconds: float) -> None:
        self._parts.append(part)
        if part.name in self._children:
            self._pids[part.name] = self._children[part.name][0].pid
        self._note()
        if part.name not in self._done():
            self._process.say(part.name, f"healthy after {seconds:.0f} s: {part.address}")

    def _note(self) -> None:
        standing.note(self._home, self._parts, self._done(), up=self._up)

    def _done(self) -> set[str]:
        return {name for name, (child, task) in self._children.items() if task.done() and child.code == 0}

    def _tell(self, kept: Kept) -> None:
        say, at = self._process.say, {part.name: part.address for part in self._parts}
        say("stack", f"up after {self._process.seconds:.0f} s; Ctrl-C stops it, and its data are kept")
        say("dashboard", at["dashboard"])
        say("spark", f"http://127.0.0.1:{kept.ports['spark']}")
        say("metrics", ", ".join(address for address in at.values() if address.endswith("/metrics")))
        say("database", f"{at[POSTGRESQL]}, its password in {self._home / POSTGRESQL / 'password'}")
        say("kafka", f"{at['kafka']}, topic {self._kafka.trades}")
        say("logs", str(self._home / "logs"))

    async def _watch(self, server: postgres.Server) -> None:
        done = self._done()
        stopped = asyncio.ensure_future(self._process.stopping.wait())
        while not stopped.done():
            await asyncio.wait((stopped,), timeout=WATCH_EVERY_S)
            if server.pid is None and not stopped.done():
                self._process.say(POSTGRESQL, "has ended; it is started again")
                try:
                    await asyncio.to_thread(_start_database, server)
                except StoreError as error:
                    self._process.say(POSTGRESQL, str(error))
                self._parts = [_database(server) if part.name == POSTGRESQL else part for part in self._parts]
                self._note()
            if self._done() != done:
                done = self._done()
                self._note()
            await self.tell_again()

    async def tell_again(self) -> None:
        """Tell which parts are healthy that were started again."""
        for part in self._parts:
            pid = self._children[part.name][0].pid if part.name in self._children else None
            if pid is None or pid == self._pids[part.name]:
                continue
            if await standing.health(pid, part.probe, self._home, self._kafka) is None:
                self._pids[part.name] = pid
                self._process.say(part.name, "healthy again")

    async def _unless_stopped(self, work: Callable[[], T]) -> T | None:
        return await self._process.unless_stopped(asyncio.ensure_future(asyncio.to_thread(work)))

    async def end(self) -> None:
        """End all parts and whatever they have left, and nothing else."""
        # The other way round: who writes to a part ends before it. Then what is nobody's child of ours: PostgreSQL,
        # Spark's own processes, a fetch of jars or a part's preparation that was interrupted.
        for _, task in reversed(self._children.values()):
            task.cancel()
            await asyncio.wait([task])
        await asyncio.to_thread(standing.end_leftovers, self._home)


def _lock(home: Path) -> Lock:
    try:
        home.mkdir(parents=True, exist_ok=True)
        return Lock(home / "stack")
    except OSError as error:
        raise ConfigError(f"stack.home {home}: the folder cannot be made ({error.strerror})") from None
    except StoreError as error:
        other = standing.running(home)
        if other is None:
            raise ConfigError(f"stack.home {home}: cannot be locked: {error}") from None
        raise ConfigError(
            f"stack.home {home}: a stack runs there already (process {other.pid}); tapewatch stack down ends it"
        ) from None


def _database(server: postgres.Server) -> Part:
    address = f"postgresql://{postgres.USER}@{postgres.HOST}:{server.port}/{postgres.USER}"
    return Part(POSTGRESQL, (), POSTGRESQL, address)


def _start_database(server: postgres.Server, port: int | None = None) -> None:
    server.start(port)
    server.create()


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST_BYTES))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("tapewatch: ") if lines else "it said nothing"
