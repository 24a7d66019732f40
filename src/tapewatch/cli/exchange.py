"""`tapewatch exchange`: a Coinbase on this machine, until Ctrl-C."""

from typing import TYPE_CHECKING, Annotated

import typer

from tapewatch.cli.common import ConfigOption, HostOption, SetOption, listed, settings
from tapewatch.errors import ConfigError

if TYPE_CHECKING:
    from tapewatch.config import Settings
    from tapewatch.simulate.exchange import ExchangeConfig

_PORT_HELP = "Port of the {}; 0: any free one."


FaultOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=RATE",
        help="Let something go wrong with this share of the matches, e.g. drop=0.001; repeatable. Names: drop, "
        "straggle, duplicate, reorder, delay, corrupt, mistype, missing, absurd, binary, oversized, unknown, "
        "disconnect, silence; straggle_s, delay_s and silence_s set seconds.",
    ),
]

TroubleOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND[:WHAT][@START[+SECONDS]]",
        help="Let the venue behave badly from a time on, in seconds after the start, e.g. delist:ETH-USD@30+60; "
        "repeatable. Kinds: delist, renumber, leap and number of a product; whole, nameless, refuse, mute, page; "
        "omit:CHANNEL or omit:PRODUCT, busy:SECONDS. docs/deploy.md says what each does.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(exchange)


def exchange(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help=_PORT_HELP.format("feed"), show_default="8720, or the next free one"),
    ] = None,
    rest_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help=_PORT_HELP.format("REST API"), show_default="the one behind the feed's"),
    ] = None,
    host: HostOption = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the market.", show_default="7")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the market opens, e.g. 2026-07-07T22:58:00Z: same seed and start, same tape.",
            show_default="now",
        ),
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Products to trade.", show_default="all twelve")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="N", help="Trades a second over all products.", show_default="their natural pace, about 35"
        ),
    ] = None,
    burst: Annotated[
        float | None,
        typer.Option(metavar="N", help="Trades a second for 5 s in every minute.", show_default="no bursts"),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write each planted anomaly to this file, as a line of JSON.")
    ] = None,
    calm: Annotated[bool, typer.Option("--calm", help="Plant no anomalies.")] = False,
    fault: FaultOption = None,
    trouble: TroubleOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Run a Coinbase on this machine: its WebSocket feed and its REST API over a simulated market.

    Within 20 s bitcoin crashes and comes back; then something abnormal happens every one to three minutes.
    """
    import asyncio

    from tapewatch.simulate.exchange import ExchangeConfig

    given = settings(config, set_).with_flags(
        "exchange",
        port=port,
        rest_port=rest_port,
        host=host,
        seed=seed,
        start=start,
        symbols=listed(symbols),
        labels=labels,
        planted=False if calm else None,
        troubles=trouble or None,
    )
    given = given.with_flags("exchange.pace", rate=rate, burst_rate=burst)
    given = _with_faults(given, fault or [])
    asyncio.run(_serve(given.section("exchange", ExchangeConfig)))


def _with_faults(given: "Settings", faults: list[str]) -> "Settings":
    for text in faults:
        name, equals, rate = text.partition("=")
        try:
            value = float(rate)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"--fault expects NAME=RATE such as drop=0.001, found {text!r}")
        given = given.with_flags("exchange.faults", **{name: value})
    return given


async def _serve(config: "ExchangeConfig") -> None:
    import asyncio
    import signal

    from tapewatch.simulate.exchange import Exchange

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Exchange(config) as served:
        typer.echo(f"feed       {served.ws_url}")
        typer.echo(f"REST API   {served.rest_url}")
        typer.echo(f"seed       {config.seed}; {len(served.market.products)} products")
        typer.echo("Watch it from another terminal:")
        typer.echo(
            f"  tapewatch run --db data/exchange.db --set capture.coinbase.ws_url={served.ws_url}"
            f" --set capture.coinbase.rest_url={served.rest_url}"
        )
        typer.echo("Ctrl-C stops it.")
        await served.serve_until(stop)
