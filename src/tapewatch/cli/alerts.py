"""`tapewatch alerts`: people are told; and what the alerts page shows and does, as commands."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tapewatch.cli import tables
from tapewatch.cli.common import (
    ConfigOption,
    DbOption,
    HealthOption,
    HostOption,
    JsonOption,
    SetOption,
    ask,
    reading,
    say,
    settings,
    show_all,
)
from tapewatch.errors import ConfigError, TapewatchError

if TYPE_CHECKING:
    from tapewatch.config import Settings
    from tapewatch.dispatch.config import AlertsConfig

app = typer.Typer(no_args_is_help=True, help="Tell people, and see who was told what, and who was not and why.")

HOW = 'add [[alerts.channels]] with name and url to tapewatch.toml, e.g. name = "phone", url = "ntfy://my-topic"'

CHANNELS = "alerts.channels"

PatternOption = Annotated[str, typer.Option(metavar="PATTERN", help="With * and ?.")]
NumberArgument = Annotated[
    int, typer.Argument(min=1, max=2**63 - 1, help="Of an undelivered message; see tapewatch alerts messages.")
]
MOMENT = "'YYYY-MM-DD HH:MM'"
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many, newest first.")]


@app.command()
def run(
    db: DbOption = None,
    health_port: HealthOption = None,
    host: HostOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Tell what happens in a database, until Ctrl-C.

    tapewatch run does this by itself where there are channels; beside tapewatch detect it is a process of its own.
    Stopped or killed, it goes on where it was.
    """
    import asyncio

    from tapewatch import telemetry
    from tapewatch.runtime.alerts import Settings, serve
    from tapewatch.runtime.opening import RunConfig

    telemetry.configure("WARNING")
    given = settings(config, set_).with_flags("run", db=db, host=host).with_flags("alerts", health_port=health_port)
    chosen = _alerts(given)
    if not chosen.tells:
        raise ConfigError(f"alerts.channels: expected whom to tell, found nobody; {HOW}")
    at = given.section("run", RunConfig)
    asyncio.run(serve(Settings(at.db, chosen, given.place(CHANNELS), at.host), say))


