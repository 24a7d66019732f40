"""`tapewatch config`: every value in force, and where it came from."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer

from tapewatch.cli.common import ConfigOption, SetOption, settings
from tapewatch.config import Settings
from tapewatch.errors import ConfigError

SECRET = re.compile("password|secret|jaas|token|[.]key$|heartbeat_url$", re.IGNORECASE)
"""Settings of others whose value is for nobody's eyes."""

app = typer.Typer(no_args_is_help=True, help="Show and check the settings.")


@app.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Print every setting in force, as TOML."""
    chosen = settings(config, set_)
    section = ""
    for key, value in _values(chosen):
        table, _, name = key.rpartition(".")
        if table != section:
            typer.echo(f"{'' if not section else chr(10)}[{table}]")
            section = table
        set_by = chosen.entries[key].origin if key in chosen.entries else "default"
        comment = f"  # {set_by}" if origin else ""
        unset = "# " if value is None else ""
        typer.echo(f"{unset}{name} = {_toml(_without_password(key, value))}{comment}")


@app.command()
def check(config: ConfigOption = None, set_: SetOption = None) -> None:
    """Check all settings without a network; exit code 2 and a line for each thing that is wrong."""
    chosen = settings(config, set_)
    wrong: list[str] = []
    count = len(list(_values(chosen, wrong)))
    if wrong:
        raise ConfigError("\n".join(wrong))
    _check_alerts(chosen)
    typer.echo(f"{count} settings are well")


def _values(chosen: Settings, wrong: list[str] | None = None) -> Iterator[tuple[str, Any]]:
    # With `wrong`, what is wrong with a section is noted there, and the others are read.
    from tapewatch.capture.config import CaptureConfig
    from tapewatch.carry.kafka.config import KafkaConfig
    from tapewatch.detect.rules import RuleBook
    from tapewatch.dispatch.config import AlertsConfig
    from tapewatch.runtime.opening import RunConfig, StackConfig
    from tapewatch.runtime.spark import DetectConfig
    from tapewatch.simulate.exchange import ExchangeConfig
    from tapewatch.view.dashboard import DashboardConfig
    from tapewatch.view.terminal.command import TopConfig

    structs: dict[str, type[msgspec.Struct]] = {
        "alerts": AlertsConfig,
        "capture": CaptureConfig,
        "dashboard": DashboardConfig,
        "detect": DetectConfig,
        "exchange": ExchangeConfig,
        "kafka": KafkaConfig,
        "run": RunConfig,
        "stack": StackConfig,
        "top": TopConfig,
    }
    for name, struct in structs.items():
        with _noting(wrong):
            yield from _flat(f"{name}.", msgspec.to_builtins(chosen.section(name, struct)))
    with _noting(wrong):
        RuleBook.of(chosen.plain("rules"))
    yield from ((key, entry.value) for key, entry in chosen.entries.items() if key.startswith("rules."))


@contextmanager
def _noting(wrong: list[str] | None) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        if wrong is None:
            raise
        wrong.append(str(error))


def _check_alerts(chosen: Settings) -> None:
    from tapewatch.dispatch.config import AlertsConfig

    config = chosen.section("alerts", AlertsConfig)
    if config.tells or config.templates is not None:
        from tapewatch.runtime import alerts  # it takes a second to load

        alerts.check(alerts.Settings("", config, chosen.place("alerts.channels")))


def _flat(prefix: str, tree: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in sorted(tree.items(), key=lambda item: isinstance(item[1], dict)):
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _without_password(key: str, value: Any) -> Any:
    from tapewatch.store.engine import database_url, name_of

    if value is not None and SECRET.search(key) and not key.startswith("kafka.option_files"):
        return "***"
    if key == "alerts.channels":
        return [{**channel, "url": channel["url"] and "***"} for channel in value]
    return name_of(database_url(value)) if key == "run.db" else value


def _toml(value: Any) -> str:
    # A string, number or boolean reads the same in TOML as in JSON.
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_toml(item)}' for key, item in value.items() if item is not None)}}}"
    return '""' if value is None else msgspec.json.encode(value).decode()
