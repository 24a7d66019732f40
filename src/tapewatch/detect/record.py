"""Records leave the house: a slot of state becomes an `Anomaly`, an event becomes a `Change`."""

import hashlib
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tapewatch.detect.anomaly import ENDED, QUALITIES
from tapewatch.detect.kernels import NEVER
from tapewatch.detect.rule import Facts, Rule, parameters
from tapewatch.model import NS, PRICE_SCALE, Anomaly, Change, Direction, Lane, size_of

CHANGES: tuple[Literal["ended", "opened", "escalated"], ...] = ("ended", "opened", "escalated")
DIRECTIONS: dict[int, Direction | None] = {1: "up", -1: "down", 0: None}


class Teller:
    """Turns the slots and events of one rule on one lane into records.

    What is fixed at the opening (id, sentence) is kept for the later changes of the same anomaly.
    """

    def __init__(self, lane: Lane, rule: Rule, params: Struct) -> None:
        self.lane = lane
        self.rule = rule
        self.params = params
        self._market = rule.kind == "market"
        self._silence = rule.unit == "s"
        self._window = None if rule.window is None else rule.window(params)
        self._unit = rule.unit or lane.symbol.rpartition("-")[2]
        self._opening: dict[tuple[int, int], tuple[str, str, str]] = {}

    def changes(
        self, events: NDArray[np.void], steps: NDArray[np.int64], ordinals: NDArray[np.int64]
    ) -> list[tuple[int, Change]]:
        """Tell events, in their order, each with the index of its row.

        `steps` are the times of theirs, one event's after another's.
        """
        times = iter(steps.tolist())
        told = []
        for values, ordinal in zip(_plain(events), ordinals.tolist(), strict=True):
            record = self._record(values, tuple(islice(times, values["escalation"])))
            told.append((values["row"], Change(CHANGES[values["change"]], values["at"], ordinal, record)))
        return told

    def record(self, slot: NDArray[np.void], steps: NDArray[np.int64]) -> Anomaly:
        """Build the record of an open slot, shape (1,), as it stands."""
        (values,) = _plain(slot)
        return self._record({**values, "change": -1}, tuple(steps.tolist()))

    def _record(self, values: dict[str, Any], steps: tuple[int, ...]) -> Anomaly:
        direction, key = values["direction"], values["key"]
        opening = self._opening.get((direction, key))
        if opening is None:
            self._opening = {held: told for held, told in self._opening.items() if held[0] != direction}
            opening = self._opening[direction, key] = self._open(values)
        market, referred = self._market, self._market or self._silence
        return Anomaly(
            id=opening[0],
            venue=self.lane.venue,
            symbol=self.lane.symbol,
            rule=self.rule.name,
            severity=self.rule.severity,
            kind=self.rule.kind,
            direction=DIRECTIONS[direction],
            opened_ts=values["opened_ts"],
            opened_at=opening[1],
            trade_id=None if self._silence else key,
            price=printed(values["price"]) if market else None,
            reference_price=printed(values["reference"], values["reference_n"]) if market else None,
            reference_ts=values["reference_ts"] if referred else None,
            observed=values["observed"],
            threshold=values["threshold"],
            unit=self._unit,
            peak_observed=values["peak_observed"],
            peak_price=printed(values["peak_price"]) if market else None,
            peak_ts=values["peak_ts"],
            peak_reference_price=printed(values["peak_reference"], values["peak_reference_n"]) if market else None,
            peak_reference_ts=values["peak_reference_ts"] if referred else None,
            last_ts=values["last_ts"],
            ended_ts=values["last_ts"] if values["change"] == ENDED else None,
            triggers=values["triggers"],
            escalation=values["escalation"],
            escalated_ts=steps,
            quality=QUALITIES[values["quality"]],
            history=bool(values["history"]),
            explain=opening[2],
            size=self._size(values),
            peak_left_ts=values["peak_left_ts"] if market and values["peak_left_ts"] != NEVER else None,
        )

    def _size(self, values: dict[str, Any]) -> float | None:
        if self._window is None:
            return None
        age = values["peak_ts"] - values["peak_reference_ts"]
        return size_of(values["peak_observed"], values["threshold"], age, self._window)

    def _open(self, values: dict[str, Any]) -> tuple[str, str, str]:
        facts = Facts(self.lane, *(values[name] for name in Facts._fields[1:]))
        named = anomaly_id(self.lane, self.rule, DIRECTIONS[values["direction"]], self.params, values["key"])
        return named, iso(values["opened_ts"]), self.rule.explain(facts, self.params)


def anomaly_id(lane: Lane, rule: Rule, direction: Direction | None, params: Struct, key: int) -> str:
    """Name an anomaly, the same everywhere and for ever: BLAKE2b of what makes it this one.

    Parameters
    ----------
    key
        The opening row's trade id; the receive time for a silence.
    """
    text = msgspec.json.encode([lane.venue, lane.symbol, rule.name, direction, parameters(params), key])
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def iso(ts: int) -> str:
    """Write ns since the epoch as ISO 8601 UTC with nine decimals.

    >>> iso(1_760_131_294_977_231_000)
    '2025-10-10T21:21:34.977231000Z'
    """
    seconds, ns = divmod(ts, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"


def printed(units: int, count: int = 1) -> float:
    """Print a price, or the mean of `count` prices given as their sum: one division of float64."""
    return float(units) / float(count * PRICE_SCALE)


def _plain(records: NDArray[np.void]) -> list[dict[str, Any]]:
    names = records.dtype.names or ()
    return [dict(zip(names, values, strict=True)) for values in records.tolist()]
