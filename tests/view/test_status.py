import pytest

from support.views import (
    ALL_RULES,
    BTC,
    LINK,
    MARKET_RULES,
    NOW,
    anomaly,
    bars_of,
    clock,
    feed_row,
    looking,
    opened,
    silence,
)
from tapewatch.model import NS
from tapewatch.store.records import Commit, Source
from tapewatch.view.status import Status, Watch, status, watchlist

T = NOW // NS
TAPE = Source("tape", "cascade")


@pytest.fixture
def look(database):
    """Store one commit and tell how it looks so many seconds of the wall clock later."""

    def see(commit: Commit, later_s: float = 0.0, source: Source | None = None) -> Status:
        with looking(database.url, commit, source=source) as conn:
            return status(conn, NOW + round(later_s * NS))

    return see


def test_live(look):
    now = look(
        Commit(clock(latency_p50_ms=61.0), feed=[feed_row(BTC, reconnects=1), feed_row(LINK, reconnects=1)]), 0.5
    )
    assert (now.state, now.reason, now.running) == ("live", "", True)
    assert now.now_ns == now.as_of_ns == NOW + NS // 2
    assert now.age_s == pytest.approx(0.9)
    assert now.latency_p50_ms == 61.0
    assert now.trades == 200
    assert now.reconnects == 1  # both lanes told of the same one
    assert "abs_jump" in now.armed


def test_counters_are_of_all_lanes(look):
    gaps = {"gaps_opened": 8, "gaps_filled": 5, "gaps_given_up": 2, "quarantined": 1, "duplicates": 14}
    now = look(Commit(clock(), feed=[feed_row(BTC, **gaps), feed_row(LINK, gaps_opened=1)], unnamed=3))
    assert (now.gaps_open, now.gaps_filled, now.gaps_given_up) == (2, 5, 2)
    assert (now.quarantined, now.duplicates) == (4, 14)  # three named no lane


def test_nothing_yet(look):
    now = look(Commit(clock()))
    assert (now.state, now.age_s, now.next_try_s) == ("waiting", None, None)
    assert now.reason == "nothing has been captured yet"


def test_connected_without_a_trade(look):
    assert look(Commit(clock(), feed=[feed_row(BTC, state="waiting", last_frame_ts=None)])).state == "waiting"


def test_silent_feed_is_stale(look):
    rows = [feed_row(BTC, last_frame_ts=NOW - 47 * NS), feed_row(LINK, last_frame_ts=NOW - 46 * NS)]
    silences = opened(silence("a", "BTC-USD", ago_s=42), silence("b", "LINK-USD", ago_s=41))
    now = look(Commit(clock(), changes=silences, feed=rows))
    assert (now.state, now.age_s) == ("stale", 46.0)
    assert now.as_of_ns == NOW - 46 * NS
    assert now.reason == "no frame of coinbase since 21:32:02"


@pytest.mark.parametrize(
    ("armed", "silent_s", "open_", "expected"),
    [
        (ALL_RULES, 3, True, "stale"),  # somebody has set a limit below the default …
        (ALL_RULES, 60, False, "live"),  # … or far above it
        (MARKET_RULES, 4, False, "live"),
        (MARKET_RULES, 5, False, "stale"),
    ],
)
def test_the_limit_of_the_rule_says_what_is_stale(look, armed, silent_s, open_, expected):
    changes = opened(silence("a", "BTC-USD", ago_s=1, ended=not open_))
    row = feed_row(BTC, last_frame_ts=NOW - silent_s * NS, armed=armed)
    assert look(Commit(clock(), changes=changes, feed=[row])).state == expected


def test_one_silent_lane_is_named(look):
    rows = [feed_row(BTC, last_frame_ts=NOW - 7 * NS), feed_row(LINK)]
    now = look(Commit(clock(), changes=opened(silence("a", "BTC-USD", ago_s=2)), feed=rows))
    assert now.state == "live"
    assert now.reason == "no frame of BTC-USD since 21:32:41"


def test_reconnecting_says_why_and_when(look):
    lost = {"state": "reconnecting", "reason": "connection closed", "next_try_ts": NOW + 8 * NS, "attempts": 3}
    now = look(Commit(clock(), feed=[feed_row(BTC, **lost), feed_row(LINK, **lost)]))
    assert (now.state, now.reason, now.next_try_s, now.attempts) == ("reconnecting", "connection closed", 8.0, 3)


def test_a_runtime_that_died(look):
    live = Commit(clock(), feed=[feed_row(BTC)])
    assert look(live, 4).state == "live"
    now = look(live, 47)
    assert (now.running, now.state, now.age_s) == (False, "stale", 47.0)
    assert now.now_ns == NOW + 5 * NS
    assert "not running" in now.reason


