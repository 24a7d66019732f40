"""How a stack stands, and how it ends, from outside: a folder in; its processes carry a mark in their environment."""

import asyncio
import os
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.errors import ConfigError, TapewatchError
from tapewatch.runtime import postgres
from tapewatch.runtime.parts import POSTGRESQL, Part, trouble

try:
    import psutil
except ImportError as error:  # pragma: no cover  # the wheel's test installs without it
    raise ConfigError("a stack on this machine needs more: pip install 'tapewatch[scale]'") from error

MARK = "TAPEWATCH_STACK"
"""Environment variable of everything that belongs to a stack: its folder."""

PART = "TAPEWATCH_PART"
"""The same: which part of it."""

GRACE_S = 8.0
"""How long a process may take to end before it is made to."""

DOWN_S = 90.0
"""How long a stack may take to end all its parts in order."""


class Noted(Struct, frozen=True):
    """One part as ``stack status`` finds it; ``done``: it has come to its end, as it should."""

    name: str
    probe: str
    address: str
    done: bool = False


class Running(Struct, frozen=True):
    """The process that runs a stack, and its parts so far; ``up``: these are all."""

    pid: int
    started: float
    parts: list[Noted]
    up: bool


class Standing(NamedTuple):
    """How one part stands now.

    Attributes
    ----------
    pid
        None where it does not run.
    trouble
        Why it is not healthy; None when it is.
    """

    name: str
    pid: int | None
    trouble: str | None
    address: str


async def health(pid: int | None, probe: str, home: Path, kafka: KafkaConfig) -> str | None:
    """Ask a part how it is, and make sure that it was the part that answered; see `parts.trouble`."""
    if pid is None:
        return "not running"
    why = await trouble(probe, home, kafka)
    if why is not None or probe == POSTGRESQL or _listens(pid, urlsplit(probe).port):
        return why
    return f"somebody else answers at {probe}"


def note(home: Path, parts: Iterable[Part] = (), done: Container[str] = (), *, up: bool = False) -> None:
    """Write down for others that this process runs a stack, and what is up."""
    mine = psutil.Process()
    noted = [Noted(part.name, part.probe, part.address, part.name in done) for part in parts]
    new = _file(home).with_suffix(".new")
    new.write_bytes(msgspec.json.encode(Running(mine.pid, mine.create_time(), noted, up)))
    new.replace(_file(home))


def forget(home: Path) -> None:
    """Take back what `note` wrote."""
    _file(home).unlink(missing_ok=True)


def running(home: Path) -> Running | None:
    """Read which stack runs in a folder; None where none does."""
    try:
        noted = msgspec.json.decode(_file(home).read_bytes(), type=Running)
        alive = psutil.Process(noted.pid).create_time() == noted.started
    except (OSError, msgspec.DecodeError, psutil.Error):
        return None
    return noted if alive else None


async def standing(home: Path, noted: Running, kafka: KafkaConfig) -> list[Standing]:
    """Ask all parts of a stack at once."""
    pids = {name: process.pid for name, process in _leaders(home, noted.pid).items()}

    async def one(part: Noted) -> Standing:
        if part.done:
            return Standing(part.name, None, None, "done")
        pid = _server(home).pid if part.probe == POSTGRESQL else pids.get(part.name)
        return Standing(part.name, pid, await health(pid, part.probe, home, kafka), part.address)

    return await asyncio.gather(*(one(part) for part in noted.parts))


def down(home: Path) -> tuple[bool, int]:
    """End a stack, or what a killed one has left.

    Returns
    -------
    tuple
        Whether one was running, and how many processes had been left.

    Raises
    ------
    TapewatchError
        It does not end.
    """
    noted = running(home)
    if noted is not None:
        process = psutil.Process(noted.pid)
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        try:
            process.wait(DOWN_S)
        except psutil.TimeoutExpired:
            raise TapewatchError(f"stack.home {home}: process {noted.pid} does not end within {DOWN_S:.0f} s") from None
    return noted is not None, end_leftovers(home)


def end_leftovers(home: Path) -> int:
    """End every process that belongs to a stack's folder, except ourselves and our parents; tell how many."""
    if not home.is_dir():
        return 0
    ours = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    found = [each for each in psutil.process_iter() if each.pid not in ours and _mark(each, MARK) == str(home)]
    for each in found:
        with suppress(psutil.Error):
            each.terminate()
    _, stubborn = psutil.wait_procs(found, timeout=GRACE_S)
    for each in stubborn:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(stubborn, timeout=GRACE_S)
    return len(found) + _end_server(home)


def _end_server(home: Path) -> int:
    # It carries no mark: PostgreSQL writes its titles over its environment. Its folder tells.
    if not (home / POSTGRESQL).is_dir():
        return 0
    server = _server(home)
    ran = server.pid is not None
    server.stop()
    return int(ran)


def _server(home: Path) -> postgres.Server:
    return postgres.Server(home / POSTGRESQL, postgres.find())


def _leaders(home: Path, parent: int) -> dict[str, psutil.Process]:
    # A part's own children carry its mark, too; it is the one that the stack has started.
    try:
        children = psutil.Process(parent).children()
    except psutil.Error:
        return {}
    ours = (each for each in children if _mark(each, MARK) == str(home))
    return {name: each for each in ours if (name := _mark(each, PART)) is not None}


def _listens(pid: int, port: int | None) -> bool:
    try:
        places = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(place.status == psutil.CONN_LISTEN and place.laddr.port == port for place in places)


def _mark(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except (psutil.Error, OSError):
        return None


def _file(home: Path) -> Path:
    return home / "stack.json"
