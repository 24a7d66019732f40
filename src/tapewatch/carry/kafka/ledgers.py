"""What each lane's tape has named: rows in, the ledger at any of them out."""

from collections.abc import Mapping

from tapewatch.detect.core import Ledger
from tapewatch.model import Kind, Lane


class Ledgers:
    """What each lane's tape has named: rows in, the ledger at any of them out."""

    def __init__(self, known: Mapping[Lane, Ledger]) -> None:
        self._highest = {lane: ledger.highest_id for lane, ledger in known.items()}
        self._open = {lane: dict(ledger.open_gaps) for lane, ledger in known.items()}
        self._ts = {lane: ledger.ts for lane, ledger in known.items()}

    def take(self, lane: Lane, kind: int, trade_id: int, aux: int, ts: int) -> None:
        """Note one row, in the order of its lane."""
        if kind == Kind.TRADE:
            self._highest[lane] = max(self._highest.get(lane, -1), trade_id)
            self._ts[lane] = max(self._ts.get(lane, 0), ts)
        elif kind == Kind.EPOCH:
            self._highest[lane] = max(self._highest.get(lane, -1), trade_id - 1)
            self._open.pop(lane, None)
        elif kind == Kind.GAP:
            self._highest[lane] = max(self._highest.get(lane, -1), aux)
            self._open.setdefault(lane, {})[trade_id] = aux
        elif kind == Kind.FILLED:
            self._open.get(lane, {}).pop(trade_id, None)

    def put(self, lane: Lane, ledger: Ledger) -> None:
        """Take a lane's ledger as it was told."""
        self._highest[lane] = ledger.highest_id
        self._open[lane] = dict(ledger.open_gaps)
        self._ts[lane] = ledger.ts

    def of(self, lane: Lane) -> Ledger:
        """Tell a lane's ledger."""
        gaps = tuple(sorted(self._open.get(lane, {}).items()))
        return Ledger(self._highest.get(lane, -1), gaps, self._ts.get(lane, 0))

    def all(self) -> dict[Lane, Ledger]:
        """Tell every lane's ledger."""
        return {lane: self.of(lane) for lane in self._highest}
