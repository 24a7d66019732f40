"""A stack with parts that cost nothing: started, watched, ended, found again by their mark."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest

from support.stacks import marked
from support.virtual_time import PATIENCE_S
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.errors import ConfigError, TapewatchError
from tapewatch.runtime import parts, ports, stack, standing
from tapewatch.runtime.jars import JarSet
from tapewatch.runtime.opening import StackConfig
from tapewatch.runtime.parts import IDENTITY, PORTS, Part, keep, named
from tapewatch.runtime.process import Process
from tapewatch.runtime.stack import Stack
from tapewatch.store.lock import Lock

KAFKA = KafkaConfig()
SERVER = "from http.server import *; HTTPServer(('127.0.0.1', {port}), SimpleHTTPRequestHandler).serve_forever()"


class Rig:
    """A stack that nobody has brought up, and what it says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.said: list[str] = []
        self.process = Process(lambda topic, text: self.said.append(f"{topic}: {text}"))
        self.stack = Stack(StackConfig(home=str(home)), KAFKA, home / "jars", self.process)

    def part(self, code: str, *, finite: bool = False) -> Part:
        with ports.bind(None, 18_800, "x") as free:
            port = free.getsockname()[1]
        command = (sys.executable, "-c", code.format(port=port))
        return Part("fake", command, f"http://127.0.0.1:{port}/", f"127.0.0.1:{port}", finite=finite)

    async def standing(self) -> list[standing.Standing]:
        noted = standing.running(self.home)
        assert noted is not None
        return await standing.standing(self.home, noted, KAFKA)


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.delenv(standing.MARK, raising=False)
    monkeypatch.setattr(stack, "LOOK_EVERY_S", 0.02)
    made = Rig(tmp_path)
    yield made
    await made.stack.end()
    assert marked(tmp_path) == []


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S * 3):
        while not await condition():  # noqa: ASYNC110  # nobody else wants to know
            await asyncio.sleep(0.02)


class TestStart:
    async def test_a_part_is_told_and_noted_when_it_answers(self, rig: Rig) -> None:
        part = rig.part(SERVER)
        await rig.stack.start(part)
        assert len(rig.said) == 1
        assert re.fullmatch(rf"fake: healthy after \d+ s: {part.address}", rig.said[0])
        (found,) = await rig.standing()
        assert (found.name, found.trouble, found.address) == ("fake", None, part.address)
        assert found.pid in marked(rig.home)

    async def test_one_that_dies_is_started_again(self, rig: Rig) -> None:
        await rig.stack.start(rig.part(SERVER))
        (before,) = await rig.standing()
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)

        async def another() -> bool:
            (now,) = await rig.standing()
            return now.trouble is None and now.pid != before.pid

        await until(another)
        await rig.stack.tell_again()
        await rig.stack.tell_again()
        assert rig.said[1:] == ["fake: ended with code -9; it is started again in 1 s", "fake: healthy again"]

    async def test_one_that_was_set_wrong_ends_the_start(self, rig: Rig) -> None:
        with pytest.raises(ConfigError) as refused:
            await rig.stack.start(rig.part("print('first'); print('tapewatch: no such thing'); exit(2)"))
        log = rig.home / "logs" / "fake.log"
        assert str(refused.value) == f"stack: fake cannot be started: no such thing; see {log}"
        assert log.read_text() == "first\ntapewatch: no such thing\n"

    async def test_one_that_is_never_healthy_ends_the_start(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stack, "READY_S", 0.3)
        with pytest.raises(TapewatchError, match=r"fake is not healthy after 0 s: .*; see .*fake\.log") as failed:
            await rig.stack.start(rig.part("import time; time.sleep(60)"))
        assert failed.value.exit_code == 1

    async def test_somebody_else_who_answers_is_not_it(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        there = rig.part(SERVER)
        await rig.stack.start(there)
        monkeypatch.setattr(stack, "READY_S", 0.3)
        late = there._replace(name="late", command=(sys.executable, "-c", "import time; time.sleep(60)"))
        with pytest.raises(
            TapewatchError, match=rf"late is not healthy after 0 s: somebody else answers at {there.probe}"
        ):
            await rig.stack.start(late)

    async def test_what_takes_long_says_why(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stack, "PATIENCE_S", 0.0)
        await rig.stack.start(rig.part(f"import time; time.sleep(0.3); {SERVER}"))
        assert rig.said[0].startswith("fake: not healthy yet: ")
        assert len(rig.said) == 2

    async def test_one_that_has_an_end_may_come_to_it(self, rig: Rig) -> None:
        await rig.stack.start(rig.part("print('all sent')", finite=True))
        assert rig.said == ["fake: has come to its end"]
        assert await rig.standing() == [standing.Standing("fake", None, None, "done")]

    async def test_one_without_an_end_may_not(self, rig: Rig) -> None:
        starting = asyncio.create_task(rig.stack.start(rig.part("print('all sent')")))

        async def said() -> bool:
            return rig.said == ["fake: ended with code 0; it is started again in 1 s"]

        await until(said)
        rig.process.stopping.set()
        await starting

    async def test_a_stop_ends_a_part_that_is_starting(self, rig: Rig) -> None:
        starting = asyncio.create_task(rig.stack.start(rig.part("import time; time.sleep(60)")))

        async def there() -> bool:
            return len(marked(rig.home)) == 1

        await until(there)
        rig.process.stopping.set()
        await starting
        assert rig.said == []


class TestUp:
    async def test_a_stop_ends_a_fetch_of_jars(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        def fetched(_: JarSet, __: Path) -> list[Path]:
            subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=False)
            raise TapewatchError("cannot be fetched")

        monkeypatch.setenv(standing.MARK, "")  # taken back afterwards
        monkeypatch.setattr(stack, "fetched", fetched)
        up = asyncio.create_task(rig.stack.up())

        async def there() -> bool:
            return len(marked(rig.home)) == 1

        await until(there)
        rig.process.stopping.set()
        await up
        assert rig.said[-1] == "stack: stopped; its data are kept"
        assert marked(rig.home) == []
        assert standing.running(rig.home) is None

    async def test_a_second_one_is_refused(self, rig: Rig) -> None:
        lock = Lock(rig.home / "stack")
        standing.note(rig.home)
        with pytest.raises(ConfigError, match=rf"a stack runs there already \(process {os.getpid()}\)"):
            await rig.stack.up()
        lock.release()

    async def test_a_folder_that_cannot_be_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match=r"stack\.home .*: the folder cannot be made \(Not a directory\)"):
            await Rig(tmp_path / "file" / "home").stack.up()


