"""What time it is for who writes a database: scenarios of two machines' clocks, and what is to be told."""

from pathlib import Path

import pytest

from support.runs import SkippingTime
from tapewatch.model import NS
from tapewatch.store.records import Clock, Commit, FeedRow, Source
from tapewatch.store.sight import Pulse, Sight
from tapewatch.store.sql import Reader, Store
from tapewatch.view.look import NOWHERE, Wanted, look
from tapewatch.view.status import Status, status
from tapewatch.view.verdict import feed_words

SOURCE = Source("coinbase", "wss://example")


class Two:
    """A writer that commits once a second, and a reader, each with a machine of its own."""

    def __init__(self, folder: Path, apart_s: float = 0.0) -> None:
        self.writer, self.reader = SkippingTime(), SkippingTime(1_700_000_000 * NS + round(apart_s * NS))
        self.path = folder / "x.db"
        self.store = Store.open(self.path, source=SOURCE)
        self.commit()
        self.sight = Sight(Reader(self.path), self.reader.clock)

    def commit(self) -> None:
        now = self.writer.now_ns()
        row = FeedRow("coinbase", "BTC-USD", "live", "", now, last_frame_ts=now, armed=("silent_feed",), trades=1)
        self.store.commit(Commit(Clock(now, self.writer.wall_ns()), feed=[row]))

    def go_on(self, seconds: int, *, writing: bool = True) -> None:
        for _ in range(seconds):
            self.writer.go_on(1)
            self.reader.go_on(1)
            if writing:
                self.commit()
            self.sight()

    def status(self) -> Status:
        reader = Reader(self.path)
        with reader.connect() as conn:
            return status(conn, self.sight())


@pytest.mark.parametrize("apart_s", [0, 20, -20, 3_600, -3_600])
def test_however_far_two_clocks_are_apart_what_is_live_is_live_and_the_difference_is_named(
    tmp_path: Path, apart_s: float
) -> None:
    two = Two(tmp_path, apart_s)
    two.go_on(3)
    now = two.status()
    assert (now.state, now.running, feed_words(now)) == ("live", True, ("Live", "0.0 s old"))
    words = {
        0: "",
        20: "this machine's clock is 20 s ahead of the one that captures",
        -20: "this machine's clock is 20 s behind the one that captures",
        3_600: "this machine's clock is 60 min ahead of the one that captures",
        -3_600: "this machine's clock is 60 min behind the one that captures",
    }
    assert two.sight.difference() == words[apart_s]


@pytest.mark.parametrize("apart_s", [0, 20, -20, -3_600])
def test_a_writer_that_dies_is_missed_by_the_readers_own_seconds(tmp_path: Path, apart_s: float) -> None:
    two = Two(tmp_path, apart_s)
    two.go_on(3)
    two.go_on(4, writing=False)
    assert two.status().running
    two.go_on(3, writing=False)
    now = two.status()
    assert (now.state, now.running) == ("stale", False)
    assert now.reason == "nothing was stored for 7 s: the program that captures is not running"


@pytest.mark.parametrize("apart_s", [-20, -3_600])
def test_who_comes_behind_a_dead_writer_is_not_told_that_it_is_live(tmp_path: Path, apart_s: float) -> None:
    two = Two(tmp_path, apart_s)
    for _ in range(3):
        assert two.status().state == "stale"
        two.go_on(1, writing=False)


def test_a_writer_that_starts_again_is_alive_at_its_first_commit(tmp_path: Path) -> None:
    two = Two(tmp_path, 20)
    two.go_on(3)
    two.go_on(60, writing=False)
    assert not two.status().running
    two.store.close()
    two.store = Store.open(two.path, source=SOURCE)
    two.go_on(1)
    now = two.status()
    assert (now.state, feed_words(now)[1]) == ("live", "0.0 s old")


@pytest.mark.parametrize("who", ["writer", "reader"])
@pytest.mark.parametrize(("what", "seconds"), [("step", 300), ("step", -300), ("suspend", 420)])
def test_nothing_that_is_done_to_a_clock_makes_a_live_feed_old(
    tmp_path: Path, who: str, what: str, seconds: float
) -> None:
    two = Two(tmp_path)
    two.go_on(5)
    getattr(getattr(two, who), what)(seconds)
    for _ in range(10):
        two.go_on(1)
        now = two.status()
        assert (now.state, now.running) == ("live", True)
        assert now.age_s is not None
        assert now.age_s <= 0.5


def test_two_machines_that_sleep_together_wake_up_live(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.go_on(5)
    two.writer.suspend(420)
    two.reader.suspend(420)
    two.go_on(1)
    assert two.status().state == "live"
    two.go_on(25)
    assert two.sight.difference() == ""


def test_a_step_of_the_readers_clock_is_named_as_long_as_the_clocks_differ(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.go_on(25)
    two.reader.step(-300)
    two.go_on(1)
    assert two.sight.difference() == "this machine's clock is 5 min behind the one that captures"
    two.reader.step(300)
    two.go_on(25)
    assert two.sight.difference() == ""


def test_a_single_look_waits_for_a_commit_where_the_wall_clocks_are_in_doubt(tmp_path: Path) -> None:
    two = Two(tmp_path, 20)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 10:
            two.writer.go_on(0.5)
            two.reader.go_on(0.5)
            two.commit()

    two.sight.settled(sleep)
    assert len(waited) == 10
    assert two.status().state == "live"
    assert two.sight.difference() == "this machine's clock is 20 s ahead of the one that captures"


def test_a_single_look_waits_no_longer_than_a_second_and_a_half_and_not_where_there_is_no_doubt(tmp_path: Path) -> None:
    waited: list[float] = []
    two = Two(tmp_path, 20)
    two.sight.settled(waited.append)
    assert sum(waited) == pytest.approx(1.5)
    assert two.status().state == "stale"
    waited.clear()
    (tmp_path / "two").mkdir()
    Two(tmp_path / "two").sight.settled(waited.append)
    assert waited == []


def test_the_page_names_the_difference(tmp_path: Path) -> None:
    two = Two(tmp_path, -20)
    two.go_on(3)
    reader = Reader(two.path)
    news = look(reader, NOWHERE, two.sight(), Wanted(), two.sight.difference())
    assert news.now is not None
    assert news.now.banner is not None
    assert news.now.banner.text.startswith("This machine's clock is 20 s behind the one that captures.")


def test_without_a_database_it_is_our_own_time(tmp_path: Path) -> None:
    time = SkippingTime()
    assert Sight(Reader(tmp_path / "none.db"), time.clock)() == time.wall_ns()
    assert Pulse(time).wall_ns(None) == time.wall_ns()
