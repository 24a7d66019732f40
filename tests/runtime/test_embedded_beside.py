"""What stands beside the loop: ports, health, the supervised child and its leash, latency, limits."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest

from support.runs import SkippingTime
from support.virtual_time import PATIENCE_S
from tapewatch import telemetry
from tapewatch.detect.rules import RULES
from tapewatch.errors import ConfigError
from tapewatch.model import NS
from tapewatch.runtime import ports
from tapewatch.runtime.health import application
from tapewatch.runtime.latency import WINDOW_NS, Latency
from tapewatch.runtime.leash import LEASH
from tapewatch.runtime.requests import Limits, Setting, answer
from tapewatch.runtime.source import Partly
from tapewatch.runtime.supervise import BACKOFF_S, STEADY_NS, USAGE, Child
from tapewatch.store.records import Request

MS = 1_000_000


class TestPorts:
    def test_the_default_that_is_taken_gives_way(self) -> None:
        with ports.bind(None, 18710, "x") as first, ports.bind(None, 18710, "x") as second:
            assert second.getsockname()[1] > first.getsockname()[1] >= 18710
            assert first.getsockname()[0] == "127.0.0.1"

    def test_a_port_that_was_asked_for_does_not(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(ConfigError, match=rf"dashboard\.port: port {port} is taken; choose another one"):
                ports.choose(port, 18710, "dashboard.port")
        assert ports.choose(port, 18710, "dashboard.port") == port

    def test_another_address_of_this_machine_will_do(self) -> None:
        with ports.bind(None, 18710, "x", "0.0.0.0") as everywhere:  # noqa: S104  # what a container needs
            assert everywhere.getsockname()[0] == "0.0.0.0"  # noqa: S104
        for wrong in ("203.0.113.1", "no.such.host.invalid"):
            with pytest.raises(ConfigError, match=rf"run\.host: expected an address of this machine, found '{wrong}'"):
                ports.choose(None, 18710, "run.health_port", wrong)


class TestHealth:
    def client(self, trouble: str | None) -> httpx.AsyncClient:
        app = application(lambda: {"rows": 7}, lambda: trouble)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")

    async def test_healthy_and_ready(self) -> None:
        async with self.client(None) as client:
            assert (await client.get("/healthz")).json() == {"status": "ok", "rows": 7}
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()) == (200, {"status": "ready"})

    async def test_not_ready_says_why(self) -> None:
        async with self.client("no row stored yet") as client:
            assert (await client.get("/healthz")).status_code == 200
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json() == {"status": "not ready", "reason": "no row stored yet"}

    async def test_trouble_of_some_lanes_is_told_apart(self) -> None:
        async with self.client(Partly("coinbase does not serve YFI-USD: YFI-USD is delisted")) as client:
            ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {
            "status": "partly ready",
            "reason": "coinbase does not serve YFI-USD: YFI-USD is delisted",
        }

    async def test_metrics_are_those_of_telemetry(self) -> None:
        telemetry.TRADES.labels("nowhere", "X-USD").inc(3)
        async with self.client(None) as client:
            text = (await client.get("/metrics")).text
        assert 'tapewatch_trades_total{symbol="X-USD",venue="nowhere"} 3.0' in text
        assert "tapewatch_frame_to_commit_seconds_bucket" in text


class _Process:
    """A child that ends with a code after some time of the test's clock."""

    def __init__(self, time: SkippingTime, lives_s: float, code: int) -> None:
        self.pid = 4711
        self._time, self._lives_s, self._code = time, lives_s, code

    async def wait(self) -> int:
        await self._time.sleep(self._lives_s)
        return self._code


