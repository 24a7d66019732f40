"""`tapewatch run` and `tapewatch demo`: from a feed or a tape to a live dashboard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapewatch.cli.common import DB_NAMES, ConfigOption, DbOption, SetOption, say, settings, shared, typed, with_symbols

if TYPE_CHECKING:
    from tapewatch.config import Settings

DEMO_DB = "data/demo.db"

PortOption = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65_535, help="Port of the dashboard.", show_default="8710, or the next free one"),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log each anomaly and connection to stderr.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(demo)


def run(
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="coinbase, simulated, or tape:PATH.", show_default="coinbase"),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0, help="Of a tape: 1 as recorded, 60 an hour in a minute, 0 as fast as it goes.", show_default="1"
        ),
    ] = None,
    db: DbOption = None,
    port: PortOption = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Products to watch.", show_default="BTC-USD,ETH-USD,SOL-USD")
    ] = None,
    record: Annotated[
        str | None, typer.Option(metavar="DIR", help="Record all rows into this folder, as Parquet.")
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Append each change of an anomaly to this file, as a line of JSON."),
    ] = None,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Leave the dashboard out.")] = False,
    no_alerts: Annotated[bool, typer.Option("--no-alerts", help="Tell nobody, whatever channels there are.")] = False,
    verbose: VerboseOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Watch a feed or a tape, remember what is abnormal, and show it.

    A run that was stopped, or killed, goes on where its database ends. Replay a crash:
    tapewatch run --source tape:day.csv.gz --speed 60 --db data/crash.db
    """
    flags = {
        "source": source,
        "speed": speed,
        "db": db,
        "record": record,
        "jsonl": jsonl,
        "dashboard": False if no_dashboard else None,
    }
    given = settings(config, set_).with_flags("run", **flags).with_flags("dashboard", port=port)
    given = with_symbols(given, symbols)
    again = typed("run", flags | {"dashboard": None, "symbols": symbols, "config": config}, set_)
    beside = (shared(config, set_), again)
    _serve(given, fresh=False, alerts=not no_alerts, verbose=verbose, beside=beside)


def demo(
    seed: Annotated[int | None, typer.Option(min=0, help="Of the simulated market.", show_default="7")] = None,
    db: Annotated[
        str, typer.Option(*DB_NAMES, metavar="FILE|URL", help="Database; what it held before is removed.")
    ] = DEMO_DB,
    port: PortOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the database of the last demo.")] = False,
    verbose: VerboseOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show everything offline: a simulated exchange with planted anomalies, and the dashboard over it; nobody is told.

    What was planted is written beside the database, or here where that is a server's, one line of JSON each.
    """
    labels = Path("demo.db" if "://" in db else db).with_suffix(".labels.jsonl")
    given = settings(config, set_).with_flags("run", source="simulated", db=db)
    given = given.with_flags("exchange", seed=seed, labels=str(labels)).with_flags("dashboard", port=port)
    again = typed("demo --keep", {"seed": seed, "db": db, "config": config}, set_)
    _serve(given, fresh=not keep, alerts=False, verbose=verbose, beside=(shared(config, set_), again))


def _serve(given: "Settings", *, fresh: bool, alerts: bool, verbose: bool, beside: tuple[tuple[str, ...], str]) -> None:
    import asyncio

    from tapewatch import telemetry
    from tapewatch.capture.config import CaptureConfig
    from tapewatch.dispatch.config import AlertsConfig
    from tapewatch.runtime.opening import RunConfig, Settings
    from tapewatch.runtime.service import Beside, Service
    from tapewatch.simulate.exchange import ExchangeConfig
    from tapewatch.view.dashboard import DashboardConfig

    telemetry.configure("INFO" if verbose else "WARNING")
    chosen = Settings(
        run=given.section("run", RunConfig),
        capture=given.section("capture", CaptureConfig),
        exchange=given.section("exchange", ExchangeConfig),
        alerts=given.section("alerts", AlertsConfig) if alerts else None,
        alerts_place=given.place("alerts.channels"),
        rules=given.plain("rules"),
    )
    around = Beside(chosen.run.dashboard, given.section("dashboard", DashboardConfig).port, *beside)
    service = Service(chosen, around, fresh=fresh, say=say)
    asyncio.run(service.run())
