"""Messages to write letters of, and where their approved looks lie."""

from pathlib import Path

from msgspec.structs import replace
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation

from support.records import anomaly
from tapewatch.alert import Alert, Message
from tapewatch.model import NS, Anomaly, Lane

NOON = 1_772_463_600 * NS
"""2026-03-02 15:00 UTC."""

AT = NOON - 119 * NS
"""14:58:01."""

DASHBOARD = "http://127.0.0.1:8710"


class Approved(SingleFileSnapshotExtension):
    """Files in ``letters/``; after a wanted change: pytest tests/dispatch --snapshot-update."""

    _write_mode = WriteMode.TEXT

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(Path(test_location.filepath).parent / "letters" / test_location.basename)


class ApprovedText(Approved):
    _file_extension = "txt"


class ApprovedMarkdown(Approved):
    _file_extension = "md"


class ApprovedHtml(Approved):
    _file_extension = "html"


def fast_move(symbol: str = "DOGE-USD", *, venue: str = "coinbase", **fields: object) -> Anomaly:
    """Make a fall of 0.52 % in 8.2 s that opened at 14:58:01, unless the fields say otherwise."""
    plain = {
        "id": f"{venue}-{symbol}-fast",
        "direction": "down",
        "opened_ts": AT,
        "price": 0.24735,
        "reference_price": 0.24864,
        "reference_ts": AT - 8_200_000_000,
        "observed": -0.52,
        "threshold": 0.25,
        "peak_observed": -0.52,
        "peak_price": 0.24735,
        "peak_ts": AT,
        "peak_reference_price": 0.24864,
        "peak_reference_ts": AT - 8_500_000_000,
        "peak_left_ts": AT - 8_200_000_000,
        "size": None,
        "last_ts": AT,
        "escalation": 1,
        "escalated_ts": (AT,),
        "explain": f"{symbol} fell 0.52 % in 8.2 s, from 0.24864 to 0.24735 (limit 0.25 % in 10 s)",
    }
    return anomaly(1, Lane(venue, symbol), **{**plain, **fields})


def grown(symbol: str = "DOGE-USD", percent: float = -8.31, **fields: object) -> Anomaly:
    """Make the same as it stood when it had grown, by default to 33 times its limit eleven seconds later."""
    steps = (AT, AT + 2 * NS, AT + 2 * NS, AT + 11 * NS, AT + 11 * NS)
    plain = {
        "direction": "up" if percent > 0 else "down",
        "peak_observed": percent,
        "peak_price": 0.22798,
        "peak_ts": AT + 11 * NS,
        "peak_reference_ts": AT + 4 * NS,
        "peak_left_ts": AT + 5 * NS,
        "last_ts": AT + 11 * NS,
        "triggers": 412,
        "escalation": 5,
        "escalated_ts": steps,
    }
    return fast_move(symbol, **{**plain, **fields})


def over(anomaly: Anomaly, held_s: int = 240) -> Anomaly:
    """Make it end, so many seconds after its opening."""
    last = anomaly.opened_ts + held_s * NS
    return replace(anomaly, last_ts=last, ended_ts=last, triggers=1_412)


def dollar_jump(**fields: object) -> Anomaly:
    """Make a fall of BTC-USD by 141.03 in 3.7 s."""
    plain = {
        "id": "jump",
        "rule": "abs_jump",
        "unit": "USD",
        "price": 121_738.19,
        "observed": -141.03,
        "threshold": 30.0,
        "peak_observed": -141.03,
        "peak_price": 121_738.19,
        "peak_reference_price": 121_879.22,
        "peak_reference_ts": AT - 3_900_000_000,
        "peak_left_ts": AT - 3_700_000_000,
        "escalation": 2,
        "escalated_ts": (AT, AT),
        "explain": "BTC-USD fell 141.03 in 3.7 s, from 121,879.22 to 121,738.19 (limit 30.00 in 10 s)",
    }
    return fast_move("BTC-USD", **{**plain, **fields})


