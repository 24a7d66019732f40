"""`tapewatch run` put together: source, store and loop, and beside them the dashboard, health and a few words.

In: settings that have been checked. Out: a process that runs until the source ends or somebody stops it.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from tapewatch import __version__
from tapewatch.detect.rules import RuleBook
from tapewatch.errors import before_it_runs
from tapewatch.model import NS
from tapewatch.runtime import ports
from tapewatch.runtime.embedded import Embedded
from tapewatch.runtime.opening import Settings, open_source
from tapewatch.runtime.pipeline import POSITION
from tapewatch.runtime.process import LOOK_EVERY_S, Process, Say
from tapewatch.runtime.recording import RECORDING, Recording
from tapewatch.runtime.source import Position, RowSource
from tapewatch.runtime.supervise import OURS, Child
from tapewatch.runtime.warmup import warm_up
from tapewatch.store.engine import apart
from tapewatch.store.jsonl import JsonLines
from tapewatch.store.sql import Store

DASHBOARD_PORT, HEALTH_PORT = 8710, 8711
STATUS_EVERY_NS = 30 * NS


class Dashboard(NamedTuple):
    """The dashboard beside a run: the port that was asked for, and the flags that every command shares."""

    port: int | None
    arguments: tuple[str, ...] = ()


class Service:
    """One run of the embedded runtime and all that stands beside it.

    Parameters
    ----------
    settings
        What to run.
    dashboard
        None: without one.
    fresh
        Begin with an empty database, whatever the file held before.
    say
        Takes a few words for a person.

    Raises
    ------
    ConfigError
        The limits of a rule are wrong.
    """

    def __init__(self, settings: Settings, dashboard: Dashboard | None, *, fresh: bool, say: Say) -> None:
        RuleBook.of(settings.rules)  # a wrong limit is told before anything is opened or written
        self._settings = settings
        self._dashboard = dashboard
        self._fresh = fresh
        self._say = say
        self._process = Process(say)

    async def run(self) -> None:
        """Run until the source ends or a signal comes.

        Raises
        ------
        TapewatchError
            Something that a person can act on.
        """
        self._process.listen_to_signals()
        async with AsyncExitStack() as stack:
            with before_it_runs():  # what a person may have set wrong comes first
                opening = asyncio.create_task(open_source(self._settings, self._process.clock, stack))
                source = await self._process.unless_stopped(opening)
                if source is None:
                    return
                run = self._settings.run
                server = stack.enter_context(ports.bind(run.health_port, HEALTH_PORT, "run.health_port", run.host))
                if self._dashboard is not None:
                    ports.choose(self._dashboard.port, DASHBOARD_PORT, "dashboard.port")
                self._say("tapewatch", __version__)
                self._say("source", self._describe(source))
                embedded = self._open(source)
            health = self._process.serve_health(server, embedded.describe, embedded.trouble)
            beside = [health, self._tell(embedded)]
            if self._dashboard is not None:
                beside.append(self._show(self._dashboard))
            await self._process.together(embedded.run(), beside)
            self._say(
                "stopped", f"{embedded.source.ended or 'by a signal'}: {_summary(embedded)}; everything is stored"
            )

    def _open(self, source: RowSource) -> Embedded:
        run = self._settings.run
        store = Store.open(run.db, source=source.identity, fresh=self._fresh)
        try:
            position = msgspec.json.decode(store.state(POSITION) or b"{}", type=Position)
            self._say("database", f"{store.name}, {f'{position.rows:,} rows so far' if position.rows else 'new'}")
            recording = jsonl = None
            if run.record is not None:
                recording = Recording.open(Path(run.record), store.state(RECORDING), position.rows)
                self._say("recording", f"into {run.record}")
            if run.jsonl is not None:
                jsonl = JsonLines.open(Path(run.jsonl), store.changes_after)
                self._say("changes", f"into {run.jsonl}")
            return Embedded(
                store,
                source,
                self._settings.rules,
                clock=self._process.clock,
                recording=recording,
                jsonl=jsonl,
                prepare=self._warm_up,
                linger=self._dashboard is not None,
                stopping=self._process.stopping,
            )
        except BaseException:
            store.close()
            raise

    async def _warm_up(self) -> None:
        self._say("rules", "getting ready; the first start compiles them, which takes about half a minute")
        await self._process.unless_stopped(_in_thread(warm_up))
        if not self._process.stopping.is_set():
            self._say("rules", f"ready after {self._process.seconds:.1f} s")

    def _describe(self, source: RowSource) -> str:
        if source.identity.kind == "tape":
            return f"{source.identity}, speed {source.speed:g}"
        return f"{source.identity}: {', '.join(self._settings.capture.symbols)}"

    async def _show(self, dashboard: Dashboard) -> None:
        asked = () if dashboard.port is None else ("--port", str(dashboard.port))
        db, secret = apart(self._settings.run.db)
        arguments = ("dashboard", "--db", db, *asked, *dashboard.arguments)
        say = partial(self._say, "dashboard")
        await Child((*OURS, *arguments), say=say, clock=self._process.clock, environment=secret).run()

    async def _tell(self, embedded: Embedded) -> None:
        await embedded.stored.wait()
        self._say("stored", f"the first row {self._process.seconds:.1f} s after the start")
        told_ns = self._process.clock.now_ns()
        while embedded.source.ended is None:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._process.clock.now_ns() - told_ns >= STATUS_EVERY_NS:
                told_ns = self._process.clock.now_ns()
                self._say("running", _summary(embedded))
        if self._dashboard is not None:
            self._say("source", f"{embedded.source.ended}: {_summary(embedded)}; the dashboard stays, Ctrl-C stops it")


def _summary(embedded: Embedded) -> str:
    progress, p99 = embedded.progress, embedded.latency.p99_ms
    committed = "" if p99 is None else f", committed within {p99:.0f} ms (99 %)"
    return f"{progress.rows:,} rows, {progress.opened:,} anomalies opened{committed}"


def _in_thread(work: Callable[[], None]) -> asyncio.Future[None]:
    # A daemon, unlike asyncio's own threads: Ctrl-C need not wait until a compiler is done.
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def run() -> None:
        error = None
        try:
            work()
        except BaseException as caught:  # noqa: BLE001  # raised again where it is awaited
            error = caught
        with suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=run, name="warm-up", daemon=True).start()
    return future
