"""One channel's messages: in order, again until they are accepted, reported once; what ends is stored first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Event

import pytest
from msgspec.structs import replace

from support.virtual_time import VirtualTime, settle, until
from tapewatch.alert import Letter
from tapewatch.dispatch.retry import Receipt
from tapewatch.errors import DatabaseAwayError
from tapewatch.model import NS, Severity
from tapewatch.runtime.sender import Sender
from tapewatch.store.records import Attempt, ChannelRow, Post
from tapewatch.telemetry import REGISTRY

AT = 1_700_000_000 * NS
ACCEPTED = Receipt(accepted=True, outcome="accepted")
DAY_S = 86_400.0


def post(number: int, **fields: object) -> Post:
    letter = Letter(f"key-{number}", f"subject {number}", "text", "markdown", "html")
    return replace(Post(number, "phone", "symbol", AT, AT, letter, "high"), **fields)


@dataclass
class Phone:
    """A channel that answers as it is told, in order, and then accepts."""

    name: str = "phone"
    service: str = "JSON"
    takes_charts: bool = True
    answers: list[Receipt] = field(default_factory=list)
    got: list[tuple[str, bytes | None]] = field(default_factory=list)
    let_go: Event | None = None

    def send(self, letter: Letter, chart: bytes | None, timeout_s: float, severity: Severity | None) -> Receipt:
        assert timeout_s > 0
        assert severity == "high"
        self.got.append((letter.subject, chart))
        if self.let_go is not None:
            self.let_go.wait()
        return self.answers.pop(0) if self.answers else ACCEPTED


@dataclass
class Rig:
    phone: Phone
    time: VirtualTime
    said: list[str] = field(default_factory=list)
    stored: list[tuple[Post, Attempt, ChannelRow]] = field(default_factory=list)
    outbox: list[Post] = field(default_factory=list)
    sender: Sender = field(init=False)

    def make(
        self,
        *,
        stood: ChannelRow | None = None,
        chart_of: Callable[[str], bytes | None] = lambda _: b"png",
        keep_trying_s: float = DAY_S,
    ) -> None:
        self.sender = Sender(
            self.phone,
            "High severity only, all rules",
            stood,
            record=self.record,
            load=self.load,
            waiting=len(self.outbox),
            chart_of=chart_of,
            bundle=lambda letters: Letter("all", f"{len(letters)} in one", "", "", ""),
            clock=self.time,
            say=lambda _, words: self.said.append(words),
            keep_trying_s=keep_trying_s,
            sleep=self.time.sleep,
        )

    async def record(self, post: Post, attempt: Attempt, row: ChannelRow) -> int:
        self.stored.append((post, attempt, row))
        return 1

    async def load(self, limit: int) -> list[Post]:
        done = {post.number for post, *_ in self.stored if post.done_ts is not None}
        return [post for post in self.outbox if post.number not in done][:limit]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.sender.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def tried(self, count: int) -> None:
        await until(lambda: len(self.stored) >= count)
        await settle()


@pytest.fixture
def rig() -> Rig:
    made = Rig(Phone(), VirtualTime(AT))
    made.make()
    return made


async def test_messages_go_out_in_their_order_each_with_its_chart(rig: Rig) -> None:
    for number in (2, 1, 3):
        rig.sender.put(post(number, anomaly_id="a" if number == 2 else None))
    async with rig.running():
        await rig.tried(3)
    assert rig.phone.got == [("subject 1", None), ("subject 2", b"png"), ("subject 3", None)]
    assert [(done.state, done.attempts, attempt.accepted) for done, attempt, _ in rig.stored] == [("sent", 1, True)] * 3
    assert rig.sender.waiting == 0
    assert rig.sender.row.state == "working"


async def test_what_is_not_accepted_is_tried_again_later_and_told_once(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 500")] * 3
    rig.sender.put(post(1))
    async with rig.running():
        for count in (1, 2, 3):
            await rig.tried(count)
            await rig.time.advance(10)
        await rig.tried(4)
    assert [(done.state, done.error) for done, *_ in rig.stored] == [("waiting", "HTTP 500")] * 3 + [("sent", "")]
    assert rig.said == [
        "phone accepts nothing: HTTP 500; its messages wait, all others go on",
        "phone accepts messages again",
    ]
    assert [row.state for *_, row in rig.stored] == ["failing"] * 3 + ["working"]
    assert len({row.since_ts for *_, row in rig.stored[:3]}) == 1, "since when it fails"


async def test_what_waited_for_a_dead_receiver_goes_out_as_one_when_it_is_back(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="connection refused")] * 9
    for number in range(1, 5):
        rig.sender.put(post(number))
    async with rig.running():
        for count in range(1, 10):
            await rig.tried(count)
            await rig.time.advance(61)
            if count == 8:
                rig.sender.put(post(5, made_ts=rig.time.now_ns()))
        await rig.tried(14)
    assert [subject for subject, _ in rig.phone.got[-2:]] == ["4 in one", "subject 5"]
    ended = [(done.number, done.state, attempt.outcome) for done, attempt, _ in rig.stored[9:]]
    assert sorted(ended) == [
        *((number, "sent", "accepted, 4 messages in one") for number in range(1, 5)),
        (5, "sent", "accepted"),
    ]
    assert rig.sender.waiting == 0


async def test_a_receiver_that_asks_for_time_gets_it(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 429", retry_after_s=30)]
    rig.sender.put(post(1))
    async with rig.running():
        await rig.tried(1)
        await rig.time.advance(29)
        assert len(rig.phone.got) == 1
        await rig.time.advance(10)
        await rig.tried(2)
    assert rig.stored[1][0].state == "sent"


async def test_a_dead_receiver_is_asked_by_one_message_at_a_time_and_then_all_go(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="connection refused")] * 2
    for number in range(1, 21):
        rig.sender.put(post(number))
    async with rig.running():
        await rig.tried(1)
        await settle()
        assert len(rig.phone.got) == 1
        await rig.time.advance(1.1)
        await rig.tried(2)
        assert len(rig.phone.got) == 2
        await rig.time.advance(2.1)
        await rig.tried(22)
    assert rig.sender.waiting == 0


async def test_one_message_that_is_refused_for_good_does_not_hold_up_the_others(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 400", permanent=True)]
    rig.sender.put(post(1))
    rig.sender.put(post(2))
    async with rig.running():
        await rig.tried(1)
        await rig.time.advance(1.1)
        await rig.tried(2)
    assert rig.phone.got[1][0] == "subject 2"


async def test_a_channel_that_refuses_for_good_is_reported_at_its_second_refusal(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 401", permanent=True)] * 9
    rig.sender.put(post(1))
    async with rig.running():
        await rig.tried(1)
        assert rig.said == []
        for count in range(2, 6):
            await rig.time.advance(301)
            await rig.tried(count)
    assert rig.said == ["phone accepts nothing: HTTP 401; its messages wait, all others go on"]
    assert rig.stored[-1][2].state == "failing"


async def test_a_message_that_is_refused_while_others_are_accepted_is_its_own_fault_for_good(rig: Rig) -> None:
    refused = Receipt(accepted=False, outcome="HTTP 413", permanent=True)
    rig.phone.answers = [refused, ACCEPTED, refused, refused, refused]
    rig.sender.put(post(1))
    async with rig.running():
        await rig.tried(1)
        rig.sender.put(post(2))
        for count in range(2, 6):
            await rig.tried(count)
            await rig.time.advance(301)
    assert rig.said == []
    assert [(done.number, done.state) for done, *_ in rig.stored[:4]] == [
        (1, "waiting"),
        (2, "sent"),
        (1, "waiting"),
        (1, "waiting"),
    ]
    assert rig.stored[-1][2].state == "working"
    assert REGISTRY.get_sample_value("tapewatch_channel_up", {"channel": "phone"}) == 1


async def test_one_that_was_asked_for_again_is_tried_for_a_day_from_then_on_and_says_its_age(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 500")]
    rig.sender.put(post(1, made_ts=AT - 2 * round(DAY_S) * NS, again_ts=AT))
    async with rig.running():
        await rig.tried(1)
        await rig.time.advance(10)
        await rig.tried(2)
    assert rig.stored[-1][0].state == "sent"
    assert rig.phone.got == [("[2 d late] subject 1", None)] * 2


async def test_a_stop_waits_until_what_was_accepted_is_stored(rig: Rig) -> None:
    busy, stored = asyncio.Event(), rig.record

    async def slow(*stored_with: object) -> int:
        busy.set()
        await asyncio.sleep(0.05)
        return await stored(*stored_with)  # type: ignore[arg-type]

    rig.record = slow  # type: ignore[method-assign]
    rig.make()
    rig.sender.put(post(1))
    async with rig.running():
        await busy.wait()
    assert [done.state for done, *_ in rig.stored] == ["sent"]


async def test_after_a_day_a_message_is_given_up(rig: Rig) -> None:
    rig.make(keep_trying_s=5)
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 500")] * 20
    rig.sender.put(post(1))
    async with rig.running():
        for count in range(1, 20):
            await rig.tried(count)
            if rig.stored[-1][0].state == "undelivered":
                break
            await rig.time.advance(8)
    done, attempt, _ = rig.stored[-1]
    assert (done.state, done.error, attempt.accepted) == ("undelivered", "HTTP 500", False)
    assert done.done_ts is not None
    assert AT + 5 * NS <= done.done_ts <= AT + 16 * NS
    assert rig.sender.waiting == 0


async def test_a_message_without_its_picture_is_worth_more_than_none(rig: Rig) -> None:
    def broken(_: str) -> bytes:
        raise RuntimeError("no ink")

    rig.make(chart_of=broken)
    rig.sender.put(post(1, anomaly_id="a"))
    async with rig.running():
        await rig.tried(1)
    assert rig.phone.got == [("subject 1", None)]


async def test_a_channel_that_takes_no_charts_has_none_drawn() -> None:
    rig = Rig(Phone(takes_charts=False), VirtualTime(AT))
    rig.make()
    rig.sender.put(post(1, anomaly_id="a"))
    async with rig.running():
        await rig.tried(1)
    assert rig.phone.got == [("subject 1", None)]


async def test_a_sample_is_tried_once_and_before_all_others(rig: Rig) -> None:
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 404")]
    rig.sender.put(post(1))
    rig.sender.put(post(0, kind="sample"))
    async with rig.running():
        await rig.tried(1)
        await rig.time.advance(100)
        await rig.tried(2)
    assert [subject for subject, _ in rig.phone.got] == ["subject 0", "subject 1"]
    assert "phone: the sample was not accepted: HTTP 404" in rig.said


async def test_what_could_not_be_stored_ends_the_sender(rig: Rig) -> None:
    async def away(*_: object) -> None:
        raise DatabaseAwayError("gone")

    rig.record = away  # type: ignore[method-assign]
    rig.make()
    rig.sender.put(post(1))
    with pytest.raises(DatabaseAwayError):
        await rig.sender.run()


async def test_what_comes_while_one_is_sent_waits_for_it(rig: Rig) -> None:
    rig.phone.let_go = Event()
    rig.sender.put(post(1))
    async with rig.running():
        await until(lambda: len(rig.phone.got) == 1)
        rig.sender.put(post(2))
        await settle()
        assert len(rig.phone.got) == 1
        rig.phone.let_go.set()
        await rig.tried(2)
    assert [subject for subject, _ in rig.phone.got] == ["subject 1", "subject 2"]


async def test_what_waits_is_read_from_the_outbox_a_part_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapewatch.runtime.sender.HELD_MAX", 3)
    rig.outbox = [post(number) for number in range(1, 9)]
    rig.make()
    assert rig.sender.waiting == 8
    async with rig.running():
        await rig.tried(8)
        for late in (post(9), post(10), post(11), post(12), post(13)):
            rig.outbox.append(late)
            rig.sender.put(late)
        await rig.tried(13)
    assert [subject for subject, _ in rig.phone.got] == [f"subject {number}" for number in range(1, 14)]
    assert rig.sender.waiting == 0


async def test_one_that_waits_for_its_next_try_keeps_none_in_the_outbox(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapewatch.runtime.sender.HELD_MAX", 2)
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 400", permanent=True)]
    rig.outbox = [post(number) for number in range(1, 6)]
    rig.make()
    async with rig.running():
        await rig.tried(5)
    assert [subject for subject, _ in rig.phone.got] == [f"subject {number}" for number in range(1, 6)]
    assert rig.sender.waiting == 1


async def test_how_a_channel_stood_is_known_after_a_restart(rig: Rig) -> None:
    stood = ChannelRow("phone", "JSON", "old words", "failing", AT - 5, AT - 9, "HTTP 500")
    common = {
        "record": rig.record,
        "load": rig.load,
        "waiting": 0,
        "chart_of": lambda _: None,
        "bundle": lambda letters: letters[0][1],
        "clock": rig.time,
        "say": lambda *_: None,
    }
    sender = Sender(rig.phone, "new words", stood, **common, keep_trying_s=DAY_S)  # type: ignore[arg-type]
    assert sender.row == replace(stood, takes="new words")
    other = Sender(replace_service(rig.phone), "new words", stood, **common, keep_trying_s=DAY_S)  # type: ignore[arg-type]
    assert other.row.state == "unused", "another service under the same name"


async def test_a_channel_that_failed_before_a_restart_is_not_reported_again(rig: Rig) -> None:
    stood = ChannelRow("phone", "JSON", "all", "failing", AT - 5, None, "HTTP 500")
    rig.phone.answers = [Receipt(accepted=False, outcome="HTTP 500")]
    rig.make(stood=stood)
    rig.sender.put(post(1))
    async with rig.running():
        await rig.tried(1)
        assert rig.stored[-1][2].since_ts == AT - 5
        await rig.time.advance(10)
        await rig.tried(2)
    assert rig.said == ["phone accepts messages again"]


def replace_service(phone: Phone) -> Phone:
    return Phone(phone.name, "Slack")
