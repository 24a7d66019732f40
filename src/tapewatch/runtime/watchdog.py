"""The watch over ourselves at work: what the database says of the chain in; a heartbeat to a service outside out.

The service notices when nobody calls it any more, whatever ended: this process, its machine, its network. Its address
is a secret, and stands in no log and no error.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import httpx

from tapewatch import __version__, telemetry
from tapewatch.alert import Message
from tapewatch.capture.config import on_this_machine
from tapewatch.clock import Clock
from tapewatch.dispatch.message import Writer
from tapewatch.dispatch.selfwatch import Failing, Lane, Notice, Sight, Watch
from tapewatch.figures import duration
from tapewatch.model import NS
from tapewatch.runtime.process import Say, in_daemon_thread
from tapewatch.runtime.sender import SEND_S, Sending
from tapewatch.store import log
from tapewatch.store.outbox import Outbox
from tapewatch.store.records import ChannelRow, FeedRow, Fresh

PAGE = "watch"
"""Name of our page beside the desk's; theirs begin with a slash or are empty."""

EVERY_NS = 60 * NS
"""How often the service outside is called."""

LOOK_NS = NS
"""Least time from one look to the next."""

LOOK_S = 1.0

SILENT_NS = 10 * NS
"""A lane whose last frame is older than that is not live: heartbeats come every second."""

CALL_S = 10.0
"""The longest that a call may take."""


class Heartbeat:
    """Calls a service outside.

    Parameters
    ----------
    url
        Its address; None: nobody is called.
    transport
        The outside world; by default a real connection.
    """

    def __init__(self, url: str | None, say: Say, transport: httpx.AsyncBaseTransport | None = None) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each address that it asks, and ours is a secret
        self._url = url
        self._say = say
        self._transport = transport
        self._failed = False

    @property
    def wanted(self) -> bool:
        """Whether there is anybody to call."""
        return self._url is not None

    async def call(self) -> bool:
        """Call once, and tell whether that was accepted; a failure is told once, until a call is accepted again."""
        failure = await self.ask()
        telemetry.HEARTBEATS.labels("failed" if failure else "accepted").inc()
        if failure is not None and not self._failed:
            telemetry.log(telemetry.HEARTBEAT_FAILED, outcome=failure)
            self._say("heartbeat", f"not accepted: {failure}; it is tried again every minute")
        elif failure is None and self._failed:
            self._say("heartbeat", "accepted again")
        self._failed = failure is not None
        return failure is None

    async def ask(self) -> str | None:
        """Call once, and tell why that was not accepted; None: it was."""
        assert self._url is not None, "somebody is to be called"
        url = self._url
        try:
            async with asyncio.timeout(CALL_S):
                async with httpx.AsyncClient(
                    headers={"user-agent": f"tapewatch/{__version__}"},
                    timeout=CALL_S,
                    trust_env=not on_this_machine(url),
                    transport=self._transport,
                ) as client:
                    answer = await client.get(url)
        except TimeoutError:
            return f"no answer within {CALL_S:.0f} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # whose words may quote the address
            return f"no answer ({type(error).__name__})"
        return None if answer.is_success else f"HTTP {answer.status_code}"


