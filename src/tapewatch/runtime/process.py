"""What every long-running command of ours shares: signals, tasks beside the main one, an orderly end."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

from tapewatch.clock import SystemClock
from tapewatch.model import NS
from tapewatch.runtime.health import Server, application
from tapewatch.steps import WATCH_EVERY_S, notice

T = TypeVar("T")
Say = Callable[[str, str], None]
"""Takes a topic and what is to be said about it, for a person."""

LOOK_EVERY_S = 0.1


def in_daemon_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Do something in a thread that nobody has to wait for: unlike asyncio's own ones, it does not hold up an end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(error: BaseException | None, result: T | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(cast("T", result))
        else:
            future.set_exception(error)

    def run() -> None:
        error, result = None, None
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001  # raised again where it is awaited
            error = caught
        with suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(finish, error, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


class Process:
    """One run of a command.

    Parameters
    ----------
    say
        Takes a few words for a person.

    Attributes
    ----------
    stopping
        Set by the first SIGINT or SIGTERM; a second one stops at once.
    clock
        The system's.
    """

    def __init__(self, say: Say) -> None:
        self.say = say
        self.clock = SystemClock()
        self.stopping = asyncio.Event()
        self._started_ns = self.clock.monotonic_ns()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return (self.clock.monotonic_ns() - self._started_ns) / NS

    def listen_to_signals(self) -> None:
        """Stop in order at the first signal; a second one finds Python's own handlers again and stops at once."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self.stopping.set()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)

    async def unless_stopped(self, future: asyncio.Future[T]) -> T | None:
        """Wait for a result, or None where the stop comes first."""
        stopped = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait((future, stopped), return_when=asyncio.FIRST_COMPLETED)
            return future.result() if future.done() else None
        finally:
            stopped.cancel()
            future.cancel()

    async def together(self, main: Coroutine[Any, Any, None], beside: list[Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine with others beside it: it decides when all end; if one of them breaks, that is the end, too.

        Raises
        ------
        TapewatchError
            Whatever one of them raised.
        """
        running = asyncio.create_task(main)
        tasks = [asyncio.create_task(coroutine) for coroutine in (*beside, self._watch_clock())]
        watched: set[asyncio.Task[None]] = {running, *tasks}
        try:
            while not running.done():
                done, watched = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {running}:
                    task.result()
        finally:
            self.stopping.set()
            for task in tasks:
                task.cancel()
            await asyncio.wait([running, *tasks])
        running.result()

    async def _watch_clock(self) -> None:
        while True:
            notice(self.clock, partial(self.say, "clock"))
            await asyncio.sleep(WATCH_EVERY_S)

    async def serve_health(
        self, server: Any, describe: Callable[[], dict[str, Any]], trouble: Callable[[], str | None]
    ) -> None:
        """Answer /healthz, /readyz and /metrics on a bound socket."""
        host, port = server.getsockname()
        self.say("health", f"http://{host}:{port}/healthz, /readyz, /metrics")
        await Server(application(describe, trouble)).serve(sockets=[server])
