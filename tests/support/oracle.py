"""A naive reading of the rules: a whole tape in, every change, open anomaly and bar out.

Written from the page that states the rules, without a look at the package's detection, so that
two readings can be compared field by field. It is slow and keeps everything.
"""

import fnmatch
import math
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from support.oracle_feed import BlindFeed, NewNumbering, SilentFeed, TapeGap
from support.oracle_rules import (
    AbsJump,
    Finding,
    MeanReversionBreak,
    Parameters,
    PctSpike,
    Seconds,
    VolBreakout,
)
from support.oracle_slow import HourMove, SlowMove
from support.oracle_words import NS, exact, identity, iso
from tapewatch.model import Anomaly, Change, Flag, Kind, Lane, Rows

OUTAGE_NS = LATE_NS = 10 * NS
GAPS_MAX = 64

MARKET_RULES = (PctSpike, AbsJump, VolBreakout, MeanReversionBreak, SlowMove, HourMove)
"""In the order of the page's table, in which they are tested and ended."""

Moves = PctSpike | AbsJump | VolBreakout | MeanReversionBreak | SlowMove | HourMove
Rule = Moves | SilentFeed | TapeGap | BlindFeed | NewNumbering

Armed = dict[str, Parameters]  # rule → its parameters; a rule that is absent is not armed

BTC: Armed = {
    "pct_spike": {"threshold_pct": 0.25, "window_s": 10, "quiet_s": 60},
    "abs_jump": {"limit_quote": 30, "window_s": 10, "quiet_s": 60},
    "vol_breakout": {"sigmas": 3, "returns": 60, "floor_quote": 15, "quiet_s": 60},
    "mean_reversion_break": {"sigmas": 2, "samples": 60, "floor_quote": 25, "quiet_s": 60},
    "slow_move": {"threshold_pct": 1.5, "window_s": 300, "quiet_s": 300},
    "hour_move": {"threshold_pct": 4, "window_min": 60, "quiet_s": 3600},
    "silent_feed": {"limit_s": 5},
    "tape_gap": {},
    "blind_feed": {"limit_s": 5},
    "new_numbering": {},
}
OTHERS: Armed = {
    "pct_spike": {"threshold_pct": 0.25, "window_s": 10, "quiet_s": 60},
    "vol_breakout": {"sigmas": 3, "returns": 60, "floor_pct": 0.12, "quiet_s": 60},
    "mean_reversion_break": {"sigmas": 2, "samples": 60, "floor_pct": 0.20, "quiet_s": 60},
    "slow_move": {"threshold_pct": 3, "window_s": 300, "quiet_s": 300},
    "hour_move": {"threshold_pct": 8, "window_min": 60, "quiet_s": 3600},
    "silent_feed": {"limit_s": 5},
    "tape_gap": {},
    "blind_feed": {"limit_s": 5},
    "new_numbering": {},
}
ETH: Armed = {**OTHERS, "slow_move": BTC["slow_move"], "hour_move": BTC["hour_move"]}


def defaults(lane: Lane) -> Armed:
    """Give the parameters of the page's table."""
    if fnmatch.fnmatchcase(lane.symbol, "BTC-*"):
        return BTC
    return ETH if fnmatch.fnmatchcase(lane.symbol, "ETH-*") else OTHERS


class Row(NamedTuple):
    """One row as plain values, in the order of ROW's fields."""

    ts: int
    recv_ts: int
    trade_id: int
    sequence: int
    price: int
    size: float
    aux: int
    lane: int
    kind: int
    side: int
    flags: int


class Bar(NamedTuple):
    """One bar of a complete tape."""

    open_id: int
    close_id: int
    open: int
    high: int
    low: int
    close: int
    volume: float
    count: int


BarKey = tuple[Lane, int, int]  # lane, width in seconds, start of the bucket in ns


class Verdict(NamedTuple):
    """What a tape comes to."""

    changes: list[Change]
    open: list[Anomaly]  # sorted as files are
    new: list[bool]
    bars: dict[BarKey, Bar]
    ledgers: dict[Lane, tuple[int, tuple[tuple[int, int], ...], int]]  # highest id (-1: none yet), open gaps, last time


