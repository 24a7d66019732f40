"""Messages as they might come, one of each shape: nothing in, examples out, to try templates with."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from tapewatch.alert import Alert, Message, MessageKind, Occasion
from tapewatch.model import NS, Anomaly

NOW: Final = 1_767_276_000 * NS
"""2026-01-01 14:00 UTC."""

FAST_MOVE: Final = Anomaly(
    id="8d1f2a6c0b7e4953a1c4e2f09b6d7731",
    venue="coinbase",
    symbol="DOGE-USD",
    rule="pct_spike",
    severity="high",
    kind="market",
    direction="down",
    opened_ts=NOW,
    opened_at="2026-01-01T14:00:00.000000000Z",
    trade_id=1,
    price=0.24735,
    reference_price=0.24864,
    reference_ts=NOW - 8 * NS,
    observed=-0.52,
    threshold=0.25,
    unit="percent",
    peak_observed=-0.52,
    peak_price=0.24735,
    peak_ts=NOW,
    peak_reference_price=0.24864,
    peak_reference_ts=NOW - 8 * NS,
    last_ts=NOW,
    ended_ts=None,
    triggers=1,
    escalation=0,
    escalated_ts=(),
    quality="complete",
    history=False,
    explain="DOGE-USD fell 0.52 % in 8.0 s, from 0.24864 to 0.24735 (limit 0.25 % in 10 s)",
)

GROWN: Final = replace(
    FAST_MOVE,
    peak_observed=-8.31,
    peak_price=0.22798,
    peak_ts=NOW + 8 * NS,
    last_ts=NOW + 20 * NS,
    triggers=412,
    escalation=5,
    escalated_ts=(NOW, NOW + 2 * NS, NOW + 2 * NS, NOW + 8 * NS, NOW + 8 * NS),
    quality="gap",
)

OVER: Final = replace(GROWN, ended_ts=GROWN.last_ts)

STRETCH: Final = replace(
    FAST_MOVE,
    id="a9",
    rule="mean_reversion_break",
    severity="low",
    direction="up",
    unit="USD",
    observed=0.0025,
    threshold=0.002,
    peak_observed=0.0025,
    peak_price=0.2502,
    peak_reference_price=0.2477,
    explain="DOGE-USD stands 0.0025 above its 60-second mean of 0.2477 (limit 0.0020)",
)

SILENCE: Final = replace(
    FAST_MOVE,
    id="b4",
    rule="silent_feed",
    kind="feed",
    direction=None,
    trade_id=None,
    price=None,
    reference_price=None,
    reference_ts=NOW - 5 * NS,
    observed=5.0,
    threshold=5.0,
    unit="s",
    peak_observed=5.0,
    peak_price=None,
    peak_reference_price=None,
    peak_reference_ts=NOW - 5 * NS,
    explain="no frame from coinbase for 5.0 s (limit 5 s)",
)

GAP: Final = replace(
    SILENCE,
    id="c2",
    rule="tape_gap",
    trade_id=1201,
    reference_ts=None,
    observed=7.0,
    threshold=1.0,
    unit="trades",
    peak_observed=7.0,
    peak_reference_ts=None,
    explain="7 trades missing, ids 1201 to 1207",
)


def examples() -> Iterable[Message]:
    """Give messages of every kind, with every rule's manner of speaking, open, escalated and over."""
    for one in (FAST_MOVE, GROWN, OVER, STRETCH, SILENCE, GAP):
        yield _message("symbol", [one])
    yield _message("symbol", [GROWN, *(replace(STRETCH, id=f"a{number}") for number in range(12))])
    many = [replace(GROWN, id=f"d{number}", symbol=f"COIN{number}-USD") for number in range(20)]
    rising = [replace(STRETCH, id=f"e{number}", symbol=f"COIN{number}-USD") for number in range(10, 24)]
    silent = [replace(SILENCE, id=f"f{number}", symbol=f"COIN{number}-USD") for number in range(20)]
    yield replace(_message("market", [GROWN], update=True), earlier=("COIN1-USD",))
    elsewhere = replace(OVER, id="g0", venue="kraken")
    for kind in ("market", "digest"):
        yield _message(kind, [GROWN, elsewhere])
        yield _message(kind, [*many, *rising, elsewhere], update=True, note="This goes back 3 h.")
        yield _message(kind, [*silent, GAP])
    yield _message("sample", [])
    yield _message("health", [], note="tapewatch is not watching: nothing was stored for 3 min")


def _message(kind: MessageKind, anomalies: Iterable[Anomaly], *, update: bool = False, note: str = "") -> Message:
    alerts = tuple(
        Alert(number, "desk", _occasion(each), each.last_ts, each) for number, each in enumerate(anomalies, 1)
    )
    return Message(1, "desk", kind, NOW + 60 * NS, alerts, update=update, note=note)


def _occasion(anomaly: Anomaly) -> Occasion:
    return "ended" if anomaly.ended_ts is not None else "escalated" if anomaly.escalation else "opened"
