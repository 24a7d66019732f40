import asyncio

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.pages import Page
from support.telling import telling
from support.views import BTC, LINK, NOW, anomaly, bars_of, build, clock, feed_row, opened
from tapewatch.model import NS, Change
from tapewatch.store.bars import read_bars
from tapewatch.store.records import Commit, Source
from tapewatch.store.sql import Store
from tapewatch.view import queries
from tapewatch.view.live import PENDING_MAX, RESYNC, Hub, Mailbox, pack
from tapewatch.view.look import NOWHERE, News, Wanted, look
from tapewatch.view.queries import LiveBar, Place
from tapewatch.view.wire import Subscription

T = NOW // NS
SOURCE = Source("coinbase", "wss://example.test")


def wish(**fields):
    return Subscription(**{"number": 1, "venue": "coinbase", "symbol": "LINK-USD", "width": 1} | fields)


def news(revision, *, bars=(), seq=0, complete=True):
    live = [
        LiveBar("coinbase", symbol, width, (float(time), *[close] * 4, 1.0, 1.0)) for symbol, width, time, close in bars
    ]
    return News(Place("e", revision, seq), complete=complete, bars=live)


def said(box):
    text = box.take()
    return None if text is None else msgspec.json.decode(text)


def welcomed(**fields):
    box = Mailbox(wish(**fields))
    box.welcome(pack(News(Place("e", 1, 0)), (), {}))
    box.take()
    return box


def test_a_slow_page_gets_the_last_state_of_each_bar_once():
    box = welcomed()
    for revision in range(2, 500):
        box.offer(pack(news(revision, bars=[("LINK-USD", 1, T, revision)]), (), {"coinbase:LINK-USD": float(revision)}))
    message = said(box)
    assert message["bars"] == [[T, 499, 499, 499, 499, 1, 1]]
    assert message["prices"] == {"coinbase:LINK-USD": 499}
    assert message["revision"] == 499
    assert said(box) is None


def test_only_the_lane_and_width_that_were_asked_for():
    box = welcomed()
    box.offer(pack(news(2, bars=[("LINK-USD", 1, T, 1), ("LINK-USD", 10, T, 2), ("BTC-USD", 1, T, 3)]), (), {}))
    assert [bar[1] for bar in said(box)["bars"]] == [1]


def test_a_page_that_falls_behind_is_told_once_to_read_afresh():
    box = welcomed()
    for time in range(PENDING_MAX + 1):
        box.offer(pack(news(2 + time, bars=[("LINK-USD", 1, time, 1)]), (), {}))
    assert box.filled.is_set()
    assert box.take() == RESYNC
    box.offer(pack(news(9_999, bars=[("LINK-USD", 1, 0, 1)]), (), {}))
    assert box.take() is None, "it will subscribe anew"


def test_what_came_before_the_welcome_follows_it():
    box = Mailbox(wish())
    box.offer(pack(news(7, bars=[("LINK-USD", 1, T + 1, 7)]), (), {}))
    assert box.take() is None
    box.welcome(pack(news(6, bars=[("LINK-USD", 1, T, 6)]), (), {}))
    message = said(box)
    assert [bar[:2] for bar in message["bars"]] == [[T, 6], [T + 1, 7]]
    assert message["revision"] == 7


def test_what_the_welcome_has_told_is_not_told_again():
    box = Mailbox(wish())
    box.offer(pack(news(5, bars=[("LINK-USD", 1, T, 5)]), (), {}))
    box.welcome(pack(news(6, bars=[("LINK-USD", 1, T, 6)]), (), {}))
    assert [bar[1] for bar in said(box)["bars"]] == [6]


def test_another_database_makes_pages_read_afresh(database):
    reader = build(database.url, Commit(clock(), feed=[feed_row(LINK)]))
    found = look(reader, Place("another", 5, 5), NOW, Wanted())
    assert not found.complete
    reader.close()


def test_a_database_that_is_not_there_is_news_without_a_place(database):
    reader = Store.read(database.url)
    found = look(reader, NOWHERE, NOW, Wanted())
    assert (found.place, found.complete, found.now.state, found.now.headline) == (
        NOWHERE,
        True,
        "waiting",
        "No verdict yet",
    )
    assert not look(reader, Place("gone", 1, 1), NOW, Wanted()).complete, "pages of the one that went read afresh"
    reader.close()


