"""Many rows at once are stored as each by itself would be, on either database."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.databases import Database
from support.records import anomaly, bars_of, change
from tapewatch.model import Lane
from tapewatch.store import bulk
from tapewatch.store.records import Clock, Commit
from tapewatch.store.sql import Store

NOW = Clock(now_ts=10, wall_ts=20)
LANES = (Lane("coinbase", "BTC-USD"), Lane("coinbase", "ÄTH\\-USD\n"))
TABLES = {"anomalies": "id", "changes": "seq", "bars": "venue, symbol, width, ts"}

found = st.tuples(
    st.integers(0, 30),
    st.sampled_from(LANES),
    st.floats(allow_nan=False, width=64),
    st.sampled_from(["plain", 'tab\tand "quotes"', "back\\slash\\N\n", "", "√2 ≈ 1.41"]),
    st.none() | st.integers(-(2**63), 2**63 - 1),
)
trades = st.tuples(st.integers(0, 1), st.integers(0, 130), st.integers(1, 50), st.integers(0, 64).map(lambda n: n / 16))
commits = st.lists(st.tuples(st.lists(found, max_size=12), st.lists(trades, max_size=12)), min_size=1, max_size=4)


def stored(database: Database, told: list, copy_min: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    place = database.another()
    store = Store.open(place.url)
    with monkeypatch.context() as patched:
        patched.setattr(bulk, "COPY_MIN", copy_min)
        for records, tape in told:
            changes = [
                change(number, anomaly(number, lane, observed=value, explain=words, trade_id=trade_id))
                for number, lane, value, words, trade_id in records
            ]
            numbered = [(lane, second, number, price, size) for number, (lane, second, price, size) in enumerate(tape)]
            bars = [bars_of(numbered[start::2], LANES) for start in (0, 1)]  # the same buckets twice
            store.commit(Commit(NOW, changes=changes, bars=bars))
    store.close()
    log = "venue, symbol, ordinal, anomaly_id, change, at, record"
    return {
        table: place.rows(f"SELECT {log if table == 'changes' else '*'} FROM {table} ORDER BY {order}")  # noqa: S608
        for table, order in TABLES.items()
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=commits)
def test_copied_or_one_by_one(database: Database, monkeypatch: pytest.MonkeyPatch, told: list) -> None:
    one_by_one = stored(database, told, 1_000_000, monkeypatch)
    assert stored(database, told, 1, monkeypatch) == one_by_one
