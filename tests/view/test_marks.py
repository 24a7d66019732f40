import csv
import io

import msgspec
import pytest

from support.plans import of_sqlite, plans
from support.telling import telling
from support.views import BTC, NOW, anomaly, build, clock, feed_row, opened
from tapewatch.model import NS
from tapewatch.store.records import Commit, Source
from tapewatch.store.sql import Store
from tapewatch.view import marks
from tapewatch.view.marks import Precision

DAY_S = 86_400
FRIDAY = NOW - NOW % (DAY_S * NS)  # 2025-10-10
MONDAY = FRIDAY - 4 * DAY_S * NS

SOME = (
    anomaly("a", ago_s=10),
    anomaly("b", ago_s=20),
    anomaly("c", ago_s=30),
    anomaly("d", ago_s=40),
    anomaly("seen", ago_s=50),
    anomaly("thursday", ago_s=DAY_S),
    anomaly("last-week", ago_s=6 * DAY_S),
    anomaly("vol", ago_s=60, rule="vol_breakout", severity="medium"),
)


@pytest.fixture
def reader(database):
    reader = build(database.url, Commit(clock(), changes=opened(*SOME), feed=[feed_row(BTC)]))
    with telling(database.url) as told:
        told.send("phone", "a")
        told.send("desk", "a", outcomes=("HTTP 500",))
        told.judge("b", "phone", "cooling", "muted until 22:31 or a move above 2.10 %: last sent 21:31 at 8.4×")
        for ago_s, (ident, label) in enumerate(
            [("a", "true"), ("b", "false"), ("c", "true"), ("d", "expected"), ("thursday", "true"), ("vol", "false")]
        ):
            told.mark(ident, label, note=f"{ident}, said" if ident == "a" else "", ago_s=ago_s)
        told.mark("last-week", "false", ago_s=100)
        told.mark("seen", None, ago_s=200)
    yield reader
    reader.close()


def test_what_was_said_of_one(reader):
    with reader.connect() as conn:
        found = marks.mark(conn, "a")
        assert (found.label, found.note, found.marked_ts) == ("true", "a, said", NOW)
        assert marks.mark(conn, "seen").label is None
        assert marks.mark(conn, "nothing such") is None


def test_the_latest_first(reader):
    with reader.connect() as conn:
        assert [each.anomaly_id for each in marks.marks(conn, 3)] == ["a", "b", "c"]
        assert len(marks.marks(conn)) == 8


def test_precision_by_day(reader):
    with reader.connect() as conn:
        found = marks.precision(conn)
    day = DAY_S * NS
    assert found == [
        Precision("pct_spike", FRIDAY - 6 * day, false=1),
        Precision("pct_spike", FRIDAY - day, true=1),
        Precision("pct_spike", FRIDAY, true=2, false=1, expected=1),
        Precision("vol_breakout", FRIDAY, false=1),
    ]
    assert found[2].judged == 3
    assert found[2].share == pytest.approx(2 / 3)
    assert Precision("pct_spike", 0, expected=4).share is None


def test_precision_by_week_and_in_all(reader):
    with reader.connect() as conn:
        found = marks.precision(conn, "week")
    assert found == [
        Precision("pct_spike", MONDAY - 7 * DAY_S * NS, false=1),
        Precision("pct_spike", MONDAY, true=3, false=1, expected=1),
        Precision("vol_breakout", MONDAY, false=1),
    ]
    assert marks.in_all(found) == [
        Precision("pct_spike", 0, true=3, false=2, expected=1),
        Precision("vol_breakout", 0, false=1),
    ]


def test_labels_as_lines_of_json(reader):
    lines = [msgspec.json.decode(line) for line in marks.labels(reader, "json").splitlines()]
    assert [line["anomaly_id"] for line in lines] == ["last-week", "thursday", "vol", "d", "c", "b", "a"]
    assert lines[-1] == {
        "anomaly_id": "a",
        "venue": "coinbase",
        "symbol": "LINK-USD",
        "rule": "pct_spike",
        "severity": "high",
        "opened_ts": NOW - 10 * NS,
        "label": "true",
        "note": "a, said",
        "marked_ts": NOW,
        "told_by": ["phone"],  # the desk was not reached
        "origin": "live",
    }
    assert lines[-2]["told_by"] == [], "held back"


def test_labels_as_csv(reader):
    rows = list(csv.DictReader(io.StringIO(marks.labels(reader, "csv").decode())))
    assert list(rows[0]) == list(marks.Labelled.__struct_fields__)
    assert (rows[-1]["note"], rows[-1]["told_by"], rows[-1]["label"]) == ("a, said", "phone", "true")


@pytest.mark.parametrize(
    ("source", "venue", "wall_ts", "origin"),
    [
        (Source("coinbase", "wss://feed"), "coinbase", NOW, "live"),
        (Source("simulated", seed=7), "simulated", NOW, "simulated"),
        (Source("tape", "/days/crash"), "coinbase", NOW + DAY_S * NS, "replay"),
        (Source("tape", "/days/crash"), "coinbase", NOW, "replay"),
        (Source("tape", "/days/demo"), "simulated", NOW + DAY_S * NS, "simulated replay"),
        (Source("kafka", "cluster/topic"), "coinbase", NOW + 5, "live"),
        (Source("kafka", "cluster/topic"), "coinbase", NOW + 2 * DAY_S * NS, "replay"),
    ],
    ids=str,
)
def test_a_label_says_where_its_data_came_from(tmp_path, source, venue, wall_ts, origin):
    one = anomaly("a", ago_s=10, venue=venue)
    at = clock(wall_ts=wall_ts)
    reader = build(tmp_path / "x.db", Commit(at, changes=opened(one), feed=[feed_row(BTC)]), source=source)
    with telling(tmp_path / "x.db") as told:
        told.mark("a", "true")
    (line,) = marks.labels(reader, "json").splitlines()
    assert msgspec.json.decode(line)["origin"] == origin
    reader.close()


def test_no_database_has_no_labels(tmp_path):
    missing = Store.read(tmp_path / "none.db")
    assert marks.labels(missing, "json") == b""
    assert marks.labels(missing, "csv").decode().startswith("anomaly_id,venue")
    missing.close()


@of_sqlite
def test_no_query_reads_all_anomalies_or_alerts(reader):
    with reader.connect() as conn:
        read = [lambda: marks.precision(conn), lambda: marks.mark(conn, "a"), lambda: marks._labelled(conn)]
        steps = [step for each in read for _, step in plans(conn, each)]
    assert not [step for step in steps if step.startswith(("SCAN anomalies", "SCAN alerts"))]
