"""One feed kept alive: connect, subscribe, watch, back off and stop.

In: a `CaptureConfig`, and what the tape already says about each lane. Out: rows and quarantined frames, through two
callbacks.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal

from msgspec import structs
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tapewatch import telemetry
from tapewatch.capture.coinbase import VENUE, Coinbase, Quarantined, planned_restart
from tapewatch.capture.completeness import Resume
from tapewatch.capture.config import CaptureConfig
from tapewatch.capture.connection import Connect, Connection, dial, garbled, oversized, patience_s, words
from tapewatch.capture.rowtime import RowTime
from tapewatch.capture.standing import PAUSED, FeedState, Standing, standing
from tapewatch.capture.subscribing import ASK_EVERY_NS
from tapewatch.capture.takings import LOST
from tapewatch.clock import Clock, SystemClock
from tapewatch.errors import FeedError
from tapewatch.model import NS, NUMBERING, Cause, Lane, RowTuple
from tapewatch.steps import slept_words

BACKOFF_BASE_S = 1.0
"""Longest wait before the first new attempt; it doubles with each one that fails."""

CONNECT_EVERY_NS = NS
"""Least time from one attempt to connect to the next."""

TELL_AGAIN_NS = 10 * NS
"""Quarantined frames of one kind are counted always, and logged at most this often."""


Sleep = Callable[[float], Awaitable[None]]


class Session:
    """One feed, kept alive until it is stopped.

    Parameters
    ----------
    config
        Symbols, address and time-outs.
    clock, connect, sleep, rng
        The outside world; by default this machine's clock, a real WebSocket, `asyncio.sleep` and true dice.
    ledgers
        What the tape already says about each lane, after a restart.
    venue
        What the venue is called, in rows and elsewhere.
    """

    def __init__(
        self,
        config: CaptureConfig,
        *,
        clock: Clock | None = None,
        connect: Connect | None = None,
        sleep: Sleep = asyncio.sleep,
        rng: random.Random | None = None,
        ledgers: Mapping[Lane, Resume] | None = None,
        venue: str = VENUE,
    ) -> None:
        self._config = config
        self._url = config.coinbase.ws_url
        self._clock = RowTime(clock or SystemClock())
        self._connect = connect or dial(config)
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._venue = venue
        self._feed = Coinbase(config.symbols, ledgers, venue)
        self._rows: list[RowTuple] = []
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._state: Literal["waiting", "connected", "reconnecting", "stopped"] = "waiting"
        self._reason = f"connecting to {self._url}"
        self._connected_ns = self._heard_ns = self._tried_ns = self._paused_ns = 0
        self._next_try_ns: int | None = None
        self._attempts = self._connections = 0
        self._counted = [0] * len(self.lanes)
        self._confirmed: frozenset[str] = frozenset()
        self._lost: list[Counter[Cause]] = [Counter() for _ in self.lanes]
        self._told_ns: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._sleep_words = ""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Names of the lanes; a row's lane is an index into this tuple."""
        return self._feed.lanes

    async def run(self, emit: Callable[[list[RowTuple]], None], quarantine: Callable[[Quarantined], None]) -> None:
        """Capture until `stop` is called.

        Both callbacks are called in the event loop and must return at once. What they raise ends the run.

        Parameters
        ----------
        emit
            Takes rows in the order of their tape, all that had already arrived at a time; never an empty list.
        quarantine
            Takes each frame that was set aside.

        Raises
        ------
        ConfigError
            The address or the proxy cannot be one.
        """
        self._emit, self._quarantine = emit, quarantine
        self._rows += self._clock.correct(self._feed.start(self._now()))
        try:
            await _first(self._stay_connected(), self._tick(), self._deliver(), self._stopping.wait())
        finally:
            self._state, self._reason, self._next_try_ns = "stopped", "capture was stopped", None
            self._let_go()

    def stop(self) -> None:
        """End `run` within a second; what was received until now is still let go."""
        self._stopping.set()

    def pause_reading(self) -> None:
        """Leave the socket alone until `resume_reading`, so that the venue feels that nobody takes what it sends.

        Until then no row is made but the ``CLOCK``, which says that the lanes are blind: silence would be blamed on a
        venue that nobody listens to.
        """
        if self._reading.is_set():
            self._reading.clear()
            self._paused_ns = self._clock.now_ns()
            telemetry.log(telemetry.PAUSED, (self._venue,), reason=PAUSED)

    def resume_reading(self) -> None:
        """Read on."""
        if not self._reading.is_set():
            self._heard_ns = self._clock.now_ns()  # the silence until now was ours
            self._paused_ns = 0
            self._reading.set()

    def now_ns(self) -> int:
        """Tell the time of the rows that are made now, ns since the epoch."""
        return self._clock.moment_ns()

    def status(self) -> dict[Lane, FeedState]:
        """Tell how each lane's feed stands."""
        return {lane: self._lane_state(number) for number, lane in enumerate(self.lanes)}

    def _lane_state(self, number: int) -> FeedState:
        ledger, symbol = self._feed.ledgers[number], self.lanes[number].symbol
        moment = self._clock.corrected
        connected = self._state == "connected"
        state, reason, blind_ns = self._standing(number)
        live = state == "live"
        return FeedState(
            state=state,
            reason=reason,
            blind_ts=moment(blind_ns),
            last_frame_ts=moment(ledger.last_frame_ns),
            connected_ts=moment(self._connected_ns) if connected else None,
            next_try_ts=moment(self._next_try_ns if not connected else self._feed.asking.until_ns(symbol)),
            attempts=0 if live or (connected and self._feed.refusal(symbol)) else self._attempts,
            duplicates=ledger.duplicates,
            quarantined=self._feed.quarantined_count[number],
            reconnects=max(0, self._connections - 1),
        )

    def _standing(self, number: int) -> Standing:
        return standing(
            self._state,
            self._reason,
            self._feed.ledgers[number],
            self._feed.refusal(self.lanes[number].symbol),
            self._paused_ns,
            self._connected_ns,
            self._clock.now_ns(),
        )

    async def _stay_connected(self) -> None:
        while True:
            self._tried_ns = self._clock.now_ns()
            self._attempts += 1
            try:
                await self._one_connection()
            except (FeedError, OSError, ConnectionClosed, InvalidHandshake) as error:
                await self._back_off(self._why(error), patience_s(error))

    async def _one_connection(self) -> None:
        connection = await self._connect(self._url)
        try:
            self._connected_ns = self._heard_ns = self._clock.now_ns()
            self._connections += 1
            self._state = "connected"
            telemetry.log(telemetry.CONNECTED, (self._venue,), url=self._url, reconnects=self._connections - 1)
            await _first(
                self._receive(connection), self._watch(), self._ask_in_time(connection), self._give_up_after_sleep()
            )
        finally:
            await connection.close()

    async def _receive(self, connection: Connection) -> None:
        # A message that is waiting comes without a pause: this loop takes all that has arrived before `_deliver` runs.
        # It calls nobody's callback, so that nobody's error can pass for the venue's.
        feed, now_ns = self._feed, self._clock.now_ns
        for request in feed.subscribe(now_ns()):
            await connection.send(request)
        while True:
            await self._reading.wait()
            try:
                raw = await connection.recv()
            except ConnectionClosed as error:
                self._take_what_ended_it(error)
                raise
            self._take(raw)
            if feed.asking.wake_ns <= self._heard_ns:
                await self._ask(connection)

    async def _ask(self, connection: Connection) -> None:
        for request in self._feed.requests(self._clock.now_ns()):
            await connection.send(request)

    async def _ask_in_time(self, connection: Connection) -> None:
        # What is due by the clock; what an answer asks for at once is sent where it is read.
        while True:
            if not self._reading.is_set():
                await self._reading.wait()
                self._feed.asking.resumed(self._clock.now_ns())
            now_ns = self._clock.now_ns()
            if self._feed.asking.wake_ns <= now_ns:
                await self._ask(connection)
            look_ns = now_ns + (ASK_EVERY_NS if self._feed.asking.watching else NS)  # an answer may hasten it
            await self._sleep_until(max(now_ns + 1, min(self._feed.asking.wake_ns, look_ns)))

    def _take(self, raw: str | bytes) -> None:
        self._heard_ns = self._now()
        self._rows += self._clock.correct(self._feed.receive(raw, self._heard_ns))
        self._arrived.set()

    def _take_what_ended_it(self, error: ConnectionClosed) -> None:
        if (raw := garbled(error)) is not None:
            self._take(raw)
        elif reason := oversized(error):
            self._rows += self._clock.correct(self._feed.unreceived(reason, self._now()))
            self._arrived.set()

    async def _watch(self) -> None:
        silence_s = self._config.silence_s
        while True:
            await self._reading.wait()
            deadline_ns = self._heard_ns + round(silence_s * NS)
            if self._clock.now_ns() >= deadline_ns:
                raise FeedError(f"no frame from {self._venue} for {silence_s:g} s")
            await self._sleep_until(deadline_ns)

    async def _back_off(self, reason: str, least_s: float) -> None:
        # Full jitter: a venue that comes back is not hit by all its clients at once.
        now_ns = self._clock.now_ns()
        if self._state == "connected" and any(
            ledger.last_frame_ns >= self._connected_ns for ledger in self._feed.ledgers
        ):
            self._attempts = 0
        longest_s = min(self._config.backoff_max_s, BACKOFF_BASE_S * 2 ** min(self._attempts, 30))
        wait_ns = round((least_s + self._rng.uniform(0, longest_s)) * NS)
        self._next_try_ns = max(now_ns + wait_ns, self._tried_ns + CONNECT_EVERY_NS)
        self._state, self._reason = "reconnecting", reason
        next_try_s = f"{(self._next_try_ns - now_ns) / NS:.1f}"
        telemetry.log(
            telemetry.DISCONNECTED, (self._venue,), reason=reason, next_try_s=next_try_s, attempts=self._attempts
        )
        self._woken.clear()
        await _first(self._sleep_until(self._next_try_ns), self._woken.wait())
        self._next_try_ns = None

    async def _tick(self) -> None:
        while True:
            now_ns = self._now()
            wake_ns = now_ns + NS
            latest = max(self._feed.ledgers, key=lambda ledger: ledger.heartbeat_ts)
            self._clock.heard(latest.last_frame_ns, latest.heartbeat_ts)
            if self._reading.is_set():
                self._rows += self._clock.correct(self._feed.tick(now_ns))
                wake_ns = min(self._feed.wake_ns(), wake_ns)
            else:
                self._rows += self._clock.correct(self._feed.unread(now_ns, self._paused_ns))
            self._arrived.set()
            self._count()
            await self._sleep_until(wake_ns)

    async def _give_up_after_sleep(self) -> None:
        # The venue has given us up meanwhile, or the network has; nobody waits to find it out.
        self._woken.clear()
        await self._woken.wait()
        raise FeedError(self._sleep_words)

    def _now(self) -> int:
        now_ns = self._clock.look()
        self._feed.ahead_ns = self._clock.ahead_ns
        if self._clock.slept_ns >= self._config.silence_s * NS:
            self._sleep_words = f"this machine slept for {slept_words(self._clock.slept_ns)}"
            self._woken.set()
        return now_ns

    async def _deliver(self) -> None:
        while True:
            await self._arrived.wait()
            self._let_go()

    async def _sleep_until(self, deadline_ns: int) -> None:
        while (now_ns := self._clock.now_ns()) < deadline_ns:
            await self._sleep((deadline_ns - now_ns) / NS)

    def _let_go(self) -> None:
        self._arrived.clear()
        rows, self._rows = self._rows, []
        if rows:
            self._emit(rows)
        set_aside, self._feed.quarantined = self._feed.quarantined, []
        for item in set_aside:
            self._quarantine(structs.replace(item, recv_ts=item.recv_ts + self._clock.correction_ns))
            self._tell(item)
        errors, self._feed.errors = self._feed.errors, []
        for text in errors:
            telemetry.log(telemetry.REFUSED, (self._venue,), reason=text)
        if self._feed.asking.served != self._confirmed:
            if gained := self._feed.asking.served - self._confirmed:
                telemetry.log(telemetry.SUBSCRIBED, symbols=",".join(sorted(gained)))
            self._confirmed = self._feed.asking.served

    def _tell(self, item: Quarantined) -> None:
        now_ns = item.recv_ts
        if now_ns - self._told_ns.get(item.kind, -TELL_AGAIN_NS) >= TELL_AGAIN_NS:
            self._told_ns[item.kind] = now_ns
            telemetry.log(telemetry.QUARANTINED, (item.kind,), symbol=item.symbol, reason=item.reason)
        else:
            telemetry.count(telemetry.QUARANTINED, (item.kind,))

    def _count(self) -> None:
        now_ns = self._clock.now_ns()
        for number, ledger in enumerate(self._feed.ledgers):
            telemetry.DUPLICATES.labels(*self.lanes[number]).inc(ledger.duplicates - self._counted[number])
            self._counted[number] = ledger.duplicates
            lost = ledger.takings.lost
            for cause, count in (lost - self._lost[number]).items():
                telemetry.DISCARDED.labels(*self.lanes[number], LOST[cause]).inc(count)
            self._lost[number] = lost.copy()
            lane = self.lanes[number]
            for first in ledger.epochs:
                telemetry.log(telemetry.NUMBERED_ANEW, lane, symbol=lane.symbol, first=first % NUMBERING)
            ledger.epochs.clear()
            since_ns = self._standing(number)[2]
            telemetry.BLIND_SECONDS.labels(*self.lanes[number]).set((now_ns - since_ns) / NS if since_ns else 0)
        for kind, count in self._feed.ignored.items():
            telemetry.count(telemetry.IGNORED, (kind,), count)
        self._feed.ignored.clear()

    def _why(self, error: Exception) -> str:
        reason = words(error, self._url, self._venue)
        if self._venue == VENUE and self._state == "connected" and planned_restart(self._clock.moment_ns()):
            return f"{reason} (planned: it restarts its servers Mon, Wed and Thu at 14:00 New York time)"
        return reason


async def _first(*coroutines: Coroutine[Any, Any, object]) -> None:
    # Run until one ends, end the others, and raise what ended it.
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
