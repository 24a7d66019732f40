"""What the shards told becomes one transaction per micro-batch, which also records its number.

A micro-batch that is told twice changes nothing; a database that is away is waited for.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tapewatch import telemetry
from tapewatch.errors import ConfigError, DatabaseAwayError
from tapewatch.model import NS, Anomaly, Lane
from tapewatch.runtime import shards
from tapewatch.runtime.pipeline import measure
from tapewatch.store.records import Clock, Commit, FeedRow, LoggedChange
from tapewatch.store.sql import Store

BATCH = "batch"
"""Name of the blob in the table ``state``: which micro-batch of which query was committed last."""

ANEW = "go on with what belongs together, or begin anew with another database and checkpoint"

BACKOFF_S = (0.5, 1.0, 2.0, 5.0)
"""Waits before the database is asked again; the last one for all further times."""


class Batch(Struct, frozen=True):
    """Which micro-batch was committed last.

    Attributes
    ----------
    rules
        The configuration's section ``rules`` with which it was found, as JSON.
    unnamed
        How many inputs that name no lane were set aside so far.
    now_ts
        The latest receive time so far, ns.
    """

    query: str
    number: int
    shards: int
    rules: str
    unnamed: int = 0
    now_ts: int = 0


class Sink:
    """Commit what the shards told, once per micro-batch.

    Parameters
    ----------
    open_store
        Opens the database for writing; asked again when it was away.
    shards_count
        Into how many parts the lanes are divided.
    rules
        The configuration's section ``rules``.
    clock_ns
        Our wall clock.
    wait
        Waits so many seconds; true when we are to stop.

    Attributes
    ----------
    trouble
        Why nothing can be committed just now; None when all is well.
    followers
        Called when the log of changes may have grown.

    Raises
    ------
    ConfigError
        The database holds what another number of shards found.
    StoreError
        The database refuses.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        shards_count: int,
        rules: Mapping[str, Any],
        clock_ns: Callable[[], int],
        wait: Callable[[float], bool],
    ) -> None:
        self.trouble: str | None = None
        self.followers: list[Callable[[], object]] = []
        self._open = open_store
        self._shards = shards_count
        self._rules = msgspec.json.encode(rules).decode()
        self._clock_ns = clock_ns
        self._wait = wait
        self._store: Store | None = open_store()
        self._last: Batch | None = None
        self._opened: dict[str, Anomaly] = {}  # of each shard that had rows since we began
        self.lanes: dict[Lane, FeedRow] = {}
        try:
            self._last = self._go_on(self._store)
        except ConfigError:
            self.close()
            raise

    def changes_after(self, seq: int, limit: int) -> list[LoggedChange]:
        """Read the log of changes."""
        return [] if self._store is None else self._store.changes_after(seq, limit)

    def rest(self) -> None:
        """Note that nobody takes rows in any more because somebody wanted it so; if the database is there."""
        if self._store is None or self._last is None:
            return
        clock = Clock(self._last.now_ts, self._clock_ns())
        try:
            stopped = [replace(row, state="stopped", reason="detect was stopped") for row in self._store.feed()]
            self._store.commit(Commit(clock, feed=stopped, unnamed=self._last.unnamed))
        except DatabaseAwayError as error:
            telemetry.log(telemetry.DATABASE_AWAY, error=error)

    def close(self) -> None:
        """Close the database."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def commit(self, query: str, number: int, told: list[shards.Told]) -> bool:
        """Commit one micro-batch, when the database is there; tell whether it was a new one.

        Raises
        ------
        ConfigError
            The checkpoint does not belong to the database.
        DatabaseAwayError
            It is still away, and we are to stop.
        """
        tries = 0
        while True:
            try:
                if self._store is None:
                    self._store = self._open()
                    self._last = self._go_on(self._store)
                new = self._commit(self._store, query, number, told)
                for follow in self.followers:
                    follow()
            except DatabaseAwayError as error:
                self.trouble = str(error)
                telemetry.log(telemetry.DATABASE_AWAY, error=error)
                self.close()
                if self._wait(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]):
                    raise
                tries += 1
            else:
                self.trouble = None
                return new

    def _go_on(self, store: Store) -> Batch | None:
        last = _last(store)
        if last is not None and last.shards != self._shards:
            raise ConfigError(
                f"detect.shards: expected {last.shards}, into which the state of this checkpoint is divided, "
                f"found {self._shards}; {ANEW}"
            )
        return last

    def _commit(self, store: Store, query: str, number: int, told: list[shards.Told]) -> bool:
        last, name = self._last or Batch(query, -1, self._shards, self._rules), store.name
        if last.query != query:
            raise ConfigError(
                f"detect.checkpoint: expected the one that {name} was filled from (query {last.query}), found another "
                f"one (query {query}); {ANEW}"
            )
        if number == last.number:
            if last.rules != self._rules:  # Spark's state would go on from what the database does not hold
                raise ConfigError(
                    f"rules: expected {last.rules}, with which micro-batch {number} was found, which Spark now does "
                    f"once more, found {self._rules}; start once with the rules of before, then change them"
                )
            return False
        if number != last.number + 1:
            raise ConfigError(
                f"detect.checkpoint: expected one that stands before micro-batch {last.number + 1}, as {name} does, "
                f"found micro-batch {number}; {ANEW}"
            )
        batch = Batch(
            query,
            number,
            self._shards,
            self._rules,
            sum((part.unnamed for part in told), last.unnamed),
            max([last.now_ts, *(part.now_ts for part in told)]),
        )
        clock = Clock(batch.now_ts, self._clock_ns())
        store.commit(shards.joined(told, clock, batch.unnamed, {BATCH: msgspec.json.encode(batch)}))
        self._last = batch
        self._measure(told)
        return True

    def _measure(self, told: list[shards.Told]) -> None:
        # Here and not where they were found: nobody asks Spark's workers for their counters.
        changes = [change for part in told for change in part.changes]
        self._opened |= {anomaly.id: anomaly for part in told for anomaly in part.open_anomalies}
        for change in changes:
            if change.change == "ended":
                self._opened.pop(change.anomaly.id, None)
        measure(changes, self._opened.values())
        for row in (row for part in told for row in part.feed):
            before = self.lanes.get(row.lane)
            for counter, name, *more in COUNTED:
                added = getattr(row, name) - (0 if before is None else getattr(before, name))
                counter.labels(*row.lane, *more).inc(added)
            self.lanes[row.lane] = row
            blind_ns = row.now_ts - row.blind_ts if row.state == "blind" and row.blind_ts else 0
            telemetry.BLIND_SECONDS.labels(*row.lane).set(blind_ns / NS)


COUNTED: Final = (
    (telemetry.TRADES, "trades"),
    (telemetry.DUPLICATES, "duplicates"),
    (telemetry.GAPS_OPENED, "gaps_opened"),
    (telemetry.GAPS_CLOSED, "gaps_filled", "filled"),
    (telemetry.GAPS_CLOSED, "gaps_given_up", "given up"),
)
"""What a lane's row counts, as our counters, each with the labels behind the lane."""


def _last(store: Store) -> Batch | None:
    kept = store.state(BATCH)
    try:
        return None if kept is None else msgspec.json.decode(kept, type=Batch)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{store.name}: expected the last micro-batch as this version of tapewatch notes it ({error}); go on with "
            "the version that wrote it, or begin anew with another database and checkpoint"
        ) from None
