"""Rows with any values, of every kind: for what must carry them unchanged."""

import numpy as np
from hypothesis import strategies as st

from tapewatch.model import ROW, Flag, Kind, Lane, Rows

NAMES = st.text(min_size=1, max_size=8)
LANES = st.lists(st.builds(Lane, NAMES, NAMES), min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def any_rows(draw: st.DrawFn, lanes: st.SearchStrategy[tuple[Lane, ...]] = LANES, most: int = 60) -> Rows:
    """Draw rows: whole ranges of every column, by a seed, which is quicker than value by value."""
    names = draw(lanes)
    count = draw(st.integers(0, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    data = np.zeros(count, ROW)
    for name in ("ts", "recv_ts", "trade_id", "sequence", "price", "aux"):
        data[name] = rng.integers(-(2**63), 2**63, count, np.int64) >> rng.integers(0, 63, count)
    data["size"] = rng.choice([0.0, -0.0, 1.5, 5e-324, 1.7e308, float("inf")], count)
    data["lane"] = rng.integers(0, len(names), count)
    data["kind"] = rng.choice(list(Kind), count)
    data["side"] = rng.integers(-1, 2, count)
    data["flags"] = rng.choice([0, Flag.GIVEN_UP, Flag.HISTORY, 2**14], count)
    return Rows(names, data)
