from contextlib import closing

import msgspec
import pytest

from support.views import BTC, LINK, MARKET_RULES, NOW, anomaly, build, clock, feed_row, opened, silence
from tapewatch.model import NS
from tapewatch.store.records import Commit, Source
from tapewatch.store.sql import Store
from tapewatch.view.look import NOWHERE, Wanted, look
from tapewatch.view.panel_wire import tally, watch_rows
from tapewatch.view.queries import Counts, Filter
from tapewatch.view.status import status, watchlist
from tapewatch.view.verdict import verdict
from tapewatch.view.wire import ENCODER, Subscription, now_picture, row, trouble

TAPE = Source("tape", "day.csv.gz")


def picture(tmp_path, *rows, wall_ns=NOW, source=None, found=(), **times):
    reader = build(tmp_path / "x.db", Commit(clock(**times), changes=opened(*found), feed=rows), source=source)
    with reader.connect() as conn:
        shown = now_picture(status(conn, wall_ns), verdict(found))
    reader.close()
    return shown


def figure(shown, label):
    return next(each for each in shown.figures if each.label == label)


def test_a_row_carries_its_words():
    shown = row(anomaly("x", ago_s=60, held_s=63, triggers=1_412))
    assert (shown.type, shown.peak, shown.limit, shown.pips) == ("Fast move", "−2.81 %", "11×", 3)
    assert (shown.state, shown.sentence) == ("ended, 63 s", "fell 2.81 % in under 1 s, from 19.385 to 18.841")
    assert shown.details[1] == "Lasted 63 s"
    assert shown.opened == NOW / NS - 60


def test_times_survive_the_wire_to_a_microsecond():
    opened_ts = NOW + 123_456_789
    text = ENCODER.encode(row(msgspec.structs.replace(anomaly("x"), opened_ts=opened_ts)))
    assert abs(round(msgspec.json.decode(text)["opened"] * NS) - opened_ts) < 1_000


def test_live(tmp_path):
    shown = picture(tmp_path, feed_row(LINK, connected_ts=NOW - 18_720 * NS), latency_p50_ms=11.4, latency_p99_ms=38.2)
    assert (shown.state, shown.word, shown.more, shown.banner, shown.as_of) == ("live", "Live", "0.4 s old", None, "")
    assert figure(shown, "coinbase").value == "connected 5 h 12 min"
    assert figure(shown, "frame to store").value == "11 ms, p99 38 ms"
    assert shown.speed == 1


def test_no_data_is_a_state_of_its_own_and_says_what_nobody_can_tell(tmp_path):
    never = {"last_frame_ts": None, "last_price": None, "trades": 0, "next_try_ts": NOW + 8 * NS, "attempts": 3}
    shown = picture(tmp_path, feed_row(LINK, state="no data", reason="no data: never connected", **never))
    assert (shown.word, shown.headline, shown.certain) == ("No data", "Cannot tell", False)
    assert (shown.banner.tone, shown.banner.title, shown.banner.more) == (
        "bad",
        "No data.",
        "Reconnecting, try 4 in 8 s.",
    )
    assert shown.banner.text == "Never connected. Whether anything is abnormal, nobody can tell."


def test_a_blind_feed_is_not_live(tmp_path):
    shown = picture(tmp_path, feed_row(LINK, state="blind", reason="all trades are in quarantine"))
    assert (shown.state, shown.banner.title, shown.certain) == ("blind", "Blind.", False)
    assert shown.banner.text.startswith("All trades are in quarantine. ")


def test_abnormal_and_how_bad(tmp_path):
    shown = picture(tmp_path, feed_row(LINK), found=[anomaly("x", ended=False)])
    assert (shown.headline, shown.severity, shown.counts["high"]) == ("Abnormal now", "high", 1)
    assert shown.rest == "LINK-USD fell 2.81 %, 11× the limit"


def test_a_feed_that_is_silent_says_until_when_prices_are_good(tmp_path):
    shown = picture(tmp_path, feed_row(LINK, now_ts=NOW, last_frame_ts=NOW - 47 * NS, armed=MARKET_RULES))
    assert (shown.state, shown.word, shown.more) == ("stale", "Stale", "47 s without a frame")
    assert (shown.banner.tone, shown.banner.title) == ("bad", "Silent feed.")
    assert shown.banner.text == ("No frame of coinbase since 21:32:01. Prices and the verdict are as of 21:32:01 UTC.")


def test_a_lost_connection_says_when_it_is_tried_again(tmp_path):
    lost = {"state": "reconnecting", "reason": "connection refused", "attempts": 3, "next_try_ts": NOW + 8 * NS}
    shown = picture(tmp_path, feed_row(LINK, **lost))
    assert (shown.banner.title, shown.banner.more) == ("Connection lost.", "Reconnecting, try 4 in 8 s.")
    assert shown.banner.text.startswith("Connection refused. Prices")
    assert figure(shown, "coinbase") == type(figure(shown, "coinbase"))("coinbase", "reconnecting, try 4", "bad")


def test_a_try_that_is_due_now(tmp_path):
    shown = picture(tmp_path, feed_row(LINK, state="reconnecting", reason="gone", attempts=1, next_try_ts=NOW - NS))
    assert shown.banner.more == "Reconnecting, try 2 now."


def test_a_program_that_is_not_running_is_told_from_a_silent_feed(tmp_path):
    shown = picture(tmp_path, feed_row(LINK), wall_ns=NOW + 60 * NS)
    assert (shown.banner.title, shown.speed) == ("Not running.", 0)
    assert "tapewatch run" in shown.banner.more
    assert shown.banner.command == ""
    assert figure(shown, "coinbase").value == "not running"