@app.command("test")
def send_sample(
    name: Annotated[str | None, typer.Argument(help="Of the channel; none: all of them.")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Send a sample to a channel, or to all and a heartbeat, too, and say what happened.

    Exit code 1 where one did not take it.
    """
    from tapewatch.runtime import alerts

    given = settings(config, set_)
    chosen = _alerts(given)
    names = [channel.name for channel in chosen.channels]
    if not chosen.tells:
        raise ConfigError(f"alerts.channels: expected whom to tell, found nobody; {HOW}")
    if name is not None and name not in names:
        raise ConfigError(f"there is no channel {name!r}; there are: {', '.join(names)}")
    refused, wanted = False, alerts.Settings("", chosen, given.place(CHANNELS))
    for channel, receipt, took_ms in alerts.send_sample(wanted, name):
        what = f"accepted within {took_ms:.0f} ms" if receipt.accepted else f"not accepted: {receipt.outcome}"
        typer.echo(f"{channel.name} ({channel.service}): {what}")
        refused |= not receipt.accepted
    accepted, what = alerts.call_heartbeat(wanted) if name is None else (True, "")
    if what:
        typer.echo(f"heartbeat: {what}")
    if refused or not accepted:
        raise typer.Exit(1)


@app.command()
def silence(
    symbol: PatternOption = "*",
    rule: PatternOption = "*",
    venue: PatternOption = "*",
    severity: Annotated[str | None, typer.Option(help="high, medium or low; none: any.")] = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="SPAN", help="15m, 4h, 2d; none: 1h.")] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar=MOMENT, help="UTC; none: now.")] = None,
    until: Annotated[str | None, typer.Option(metavar=MOMENT, help="UTC; instead of --for.")] = None,
    note: Annotated[str, typer.Option(help="Why, for who wonders.")] = "",
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Hear nothing of some anomalies for some time, of all where nothing else is said; it is kept, with the reason.

    tapewatch alerts silence --symbol 'BTC-*' --for 2h --note 'the Fed speaks'
    """
    from tapewatch.view.choices import moment_of, one_of, span_of
    from tapewatch.words import SEVERITIES

    if for_ is not None and until is not None:
        raise ConfigError("expected --for or --until, found both")
    arguments: dict[str, Any] = {"symbol": symbol, "rule": rule, "venue": venue, "note": note}
    arguments["severity"] = None if severity is None else one_of("--severity", severity.lower(), SEVERITIES)
    arguments["since_s"] = None if from_ is None else moment_of(from_, "--from")
    if until is None:
        arguments["for_s"] = span_of(for_ or "1h", "--for")
    else:
        arguments["until_s"] = moment_of(until, "--until")
    ask(settings(config, set_), db, "silence", arguments)


@app.command()
def unsilence(
    number: Annotated[int, typer.Argument(help="Of the silence; see tapewatch alerts silences.")],
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """End a silence now."""
    ask(settings(config, set_), db, "unsilence", {"number": number})


@app.command()
def retry(
    number: NumberArgument,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Try a message again that nobody took for a day."""
    ask(settings(config, set_), db, "retry", {"message": number})


@app.command()
def dismiss(
    number: NumberArgument,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Take note of a message that nobody took: it counts no more as undelivered, and stays in the list."""
    ask(settings(config, set_), db, "dismiss", {"message": number})


@app.command("list")
def list_(
    last: Annotated[str, typer.Option(metavar="SPAN", help="How far back: 5m, 1h, 24h, 7d, or all.")] = "24h",
    channel: Annotated[list[str] | None, typer.Option(help="Only this channel; repeatable.")] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(help="Only told, waiting, held-back, undelivered or not-taken; repeatable."),
    ] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Only this symbol; repeatable.")] = None,
    min_size: Annotated[float, typer.Option(min=0, help="Only what is so many times its limit, e.g. 4.")] = 0.0,
    by_size: Annotated[bool, typer.Option("--by-size", help="The largest first, not the newest.")] = False,
    limit: LimitOption = 50,
    json: JsonOption = False,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """List what was told to whom, and what was not and why.

    What a channel does not take is left out, unless --outcome not-taken asks for it.
    """
    from tapewatch.view import alerts
    from tapewatch.view.choices import one_of, span_of

    by_word = {name.replace(" ", "-"): name for name in alerts.OUTCOMES}
    chosen = [by_word[one_of("--outcome", each, list(by_word))] for each in outcome or ()]
    wanted = alerts.AlertFilter(
        channels=tuple(channel or ()),
        outcomes=tuple(chosen) or tuple(name for name in alerts.OUTCOMES if name != "not taken"),
        symbols=tuple(each.upper() for each in symbol or ()),
        within_s=None if last == "all" else span_of(last, "--last", or_all=True),
        min_size=min_size,
        largest_first=by_size,
    )
    with reading(settings(config, set_), db) as (conn, now_ns):
        found = alerts.alerts(conn, wanted, now_ns, limit)
    show_all(found, json, tables.alerts)


@app.command()
def messages(
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Only those that nobody took.")] = False,
    channel: Annotated[str | None, typer.Option(help="Only those of this channel.")] = None,
    limit: LimitOption = 50,
    json: JsonOption = False,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """List messages, and how far each has come."""
    from tapewatch.view import alerts

    with reading(settings(config, set_), db) as (conn, _):
        found = alerts.messages(conn, ("undelivered",) if undelivered else (), channel, limit)
    show_all(found, json, tables.messages)


@app.command()
def show(
    number: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Of the message.")],
    json: JsonOption = False,
    db: DbOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Show a message as it was sent, with every attempt."""
    from tapewatch.view import alerts

    with reading(settings(config, set_), db) as (conn, _):
        found = alerts.message(conn, number)
    if found is None:
        raise TapewatchError(f"there is no message {number}; see tapewatch alerts messages")
    show_all([found], json, tables.message)


@app.command()
def channels(
    json: JsonOption = False, db: DbOption = None, config: ConfigOption = None, set_: SetOption = None
) -> None:
    """List the channels, and how each stands."""
    from tapewatch.view import alerts

    with reading(settings(config, set_), db) as (conn, _):
        found, standing = alerts.channels(conn), alerts.standing(conn, time.time_ns())
    show_all(found, json, tables.channels)
    if standing.unattended and not json:
        typer.echo("nobody tells them anything now: alerting is not running; tapewatch alerts run does it", err=True)


@app.command()
def silences(
    json: JsonOption = False, db: DbOption = None, config: ConfigOption = None, set_: SetOption = None
) -> None:
    """List the silences, newest first: all that hold or are to come, and the latest that were."""
    from tapewatch.view import alerts

    with reading(settings(config, set_), db) as (conn, _):
        lanes_ns = alerts.lanes_ns(conn, time.time_ns())
        found = alerts.silences(conn, lanes_ns)
    show_all(found, json, lambda silences: tables.silences(silences, lanes_ns))


def _alerts(given: "Settings") -> "AlertsConfig":
    from tapewatch.dispatch.config import AlertsConfig

    return given.section("alerts", AlertsConfig)
