"""The second pass over a lane's rows: trades of one second, which rules may look at together.

In: columns of new rows. Out: where each such piece begins, and which of its trades are the lowest and the highest. A
rule that knows what would fire in a second asks these two, not all of them.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import kernel
from tapewatch.detect.rule import FRESH, TRADE
from tapewatch.detect.window import STRETCH
from tapewatch.model import NS


@kernel
def cut(
    kind: NDArray[np.uint8],
    ts: NDArray[np.int64],
    price: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
) -> int:
    """Cut rows into pieces; return how many there are.

    Parameters
    ----------
    kind, ts, price
        Columns of `Work`.
    first, second, low, high
        Columns of `Pieces`, with room for one more than there are rows.
    """
    count = k = 0
    while k < len(kind):
        now = ts[k] // NS
        behind, last = (now + 1) * NS, min(k + STRETCH, len(kind))
        lowest = highest = first[count] = k
        trade = kind[k] in (TRADE, FRESH)
        k += 1
        while trade and k < last and kind[k] == TRADE and ts[k] < behind:
            if price[k] <= price[lowest]:
                lowest = k
            if price[k] >= price[highest]:
                highest = k
            k += 1
        second[count], low[count], high[count] = now, lowest, highest
        count += 1
    first[count] = k
    return count