def stretch(symbol: str = "PEPE-USD", **fields: object) -> Anomaly:
    """Make a price 5.07 % above its mean."""
    plain = {
        "id": f"{symbol}-stretch",
        "rule": "mean_reversion_break",
        "severity": "low",
        "unit": "USD",
        "direction": "up",
        "observed": 6.2e-07,
        "threshold": 5.5e-07,
        "peak_observed": 6.2e-07,
        "peak_price": 1.285e-05,
        "reference_price": 1.2230333333333334e-05,
        "peak_reference_price": 1.2230333333333334e-05,
        "escalation": 0,
        "escalated_ts": (),
        "explain": f"{symbol} stands 0.00000062 above its 60-second mean of 0.00001223 (limit 0.00000055)",
    }
    return fast_move(symbol, **{**plain, **fields})


def breakout(symbol: str = "LINK-USD", **fields: object) -> Anomaly:
    """Make a rise by 0.12 % within 0.4 s."""
    plain = {
        "id": "breakout",
        "rule": "vol_breakout",
        "severity": "medium",
        "unit": "USD",
        "direction": "up",
        "observed": 0.026,
        "threshold": 0.0257,
        "peak_observed": 0.026,
        "peak_price": 21.416,
        "reference_price": 21.39,
        "peak_reference_price": 21.39,
        "peak_reference_ts": AT - 400_000_000,
        "escalation": 0,
        "escalated_ts": (),
        "explain": f"{symbol} rose 0.026 above the last second's 21.39 (limit 0.026)",
    }
    return fast_move(symbol, **{**plain, **fields})


def silence(symbol: str = "BTC-USD", seconds: float = 5.0, *, venue: str = "coinbase", **fields: object) -> Anomaly:
    """Make a feed silent that last sent at 14:57:56."""
    grew = round(seconds - 5) * NS
    plain = {
        "id": f"{venue}-{symbol}-silent",
        "rule": "silent_feed",
        "kind": "feed",
        "direction": None,
        "unit": "s",
        "trade_id": None,
        "price": None,
        "reference_price": None,
        "reference_ts": AT - 5 * NS,
        "observed": 5.0,
        "threshold": 5.0,
        "peak_observed": seconds,
        "peak_price": None,
        "peak_ts": AT + grew,
        "peak_reference_price": None,
        "peak_reference_ts": AT - 5 * NS,
        "last_ts": AT + grew,
        "escalation": 0,
        "escalated_ts": (),
        "explain": f"no frame from {venue} for 5.0 s (limit 5 s)",
    }
    return fast_move(symbol, venue=venue, **{**plain, **fields})


def gap(symbol: str = "BTC-USD", trades: int = 7, **fields: object) -> Anomaly:
    """Make trades missing."""
    plain = {
        "id": f"{symbol}-gap",
        "rule": "tape_gap",
        "unit": "trades",
        "reference_ts": None,
        "observed": float(trades),
        "threshold": 1.0,
        "peak_observed": float(trades),
        "peak_reference_ts": None,
        "explain": f"{trades} trades missing, ids 1201 to {1200 + trades}",
    }
    return silence(symbol, **{**plain, **fields})


def message(kind: str, *anomalies: Anomaly, at: int | None = None, **fields: object) -> Message:
    """Make a message about anomalies as they stand: opened, escalated or over."""
    alerts = tuple(
        Alert(number, "desk", _occasion(each), each.last_ts, each) for number, each in enumerate(anomalies, 1)
    )
    moment = max((alert.at for alert in alerts), default=NOON) if at is None else at
    return Message(7, "desk", kind, moment, alerts, **fields)  # type: ignore[arg-type]


def _occasion(anomaly: Anomaly) -> str:
    if anomaly.ended_ts is not None:
        return "ended"
    return "opened" if anomaly.peak_ts == anomaly.opened_ts else "escalated"
