"""Outages as series of Prometheus: what a process of ours would tell, and when an alert must follow from it."""

from typing import NamedTuple

from support.promql import JOBS

PER_MINUTE = 4
"""Scrapes."""


def at(job: str) -> str:
    """Write the labels that Prometheus gives what a process of ours tells."""
    return f'job="tapewatch-{job}", instance="here:{JOBS[job]}"'


RUN, PRODUCE, DETECT, ALERTS = (at(job) for job in JOBS)
VENUE = f'{RUN}, venue="coinbase"'
ETH = f'{VENUE}, symbol="ETH-USD"'
PHONE = f'{ALERTS}, channel="phone"'
GAPS = f'tapewatch_changes_total{{{DETECT}, rule="tape_gap", change="opened"}}'
MOVES = f'tapewatch_changes_total{{{RUN}, rule="pct_spike", change="opened"}}'
ROWS = f'tapewatch_kafka_lag{{{DETECT}, topic="tapewatch.trades", partition="0"}}'


def flat(value: float, minutes: float = 60) -> str:
    """Write a value that stays."""
    return f"{value:g}+0x{round(minutes * PER_MINUTE) - 1}"


def rising(by: float, minutes: float = 60, start: float = 0) -> str:
    """Write a value that changes by so much a minute."""
    sign = "-" if by < 0 else "+"
    return f"{start:g}{sign}{abs(by) / PER_MINUTE:g}x{round(minutes * PER_MINUTE) - 1}"


def none(minutes: float) -> str:
    """Write that there is no value."""
    return f"_x{round(minutes * PER_MINUTE)}"


class Outage(NamedTuple):
    """Series, and when an alert fires because of them.

    Attributes
    ----------
    fires
        It does at this minute and ten minutes later, and does not two minutes before. None: it never does.
    minutes
        How long this is watched where it does not fire.
    """

    alert: str
    what: str
    fires: int | None
    series: dict[str, str]
    minutes: int = 60


def _slow(le: float) -> dict[str, str]:
    # Sixty frames a minute, all of which took up to `le` seconds.
    return {
        f'tapewatch_frame_to_commit_seconds_bucket{{{RUN}, le="{bound}"}}': rising(60 if float(bound) >= le else 0)
        for bound in ("0.05", "0.1", "1.0", "2.5", "+Inf")
    }


def _batches(seconds: float, each_minute: float) -> dict[str, str]:
    return {
        f"tapewatch_spark_batch_seconds_count{{{DETECT}}}": rising(each_minute),
        f"tapewatch_spark_batch_seconds_sum{{{DETECT}}}": rising(each_minute * seconds),
        f"tapewatch_spark_batch_seconds_count{{{PRODUCE}}}": flat(0),
        f"tapewatch_spark_batch_seconds_sum{{{PRODUCE}}}": flat(0),
    }


LOST, MADE = f"tapewatch_disconnects_total{{{VENUE}}}", f"tapewatch_connects_total{{{VENUE}}}"
BLIND = f"tapewatch_blind_seconds{{{ETH}}}"
FRAME, TRADES = f"tapewatch_last_frame_timestamp_seconds{{{ETH}}}", f"tapewatch_trades_total{{{VENUE}, symbol="
ASIDE = f'tapewatch_quarantined_total{{{RUN}, reason="frame"}}'
DROPPED = f"tapewatch_consumers_dropped_total{{{RUN}}}"
READY = f"tapewatch_ready{{{ALERTS}}}"
STEPPED = f'tapewatch_clock_steps_total{{{RUN}, cause="back"}}'
COMMIT, START = "tapewatch_last_commit_timestamp_seconds", "process_start_time_seconds"
AWAY = f"tapewatch_database_away_total{{{DETECT}}}"
ACKNOWLEDGED = f"tapewatch_kafka_acknowledged_total{{{PRODUCE}}}"
WAITING, UP = f"tapewatch_messages_waiting{{{PHONE}}}", f"tapewatch_channel_up{{{PHONE}}}"
GIVEN_UP = f"tapewatch_undelivered_total{{{PHONE}}}"
BEATS = {
    outcome: f'tapewatch_heartbeats_total{{{ALERTS}, outcome="{outcome}"}}'
    for outcome in ("accepted", "failed", "withheld")
}
BEHIND = f"tapewatch_alerts_behind_changes{{{ALERTS}}}"

