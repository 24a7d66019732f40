"""What a stack consists of: settings and ports in, commands, addresses and questions about their health out."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
from msgspec import Struct

from tapewatch.capture.coinbase import VENUE
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.carry.kafka.topics import make_topics
from tapewatch.errors import ConfigError, FeedError, StoreError
from tapewatch.model import SIMULATED
from tapewatch.runtime import ports, postgres
from tapewatch.runtime.broker import Broker
from tapewatch.runtime.health import PARTLY
from tapewatch.runtime.opening import TAPE
from tapewatch.runtime.supervise import OURS
from tapewatch.store.sql import Store

POSTGRESQL = "postgresql"

PORTS = {
    "kafka": 9092,
    "controller": 9093,
    POSTGRESQL: 5432,
    "exchange": 8720,
    "rest": 8730,
    "produce": 8712,
    "detect": 8713,
    "alerts": 8714,
    "dashboard": 8710,
    "spark": 4040,
}
"""Where each server is looked for a free port from."""

IDENTITY = ("kafka", "exchange")
"""What a topic and a database know their source by: these ports stay, whatever happens."""

PROBE_S = 3.0


class Kept(Struct, frozen=True):
    """What a stack's folder remembers from one start to the next.

    Attributes
    ----------
    venue
        What simulated trades are called in it; "" in a folder of before they had a name of their own.
    """

    source: str
    ports: dict[str, int]
    venue: str = ""


class Part(NamedTuple):
    """One process of the stack.

    Attributes
    ----------
    environment
        What must not stand in the list of processes.
    probe
        What to ask whether it is healthy; see `trouble`.
    address
        What a person can open or connect to.
    finite
        It may come to its end by itself, with exit code 0.
    """

    name: str
    command: Sequence[str]
    probe: str
    address: str
    environment: Mapping[str, str] = {}
    finite: bool = False


def keep(home: Path, source: str) -> Kept:
    """Choose ports, the same as the last time, and remember them and the source in the stack's folder.

    Raises
    ------
    ConfigError
        The folder belongs to another source, or a port that must stay the same is taken.
    """
    file = home / "kept.json"
    before = msgspec.json.decode(file.read_bytes(), type=Kept) if file.exists() else Kept(source, {}, SIMULATED)
    if before.source != source:
        raise ConfigError(
            f"stack.home {home}: holds what came from {before.source}, found the source {source}; "
            "choose another folder with --home, or remove this one to begin anew"
        )
    if source == SIMULATED != before.venue:
        raise ConfigError(
            f"stack.home {home}: holds simulated trades under the name {VENUE}, as an older version called them; "
            "choose another folder with --home, or remove this one to begin anew"
        )
    kept = Kept(source, _ports(before.ports), SIMULATED)
    file.write_bytes(msgspec.json.encode(kept))
    return kept


def _ports(before: Mapping[str, int]) -> dict[str, int]:
    found = {}
    with ExitStack() as held:  # all at once, so that no two get the same
        for name, default in PORTS.items():
            asked = before.get(name) if name in IDENTITY else None
            try:
                server = held.enter_context(ports.bind(asked, before.get(name, default), f"stack: {name}"))
            except ConfigError as error:
                if asked is None:
                    raise
                raise ConfigError(
                    f"stack: port {asked} is taken, and the data of this stack know its {name} by it; free the port, "
                    "or choose another folder with --home"
                ) from error
            found[name] = server.getsockname()[1]
    return found


def named(source: str) -> str:
    """Spell a source the same from everywhere: a tape's path in full."""
    return f"{TAPE}{Path(source.removeprefix(TAPE)).resolve()}" if source.startswith(TAPE) else source


