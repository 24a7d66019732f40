import pytest

from support.plans import of_sqlite, plans
from support.telling import DESK, PHONE, telling
from support.views import BTC, LINK, NOW, anomaly, build, clock, feed_row, opened
from tapewatch.alert import Silence
from tapewatch.model import NS
from tapewatch.store.records import Commit
from tapewatch.view import alerts
from tapewatch.view.alerts import AlertFilter

SOME = (
    anomaly("told", ago_s=60),
    anomaly("grouped-1", ago_s=50),
    anomaly("grouped-2", ago_s=49, symbol="BTC-USD"),
    anomaly("cooling", ago_s=40),
    anomaly("silenced", ago_s=30, symbol="BTC-USD"),
    anomaly("low", ago_s=20, severity="low", rule="mean_reversion_break"),
    anomaly("waits", ago_s=10),
    anomaly("given-up", ago_s=7_000),
)


@pytest.fixture
def conn(database):
    reader = build(database.url, Commit(clock(), changes=opened(*SOME), feed=[feed_row(BTC), feed_row(LINK)]))
    with telling(database.url) as told:
        told.send("phone", "told")
        told.send("phone", "grouped-1", "grouped-2", outcomes=("HTTP 500: try later", "accepted"))
        told.send("desk", "given-up", outcomes=("HTTP 401: bad token",))
        told.send("desk", "told", outcomes=("HTTP 500: try later",), done=False)
        told.judge("cooling", "phone", "cooling", "muted until 22:31 or a move above 2.10 %: last sent 21:31 at 8.4×")
        told.judge("silenced", "phone", "silenced", "silenced by silence 1 (BTC-*) until 22:32:48")
        told.judge("low", "phone", "unrouted", "low: this channel takes high severity only")
        told.wait("waits", "phone", "told with its event at 21:33:00")
        told.silence(-60, 3_600, symbol="BTC-*", note="listing day")
        told.silence(-600, -300, rule="tape_gap")
    with reader.connect() as connection:
        yield connection
    reader.close()


def seen(found):
    return [(each.alert.anomaly.id, each.alert.channel) for each in found]


EVERYTHING = [
    ("waits", "phone"),
    ("low", "phone"),
    ("silenced", "phone"),
    ("cooling", "phone"),
    ("grouped-2", "phone"),
    ("grouped-1", "phone"),
    ("told", "phone"),
    ("told", "desk"),
    ("given-up", "desk"),
]


def test_alerts_newest_first_with_their_anomaly_and_delivery(conn):
    found = alerts.alerts(conn, AlertFilter(), NOW, 100)
    assert seen(found) == EVERYTHING
    by_name = {(each.alert.anomaly.id, each.alert.channel): each for each in found}
    assert by_name["told", "phone"].alert.anomaly == SOME[0]
    assert (by_name["told", "phone"].alert.verdict, by_name["told", "phone"].delivery) == ("sent", "sent")
    assert (by_name["grouped-1", "phone"].alert.verdict, by_name["grouped-1", "phone"].outcome) == ("grouped", "told")
    assert (by_name["told", "desk"].outcome, by_name["told", "desk"].delivery) == ("waiting", "waiting")
    assert by_name["given-up", "desk"].outcome == "undelivered"
    assert by_name["given-up", "desk"].alert.reason == "message 3 was not delivered: HTTP 401: bad token"
    assert (by_name["waits", "phone"].outcome, by_name["waits", "phone"].delivery) == ("waiting", None)
    assert by_name["low", "phone"].outcome == "not taken"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AlertFilter(channels=("desk",)), {"told", "given-up"}),
        (AlertFilter(outcomes=("told",)), {"told", "grouped-1", "grouped-2"}),
        (AlertFilter(outcomes=("waiting",)), {"waits", "told"}),
        (AlertFilter(outcomes=("held back",)), {"cooling", "silenced"}),
        (AlertFilter(outcomes=("undelivered", "not taken")), {"given-up", "low"}),
        (AlertFilter(symbols=("BTC-USD",)), {"grouped-2", "silenced"}),
        (AlertFilter(within_s=45), {"waits", "low", "silenced", "cooling"}),
        (AlertFilter(channels=("phone",), outcomes=("held back",), symbols=("LINK-USD",)), {"cooling"}),
        (AlertFilter(channels=("nobody",)), set()),
    ],
)
def test_filter(conn, wanted, expected):
    assert {name for name, _ in seen(alerts.alerts(conn, wanted, NOW, 100))} == expected


