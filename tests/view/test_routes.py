import contextlib

import httpx
import msgspec
import numpy as np
import pytest
from starlette.applications import Starlette
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from support.pages import Page
from support.serving import serving
from support.views import BTC, LINK, NOW, anomaly, bars_of, build, clock, feed_row, opened, silence
from tapewatch.model import NS
from tapewatch.store.bars import CHART, read_bars
from tapewatch.store.records import Commit
from tapewatch.store.sql import Store
from tapewatch.view import routes
from tapewatch.view.live import Hub

T = NOW // NS - NOW // NS % 60
CLOSES = [19.0 + i / 100 for i in range(50)]
SOME = (
    anomaly("new", ago_s=60, ended=False),
    anomaly("up", ago_s=120, direction="up", severity="medium", rule="vol_breakout", unit="USD"),
    anomaly("btc", ago_s=300, symbol="BTC-USD"),
    anomaly("old", ago_s=7_200),
    silence("silent", "LINK-USD", ago_s=47),
)


@contextlib.contextmanager
def served(reader):
    hub = Hub(reader, lambda: NOW, refresh_s=3)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        await hub.follow()
        yield

    app = Starlette(routes=routes.routes(reader, hub, lambda: NOW, lambda *_: "done: nothing"), lifespan=lifespan)
    with serving(app) as address, httpx.Client(base_url=f"http://{address}") as client:
        yield client
    reader.close()


def live(client):
    return connect(f"ws://{client.base_url.host}:{client.base_url.port}/api/live")


@pytest.fixture
def client(database):
    commit = Commit(
        clock(),
        changes=opened(*SOME),
        bars=[bars_of(LINK, 10, [T + 10 * i for i in range(50)], CLOSES)],
        feed=[feed_row(LINK), feed_row(BTC)],
    )
    with served(build(database.url, commit)) as client:
        yield client


def bars(answer):
    return np.frombuffer(answer.content, dtype=CHART)


def test_bars_and_the_place_they_stem_from(client):
    answer = client.get("/api/bars", params={"venue": "coinbase", "symbol": "LINK-USD", "width": 10})
    found = bars(answer)
    assert found["close"].tolist() == pytest.approx(CLOSES)
    assert found["time"].tolist() == [T + 10 * i for i in range(50)]
    assert answer.headers["tapewatch-revision"] == "1"
    assert answer.headers["tapewatch-seq"] == str(len(SOME))
    assert len(answer.headers["tapewatch-epoch"]) == 16
    assert answer.headers["cache-control"] == "no-store"


def test_bars_before_a_time(client):
    wish = {"venue": "coinbase", "symbol": "LINK-USD", "width": 10, "before": T + 200, "limit": 5}
    assert bars(client.get("/api/bars", params=wish))["time"].tolist() == [T + 150, T + 160, T + 170, T + 180, T + 190]


def test_a_lane_that_nobody_knows_has_no_bars(client):
    assert client.get("/api/bars", params={"venue": "x", "symbol": "y"}).content == b""


@pytest.mark.parametrize(
    ("path", "query", "word"),
    [
        ("bars", {"venue": "coinbase", "symbol": "LINK-USD", "limit": 10_001}, "limit"),
        ("bars", {"venue": "coinbase", "symbol": "LINK-USD", "limit": 0}, "limit"),
        ("bars", {"venue": "coinbase", "symbol": "LINK-USD", "width": 7}, "width"),
        ("bars", {"venue": "coinbase"}, "symbol"),
        ("bars", {"venue": "coinbase", "symbol": "x" * 65}, "symbol"),
        ("bars", {"venue": "coinbase", "symbol": "LINK-USD", "before": "nan"}, "before"),
        ("bars", {"venue": "coinbase", "symbol": "LINK-USD", "before": 1e300}, "before"),
        ("bars", {"venue": "coinbase", "symbol": "LINK-USD", "sql": "1"}, "sql"),
        ("anomalies", {"severities": "high,awful"}, "severities"),
        ("anomalies", {"limit": 501}, "limit"),
        ("anomalies", {"recency_s": 1}, "recency_s"),
        ("span", {"venue": "coinbase", "symbol": "LINK-USD", "start": -1, "end": 5}, "start"),
    ],
)
def test_a_wrong_number_is_answered_with_a_sentence(client, path, query, word):
    answer = client.get(f"/api/{path}", params=query)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["silent", "new", "up", "btc"]),
        ({"severities": "medium,low"}, ["up"]),
        ({"symbols": "BTC-USD"}, ["btc"]),
        ({"rules": "silent_feed"}, ["silent"]),
        ({"directions": "up"}, ["up"]),
        ({"recency_s": 86_400, "limit": 2}, ["silent", "new"]),
        ({"recency_s": 86_400}, ["silent", "new", "up", "btc", "old"]),
    ],
)
def test_anomalies_of_a_filter(client, query, expected):
    assert [row["id"] for row in client.get("/api/anomalies", params=query).json()["rows"]] == expected


