"""`tapewatch run` put together: source, store and loop, and beside them the dashboard, health and a few words.

In: settings that have been checked. Out: a process that runs until the source ends or somebody stops it.
"""

import asyncio
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from tapewatch import __version__
from tapewatch.clock import STEP_NS
from tapewatch.detect.rules import RuleBook
from tapewatch.dispatch.config import DASHBOARD_URL, AlertsConfig
from tapewatch.errors import before_it_runs
from tapewatch.model import NS
from tapewatch.runtime import ports
from tapewatch.runtime.embedded import Embedded
from tapewatch.runtime.opening import Settings, open_source
from tapewatch.runtime.pipeline import POSITION
from tapewatch.runtime.process import LOOK_EVERY_S, Process, Say, in_daemon_thread
from tapewatch.runtime.recording import RECORDING, Recording
from tapewatch.runtime.source import Position, RowSource
from tapewatch.runtime.supervise import OURS, Child
from tapewatch.runtime.warmup import warm_up
from tapewatch.steps import behind_words
from tapewatch.store import log
from tapewatch.store.engine import apart
from tapewatch.store.jsonl import JsonLines
from tapewatch.store.outbox import forget_channels
from tapewatch.store.sql import Store

DASHBOARD_PORT, HEALTH_PORT = 8710, 8711
STATUS_EVERY_NS = 30 * NS


class Beside(NamedTuple):
    """What runs beside a run, in processes of its own.

    Attributes
    ----------
    dashboard
        Show what happens.
    port
        Of the dashboard; None: any.
    flags
        That every command shares.
    command
        What a person may type to go on with the same database; "": nobody can say.
    """

    dashboard: bool = True
    port: int | None = None
    flags: tuple[str, ...] = ()
    command: str = ""


class Service:
    """One run of the embedded runtime and all that stands beside it.

    Parameters
    ----------
    settings
        What to run.
    beside
        The dashboard, and alerting where there are channels.
    fresh
        Begin with an empty database, whatever the file held before.
    say
        Takes a few words for a person.

    Raises
    ------
    ConfigError
        The limits of a rule are wrong, or a channel or a template of alerting.
    """

    def __init__(self, settings: Settings, beside: Beside, *, fresh: bool, say: Say) -> None:
        RuleBook.of(settings.rules)  # a wrong limit is told before anything is opened or written
        self._settings = settings
        self._beside = beside
        self._fresh = fresh
        self._say = say
        self._process = Process(say)
        self._tells = settings.alerts is not None and settings.alerts.tells
        if settings.alerts is not None and settings.alerts.tells:
            from tapewatch.runtime import alerts  # it takes a second to load, for who has channels alone

            alerts.check(alerts.Settings(settings.run.db, settings.alerts, settings.alerts_place))

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
                dashboard_port = None
                if self._beside.dashboard:
                    dashboard_port = ports.choose(self._beside.port, DASHBOARD_PORT, "dashboard.port")
                self._say("tapewatch", __version__)
                self._say("source", self._describe(source))
                embedded = self._open(source)
            health = self._process.serve_health(server, embedded.describe, embedded.trouble)
            beside = [health, self._tell(embedded)]
            if dashboard_port is not None:
                beside.append(self._child("dashboard", "dashboard", "--port", str(dashboard_port)))
            if self._tells:
                beside.append(self._child("alerts", "alerts", "run", *links(self._settings.alerts, dashboard_port)))
            elif self._settings.alerts is None:
                self._say("alerts", "nobody is told")
            else:
                await asyncio.to_thread(forget_channels, self._settings.run.db, self._process.clock.wall_ns())
            await self._process.together(embedded.run(), beside)
            self._say(
                "stopped", f"{embedded.source.ended or 'by a signal'}: {_summary(embedded)}; everything is stored"
            )

    def _open(self, source: RowSource) -> Embedded:
        run = self._settings.run
        store = Store.open(run.db, source=source.identity, fresh=self._fresh)
        try:
            store.note("command", msgspec.json.encode(self._beside.command).decode())
            position = msgspec.json.decode(store.state(POSITION) or b"{}", type=Position)
            self._say("database", f"{store.name}, {f'{position.rows:,} rows so far' if position.rows else 'new'}")
            self._go_on_from(source)
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
                linger=self._beside.dashboard,
                stopping=self._process.stopping,
            )
        except BaseException:
            store.close()
            raise

    def _go_on_from(self, source: RowSource) -> None:
        # Times of rows never go back, though this machine's clock was set back while we did not run.
        with closing(Store.read(self._settings.run.db)) as reader, reader.connect() as connection:
            last = log.clock(connection)
        if last is not None and source.identity.kind != "tape":
            behind_ns = self._process.clock.go_on_from(last.now_ts + 1)
            if behind_ns > STEP_NS:
                self._say("clock", behind_words(behind_ns))

    async def _warm_up(self) -> None:
        self._say("rules", "getting ready; the first start compiles them, which takes about half a minute")
        # A compiler need not be waited for at Ctrl-C.
        await self._process.unless_stopped(in_daemon_thread(warm_up, "warm-up"))
        if not self._process.stopping.is_set():
            self._say("rules", f"ready after {self._process.seconds:.1f} s")

    def _describe(self, source: RowSource) -> str:
        if source.identity.kind == "tape":
            return f"{source.identity}, speed {source.speed:g}"
        return f"{source.identity}: {', '.join(self._settings.capture.symbols)}"

    async def _child(self, name: str, *command: str) -> None:
        db, secret = apart(self._settings.run.db)
        arguments = (*OURS, *command, "--db", db, *self._beside.flags)
        say = partial(self._say, name)
        await Child(arguments, say=say, clock=self._process.clock, environment=secret).run()

    async def _tell(self, embedded: Embedded) -> None:
        await embedded.stored.wait()
        self._say("stored", f"the first row {self._process.seconds:.1f} s after the start")
        told_ns = self._process.clock.monotonic_ns()
        while embedded.source.ended is None:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._process.clock.monotonic_ns() - told_ns >= STATUS_EVERY_NS:
                told_ns = self._process.clock.monotonic_ns()
                self._say("running", _summary(embedded))
        if self._beside.dashboard:
            self._say("source", f"{embedded.source.ended}: {_summary(embedded)}; the dashboard stays, Ctrl-C stops it")


def links(alerts: AlertsConfig | None, dashboard_port: int | None) -> tuple[str, ...]:
    """Let links in messages lead to the dashboard beside us, where nothing else was said.

    Examples
    --------
    >>> links(AlertsConfig(), 8712)
    ('--set', 'alerts.dashboard_url="http://127.0.0.1:8712"')
    >>> links(AlertsConfig(dashboard_url="https://desk.example"), 8712), links(AlertsConfig(), None)
    ((), ())
    """
    if alerts is None or alerts.dashboard_url != DASHBOARD_URL or dashboard_port is None:
        return ()
    return ("--set", f'alerts.dashboard_url="http://{ports.HOST}:{dashboard_port}"')


def _summary(embedded: Embedded) -> str:
    progress, p99 = embedded.progress, embedded.latency.p99_ms
    committed = "" if p99 is None else f", committed within {p99:.0f} ms (99 %)"
    return f"{progress.rows:,} rows, {progress.opened:,} anomalies opened{committed}"
