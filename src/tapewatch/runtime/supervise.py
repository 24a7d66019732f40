"""A command runs as a child beside us: started again when it dies, ended when we end."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tapewatch.clock import Clock
from tapewatch.model import NS
from tapewatch.runtime.leash import LEASH

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Waits before the first, second, … new start; the last one for all further ones."""

STEADY_NS = 60 * NS
"""A child that lived so long has not failed at its start: the waits begin anew."""

GRACE_S = 1.5
"""How long a child may take to end before it is made to, unless it is given more."""

USAGE = 2
"""Exit code that says that starting again cannot help."""

OURS = (sys.executable, "-m", "tapewatch")
"""How a command of ours begins."""

Spawn = Callable[[Sequence[str]], Awaitable[Process]]


class Child:
    """Keep one command running; what it prints is said, too.

    Parameters
    ----------
    command
        The program and its arguments.
    say
        Takes a line for a person.
    log
        File to which everything goes that it prints; None: its output is said, its errors go where ours go.
    grace_s
        How long it may take to end.
    finite
        It may come to its end by itself: with exit code 0 it is done, and not started again.
    environment
        On top of ours: what the list of processes need not show to everybody.
    clock, sleep, spawn
        The outside world.

    Attributes
    ----------
    pid
        Of the running child; None while there is none.
    code
        Exit code of its last end; None while it has never ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        say: Callable[[str], None],
        clock: Clock,
        log: Path | None = None,
        grace_s: float | None = None,
        finite: bool = False,
        environment: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spawn: Spawn | None = None,
    ) -> None:
        self.pid: int | None = None
        self.code: int | None = None
        self._command = command
        self._log = log
        self._grace_s = grace_s
        self._finite = finite
        self._say = say
        self._clock = clock
        self._environment = environment or {}
        self._sleep = sleep
        self._spawn = spawn or self._start
        self._leash = os.pipe()

    async def run(self) -> None:
        """Start, and start again, until cancelled; then end the child."""
        failures = 0
        try:
            while True:
                started_ns = self._clock.monotonic_ns()
                code = self.code = await self._live(await self._spawn(self._command))
                if code == USAGE:
                    self._say("cannot be started with these settings; everything else goes on")
                    return
                if code == 0 and self._finite:
                    self._say("has come to its end")
                    return
                failures = 0 if self._clock.monotonic_ns() - started_ns >= STEADY_NS else failures
                wait_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                self._say(f"ended with code {code}; it is started again in {wait_s:.0f} s")
                await self._sleep(wait_s)
        finally:
            for end in self._leash:
                os.close(end)

    async def _live(self, process: Process) -> int:
        self.pid = process.pid
        relaying = asyncio.create_task(self._relay(process))
        try:
            return await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            try:
                async with asyncio.timeout(self._grace_s or GRACE_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            raise
        finally:
            relaying.cancel()
            self.pid = None

    async def _relay(self, process: Process) -> None:
        if process.stdout is not None:
            async for line in process.stdout:
                self._say(line.decode(errors="replace").strip())

    async def _start(self, command: Sequence[str]) -> Process:
        # A session of its own: Ctrl-C in the terminal is for us, and we end the child in order.
        end, _ = self._leash
        with ExitStack() as stack:
            log = None if self._log is None else stack.enter_context(self._log.open("ab"))
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=PIPE if log is None else log,
                stderr=log,
                pass_fds=(end,),
                env={**os.environ, **self._environment, LEASH: str(end)},
                start_new_session=True,
            )