def test_pages_of_anomalies_are_complete(client):
    ids, query = [], {"recency_s": 86_400, "limit": 2}
    while True:
        page = client.get("/api/anomalies", params=query).json()["rows"]
        fresh = [row for row in page if row["id"] not in ids]
        if not fresh:
            break
        ids += [row["id"] for row in fresh]
        query |= {"before": page[-1]["opened"], "before_id": page[-1]["id"]}
    assert ids == ["silent", "new", "up", "btc", "old"]


def test_what_was_abnormal_in_sight(client):
    query = {"venue": "coinbase", "symbol": "LINK-USD", "start": NOW / NS - 130, "end": NOW / NS}
    assert {row["id"] for row in client.get("/api/span", params=query).json()["rows"]} == {"new", "up", "silent"}


def test_before_there_is_a_database(database):
    with served(Store.read(database.url)) as client:
        assert client.get("/api/health").json() == {"ok": True, "database": False}
        answer = client.get("/api/bars", params={"venue": "coinbase", "symbol": "LINK-USD"})
        assert (answer.content, answer.headers["tapewatch-epoch"]) == (b"", "")
        assert client.get("/api/anomalies").json() == {"epoch": "", "revision": 0, "seq": 0, "rows": []}


def test_a_database_that_cannot_be_read_is_said(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 20)
    with served(Store.read(path)) as client:
        answer = client.get("/api/anomalies")
        assert answer.status_code == 503
        assert str(path) in answer.json()["error"]


def subscribe(socket, page):
    socket.send(msgspec.json.encode(page.wish).decode())


def test_a_page_is_told_everything_at_once(client):
    page = Page(LINK, 10)
    with live(client) as socket:
        subscribe(socket, page)
        page.take(socket.recv())
    assert page.parts["now"]["word"] == "Live"
    assert [watch["symbol"] for watch in page.parts["watch"]] == ["BTC-USD", "LINK-USD"]
    assert page.parts["tally"]["total"] == 4
    assert set(page.rows) == {"new", "silent"}, "what is open; the rest it reads"


def test_a_page_can_ask_for_something_else(client):
    page = Page(LINK, 10)
    with live(client) as socket:
        subscribe(socket, page)
        page.take(socket.recv())
        page.wish = msgspec.structs.replace(page.wish, number=2, severities=("medium",), symbols=("BTC-USD",))
        subscribe(socket, page)
        answer = msgspec.json.decode(socket.recv())
        assert answer["number"] == 2
        assert answer["tally"]["total"] == 0
        assert answer["tally"]["sizes"]["high"] == [1, 1, 1], "what choosing it would bring"


def test_no_severity_at_all_counts_nothing(client):
    page = Page(LINK, 10)
    page.wish = msgspec.structs.replace(page.wish, severities=())
    with live(client) as socket:
        subscribe(socket, page)
        page.take(socket.recv())
    tally = page.parts["tally"]
    assert tally["total"] == 0
    assert set(tally["rules"].values()) == {0}
    assert tally["sizes"]["high"][0] > 0, "what choosing it would bring"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", routes.BAD_WISH),
        ("[]", routes.BAD_WISH),
        ('{"number": 1}', routes.BAD_WISH),
        ('{"number":1,"venue":"c","symbol":"s","width":3}', routes.BAD_WISH),
        ('{"number":1,"venue":"c","symbol":"s","width":1,"recency_s":1}', routes.BAD_WISH),
        ('{"number":1,"venue":"c","symbol":"s","width":1,"more":1}', routes.BAD_WISH),
        ("x" * (routes.WISH_BYTES_MAX + 1), routes.WISH_TOO_LONG),
    ],
)
def test_nonsense_closes_the_socket(client, text, code):
    with live(client) as socket:
        socket.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
    assert closed.value.rcvd.code == code


def test_too_many_pages_are_told_to_come_later(client, monkeypatch):
    monkeypatch.setattr("tapewatch.view.live.PAGES_MAX", 1)
    with live(client) as socket:
        subscribe(socket, Page(LINK))
        socket.recv()
        with pytest.raises(InvalidStatus), live(client):
            pass


def test_a_page_that_goes_away_is_forgotten(client, monkeypatch):
    monkeypatch.setattr("tapewatch.view.live.PAGES_MAX", 1)
    for _ in range(3):
        with live(client) as socket:
            subscribe(socket, Page(LINK))
            assert socket.recv()


def test_bars_agree_with_the_queries(client, database):
    reader = Store.read(database.url)
    with reader.connect() as conn:
        expected = read_bars(conn, LINK, 60)
    reader.close()
    assert bars(client.get("/api/bars", params={"venue": "coinbase", "symbol": "LINK-USD", "width": 60})).tolist() == (
        expected.tolist()
    )
