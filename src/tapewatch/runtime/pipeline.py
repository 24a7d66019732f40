"""The part of the runtime that thinks: rows in, at times of the caller's choosing a commit out.

No I/O, no clock, no task: whatever the division into batches and commits, and wherever it is stopped
and resumed, the commits add up to the same anomalies, changes and bars.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tapewatch import telemetry
from tapewatch.detect.bars import fold
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.model import Anomaly, Change, Kind, Lane, Rows
from tapewatch.runtime.source import LaneStatus, Position
from tapewatch.runtime.tally import Tally
from tapewatch.store.records import Clock, Commit, FeedRow, Quarantined

DETECTOR, POSITION = "detector", "position"
"""Names of the blobs in the table ``state``."""

QUARANTINE_PER_COMMIT = 200
"""Rows of quarantine that one commit may store; a flood of bad input is counted in full and kept in part."""

_SEVERITIES = ("high", "medium", "low")


class Prepared(NamedTuple):
    """A commit to store, and what is wanted for the measurements around it.

    Attributes
    ----------
    commit
        All that became known since the last one.
    rows
        The rows that it stems from, in their order, for a recording.
    new
        For each of them, which rows were new.
    """

    commit: Commit
    rows: list[Rows]
    new: list[NDArray[np.bool_]]

    def received(self) -> NDArray[np.int64]:
        """Gather the receive times of the frames with new trades, ns."""
        times = [
            rows.data["recv_ts"][new & (rows.data["kind"] == Kind.TRADE)]
            for rows, new in zip(self.rows, self.new, strict=True)
        ]
        return np.unique(np.concatenate(times)) if times else np.empty(0, np.int64)


class Pipeline:
    """Detect, count and gather until somebody commits.

    Parameters
    ----------
    detector
        New, or restored from the database.
    position
        How far the source was read when that state was stored.
    feed
        The counters that were stored with it.

    Attributes
    ----------
    opened
        Anomalies opened since this was made.
    """

    def __init__(self, detector: Detector, position: Position | None = None, feed: Iterable[FeedRow] = ()) -> None:
        self.detector = detector
        self.position = position or Position()
        self.opened = 0
        self._tally = Tally(feed)
        self._rows: list[Rows] = []
        self._new: list[NDArray[np.bool_]] = []
        self._changes: list[Change] = []
        self._quarantine: list[Quarantined] = []

    def take(self, rows: Rows) -> None:
        """Detect on rows."""
        update = self.detector.update(rows)
        self._changes += update.changes
        self.opened += sum(change.change == "opened" for change in update.changes)
        if len(rows.data):
            self._rows.append(rows)
            self._new.append(update.new)
            self.position = msgspec.structs.replace(self.position, rows=self.position.rows + len(rows.data))

    def refuse(self, quarantine: Sequence[Quarantined]) -> None:
        """Note input that never became rows."""
        self._quarantine += quarantine[: QUARANTINE_PER_COMMIT - len(self._quarantine)]
        self.position = msgspec.structs.replace(
            self.position,
            refused=self.position.refused + len(quarantine),
            unnamed=self.position.unnamed + sum(item.symbol is None for item in quarantine),
        )

    def rearm(self, rules: RuleBook) -> None:
        """Go on with other limits; what a changed rule had open ends here."""
        self.detector = Detector.restore(rules, self.detector.snapshot())
        self.take(Rows.empty())

    def prepare(self, clock: Clock, statuses: Mapping[Lane, LaneStatus]) -> Prepared:
        """Take out everything since the last call, as one commit, with the state that belongs to it."""
        rows, new = self._rows, self._new
        joined = [_join(rows[start:stop], new[start:stop]) for start, stop in _same_lanes(rows)]
        for part, fresh in joined:
            self._tally.add(part, fresh)
        opened = self.detector.open_anomalies()
        commit = Commit(
            clock,
            changes=self._changes,
            open_anomalies=opened,
            bars=[fold(part, fresh) for part, fresh in joined],
            quarantine=self._quarantine,
            unnamed=self.position.unnamed,
            feed=self._tally.feed(statuses, self.detector, clock.now_ts),
            state={DETECTOR: self.detector.snapshot(), POSITION: msgspec.json.encode(self.position)},
        )
        measure(self._changes, opened)
        self._rows, self._new, self._changes, self._quarantine = [], [], [], []
        return Prepared(commit, rows, new)


def measure(changes: Iterable[Change], opened: Collection[Anomaly]) -> None:
    """Log what changed, and count what is open."""
    for change in changes:
        found = change.anomaly
        telemetry.log(telemetry.ANOMALY, (found.rule, change.change), change=change.change, explain=found.explain)
    for severity in _SEVERITIES:
        count = sum(anomaly.severity == severity for anomaly in opened)
        telemetry.OPEN_ANOMALIES.labels(severity).set(count)


def _same_lanes(rows: list[Rows]) -> list[tuple[int, int]]:
    # Runs of batches whose lane numbers mean the same.
    starts = [at for at in range(len(rows)) if at == 0 or rows[at].lanes != rows[at - 1].lanes]
    return list(pairwise([*starts, len(rows)]))


def _join(rows: list[Rows], new: list[NDArray[np.bool_]]) -> tuple[Rows, NDArray[np.bool_]]:
    if len(rows) == 1:
        return rows[0], new[0]
    return Rows(rows[0].lanes, np.concatenate([part.data for part in rows])), np.concatenate(new)