def parts(
    home: Path,
    kept: Kept,
    jars: Sequence[Path],
    database: str,
    *,
    flags: Sequence[str],
    rate: float | None,
    alerting: bool,
) -> list[Part]:
    """Describe all parts in the order in which they start.

    Parameters
    ----------
    home
        The stack's folder.
    jars
        Of the broker.
    database
        Address of the database, with its password.
    flags
        Settings that every command of ours is given.
    rate
        Trades a second of the simulated exchange; None: its natural pace.
    alerting
        There are channels to tell.

    Raises
    ------
    TapewatchError
        The broker's data cannot be made.
    """
    at = kept.ports
    broker = Broker(home / "kafka", jars, at["kafka"], at["controller"])
    broker.prepare()
    brokers = ("--brokers", broker.address)
    secret = {"TAPEWATCH_RUN__DB": database}
    found = [Part("kafka", broker.command, f"kafka://{broker.address}", broker.address)]
    source = kept.source
    where: tuple[str, ...] = ()
    if source == SIMULATED:
        exchange = _exchange(home, at, flags, rate)
        found.append(exchange)
        rest_url = f"http://{ports.HOST}:{at['rest']}"
        source, where = VENUE, _set(ws_url=exchange.address, rest_url=rest_url, venue=SIMULATED)
    produce = (*OURS, "produce", *flags, *where, "--source", source, *brokers, "--health-port", str(at["produce"]))
    detect = (*OURS, "detect", *flags, "--set", f"detect.ui_port={at['spark']}", *brokers)
    if kept.source == SIMULATED:  # so that nobody takes it for a market
        detect += ("--set", f"run.source={SIMULATED}")
    detect += ("--health-port", str(at["detect"]), "--checkpoint", str(home / "checkpoint"))
    found += [
        Part(
            "produce",
            produce,
            _ready(at["produce"]),
            f"http://{ports.HOST}:{at['produce']}/metrics",
            finite=source.startswith(TAPE),
        ),
        Part("detect", detect, _ready(at["detect"]), f"http://{ports.HOST}:{at['detect']}/metrics", secret),
        Part(
            "dashboard",
            (*OURS, "dashboard", *flags, "--port", str(at["dashboard"])),
            f"http://{ports.HOST}:{at['dashboard']}/api/health",
            f"http://{ports.HOST}:{at['dashboard']}",
            secret,
        ),
    ]
    return [*found, _alerts(at, flags, secret)] if alerting else found


def _exchange(home: Path, at: Mapping[str, int], flags: Sequence[str], rate: float | None) -> Part:
    where = ("--port", str(at["exchange"]), "--rest-port", str(at["rest"]), "--labels", str(home / "labels.jsonl"))
    pace = () if rate is None else ("--rate", str(rate))
    command = (*OURS, "exchange", *flags, *where, *pace)
    return Part("exchange", command, f"http://{ports.HOST}:{at['rest']}/time", f"ws://{ports.HOST}:{at['exchange']}")


def _alerts(at: Mapping[str, int], flags: Sequence[str], secret: Mapping[str, str]) -> Part:
    command = (*OURS, "alerts", "run", *flags, "--health-port", str(at["alerts"]))
    return Part("alerts", command, _ready(at["alerts"]), f"http://{ports.HOST}:{at['alerts']}/metrics", secret)


def _set(**urls: str) -> tuple[str, ...]:
    return tuple(part for name, url in urls.items() for part in ("--set", f"capture.coinbase.{name}={url}"))


def _ready(port: int) -> str:
    return f"http://{ports.HOST}:{port}/readyz"


async def trouble(probe: str, home: Path, kafka: KafkaConfig) -> str | None:
    """Ask a part how it is.

    Parameters
    ----------
    probe
        An address of HTTP that must answer with success, ``kafka://HOST:PORT``, or ``postgresql``.
    home
        The stack's folder.
    kafka
        Topics, which are made where they are missing.

    Returns
    -------
    str | None
        Why it is not healthy; None when it is, if only for some of its lanes.
    """
    if probe.startswith("kafka://"):
        config = msgspec.structs.replace(kafka, brokers=probe.removeprefix("kafka://"))
        return await asyncio.to_thread(_trouble_of_kafka, config)
    if probe == POSTGRESQL:
        return await asyncio.to_thread(_trouble_of_postgresql, home)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(probe, timeout=PROBE_S)
    except httpx.HTTPError:
        return f"nobody answers at {probe}"
    if answer.is_success:
        return None
    try:
        said = answer.json()
        return None if said["status"] == PARTLY else str(said["reason"])
    except (ValueError, KeyError, TypeError):
        return f"{probe} answers with {answer.status_code}"


def _trouble_of_kafka(config: KafkaConfig) -> str | None:
    try:
        make_topics(config, PROBE_S)
    except FeedError as error:
        return str(error)
    return None


def _trouble_of_postgresql(home: Path) -> str | None:
    server = postgres.Server(home / POSTGRESQL, postgres.find())
    if server.pid is None:
        return "not running"
    reader = Store.read(server.url())
    try:
        reader.ready()
    except StoreError as error:
        return str(error)
    finally:
        reader.close()
    return None
