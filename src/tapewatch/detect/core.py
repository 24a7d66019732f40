"""All armed rules over many lanes: rows in, changes out, with a state that can be taken out and put back.

A pure fold. Splitting the rows differently, stopping and restoring, or telling rows twice changes
neither the changes nor the state's bytes; that is what lets one class serve every runtime.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tapewatch.detect.admit import GAP, GAPS_MAX, HEAD, admit, fresh_head
from tapewatch.detect.anomaly import ENDED, EVENT, SLOT, SLOT_2, STORY, order_keys, steps_of
from tapewatch.detect.kernels import NEVER, Scratch
from tapewatch.detect.record import Teller
from tapewatch.detect.rule import Pieces, Rule, RuleState, Work
from tapewatch.detect.rules import RULES, RuleBook
from tapewatch.detect.seconds import cut
from tapewatch.errors import SnapshotError
from tapewatch.model import Anomaly, Change, Lane, Rows, by_lane

BLOCK = 16_384
"""Rows that are folded at a time, so that their columns stay in the processor's cache."""

EVENTS = 256
"""Events that a rule's loop may write before it pauses."""

VERSION = 3
"""Of the snapshot's layout; a snapshot of version 2 is brought up when it is put back."""


class Told(NamedTuple):
    """Events of one rule on one lane (dtype EVENT), the times of their steps, their ordinals, and who words them."""

    teller: Teller
    events: NDArray[np.void]
    steps: NDArray[np.int64]
    ordinals: NDArray[np.int64]


class Update:
    """What rows changed.

    Attributes
    ----------
    new
        Shape (n,), bool: rows that were not told again.
    """

    def __init__(self, new: NDArray[np.bool_], told: list[Told]) -> None:
        self.new = new
        self._told = told

    @cached_property
    def changes(self) -> list[Change]:
        """Changes in the order of their rows; on one row ends first, then rules in table order, up before down."""
        by_row = [
            (row, change.ordinal, change)
            for teller, events, steps, ordinals in self._told
            for row, change in teller.changes(events, steps, ordinals)
        ]
        by_row.sort(key=lambda item: item[:2])
        return [change for _, _, change in by_row]

    def ended(self) -> list[Anomaly]:
        """List the anomalies that ended, in no order: all that is asked of a tape that is only replayed."""
        ended = []
        for teller, events, steps, ordinals in self._told:
            ends = events["change"] == ENDED
            own = steps[np.repeat(ends, events["escalation"])]
            ended += [change.anomaly for _, change in teller.changes(events[ends], own, ordinals[ends])]
        return ended


class Ledger(NamedTuple):
    """What capture must know of a lane after a restart.

    Attributes
    ----------
    highest_id
        Named by the tape; -1: none.
    open_gaps
        First and last ids, ascending.
    ts
        Of the last trade, ns; 0: there was none.
    """

    highest_id: int
    open_gaps: tuple[tuple[int, int], ...]
    ts: int = 0


class _Armed(NamedTuple):
    rule: Rule
    params: Struct
    state: RuleState
    teller: Teller


class _Lane:
    def __init__(self, lane: Lane, rules: RuleBook) -> None:
        self.lane = lane
        self.head = fresh_head()
        self.gaps = np.zeros(GAPS_MAX, GAP)
        self.pending: list[_Pending] = []
        self.rules = [
            _Armed(rule, params, rule.fresh(), Teller(lane, rule, params))
            for rule in RULES
            if (params := rules.params(rule, lane.symbol)) is not None
        ]

    def number(self, found: list[tuple[int, NDArray[np.void]]]) -> list[Told]:
        """Give a block's events of all rules their ordinals; the count is state, so that divisions number alike."""
        keys = np.empty(sum(len(events) for _, events in found), np.int64)
        ordinals = np.empty_like(keys)
        told, start = [], 0
        for order, events in found:
            own = slice(start, start := start + len(events))
            order_keys(events, order, len(self.rules), keys[own])
            armed = self.rules[order]
            told.append(Told(armed.teller, events, steps_of(events, armed.state.steps), ordinals[own]))
        ordinals[np.argsort(keys)] = np.arange(len(keys)) + self.head[0]["ordinal"]
        self.head[0]["ordinal"] += len(keys)
        return told


class _Pending(Struct, array_like=True):
    """What a rule had open whose parameters have changed: to be told as ended."""

    rule: str
    params: bytes
    slot: bytes


class _SavedRule(Struct, array_like=True):
    name: str
    params: bytes
    slots: list[bytes]
    queues: list[bytes]


