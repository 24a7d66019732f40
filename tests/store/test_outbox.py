"""What alerting remembers: all of a decision or nothing, told on by whoever comes next, on both kinds of database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from support.databases import Database
from support.records import anomaly, change
from tapewatch.alert import Alert, Letter, Mark, Silence
from tapewatch.errors import DatabaseAwayError, StoreError
from tapewatch.model import NS
from tapewatch.store.outbox import Outbox, forget_channels
from tapewatch.store.records import Answer, Attempt, ChannelRow, Clock, Commit, Decision, Post, Source
from tapewatch.store.sql import Store

AT = 1_700_000_000 * NS
LETTER = Letter("key-1", "▼ DOGE-USD fell", "text\0torn", "**bold**", "<b>bold</b>")
POST = Post(1, "phone", "symbol", AT, AT + 1, LETTER, "high", anomaly(1).id)
WORKING = ChannelRow("phone", "JSON", "High severity only, all rules", "working", AT, AT)
TRIED = Attempt(1, AT + 2, 3.5, accepted=False, outcome="HTTP 500")


def alert(seq: int, **fields: object) -> Alert:
    plain = {"reason": "in message 1", "message": 1}
    return Alert(seq, "phone", "opened", AT, anomaly(seq), **plain | fields)  # type: ignore[arg-type]


def decision(**fields: object) -> Decision:
    plain = {"position": 1, "memory": {"": b"{}"}, "judged_ts": AT, "alerts": [alert(1)], "posts": [POST]}
    return Decision(**plain | fields)  # type: ignore[arg-type]


@pytest.fixture
def outbox(database: Database) -> Iterator[Outbox]:
    store = Store.open(database.url)
    store.commit(Commit(Clock(AT, AT), changes=[change(1), change(2)]))
    store.close()
    opened = Outbox.open(database.url)
    yield opened
    opened.close()


def test_a_decision_is_all_there_for_whoever_comes_next(outbox: Outbox, database: Database) -> None:
    outbox.commit(decision(alerts=[alert(1), alert(2, verdict="cooling", reason="muted", message=None)]))
    kept = outbox.kept()
    assert (kept.position, kept.memory) == (1, {"": b"{}"})
    assert kept.waiting == {"phone": 1}
    assert outbox.waiting("phone", 9) == [replace(POST, letter=replace(LETTER, text="text␀torn"))]
    rows = database.rows("SELECT change_seq, channel, symbol, occasion, verdict, message FROM alerts ORDER BY 1")
    assert rows == [(1, "phone", "BTC-USD", "opened", None, 1), (2, "phone", "BTC-USD", "opened", "cooling", None)]


def test_an_empty_page_of_its_memory_is_forgotten_and_the_others_stay(outbox: Outbox) -> None:
    outbox.commit(decision(memory={"": b"1", "/phone/0": b"2", "/phone/1": b"3"}))
    outbox.commit(decision(position=2, posts=(), memory={"": b"4", "/phone/1": b""}))
    outbox.commit(decision(position=3, posts=(), memory={}))
    assert outbox.kept().memory == {"": b"4", "/phone/0": b"2"}


def test_a_change_that_cannot_be_read_is_passed_over(outbox: Outbox, database: Database) -> None:
    database.execute("UPDATE changes SET record = '{}' WHERE seq = 1")
    fresh = outbox.fresh(0, 10)
    assert ([seq for seq, _ in fresh.changes], fresh.read, fresh.behind) == ([2], 2, 0)
    assert outbox.fresh(0, 1).behind == 1


def test_what_was_accepted_stays_so(outbox: Outbox, database: Database) -> None:
    outbox.commit(decision())
    outbox.tried(replace(POST, state="sent", done_ts=AT + 1), TRIED, WORKING)
    assert outbox.tried(replace(POST, attempts=2, error="HTTP 500"), TRIED, WORKING) == 0
    assert database.rows("SELECT state, error FROM messages") == [("sent", "")]


def test_two_that_start_at_once_make_the_tables_once(database: Database) -> None:
    place = database.another()
    if not place.url.startswith("postgresql"):
        Path(place.url).touch()  # where the one that makes the file stands before it has made the tables
    with ThreadPoolExecutor(2) as pool:
        for opened in [pool.submit(Store.open, place.url), pool.submit(Outbox.open, place.url)]:
            opened.result().close()


def test_what_fails_stores_nothing(outbox: Outbox, database: Database) -> None:
    outbox.commit(decision())
    with pytest.raises(Exception, match=r"messages|UNIQUE|duplicate"):
        outbox.commit(decision(position=2, memory={"": b"later"}, alerts=[alert(2)]))
    assert (outbox.kept().position, outbox.kept().memory) == (1, {"": b"{}"})
    assert database.rows("SELECT count(*) FROM alerts") == [(1,)]


def test_a_new_outbox_has_read_nothing_and_remembers_nothing(outbox: Outbox) -> None:
    assert outbox.kept() == (0, 0, {}, {}, [])
    fresh = outbox.fresh(0, 10)
    assert [(seq, each.anomaly.id) for seq, each in fresh.changes] == [(1, anomaly(1).id), (2, anomaly(2).id)]
    assert [seq for seq, _ in outbox.fresh(1, 10).changes] == [2]
    assert [seq for seq, _ in outbox.fresh(0, 1).changes] == [1]
    assert fresh.clock is not None
    assert fresh.clock.now_ts == AT


@pytest.mark.parametrize(("kind", "verdict"), [("symbol", "sent"), ("market", "grouped"), ("digest", "digest")])
def test_alerts_have_their_verdict_when_the_message_was_accepted(
    outbox: Outbox, database: Database, kind: str, verdict: str
) -> None:
    post = replace(POST, kind=kind)
    outbox.commit(decision(posts=[post]))
    failed = Attempt(1, AT + 2, 3.5, accepted=False, outcome="HTTP 500\0")
    outbox.tried(replace(post, attempts=1, next_try_ts=AT + 9, error="HTTP 500"), failed, WORKING)
    assert database.rows("SELECT verdict FROM alerts") == [(None,)]
    assert outbox.waiting("phone", 9)[0].next_try_ts == AT + 9
    done = replace(post, state="sent", attempts=2, done_ts=AT + 20)
    outbox.tried(done, Attempt(1, AT + 19, 1.5, accepted=True, outcome="accepted"), WORKING)
    assert database.rows("SELECT verdict, reason, judged_ts FROM alerts") == [(verdict, "in message 1", AT + 20)]
    assert outbox.waiting("phone", 9) == []
    assert database.rows("SELECT state, attempts, error FROM messages") == [("sent", 2, "")]
    told = database.rows("SELECT message, accepted, outcome FROM attempts ORDER BY seq")
    assert [(message, bool(yes), outcome) for message, yes, outcome in told] == [
        (1, False, "HTTP 500␀"),
        (1, True, "accepted"),
    ]


def test_what_is_given_up_says_why_and_can_be_tried_again(outbox: Outbox, database: Database) -> None:
    outbox.commit(decision())
    ended = replace(POST, state="undelivered", attempts=40, done_ts=AT + 99, error="connection refused")
    outbox.tried(ended, TRIED, WORKING)
    assert outbox.undelivered(1) == "phone"
    assert outbox.undelivered(2) is None
    assert database.rows("SELECT verdict, reason FROM alerts") == [
        ("undelivered", "message 1 was not delivered: connection refused")
    ]
    outbox.commit(decision(position=2, judged_ts=AT + 200, alerts=(), posts=(), retries=[1]))
    (again,) = outbox.some([1])
    assert (again.state, again.again_ts, again.next_try_ts, again.done_ts) == ("waiting", AT + 200, AT + 200, None)
    assert again.made_ts == POST.made_ts, "it says how old it is"
    assert database.rows("SELECT verdict FROM alerts") == [(None,)]


def test_what_is_dismissed_stays_and_can_still_be_tried_again(outbox: Outbox, database: Database) -> None:
    outbox.commit(decision(alerts=[alert(1), alert(2, message=2)], posts=[POST, replace(POST, number=2)]))
    outbox.tried(replace(POST, state="undelivered", done_ts=AT + 99, error="gone"), TRIED, WORKING)
    outbox.commit(decision(position=2, alerts=(), posts=(), dismissed=[1, 2]))
    assert database.rows("SELECT number, state FROM messages ORDER BY 1") == [(1, "dismissed"), (2, "waiting")]
    assert database.rows("SELECT verdict FROM alerts WHERE message = 1") == [("undelivered",)]
    assert outbox.undelivered(1) == "phone"


def test_who_begins_on_an_old_database_tells_nobody_what_is_over_a_day_ago(database: Database) -> None:
    store = Store.open(database.url)
    late = AT + 86_401 * NS
    store.commit(Commit(Clock(late, late), changes=[change(1), replace(change(2), at=late)]))
    store.close()
    outbox = Outbox.open(database.url)
    assert outbox.kept().position == 1
    outbox.close()


def test_a_silence_is_known_as_long_as_what_it_covers_is_not_read(outbox: Outbox, database: Database) -> None:
    outbox.commit(decision(silences=[Silence(0, AT - NS, AT + NS)]))
    store = Store.open(database.url)
    store.commit(Commit(Clock(AT + 3 * 86_400 * NS, AT), changes=[]))
    store.close()
    assert [each.number for each in outbox.fresh(0, 1).silences] == [1]
    assert outbox.fresh(2, 1).silences == []


def test_its_first_writer_makes_no_other_database_of_it(database: Database) -> None:
    Store.open(database.url).close()
    outbox = Outbox.open(database.url)
    assert outbox.fresh(0, 1).source is None
    source = Source("tape", "a.csv")
    Store.open(database.url, source=source).close()
    assert outbox.fresh(0, 1).source == source
    database.execute("UPDATE meta SET value = replace(value, 'a.csv', 'b.csv') WHERE key = 'source'")
    with pytest.raises(DatabaseAwayError, match="another database stands there now"):
        outbox.fresh(0, 1)
    outbox.close()


def test_a_sample_leaves_no_trace_but_how_the_channel_stands(outbox: Outbox, database: Database) -> None:
    sample = replace(POST, number=0, kind="sample", state="sent", done_ts=AT)
    outbox.tried(sample, Attempt(0, AT, 1.0, accepted=True, outcome="accepted"), WORKING)
    assert database.rows("SELECT count(*) FROM attempts") == [(0,)]
    assert outbox.kept().channels == [WORKING]


def test_channels_that_are_no_more_are_forgotten(outbox: Outbox) -> None:
    outbox.stand([WORKING, replace(WORKING, name="mail")], AT)
    outbox.stand([replace(WORKING, state="failing", error="HTTP 500")], AT)
    assert outbox.kept().channels == [replace(WORKING, state="failing", error="HTTP 500")]
    outbox.stand([], AT)
    assert outbox.kept().channels == []


def test_where_all_channels_were_removed_they_are_forgotten_unless_another_tells(
    outbox: Outbox, database: Database
) -> None:
    outbox.stand([WORKING], AT)
    forget_channels(database.url, AT)
    assert outbox.kept().channels == [WORKING]
    outbox.close()
    forget_channels(database.url, AT)
    assert database.rows("SELECT count(*) FROM channels") == [(0,)]


def test_what_waits_for_a_channel_that_is_no_more_ends_with_a_reason(outbox: Outbox, database: Database) -> None:
    mail = replace(POST, number=2, channel="mail")
    outbox.commit(decision(alerts=[alert(1), alert(2, message=2)], posts=[POST, mail]))
    outbox.stand([WORKING], AT + 5)
    assert database.rows("SELECT number, state, error FROM messages ORDER BY 1") == [
        (1, "waiting", ""),
        (2, "undelivered", "its channel was removed"),
    ]
    assert database.rows("SELECT verdict, reason FROM alerts ORDER BY change_seq") == [
        (None, "in message 1"),
        ("undelivered", "not delivered: its channel was removed"),
    ]


def test_what_is_due_first_is_read_first_and_no_more_than_was_asked_for(outbox: Outbox) -> None:
    posts = [replace(POST, number=number, next_try_ts=AT - number) for number in (1, 2, 3)]
    outbox.commit(decision(posts=[*posts, replace(POST, number=4, channel="mail")]))
    assert [post.number for post in outbox.waiting("phone", 2)] == [3, 2]


def test_silences_are_numbered_and_ended(outbox: Outbox) -> None:
    hush = Silence(0, AT, AT + 60 * NS, symbol="BTC-*", severity="high", note="the Fed")
    outbox.commit(decision(silences=[hush, replace(hush, symbol="ETH-*")]))
    second, first = outbox.fresh(0, 0).silences
    assert (first, second.number) == (replace(hush, number=1), 2)
    outbox.commit(decision(position=2, posts=(), silences=[replace(first, until=AT + 1)]))
    assert outbox.fresh(0, 0).silences[1].until == AT + 1


def test_marks_replace_what_was_said_before(outbox: Outbox) -> None:
    ident = anomaly(1).id
    assert outbox.mark_of(ident) is None
    said = Mark(ident, "true", AT, "a listing", AT)
    outbox.commit(decision(marks=[said]))
    outbox.commit(decision(position=2, posts=(), marks=[replace(said, label="false")]))
    assert outbox.mark_of(ident) == replace(said, label="false")
    with pytest.raises(LookupError, match="there is no anomaly 'nobody'"):
        outbox.mark_of("nobody")


def test_only_the_requests_that_alerting_answers_are_read(outbox: Outbox, database: Database) -> None:
    reader = outbox.reader
    silence, limits = reader.ask("silence", {"for_s": 60}, AT), reader.ask("limits", {}, AT)
    assert [request.seq for request in outbox.fresh(0, 0).requests] == [silence]
    store = Store.open(database.url)
    assert [request.seq for request in store.pending_requests()] == [limits]
    store.close()
    assert reader.answer(silence) is None
    outbox.commit(decision(answers=[Answer(silence, AT + 1, "done: silent")]))
    assert reader.answer(silence) == "done: silent"
    assert outbox.fresh(0, 0).requests == []


def test_one_alone_tells_a_databases_anomalies_while_another_writes_to_it(outbox: Outbox, database: Database) -> None:
    with pytest.raises(StoreError, match=r"another tapewatch .*is telling its alerts; stop that one or choose another"):
        Outbox.open(database.url)
    store = Store.open(database.url)
    store.commit(Commit(Clock(AT + 1, AT + 1), changes=[change(3)]))
    store.close()
    assert [seq for seq, _ in outbox.fresh(2, 9).changes] == [3]
    outbox.close()
    Outbox.open(database.url).close()


def test_a_database_that_is_not_there_is_not_made(tmp_path) -> None:
    with pytest.raises(StoreError, match="there is no database yet; start tapewatch run"):
        Outbox.open(tmp_path / "none.db")
    assert not list(tmp_path.iterdir())


def test_another_database_under_the_same_name_is_noticed(outbox: Outbox, database: Database) -> None:
    database.execute("UPDATE migrations SET applied_at = '2001-01-01 00:00:00'")
    with pytest.raises(DatabaseAwayError, match="another database stands there now"):
        outbox.fresh(0, 1)


def test_anomalies_are_read_as_they_stand_and_only_those_that_were_asked_for(
    outbox: Outbox, database: Database
) -> None:
    grown = replace(anomaly(1), peak_observed=9.5, size=38.0)
    store = Store.open(database.url)
    store.commit(Commit(Clock(AT, AT), open_anomalies=[grown, anomaly(2), anomaly(3)]))
    store.close()
    wanted = {grown.id, anomaly(2).id, "nobody", *(f"{number:032d}" for number in range(10_000, 12_000))}
    assert outbox.standing(wanted) == {grown.id: grown, anomaly(2).id: anomaly(2)}
    assert outbox.standing(()) == {}
