import pytest

from support.views import BTC, LINK, MARKET_RULES, NOW, anomaly, build, clock, feed_row, silence
from tapewatch.model import NS
from tapewatch.store.records import Commit, Source
from tapewatch.view.status import status
from tapewatch.view.verdict import feed_words, grouped, source_words, verdict, verdict_words

SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")


@pytest.fixture
def now(tmp_path):
    """Make the status of one commit, so many seconds later."""

    def see(*feed, later_s=0.0, source=None, **fields):
        with build(tmp_path / "x.db", Commit(clock(**fields), feed=feed), source=source).connect() as conn:
            return status(conn, NOW + round(later_s * NS))

    return see


def test_one_silence_is_one_entry():
    silences = [silence(f"s{i}", symbol, ago_s=47 - i, seconds=50 + i) for i, symbol in enumerate(SYMBOLS)]
    (entry,) = grouped(reversed(silences))
    assert entry.id == "s0"  # the first to open, so the row stays itself while others join
    assert entry.anomaly.symbol == "3 symbols"
    assert entry.anomaly.peak_observed == 52
    assert entry.anomaly.explain == "no frame from coinbase for 5.0 s, on 3 symbols (limit 5 s)"
    assert {each.symbol for each in entry.members} == set(SYMBOLS)


def test_a_silence_is_open_as_long_as_one_lane_is():
    over = silence("a", "BTC-USD", ago_s=47, ended=True)
    open_ = silence("b", "ETH-USD", ago_s=46)
    (entry,) = grouped([over, open_])
    assert entry.anomaly.ended_ts is None
    (entry,) = grouped([over, silence("b", "ETH-USD", ago_s=46, ended=True)])
    assert entry.anomaly.ended_ts == NOW - 46 * NS + 42 * NS


def test_two_silences_are_two_entries():
    apart = [silence("a", "BTC-USD", ago_s=90), silence("b", "ETH-USD", ago_s=47)]
    assert [entry.id for entry in grouped(apart)] == ["b", "a"]
    other = [silence("a", "BTC-USD", ago_s=47), silence("b", "ETH-USD", ago_s=47)]
    other[1] = anomaly("b", ago_s=47, rule="silent_feed", kind="feed", venue="binance")
    assert len(grouped(other)) == 2


def test_everything_else_stays_alone_newest_first():
    entries = grouped([anomaly("old", ago_s=60), anomaly("new", ago_s=10), anomaly("twin", ago_s=10)])
    assert [entry.id for entry in entries] == ["twin", "new", "old"]
    assert all(len(entry.members) == 1 for entry in entries)


def test_worst_is_of_the_worst_severity_and_the_largest_ratio():
    judged = verdict(
        [
            anomaly("low", severity="low", peak_observed=-25.0),
            anomaly("high", peak_observed=-1.0),
            anomaly("higher", peak_observed=2.0, direction="up"),
        ]
    )
    assert judged.worst is not None
    assert judged.worst.id == "higher"
    assert (judged.severity, judged.counts) == ("high", {"high": 2, "medium": 0, "low": 1})


def test_a_silence_counts_once():
    assert verdict(silence(symbol, symbol, ago_s=47) for symbol in SYMBOLS).counts["high"] == 1


def test_words_while_live(now):
    live = now(feed_row(BTC), feed_row(LINK))
    worst = anomaly("a", symbol="ENA-USD", peak_observed=11.06, direction="up")
    assert verdict_words(verdict([worst]), live) == ("Abnormal now", "ENA-USD rose 11.06 %, 44× the limit")
    assert verdict_words(verdict([]), live) == ("Nothing abnormal now", "all 2 symbols within limits")
    silent = [silence("a", "BTC-USD", ago_s=47), silence("b", "LINK-USD", ago_s=47)]
    assert verdict_words(verdict(silent), live)[1] == "coinbase silent for 47 s, 9.4× the limit"


def test_an_old_picture_says_of_when(now):
    stale = now(feed_row(LINK, last_frame_ts=NOW - 47 * NS, armed=MARKET_RULES))
    assert verdict_words(verdict([anomaly("a")]), stale)[0] == "Abnormal at 21:32:01"
    assert verdict_words(verdict([]), stale) == ("Nothing abnormal at 21:32:01", "within its limits")


def test_no_verdict_without_a_trade(now):
    waiting = feed_row(BTC, state="waiting", trades=0)
    assert verdict_words(verdict([]), now(waiting))[0] == "No verdict yet"
    assert verdict_words(verdict([]), now())[0] == "No verdict yet"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("Live", "0.4 s old")),
        ({"last_frame_ts": NOW - 47 * NS, "armed": MARKET_RULES}, ("Stale", "47 s without a frame")),
        ({"state": "reconnecting", "next_try_ts": NOW + 8 * NS, "attempts": 3}, ("Reconnecting", "try 4 in 8 s")),
        ({"state": "reconnecting", "next_try_ts": NOW, "attempts": 0}, ("Reconnecting", "try 1 now")),
        ({"state": "waiting", "trades": 0}, ("Waiting", "no trade yet")),
        ({"state": "stopped"}, ("Stopped", "at 21:32:47")),
    ],
)
def test_feed(now, fields, expected):
    assert feed_words(now(feed_row(BTC, **fields))) == expected


def test_feed_of_a_dead_runtime(now):
    assert feed_words(now(feed_row(BTC), later_s=47)) == ("Stale", "nothing stored for 47 s")


@pytest.mark.parametrize(
    ("source", "badge", "more"),
    [
        (None, "", ""),
        (Source("simulated", seed=7), "Simulated", "No real market: an exchange simulated on this machine, seed 7."),
        (
            Source("simulated", "ws://127.0.0.1:8720"),
            "Simulated",
            "No real market: ws://127.0.0.1:8720 speaks as Coinbase does, and is not Coinbase.",
        ),
        (Source("tape", "/days/crash"), "Replay", "No live market: the recorded tape /days/crash."),
        (Source("coinbase", "wss://feed.coinbase.com"), "Coinbase", "The live feed of feed.coinbase.com."),
        (
            Source("kafka", "x/tapewatch.trades", seed=7),
            "Simulated",
            "No real market: an exchange simulated on this machine, seed 7, through Kafka.",
        ),
        (
            Source("kafka", "MkU3OEVBNTcwNTJENDM2Qg/tapewatch.trades"),
            "Kafka",
            "The rows of Kafka's topic tapewatch.trades: a market's, a tape's or a simulation's.",
        ),
        (
            Source("coinbase", "ws://127.0.0.1:8720"),
            "127.0.0.1:8720",
            "A feed in Coinbase's format, from ws://127.0.0.1:8720.",
        ),
        (
            Source("coinbase", "wss://notcoinbase.com"),
            "notcoinbase.com",
            "A feed in Coinbase's format, from wss://notcoinbase.com.",
        ),
    ],
)
def test_where_the_data_come_from(source, badge, more):
    assert source_words(source) == (badge, more)


def test_feed_of_a_tape(now):
    tape = Source("tape", "cascade")
    assert feed_words(now(feed_row(BTC), speed=60.0, source=tape)) == ("Replaying", "2025-10-10 at 60×")
    assert feed_words(now(feed_row(BTC, state="ended"), source=tape)) == ("Replay finished", "at 21:32:47")
