import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.plans import of_sqlite, plans
from support.views import BTC, LINK, NOW, SOME, anomaly, bars_of, build, clock, feed_row, looking, opened, silence
from tapewatch.model import NS, Anomaly, Lane
from tapewatch.store import log
from tapewatch.store.bars import CHART, fold, read_bars
from tapewatch.store.records import Commit, Source
from tapewatch.store.schema import anomalies as anomalies_table
from tapewatch.view import queries
from tapewatch.view.queries import Filter
from tapewatch.view.status import status, watchlist

T = NOW // NS - NOW // NS % 300  # a round five minutes, in seconds


@pytest.fixture
def conn(database):
    reader = build(
        database.url,
        Commit(
            clock(),
            changes=opened(*SOME),
            bars=[
                bars_of(LINK, 10, [T, T + 10, T + 20, T + 60], [19.0, 20.0, 18.0, 18.5]),
                bars_of(LINK, 60, [T, T + 60, T + 300], [18.0, 18.5, 19.384]),
                bars_of(BTC, 10, [T], [114_210.0]),
            ],
            feed=[feed_row(BTC), feed_row(LINK)],
        ),
    )
    with reader.connect() as connection:
        yield connection
    reader.close()


def ids(found: list[Anomaly]) -> list[str]:
    return [each.id for each in found]


def test_a_row_comes_back_as_it_was(conn):
    assert log.anomaly(conn, "high-down") == SOME[0]
    assert log.anomaly(conn, "silent") == SOME[5]
    assert log.anomaly(conn, "no such") is None


def test_table_and_record_have_the_same_fields():
    assert [column.name for column in anomalies_table.columns] == list(Anomaly.__struct_fields__)


def test_newest_first_and_what_is_open_whatever_its_age(conn):
    listed = ids(queries.anomalies(conn, Filter(recency_s=3_600), NOW, limit=10))
    assert listed == ["silent", "high-down", "medium-up", "low-btc", "still-open"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(severities=("high",)), {"silent", "high-down"}),
        (Filter(severities=("medium", "low")), {"medium-up", "low-btc", "still-open"}),
        (Filter(rules=("vol_breakout",)), {"medium-up", "still-open"}),
        (Filter(directions=("up",)), {"medium-up"}),
        (Filter(directions=("up", "down")), {"high-down", "medium-up", "low-btc", "still-open"}),
        (Filter(symbols=("BTC-USD",)), {"silent", "low-btc"}),
        (Filter(recency_s=300), {"silent", "high-down", "medium-up", "still-open"}),
        (Filter(recency_s=86_400), {each.id for each in SOME}),
        (Filter(recency_s=None), {each.id for each in SOME}),
        (Filter(severities=("low",), directions=("up",)), set()),
    ],
)
def test_filter(conn, wanted, expected):
    assert set(ids(queries.anomalies(conn, wanted, NOW, limit=10))) == expected
    assert queries.counts(conn, wanted, NOW).total == len(expected)


