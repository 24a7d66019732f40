"""The watch over ourselves at work: who is called and when, who is told, once, whatever breaks on the way."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from support import receivers
from support.databases import Database
from support.receivers import WebReceiver
from support.tellers import channel, config, eventually
from tapewatch.clock import SystemClock
from tapewatch.dispatch.config import AlertsConfig
from tapewatch.dispatch.selfwatch import Notice, Sight, Watch
from tapewatch.errors import ConfigError, DatabaseAwayError
from tapewatch.model import NS
from tapewatch.runtime import alerts
from tapewatch.runtime.alerting import Alerting
from tapewatch.runtime.watchdog import Heartbeat, Watchdog
from tapewatch.store.outbox import Outbox
from tapewatch.store.records import Clock, Commit, FeedRow, Source
from tapewatch.store.sql import Store
from tapewatch.telemetry import REGISTRY

SECRET = "https://hc.example/5f3a-secret"  # noqa: S105  # made up


class Outside:
    """A service outside that counts its calls, and answers as it is told."""

    def __init__(self) -> None:
        self.calls: list[httpx.Request] = []
        self.answer: Callable[[httpx.Request], httpx.Response] = lambda _: httpx.Response(200)
        self.transport = httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        return self.answer(request)


def told(outcome: str) -> float:
    return REGISTRY.get_sample_value("tapewatch_heartbeats_total", {"outcome": outcome}) or 0.0


class Rig:
    """A heartbeat whose minutes pass when a test says so."""

    def __init__(self) -> None:
        self.seconds, self.said = 0, list[str]()
        self.outside = Outside()
        say = lambda topic, text: self.said.append(f"{topic}: {text}")  # noqa: E731
        heartbeat = Heartbeat(SECRET, say, self.outside.transport)
        writer: Any = None
        self.dog = Watchdog(Watch(120 * NS), heartbeat, [], writer, SystemClock(), say, ticks=lambda: self.seconds * NS)

    async def go(self, seconds: int, why: str | None = None) -> int:
        """Let seconds pass, and tell how many calls there were."""
        before = len(self.outside.calls)
        for _ in range(seconds):
            self.seconds += 1
            await self.dog.beat(why)
        return len(self.outside.calls) - before


class TestHeartbeat:
    async def test_it_goes_out_every_minute_while_all_is_well(self) -> None:
        rig = Rig()
        assert await rig.go(600) == 10
        assert {(call.method, str(call.url)) for call in rig.outside.calls} == {("GET", SECRET)}
        assert rig.said == ["heartbeat: goes out every minute"]

    async def test_it_goes_out_as_soon_as_all_is_well(self) -> None:
        rig = Rig()
        assert await rig.go(2, "the database was not looked at yet") == 0
        assert await rig.go(1) == 1
        assert await rig.go(59) == 0
        assert await rig.go(90, "capture was stopped") == 0
        assert await rig.go(1) == 1

    async def test_it_is_withheld_while_something_is_wrong_and_says_why_once(self) -> None:
        rig = Rig()
        before = told("withheld")
        assert await rig.go(120) == 2
        assert await rig.go(300, "capture was stopped") == 0
        assert told("withheld") == before + 5
        assert await rig.go(120) == 2
        assert rig.said == [
            "heartbeat: goes out every minute",
            "heartbeat: withheld: capture was stopped",
            "heartbeat: goes out every minute",
        ]

    @pytest.mark.parametrize(
        ("broken", "words"),
        [
            (lambda _: httpx.Response(503), "HTTP 503"),
            (lambda _: httpx.Response(302, headers={"location": SECRET}), "HTTP 302"),
            (
                lambda request: raised(httpx.ConnectError(f"cannot reach {SECRET}", request=request)),
                "no answer (ConnectError)",
            ),
        ],
        ids=["refused", "moved", "unreachable"],
    )
    async def test_a_failure_is_said_once_counted_always_and_quotes_no_secret(
        self, broken: Callable[[httpx.Request], httpx.Response], words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        rig = Rig()
        rig.outside.answer = broken
        before = told("failed")
        logging.getLogger("tapewatch").propagate = True
        with caplog.at_level(logging.DEBUG):
            assert await rig.go(300) == 5
        assert told("failed") == before + 5
        rig.outside.answer = lambda _: httpx.Response(200)
        assert await rig.go(60) == 1
        assert rig.said[1:] == [
            f"heartbeat: not accepted: {words}; it is tried again every minute",
            "heartbeat: accepted again",
        ]
        assert sum("heartbeat_failed" in line for line in caplog.text.splitlines()) == 1
        assert "secret" not in caplog.text + "".join(rig.said)

    async def test_without_an_address_nobody_is_called(self) -> None:
        rig = Rig()
        rig.dog._heartbeat = Heartbeat(None, lambda *_: None, rig.outside.transport)
        assert await rig.go(600) == 0


def raised(error: Exception) -> httpx.Response:
    raise error


# -- the whole chain ---------------------------------------------------------------------------------------------------


class Feed:
    """A program that captures: each commit says how its lane stands."""

    def __init__(self, url: str | URL, source: Source) -> None:
        self._store = Store.open(str(url), source=source)
        self._clock = SystemClock()

    def commit(self, state: Any = "live", ago_ns: int = 0) -> None:
        now = self._clock.now_ns()
        row = FeedRow("coinbase", "BTC-USD", state, "" if state == "live" else "the connection was lost", now, now)
        self._store.commit(Commit(Clock(now - ago_ns, now), feed=[row]))

    def close(self) -> None:
        self._store.close()


@pytest.fixture
def feed(database: Database) -> Iterator[Feed]:
    made = Feed(database.url, Source("coinbase", "wss://ws-feed.exchange.coinbase.com"))
    yield made
    made.close()


@pytest.fixture
def hook() -> Iterator[WebReceiver]:
    with receivers.web() as receiver:
        yield receiver


class Time:
    """A monotonic clock that a test may put forward, and how often the chain was looked at."""

    def __init__(self) -> None:
        self.ahead_s = self.looks = 0

    def __call__(self) -> int:
        return time.monotonic_ns() + self.ahead_s * NS

    async def forward(self, seconds: int) -> None:
        """Put it forward, and wait until somebody has looked since."""
        self.ahead_s += seconds
        for _ in range(2):  # one may have been on its way
            self.ahead_s += 1
            before = self.looks
            await eventually(partial(self._more_than, before))

    def pushed(self, seconds: int) -> bool:
        """Put it forward without waiting."""
        self.ahead_s += seconds
        return True

    def _more_than(self, looks: int) -> bool:
        return self.looks > looks


class CountedWatch(Watch):
    def __init__(self, ticks: Time) -> None:
        super().__init__(120 * NS)
        self._counted = ticks

    def look(self, sight: Sight) -> list[Notice]:
        self._counted.looks += 1
        return super().look(sight)


@asynccontextmanager
async def watching(database: Database, section: AlertsConfig, ticks: Time) -> AsyncIterator[Alerting]:
    """Run alerting and its watch in this process."""
    clock, say = SystemClock(), lambda *_: None
    means = alerts.prepare(alerts.Settings(str(database.url), section), clock, say)
    told = [each for each, _ in means.channels]
    dog = Watchdog(CountedWatch(ticks), Heartbeat(None, say), told, means.writer, clock, say, ticks=ticks)
    alerting = Alerting(means._replace(watchdog=dog))
    tasks = [
        asyncio.create_task(alerting.run(means.open_outbox())),
        asyncio.create_task(dog.run(alerting.trouble, lambda: alerting.away)),
    ]
    try:
        yield alerting
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                raise ended  # type: ignore[misc]  # neither ends by itself


async def passes(feed: Feed, ticks: Time, times: int = 1, seconds: int = 0) -> None:
    """Let the feed commit, and be looked at, some times."""
    for _ in range(times):
        await asyncio.to_thread(feed.commit)
        await ticks.forward(seconds)


def titles(hook: WebReceiver) -> list[str]:
    return [request.json["title"] for request in hook.accepted]


async def test_a_capture_that_died_is_told_to_all_once_over_restarts_and_so_is_its_return(
    feed: Feed, database: Database, hook: WebReceiver
) -> None:
    ticks = Time()
    section = config(channel(hook.host), channel(hook.host, "other", symbols=["ETH-*"]), budget_per_hour=1)
    async with watching(database, section, ticks):
        await passes(feed, ticks, 2)
        await ticks.forward(121)
        await eventually(lambda: len(hook.accepted) == 2)
        await ticks.forward(600)
    assert {request.path for request in hook.accepted} == {"/hook", "/other"}
    assert len(set(titles(hook))) == 1
    assert titles(hook)[0].startswith(
        "tapewatch is not watching: nothing was stored for 2 min, the program that captures"
    )
    assert [request.json["type"] for request in hook.accepted] == ["failure"] * 2
    async with watching(database, section, ticks):
        await ticks.forward(600)
        assert len(hook.accepted) == 2
        await passes(feed, ticks, 3, 10)
        await eventually(lambda: len(hook.accepted) == 4)
        await passes(feed, ticks, 3)
    assert all(title.startswith("tapewatch is well again: it was blind from ") for title in titles(hook)[2:])
    assert [request.json["type"] for request in hook.accepted][2:] == ["info"] * 2
    states = database.rows("SELECT kind, state FROM messages ORDER BY number")
    assert states == [("health", "sent")] * 4


async def test_a_decision_that_could_not_be_stored_says_nothing_twice(
    feed: Feed, database: Database, hook: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks, commit, failures = Time(), Outbox.commit, [DatabaseAwayError("the connection was lost")]

    def fails(outbox: Outbox, decision: Any) -> None:
        if decision.posts and failures:
            raise failures.pop()
        commit(outbox, decision)

    monkeypatch.setattr(Outbox, "commit", fails)
    async with watching(database, config(channel(hook.host)), ticks):
        await passes(feed, ticks, 2)
        ticks.ahead_s += 121
        await eventually(lambda: not failures)
        await ticks.forward(0)  # the database is opened again
        await ticks.forward(121)
        await eventually(lambda: len(hook.accepted) == 1)
        await ticks.forward(600)
    assert len(hook.accepted) == 1


async def test_a_replay_is_not_watched(database: Database, hook: WebReceiver) -> None:
    tape, ticks = Feed(database.url, Source("tape", "/days/crash")), Time()
    async with watching(database, config(channel(hook.host)), ticks):
        await passes(tape, ticks, 2)
        await ticks.forward(600)
    tape.close()
    assert hook.requests == []


async def test_a_database_that_is_away_is_told_without_it(
    feed: Feed, database: Database, hook: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks, fresh, away = Time(), Outbox.fresh, list[bool]()

    def gone(outbox: Outbox, after: int, limit: int) -> Any:
        if away:
            raise DatabaseAwayError("x.db: the connection was lost")
        return fresh(outbox, after, limit)

    monkeypatch.setattr(Outbox, "fresh", gone)
    async with watching(database, config(channel(hook.host)), ticks) as alerting:
        await passes(feed, ticks, 2)
        away.append(True)
        await eventually(lambda: alerting.away is not None)
        await eventually(lambda: ticks.pushed(10) and bool(hook.requests))
        away.clear()
        await eventually(lambda: alerting.away is None)
        await passes(feed, ticks, 3, 10)
        await eventually(lambda: len(hook.accepted) == 2)
    assert titles(hook)[0].startswith("tapewatch is not watching: its database cannot be used for ")
    assert titles(hook)[1].startswith("tapewatch is well again: it was blind from ")


class TestSettings:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"heartbeat_url": "ftp://x"}, "heartbeat_url: expected an address like https://hc-ping.com/…"),
            (
                {"heartbeat_url": "https://a", "heartbeat_url_env": "B"},
                "expected one of heartbeat_url, heartbeat_url_file",
            ),
            (
                {"heartbeat_url_file": "https://secret"},
                "heartbeat_url_file: expected the path of a file, found an address",
            ),
            ({"ill_after_s": 5}, "30"),
        ],
        ids=str,
    )
    def test_a_wrong_value_is_refused(self, fields: dict[str, Any], said: str) -> None:
        with pytest.raises(Exception, match=said) as caught:
            config(**fields)
        assert "secret" not in str(caught.value)

    def test_the_address_comes_from_one_of_three_places_and_is_shown_nowhere(self, tmp_path: Any) -> None:
        place = tmp_path / "heartbeat"
        place.write_text(f"{SECRET}\n")
        for section in (
            config(heartbeat_url=SECRET),
            config(heartbeat_url_file=str(place)),
            config(heartbeat_url_env="HEARTBEAT"),
        ):
            assert section.tells
            assert section.heartbeat({"HEARTBEAT": SECRET}) == SECRET
            assert "secret" not in repr(section)
        assert not config().tells
        assert config().heartbeat({}) is None
        with pytest.raises(ConfigError, match="alerts: heartbeat: url_env: HEARTBEAT is not set"):
            config(heartbeat_url_env="HEARTBEAT").heartbeat({})
        place.write_text("nonsense secret\n")
        with pytest.raises(ConfigError, match="expected an address like") as caught:
            config(heartbeat_url_file=str(place)).heartbeat({})
        assert "secret" not in str(caught.value)