class Gap:
    """Trade ids that are missing."""

    def __init__(self, first: int, last: int, ts: int | None) -> None:
        self.first = first
        self.last = last
        self.ts = ts  # effective time of the last TRADE before it; None: there was none
        self.latest = -1  # highest id that came late


class LaneOracle:
    """One venue and symbol: its ledger, its rules and its open anomalies."""

    def __init__(self, lane: Lane, armed: Armed, changes: list[Change]) -> None:
        self.lane = lane
        self.armed = armed
        self.changes = changes
        self.ordinal = 0
        self.open: dict[tuple[str, str | None], Anomaly] = {}
        self.since: dict[str, int] = {}  # silent_feed: last frame at the opening row
        self.highest = -1
        self.gaps: list[Gap] = []
        self.given_up: list[int] = []  # times of the gaps that were never filled
        self.gap_since_trade = False
        self.last_ts: int | None = None
        self.last_clock: int | None = None
        self.seconds = Seconds()
        self.rules = [rule(lane.symbol, armed[rule.name]) for rule in MARKET_RULES if rule.name in armed]
        self.quiet_ns = {rule.name: exact(rule.parameters["quiet_s"]) * NS for rule in self.rules}
        self.silent = SilentFeed(lane.venue, armed["silent_feed"]) if "silent_feed" in armed else None
        self.gap_rule = TapeGap(armed["tape_gap"]) if "tape_gap" in armed else None
        self.blind = BlindFeed(lane.symbol, armed["blind_feed"]) if "blind_feed" in armed else None
        self.anew = NewNumbering(lane.symbol, armed["new_numbering"]) if "new_numbering" in armed else None

    def take(self, row: Row) -> bool:
        """Work on one row; say whether it was new."""
        work = {
            Kind.TRADE: self._trade,
            Kind.GAP: self._gap,
            Kind.LATE: self._late,
            Kind.FILLED: self._filled,
            Kind.CLOCK: self._clock,
            Kind.EPOCH: self._epoch,
        }
        return work[Kind(row.kind)](row)

    def _trade(self, row: Row) -> bool:
        if row.trade_id <= self.highest:
            return False
        self.highest = row.trade_id
        ts = row.ts if self.last_ts is None else max(row.ts, self.last_ts)
        if self.gap_since_trade and self.last_ts is not None and ts - self.last_ts > OUTAGE_NS:
            self.seconds.restart()
            for rule in self.rules:
                rule.restart()
        self.gap_since_trade = False
        self.last_ts = ts
        self.seconds.complete(ts)
        self._end_quiet(ts)
        for rule in self.rules:
            for finding in rule.see(ts, row.price, self.seconds):
                self._fire(rule, finding, row, ts)
        self.seconds.trade(ts, row.price)
        return True

    def _gap(self, row: Row) -> bool:
        if row.trade_id <= self.highest:
            return False
        self.highest = row.aux
        self.gap_since_trade = True
        if len(self.gaps) == GAPS_MAX:
            self._give_up(self.gaps.pop(0))
        self.gaps.append(Gap(row.trade_id, row.aux, self.last_ts))
        if self.gap_rule is not None:
            for finding in self.gap_rule.see(row.trade_id, row.aux):
                self._fire(self.gap_rule, finding, row, row.recv_ts)
        return True

    def _epoch(self, row: Row) -> bool:
        if row.trade_id <= self.highest + 1:
            return False
        while self.gaps:
            self._give_up(self.gaps.pop(0))
        if self.last_ts is not None:
            self.given_up.append(self.last_ts)
        self.highest = row.trade_id - 1
        self.gap_since_trade = True
        if ("tape_gap", None) in self.open:
            self._end("tape_gap", None, row.recv_ts)
        if self.anew is not None:
            for finding in self.anew.see(row.trade_id, row.aux):
                self._fire(self.anew, finding, row, row.recv_ts)
        return True

    def _late(self, row: Row) -> bool:
        for gap in self.gaps:
            if gap.first <= row.trade_id <= gap.last and row.trade_id > gap.latest:
                gap.latest = row.trade_id
                return True
        return False

    def _filled(self, row: Row) -> bool:
        for gap in self.gaps:
            if (gap.first, gap.last) == (row.trade_id, row.aux):
                self.gaps.remove(gap)
                if row.flags & Flag.GIVEN_UP:
                    self._give_up(gap)
                if not self.gaps and ("tape_gap", None) in self.open:
                    self._end("tape_gap", None, row.recv_ts)
                return True
        return False

    def _clock(self, row: Row) -> bool:
        if self.last_clock is not None and row.recv_ts <= self.last_clock:
            return False
        self.last_clock = row.recv_ts
        if row.ts != 0:
            self._end_quiet(row.ts)
        if ("silent_feed", None) in self.open and row.aux > self.since["silent_feed"]:
            self._end("silent_feed", None, row.recv_ts)
        if ("blind_feed", None) in self.open and row.sequence == 0:
            self._end("blind_feed", None, row.recv_ts)
        if ("new_numbering", None) in self.open:
            self._end("new_numbering", None, row.recv_ts)
        if self.silent is not None:
            for finding in self.silent.see(row.recv_ts, row.aux, row.trade_id):
                self._fire(self.silent, finding, row, row.recv_ts)
        if self.blind is not None:
            for finding in self.blind.see(row.recv_ts, row.sequence, row.trade_id):
                self._fire(self.blind, finding, row, row.recv_ts)
        return True

    def _give_up(self, gap: Gap) -> None:
        if gap.ts is not None:
            self.given_up.append(gap.ts)

    def _end_quiet(self, now: int) -> None:
        for rule in self.rules:
            for direction in ("up", "down"):
                anomaly = self.open.get((rule.name, direction))
                if anomaly is not None and now - anomaly.last_ts > self.quiet_ns[rule.name]:
                    self._end(rule.name, direction, now)

    def _end(self, rule: str, direction: str | None, at: int) -> None:
        anomaly = self.open.pop((rule, direction))
        self._tell("ended", at, msgspec.structs.replace(anomaly, ended_ts=anomaly.last_ts))

    def _fire(self, rule: Rule, finding: Finding, row: Row, at: int) -> None:
        key = (rule.name, finding.direction)
        market = finding.direction is not None
        price = float(row.price) / 1e10 if market else None
        change = None
        if key not in self.open:
            change = "opened"
            anomaly = self._opened(rule, finding, row, at, price)
            if rule is self.silent:
                self.since["silent_feed"] = row.aux
        else:
            anomaly = self._continued(rule, self.open[key], finding, at, price)
        if rule not in (self.gap_rule, self.anew):
            steps = anomaly.escalation
            while abs(finding.observed) >= 2.0 ** (steps + 1) * anomaly.threshold:
                steps += 1
            if steps > anomaly.escalation:
                change = change or "escalated"
                reached = (at,) * (steps - anomaly.escalation)
                anomaly = msgspec.structs.replace(
                    anomaly, escalation=steps, escalated_ts=anomaly.escalated_ts + reached
                )
        self.open[key] = anomaly
        if change:
            self._tell(change, at, anomaly)

    def _continued(self, rule: Rule, anomaly: Anomaly, finding: Finding, at: int, price: float | None) -> Anomaly:
        size, peak = abs(finding.observed), abs(anomaly.peak_observed)
        holds = 2 * size >= peak or anomaly.kind == "feed"
        anomaly = msgspec.structs.replace(
            anomaly, triggers=anomaly.triggers + 1, last_ts=at if holds else anomaly.last_ts
        )
        if size <= peak:
            return anomaly
        return msgspec.structs.replace(
            anomaly,
            peak_observed=finding.observed,
            peak_price=price,
            peak_ts=at,
            peak_reference_price=finding.reference_price,
            peak_reference_ts=finding.reference_ts,
            size=self._size(rule, finding, anomaly.threshold, at),
            peak_left_ts=finding.left_ts,
        )

    def _opened(self, rule: Rule, finding: Finding, row: Row, at: int, price: float | None) -> Anomaly:
        venue, symbol = self.lane
        key = row.recv_ts if rule.unit == "s" else row.trade_id
        return Anomaly(
            id=identity(self.lane, rule.name, finding.direction, rule.parameters, key),
            venue=venue,
            symbol=symbol,
            rule=rule.name,
            severity=rule.severity,
            kind="feed" if finding.direction is None else "market",
            direction=finding.direction,
            opened_ts=at,
            opened_at=iso(at),
            trade_id=None if rule.unit == "s" else row.trade_id,
            price=price,
            reference_price=finding.reference_price,
            reference_ts=finding.reference_ts,
            observed=finding.observed,
            threshold=finding.threshold,
            unit=rule.unit,
            peak_observed=finding.observed,
            peak_price=price,
            peak_ts=at,
            peak_reference_price=finding.reference_price,
            peak_reference_ts=finding.reference_ts,
            last_ts=at,
            ended_ts=None,
            triggers=1,
            escalation=0,
            escalated_ts=(),
            quality=self._quality(finding, row),
            history=bool(row.flags & Flag.HISTORY),
            explain=finding.explain(),
            size=self._size(rule, finding, finding.threshold, at),
            peak_left_ts=finding.left_ts,
        )

    def _size(self, rule: Rule, finding: Finding, threshold: float, at: int) -> float | None:
        if finding.direction is None:
            return None
        assert finding.reference_ts is not None, "a move has a reference"
        windows = float(at - finding.reference_ts) / float(rule.window_s * NS)
        grown = threshold * math.sqrt(windows) if windows > 1.0 else threshold
        return abs(finding.observed) / grown

    def _quality(self, finding: Finding, row: Row) -> str:
        if finding.direction is None:
            return "complete"
        not_filled = self.given_up + [gap.ts for gap in self.gaps if gap.ts is not None]
        if any(ts >= finding.gap_since for ts in not_filled):
            return "gap"
        return "late" if row.recv_ts - row.ts > LATE_NS else "complete"

    def _tell(self, change: str, at: int, anomaly: Anomaly) -> None:
        self.changes.append(Change(change, at, self.ordinal, anomaly))
        self.ordinal += 1


