"""Short words for rows of one lane, and a checker of whole tapes that shares no code with the ledger."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tapewatch.model import Flag, Kind, RowTuple


class Left(NamedTuple):
    """What a tape says about its lane when it ends: what a restart knows. No trade is younger than its last one."""

    highest_id: int
    open_gaps: tuple[tuple[int, int], ...]
    ts: int = 2**63 - 1


def trade(trade_id: int, at_ns: int, ts: int | None = None) -> RowTuple:
    """Make a trade as the protocol hands it to the ledger; by itself it happened 1 ns before it came."""
    return (at_ns - 1 if ts is None else ts, at_ns, trade_id, 7 * trade_id, 10**10, 0.5, 0, 0, int(Kind.TRADE), 1, 0)


def words(rows: Iterable[RowTuple]) -> list[str]:
    """Spell rows out: ``TRADE 7``, ``GAP 8-9``, ``LATE 8``, ``FILLED 8-9``, ``GIVEN_UP 8-9``, ``CLOCK``."""
    return [_word(row) for row in rows]


def _word(row: RowTuple) -> str:
    kind, flags = Kind(row[8]), Flag(row[10])
    if kind is Kind.CLOCK:
        return "CLOCK"
    if kind in (Kind.TRADE, Kind.LATE, Kind.EPOCH):
        return f"{kind.name} {row[2]}"
    return f"{'GIVEN_UP' if Flag.GIVEN_UP in flags else kind.name} {row[2]}-{row[6]}"


class Tape:
    """Reads a tape row by row and objects to whatever the rules forbid.

    Attributes
    ----------
    told
        Ids that went out as ``TRADE`` or ``LATE``.
    gapped
        Ids that a ``GAP`` has named.
    """

    def __init__(self) -> None:
        self.highest_id = -1
        self.open: list[tuple[int, int]] = []
        self.told: set[int] = set()
        self.gapped: set[int] = set()
        self._late: list[int] = []

    def left(self) -> Left:
        """Tell what a restart would know."""
        return Left(self.highest_id, tuple(self.open))

    def read(self, rows: Sequence[RowTuple], bad: set[int], *, restarted: bool = False) -> None:
        """Take rows; `bad` are the ids that went to quarantine so far."""
        for row in rows:
            kind, first, last = Kind(row[8]), row[2], row[6]
            assert kind in (Kind.LATE, Kind.FILLED) or not self._late, "FILLED follows its LATE rows at once"
            if kind is Kind.TRADE:
                self._trade(first, bad)
            elif kind is Kind.GAP:
                self._gap(first, last, bad)
            elif kind is Kind.LATE:
                assert not self._late or first > self._late[-1], "LATE rows ascend"
                self._late.append(first)
            elif kind is Kind.FILLED:
                self._filled(first, last, bad, given_up=bool(row[10] & Flag.GIVEN_UP), restarted=restarted)
        assert not self._late, "no call ends between LATE and FILLED"

    def _trade(self, trade_id: int, bad: set[int]) -> None:
        assert trade_id > self.highest_id, "ids of TRADE ascend above everything named"
        if self.highest_id >= 0:
            skipped = set(range(self.highest_id + 1, trade_id))
            assert skipped <= bad, f"{skipped - bad} were skipped without a GAP"
        self.highest_id = trade_id
        self.told.add(trade_id)

    def _gap(self, first: int, last: int, bad: set[int]) -> None:
        assert first <= last, "a gap misses at least one id"
        assert self.highest_id >= 0, "a virgin lane has no gap"
        skipped = set(range(self.highest_id + 1, first))
        assert skipped <= bad, f"{skipped - bad} were skipped without a GAP"
        self.open.append((first, last))
        assert len(self.open) <= 64, "at most 64 gaps are open"
        self.gapped |= set(range(first, last + 1))
        self.highest_id = last

    def _filled(self, first: int, last: int, bad: set[int], *, given_up: bool, restarted: bool) -> None:
        assert (first, last) in self.open, "only an open gap is closed"
        self.open.remove((first, last))
        inside = set(range(first, last + 1))
        late, self._late = set(self._late), []
        assert late <= inside, "LATE rows belong to the gap that closes"
        assert not late & self.told, "no trade is told twice"
        self.told |= late
        missing = inside - late - bad
        assert given_up or not missing, f"{missing} are missing in a gap that says it is filled"
        assert restarted or not given_up or missing, "a gap that is complete is not given up"
