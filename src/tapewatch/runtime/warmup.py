"""Kernels are compiled, or read from their cache, before the first row comes; then none has to wait for it."""

from tapewatch.detect.bars import fold
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RULES, RuleBook
from tapewatch.model import NS, PRICE_SCALE, Kind, Lane, Rows, RowTuple

_LANES = (Lane("nowhere", "BTC-USD"), Lane("nowhere", "ETH-USD"))  # on the first one every rule is armed


def warm_up() -> None:
    """Detect on a few rows of every kind."""
    start, price = 1_000_000_000 * NS, 100_000 * PRICE_SCALE

    def row(kind: Kind, second: int, first: int, aux: int = 0, lane: int = 0) -> RowTuple:
        ts = start + second * NS
        traded = price if kind in (Kind.TRADE, Kind.LATE) else 0
        return (ts, ts, first, 0, traded, 1.0, aux, lane, int(kind), 1, 0)

    rows = Rows.of(
        _LANES,
        [
            *(row(Kind.TRADE, second, second + 1, lane=lane) for second in range(3) for lane in (0, 1)),
            row(Kind.GAP, 3, 4, aux=5),
            row(Kind.LATE, 4, 4),
            row(Kind.FILLED, 4, 4, aux=5),
            row(Kind.CLOCK, 20, 0, aux=start),
        ],
    )
    detector = Detector(RuleBook.default())
    assert len(detector.armed(_LANES[0])) == len(RULES), "every rule is armed, so that every kernel is compiled"
    fold(rows, detector.update(rows).new)
    Detector.restore(RuleBook.default(), detector.snapshot())
