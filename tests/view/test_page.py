import msgspec
import pytest
from streamlit.testing.v1 import AppTest

from support.views import BTC, LINK, NOW, anomaly, build, clock, feed_row, opened
from tapewatch.store.records import Commit
from tapewatch.view.dashboard import PAGE
from tapewatch.view.services import Services, provide
from tapewatch.view.theme import palette
from tapewatch.words import RULES

PARTS = ["top", "chart", "log", "rail", "alerts", "foot"]


@pytest.fixture
def page(tmp_path):
    found = opened(anomaly("a", ended=False), anomaly("b", symbol="BTC-USD", severity="low", rule="vol_breakout"))
    reader = build(tmp_path / "x.db", Commit(clock(), changes=found, feed=[feed_row(BTC), feed_row(LINK)]))
    provide(Services(reader, lambda: NOW, lambda *_: "done: nothing"))
    yield AppTest.from_file(str(PAGE), default_timeout=60)
    reader.close()


def data(page, name="log"):
    part = next(each.proto for each in page.get("bidi_component") if each.proto.component_name == f"tapewatch.{name}")
    return msgspec.json.decode(part.json)


def widget(page, key):
    return next(each for each in page.get("button_group") if each.key == key)


def wanted(page):
    return data(page)["filter"]


def test_the_page_as_it_is_first_seen(page):
    page.run()
    assert not page.exception
    assert [each.proto.component_name for each in page.get("bidi_component")] == [f"tapewatch.{name}" for name in PARTS]
    assert wanted(page) == {
        "severities": ["high", "medium", "low"],
        "rules": [],
        "directions": [],
        "one": False,
        "recency": 3_600,
        "size": 0.0,
    }
    assert data(page)["display"] == {"line": False, "colour": False, "bands": True, "mean": 20, "sigmas": 2.0}
    assert data(page)["palettes"]["light"] == palette("light")


def test_parts_are_named_by_address_and_not_sent_along(page):
    page.run()
    for each in page.get("bidi_component"):
        assert each.proto.js_source_path.split("?")[0].endswith(".js")
        assert not each.proto.js_content


def test_all_parts_are_told_the_same(page):
    page.run()
    assert len({msgspec.json.encode(data(page, name)) for name in PARTS}) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"severity": ["Low"]}, {"severities": ["low"]}),
        ({"severity": ["Medium", "High"]}, {"severities": ["medium", "high"]}),
        ({"scope": "This symbol"}, {"one": True}),
        ({"direction": "Down"}, {"directions": ["down"]}),
        ({"type": ["Fast move", "Missing trades"]}, {"rules": ["pct_spike", "tape_gap"]}),
        ({"last": "7 d"}, {"recency": 604_800}),
        ({"size": "≥ 4×"}, {"size": 4.0}),
    ],
)
def test_the_url_chooses(page, query, expected):
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert wanted(page) == wanted(page) | expected


@pytest.mark.parametrize(
    "query",
    [{"severity": ["<script>"]}, {"last": "1 year"}, {"type": ["x"]}, {"mean": "a"}, {"sigma": "99"}, {"size": "big"}],
)
def test_a_url_with_nonsense_shows_the_page_all_the_same(page, query):
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert wanted(page)["recency"] == 3_600
    assert data(page)["display"]["mean"] == 20
    assert data(page)["display"]["sigmas"] <= 5


def test_choices_one_after_the_other(page):
    page.run()
    widget(page, "severity").set_value(["High"]).run()
    widget(page, "direction").set_value("Up").run()
    widget(page, "type").set_value(["Volatility breakout"]).run()
    widget(page, "last").set_value("24 h").run()
    widget(page, "size").set_value("≥ 8×").run()
    assert wanted(page) == {
        "severities": ["high"],
        "rules": ["vol_breakout"],
        "directions": ["up"],
        "one": False,
        "recency": 86_400,
        "size": 8.0,
    }
    widget(page, "severity").set_value([]).run()
    assert wanted(page)["severities"] == [], "nothing chosen lists nothing"


def test_how_the_chart_is_drawn(page):
    page.run()
    widget(page, "style").set_value("Line").run()
    widget(page, "candles").set_value("Green and red").run()
    page.toggle(key="bands").set_value(False).run()
    page.number_input(key="mean").set_value(50).run()
    page.number_input(key="sigma").set_value(2.5).run()
    assert data(page, "chart")["display"] == {"line": True, "colour": True, "bands": False, "mean": 50, "sigmas": 2.5}


def test_how_many_types_are_chosen_is_said_on_the_button(page):
    page.query_params["type"] = ["Fast move", "Missing trades"]
    page.run()
    assert any(each.proto.popover.label == f"2 of {len(RULES)} types" for each in page.get("popover"))


def test_which_size_is_chosen_is_said_on_the_button(page):
    page.query_params["size"] = "≥ 4×"
    page.run()
    assert any(each.proto.popover.label == "≥ 4×" for each in page.get("popover"))


def test_files_are_offered(page):
    page.run()
    assert [each.label for each in page.get("download_button")] == ["CSV", "JSON lines"]


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_the_shell_has_the_colours_of_the_theme(page, mode, monkeypatch):
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.theme", type("Theme", (), {"type": mode})())
    page.run()
    assert not page.exception
    sheet = next(each.proto.body for each in page.get("html") if "<style>" in each.proto.body)
    assert f"--tw-ground:{palette(mode)['ground']};" in sheet
