"""Whether tapewatch itself is well: looks at the chain in, sentences out, each once, over restarts, too."""

from collections.abc import Mapping

import pytest

from tapewatch.dispatch.selfwatch import Failing, Lane, Notice, Sight, Watch
from tapewatch.errors import SnapshotError
from tapewatch.model import NS

MIDNIGHT = 1_764_547_200 * NS
"""2025-12-01T00:00:00Z by the wall clock, when the monotonic one of these tests says 0."""

NOON_S = 14 * 3600 + 120
"""14:02."""

LIVE = (Lane("BTC-USD", "live", ""), Lane("ETH-USD", "live", ""))
LOST = (
    Lane("BTC-USD", "reconnecting", "the connection was lost"),
    Lane("ETH-USD", "reconnecting", "the connection was lost"),
)
STOPPED = (Lane("BTC-USD", "stopped", "capture was stopped"), Lane("ETH-USD", "stopped", "capture was stopped"))


class Chain:
    """A chain that is looked at once a second, and what was said of it."""

    def __init__(self, page: bytes = b"", second: int = 0, ill_after_s: int = 120) -> None:
        self.watch = Watch(ill_after_s * NS)
        self.second, self.revision = second, 1
        self.said: list[Notice] = []
        self.page = page
        self.begin()

    def begin(self) -> None:
        """Open the database, with what was stored last."""
        self.watch.begin(self.page, self.second * NS)

    def go(
        self,
        seconds: int,
        lanes: tuple[Lane, ...] = LIVE,
        *,
        commits: bool = True,
        channels: Mapping[str, Failing | None] | None = None,
        **fields: bool,
    ) -> list[str]:
        """Let seconds pass, and give what was said in them."""
        said = []
        for _ in range(seconds):
            self.second += 1
            self.revision += commits
            at = self.second * NS
            found = self.watch.look(Sight(at, MIDNIGHT + at, self.revision, lanes, channels=channels or {}, **fields))
            self.said += found
            said += [each.text for each in found]
            if found:
                self.page = self.watch.page()
        return said

    def trouble(self) -> str | None:
        return self.watch.trouble(self.second * NS)