@pytest.mark.parametrize("word", ["ended", "stopped"])
def test_an_end_is_no_trouble_and_time_stands(look, word):
    now = look(Commit(clock(speed=60.0), feed=[feed_row(BTC, state=word)]), 3_600, TAPE)
    assert now.state == word
    assert now.now_ns == NOW


def test_a_replay_goes_on_at_its_own_speed(look):
    now = look(Commit(clock(speed=60.0), feed=[feed_row(BTC)]), 2, TAPE)
    assert (now.replay, now.state, now.now_ns) == (True, "live", NOW + 120 * NS)
    assert now.age_s == pytest.approx(2 + 0.4 / 60)


def test_as_fast_as_it_goes_counts_as_one(look):
    assert look(Commit(clock(speed=0.0), feed=[feed_row(BTC)]), 2, TAPE).now_ns == NOW + 2 * NS


def test_a_quiet_minute_of_a_tape_is_not_stale(look):
    assert look(Commit(clock(), feed=[feed_row(BTC, last_frame_ts=NOW - 60 * NS)]), 1, TAPE).state == "live"


def test_trades_of_the_last_minute(look):
    seconds = list(range(T - 90, T))
    commit = Commit(
        clock(),
        feed=[feed_row(BTC), feed_row(LINK)],
        bars=[bars_of(lane, 1, seconds, [9.0] * 90) for lane in (BTC, LINK)],
    )
    assert look(commit).trades_per_min == 120


@pytest.fixture
def watch(database):
    def see(commit: Commit) -> list[Watch]:
        with looking(database.url, commit) as conn:
            return watchlist(conn, status(conn, NOW))

    return see


def test_watchlist(watch):
    starts = [T - T % 60 - 60 * i for i in range(70, -1, -1)]  # ten minutes more than an hour
    closes = [20.0 + i / 100 for i in range(71)]
    btc, link = watch(
        Commit(
            clock(),
            changes=opened(anomaly("a", ended=False, severity="low"), anomaly("b", ended=False, severity="medium")),
            bars=[bars_of(LINK, 60, starts, closes)],
            feed=[feed_row(BTC, state="waiting", last_price=None), feed_row(LINK)],
        )
    )
    assert (btc.price, btc.change_percent, btc.spark, btc.worst, btc.decimals) == (None, None, (), None, 2)
    assert link.price == 19.384
    assert link.decimals == 3
    assert (link.worst, link.open_count) == ("medium", 2)
    # The hour begins at 20:32:48, so its first bar is that of 20:33: number 11, which opens at the close of number 10.
    assert link.change_percent == pytest.approx(100 * (19.384 - 20.10) / 20.10)
    assert link.since_ns is None  # a whole hour
    assert link.spark_step_s == 60
    assert link.spark == pytest.approx(closes[11:])


def test_a_young_database_is_drawn_finely(watch):
    starts = list(range(T - 45, T - 5))
    (link,) = watch(
        Commit(
            clock(),
            bars=[bars_of(LINK, 1, starts, [19.0 + i / 10 for i in range(40)]), bars_of(LINK, 60, [T - 48], [22.9])],
            feed=[feed_row(LINK)],
        )
    )
    assert link.spark_step_s == 1
    assert link.since_ns == (T - 45) * NS
    assert link.change_percent == pytest.approx(100 * (19.384 - 22.9) / 22.9)
    assert len(link.spark) == 46
    assert link.spark[:40] == pytest.approx([19.0 + i / 10 for i in range(40)])
    assert set(link.spark[40:]) == {22.9}  # nothing traded since: the price in force


def test_a_minute_without_a_trade_keeps_its_place(watch):
    minute = T - T % 60
    bars = bars_of(LINK, 60, [minute - 3_000, minute - 2_820, minute], [1.0, 2.0, 3.0])
    (link,) = watch(Commit(clock(), bars=[bars], feed=[feed_row(LINK)]))
    assert link.spark[:4] == (1.0, 1.0, 1.0, 2.0)
    assert len(link.spark) == 51


@pytest.mark.parametrize(("minutes", "whole"), [(59, True), (58, False)])
def test_an_hour_is_whole_when_its_first_minute_is_there(watch, minutes, whole):
    start = T - T % 60 - 60 * minutes
    (link,) = watch(Commit(clock(), bars=[bars_of(LINK, 60, [start], [20.0])], feed=[feed_row(LINK)]))
    assert link.since_ns == (None if whole else start * NS)


def test_silent_lanes_show_it(watch):
    (btc,) = watch(
        Commit(
            clock(),
            changes=opened(silence("s", "BTC-USD", ago_s=10)),
            feed=[feed_row(BTC, last_frame_ts=NOW - 15 * NS)],
        )
    )
    assert (btc.state, btc.worst) == ("stale", "high")
