"""What time it is where the lanes are: live, on a replay at any pace, and when nothing is committed any more."""

import pytest

from tapewatch.model import NS
from tapewatch.store.records import FRESH_NS, Clock

AT = 1_700_000_000 * NS


@pytest.mark.parametrize(("speed", "after_3_s"), [(1.0, 3), (60.0, 180), (0.0, 0)])
def test_between_two_commits_time_passes_at_the_tapes_pace(speed: float, after_3_s: int) -> None:
    assert Clock(AT, 0, speed).lanes_ns(3 * NS) == AT + after_3_s * NS


def test_a_tape_that_nobody_reads_stands_still() -> None:
    assert Clock(AT, 0, 60.0).lanes_ns(90_000 * NS) == AT + 60 * FRESH_NS


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
    assert clock.live is live


def test_live_it_goes_on_from_the_commit_however_long_ago_that_was() -> None:
    assert Clock(AT - 2 * NS, AT).lanes_ns(AT + 3 * 86_400 * NS) == AT - 2 * NS + 3 * 86_400 * NS
