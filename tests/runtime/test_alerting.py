"""From a change in the log to a receiver that has it: real databases, real channels, receivers on loopback."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import receivers
from support.databases import Database
from support.receivers import WebReceiver, answer, reset_after
from support.tellers import EVERYTHING, Happening, channel, config, eventually, telling
from tapewatch.clock import SystemClock
from tapewatch.errors import ConfigError
from tapewatch.model import NS
from tapewatch.runtime import alerting as alerting_module
from tapewatch.runtime.alert_requests import ask
from tapewatch.store.records import Source
from tapewatch.store.sql import Reader


@pytest.fixture
def hook() -> Iterator[WebReceiver]:
    with receivers.web() as receiver:
        yield receiver


@pytest.fixture
def happening(database: Database) -> Iterator[Happening]:
    made = Happening(database.url)
    yield made
    made.close()


def titles(hook: WebReceiver) -> list[str]:
    return [request.json["title"] for request in hook.accepted]


def verdicts(database: Database, channel: str = "hook") -> list[str]:
    query = f"SELECT verdict FROM alerts WHERE channel = '{channel}' ORDER BY change_seq"  # noqa: S608  # a test's own word
    return [verdict for (verdict,) in database.rows(query)]


async def test_an_anomaly_reaches_its_receiver_and_that_is_remembered(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    async with telling(database.url, config(channel(hook.host))):
        ident = happening.open("DOGE-USD")
        happening.open("DOGE-USD", severity="low")
        await eventually(lambda: verdicts(database) == ["sent", "unrouted"])
    (request,) = hook.accepted
    assert "DOGE-USD" in request.json["title"]
    assert f"/?anomaly={ident}" in request.json["message"]
    ((key, state, attempts),) = database.rows("SELECT key, state, attempts FROM messages")
    assert (request.headers["idempotency-key"], state, attempts) == (key, "sent", 1)
    assert database.rows("SELECT name, state, error FROM channels") == [("hook", "working", "")]


@pytest.mark.parametrize(
    ("source", "venue", "badge", "words"),
    [
        (Source("simulated", seed=7), "simulated", "[Simulated] ", "Simulated: no real market moved."),
        (Source("kafka", "a/b", seed=7), "simulated", "[Simulated] ", "Simulated: no real market moved."),
        (Source("kafka", "a/b"), "simulated", "[Simulated] ", "Simulated: no real market moved."),
        (Source("tape", "day"), "kraken", "[Replay] ", r"Replay of \d{4}-\d\d-\d\d: nothing of this happens now."),
        (Source("tape", "day"), "simulated", "[Simulated, Replay] ", "Simulated: no real market moved. Replay of "),
        (Source("kafka", "a/b"), "coinbase", "▲", "◆"),
        (Source("coinbase", "wss://feed"), "coinbase", "▲", "◆"),
    ],
    ids=str,
)
async def test_a_message_says_in_front_and_in_words_that_it_is_of_no_live_market(
    tmp_path: Path, hook: WebReceiver, source: Source, venue: str, badge: str, words: str
) -> None:
    happening = Happening(tmp_path / "x.db", source, venue)
    async with telling(tmp_path / "x.db", config(channel(hook.host))):
        happening.open("DOGE-USD")
        await asyncio.to_thread(hook.wait_for, 1)
    happening.close()
    (request,) = hook.requests
    assert request.json["title"].startswith(badge)
    assert re.match(words, request.json["message"])
    said = request.json["title"] + request.json["message"]
    assert [said.count(word) for word in ("Simulated", "Replay")] == [
        2 * (word in badge) for word in ("Simulated", "Replay")
    ]


async def test_a_mail_brings_words_in_two_forms_and_the_chart_of_its_anomaly(
    happening: Happening, database: Database
) -> None:
    with receivers.mail() as post:
        address = f"mailto://{post.host}/?from=tapewatch@example.com&to=desk@example.com"
        async with telling(database.url, config({"name": "mail", "url": address})):
            happening.trade("DOGE-USD")
            happening.open("DOGE-USD")
            await eventually(lambda: verdicts(database, "mail") == ["sent"])
    (mail,) = post.messages
    assert "DOGE-USD" in mail["Subject"]
    assert "High · Fast move" in receivers.part_of(mail, "text/plain")
    assert "Fast move" in receivers.part_of(mail, "text/html")
    assert receivers.part_of(mail, "image/png").startswith(b"\x89PNG")


async def test_a_channel_that_fails_holds_up_no_other_and_gets_everything_later(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    said: list[str] = []
    hook.then(*[answer(500)] * 3)
    with receivers.web() as other:
        both = config(channel(hook.host), channel(other.host, "other"), **EVERYTHING)
        async with telling(database.url, both, said):
            for number in range(5):
                happening.open(f"S{number}-USD")
            all_told = ["sent", "grouped", "sent", "sent", "sent"]  # the second symbol makes it a market's event
            await eventually(lambda: verdicts(database, "other") == all_told)
            assert len(hook.accepted) < 5
            await eventually(lambda: verdicts(database) == all_told)
        assert len(other.accepted) == 5
    assert sum("hook accepts nothing: HTTP 500" in words for words in said) == 1, "reported once, not once per message"
    assert sum("hook accepts messages again" in words for words in said) == 1


async def test_what_was_not_accepted_is_sent_by_the_next_process_under_the_same_key(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    hook.then(reset_after())
    async with telling(database.url, config(channel(hook.host))):
        happening.open()
        await asyncio.to_thread(hook.wait_for, 1)
        await eventually(lambda: database.rows("SELECT attempts FROM messages") == [(1,)])
    assert verdicts(database) == [None]
    async with telling(database.url, config(channel(hook.host))):
        await eventually(lambda: verdicts(database) == ["sent"])
    keys = [request.headers["idempotency-key"] for request in hook.requests]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_what_happened_while_nobody_told_is_told_afterwards(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    happening.open("ETH-USD")
    happening.open("SOL-USD")
    async with telling(database.url, config(channel(hook.host))):
        await eventually(lambda: set(verdicts(database)) == {"grouped", "sent"})


async def test_people_are_answered_while_it_runs(happening: Happening, database: Database, hook: WebReceiver) -> None:
    happening.commit()
    async with telling(database.url, config(channel(hook.host), **EVERYTHING)) as alerting:
        said = await asyncio.to_thread(ask, database.url, "silence", {"for_s": 3_600, "symbol": "BTC-*"})
        assert said.startswith("done: nothing is told of BTC-* for 60 min, until ")
        happening.open("BTC-USD")
        ident = happening.open("ETH-USD")
        await eventually(lambda: verdicts(database) == ["silenced", "sent"])
        said = await asyncio.to_thread(
            ask, database.url, "mark", {"anomaly": ident, "label": "true", "note": "listing"}
        )
        assert said == "done: marked as true"
        said = await asyncio.to_thread(ask, database.url, "mark", {"anomaly": "nobody", "label": "true"})
        assert said == "refused: there is no anomaly 'nobody'"
        said = await asyncio.to_thread(ask, database.url, "unsilence", {"number": 1})
        assert said == "done: silence 1 (BTC-*) ends now"
        happening.open("BTC-USD")
        await eventually(lambda: verdicts(database) == ["silenced", "sent", "grouped"])
        said = await asyncio.to_thread(ask, database.url, "sample", {"channel": "hook"})
        assert said == "done: a sample goes to hook"
        await eventually(lambda: any("sample" in title for title in titles(hook)))
        assert alerting.trouble() is None
    assert database.rows("SELECT anomaly_id, label, note FROM marks") == [(ident, "true", "listing")]
    ((reason,),) = database.rows("SELECT reason FROM alerts WHERE verdict = 'silenced'")
    assert reason.startswith("silenced by silence 1 (BTC-*) until ")


def test_people_are_answered_where_nobody_tells_anything(happening: Happening, database: Database) -> None:
    ident = happening.open()
    assert ask(database.url, "mark", {"anomaly": ident}) == "done: acknowledged"
    assert ask(database.url, "silence", {"for_s": 60}).startswith("done: nothing is told of everything for 60 s")
    assert ask(database.url, "silence", {"for_s": -1}).startswith("refused: Expected `float` > 0.0")
    assert ask(database.url, "sample", {"channel": "hook"}).startswith(
        "refused: nobody tells anything now; start tapewatch alerts run"
    )
    assert ask(database.url, "retry", {"message": 7}) == "refused: there is no undelivered message 7"
    assert database.rows("SELECT count(*) FROM alerts") == [(0,)], "who answers does not judge"


def test_whoever_asks_while_another_one_does_is_answered_too(happening: Happening, database: Database) -> None:
    happening.commit()
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda number: ask(database.url, "retry", {"message": number}), range(1, 7)))
    assert said == [f"refused: there is no undelivered message {number}" for number in range(1, 7)]


async def test_an_undelivered_message_is_never_forgotten_and_can_be_tried_again(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    hook.then(*[answer(500)] * 9)
    async with telling(database.url, config(channel(hook.host), keep_trying_s=0.5)):
        happening.open()
        await eventually(lambda: verdicts(database) == ["undelivered"])
        assert database.rows("SELECT reason FROM alerts") == [("message 1 was not delivered: HTTP 500",)]
        while hook.next().status == 500:
            pass  # it is well again
        said = await asyncio.to_thread(ask, database.url, "retry", {"message": 1})
        assert said == "done: message 1 is tried again"
        await eventually(lambda: verdicts(database) == ["sent"])


async def test_what_waits_for_a_channel_that_is_no_more_ends_with_a_reason(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    hook.then(*[answer(500)] * 9)
    async with telling(database.url, config(channel(hook.host))):
        happening.open()
        await eventually(lambda: database.rows("SELECT attempts FROM messages") == [(1,)])
    async with telling(database.url, config(channel(hook.host, "another"))):
        await eventually(lambda: verdicts(database) == ["undelivered"])
        said = await asyncio.to_thread(ask, database.url, "retry", {"message": 1})
        assert said == "refused: there is no channel 'hook' any more, to which message 1 was to go; dismiss it"
        said = await asyncio.to_thread(ask, database.url, "dismiss", {"message": 1})
        assert said == "done: message 1 is dismissed; it stays in the list of messages"
    assert database.rows("SELECT state FROM messages") == [("dismissed",)]
    assert database.rows("SELECT reason FROM alerts") == [("not delivered: its channel was removed",)]
    assert database.rows("SELECT name FROM channels") == [("another",)]


async def test_a_database_that_was_replaced_is_opened_again(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    async with telling(database.url, config(channel(hook.host), **EVERYTHING)) as alerting:
        happening.open()
        await eventually(lambda: verdicts(database) == ["sent"])
        database.execute("UPDATE migrations SET applied_at = '2001-01-01 00:00:00'")
        await eventually(lambda: "another database" in (alerting.trouble() or ""))
        await eventually(lambda: alerting.trouble() is None)
        happening.open()
        await eventually(lambda: verdicts(database) == ["sent", "sent"])


def test_a_template_that_cannot_be_used_is_refused_before_anything_runs(tmp_path: Path, hook: WebReceiver) -> None:
    (tmp_path / "symbol.md").write_text("{{ pirce }}")
    with pytest.raises(ConfigError, match=r"symbol\.md.*pirce"):
        config_and_run(tmp_path, hook)


def config_and_run(folder: Path, hook: WebReceiver) -> None:
    async def run() -> None:
        async with telling(folder / "x.db", config(channel(hook.host), templates=str(folder))):
            pass

    asyncio.run(run())


def test_whoever_reads_a_database_without_one_is_told_so(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "none.db")
    assert not reader.ready()
    reader.close()


class Behind(SystemClock):
    """Another machine's clock, a minute behind."""

    def wall_ns(self) -> int:
        return super().wall_ns() - 60 * NS


