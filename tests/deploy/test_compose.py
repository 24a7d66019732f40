"""docker-compose.yml without an engine: valid by the specification, safe by default, and ours in every flag."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from support.images import ROOT
from tapewatch.capture.config import CaptureConfig
from tapewatch.carry.kafka.config import KafkaConfig
from tapewatch.cli import app
from tapewatch.cli.common import SECTIONS
from tapewatch.config import Settings
from tapewatch.dispatch.config import AlertsConfig
from tapewatch.runtime.opening import RunConfig
from tapewatch.runtime.spark import DetectConfig
from tapewatch.simulate.exchange import ExchangeConfig
from tapewatch.store.engine import database_url
from tapewatch.view.dashboard import DashboardConfig

FILE = ROOT / "docker-compose.yml"
STRUCTS = {
    "alerts": AlertsConfig,
    "capture": CaptureConfig,
    "dashboard": DashboardConfig,
    "detect": DetectConfig,
    "exchange": ExchangeConfig,
    "kafka": KafkaConfig,
    "run": RunConfig,
}
PASSWORD = "hidden"  # noqa: S105  # nobody's
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}")


def filled(value: Any) -> Any:
    """Put in what a person would have in .env: the password, and nothing else."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return VARIABLE.sub(_value, value) if isinstance(value, str) else value


def _value(found: re.Match[str]) -> str:
    if found["name"] == "TAPEWATCH_PASSWORD":
        assert found["how"] == "?", "without a password nothing may start"
        return PASSWORD
    assert found["how"] == "-", f"{found['name']} has no default"
    return found["rest"]


COMPOSE = YAML(typ="safe", pure=True).load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = filled(COMPOSE["services"])
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("tapewatch:")]
ONCE = [name for name, service in SERVICES.items() if service.get("restart") == "no"]


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_valid_by_the_specifications_schema(tmp_path: Path) -> None:
    assert checked(FILE).returncode == 0, checked(FILE).stdout
    spoiled = tmp_path / "docker-compose.yml"
    spoiled.write_text(FILE.read_text().replace("condition: service_healthy", "condition: service_hearty"))
    assert checked(spoiled).returncode == 1


def test_it_has_all_parts() -> None:
    assert set(SERVICES) == {"kafka", "postgres", "migrate", "exchange", "produce", "detect", "dashboard", "alerts"}
    assert set(OURS) == set(SERVICES) - {"kafka", "postgres"}
    assert ONCE == ["migrate"]


def context(service: dict[str, Any]) -> typer.Context:
    """Parse a command as our CLI does, without running it."""
    command: Any = typer.main.get_command(app)
    found: typer.Context = command.make_context("tapewatch", [], resilient_parsing=True)
    arguments = list(service["command"])
    while hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(found, arguments)
        rest = arguments if not hasattr(command, "resolve_command") else []
        found = command.make_context(name, list(rest), parent=found, resilient_parsing=not rest and bool(arguments))
    return found


@pytest.mark.parametrize("name", OURS)
def test_our_commands_flags_and_settings_exist(name: str) -> None:
    service = SERVICES[name]
    parameters = context(service).params
    settings = Settings.load(None, service.get("environment", {}), parameters["set_"] or ())
    settings.only(SECTIONS)
    for section, struct in STRUCTS.items():
        settings.section(section, struct)
    if name in {"migrate", "detect", "dashboard", "alerts"}:
        url = database_url(settings.section("run", RunConfig).db)
        assert (url.host, url.password, service["environment"]["PGPASSWORD"]) == ("postgres", None, PASSWORD)


def test_a_flag_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option: --nonsense"):
        context({"command": ["produce", "--nonsense"]})


@pytest.mark.parametrize("name", SERVICES)
class TestEach:
    def test_it_is_pinned(self, name: str) -> None:
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+(?:\.\d+)?(?:-bookworm)?", SERVICES[name]["image"])

    def test_it_is_not_root_and_may_not_become_it(self, name: str) -> None:
        service = SERVICES[name]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert service.get("read_only") is True or name == "kafka"  # its image writes its settings into itself

    def test_it_has_limits(self, name: str) -> None:
        limits = SERVICES[name]["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory", "pids"}

    def test_only_this_machine_reaches_it(self, name: str) -> None:
        assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in SERVICES[name].get("ports", []))
        assert "network_mode" not in SERVICES[name]

    def test_it_says_how_it_is(self, name: str) -> None:
        service = SERVICES[name]
        assert ("healthcheck" in service) == (name not in ONCE)
        if name in OURS and name not in ONCE:
            (asked,) = re.findall(r"http://127\.0\.0\.1:(\d+)/", service["healthcheck"]["test"][-1])
            ports = {str(value) for key, value in context(service).params.items() if key.endswith("port")}
            assert asked in ports
            assert f"127.0.0.1:{asked}:{asked}" in service["ports"]
            assert context(service).params["host"] == "0.0.0.0"  # noqa: S104  # inside its container

    def test_it_waits_for_what_it_needs(self, name: str) -> None:
        for other, how in SERVICES[name].get("depends_on", {}).items():
            assert how["condition"] == ("service_completed_successfully" if other in ONCE else "service_healthy")

    def test_its_volumes_have_names(self, name: str) -> None:
        for volume in SERVICES[name].get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]

    def test_no_secret_is_in_a_list_of_processes(self, name: str) -> None:
        service = SERVICES[name]
        assert PASSWORD not in " ".join([*service.get("command", []), *service.get("healthcheck", {}).get("test", [])])


def _brokers() -> Iterator[str]:
    for name in ("produce", "detect"):
        yield context(SERVICES[name]).params["brokers"]


def test_the_address_of_a_channel_is_a_file_that_only_its_service_sees() -> None:
    (secret,) = SERVICES["alerts"]["secrets"]
    (channel,) = Settings.load(None, SERVICES["alerts"]["environment"]).section("alerts", AlertsConfig).channels
    assert channel.url_file == f"/run/secrets/{secret}"
    assert set(COMPOSE["secrets"]) == {secret}
    assert [name for name, service in SERVICES.items() if "secrets" in service] == ["alerts"]
    assert SERVICES["alerts"]["profiles"] == ["alerts"], "without a channel there is nothing to run"


def test_the_addresses_of_one_are_those_that_others_use() -> None:
    kafka = SERVICES["kafka"]["environment"]
    assert set(_brokers()) == {"kafka:29092"}
    assert "INSIDE://kafka:29092" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
    exchange = context(SERVICES["exchange"]).params
    given = SERVICES["produce"]["environment"]
    assert given["TAPEWATCH_CAPTURE__COINBASE__WS_URL"] == f"ws://exchange:{exchange['port']}"
    assert given["TAPEWATCH_CAPTURE__COINBASE__REST_URL"] == f"http://exchange:{exchange['rest_port']}"
    assert context(SERVICES["detect"]).params["checkpoint"].startswith("/data/")
    assert SERVICES["detect"]["environment"]["NUMBA_CACHE_DIR"].startswith("/data/")
    assert SERVICES["detect"]["volumes"] == ["detect:/data"]