def test_a_file_that_is_no_database_of_ours_is_said(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"SQLite format 3\0 but not really" * 40)
    reader = Store.read(path)
    found = look(reader, NOWHERE, NOW, Wanted())
    assert found.now.banner.tone == "bad"
    assert str(path) in found.now.banner.text
    reader.close()


class Writer:
    """A database that grows by a commit at a time."""

    def __init__(self, path):
        self.store = Store.open(path, source=SOURCE)
        self.count = 0

    def commit(self, lane=LINK, *, seconds=1):
        self.count += 1
        starts = [T + self.count // 3 + i for i in range(seconds)]
        found = anomaly(f"a{self.count:04}", ago_s=-self.count, symbol=lane.symbol, ended=False)
        changes = [Change("opened", found.opened_ts, self.count, found)] if self.count % 2 else []
        self.store.commit(
            Commit(
                clock(now_ts=NOW + self.count * NS, wall_ts=NOW + self.count * NS),
                changes=changes,
                bars=[bars_of(lane, 1, starts, [19.0 + self.count / 1_000] * seconds)],
                feed=[feed_row(LINK), feed_row(BTC)],
            )
        )
        return changes


STEPS = st.lists(st.sampled_from(["commit", "other lane", "look", "deliver", "lose", "restart"]), max_size=40)


@given(steps=STEPS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_that_comes_back_has_missed_nothing_and_hears_nothing_twice(database, steps):
    asyncio.run(_a_page_comes_back(database.another().url, steps))


async def _a_page_comes_back(path, steps):
    writer, reader = Writer(path), Store.read(path)
    written = len(writer.commit())
    hub = Hub(reader, lambda: NOW, refresh_s=3)
    await hub.follow()
    page = Page(LINK)
    box = await hub.join(page.wish)
    page.take(box.take())
    page.happened.clear()  # a new page reads the log for what there is; from here on it is told
    page.rows.clear()
    written = 0
    for step in [*steps, "look", "deliver"]:
        match step:
            case "commit" | "other lane":
                written += len(writer.commit(LINK if step == "commit" else BTC, seconds=2))
            case "look":
                await hub.follow()
            case "deliver":
                page.take(box.take())
            case "lose" | "restart":
                box.take()  # sent, and lost on its way
                hub.leave(box)
                if step == "restart":
                    hub = Hub(reader, lambda: NOW, refresh_s=3)
                    await hub.follow()
                box = await hub.join(page.wish)
    assert not page.afresh
    with reader.connect() as conn:
        stored = read_bars(conn, LINK, 1)
        known = {bar["time"]: tuple(bar.item()) for bar in stored}
        assert {time: known[time] for time in page.bars} == page.bars, "what it has is what is stored"
        first = min(page.bars, default=None)
        assert first is None or set(page.bars) >= {time for time in known if time > first}, "and nothing is missing"
        assert page.wish.seq == queries.place(conn).seq
    assert page.happened == sorted(set(page.happened))
    assert len(page.happened) == written
    writer.store.close()
    reader.close()


async def test_a_page_waits_for_the_first_look_and_then_misses_nothing(database):
    writer, reader = Writer(database.url), Store.read(database.url)
    writer.commit()
    hub = Hub(reader, lambda: NOW, refresh_s=3)
    joining = asyncio.create_task(hub.join(wish()))
    await asyncio.sleep(0)
    assert not joining.done()
    await hub.follow()
    box = await joining
    said(box)
    writer.commit()
    await hub.follow()
    assert said(box)["revision"] == 2
    writer.store.close()
    reader.close()


async def test_pages_that_were_there_before_the_database_read_afresh(database):
    reader = Store.read(database.url)
    hub = Hub(reader, lambda: NOW, refresh_s=3)
    await hub.follow()
    box = await hub.join(wish())
    assert said(box)["epoch"] == ""
    writer = Writer(database.url)
    writer.commit()
    await hub.follow()
    assert box.take() == RESYNC
    writer.store.close()
    reader.close()


async def test_prices_are_told_of_every_lane_and_late_trades_do_not_turn_them_back(database):
    writer, reader = Writer(database.url), Store.read(database.url)
    writer.commit()
    hub = Hub(reader, lambda: NOW, refresh_s=3)
    await hub.follow()
    page = Page(BTC)
    box = await hub.join(page.wish)
    box.take()
    writer.store.commit(
        Commit(clock(), bars=[bars_of(LINK, 1, [T + 50], [20.0]), bars_of(LINK, 60, [T - T % 60], [20.0])])
    )
    await hub.follow()
    page.take(box.take())
    assert page.parts["prices"] == {"coinbase:LINK-USD": 20.0}
    writer.store.commit(Commit(clock(), bars=[bars_of(LINK, 1, [T + 10], [11.0])]))
    await hub.follow()
    page.take(box.take())
    assert page.parts["prices"] == {"coinbase:LINK-USD": 20.0}
    writer.store.close()
    reader.close()


async def test_an_open_anomaly_that_grows_is_told_though_nothing_is_logged(database):
    wall = NOW
    store = Store.open(database.url, source=SOURCE)
    running = anomaly("r", ended=False)
    store.commit(Commit(clock(), changes=opened(running), open_anomalies=[running], feed=[feed_row(LINK)]))
    reader = Store.read(database.url)
    hub = Hub(reader, lambda: wall, refresh_s=3)
    page = Page(LINK)
    await hub.follow()
    box = await hub.join(page.wish)
    page.take(box.take())
    assert page.rows["r"]["peak"] == "−2.81 %"
    grown = msgspec.structs.replace(running, peak_observed=-5.0, triggers=40)
    store.commit(Commit(clock(), open_anomalies=[grown], feed=[feed_row(LINK)]))
    wall += NS
    await hub.follow()
    page.take(box.take())
    assert page.rows["r"]["peak"] == "−5.00 %"
    assert not page.happened, "nothing happened, it grew"
    store.close()
    reader.close()


async def test_pictures_are_sent_when_they_have_changed(database):
    wall = NOW
    reader = build(database.url, Commit(clock(speed=1), feed=[feed_row(LINK, state="ended")]))
    hub = Hub(reader, lambda: wall, refresh_s=3)
    await hub.follow()
    box = await hub.join(wish())
    first = said(box)
    assert first["now"]["state"] == "ended"
    assert first["watch"][0]["symbol"] == "LINK-USD"
    assert first["alerting"]["word"] == ""
    assert first["tally"]["total"] == 0
    wall += 10 * NS
    await hub.follow()
    said(box)
    wall += 10 * NS
    await hub.follow()
    later = said(box)
    assert "now" not in later
    assert "watch" not in later
    assert "alerting" not in later
    reader.close()


async def test_what_becomes_of_an_alert_is_told_to_every_page(database):
    wall = NOW
    reader = build(database.url, Commit(clock(), changes=opened(anomaly("a")), feed=[feed_row(LINK)]))
    hub = Hub(reader, lambda: wall, refresh_s=3)
    await hub.follow()
    box = await hub.join(wish())
    before = said(box)["alerting"]
    assert before["word"] == ""
    with telling(database.url) as told:
        told.send("desk", "a", outcomes=("HTTP 500",))
    wall += NS
    await hub.follow()
    after = said(box)["alerting"]
    assert after["word"] == "1 undelivered"
    assert after["mark"] != before["mark"]
    reader.close()


@pytest.mark.parametrize("back_s", [1, 3_600])
async def test_a_wall_clock_that_is_set_back_does_not_stop_the_pictures(database, back_s):
    wall = NOW
    store = Store.open(database.url, source=SOURCE)
    store.commit(Commit(clock(), feed=[feed_row(LINK)]))
    reader = Store.read(database.url)
    hub = Hub(reader, lambda: wall, refresh_s=3)
    await hub.follow()
    box = await hub.join(wish())
    said(box)
    wall -= back_s * NS
    store.commit(Commit(clock(now_ts=NOW + NS), feed=[feed_row(LINK, state="reconnecting", reason="gone")]))
    await hub.follow()
    assert said(box)["now"]["state"] == "reconnecting"
    store.close()
    reader.close()


async def test_a_fresh_database_under_the_same_name_makes_pages_read_afresh(database):
    writer, reader = Writer(database.url), Store.read(database.url)
    writer.commit()
    hub = Hub(reader, lambda: NOW, refresh_s=3)
    await hub.follow()
    box = await hub.join(wish())
    before = said(box)["epoch"]
    writer.store.close()
    again = Store.open(database.url, source=Source("simulated", seed=1), fresh=True)
    again.commit(Commit(clock(), feed=[feed_row(LINK)]))
    await hub.follow()
    assert box.take() == RESYNC
    assert said(await hub.join(wish()))["epoch"] not in ("", before)
    again.close()
    reader.close()
