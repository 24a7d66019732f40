"""`tapewatch stack`: the whole pipeline on this machine, up, down, and how it stands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapewatch.cli.common import ConfigOption, SetOption, say, settings, shared

if TYPE_CHECKING:
    from tapewatch.config import Settings
    from tapewatch.runtime.opening import StackConfig

app = typer.Typer(help="Kafka, Spark and PostgreSQL on this machine, without Docker.", no_args_is_help=True)

HomeOption = Annotated[
    str | None, typer.Option("--home", metavar="DIR", help="Folder of its data and logs.", show_default="data/stack")
]


@app.command()
def up(
    source: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="simulated, coinbase or tape:PATH.", show_default="simulated")
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Start everything, wait until it is healthy, and keep it running until Ctrl-C.

    The data are kept: the next start with the same source goes on. To begin anew, remove the folder, or name another
    one with --home.
    """
    import asyncio

    given, chosen = _settings(config, set_, source=source, home=home)
    from tapewatch.carry.kafka.config import KafkaConfig
    from tapewatch.dispatch.config import AlertsConfig
    from tapewatch.runtime.jars import cache, java
    from tapewatch.runtime.process import Process
    from tapewatch.runtime.stack import Stack

    java()
    kafka = given.section("kafka", KafkaConfig)
    alerting = given.section("alerts", AlertsConfig)
    if alerting.tells:
        from tapewatch.runtime import alerts

        alerts.check(alerts.Settings("", alerting, given.place("alerts.channels")))  # before anything is started

    async def run() -> None:
        process = Process(say)
        process.listen_to_signals()
        flags = shared(config, set_)
        await Stack(chosen, kafka, cache(), process, flags, alerting=alerting.tells).up()

    asyncio.run(run())


@app.command()
def down(home: HomeOption = None, config: ConfigOption = None, set_: SetOption = None) -> None:
    """Stop a stack, or end what a killed one has left; its data are kept."""
    _, chosen = _settings(config, set_, home=home)
    from tapewatch.runtime import standing

    ran, left = standing.down(Path(chosen.home).resolve())
    if ran:
        say("stack", "stopped; its data are kept")
    if left:
        say("stack", f"ended {left} processes that a killed one had left")
    if not (ran or left):
        say("stack", "nothing was running")


@app.command()
def status(home: HomeOption = None, config: ConfigOption = None, set_: SetOption = None) -> None:
    """Tell each part's address, process, and whether it answers now; exit code 0 where all are well, 1 otherwise."""
    import asyncio

    given, chosen = _settings(config, set_, home=home)
    from tapewatch.carry.kafka.config import KafkaConfig
    from tapewatch.runtime import standing

    place = Path(chosen.home).resolve()
    noted = standing.running(place)
    if noted is None:
        say("stack", "not running")
        raise typer.Exit(1)
    found = asyncio.run(standing.standing(place, noted, given.section("kafka", KafkaConfig)))
    for part in found:
        process = "" if part.pid is None else f"process {part.pid}"
        typer.echo(f"{part.name:<10} {part.trouble or 'healthy':<10} {process:<15} {part.address}".rstrip())
    if not noted.up:
        say("stack", "starting")
    if not noted.up or any(part.trouble is not None for part in found):
        raise typer.Exit(1)


@app.command()
def classpath() -> None:
    """Print the class path of Kafka's own console consumer, for ``java -cp``; its jars are fetched once."""
    from tapewatch.runtime.jars import cache, console

    typer.echo(console(cache()))


def _settings(config: Path | None, set_: list[str] | None, **flags: str | None) -> tuple["Settings", "StackConfig"]:
    given = settings(config, set_).with_flags("stack", **flags)
    from tapewatch.runtime.opening import StackConfig

    return given, given.section("stack", StackConfig)
