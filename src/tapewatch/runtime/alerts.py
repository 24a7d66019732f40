"""`tapewatch alerts run` put together: outbox, desk, channels, health, and a few words.

In: settings that have been checked. Out: a process that tells what happens in a database until somebody stops it.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from tapewatch.alert import Message
from tapewatch.clock import SystemClock
from tapewatch.dispatch.channel import Channel
from tapewatch.dispatch.chart import chart
from tapewatch.dispatch.config import AlertsConfig, ChannelConfig
from tapewatch.dispatch.message import Writer
from tapewatch.dispatch.retry import Receipt
from tapewatch.dispatch.selfwatch import Watch
from tapewatch.dispatch.stages import Terms
from tapewatch.dispatch.totals import Span
from tapewatch.errors import before_it_runs
from tapewatch.model import NS, Lane
from tapewatch.runtime import ports
from tapewatch.runtime.alerting import Alerting, Means
from tapewatch.runtime.process import Process, Say
from tapewatch.runtime.sender import SEND_S, Sending
from tapewatch.runtime.watchdog import Heartbeat, Watchdog
from tapewatch.store import log
from tapewatch.store.bars import read_bars, read_span
from tapewatch.store.outbox import Outbox

HEALTH_PORT = 8714

BEFORE_S, AFTER_S = 300, 60
"""How much of the market around an anomaly its chart shows."""


class Settings(Struct, frozen=True):
    """What ``tapewatch alerts run`` needs of the configuration.

    Attributes
    ----------
    place
        Key of the channels, and where that was set, for errors.
    """

    db: str
    alerts: AlertsConfig
    place: str = "alerts.channels"
    host: str = ports.HOST


async def serve(settings: Settings, say: Say) -> None:
    """Run until a signal comes.

    Raises
    ------
    TapewatchError
        Something that a person can act on.
    """
    process = Process(say)
    process.listen_to_signals()
    async with AsyncExitStack() as stack:
        with before_it_runs():
            means = prepare(settings, process.clock, say)
            health_port = settings.alerts.health_port
            server = stack.enter_context(ports.bind(health_port, HEALTH_PORT, "alerts.health_port", settings.host))
        outbox = means.open_outbox()
        say("database", outbox.name)
        for channel, takes in means.channels:
            say("channel", f"{channel.name} ({channel.service}): {takes}")
        if settings.alerts.dashboard_url:
            say("links", _reach(settings.alerts.dashboard_url))
        alerting = Alerting(means)
        health = process.serve_health(server, alerting.describe, alerting.trouble)
        watching = means.watchdog.run(alerting.trouble, lambda: alerting.away)
        await process.together(_until_stopped(process, alerting, outbox), [health, watching])
        say("stopped", "what is not delivered yet is in the outbox")


async def _until_stopped(process: Process, alerting: Alerting, outbox: Outbox) -> None:
    telling = asyncio.ensure_future(alerting.run(outbox))
    with suppress(asyncio.CancelledError):
        await process.unless_stopped(telling)
        await telling


def _reach(dashboard_url: str) -> str:
    host = urlsplit(dashboard_url).hostname or ""
    alone = host == "localhost" or host.startswith("127.") or host == "::1"
    return f"{dashboard_url}{', which opens on this machine alone: set alerts.dashboard_url' if alone else ''}"


def check(settings: Settings) -> None:
    """Check what `prepare` would make.

    Raises
    ------
    ConfigError
        See `prepare`.
    """
    prepare(settings, SystemClock(), lambda *_: None)


def prepare(settings: Settings, clock: SystemClock, say: Say) -> Means:
    """Check all settings and make what alerting works with; no channel is asked for anything.

    Raises
    ------
    ConfigError
        A wrong address, an unknown service, a secret that is missing, a template that cannot be used.
    """
    config = settings.alerts
    templates = None if config.templates is None else Path(config.templates)
    writer = Writer(templates, config.dashboard_url)
    channels = [(Channel.open(each, os.environ, settings.place), each.takes) for each in config.channels]
    terms = [terms_of(config, each) for each in config.channels]
    heartbeat = Heartbeat(config.heartbeat(os.environ), say)
    told = [channel for channel, _ in channels]
    watchdog = Watchdog(Watch(round(config.ill_after_s * NS)), heartbeat, told, writer, clock, say)
    open_outbox = partial(Outbox.open, settings.db)
    return Means(open_outbox, channels, terms, writer, draw, traded, clock, say, config.keep_trying_s, watchdog)


def send_sample(settings: Settings, name: str | None) -> Iterator[tuple[Sending, Receipt, float]]:
    """Send a sample to one channel, or to all, one after the other.

    Yields
    ------
    tuple
        The channel, what it said, and how long that took, ms.

    Raises
    ------
    ConfigError
        See `prepare`.
    """
    clock = SystemClock()
    means = prepare(settings, clock, lambda *_: None)
    for channel, _ in means.channels:
        if name in (None, channel.name):
            began = clock.monotonic_ns()
            letter = means.writer.write(Message(0, channel.name, "sample", began, ()))
            receipt = channel.send(letter, None, SEND_S, None)
            yield channel, receipt, (clock.monotonic_ns() - began) / 1e6


def call_heartbeat(settings: Settings) -> tuple[bool, str]:
    """Call the service that notices when we end, once: whether it accepted, and what became of it; "": there is none.

    Raises
    ------
    ConfigError
        Its address cannot be found, or is none.
    """
    heartbeat = Heartbeat(settings.alerts.heartbeat(os.environ), lambda *_: None)
    failure = asyncio.run(heartbeat.ask()) if heartbeat.wanted else ""
    return not failure, f"not accepted: {failure}" if failure else "accepted" if failure is None else ""


def terms_of(config: AlertsConfig, channel: ChannelConfig) -> Terms:
    """Gather what a channel is to be told."""
    cool_down_s = config.cool_down_s if channel.cool_down_s is None else channel.cool_down_s
    return Terms(
        channel.name,
        channel.severity,
        channel.rules,
        channel.symbols,
        channel.venues,
        channel.ends,
        min_size=config.min_size if channel.min_size is None else channel.min_size,
        cool_down_ns=round(cool_down_s * NS),
        halving_ns=round(config.mute_halving_s * NS),
        budget=config.budget_per_hour if channel.budget_per_hour is None else channel.budget_per_hour,
        free_step=config.unbudgeted_step,
        group_ns=round(config.group_s * NS),
        follow_up_max_ns=round(config.follow_up_max_s * NS),
        late_ns=round(config.late_s * NS),
    )


def traded(outbox: Outbox, lane: str, since: int, until: int) -> Span | None:
    """Read what a lane, as ``venue:symbol``, has traded in a span of time, ns by the lanes' clock."""
    venue, _, symbol = lane.partition(":")
    with outbox.reader.connect() as connection:
        span = read_span(connection, Lane(venue, symbol), since, until)
    return None if span is None else Span(*span)


def draw(outbox: Outbox, anomaly_id: str) -> bytes | None:
    """Draw the minutes around an anomaly as they stand in the database; None where there is nothing to draw."""
    with outbox.reader.connect() as connection:
        anomaly = log.anomaly(connection, anomaly_id)
        if anomaly is None:
            return None
        end_ns = anomaly.last_ts + AFTER_S * NS
        lane = Lane(anomaly.venue, anomaly.symbol)
        bars = read_bars(connection, lane, 1, start_ns=anomaly.opened_ts - BEFORE_S * NS, end_ns=end_ns)
    return chart(bars, anomaly)
