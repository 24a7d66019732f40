"""Pages of the recent past, with the venue's cursors and its quirk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model import NS
from tapewatch.simulate.history import History
from tapewatch.simulate.market import PRINT, Block
from tapewatch.simulate.products import choose

PRODUCTS = choose(["BTC-USD", "ETH-USD"])


def block(second: int, ids: range) -> Block:
    """Make a second of BTC-USD with evenly spaced trades, and silence on ETH-USD."""
    prints = np.zeros(len(ids), dtype=PRINT)
    prints["trade_id"] = list(ids)
    prints["ts"] = second * NS + np.arange(len(ids)) * (NS // max(len(ids), 1))
    return Block(second * NS, prints, (prints, np.empty(0, PRINT)), frozenset(), ())


def history(sizes: list[int], limit: int = 1000, first: int = 101) -> History:
    kept = History(PRODUCTS, limit)
    for second, size in enumerate(sizes):
        kept.add(block(second, range(first, first + size)))
        first += size
    return kept


def ids(kept: History, until_ns: int = 1000 * NS, **query: int) -> list[int]:
    return kept.page("BTC-USD", until_ns, **query)["trade_id"].tolist()


def test_newest_first() -> None:
    assert ids(history([3, 0, 2])) == [105, 104, 103, 102, 101]
    assert ids(history([3, 0, 2]), limit=3) == [105, 104, 103]


def test_before_gives_the_newest_above_and_not_those_just_above() -> None:
    assert ids(history([5, 5]), before=102, limit=3) == [110, 109, 108]
    assert ids(history([5, 5]), before=107) == [110, 109, 108]
    assert ids(history([5, 5]), before=110) == []


def test_after_gives_the_newest_below() -> None:
    assert ids(history([5, 5]), after=107, limit=3) == [106, 105, 104]
    assert ids(history([5, 5]), after=101) == []
    assert ids(history([5, 5]), after=999, limit=2) == [110, 109]
    assert ids(history([5, 5]), after=108, before=103) == [107, 106, 105, 104]


def test_what_has_not_happened_yet_is_not_shown() -> None:
    kept = history([4, 4])
    assert ids(kept, until_ns=NS + NS // 2) == [107, 106, 105, 104, 103, 102, 101]
    assert kept.last("BTC-USD", NS // 4)["trade_id"].tolist() == [102]
    assert kept.last("BTC-USD", -1)["trade_id"].tolist() == []


def test_a_product_that_never_traded_has_an_empty_page() -> None:
    assert history([4]).page("ETH-USD", 10 * NS).tolist() == []
    assert history([4]).last("ETH-USD", 10 * NS).tolist() == []


def test_memory_is_bounded_and_the_limit_is_kept() -> None:
    kept = history([7] * 100, limit=50)
    assert ids(kept)[:50] == list(range(800, 750, -1))
    assert 50 <= len(ids(kept)) < 57


@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    query=st.fixed_dictionaries(
        {"limit": st.integers(1, 20)},
        optional={"before": st.integers(95, 180), "after": st.integers(95, 180)},
    ),
    until=st.integers(-1, 12),
)
def test_pages_equal_a_plain_search(sizes: list[int], query: dict[str, int], until: int) -> None:
    kept = history(sizes)
    happened: list[int] = []
    first = 101
    for second, size in enumerate(sizes):
        happened += [first + n for n in range(size) if second * NS + n * (NS // max(size, 1)) <= until * NS]
        first += size
    wanted = [n for n in happened if query.get("before", 0) < n < query.get("after", 10**9)]
    assert ids(kept, until * NS, **query) == wanted[::-1][: query["limit"]]


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_walking_down_with_after_meets_every_trade_once(limit: int) -> None:
    kept = history([5, 0, 8, 2])
    seen: list[int] = []
    page = ids(kept, limit=limit)
    while page:
        seen += page
        page = ids(kept, limit=limit, after=page[-1])
    assert seen == list(range(115, 100, -1))
