import contextlib
import csv
import io

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from support.serving import serving
from support.telling import telling
from support.views import BTC, LINK, NOW, anomaly, build, clock, feed_row, opened
from tapewatch.errors import StoreError
from tapewatch.model import NS
from tapewatch.store.records import ALERTING, Commit
from tapewatch.store.sql import Store
from tapewatch.view.alert_routes import Asking, alert_routes
from tapewatch.view.answering import BODY_BYTES_MAX
from tapewatch.view.guard import Guard

SOME = (
    anomaly("told", ago_s=60),
    anomaly("btc", ago_s=50, symbol="BTC-USD"),
    anomaly("cooling", ago_s=40),
    anomaly("low", ago_s=20, severity="low", rule="mean_reversion_break"),
    anomaly("old", ago_s=90_000),
)


class Alerting:
    """Remembers what it was asked for."""

    def __init__(self):
        self.asked, self.answer = [], "done: as you wish"

    def __call__(self, kind, arguments):
        self.asked.append((kind, arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextlib.contextmanager
def served(reader, alerting):
    app = Guard(Starlette(routes=alert_routes(reader, lambda: NOW, alerting)))
    with serving(app) as address, httpx.Client(base_url=f"http://{address}") as client:
        yield client
    reader.close()


@pytest.fixture
def alerting():
    return Alerting()


@pytest.fixture
def client(database, alerting):
    reader = build(database.url, Commit(clock(), changes=opened(*SOME), feed=[feed_row(BTC), feed_row(LINK)]))
    with telling(database.url) as told:
        told.send("phone", "told", "btc", outcomes=("HTTP 500: try later", "accepted"))
        told.send("desk", "old", outcomes=("HTTP 401: bad token",))
        told.judge("cooling", "phone", "cooling", "muted until 22:31 or a move above 2.10 %: last sent 21:31 at 8.4×")
        told.judge("low", "phone", "unrouted", "low: this channel takes high severity only")
        told.silence(-60, 3_540, symbol="BTC-*", note="listing day")
        told.silence(-600, -300, rule="tape_gap", severity="high")
        told.silence(300, 900)
        told.mark("told", "true", "seen it", ago_s=0)
        told.mark("cooling", "false", ago_s=5)
        told.mark("btc", None, ago_s=9)
    with served(reader, alerting) as client:
        yield client


def listed(client, **query):
    return [(row["anomaly"], row["channel"]) for row in client.get("/api/alerts", params=query).json()["rows"]]


def test_a_row_has_all_the_words(client):
    row = client.get("/api/alerts", params={"symbols": "BTC-USD"}).json()["rows"][0]
    at = row.pop("at")
    assert at == NOW / NS - 50
    assert row.pop("explain").startswith("BTC-USD fell")
    assert row == {
        "seq": 2,
        "channel": "phone",
        "occasion": "opened",
        "happened": "opened",
        "at_ns": str(NOW - 50 * NS),
        "anomaly": "btc",
        "symbol": "BTC-USD",
        "type": "Fast move",
        "severity": "high",
        "direction": "down",
        "peak": "−2.81 %",
        "outcome": "told",
        "word": "told",
        "why": "",
        "reason": "in message 1",
        "message": 1,
        "delivery": "sent",
        "size": 11.24,
        "muted": False,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["low", "cooling", "btc", "told", "old"]),
        ({"within_s": 3_600}, ["low", "cooling", "btc", "told"]),
        ({"outcomes": "told,undelivered"}, ["btc", "told", "old"]),
        ({"outcomes": "held back"}, ["cooling"]),
        ({"channels": "desk"}, ["old"]),
        ({"symbols": "BTC-USD", "limit": 1}, ["btc"]),
    ],
)
def test_alerts_of_a_filter(client, query, expected):
    assert [name for name, _ in listed(client, **query)] == expected