def judge(tape: Rows, parameters: Callable[[Lane], Armed] = defaults) -> Verdict:
    """Read a complete tape."""
    changes: list[Change] = []
    lanes: dict[Lane, LaneOracle] = {}
    new = []
    for values in tape.data.tolist():
        row = Row(*values)
        name = tape.lanes[row.lane]
        if name not in lanes:
            lanes[name] = LaneOracle(name, parameters(name), changes)
        new.append(lanes[name].take(row))
    still = [anomaly for lane in lanes.values() for anomaly in lane.open.values()]
    ledgers = {
        name: (lane.highest, tuple((gap.first, gap.last) for gap in lane.gaps), max(0, lane.last_ts or 0))
        for name, lane in lanes.items()
    }
    return Verdict(changes, sorted(still, key=Anomaly.sort_key), new, bars_of(tape, new), ledgers)


def bars_of(tape: Rows, new: list[bool]) -> dict[BarKey, Bar]:
    """Make the bars of a complete tape from its new trades, in the buckets of their times as delivered."""
    prints: dict[BarKey, list[Row]] = {}
    for values, fresh in zip(tape.data.tolist(), new, strict=True):
        row = Row(*values)
        if fresh and row.kind in (Kind.TRADE, Kind.LATE):
            for width in (1, 10, 60):
                start = row.ts // (width * NS) * (width * NS)
                prints.setdefault((tape.lanes[row.lane], width, start), []).append(row)
    return {key: _bar(sorted(rows, key=lambda row: row.trade_id)) for key, rows in prints.items()}


def _bar(rows: list[Row]) -> Bar:
    prices = [row.price for row in rows]
    volume = sum(row.size for row in rows)
    return Bar(rows[0].trade_id, rows[-1].trade_id, prices[0], max(prices), min(prices), prices[-1], volume, len(rows))