class TestKept:
    def test_the_ports_stay(self, tmp_path: Path) -> None:
        first = keep(tmp_path, "simulated")
        assert set(first.ports) == set(PORTS)
        assert len(set(first.ports.values())) == len(PORTS)
        assert keep(tmp_path, "simulated") == first

    def test_only_those_that_are_somebodys_name_must(self, tmp_path: Path) -> None:
        first = keep(tmp_path, "simulated")
        with ports.bind(first.ports["dashboard"], 0, "x"):
            again = keep(tmp_path, "simulated")
        assert again.ports["dashboard"] != first.ports["dashboard"]
        for name in IDENTITY:
            port = first.ports[name]
            with ports.bind(port, 0, "x"), pytest.raises(ConfigError, match=rf"port {port} is taken, and .*its {name}"):
                keep(tmp_path, "simulated")

    def test_a_port_that_is_taken_before_the_first_start_gives_way(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            before = dict(PORTS)
            PORTS["kafka"] = taken
            try:
                assert keep(tmp_path, "simulated").ports["kafka"] != taken
            finally:
                PORTS.update(before)

    def test_a_folder_belongs_to_one_source(self, tmp_path: Path) -> None:
        keep(tmp_path, "simulated")
        with pytest.raises(ConfigError, match="holds what came from simulated, found the source coinbase; choose"):
            keep(tmp_path, "coinbase")

    def test_a_folder_of_before_simulated_trades_had_a_name_is_refused(self, tmp_path: Path) -> None:
        ports = parts.keep(tmp_path, "simulated").ports
        assert parts.keep(tmp_path, "simulated").ports == ports
        (tmp_path / "kept.json").write_text(json.dumps({"source": "simulated", "ports": ports}))
        with pytest.raises(ConfigError, match=r"holds simulated trades under the name coinbase, .* choose another"):
            parts.keep(tmp_path, "simulated")
        (tmp_path / "kept.json").write_text(json.dumps({"source": "coinbase", "ports": ports}))
        assert parts.keep(tmp_path, "coinbase").ports == ports

    def test_a_tape_is_the_same_from_everywhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert named("tape:day.csv") == f"tape:{tmp_path / 'day.csv'}" == named(f"tape:{tmp_path / 'day.csv'}")
        assert named("simulated") == "simulated"


class TestParts:
    def described(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, *, alerting: bool = False
    ) -> list[Part]:
        monkeypatch.setattr(parts.Broker, "prepare", lambda _: None)
        monkeypatch.setattr(parts.Broker, "command", ("java",))
        kept = keep(tmp_path, source)
        flags = ("--set", "kafka.trades=t")
        url = "postgresql://u:hidden@127.0.0.1/d"
        return parts.parts(tmp_path, kept, [], url, flags=flags, rate=50.0, alerting=alerting)

    def test_where_there_are_channels_they_are_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        *_, alerts = self.described(tmp_path, monkeypatch, "simulated", alerting=True)
        assert (alerts.name, alerts.command[3:5]) == ("alerts", ("alerts", "run"))
        assert "hidden" not in str(alerts.command)
        assert alerts.environment == {"TAPEWATCH_RUN__DB": "postgresql://u:hidden@127.0.0.1/d"}
        assert alerts.probe.endswith("/readyz")

    @pytest.mark.parametrize(
        ("source", "names"),
        [
            ("simulated", ["kafka", "exchange", "produce", "detect", "dashboard"]),
            ("coinbase", ["kafka", "produce", "detect", "dashboard"]),
            ("tape:x", ["kafka", "produce", "detect", "dashboard"]),
        ],
    )
    def test_each_source_has_what_it_needs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, names: list[str]
    ) -> None:
        found = self.described(tmp_path, monkeypatch, source)
        assert [part.name for part in found] == names
        assert {part.name: part.finite for part in found}["produce"] == source.startswith("tape:")
        assert "hidden" not in str([part.command for part in found])
        ours = [part.command for part in found if part.name != "kafka"]
        assert all(command[3:6][1:] == ("--set", "kafka.trades=t") for command in ours)
        told = [part.name for part in found if "run.source=simulated" in part.command]
        assert told == (["detect"] if source == "simulated" else [])
        named = [part.name for part in found if "capture.coinbase.venue=simulated" in part.command]
        assert named == (["produce"] if source == "simulated" else [])

    async def test_nobody_who_answers_is_trouble(self, tmp_path: Path) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            probe = f"http://127.0.0.1:{port}/"
            assert await parts.trouble(probe, tmp_path, KAFKA) == f"nobody answers at {probe}"
        assert await parts.trouble("postgresql", tmp_path, KAFKA) == "not running"

    @pytest.mark.parametrize(
        ("status", "why"), [(None, None), ("partly ready", None), ("not ready", "ETH-USD is delisted")]
    )
    async def test_one_product_that_is_refused_does_not_keep_a_stack_from_standing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str | None, why: str | None
    ) -> None:
        said = {"status": status or "ready", "reason": "ETH-USD is delisted"}
        answer = httpx.MockTransport(lambda _: httpx.Response(503 if status else 200, json=said))
        plain = httpx.AsyncClient
        monkeypatch.setattr(httpx, "AsyncClient", lambda **_: plain(transport=answer))
        assert await parts.trouble("http://127.0.0.1:1/readyz", tmp_path, KAFKA) == why


