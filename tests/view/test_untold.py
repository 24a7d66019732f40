"""Nothing is said to be within its limits of which nobody can tell, and a blind feed is never called well."""

import pytest

from support.views import BTC, LINK, NOW, build, clock, feed_row
from tapewatch.model import CAUSES, NS, Cause, Lane
from tapewatch.store.records import Commit
from tapewatch.view.status import status
from tapewatch.view.verdict import feed_words, verdict, verdict_words

ENA, PEPE = Lane("coinbase", "ENA-USD"), Lane("coinbase", "PEPE-USD")
NEVER = "no data: never connected (cannot connect to wss://example: Connection refused)"
AGAIN = CAUSES[Cause.TOLD_AGAIN]


@pytest.fixture
def now(tmp_path):
    """Make the status of one commit."""

    def see(*feed):
        with build(tmp_path / "x.db", Commit(clock(), feed=feed)).connect() as conn:
            return status(conn, NOW)

    return see


def test_a_feed_that_was_never_connected_says_so_and_nothing_is_called_normal(now):
    lanes = [feed_row(lane, state="no data", reason=NEVER, last_frame_ts=None, trades=0) for lane in (BTC, LINK)]
    seen = now(*lanes)
    assert seen.state == "no data"
    assert feed_words(seen) == ("No data", NEVER.removeprefix("no data: "))
    assert verdict_words(verdict(()), seen) == ("Cannot tell", NEVER)


def test_a_lane_that_is_blind_makes_the_verdict_cannot_tell(now):
    seen = now(feed_row(BTC, state="blind", reason=AGAIN, blind_ts=NOW - 12 * NS))
    assert (seen.state, seen.reason) == ("blind", AGAIN)
    assert feed_words(seen) == ("Blind", AGAIN)
    assert verdict_words(verdict(()), seen) == ("Cannot tell", f"BTC-USD blind for 12 s: {AGAIN}")


def test_one_blind_lane_of_many_is_named_and_so_is_what_is_silent_or_warms_up(now):
    seen = now(
        feed_row(BTC, state="blind", reason=AGAIN, blind_ts=NOW - 12 * NS),
        feed_row(LINK),
        feed_row(ENA, state="no data", reason=NEVER, last_frame_ts=NOW - 40 * NS),
        feed_row(PEPE, warming=("vol_breakout",)),
    )
    said = "1 of 4 symbols within limits; BTC-USD blind for 12 s; ENA-USD no data for 40 s; PEPE-USD warming up"
    assert verdict_words(verdict(()), seen) == ("Cannot tell", said)


def test_what_cannot_be_told_of_a_few_leaves_the_others_calm(now):
    seen = now(
        feed_row(LINK),
        feed_row(ENA, state="no data", reason=NEVER, last_frame_ts=NOW - 40 * NS),
        feed_row(PEPE, armed=("pct_spike", "silent_feed")),
    )
    headline, rest = verdict_words(verdict(()), seen)
    assert headline == "Nothing abnormal now"
    assert rest.startswith("1 of 3 symbols within limits; ENA-USD no data for 40 s; PEPE-USD without ")
    assert "volatility breakout and mean stretch" in rest