def test_pages_are_disjoint_and_complete(conn):
    pages, before = [], None
    while page := alerts.alerts(conn, AlertFilter(), NOW, 2, before):
        pages += page
        last = page[-1].alert
        before = (last.at, last.seq, last.channel)
    assert seen(pages) == EVERYTHING


def test_what_was_told_of_one_anomaly(conn):
    assert seen(alerts.alerts_of(conn, ["told"])) == [("told", "desk"), ("told", "phone")]
    assert alerts.alerts_of(conn, ["nothing such"]) == []


def test_messages_and_their_story(conn):
    found = alerts.messages(conn)
    assert [(each.post.number, each.alerts) for each in found] == [(4, 1), (3, 1), (2, 2), (1, 1)]
    assert [each.post.number for each in alerts.messages(conn, ["undelivered"])] == [3]
    assert [each.post.number for each in alerts.messages(conn, ["sent"], channel="phone")] == [2, 1]
    assert [each.post.number for each in alerts.messages(conn, limit=1)] == [4]
    story = alerts.message(conn, 2)
    assert story.post.letter.subject.endswith("and 1 more")
    assert [(each.accepted, each.outcome) for each in story.attempts] == [
        (False, "HTTP 500: try later"),
        (True, "accepted"),
    ]
    assert seen(story.alerts) == [("grouped-1", "phone"), ("grouped-2", "phone")]
    assert alerts.message(conn, 99) is None


def test_channels_those_that_fail_first(conn):
    desk, phone = alerts.channels(conn)
    assert (desk.row, desk.waiting, desk.undelivered) == (DESK, 1, 1)
    assert (phone.row, phone.waiting, phone.undelivered) == (PHONE, 0, 0)


def test_silences_newest_first(conn):
    past, now = alerts.silences(conn, NOW)
    assert now == Silence(1, NOW - 60 * NS, NOW + 3_600 * NS, symbol="BTC-*", note="listing day")
    assert past.rule == "tape_gap"


def test_how_it_stands(conn):
    standing = alerts.standing(conn, NOW)
    assert (standing.waiting, standing.undelivered, standing.silences) == (1, 1, 1)
    assert standing.failing == ("desk",)
    assert (standing.behind, standing.lanes_ns) == (0, NOW)
    assert not standing.unattended
    assert alerts.standing(conn, NOW).mark == standing.mark


