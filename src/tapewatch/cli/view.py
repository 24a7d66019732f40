"""`tapewatch top` and `tapewatch dashboard`: what a person asks to see becomes a screen, or a page."""

from functools import partial
from typing import Annotated

import typer

from tapewatch.cli.common import ConfigOption, DbOption, HostOption, SetOption, settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(top)
    app.command()(dashboard)


def top(
    db: DbOption = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Only this symbol; repeatable.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="Only high, medium or low; repeatable.")] = None,
    type_: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type, e.g. fast-move or pct_spike; repeatable.")
    ] = None,
    direction: Annotated[list[str] | None, typer.Option(help="Only up or down.")] = None,
    last: Annotated[str, typer.Option(metavar="SPAN", help="How far back: 5m, 1h, 24h, 7d, or all.")] = "1h",
    hz: Annotated[
        float | None, typer.Option(help="Looks at the database a second, 0.1 to 4.", show_default="2")
    ] = None,
    light: Annotated[bool, typer.Option("--light", help="Colours for a light room.")] = False,
    min_size: Annotated[
        float, typer.Option("--min-size", min=0, help="Only what is at least so many times its limit.")
    ] = 0.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print one snapshot and end; so it does where the output is a pipe.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="Anomalies in a snapshot.")] = 20,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show the dashboard in this terminal; ? explains its keys.

    It reads what tapewatch run or tapewatch demo writes, here or over ssh: tapewatch top --db data/demo.db
    """
    from tapewatch.runtime.alert_requests import ask
    from tapewatch.store.sight import Sight
    from tapewatch.store.sql import Store
    from tapewatch.view.choices import filter_of
    from tapewatch.view.nearby import require
    from tapewatch.view.terminal import command

    given = settings(config, set_).with_flags("run", db=db)
    given = given.with_flags("top", hz=hz, theme="light" if light else None)
    chosen = given.section("top", command.TopConfig)
    wanted = filter_of(
        severities=severity or (),
        types=type_ or (),
        directions=direction or (),
        symbols=symbol or (),
        last=last,
        min_size=min_size,
    )
    db = given.plain("run").get("db", command.DEFAULT_DB)
    reader = Store.read(db)
    try:
        require(reader)
        if once or not command.at_a_terminal():
            console = command.pipe_or_terminal()
            command.once(reader, wanted, chosen, rows=rows, console=console, sight=Sight(reader))
        else:
            command.live(reader, wanted, chosen, partial(ask, db))
    finally:
        reader.close()


def dashboard(
    db: DbOption = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65_535, help="Port of the page.", show_default="8710, or the next free one"),
    ] = None,
    host: HostOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show the dashboard in the browser, until Ctrl-C.

    tapewatch run and tapewatch demo start it by themselves; alone it shows what a database holds, and follows it.
    """
    from tapewatch import telemetry
    from tapewatch.runtime import ports
    from tapewatch.runtime.alert_requests import ask
    from tapewatch.runtime.service import DASHBOARD_PORT
    from tapewatch.store.sight import Sight
    from tapewatch.store.sql import Store
    from tapewatch.view.dashboard import DashboardConfig, serve
    from tapewatch.view.nearby import require
    from tapewatch.view.terminal.command import DEFAULT_DB

    telemetry.configure("WARNING")
    given = settings(config, set_).with_flags("run", db=db).with_flags("dashboard", port=port, host=host)
    chosen = given.section("dashboard", DashboardConfig)
    free = ports.choose(chosen.port, DASHBOARD_PORT, "dashboard.port", chosen.host)
    db = given.plain("run").get("db", DEFAULT_DB)
    reader = Store.read(db)
    try:
        require(reader)
        announce = partial(typer.echo, f"http://{chosen.host}:{free}")
        serve(reader, chosen, free, Sight(reader), announce, partial(ask, db))
    finally:
        reader.close()