async def test_its_sign_of_life_is_by_the_clock_of_who_writes(
    happening: Happening, database: Database, hook: WebReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerting_module, "BEAT_NS", 0)

    def off_s() -> float:
        happening.commit()
        beats = [int(beat) for (beat,) in database.rows("SELECT value FROM meta WHERE key = 'alerting'")]
        return min((abs(beat - happening.now_ns()) / NS for beat in beats), default=float("inf"))

    async with telling(database.url, config(channel(hook.host)), clock=Behind()):
        await eventually(lambda: off_s() < 30)


async def test_what_has_grown_without_a_change_is_told_though_nothing_else_happens(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    async with telling(database.url, config(channel(hook.host), group_s=1.0)):
        opened = happening.open("DOGE-USD")
        await eventually(lambda: verdicts(database) == ["sent"])
        happening.grow(opened, 3.0)
        await eventually(lambda: len(hook.accepted) == 2)
    assert "3.00 %" in titles(hook)[1]


async def test_a_message_tells_how_far_the_event_has_carried_the_price(
    happening: Happening, database: Database, hook: WebReceiver
) -> None:
    async with telling(database.url, config(channel(hook.host))):
        happening.trade("DOGE-USD")
        now = happening.now_ns()
        happening.open("DOGE-USD", reference_ts=now - 30 * NS, reference_price=40_000.0)
        await eventually(lambda: verdicts(database) == ["sent"])
    (request,) = hook.accepted
    assert re.search(r"Since\W+[0-9:]{8}: now −7\.\d\d %", request.json["message"]), request.json["message"]
