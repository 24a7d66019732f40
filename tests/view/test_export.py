import csv
import io

import msgspec

from support.views import LINK, NOW, anomaly, build, clock, feed_row, opened
from tapewatch.model import Anomaly
from tapewatch.store.records import Commit
from tapewatch.store.sql import Store
from tapewatch.view.export import export
from tapewatch.view.queries import Filter

SOME = (
    anomaly("new", ago_s=60, ended=False),
    anomaly("old", ago_s=120, severity="low", explain='he said "no", twice'),
    anomaly("older", ago_s=9_000),
)
ALL = Filter(severities=("high", "medium", "low"))


def reader(tmp_path):
    return build(tmp_path / "x.db", Commit(clock(), changes=opened(*SOME), feed=[feed_row(LINK)]))


def test_json_lines_are_the_records_themselves(tmp_path):
    with_all = export(reader(tmp_path), ALL, NOW, "json")
    assert [msgspec.json.decode(line, type=Anomaly) for line in with_all.splitlines()] == [SOME[0], SOME[1]]


def test_csv_has_a_column_for_every_field(tmp_path):
    rows = list(csv.DictReader(io.StringIO(export(reader(tmp_path), ALL, NOW, "csv").decode())))
    assert [row["id"] for row in rows] == ["new", "old"]
    assert list(rows[0]) == list(Anomaly.__struct_fields__)
    assert rows[1]["explain"] == 'he said "no", twice'
    assert rows[0]["escalated_ts"].split() == [str(ts) for ts in SOME[0].escalated_ts]
    assert rows[0]["ended_ts"] == ""


def test_only_what_the_filter_lists(tmp_path):
    low = Filter(severities=("low",))
    assert [msgspec.json.decode(line)["id"] for line in export(reader(tmp_path), low, NOW, "json").splitlines()] == [
        "old"
    ]


def test_no_severity_chosen_and_no_database(tmp_path):
    assert export(reader(tmp_path), Filter(severities=()), NOW, "json") == b""
    missing = Store.read(tmp_path / "none.db")
    assert export(missing, ALL, NOW, "csv").decode().startswith("id,venue,symbol")
    missing.close()
