"""Which ids can be a lane's: trades whose id wants a heartbeat's word wait here, and a new numbering is recognised.

Sans-I/O. Ids are the venue's as they come; `named` raises them to those of the tape, which rise for ever.
"""

from collections import deque
from typing import Final, NamedTuple

from tapewatch.model import NS, NUMBERING, RowTuple

LEAP_MAX = 10**9
"""Farther than this above the highest id an id is not of this numbering: the busiest product needs years for so many
trades."""

UNSAID_LEAP_MAX = 100
"""Farther than this above the highest id a trade's id is believed when a heartbeat has named it: one frame with a wrong
id would open a gap in which all good trades that follow are too late."""

NAMED_LEAP_MAX = 10_000
"""Farther than this above the highest id a heartbeat's id is believed when a trade agrees with it."""

WORD_WAIT_NS = 3 * NS
"""How long a trade waits for a heartbeat that confirms its id: three of them."""

WAITING_MAX = 10_000
"""Trades of a lane that wait so at once."""

NEAR_MAX = 1_000
"""A heartbeat confirms a new numbering when it is at most so far from the newest trade of it."""

EPOCH_BEATS = 2
"""Heartbeats in a row that must confirm a new numbering."""

NEVER_NS = 2**63 - 1

TRADE_ID: Final = 2  # positions in a RowTuple
RECV_TS: Final = 1


class Waiting(NamedTuple):
    """A trade that waits for a heartbeat: its row with the venue's id, its frame, and until when."""

    row: RowTuple
    raw: str
    until_ns: int


class Numbering:
    """One lane's numbering.

    Parameters
    ----------
    highest_id
        Of the tape, -1 where it names none.

    Attributes
    ----------
    base
        What raises the venue's ids to those of the tape.
    said_id
        Id by the last heartbeat, believed or not; -1 before the first.
    """

    def __init__(self, highest_id: int) -> None:
        self.base = max(0, highest_id) // NUMBERING * NUMBERING
        self.said_id = -1
        self._waiting: deque[Waiting] = deque()
        self._beats = 0  # that confirmed a new numbering, in a row
        self._beaten_id = -1  # the highest id then: what rises meanwhile is of the present numbering

    def named(self, trade_id: int) -> int:
        """Give the tape's id for the venue's."""
        return self.base + trade_id

    @property
    def due_ns(self) -> int:
        """When the first of those that wait has waited in vain."""
        return self._waiting[0].until_ns if self._waiting else NEVER_NS

    def believes(self, trade_id: int, highest_id: int) -> bool:
        """Whether a trade's id can be of this numbering: not far above the highest, or named by the last heartbeat."""
        named = self.named(trade_id)
        if highest_id < 0 or named - highest_id <= UNSAID_LEAP_MAX:
            return True
        return named - highest_id <= LEAP_MAX and -UNSAID_LEAP_MAX <= self.said_id - named <= NAMED_LEAP_MAX

    def believes_beat(self, last_trade_id: int, highest_id: int) -> bool:
        """Whether a heartbeat's id can be: far above the highest a trade that waits must agree."""
        named = self.named(last_trade_id)
        if highest_id < 0 or named - highest_id <= NAMED_LEAP_MAX:
            return True
        ahead = [named + UNSAID_LEAP_MAX - self.named(one.row[TRADE_ID]) for one in self._waiting]
        near = any(0 <= each <= NAMED_LEAP_MAX for each in ahead)
        return near and (named - highest_id <= LEAP_MAX or self._is_new(named, highest_id))

    def wait(self, row: RowTuple, raw: str) -> list[Waiting]:
        """Let a trade wait; return one that must make room for it."""
        given_up = [self._waiting.popleft()] if len(self._waiting) == WAITING_MAX else []
        self._waiting.append(Waiting(row, raw, row[RECV_TS] + WORD_WAIT_NS))
        return given_up

    def given_up(self, now_ns: int) -> list[Waiting]:
        """Take out what has waited in vain until now."""
        found = []
        while self._waiting and self._waiting[0].until_ns <= now_ns:
            found.append(self._waiting.popleft())
        return found

    def confirmed(self, highest_id: int) -> tuple[bool, list[Waiting]]:
        """Take out the trades that the last heartbeat confirms; tell whether they are of a new numbering.

        That is begun with this call: `base` rises.
        """
        if not self._waiting:
            return False, []
        if self._is_new(self.said_id, highest_id):
            self._beats = self._beats + 1 if highest_id == self._beaten_id else 1
            self._beaten_id = highest_id
            if self._beats < EPOCH_BEATS:
                return False, []
            found = sorted(self._waiting, key=lambda one: one.row[TRADE_ID])
            self._waiting.clear()
            self.base, self.said_id, self._beats = self.base + NUMBERING, self.said_id + NUMBERING, 0
            return True, found
        self._beats = 0
        waiting, self._waiting = self._waiting, deque()
        found = []
        for one in waiting:
            trade_id = one.row[TRADE_ID]
            sure = self.named(trade_id) > highest_id and self.believes(trade_id, highest_id)
            (found if sure else self._waiting).append(one)
        return False, found

    def _is_new(self, said_id: int, highest_id: int) -> bool:
        # Whether a heartbeat and the youngest trade that waits agree, on ids that the present numbering cannot have.
        newest = self.named(self._waiting[-1].row[TRADE_ID])
        foreign = all(one - highest_id > LEAP_MAX for one in (said_id, newest)) or (
            said_id < highest_id and newest <= highest_id
        )
        return foreign and -NEAR_MAX <= said_id - newest <= NEAR_MAX
