"""What time it is where the lanes are: live, on a replay at any pace, and when nothing is committed any more."""

import pytest

from tapewatch.model import NS
from tapewatch.runtime.lanes_clock import FRESH_NS, LanesClock
from tapewatch.store.records import Clock

AT = 1_700_000_000 * NS


@pytest.mark.parametrize(("speed", "after_3_s"), [(1.0, 3), (60.0, 180), (0.0, 0)])
def test_between_two_commits_time_passes_at_the_tapes_pace(speed: float, after_3_s: int) -> None:
    lanes = LanesClock()
    lanes.hear(Clock(AT, 0, speed), 0)
    assert lanes.now(3 * NS) == AT + after_3_s * NS


def test_when_no_commit_comes_any_more_it_passes_as_on_the_wall() -> None:
    lanes = LanesClock()
    lanes.hear(Clock(AT, 0, 60.0), 0)
    assert lanes.now(FRESH_NS + 10 * NS) == AT + 60 * FRESH_NS + 10 * NS


def test_commits_that_bring_no_new_time_do_not_hold_it_back() -> None:
    lanes = LanesClock()
    for second in range(20):  # the tape is over; the runtime stays, and commits once a second
        lanes.hear(Clock(AT, second * NS, 1.0), second * NS)
    assert lanes.now(20 * NS) == AT + 20 * NS


@pytest.mark.parametrize(
    ("clock", "live"),
    [
        (Clock(AT, AT), True),
        (Clock(AT - 3 * 3_600 * NS, AT), True),
        (Clock(AT - 400 * 86_400 * NS, AT), False),
        (Clock(AT, AT, 60.0), False),
        (Clock(AT, AT, 0.0), False),
    ],
)
def test_what_lives_when_we_do_is_told_from_what_is_replayed(clock: Clock, live: bool) -> None:
    lanes = LanesClock()
    lanes.hear(clock, 0)
    assert lanes.live is live


def test_live_it_goes_on_from_the_commit_however_long_ago_that_was() -> None:
    lanes = LanesClock()
    lanes.hear(Clock(AT - 2 * NS, AT), AT + 3 * 86_400 * NS)
    assert lanes.now(AT + 3 * 86_400 * NS) == AT - 2 * NS + 3 * 86_400 * NS