def test_pages_are_complete(client):
    rows, query = [], {"limit": 2}
    while page := client.get("/api/alerts", params=query).json()["rows"]:
        rows += page
        last = page[-1]
        query |= {"before": last["at_ns"], "before_seq": last["seq"], "before_channel": last["channel"]}
    assert [row["anomaly"] for row in rows] == ["low", "cooling", "btc", "told", "old"]


def test_all_of_the_page_but_the_list(client):
    found = client.get("/api/alerting").json()
    assert found["standing"]["word"] == "1 undelivered"
    assert found["standing"]["tone"] == "bad"
    assert [(each["name"], each["state"], each["undelivered"]) for each in found["channels"]] == [
        ("desk", "failing", 1),
        ("phone", "working", 0),
    ]
    assert found["channels"][1]["accepted"] == "last accepted 40 s ago"
    assert [(each["number"], each["error"], each["text"]) for each in found["undelivered"]] == [
        (2, "HTTP 401: bad token", "")
    ]
    assert [(each["matches"], each["state"], each["left"]) for each in found["silences"]] == [
        ("BTC-*", "active", "59 min left"),
        ("everything", "planned", "starts in 5 min"),
        ("Missing trades · high", "past", "ended 21:27:48"),
    ]
    (fast,) = found["precision"]
    assert (fast["type"], fast["words"], fast["judged"], fast["spans"]) == ("Fast move", "50 %", 2, [0.5])
    assert fast["names"] == ["2025-10-10: 1 of 2 real"]
    assert client.get("/api/alerting", params={"by": "week"}).json()["precision"][0]["names"] == [
        "2025-10-06: 1 of 2 real"
    ]


def test_a_message_with_its_attempts(client):
    found = client.get("/api/message", params={"number": 1}).json()
    assert found["subject"].endswith("and 1 more")
    assert "BTC-USD" in found["text"]
    assert found["delivery"] == "accepted 21:32:50, 2 tries"
    assert [(each["accepted"], each["outcome"], each["took"]) for each in found["attempts"]] == [
        (False, "HTTP 500: try later", "184 ms"),
        (True, "accepted", "184 ms"),
    ]
    missing = client.get("/api/message", params={"number": 9})
    assert (missing.status_code, missing.json()["error"]) == (404, "there is no message 9")