@given(
    st.builds(
        Filter,
        severities=st.lists(st.sampled_from(["high", "medium", "low"]), unique=True).map(tuple),
        rules=st.lists(st.sampled_from(["pct_spike", "vol_breakout", "silent_feed"]), unique=True).map(tuple),
        directions=st.lists(st.sampled_from(["up", "down"]), unique=True).map(tuple),
        symbols=st.lists(st.sampled_from(["BTC-USD", "LINK-USD"]), unique=True).map(tuple),
        recency_s=st.sampled_from([None, 60, 119, 120, 121, 86_400]),
        min_size=st.sampled_from([0.0, 2.0, 3.0, 8.0, 11.2, 12.0]),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_list_its_count_and_the_filter_agree(conn, wanted):
    expected = {each.id for each in SOME if wanted.matches(each, NOW)}
    assert set(ids(queries.anomalies(conn, wanted, NOW, limit=100))) == expected
    assert queries.counts(conn, wanted, NOW).total == len(expected)


SIZED = (
    anomaly("small", ago_s=10, size=1.2),
    anomaly("old-and-large", ago_s=3_500, size=30.0),
    anomaly("middle", ago_s=20, size=4.0, severity="low", rule="mean_reversion_break"),
    anomaly("open", ago_s=4_000, size=9.0, ended=False),
    silence("silent", "LINK-USD", ago_s=5),
)


def test_the_largest_come_first_and_a_feed_s_last(database):
    with looking(database.url, Commit(clock(), changes=opened(*SIZED))) as conn:
        everything = queries.largest(conn, Filter(), NOW, limit=10)
        assert ids(everything) == ["old-and-large", "open", "middle", "small", "silent"]
        assert ids(queries.largest(conn, Filter(), NOW, limit=2)) == ["old-and-large", "open"]


@pytest.mark.parametrize(("least", "listed"), [(2.0, 3), (4.0, 3), (8.0, 2), (31.0, 0)])
def test_a_size_is_a_filter_and_a_feed_has_none(database, least, listed):
    with looking(database.url, Commit(clock(), changes=opened(*SIZED))) as conn:
        wanted = Filter(min_size=least)
        assert len(queries.anomalies(conn, wanted, NOW, limit=10)) == listed
        assert {each.id for each in SIZED if wanted.matches(each, NOW)} == set(
            ids(queries.anomalies(conn, wanted, NOW, limit=10))
        )
        assert queries.counts(conn, wanted, NOW).total == listed


def test_how_many_are_so_large_is_counted_by_severity_whatever_size_is_chosen(database):
    with looking(database.url, Commit(clock(), changes=opened(*SIZED))) as conn:
        for least in (0.0, 8.0):
            sizes = queries.counts(conn, Filter(min_size=least), NOW).sizes
            assert sizes == {"high": (2, 2, 2), "medium": (0, 0, 0), "low": (1, 1, 0)}


def test_an_hour_lists_what_opened_in_it_and_nothing_that_was_open_before(database):
    end = NOW - 1_800 * NS
    wanted = Filter(recency_s=3_600, until_ns=end)
    with looking(database.url, Commit(clock(), changes=opened(*SIZED))) as conn:
        assert ids(queries.anomalies(conn, wanted, NOW, limit=10)) == ["old-and-large", "open"]
        before = Filter(recency_s=1_800, until_ns=end)
        assert ids(queries.anomalies(conn, before, NOW, limit=10)) == ["old-and-large"]
        assert [each.id for each in SIZED if before.matches(each, NOW)] == ["old-and-large"]


def test_pages_are_disjoint_and_complete(conn):
    wanted, pages, before = Filter(recency_s=None), [], None
    while page := queries.anomalies(conn, wanted, NOW, limit=2, before=before):
        pages += page
        before = (page[-1].opened_ts, page[-1].id)
    assert ids(pages) == ids(queries.anomalies(conn, wanted, NOW, limit=100))
    assert len(pages) == len(SOME)


def test_pages_of_anomalies_that_opened_at_the_same_time(database):
    same = [anomaly(name) for name in "abcde"]
    with looking(database.url, Commit(clock(), changes=opened(*same))) as conn:
        first = queries.anomalies(conn, Filter(), NOW, limit=3)
        rest = queries.anomalies(conn, Filter(), NOW, limit=3, before=(first[-1].opened_ts, first[-1].id))
    assert ids(first) + ids(rest) == ["e", "d", "c", "b", "a"]


def test_open_ones(conn):
    assert ids(queries.open_anomalies(conn)) == ["silent", "high-down", "still-open"]


def test_between_holds_what_reaches_into_the_span(conn):
    lane = Lane("coinbase", "LINK-USD")
    assert set(ids(queries.between(conn, lane, NOW - 100 * NS, NOW))) == {"high-down", "medium-up", "still-open"}
    # "medium-up" held from 120 s to 90 s ago.
    assert set(ids(queries.between(conn, lane, NOW - 80 * NS, NOW))) == {"high-down", "still-open"}


def test_distributions_leave_out_their_own_choice(conn):
    found = queries.counts(conn, Filter(severities=("high",), directions=("down",), recency_s=3_600), NOW)
    assert found.total == 1
    assert found.severities == {"high": 1, "medium": 1, "low": 1}  # all that went down: still-open is the medium one
    assert found.directions == {"up": 0, "down": 1}  # high ones with a direction
    assert found.rules["pct_spike"] == 1
    assert found.rules["silent_feed"] == 0  # it has no direction
    assert found.rules["abs_jump"] == 0


def test_histogram_has_every_step(conn):
    steps = queries.histogram(conn, Filter(), NOW - 180 * NS, NOW, step_s=60)
    assert steps["time"].tolist() == [T - 60, T, T + 60, T + 120]  # NOW is T + 168
    assert steps["high"].sum() == 2
    assert steps["medium"].sum() == 1
    row = steps[steps["medium"] > 0][0]
    assert row["time"] <= (NOW - 120 * NS) / NS < row["time"] + 60


def test_bars_in_the_quote_currency(conn):
    found = read_bars(conn, LINK, 10)
    assert found["time"].tolist() == [T, T + 10, T + 20, T + 60]
    assert found["close"].tolist() == [19.0, 20.0, 18.0, 18.5]
    assert list(found[1].item())[:7] == [T + 10, 19.0, 20.0, 19.0, 20.0, 2.0, 1.0]
    assert np.diff(found["first_id"]).tolist() == np.diff(found["last_id"]).tolist() == [1.0, 1.0, 1.0]


def test_bars_of_other_widths_are_folded(conn):
    thirty = read_bars(conn, LINK, 30)
    assert [bar[:7] for bar in thirty.tolist()] == [
        (T, 19.0, 20.0, 18.0, 18.0, 6.0, 3.0),
        (T + 60, 18.0, 18.5, 18.0, 18.5, 2.0, 1.0),
    ]
    assert (thirty["last_id"] - thirty["first_id"]).tolist() == [2.0, 0.0]
    five_minutes = read_bars(conn, LINK, 300)
    assert [bar[:7] for bar in five_minutes.tolist()] == [
        (T, 18.0, 18.5, 18.0, 18.5, 4.0, 2.0),
        (T + 300, 18.5, 19.384, 18.5, 19.384, 2.0, 1.0),
    ]


def test_bars_within_a_span_and_the_newest_of_them(conn):
    span = read_bars(conn, LINK, 10, start_ns=(T + 10) * NS, end_ns=(T + 60) * NS)
    assert span["time"].tolist() == [T + 10, T + 20]
    assert read_bars(conn, LINK, 10, limit=2)["time"].tolist() == [T + 20, T + 60]
    assert read_bars(conn, LINK, 30, limit=1)["time"].tolist() == [T + 60]
    assert len(read_bars(conn, Lane("coinbase", "DOGE-USD"), 60)) == 0


def test_a_wide_bar_that_the_span_cuts_is_whole(conn):
    assert read_bars(conn, LINK, 30, start_ns=(T + 25) * NS)["high"].tolist() == [20.0, 18.5]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(0.01, 1e5)), min_size=1, unique_by=lambda pair: pair[0]),
    st.sampled_from([2, 7, 30, 300]),
)
def test_folding_is_what_a_reader_would_do_by_hand(pairs, width):
    pairs.sort()
    narrow = np.array([(t, p, p + 1, p / 2, p, 1.5, 2, 10 * t, 10 * t + 1) for t, p in pairs], dtype=CHART)
    wide = fold(narrow, width)
    by_hand: dict[int, list[float]] = {}
    for t, p in pairs:
        by_hand.setdefault(t // width * width, []).append(p)
    assert wide["time"].tolist() == list(by_hand)
    for bar, prices in zip(wide, by_hand.values(), strict=True):
        assert (bar["open"], bar["close"]) == (prices[0], prices[-1])
        assert (bar["high"], bar["low"]) == (max(prices) + 1, min(prices) / 2)
        assert (bar["volume"], bar["count"]) == (1.5 * len(prices), 2 * len(prices))
        times = [t for t, _ in pairs if t // width * width == bar["time"]]
        assert (bar["first_id"], bar["last_id"]) == (10 * times[0], 10 * times[-1] + 1)


def test_tail_tells_each_change_and_touched_bar_once(database):
    first = Commit(clock(), changes=opened(SOME[0]), bars=[bars_of(LINK, 1, [T, T + 1], [19.0, 20.0])])
    again = Commit(clock(), changes=opened(SOME[1]), bars=[bars_of(LINK, 1, [T + 1, T + 2], [20.0, 21.0])])
    with looking(database.url, first) as conn:
        start = queries.tail(conn, 0, 0)
    assert [change.anomaly_id for change in start.changes] == ["high-down"]
    assert [(bar.symbol, bar.width, bar.bar[0]) for bar in start.bars] == [("LINK-USD", 1, T), ("LINK-USD", 1, T + 1)]
    with looking(database.url, again) as conn:
        news = queries.tail(conn, start.seq, start.revision)
        assert [change.anomaly_id for change in news.changes] == ["medium-up"]
        assert [bar.bar[:7] for bar in news.bars] == [
            (T + 1, 19.0, 20.0, 19.0, 20.0, 4.0, 2.0),  # as it stands, with what was there before
            (T + 2, 20.0, 21.0, 20.0, 21.0, 2.0, 1.0),
        ]
        nothing = queries.tail(conn, news.seq, news.revision)
        assert (nothing.changes, nothing.bars) == ([], [])
        assert (nothing.seq, nothing.revision) == (news.seq, news.revision) == queries.ends(conn)


def test_tail_says_when_too_much_has_happened(conn):
    behind = queries.tail(conn, 0, 0, limit=3)
    assert not behind.complete
    assert (behind.changes, behind.bars) == ([], [])
    assert (behind.seq, behind.revision) == queries.ends(conn) == (6, 1)
    assert queries.tail(conn, 0, 0, limit=8).complete


def test_empty_database(database):
    with looking(database.url) as conn:
        assert queries.anomalies(conn, Filter(), NOW, limit=10) == []
        assert queries.tail(conn, 0, 0) == queries.Tail([], [], 0, 0)
        assert queries.counts(conn, Filter(), NOW).total == 0
        assert len(read_bars(conn, BTC, 300)) == 0
        assert watchlist(conn, status(conn, NOW)) == []


LIVE = {
    "status": lambda conn: status(conn, NOW),
    "watchlist": lambda conn: watchlist(conn, status(conn, NOW)),
    "anomalies": lambda conn: queries.anomalies(
        conn, Filter(severities=("high", "low"), rules=("pct_spike",)), NOW, 200
    ),
    "page": lambda conn: queries.anomalies(conn, Filter(), NOW, 200, before=(NOW, "x")),
    "symbol": lambda conn: queries.anomalies(conn, Filter(symbols=("LINK-USD",)), NOW, 200),
    "open": queries.open_anomalies,
    "one": lambda conn: log.anomaly(conn, "a"),
    "open before": lambda conn: queries.anomalies(conn, Filter(severities=("high",), symbols=("LINK-USD",)), NOW, 200),
    "counts of a symbol": lambda conn: queries.counts(conn, Filter(symbols=("LINK-USD",)), NOW),
    "between": lambda conn: queries.between(conn, LINK, NOW - 3_600 * NS, NOW),
    "bars": lambda conn: read_bars(conn, LINK, 30, start_ns=NOW - 3_600 * NS, end_ns=NOW),
    "newest bars": lambda conn: read_bars(conn, LINK, 1, limit=100),
    "counts": lambda conn: queries.counts(conn, Filter(), NOW),
    "histogram": lambda conn: queries.histogram(conn, Filter(), NOW - 86_400 * NS, NOW),
    "tail": lambda conn: queries.tail(conn, 3, 1),
    "ends": queries.ends,
}


@of_sqlite
@pytest.mark.parametrize("name", LIVE)
def test_no_live_query_reads_a_whole_table(conn, name):
    for statement, step in plans(conn, lambda: LIVE[name](conn)):
        for table in ("anomalies", "bars", "changes", "quarantine"):
            assert not step.startswith(f"SCAN {table}"), f"{step} in {statement}"
        # What grows for ever is entered by its newer end, by what is open, or by one row's name.
        if step.startswith("SEARCH anomalies"):
            assert any(part in step for part in ("opened_ts>", "ended_ts=", "(id=")), f"{step} in {statement}"


@of_sqlite
def test_the_check_of_plans_notices_a_full_scan(conn):
    careless = plans(conn, lambda: conn.exec_driver_sql("SELECT * FROM anomalies WHERE triggers > 3").all())
    assert any(step.startswith("SCAN anomalies") for _, step in careless)


def test_place_moves_with_each_commit_and_belongs_to_one_database(database):
    first = build(database.url, Commit(clock(), changes=opened(*SOME)))
    with first.connect() as conn:
        before = queries.place(conn)
    assert (before.revision, before.seq) == (1, len(SOME))
    other = build(database.another().url, Commit(clock()), source=Source("simulated", seed=7))
    with other.connect() as conn:
        assert queries.place(conn).epoch != before.epoch
        assert queries.place(conn).seq == 0
    first.close()
    other.close()
