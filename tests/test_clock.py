"""The clock of a process, on a machine whose clocks a test moves."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.runs import SkippingTime
from support.virtual_time import FakeMachine
from tapewatch import steps, telemetry
from tapewatch.clock import Step, SystemClock
from tapewatch.model import NS
from tapewatch.steps import notice, step_words

START_NS = 1_783_465_098 * NS


def machine() -> FakeMachine:
    return FakeMachine(START_NS)


def test_moments_are_the_wall_clocks_and_durations_are_not() -> None:
    made = machine()
    made.go_on(5)
    assert made.now_ns() == made.wall_ns() == START_NS + 5 * NS
    made.step(300)
    before = made.monotonic_ns()
    assert made.now_ns() == START_NS + 305 * NS
    assert made.monotonic_ns() == before
    made.go_on(1)
    assert made.monotonic_ns() - before == NS


def test_set_forward_it_is_right_at_once_and_says_so() -> None:
    made = machine()
    made.step(300)
    assert made.clock.steps() == [Step(300 * NS, 0)]
    assert made.clock.steps() == [], "once"
    assert made.now_ns() == made.wall_ns()


def test_a_sleep_is_told_from_a_clock_that_was_set() -> None:
    made = machine()
    made.suspend(420)
    assert made.now_ns() == START_NS + 420 * NS
    assert made.clock.steps() == [Step(420 * NS, 420 * NS)]
    assert made.slept_ns() == 420 * NS
    made.step(300)
    made.now_ns()
    assert made.slept_ns() == 420 * NS


def test_set_back_it_goes_on_at_half_speed_until_the_wall_clock_has_caught_up() -> None:
    made = machine()
    made.step(-300)
    assert made.now_ns() == START_NS, "what was told stays the past"
    made.go_on(100)
    assert made.now_ns() == START_NS + 50 * NS
    made.go_on(499)
    assert made.now_ns() == made.wall_ns() + NS // 2
    made.go_on(1)
    assert made.now_ns() == made.wall_ns() == START_NS + 300 * NS
    made.go_on(60)
    assert made.now_ns() == made.wall_ns()
    assert made.clock.steps() == [Step(-300 * NS, 0)]


def test_a_wrong_correction_that_is_taken_back_costs_nothing() -> None:
    made = machine()
    made.step(-300)
    made.now_ns()
    made.go_on(10)
    made.step(300)
    assert made.now_ns() == made.wall_ns() == START_NS + 10 * NS


def test_two_seconds_are_nobodys_trouble_and_add_up() -> None:
    made = machine()
    made.step(2)
    assert made.now_ns() == START_NS
    assert made.clock.steps() == []
    made.step(0.5)
    assert made.clock.steps() == [Step(2_500_000_000, 0)]


def test_a_process_goes_on_behind_what_the_one_before_it_told() -> None:
    made = machine()
    assert made.clock.go_on_from(START_NS - NS) == 0
    assert made.now_ns() == START_NS
    assert made.clock.go_on_from(START_NS + 300 * NS) == 300 * NS
    assert made.now_ns() == START_NS + 300 * NS
    made.go_on(600)
    assert made.now_ns() == made.wall_ns() == START_NS + 600 * NS


def test_held_up_between_two_readings_it_believes_no_step() -> None:
    class HeldUp(FakeMachine):
        def __init__(self) -> None:
            self.held_up = False
            super().__init__(START_NS)

        def raw_ns(self) -> tuple[int, int, int]:
            if self.held_up:  # a minute passes between each two readings
                self.go_on(60)
            return super().raw_ns()

    made = HeldUp()
    made.held_up = True
    assert made.now_ns() > START_NS
    made.held_up = False
    assert made.clock.steps() == []


MOVES = st.lists(
    st.tuples(st.sampled_from(["go on", "step", "sleep"]), st.floats(-7_200, 7_200, allow_nan=False)), max_size=30
)


@given(MOVES)
def test_whatever_is_done_to_a_machine_moments_never_go_back_and_become_right(moves: list[tuple[str, float]]) -> None:
    made = machine()
    last, back_s = made.now_ns(), 0.0
    for what, seconds in moves:
        if what == "go on":
            made.go_on(abs(seconds) / 1_000)
        elif what == "sleep":
            made.suspend(abs(seconds))
        else:
            made.step(seconds)
            back_s += abs(seconds)
        now = made.now_ns()
        assert now >= last
        last = now
    made.go_on(2 * back_s + 1)
    assert abs(made.now_ns() - made.wall_ns()) <= 2 * NS


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step(420 * NS, 420 * NS), "this machine slept for 7 min"),
        (Step(300 * NS, 0), "this machine's clock was set forward by 5 min"),
        (
            Step(-300 * NS, 0),
            "this machine's clock was set back by 5 min; times run at half speed for 10 min, until it has caught up",
        ),
        (
            Step(720 * NS, 420 * NS),
            "this machine slept for 7 min, and its clock was set forward by 5 min",
        ),
        (
            Step(-10 * NS, 20 * NS),
            (
                "this machine slept for 20 s, and its clock was set back by 30 s; "
                "times run at half speed for 20 s, until it has caught up"
            ),
        ),
    ],
)
def test_a_step_is_said_in_a_sentence(step: Step, words: str) -> None:
    assert step_words(step) == words


def test_a_step_is_logged_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    def counted(cause: str) -> float:
        return telemetry.REGISTRY.get_sample_value("tapewatch_clock_steps_total", {"cause": cause}) or 0.0

    made, said = SkippingTime(), list[str]()
    before = {cause: counted(cause) for cause in ("sleep", "forward", "back")}
    made.suspend(420)
    notice(made.clock, said.append)
    made.step(3)
    notice(made.clock, said.append)
    made.step(-3_600)
    notice(made.clock)
    notice(made.clock, said.append)
    assert {cause: counted(cause) - count for cause, count in before.items()} == {"sleep": 1, "forward": 1, "back": 1}
    assert said == ["this machine slept for 7 min", "this machine's clock was set forward by 3 s"]
    assert [record.message for record in caplog.records if "clock_stepped" in record.message] == [
        "clock_stepped by_s=420.0 slept_s=420.0",
        "clock_stepped by_s=3.0 slept_s=0.0",
        "clock_stepped by_s=-3600.0 slept_s=0.0",
    ]


def test_this_machines_clock_agrees_with_its_wall_clock() -> None:
    clock = SystemClock()
    assert abs(clock.now_ns() - clock.wall_ns()) < 2 * NS
    assert clock.slept_ns() == 0


def test_the_examples_hold() -> None:
    assert doctest.testmod(steps).failed == 0
