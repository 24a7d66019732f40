"""The dashboard without a Grafana: all that we measure is on it, once, and nothing that nobody measures."""

import itertools
import json
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from support.promql import DEPLOY, OURS, base, bumped, labels_of, selectors, wrong

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
PANELS: dict[str, dict[str, Any]] = {each["title"]: each for each in DASHBOARD["panels"] if each["type"] != "row"}
ROWS = ("Market data in", "Detection", "Pipeline", "Alerts and channels", "Process")
WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"short", "cps", "s", "bytes", "percentunit", "none"}
UNSHOWN = {
    "tapewatch_gaps_opened_total": "anomalies of the rule tape_gap are on it",
    "tapewatch_gaps_closed_total": "anomalies of the rule tape_gap are on it",
    "tapewatch_changes_unreadable_total": "the log says which, and it should never happen",
    "tapewatch_epochs_total": "anomalies of the rule new_numbering are on it",
    "tapewatch_clock_steps_total": "it is an alert, and the log says what was set",
    "tapewatch_ready": "it is an alert, and /readyz says why",
    "process_virtual_memory_bytes": "what is asked for, not what is used",
    "process_open_fds": "no command of ours opens many files",
    "process_max_fds": "no command of ours opens many files",
}
"""What is not on the dashboard, and why."""


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def test_it_is_of_the_last_version_that_every_grafana_reads() -> None:
    assert DASHBOARD["schemaVersion"] == 42  # the last one of this kind of dashboard
    assert DASHBOARD["uid"] == "tapewatch"
    assert "id" not in DASHBOARD  # the number of a dashboard belongs to one Grafana


def test_whose_prometheus_it_asks_can_be_chosen() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    sources = re.findall(r'"uid": "([^"]+)"', json.dumps({**DASHBOARD, "uid": SOURCE["uid"]}))
    assert set(sources) == {SOURCE["uid"]}


def test_it_has_a_row_for_each_group_of_alerts() -> None:
    assert tuple(each["title"] for each in DASHBOARD["panels"] if each["type"] == "row") == ROWS
    groups = YAML(typ="safe", pure=True).load((DEPLOY / "prometheus-rules.yml").read_text())["groups"]
    assert tuple(group["name"] for group in groups) == ROWS


def test_panels_are_few_and_each_has_a_name_of_its_own() -> None:
    assert len(PANELS) <= 24
    assert len(PANELS) + len(ROWS) == len(DASHBOARD["panels"])
    assert len({each["id"] for each in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    across, down = (range(place[at], place[at] + place[size]) for at, size in ("xw", "yh"))
    return set(itertools.product(across, down))


def test_no_panel_lies_on_another_and_none_leaves_a_hole() -> None:
    taken = [cell for panel in DASHBOARD["panels"] for cell in cells(panel)]
    assert len(set(taken)) == len(taken)
    assert set(taken) == set(itertools.product(range(WIDTH), range(max(y for _, y in taken) + 1)))


def test_panels_stand_below_their_row() -> None:
    tops = [panel["gridPos"]["y"] for panel in DASHBOARD["panels"]]
    assert tops == sorted(tops)  # Grafana gives a panel to the last row above it in the list


@pytest.mark.parametrize("title", PANELS)
class TestEachPanel:
    def test_it_says_what_it_shows(self, title: str) -> None:
        description = PANELS[title]["description"]
        assert description.endswith(".")
        assert len(description.split()) >= 10

    def test_it_has_a_unit_and_a_legend(self, title: str) -> None:
        panel = PANELS[title]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["options"]["legend"]["showLegend"]
        for target in panel["targets"]:
            assert target["legendFormat"]
            assert target["datasource"] == SOURCE
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels_of(target["expr"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])

    def test_it_asks_for_what_we_tell(self, title: str) -> None:
        for expression in expressions(PANELS[title]):
            assert not list(wrong(expression))

    def test_what_it_asks_for_is_counted_somewhere(self, title: str) -> None:
        read = {base(each.name) for expression in expressions(PANELS[title]) for each in selectors(expression)}
        assert {name for name in read if name.startswith("tapewatch_")} <= bumped()

    def test_its_exceptions_match_a_series_of_it(self, title: str) -> None:
        legends = [re.sub(r"{{\w+}}", "some", target["legendFormat"]) for target in PANELS[title]["targets"]]
        for override in PANELS[title]["fieldConfig"]["overrides"]:
            assert override["matcher"]["id"] == "byRegexp"
            assert any(re.search(override["matcher"]["options"], legend) for legend in legends)


def test_a_limit_on_a_panel_is_the_one_of_the_alert() -> None:
    text = (DEPLOY / "prometheus-rules.yml").read_text()
    limits = [
        step["value"]
        for panel in PANELS.values()
        if panel["type"] == "timeseries"
        for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]
    ]
    assert limits
    for limit in limits:
        assert re.search(rf"> {limit}\b", text)


def test_all_that_we_measure_is_shown_or_left_out_on_purpose() -> None:
    shown = {
        base(each.name) for panel in PANELS.values() for each in itertools.chain(*map(selectors, expressions(panel)))
    }
    assert shown - {"up"} == {base(name) for name in OURS} - set(UNSHOWN)


def test_alerts_are_marked_on_all_panels() -> None:
    (marks,) = DASHBOARD["annotations"]["list"]
    assert marks["enable"]
    assert marks["datasource"] == SOURCE
    assert [each.name for each in selectors(marks["expr"])] == ["ALERTS"]


class TestProvisioning:
    def test_grafana_finds_prometheus_and_the_dashboard(self) -> None:
        (source,) = YAML(typ="safe").load((DEPLOY / "grafana" / "datasources" / "prometheus.yml").read_text())[
            "datasources"
        ]
        scraped = YAML(typ="safe").load((DEPLOY / "prometheus.yml").read_text())["global"]["scrape_interval"]
        assert (source["type"], source["jsonData"]["timeInterval"]) == ("prometheus", scraped)
        (provider,) = YAML(typ="safe").load((DEPLOY / "grafana" / "dashboards" / "tapewatch.yml").read_text())[
            "providers"
        ]
        assert (provider["type"], provider["options"]["path"]) == ("file", "${TAPEWATCH_DEPLOY}")

    def test_no_other_file_there_would_be_taken_for_a_dashboard(self) -> None:
        assert [path.name for path in DEPLOY.rglob("*.json")] == ["grafana-dashboard.json"]