MARKET = (
    Outage("TapewatchFeedDown", "every attempt fails, from the first on", 6, {LOST: rising(2)}),
    Outage(
        "TapewatchFeedDown",
        "every attempt fails, later",
        16,
        {LOST: f"{flat(1, 10)} {rising(2, 50, 1)}", MADE: flat(2)},
    ),
    Outage(
        "TapewatchFeedDown",
        "lost once",
        None,
        {LOST: f"{flat(0, 10)} {flat(1, 50)}", MADE: f"{flat(1, 10)} {flat(2, 50)}"},
    ),
    Outage("TapewatchFeedDown", "lost again and again", None, {LOST: rising(2), MADE: rising(2)}),
    Outage("TapewatchReconnecting", "each two minutes", 27, {MADE: rising(0.5)}),
    Outage("TapewatchReconnecting", "each six minutes", None, {MADE: rising(1 / 6)}),
    Outage("TapewatchSymbolSilent", "others trade", 11, {FRAME: flat(0), f'{TRADES}"BTC-USD"}}': rising(60)}),
    Outage("TapewatchSymbolSilent", "heartbeats come", None, {FRAME: rising(60), f'{TRADES}"BTC-USD"}}': rising(60)}),
    Outage("TapewatchSymbolSilent", "nothing comes at all", None, {FRAME: flat(0), f'{TRADES}"BTC-USD"}}': flat(9)}),
    Outage("TapewatchBlind", "for minutes", 3, {BLIND: f"{none(1)} {rising(60)}"}),
    Outage("TapewatchBlind", "all is well", None, {BLIND: flat(0)}),
    Outage("TapewatchTradesMissing", "six at once, the first ever", 16, {GAPS: f"{none(10)} {flat(6, 50)}"}),
    Outage("TapewatchTradesMissing", "six more than before", 96, {GAPS: f"{flat(1, 90)} {flat(7, 60)}"}),
    Outage("TapewatchTradesMissing", "three", None, {GAPS: f"{flat(1, 90)} {flat(4, 60)}"}, 150),
    Outage("TapewatchQuarantineGrowing", "five a minute", 26, {ASIDE: rising(5)}),
    Outage("TapewatchQuarantineGrowing", "three a minute", None, {ASIDE: rising(3)}),
    Outage("TapewatchConsumerDropped", "one", 11, {DROPPED: f"{flat(0, 10)} {flat(1, 50)}"}),
    Outage("TapewatchConsumerDropped", "one, before we asked", None, {DROPPED: flat(1)}),
)
DETECTION = (
    Outage("TapewatchNotCommitting", "it stops", 17, {f"{COMMIT}{{{RUN}}}": f"{rising(60, 10)} {flat(600, 50)}"}),
    Outage(
        "TapewatchNotCommitting",
        "it never begins",
        7,
        {f"{COMMIT}{{{DETECT}}}": flat(0), f"{START}{{{DETECT}}}": flat(0)},
    ),
    Outage("TapewatchNotCommitting", "it does", None, {f"{COMMIT}{{{RUN}}}": rising(60), f"{START}{{{RUN}}}": flat(0)}),
    Outage(
        "TapewatchNotCommitting", "another alert says why", None, {f"{COMMIT}{{{DETECT}}}": flat(1), AWAY: rising(12)}
    ),
    Outage(
        "TapewatchNotCommitting",
        "not its work",
        None,
        {f"{COMMIT}{{{PRODUCE}}}": flat(0), f"{START}{{{PRODUCE}}}": flat(0)},
    ),
    Outage("TapewatchNoTrades", "never one", 11, {f"up{{{RUN}}}": flat(1)}),
    Outage(
        "TapewatchNoTrades",
        "no more",
        41,
        {f"up{{{RUN}}}": flat(1), f'{TRADES}"X"}}': f"{rising(9, 20)} {flat(180, 40)}"},
    ),
    Outage("TapewatchNoTrades", "few", None, {f"up{{{RUN}}}": flat(1), f'{TRADES}"X"}}': rising(0.5)}),
    Outage("TapewatchNoTrades", "not its work", None, {f"up{{{PRODUCE}}}": flat(1)}),
    Outage("TapewatchSlow", "more than a second", 11, _slow(2.5)),
    Outage("TapewatchSlow", "a tenth of a second", None, _slow(0.1)),
    Outage(
        "TapewatchNoAnomalyForADay",
        "calm",
        1445,
        {f"{START}{{{RUN}}}": flat(0, 1500), f'{TRADES}"X"}}': rising(9, 1500)},
    ),
    Outage(
        "TapewatchNoAnomalyForADay",
        "one, the first ever",
        None,
        {f"{START}{{{RUN}}}": flat(0, 1500), f'{TRADES}"X"}}': rising(9, 1500), MOVES: f"{none(900)} {flat(1, 600)}"},
        1_500,
    ),
    Outage("TapewatchNoAnomalyForADay", "no trades either", None, {f"{START}{{{RUN}}}": flat(0, 1500)}, 1_500),
)
PIPELINE = (
    Outage("TapewatchNothingReachesKafka", "from the start", 6, {f"up{{{PRODUCE}}}": flat(1), ACKNOWLEDGED: flat(0)}),
    Outage(
        "TapewatchNothingReachesKafka",
        "later",
        21,
        {f"up{{{PRODUCE}}}": flat(1), ACKNOWLEDGED: f"{rising(60, 10)} {flat(600, 50)}"},
    ),
    Outage(
        "TapewatchNothingReachesKafka", "heartbeats do", None, {f"up{{{PRODUCE}}}": flat(1), ACKNOWLEDGED: rising(60)}
    ),
    Outage("TapewatchNothingReachesKafka", "it is down", None, {f"up{{{PRODUCE}}}": flat(0), ACKNOWLEDGED: none(60)}),
    Outage("TapewatchLagGrowing", "five hundred a minute", 21, {ROWS: rising(500)}),
    Outage("TapewatchLagGrowing", "many, and no fewer", 12, {ROWS: flat(9_000)}),
    Outage("TapewatchLagGrowing", "it catches up", None, {ROWS: rising(-500, start=50_000)}),
    Outage("TapewatchLagGrowing", "few", None, {ROWS: rising(50)}),
    Outage("TapewatchBatchesSlow", "twelve seconds", 11, _batches(12, 5)),
    Outage("TapewatchBatchesSlow", "three quarters of one", None, _batches(0.75, 80)),
    Outage("TapewatchDatabaseAway", "it stays away", 6, {AWAY: rising(12)}),
    Outage("TapewatchDatabaseAway", "it was started anew", None, {AWAY: f"{flat(0, 10)} {flat(4, 50)}"}),
)
TELLING = (
    Outage("TapewatchChannelFailing", "it fails", 16, {UP: f"{flat(1, 10)} {flat(0, 50)}"}),
    Outage("TapewatchChannelFailing", "for four minutes", None, {UP: f"{flat(1, 10)} {flat(0, 4)} {flat(1, 46)}"}),
    Outage("TapewatchMessagesWaiting", "it works", 11, {WAITING: flat(3), UP: flat(1)}),
    Outage("TapewatchMessagesWaiting", "it was never tried", 11, {WAITING: flat(3)}),
    Outage("TapewatchMessagesWaiting", "another alert says why", None, {WAITING: flat(3), UP: flat(0)}),
    Outage("TapewatchMessagesWaiting", "they come and go", None, {WAITING: " ".join(["3 0 1 2"] * 60), UP: flat(1)}),
    Outage("TapewatchMessageUndelivered", "the first ever", 31, {GIVEN_UP: f"{none(30)} {flat(1, 30)}"}),
    Outage("TapewatchMessageUndelivered", "one more", 96, {GIVEN_UP: f"{flat(1, 95)} {flat(2, 60)}"}),
    Outage("TapewatchMessageUndelivered", "none", None, {GIVEN_UP: flat(0)}),
    Outage("TapewatchAlertingBehind", "every look is full", 6, {BEHIND: flat(1_000)}),
    Outage("TapewatchAlertingBehind", "one look is", None, {BEHIND: " ".join(["1000 3 0 0"] * 60)}),
    Outage("TapewatchHeartbeatMissing", "the service refuses", 7, {BEATS["failed"]: rising(1)}),
    Outage(
        "TapewatchHeartbeatMissing",
        "trades stop after half an hour",
        46,
        {
            BEATS["accepted"]: f"{rising(1, 30)} {flat(30, 60)}",
            BEATS["withheld"]: f"{flat(1, 30)} {rising(1, 60, 1)}",
        },
    ),
    Outage(
        "TapewatchHeartbeatMissing",
        "every second call fails",
        None,
        {BEATS["accepted"]: rising(0.5), BEATS["failed"]: rising(0.5)},
    ),
    Outage("TapewatchHeartbeatMissing", "it was withheld at the start alone", None, {BEATS["withheld"]: flat(1)}),
)
PROCESS = (
    Outage("TapewatchDown", "it was in use", 18, {f"up{{{ALERTS}}}": f"{flat(1, 15)} {flat(0, 45)}"}),
    Outage(
        "TapewatchDown", "it was started anew", None, {f"up{{{ALERTS}}}": f"{flat(1, 15)} {flat(0, 1)} {flat(1, 44)}"}
    ),
    Outage("TapewatchDown", "it was tried", None, {f"up{{{RUN}}}": f"{flat(0, 10)} {flat(1, 2)} {flat(0, 48)}"}),
    Outage("TapewatchDown", "it is not used here", None, {f"up{{{RUN}}}": flat(0)}),
    Outage("TapewatchNotReady", "its database is away", 15, {READY: f"{flat(1, 5)} {flat(0, 55)}"}),
    Outage("TapewatchNotReady", "it is starting", None, {READY: f"{flat(0, 5)} {flat(1, 55)}"}),
    Outage(
        "TapewatchRestarting",
        "three times",
        16,
        {f"{START}{{{RUN}}}": f"{flat(0, 5)} {flat(300, 5)} {flat(600, 5)} {flat(900, 45)}"},
    ),
    Outage("TapewatchRestarting", "twice", None, {f"{START}{{{RUN}}}": f"{flat(0, 5)} {flat(300, 5)} {flat(600, 50)}"}),
    Outage(
        "TapewatchClockStepped",
        "five times",
        9,
        {STEPPED: f"{flat(0, 5)} {flat(1, 2)} {flat(2, 2)} {flat(3, 2)} {flat(4, 2)} {flat(5, 47)}"},
    ),
    Outage("TapewatchClockStepped", "once", None, {STEPPED: f"{flat(0, 5)} {flat(1, 55)}"}),
)
OUTAGES = (*MARKET, *DETECTION, *PIPELINE, *TELLING, *PROCESS)