class TestChild:
    def child(self, lives: Sequence[tuple[float, int]]) -> tuple[Child, SkippingTime, list[str]]:
        time, said, left = SkippingTime(), [], list(lives)

        async def spawn(_: Sequence[str]) -> Any:
            return _Process(time, *left.pop(0))

        return Child(["dashboard"], say=said.append, clock=time, sleep=time.sleep, spawn=spawn), time, said

    async def test_it_is_started_again_ever_more_patiently(self) -> None:
        child, time, said = self.child([(0.5, 1)] * 8 + [(0.5, USAGE)])
        await child.run()
        waits = [seconds for seconds in time.slept if seconds != 0.5]
        assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
        assert waits[:6] == list(BACKOFF_S)
        assert said[0] == "ended with code 1; it is started again in 1 s"
        assert said[-1].startswith("cannot be started with these settings")
        assert child.pid is None

    async def test_one_that_lived_long_begins_anew(self) -> None:
        long_s = STEADY_NS / NS + 1
        child, time, _ = self.child([(1.5, 1), (1.5, 1), (long_s, -9), (1.5, USAGE)])
        await child.run()
        assert [seconds for seconds in time.slept if seconds in BACKOFF_S] == [1, 2, 1]

    async def test_a_real_one_ends_with_us(self) -> None:
        time = SkippingTime()
        child = Child(["--help"], say=lambda _: None, clock=time, spawn=_sleeper)
        running = asyncio.create_task(child.run())
        pid = await _pid(child)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    async def test_one_that_will_not_end_is_made_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tapewatch.runtime.supervise.GRACE_S", 0.05)
        child = Child(["--help"], say=lambda _: None, clock=SkippingTime(), spawn=_deaf)
        running = asyncio.create_task(child.run())
        pid = await _pid(child)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def _pid(child: Child) -> int:
    async with asyncio.timeout(PATIENCE_S):
        while child.pid is None:  # noqa: ASYNC110  # nobody else wants to know
            await asyncio.sleep(0.01)
    return child.pid


async def _sleeper(_: Sequence[str]) -> Any:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")


async def _deaf(_: Sequence[str]) -> Any:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


def test_a_child_ends_when_its_parent_is_killed() -> None:
    # A parent that holds the leash of a child, as the runtime does; the test kills the parent with SIGKILL.
    grandchild = (
        "import os, time\n"
        "from tapewatch.runtime.leash import LEASH, end_with_parent\n"
        "end_with_parent(int(os.environ[LEASH])); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys, time\n"
        "end, _ = os.pipe()\n"
        f"env = {{**os.environ, {LEASH!r}: str(end)}}\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], pass_fds=(end,), env=env)\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, grandchild], stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    os.kill(pid, 0)
    process.send_signal(signal.SIGKILL)
    process.communicate()  # the child has inherited the pipes: they are closed when it has ended


class TestLatency:
    def test_percentiles_of_the_last_minute(self) -> None:
        latency = Latency()
        latency.add(np.empty(0, np.int64), 5 * NS)
        assert latency.p99_ms is None
        now = 1000 * NS
        latency.add(now - np.arange(1, 101) * MS, now)
        assert latency.p50_ms == pytest.approx(50.5)
        assert latency.p99_ms == pytest.approx(99.0, abs=0.1)
        assert type(latency.p50_ms) is float
        later = now + WINDOW_NS + NS
        latency.add(np.array([later - 7 * MS]), later)
        assert (latency.p50_ms, latency.p99_ms) == (7.0, 7.0)


class TestLimits:
    def test_settings_come_on_top_of_the_configuration_and_the_last_one_wins(self) -> None:
        limits = Limits({"pct_spike": {"threshold_pct": 1, "ETH-*": {"window_s": 20}}})
        limits = limits.change(Setting("pct_spike", "ETH-*", {"threshold_pct": 2}))
        limits = limits.change(Setting("pct_spike", "*", {"threshold_pct": 3}))
        limits = limits.change(Setting("pct_spike", "ETH-*", {"quiet_s": 30}))

        def of(symbol: str) -> tuple[float, float, float]:
            params: Any = limits.book.params(RULES[0], symbol)
            return params.threshold_pct, params.window_s, params.quiet_s

        assert of("BTC-USD") == (3, 10, 60)
        assert of("ETH-USD") == (2, 20, 30)
        again = Limits.decode({"pct_spike": {"threshold_pct": 1, "ETH-*": {"window_s": 20}}}, limits.encode())
        assert again.settings == limits.settings
        back = limits.change(Setting("pct_spike", "ETH-*"))
        assert of("ETH-USD") == (2, 20, 30)  # a value, not a place
        assert [setting.pattern for setting in back.settings] == ["*"]

    def test_a_rule_can_be_switched_off(self) -> None:
        request = Request(1, 2, "limits", '{"rule":"abs_jump","pattern":"BTC-*","values":{"armed":false}}')
        said, limits = answer(request, Limits({}))
        assert said == "done: abs_jump on BTC-*: armed False"
        assert limits.book.params(RULES[1], "BTC-USD") is None

    def test_a_refusal_changes_nothing(self) -> None:
        before = Limits({})
        for kind, arguments in (("limits", "{"), ("limits", '{"rule":"x"}'), ("tea", "{}")):
            said, after = answer(Request(1, 2, kind, arguments), before)
            assert said.startswith("refused: ")
            assert after is before