def test_a_day_in_which_all_is_well_says_nothing() -> None:
    chain = Chain()
    assert chain.go(86_400 // 4) == []
    assert chain.trouble() is None


def test_a_capture_that_died_is_told_once_and_when_it_is_back() -> None:
    chain = Chain(second=NOON_S)
    chain.go(10)
    assert chain.go(119, commits=False) == []
    (said,) = chain.go(1, commits=False)
    assert said == ("tapewatch is not watching: nothing was stored for 2 min, the program that captures is not running")
    assert chain.go(300, commits=False) == []
    assert chain.go(10) == []
    (said,) = chain.go(1)
    assert said == (
        "tapewatch is well again: it was blind from 14:02 to 14:09 UTC; what happened meanwhile is not known"
    )
    assert [each.well for each in chain.said] == [False, True]
    assert chain.go(600) == []


def test_one_commit_that_gets_through_is_not_yet_well() -> None:
    chain = Chain()
    chain.go(10)
    chain.go(200, commits=False)
    for _ in range(3):
        chain.go(1)
        assert chain.go(60, commits=False) == []
    assert len(chain.said) == 1


def test_lanes_that_are_all_without_data_are_told_with_their_reason() -> None:
    chain = Chain()
    chain.go(10)
    (said,) = chain.go(200, LOST)
    assert said == (
        "tapewatch is not watching: no trades get through on any of 2 symbols for 2 min: the connection was lost"
    )
    alone = Chain()
    alone.go(10, LIVE[:1])
    (said,) = alone.go(120, (Lane("BTC-USD", "waiting", "no data: never connected"),))
    assert said == "tapewatch is not watching: no trades get through on BTC-USD for 2 min: no data: never connected"


def test_one_lane_that_trades_is_enough() -> None:
    chain = Chain()
    assert chain.go(600, (LIVE[0], LOST[1])) == []
    assert chain.trouble() is None


def test_what_is_stale_in_the_database_is_no_data() -> None:
    """The lanes' last word was that they are live, and nobody is there any more."""
    chain = Chain()
    chain.go(10)
    chain.go(30, commits=False)
    assert chain.trouble() is None
    chain.go(1, commits=False)
    assert chain.trouble() == "nothing was stored for 31 s, the program that captures is not running"


def test_an_orderly_stop_is_no_illness_and_no_heartbeat() -> None:
    chain = Chain()
    chain.go(10)
    chain.go(1, STOPPED)
    assert chain.go(7_200, STOPPED, commits=False) == []
    assert chain.trouble() == "capture was stopped"
    assert chain.go(100, LOST) == [], "it is starting: the time before does not count"
    assert chain.go(60) == []
    assert chain.trouble() is None


def test_a_replay_is_not_watched() -> None:
    chain = Chain()
    assert chain.go(600, LIVE, replay=True) == []
    assert chain.go(600, LIVE, commits=False, replay=True) == []
    assert chain.trouble() == "a tape is replayed: nothing of it happens now"


def test_through_kafka_it_is_said_what_may_have_ended() -> None:
    chain = Chain()
    chain.go(10)
    (said,) = chain.go(120, commits=False, kafka=True)
    assert said.endswith("nothing was stored for 2 min, detect, Kafka or produce is not running")


def test_a_database_that_nobody_fills_is_told() -> None:
    watch = Watch(120 * NS)
    watch.begin(b"", 0)
    said = [notice.text for second in range(1, 200) for notice in watch.look(Sight(second * NS, second * NS, None))]
    assert said == ["tapewatch is not watching: nothing was ever stored here, and for 2 min nobody has begun to"]


class TestRestarts:
    def test_what_was_said_is_not_said_again(self) -> None:
        chain = Chain()
        chain.go(10)
        chain.go(200, commits=False)
        again = Chain(chain.page, chain.second)
        assert again.go(600, commits=False) == []
        (said,) = again.go(12)
        assert said == (
            "tapewatch is well again: it was blind from 00:00 to 00:13 UTC; what happened meanwhile is not known"
        )
        assert Chain(again.page, again.second).go(300) == []

    def test_what_was_not_stored_is_said_again(self) -> None:
        chain = Chain()
        chain.go(10)
        chain.go(120, commits=False)
        again = Chain(b"", chain.second)
        assert len(again.go(120, commits=False)) == 1

    def test_a_page_of_another_version_is_refused(self) -> None:
        for page in (b'{"version": 99}', b"nonsense"):
            with pytest.raises(SnapshotError, match="what alerting remembers of itself"):
                Watch(NS).begin(page, 0)


class TestChannels:
    def test_one_that_fails_is_told_to_the_others_and_when_it_is_back(self) -> None:
        chain = Chain()
        since = MIDNIGHT + 60 * NS
        failing = {"phone": Failing(since, "HTTP 401"), "mail": None, "desk": None}
        assert chain.go(659, channels=failing) == []
        (said,) = chain.go(1, channels=failing)
        assert said == "The channel phone accepts nothing since 00:01 UTC: HTTP 401; its messages wait"
        assert chain.said[-1].but == {"phone"}
        assert chain.go(300, channels=failing) == []
        again = Chain(chain.page, chain.second)
        assert again.go(300, channels=failing) == []
        (said,) = again.go(1, channels={"phone": None, "mail": None})
        assert said == "The channel phone accepts messages again, after 20 min; what waited is sent now"
        assert again.said[-1].well

    def test_where_no_other_works_there_is_nobody_to_tell_and_no_heartbeat(self) -> None:
        chain = Chain()
        failing = {"phone": Failing(MIDNIGHT, "HTTP 401"), "mail": Failing(MIDNIGHT, "HTTP 500")}
        assert chain.go(900, channels=failing) == []
        assert chain.trouble() == "no channel accepts anything"
        (said,) = chain.go(1, channels=failing | {"mail": None})
        assert said.startswith("The channel phone accepts nothing")
        assert chain.trouble() is None

    def test_one_that_was_removed_is_not_said_to_work(self) -> None:
        chain = Chain()
        chain.go(900, channels={"phone": Failing(MIDNIGHT, "HTTP 401"), "mail": None})
        assert len(chain.said) == 1
        assert chain.go(60, channels={"mail": None}) == []


class TestDatabase:
    def away(self, chain: Chain, seconds: int) -> list[str]:
        said = []
        for _ in range(seconds):
            chain.second += 1
            at = chain.second * NS
            if (notice := chain.watch.away(at, MIDNIGHT + at, "x.db: the connection was lost")) is not None:
                said.append(notice.text)
        return said

    def test_one_that_is_away_is_told_without_it_and_through_it_when_it_is_back(self) -> None:
        chain = Chain(second=NOON_S)
        chain.go(10)
        assert self.away(chain, 120) == []
        (said,) = self.away(chain, 280)
        assert said == (
            "tapewatch is not watching: its database cannot be used for 2 min: x.db: the connection was lost"
        )
        chain.begin()
        assert chain.go(10) == []
        assert chain.trouble() is None
        said_then = chain.go(3)
        assert said_then == [
            "tapewatch is well again: it was blind from 14:02 to 14:08 UTC; what happened meanwhile is not known"
        ]
        assert chain.go(300) == []

    def test_one_that_goes_away_once_more_before_the_end_was_stored_says_the_end_later(self) -> None:
        chain = Chain()
        chain.go(10)
        self.away(chain, 130)
        chain.begin()
        before = chain.page
        assert len(chain.go(12)) == 1
        chain.page = before  # that transaction failed
        self.away(chain, 5)
        chain.begin()
        assert len(chain.go(12)) == 1
        assert chain.go(300) == []

    def test_a_short_absence_is_nobodys_business(self) -> None:
        chain = Chain()
        chain.go(10)
        for _ in range(5):
            assert self.away(chain, 60) == []
            chain.begin()
            assert chain.go(60) == []


def test_a_blind_lane_ends_the_heartbeat_though_others_trade() -> None:
    chain = Chain()
    chain.go(10, (LIVE[0], Lane("ETH-USD", "blind", "the venue trades, and nothing was taken for 12 s")))
    assert chain.trouble() == "ETH-USD: the venue trades, and nothing was taken for 12 s"