class _SavedLane(Struct, array_like=True):
    venue: str
    symbol: str
    head: bytes
    gaps: bytes
    pending: list[_Pending]
    rules: list[_SavedRule]


class _Saved(Struct, array_like=True):
    version: int
    lanes: list[_SavedLane]


class Detector:
    """All armed rules over many lanes.

    Parameters
    ----------
    rules
        Which rules are armed on which symbols, with which parameters.

    Examples
    --------
    >>> from tapewatch.model import Kind, NS
    >>> btc = Lane("coinbase", "BTC-USD")
    >>> trades = [(s * NS, s * NS, s + 1, 0, price * 10**10, 1.0, 0, 0, Kind.TRADE, 1, 0)
    ...           for s, price in enumerate((100_000, 100_029, 100_030))]
    >>> detector = Detector(RuleBook.default())
    >>> [change.anomaly.explain for change in detector.update(Rows.of([btc], trades)).changes]
    ['BTC-USD rose 30.00 in 2.0 s, from 100,000.00 to 100,030.00 (limit 30.00 in 10 s)']
    """

    def __init__(self, rules: RuleBook) -> None:
        self._rules = rules
        self._lanes: dict[Lane, _Lane] = {}
        self._names: tuple[Lane, ...] = ()
        self._events = np.zeros(EVENTS, EVENT)
        self._scratch = Scratch()
        self._columns = tuple(np.empty(BLOCK, dtype) for dtype in ("i8", "u1", "i8", "i8", "i8", "i8", "i8"))
        self._pieces = tuple(np.empty(BLOCK + 1, np.int64) for _ in Pieces._fields)

    def update(self, rows: Rows) -> Update:
        """Fold rows, in any division into batches.

        Raises
        ------
        AssertionError
            A row names a lane that `rows.lanes` does not have.
        """
        data = rows.data
        new = np.zeros(len(data), np.bool_)
        told = self._tell_pending()
        for start in range(0, len(data), BLOCK):
            numbers = data["lane"][start : start + BLOCK]
            for number, index in by_lane(numbers, start, len(rows.lanes)):
                assert 0 <= number < len(rows.lanes), "rows name lanes of their own table"
                told.extend(self._fold(rows.lanes[number], number, data, index, new))
        return Update(new, told)

    def open_anomalies(self) -> list[Anomaly]:
        """List what is open, as it stands, by lane, rule and direction."""
        return [
            armed.teller.record(slot, steps)
            for lane in self._lanes.values()
            for armed in lane.rules
            for slot, steps in armed.state.open()
        ]

    def armed(self, lane: Lane) -> tuple[str, ...]:
        """Name the rules that are armed on a lane."""
        return tuple(rule.name for rule in RULES if self._rules.params(rule, lane.symbol) is not None)

    def warming(self, lane: Lane) -> tuple[str, ...]:
        """Name the rules that are armed on a lane and have seen too little to speak."""
        known = self._lanes.get(lane) or _Lane(lane, self._rules)
        return tuple(each.rule.name for each in known.rules if each.rule.warming(each.state, each.params))

    def ledgers(self) -> dict[Lane, Ledger]:
        """Tell what each lane's tape has named so far."""
        return {
            name: Ledger(
                int(lane.head[0]["highest_id"]),
                tuple((int(gap["first"]), int(gap["last"])) for gap in lane.gaps[: lane.head[0]["gaps"]]),
                max(0, int(lane.head[0]["ts"])),
            )
            for name, lane in self._lanes.items()
        }

    def snapshot(self) -> bytes:
        """Take the whole state out; equal states have equal bytes."""
        return msgspec.msgpack.encode(_Saved(VERSION, [_save(lane) for lane in self._lanes.values()]))

    @classmethod
    def restore(cls, rules: RuleBook, blob: bytes) -> "Detector":
        """Put a state back.

        A rule whose parameters have changed since restarts empty on its lane; what it had open is
        reported as ended by the next `update`.

        Raises
        ------
        SnapshotError
            The bytes are no snapshot, or one of another version.
        """
        detector = cls(rules)
        try:
            saved = msgspec.msgpack.decode(blob, type=_Saved)
            if saved.version == 2:  # noqa: PLR2004  # as its layout is called
                _bring_up(saved)
            elif saved.version != VERSION:
                raise SnapshotError(f"detector's state: expected version {VERSION}, found {saved.version}")
            for one in saved.lanes:
                lane = _restore(one, rules)
                detector._lanes[lane.lane] = lane
        except (msgspec.DecodeError, ValueError) as error:
            raise SnapshotError(f"detector's state: expected a snapshot of version {VERSION}: {error}") from None
        return detector

    def _lane(self, name: Lane) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(name, self._rules)
        return self._lanes[name]

    def _fold(
        self, name: Lane, number: int, data: NDArray[np.void], index: NDArray[np.int64], new: NDArray[np.bool_]
    ) -> list[Told]:
        lane = self._lane(name)
        row, kind, ts, price, gap_ts, gaps_open, special = self._columns
        count, specials = admit(
            data, number, index, lane.head, lane.gaps, new, row, kind, ts, price, gap_ts, gaps_open, special
        )
        first, second, low, high = self._pieces
        pieces = cut(kind[:count], ts[:count], price[:count], first, second, low, high)
        work = Work(
            data,
            row[:count],
            kind[:count],
            ts[:count],
            price[:count],
            gap_ts[:count],
            gaps_open[:count],
            special[:specials],
            Pieces(first[: pieces + 1], second[:pieces], low[:pieces], high[:pieces]),
            self._events,
            self._scratch,
        )
        found = [
            (order, np.frombuffer(events, EVENT))
            for order, armed in enumerate(lane.rules)
            if (events := armed.rule.scan(work, armed.state, armed.params))
        ]
        return lane.number(found) if found else []

    def _tell_pending(self) -> list[Told]:
        told = []
        by_name = {rule.name: rule for rule in RULES}
        for lane in self._lanes.values():
            for pending in lane.pending:
                rule = by_name[pending.rule]
                slot, steps = _unpack(pending.slot)
                event = np.zeros(1, EVENT)
                for name, _ in STORY:
                    event[name] = slot[name]
                event["row"], event["at"], event["change"] = -1, slot["last_ts"], ENDED
                ordinals = lane.head[0:1]["ordinal"].copy()
                lane.head[0]["ordinal"] += 1
                teller = Teller(lane.lane, rule, msgspec.json.decode(pending.params, type=rule.params))
                told.append(Told(teller, event, steps, ordinals))
            lane.pending = []
        return told