class TestDown:
    def test_only_what_is_marked_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def sleeper(home: Path | None) -> subprocess.Popen[bytes]:
            code = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); input()"
            environment = {**os.environ, **({} if home is None else {standing.MARK: str(home)})}
            child = subprocess.Popen(
                [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert child.stdout is not None
            child.stdout.readline()
            return child

        monkeypatch.setattr(standing, "GRACE_S", 0.2)
        mine, others, nobodys = sleeper(tmp_path), sleeper(tmp_path / "other"), sleeper(None)
        try:
            assert standing.down(tmp_path) == (False, 1)
            assert not psutil.pid_exists(mine.pid)
            assert others.poll() is None is nobodys.poll()
            assert standing.down(tmp_path) == (False, 0)
        finally:
            for child in (mine, others, nobodys):
                child.kill()
                child.communicate()

    def test_where_nothing_ever_was_nothing_is_made(self, tmp_path: Path) -> None:
        assert standing.down(tmp_path / "nowhere") == (False, 0)
        assert not (tmp_path / "nowhere").exists()

    def test_a_note_of_a_dead_process_is_not_believed(self, tmp_path: Path) -> None:
        standing.note(tmp_path)
        assert standing.running(tmp_path) is not None
        mine = psutil.Process()
        noted = standing.Running(mine.pid, mine.create_time() - 1, [], up=True)
        (tmp_path / "stack.json").write_bytes(msgspec.json.encode(noted))
        assert standing.running(tmp_path) is None
        (tmp_path / "stack.json").write_text("{")
        assert standing.running(tmp_path) is None