class Watchdog:
    """Look at the chain while alerting runs, and call the service outside while trades get through.

    Parameters
    ----------
    watch
        Judges.
    channels, writer
        Of alerting, for what must be said without a database.
    clock
        Moments and durations.
    ticks
        Instead of its durations, ns.
    """

    def __init__(
        self,
        watch: Watch,
        heartbeat: Heartbeat,
        channels: Iterable[Sending],
        writer: Writer,
        clock: Clock,
        say: Say,
        *,
        ticks: Callable[[], int] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._watch = watch
        self._heartbeat = heartbeat
        self._channels = tuple(channels)
        self._writer = writer
        self._clock = clock
        self._say = say
        self._ticks = ticks or clock.monotonic_ns
        self._sleep = sleep
        self._looked: int | None = None
        self._called: int | None = None
        self._counted: int | None = None
        self._why: str | None = ""

    def begin(self, page: bytes) -> None:
        """Go on with our page of an open database.

        Raises
        ------
        SnapshotError
            It cannot be read.
        """
        self._looked = None
        self._watch.begin(page, self._ticks())

    def page(self) -> dict[str, bytes]:
        """Write down what goes into the transaction of what was said."""
        return {PAGE: self._watch.page()}

    def look(self, outbox: Outbox, fresh: Fresh, channels: Iterable[ChannelRow]) -> list[Notice]:
        """Look at the chain, at most once a second, and tell what is to be said."""
        ticks = self._ticks()
        if self._looked is not None and ticks - self._looked < LOOK_NS:
            return []
        self._looked = ticks
        with outbox.reader.connect() as connection:
            lanes = [_lane(row) for row in log.feed(connection)]
        clock, source = fresh.clock, fresh.source
        tape = source is not None and source.kind == "tape"
        notices = self._watch.look(
            Sight(
                ticks,
                self._clock.now_ns(),
                None if clock is None else clock.revision,
                lanes,
                kafka=source is not None and source.kind == "kafka",
                replay=tape or (clock is not None and not clock.live),
                channels={row.name: _failing(row) for row in channels},
            )
        )
        for each in notices:
            telemetry.log(telemetry.WELL if each.well else telemetry.ILL, reason=each.text)
            self._say("watch", each.text)
        return notices

    async def run(self, trouble: Callable[[], str | None], away: Callable[[], str | None]) -> None:
        """Call the service outside once a minute while all is well, until cancelled.

        Parameters
        ----------
        trouble
            Tells why alerting tells nothing; None: it does.
        away
            Tells why the database cannot be used; None: it can.
        """
        while True:
            if (why := away()) is not None:
                notice = self._watch.away(self._ticks(), self._clock.now_ns(), why)
                if notice is not None:
                    await self._tell_without_database(notice)
            await self.beat(trouble() or self._watch.trouble(self._ticks()))
            await self._sleep(LOOK_S)

    async def beat(self, why: str | None) -> None:
        """Call where it is time to, unless there is a reason not to."""
        if not self._heartbeat.wanted:
            return
        if why is not None and self._why is None:
            self._say("heartbeat", f"withheld: {why}")
        elif why is None and self._why is not None:
            self._say("heartbeat", "goes out every minute")
        self._why = why
        ticks = self._ticks()
        if why is None and _due(self._called, ticks):
            self._called = self._counted = ticks
            await self._heartbeat.call()
        elif why is not None and _due(self._counted, ticks):
            self._counted = ticks
            telemetry.HEARTBEATS.labels("withheld").inc()

    async def _tell_without_database(self, notice: Notice) -> None:
        # The outbox cannot be used: each channel is asked once. Whoever does not hear it hears no heartbeat.
        telemetry.log(telemetry.ILL, reason=notice.text)
        self._say("watch", notice.text)
        now = self._clock.now_ns()
        sent = [
            in_daemon_thread(
                partial(self._send, each, Message(0, each.name, "health", now, (), note=notice.text)), each.name
            )
            for each in self._channels
        ]
        if sent:
            await asyncio.wait(sent, timeout=2 * SEND_S)

    def _send(self, channel: Sending, message: Message) -> None:
        began = self._clock.now_ns()
        receipt = channel.send(self._writer.write(message), None, SEND_S, "high")
        if not receipt.accepted:
            took = duration((self._clock.now_ns() - began) / NS)
            self._say("watch", f"{channel.name} did not accept it after {took}: {receipt.outcome}")


def _lane(row: FeedRow) -> Lane:
    # Through Kafka a lane is live as long as its rows come, and its clock ticks without a frame, too.
    if row.state == "live" and (row.last_frame_ts is None or row.now_ts - row.last_frame_ts > SILENT_NS):
        age = "" if row.last_frame_ts is None else f" for {duration((row.now_ts - row.last_frame_ts) / NS)}"
        return Lane(row.symbol, "silent", f"no frame{age}")
    return Lane(row.symbol, row.state, row.reason)


def _due(last: int | None, ticks: int) -> bool:
    return last is None or ticks - last >= EVERY_NS


def _failing(row: ChannelRow) -> Failing | None:
    return Failing(row.since_ts, row.error) if row.state == "failing" else None