def replay(tape: Iterable[Rows], detector: Detector) -> Iterator[tuple[Rows, Update]]:
    """Fold a whole tape, batch by batch."""
    for rows in tape:
        yield rows, detector.update(rows)


def _save(lane: _Lane) -> _SavedLane:
    return _SavedLane(
        lane.lane.venue,
        lane.lane.symbol,
        lane.head.tobytes(),
        lane.gaps[: lane.head[0]["gaps"]].tobytes(),
        lane.pending,
        [
            _SavedRule(
                armed.rule.name,
                msgspec.json.encode(armed.params),
                [slot.tobytes() + steps.tobytes() for slot, steps in armed.state.open()],
                [armed.state.queues[name] for name in armed.rule.queues],
            )
            for armed in lane.rules
        ],
    )


def _bring_up(saved: _Saved) -> None:
    for lane in saved.lanes:
        for pending in lane.pending:
            pending.slot = _slot_of_2(pending.slot)
        for rule in lane.rules:
            rule.slots = [_slot_of_2(slot) for slot in rule.slots]


def _slot_of_2(saved: bytes) -> bytes:
    slot, old = np.zeros(1, SLOT), np.frombuffer(saved, SLOT_2, 1)
    for name in SLOT_2.names or ():
        slot[name] = old[name]
    slot["peak_left_ts"] = NEVER
    return slot.tobytes() + saved[SLOT_2.itemsize :]


def _unpack(saved: bytes) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Read a slot, shape (1,), and the times of its steps, which stand behind it."""
    return np.frombuffer(saved, SLOT, 1), np.frombuffer(saved, np.int64, offset=SLOT.itemsize)


def _restore(saved: _SavedLane, rules: RuleBook) -> _Lane:
    lane = _Lane(Lane(saved.venue, saved.symbol), rules)
    lane.head = np.frombuffer(saved.head, HEAD).copy()
    gaps = np.frombuffer(saved.gaps, GAP)
    lane.gaps[: len(gaps)] = gaps
    lane.pending = list(saved.pending)
    armed_now = {armed.rule.name: armed for armed in lane.rules}
    for one in saved.rules:
        armed = armed_now.get(one.name)
        if armed is None or msgspec.json.encode(armed.params) != one.params:
            lane.pending += [_Pending(one.name, one.params, slot) for slot in one.slots]
            continue
        for saved_slot in one.slots:
            slot, steps = _unpack(saved_slot)
            side = int(slot[0]["direction"] < 0)
            armed.state.slots[side] = slot[0]
            armed.state.steps[side, : len(steps)] = steps
        armed.state.queues.update(zip(armed.rule.queues, one.queues, strict=True))
    return lane
