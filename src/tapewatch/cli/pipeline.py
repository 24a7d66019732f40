"""`tapewatch produce` and `tapewatch detect`: capture to Kafka, and Kafka through Spark into the store."""

from typing import TYPE_CHECKING, Annotated

import typer

from tapewatch.cli.common import (
    ConfigOption,
    DbOption,
    HealthOption,
    HostOption,
    SetOption,
    say,
    settings,
    with_symbols,
)

if TYPE_CHECKING:
    from tapewatch.carry.kafka.config import KafkaConfig
    from tapewatch.config import Settings

BrokersOption = Annotated[
    str | None, typer.Option(metavar="HOST:PORT,…", help="Kafka's brokers.", show_default="127.0.0.1:9092")
]
TopicOption = Annotated[str | None, typer.Option(help="Topic of the rows.", show_default="tapewatch.trades")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(produce)
    app.command()(detect)


def produce(
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="coinbase, simulated, or tape:PATH.", show_default="coinbase"),
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, help="Of a tape: 1 as recorded, 0 as fast as it goes.", show_default="1")
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Products to capture.", show_default="BTC-USD,ETH-USD,SOL-USD")
    ] = None,
    brokers: BrokersOption = None,
    topic: TopicOption = None,
    health_port: HealthOption = None,
    host: HostOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Capture to Kafka: one JSON message per row, in order within each lane.

    Started again, it goes on behind what the topic holds.
    """
    import asyncio

    from tapewatch import telemetry
    from tapewatch.capture.config import CaptureConfig
    from tapewatch.runtime import opening
    from tapewatch.runtime.produce import Settings, serve
    from tapewatch.simulate.exchange import ExchangeConfig

    telemetry.configure("WARNING")
    given = settings(config, set_).with_flags("run", source=source, speed=speed, health_port=health_port, host=host)
    given = with_symbols(given, symbols).with_flags("kafka", brokers=brokers, trades=topic)
    chosen = opening.Settings(
        run=given.section("run", opening.RunConfig),
        capture=given.section("capture", CaptureConfig),
        exchange=given.section("exchange", ExchangeConfig),
    )
    asyncio.run(serve(Settings(chosen, _kafka(given)), say))


def detect(
    db: DbOption = None,
    brokers: BrokersOption = None,
    topic: TopicOption = None,
    master: Annotated[
        str | None, typer.Option(help="Spark's master: local[N], spark://HOST:PORT, k8s://…", show_default="local[*]")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of the checkpoint.", show_default="data/checkpoint")
    ] = None,
    jsonl: Annotated[
        str | None, typer.Option(metavar="FILE", help="Append each change of an anomaly to this file.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all is done that the topic holds now.")] = False,
    health_port: HealthOption = None,
    host: HostOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Detect with Spark Structured Streaming: rows from Kafka in, anomalies and bars into the store.

    Each micro-batch is one transaction; stopped or killed, it goes on where the last one ended.
    """
    import asyncio

    from tapewatch import telemetry
    from tapewatch.model import SIMULATED
    from tapewatch.runtime.jars import cache
    from tapewatch.runtime.job import Settings, serve
    from tapewatch.runtime.opening import RunConfig
    from tapewatch.runtime.spark import DetectConfig
    from tapewatch.simulate.exchange import ExchangeConfig

    telemetry.configure("WARNING")
    given = settings(config, set_).with_flags("run", db=db, jsonl=jsonl, health_port=health_port, host=host)
    given = given.with_flags("kafka", brokers=brokers, trades=topic)
    given = given.with_flags("detect", master=master, checkpoint=checkpoint)
    run = given.section("run", RunConfig)
    chosen = Settings(
        db=run.db,
        jsonl=run.jsonl,
        health_port=run.health_port,
        kafka=_kafka(given),
        detect=given.section("detect", DetectConfig),
        rules=given.plain("rules"),
        cache=cache(),
        once=once,
        host=run.host,
        seed=given.section("exchange", ExchangeConfig).seed if run.source == SIMULATED else None,
    )
    asyncio.run(serve(chosen, say))


def _kafka(given: "Settings") -> "KafkaConfig":
    from tapewatch.carry.kafka.config import KafkaConfig

    return given.section("kafka", KafkaConfig)