@pytest.mark.parametrize(
    "address",
    [
        "/api/message?number=10000000000000000000",
        "/api/alerts?before=1&before_seq=10000000000000000000",
        "/api/anomaly?id=%00",
        "/api/alerts?symbols=%00",
    ],
)
def test_what_no_database_can_look_for_is_refused_with_a_sentence(client, address):
    answer = client.get(address)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Expected `")


def test_a_body_that_is_no_text_is_refused(client):
    answer = client.post("/api/ask", content=b'{"kind": "\xff"}', headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "expected JSON")


def test_one_anomaly_of_any_age(client):
    found = client.get("/api/anomaly", params={"id": "old"}).json()
    assert found["row"]["id"] == "old"
    assert found["told"] == ["desk: message 2 was not delivered: HTTP 401: bad token"]
    assert found["mark"] is None
    cooling = client.get("/api/anomaly", params={"id": "cooling"}).json()
    assert cooling["told"] == ["phone: muted until 22:31 or a move above 2.10 %: last sent 21:31 at 8.4×"]
    assert cooling["mark"]["word"] == "✗ false alarm"
    assert client.get("/api/anomaly", params={"id": "low"}).json()["told"] == [], "the phone was never to be told"
    assert client.get("/api/anomaly", params={"id": "nobody"}).json() == {"row": None, "told": [], "mark": None}


def test_what_people_said(client):
    assert [(each["anomaly"], each["word"]) for each in client.get("/api/marks").json()["marks"]] == [
        ("told", "✓ real"),
        ("cooling", "✗ false alarm"),
        ("btc", "seen"),
    ]


def test_labels_as_a_file(client):
    answer = client.get("/api/labels")
    assert 'filename="labels.csv"' in answer.headers["content-disposition"]
    assert [row["anomaly_id"] for row in csv.DictReader(io.StringIO(answer.text))] == ["told", "cooling"]
    lines = client.get("/api/labels", params={"form": "json"}).text.splitlines()
    assert msgspec.json.decode(lines[0])["told_by"] == ["phone"]


@pytest.mark.parametrize(
    ("path", "query", "word"),
    [
        ("alerts", {"outcomes": "told,sold"}, "outcomes"),
        ("alerts", {"limit": 501}, "limit"),
        ("alerts", {"within_s": 1}, "within_s"),
        ("alerts", {"before": "x"}, "before"),
        ("alerts", {"sql": "1"}, "sql"),
        ("alerting", {"by": "year"}, "by"),
        ("message", {"number": 0}, "number"),
        ("message", {}, "number"),
        ("anomaly", {"id": "x" * 101}, "id"),
        ("labels", {"form": "xls"}, "form"),
    ],
)
def test_a_wrong_query_is_answered_with_a_sentence(client, path, query, word):
    answer = client.get(f"/api/{path}", params=query)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_asking(client, alerting):
    answer = client.post("/api/ask", json={"kind": "mark", "arguments": {"anomaly": "told", "label": None}})
    assert (answer.status_code, answer.json()) == (200, {"done": True, "said": "As you wish"})
    assert alerting.asked == [("mark", {"anomaly": "told", "label": None})]
    alerting.answer = "refused: there is no silence 7"
    answer = client.post("/api/ask", json={"kind": "unsilence", "arguments": {"number": 7}})
    assert answer.json() == {"done": False, "said": "There is no silence 7"}
    alerting.answer = StoreError("nobody answers")
    answer = client.post("/api/ask", json={"kind": "retry", "arguments": {"message": 2}})
    assert (answer.status_code, answer.json()["error"]) == (503, "nobody answers")


def test_all_that_alerting_answers_can_be_asked():
    for kind in ALERTING:
        assert msgspec.convert({"kind": kind, "arguments": {}}, Asking).kind == kind


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"not json", "JSON"),
        (b"[]", "object"),
        (b'{"kind": "mark"}', "arguments"),
        (b'{"kind": "limits", "arguments": {}}', "limits"),
        (b'{"kind": "mark", "arguments": {}, "more": 1}', "more"),
        (b'{"kind": "mark", "arguments": {"anomaly": ["a"]}}', "arguments"),
        (b'{"kind": "mark", "arguments": {"note": "' + b"x" * BODY_BYTES_MAX + b'"}}', "at most"),
    ],
)
def test_a_wrong_wish_is_answered_with_a_sentence(client, alerting, body, word):
    answer = client.post("/api/ask", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert alerting.asked == []


def test_only_our_own_page_may_ask(client, alerting):
    wish = msgspec.json.encode({"kind": "silence", "arguments": {"for_s": 1e6}})
    json = {"content-type": "application/json"}
    for headers, status in (
        (json | {"origin": "http://evil.test"}, 403),
        (json | {"host": "evil.test"}, 403),
        ({"content-type": "text/plain"}, 400),  # what a form of another site could send
        ({"content-type": "application/x-www-form-urlencoded"}, 400),
    ):
        assert client.post("/api/ask", content=wish, headers=headers).status_code == status
    assert client.get("/api/ask").status_code == 405
    assert alerting.asked == []


def test_before_there_is_a_database(database, alerting):
    with served(Store.read(database.url), alerting) as client:
        assert client.get("/api/alerts").json() == {"rows": []}
        assert client.get("/api/alerting").json()["channels"] == []
        assert client.get("/api/marks").json() == {"marks": []}
        assert client.get("/api/anomaly", params={"id": "x"}).json()["row"] is None
        assert client.get("/api/message", params={"number": 1}).status_code == 404
        assert client.get("/api/labels").text.startswith("anomaly_id")