def test_what_starts_it_again_is_the_command_that_was_run(tmp_path):
    again = "tapewatch run --source simulated --db data/mine.db"
    reader = build(tmp_path / "x.db", Commit(clock(), feed=[feed_row(LINK)]))
    reader.close()
    with closing(Store.open(tmp_path / "x.db")) as store:
        store.note("command", msgspec.json.encode(again).decode())
    with closing(Store.read(tmp_path / "x.db")) as found:
        shown = look(found, NOWHERE, NOW + 60 * NS, Wanted()).now
    assert (shown.banner.more, shown.banner.command) == ("Go on with:", again)


def test_part_of_the_feed(tmp_path):
    shown = picture(tmp_path, feed_row(BTC), feed_row(LINK, last_frame_ts=NOW - 30 * NS, armed=MARKET_RULES))
    assert shown.state == "live"
    assert (shown.banner.tone, shown.banner.text) == ("warn", "No frame of LINK-USD since 21:32:18.")


def test_a_replay_and_its_end(tmp_path):
    shown = picture(tmp_path, feed_row(LINK), source=TAPE, speed=60)
    assert (shown.word, shown.more, shown.speed) == ("Replaying", "2025-10-10 at 60×", 60)
    assert (shown.source, shown.source_more) == ("Replay", "No live market: the recorded tape day.csv.gz.")
    assert figure(shown, "coinbase").value == "tape, 60×"
    (tmp_path / "y").mkdir()
    over = picture(tmp_path / "y", feed_row(LINK, state="ended"), source=TAPE, speed=60)
    assert (over.word, over.banner.tone, over.speed) == ("Replay finished", "calm", 0)
    assert over.banner.title == "Replay finished at 21:32:47."


def test_a_simulation_is_called_one(tmp_path):
    shown = picture(tmp_path, feed_row(LINK, connected_ts=NOW - 120 * NS), source=Source("simulated", seed=7))
    assert (shown.source, shown.word) == ("Simulated", "Live")
    assert figure(shown, "simulated exchange").value == "connected 2 min"
    assert not any("coinbase" in each.label for each in shown.figures)


def test_the_pipeline_is_called_by_its_own_names(tmp_path):
    kafka = Source("kafka", "cluster/tapewatch.trades")
    shown = picture(tmp_path, feed_row(LINK), source=kafka)
    assert (shown.source, shown.word, figure(shown, "coinbase").value) == ("Kafka", "Live", "live")
    assert not any(each.label == "frame to store" for each in shown.figures)
    (tmp_path / "y").mkdir()
    dead = picture(tmp_path / "y", feed_row(LINK), source=kafka, wall_ns=NOW + 60 * NS)
    assert "tapewatch detect" in dead.banner.more
    (tmp_path / "z").mkdir()
    made = picture(tmp_path / "z", feed_row(LINK), source=msgspec.structs.replace(kafka, seed=7))
    assert (made.source, figure(made, "simulated exchange").value) == ("Simulated", "live")


def test_gaps_that_are_open_stand_out(tmp_path):
    shown = picture(tmp_path, feed_row(LINK, gaps_opened=9, gaps_filled=7, gaps_given_up=1, quarantined=2))
    assert (figure(shown, "gaps").value, figure(shown, "gaps").tone) == ("1 open, 7 filled, 1 given up", "warn")
    assert figure(shown, "quarantined").tone == "warn"
    assert figure(shown, "duplicates").tone == ""


def test_nothing_yet(tmp_path):
    shown = picture(tmp_path)
    assert (shown.state, shown.headline) == ("waiting", "No verdict yet")
    assert figure(shown, "feed").value == "not running"
    assert figure(shown, "gaps").value == "0"


def test_trouble_is_said_in_the_words_of_the_error():
    shown = trouble("data/x.db: it is damaged", NOW)
    assert (shown.word, shown.banner.text) == ("No database", "Data/x.db: it is damaged.")


def test_a_silence_of_all_lanes_counts_once(tmp_path):
    found = [silence("a", "BTC-USD", ago_s=47), silence("b", "LINK-USD", ago_s=47)]
    shown = picture(tmp_path, feed_row(BTC), feed_row(LINK), found=found)
    assert shown.counts["high"] == 1


def test_watch_list(tmp_path):
    reader = build(tmp_path / "x.db", Commit(clock(), feed=[feed_row(BTC), feed_row(LINK, last_price=None)]))
    with reader.connect() as conn:
        now = status(conn, NOW)
        btc, link = watch_rows(now, watchlist(conn, now))
    reader.close()
    assert "abs_jump" in btc.armed
    assert "abs_jump" not in link.armed
    assert (link.price, link.change_words, link.since, link.spark) == (None, "", None, ())


def test_no_severity_chosen_counts_nothing_but_shows_what_there_is():
    counted = Counts(5, {"high": 2, "medium": 3, "low": 0}, {"pct_spike": 5}, {"up": 1, "down": 4}, {"high": (1, 1, 0)})
    hours = tally(counted, msgspec.json.decode(b"[]"), nothing=True)
    assert (hours.total, hours.rules, hours.sizes) == (0, {"pct_spike": 0}, counted.sizes)


@pytest.mark.parametrize(
    "fields",
    [{"width": 5}, {"venue": "x" * 65}, {"revision": -1}, {"recency_s": 0}, {"symbols": ["a"] * 9}, {"sql": "x"}],
)
def test_what_a_page_may_ask_for_has_limits(fields):
    plain = {"number": 1, "venue": "coinbase", "symbol": "LINK-USD", "width": 1} | fields
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plain, Subscription)


def test_a_subscription_is_a_filter():
    plain = {"number": 1, "venue": "c", "symbol": "s", "width": 1, "severities": ["high"], "directions": ["up"]}
    assert msgspec.convert(plain, Subscription).filter == Filter(("high",), (), ("up",), (), 3_600)
