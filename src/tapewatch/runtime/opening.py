"""Settings become a source: a venue, an exchange simulated in this process, or a recorded tape."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from tapewatch.capture.coinbase import VENUE
from tapewatch.capture.config import CaptureConfig, CoinbaseConfig
from tapewatch.capture.rest import check_symbols
from tapewatch.capture.session import Session
from tapewatch.carry.tape import Tape
from tapewatch.clock import Clock
from tapewatch.detect.core import Ledger
from tapewatch.dispatch.config import AlertsConfig
from tapewatch.errors import ConfigError
from tapewatch.model import SIMULATED, Lane
from tapewatch.runtime.live import LiveSource
from tapewatch.runtime.ports import HOST
from tapewatch.runtime.source import RowSource
from tapewatch.runtime.tape import TapeSource
from tapewatch.simulate.exchange import Exchange, ExchangeConfig
from tapewatch.store.records import Source

TAPE = "tape:"

Port = Annotated[int, Meta(ge=1, le=65_535)]


class StackConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``stack``."""

    home: Annotated[str, Meta(min_length=1, description="Folder of its data and logs")] = "data/stack"
    source: Annotated[str, Meta(min_length=1, description="simulated, coinbase or tape:PATH")] = "simulated"
    rate: Annotated[float, Meta(gt=0, description="Trades a second of the simulated exchange")] | None = None

    def __post_init__(self) -> None:
        path = self.source.removeprefix(TAPE)
        if self.source.startswith(TAPE):
            if not path or not Path(path).exists():
                raise ValueError(f"source: expected a recorded tape, found no such file or folder: {path!r}")
        elif self.source not in (SIMULATED, VENUE):
            raise ValueError(f"source: expected {SIMULATED}, {VENUE} or {TAPE}PATH, found {self.source!r}")


class RunConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``run``.

    Attributes
    ----------
    source
        ``coinbase``, ``simulated`` or ``tape:PATH``.
    speed
        Of a tape.
    """

    source: Annotated[str, Meta(description="Where trades come from: coinbase, simulated or tape:PATH")] = VENUE
    speed: Annotated[
        float,
        Meta(ge=0, le=1e6, description="Speed of a tape: 1 as recorded, 60 an hour in a minute, 0 as fast as it goes"),
    ] = 1.0
    db: Annotated[
        str, Meta(min_length=1, description="Database: the path of an SQLite file, or postgresql://user@host/name")
    ] = "data/tapewatch.db"
    record: Annotated[str | None, Meta(description="Folder to record all rows into, as Parquet")] = None
    jsonl: Annotated[str | None, Meta(description="File to append each change of an anomaly to, as a line of JSON")] = (
        None
    )
    dashboard: Annotated[bool, Meta(description="Serve the dashboard beside it")] = True
    host: Annotated[str, Meta(min_length=1, description="Address that health and metrics listen at")] = HOST
    health_port: Annotated[
        Port | None, Meta(description="Port of /healthz, /readyz and /metrics; default 8711, or the next free one")
    ] = None
    tape_format: Annotated[str | None, Meta(description="Format of the tape; found out where it is not given")] = None
    tape_symbol: Annotated[str | None, Meta(description="Names the tape's lane where the file does not say it")] = None


class Settings(Struct, frozen=True):
    """What a run needs of the configuration, each section by its owner's struct.

    Attributes
    ----------
    alerts
        None: it tells nobody, whatever channels there are.
    """

    run: RunConfig = msgspec.field(default_factory=RunConfig)
    capture: CaptureConfig = msgspec.field(default_factory=CaptureConfig)
    exchange: ExchangeConfig = msgspec.field(default_factory=ExchangeConfig)
    alerts: AlertsConfig | None = None
    alerts_place: str = "alerts.channels"
    rules: dict[str, object] = {}


async def open_source(settings: Settings, clock: Clock, stack: AsyncExitStack) -> RowSource:
    """Make the source that a person asked for.

    Parameters
    ----------
    stack
        Closes what the source needs.

    Raises
    ------
    ConfigError
        There is no such source, symbol or tape.
    TapeError
        The tape is damaged at its beginning.
    """
    run = settings.run
    if run.source.startswith(TAPE):
        return _tape(run, clock)
    if run.source == SIMULATED:
        return _simulated(settings, clock, stack)
    if run.source != VENUE:
        raise ConfigError(f"run.source: expected {VENUE}, {SIMULATED} or {TAPE}PATH, found {run.source!r}")
    capture = settings.capture
    await check_symbols(capture)
    return _live(Source(capture.coinbase.called, capture.coinbase.ws_url), capture, clock)


def _tape(run: RunConfig, clock: Clock) -> TapeSource:
    path = run.source.removeprefix(TAPE)
    if not path:
        raise ConfigError(f"run.source: expected {TAPE}PATH, found no path")
    tape = partial(Tape, [path], form=run.tape_format, symbol=run.tape_symbol)
    identity = Source("tape", str(Path(path).resolve()), digest=tape().fingerprint())
    return TapeSource(identity, lambda on_bad: iter(tape(on_bad=on_bad)), speed=run.speed, clock=clock)


def _simulated(settings: Settings, clock: Clock, stack: AsyncExitStack) -> LiveSource:
    config = msgspec.structs.replace(settings.exchange, symbols=settings.capture.symbols)
    exchange = Exchange(config, clock=clock)

    async def make(ledgers: Mapping[Lane, Ledger]) -> Session:
        # The market opens with the capture: what it does before anybody listens would be lost.
        await stack.enter_async_context(exchange)
        found = CoinbaseConfig(ws_url=exchange.ws_url, rest_url=exchange.rest_url)
        capture = msgspec.structs.replace(settings.capture, coinbase=found)
        return Session(capture, clock=clock, ledgers=ledgers, venue=SIMULATED)

    return LiveSource(Source(SIMULATED, seed=config.seed), make, clock)


def _live(identity: Source, capture: CaptureConfig, clock: Clock) -> LiveSource:
    async def make(ledgers: Mapping[Lane, Ledger]) -> Session:
        return Session(capture, clock=clock, ledgers=ledgers, venue=capture.coinbase.called)

    return LiveSource(identity, make, clock)