CHANGES = {
    "waits": lambda told, _: told.wait("cooling", "phone", "over the budget: for the digest of 22:00"),
    "sent": lambda told, _: told.send("phone", "cooling"),
    "silence": lambda told, _: told.silence(0, 60),
    "channel": lambda told, _: told.outbox.stand([PHONE], told.now_ns),
    "asked": lambda _, reader: reader.ask("silence", {"for_s": 60}, NOW),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_leaves_another_mark(database, what):
    reader = build(database.url, Commit(clock(), changes=opened(*SOME), feed=[feed_row(BTC)]))
    with telling(database.url) as told:
        told.send("phone", "told")
        with reader.connect() as conn:
            before = alerts.standing(conn, NOW).mark
        CHANGES[what](told, reader)
        with reader.connect() as conn:
            assert alerts.standing(conn, NOW).mark != before
    reader.close()


def test_changes_that_nobody_judges_are_counted(database):
    reader = build(database.url, Commit(clock(), changes=opened(*SOME[:2]), feed=[feed_row(BTC)]))
    with reader.connect() as conn:
        nobody = alerts.standing(conn, NOW)
    assert (nobody.behind, nobody.unattended) == (2, False), "nobody is to be told"
    with telling(database.url), reader.connect() as conn:
        catching_up = alerts.standing(conn, NOW)
    assert (catching_up.behind, catching_up.unattended) == (2, False), "who tells is there, and catches up"
    reader.close()


def test_silences_hold_by_the_clock_of_alerting_where_nothing_is_stored_any_more(database):
    reader = build(database.url, Commit(clock(), feed=[feed_row(BTC)]))
    with telling(database.url) as told:
        told.silence(600, 1_200)
    with reader.connect() as conn:
        later = [alerts.standing(conn, NOW + s * NS) for s in (0, 700, 1_300)]
    assert [(each.lanes_ns, each.silences) for each in later] == [(NOW, 0), (NOW + 700 * NS, 1), (NOW + 1_300 * NS, 0)]
    reader.close()


def test_a_silence_that_holds_is_listed_whatever_came_after_it(database, monkeypatch):
    monkeypatch.setattr(alerts, "SILENCES_PAST", 2)
    reader = build(database.url, Commit(clock(), feed=[feed_row(BTC)]))
    with telling(database.url) as told:
        told.silence(-60, 3_600)
        for _ in range(4):
            told.silence(-60, -30)
    with reader.connect() as conn:
        assert [each.number for each in alerts.silences(conn, NOW)] == [5, 4, 1]
    reader.close()


def test_a_teller_without_a_sign_of_life_is_noticed_in_a_calm_market_too(database):
    reader = build(database.url, Commit(clock(), feed=[feed_row(BTC)]))
    with telling(database.url) as told, reader.connect() as conn:
        assert not alerts.standing(conn, NOW).unattended
        told.outbox.beat(told.now_ns - 41 * NS)
    with reader.connect() as conn:
        assert alerts.standing(conn, NOW).unattended
    reader.close()


def test_a_database_in_which_nobody_tells_anything(database):
    reader = build(database.url, Commit(clock(), feed=[feed_row(BTC)]))
    with reader.connect() as conn:
        assert alerts.alerts(conn, AlertFilter(), NOW, 10) == []
        assert (alerts.channels(conn), alerts.silences(conn, NOW), alerts.messages(conn)) == ([], [], [])
        assert alerts.standing(conn, NOW).undelivered == 0
    reader.close()


LIVE = {
    "list": lambda conn: alerts.alerts(conn, AlertFilter(outcomes=("told",), within_s=3_600), NOW, 200),
    "all": lambda conn: alerts.alerts(conn, AlertFilter(), NOW, 200),
    "page": lambda conn: alerts.alerts(conn, AlertFilter(channels=("phone",)), NOW, 200, (NOW, 3, "phone")),
    "waiting": lambda conn: alerts.alerts(conn, AlertFilter(outcomes=("waiting",)), NOW, 200),
    "undelivered alerts": lambda conn: alerts.alerts(conn, AlertFilter(outcomes=("undelivered",)), NOW, 200),
    "of a symbol": lambda conn: alerts.alerts(conn, AlertFilter(symbols=("BTC-USD",)), NOW, 200),
    "of one": lambda conn: alerts.alerts_of(conn, ["told"]),
    "undelivered": lambda conn: alerts.messages(conn, ["undelivered"]),
    "messages": alerts.messages,
    "message": lambda conn: alerts.message(conn, 2),
    "standing": lambda conn: alerts.standing(conn, NOW),
}


SPARSE = ("waiting", "undelivered alerts", "of a symbol")
"""What may be so rare that looking for it from the newer end would be to read all."""


@of_sqlite
@pytest.mark.parametrize("name", LIVE)
def test_no_live_query_reads_a_whole_table(conn, name):
    # From the newer end, up to a limit, or by an index that has nothing but what is asked for.
    by_newer_end = ("SCAN alerts USING INDEX alerts_by_time", "SCAN messages", "SCAN requests")
    rare = ("SCAN alerts USING INDEX alerts_waiting", "SCAN alerts USING INDEX alerts_undelivered")
    for statement, step in plans(conn, lambda: LIVE[name](conn)):
        for table in ("changes", "requests", "attempts", "anomalies", "alerts", "messages"):
            limited = step.startswith(by_newer_end) and "LIMIT" in statement and name not in SPARSE
            assert limited or step.startswith(rare) or not step.startswith(f"SCAN {table}"), f"{step} in {statement}"
