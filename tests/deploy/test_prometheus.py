"""What Prometheus is given: it asks every process of ours, and its alerts fire when they should, and only then."""

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from support.images import ROOT
from support.outages import OUTAGES, PER_MINUTE, Outage
from support.promql import DEPLOY, JOBS, KNOWN, anchors, base, bumped, labels_of, parsed, promtool, selectors, wrong

CONFIG = DEPLOY / "prometheus.yml"
RULES_FILE = DEPLOY / "prometheus-rules.yml"
DAY = 1_440
"""Minutes."""

HOMES = {"run": "service", "produce": "produce", "detect": "job", "alerts": "alerts"}
"""Which module of the runtime holds a command's port."""


def loaded(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


GROUPS: list[dict[str, Any]] = loaded(RULES_FILE)["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
GROUP_OF = {rule["alert"]: group["name"] for group in GROUPS for rule in group["rules"]}


class TestWhatIsAsked:
    def test_every_process_has_a_job_at_its_own_port(self) -> None:
        found = {
            job["job_name"]: [target for each in job["static_configs"] for target in each["targets"]]
            for job in loaded(CONFIG)["scrape_configs"]
        }
        assert found == {f"tapewatch-{name}": [f"127.0.0.1:{port}"] for name, port in JOBS.items()}

    @pytest.mark.parametrize("name", HOMES)
    def test_the_ports_are_the_commands_own(self, name: str) -> None:
        assert JOBS[name] == importlib.import_module(f"tapewatch.runtime.{HOMES[name]}").HEALTH_PORT

    def test_compose_publishes_the_same_ports(self) -> None:
        services = loaded(ROOT / "docker-compose.yml")["services"]
        for name in set(JOBS) & set(services):
            assert f"127.0.0.1:{JOBS[name]}:{JOBS[name]}" in services[name]["ports"]

    def test_prometheus_takes_both_files(self) -> None:
        done = subprocess.run([promtool(), "check", "config", str(CONFIG)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"SUCCESS: {len(RULES)} rules found" in done.stdout


@pytest.mark.parametrize("name", RULES)
class TestEachRule:
    def test_it_reads_what_we_tell(self, name: str) -> None:
        assert not list(wrong(RULES[name]["expr"]))

    def test_what_it_reads_is_counted_somewhere(self, name: str) -> None:
        ours = {base(each.name) for each in selectors(RULES[name]["expr"]) if each.name.startswith("tapewatch_")}
        assert ours <= bumped(), "a rule on what nobody counts can never fire"

    def test_it_says_what_is_wrong_and_what_to_do_first(self, name: str) -> None:
        notes = RULES[name]["annotations"]
        assert set(notes) == {"summary", "description", "runbook"}
        assert len(notes["summary"]) < 100
        assert not notes["summary"].endswith(".")
        assert len(re.findall(r"\.(?= |$)", notes["description"])) >= 2
        assert notes["description"].endswith(".")
        text = notes["summary"] + notes["description"]
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels_of(RULES[name]["expr"])

    def test_it_has_a_severity(self, name: str) -> None:
        assert set(RULES[name]["labels"]) == {"severity"}
        assert RULES[name]["labels"]["severity"] in {"critical", "warning", "info"}

    def test_the_runbook_knows_it(self, name: str) -> None:
        document, _, anchor = RULES[name]["annotations"]["runbook"].partition("#")
        severity = RULES[name]["labels"]["severity"]
        assert anchor == GROUP_OF[name].lower().replace(" ", "-")
        assert f"**{name}** ({severity})" in anchors(ROOT / document)[anchor]


def test_no_two_rules_have_one_name() -> None:
    assert len(RULES) == sum(len(group["rules"]) for group in GROUPS)


def test_the_runbook_knows_no_others() -> None:
    assert set(re.findall(r"\*\*(Tapewatch\w+)\*\*", (ROOT / "docs" / "deploy.md").read_text())) == set(RULES)


def test_what_would_be_wrong_is_noticed() -> None:
    assert list(wrong("rate(tapewatch_sold_total[5m])")) == ["no metric tapewatch_sold_total"]
    assert list(wrong('tapewatch_channel_up{venue="x"}')) == ["tapewatch_channel_up has no label venue"]
    assert list(wrong('up{job="tapewatch"}')) == ["job is never tapewatch"]
    assert list(wrong("sum by (rule) (tapewatch_channel_up)")) == ["nothing has the label rule"]
    with pytest.raises(ValueError, match="expected type matrix"):
        parsed("rate(up)")


def test_a_metric_is_known_before_anything_has_happened() -> None:
    assert KNOWN["tapewatch_undelivered_total"] == {"job", "instance", "channel"}
    assert KNOWN["tapewatch_message_seconds_bucket"] == {"job", "instance", "channel", "le"}
    assert "tapewatch_message_seconds" in bumped()


def judged(name: str, outages: list[Outage], folder: Path) -> dict[str, Any]:
    """Write a rule and its outages as `promtool test rules` reads them; alone, it is judged in a tenth of the time."""
    tests = []
    for outage in outages:
        fires = f'ALERTS{{alertname="{outage.alert}", alertstate="firing"}}'
        asked = [(f"last_over_time({fires}[2d])", outage.minutes, 0)]
        if outage.fires is not None:
            asked = [(fires, outage.fires - 2, 0), (fires, outage.fires, 1), (fires, outage.fires + 10, 1)]
        tests.append(
            {
                "name": f"{outage.alert}: {outage.what}",
                "interval": f"{60 // PER_MINUTE}s",
                "input_series": [{"series": name, "values": values} for name, values in outage.series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"count({expression}) or vector(0)",
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": "{}", "value": count}],
                    }
                    for expression, minute, count in asked
                ],
            }
        )
    alone = folder / "rule.yml"
    YAML().dump({"groups": [{"name": GROUP_OF[name], "rules": [RULES[name]]}]}, alone)
    a_day = any(max(outage.fires or 0, outage.minutes) >= DAY for outage in outages)
    interval = "5m" if a_day else loaded(CONFIG)["global"]["evaluation_interval"]
    return {"rule_files": [str(alone)], "evaluation_interval": interval, "tests": tests}


@pytest.mark.parametrize("name", RULES)
def test_it_fires_in_an_outage_and_not_without_one(name: str, tmp_path: Path) -> None:
    outages = [outage for outage in OUTAGES if outage.alert == name]
    assert {outage.fires is None for outage in outages} == {True, False}, "show when it fires, and when it must not"
    file = tmp_path / "outages.yml"
    YAML().dump(judged(name, outages, tmp_path), file)
    done = subprocess.run([promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_outages_are_told_by_metrics_that_we_have() -> None:
    for name in {name for outage in OUTAGES for name in outage.series}:
        assert not list(wrong(name)), name
