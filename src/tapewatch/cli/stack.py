"""`tapewatch stack`: the whole pipeline on this machine, up, down, and how it stands."""

from pathlib import Path
from typing import Annotated

import typer

from tapewatch.cli.common import ConfigOption, SetOption, say, settings

app = typer.Typer(help="Kafka, Spark and PostgreSQL on this machine, without Docker.", no_args_is_help=True)

HomeOption = Annotated[str | None, typer.Option("--home", metavar="DIR", help="Its folder.", show_default="data/stack")]


@app.command()
def up(
    source: Annotated[
        str | None, typer.Option(help="simulated, coinbase or tape:PATH.", show_default="simulated")
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Start everything, wait until it is healthy, and keep it running until Ctrl-C."""
    import asyncio

    from tapewatch.runtime.jars import cache, java
    from tapewatch.runtime.process import Process
    from tapewatch.runtime.stack import Stack, StackConfig

    chosen = settings(config, set_).with_flags("stack", source=source, home=home).section("stack", StackConfig)
    java()

    async def run() -> None:
        process = Process(say)
        process.listen_to_signals()
        await Stack(chosen, cache(), process).up()

    asyncio.run(run())


@app.command()
def down(home: HomeOption = None, config: ConfigOption = None, set_: SetOption = None) -> None:
    """Stop a stack, or what a killed one has left."""
    from tapewatch.runtime import stack

    chosen = settings(config, set_).with_flags("stack", home=home).section("stack", stack.StackConfig)
    ended = stack.down(Path(chosen.home).resolve())
    say("stack", f"{ended} processes ended" if ended else "nothing was running")


@app.command()
def status(home: HomeOption = None, config: ConfigOption = None, set_: SetOption = None) -> None:
    """Tell what runs and where."""
    from tapewatch.runtime import stack

    chosen = settings(config, set_).with_flags("stack", home=home).section("stack", stack.StackConfig)
    noted = stack.running(Path(chosen.home).resolve())
    if noted is None:
        say("stack", "not running")
        raise typer.Exit(1)
    for name, address in noted.addresses.items():
        typer.echo(f"{name:<10} {address}")
