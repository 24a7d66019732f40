"""What is said and counted when clocks fall apart: this machine's wall clock and its own, or two machines'.

In: a clock, or a difference. Out: sentences for people, a line in the log, and a counter.
"""

from collections.abc import Callable

from tapewatch import telemetry
from tapewatch.clock import SLEW, STEP_NS, Step, SystemClock
from tapewatch.figures import duration
from tapewatch.model import NS

WATCH_EVERY_S = 1.0
"""How often a process looks whether its clock has stepped."""


def step_words(step: Step) -> str:
    """Say what happened to this machine's clock.

    Examples
    --------
    >>> step_words(Step(by_ns=420 * NS, slept_ns=420 * NS))
    'this machine slept for 7 min'
    >>> step_words(Step(by_ns=300 * NS, slept_ns=0))
    "this machine's clock was set forward by 5 min"
    >>> step_words(Step(by_ns=-300 * NS, slept_ns=0))
    "this machine's clock was set back by 5 min; times run at half speed for 10 min, until it has caught up"
    """
    said = [f"this machine slept for {slept_words(step.slept_ns)}"] if step.slept_ns else []
    set_ns = step.by_ns - step.slept_ns
    whose = "its" if said else "this machine's"
    if set_ns > STEP_NS:
        said.append(f"{whose} clock was set forward by {duration(set_ns / NS)}")
    elif set_ns < -STEP_NS:
        said.append(f"{whose} clock was set back by {duration(-set_ns / NS)}")
    words = ", and ".join(said)
    if step.by_ns < 0:
        left = duration(-step.by_ns * SLEW / NS)
        words += f"; times run at half speed for {left}, until it has caught up"
    return words


def slept_words(slept_ns: int) -> str:
    """Say how long a machine slept."""
    return duration(slept_ns / NS)


def behind_words(behind_ns: int) -> str:
    """Say that the clock lies behind what the process before us has stored.

    Examples
    --------
    >>> behind_words(300 * NS)
    "this machine's clock is 5 min behind what is stored; times run at half speed for 10 min, until it has caught up"
    """
    said, left = duration(behind_ns / NS), duration(behind_ns * SLEW / NS)
    return (
        f"this machine's clock is {said} behind what is stored; times run at half speed for {left}, until it has "
        "caught up"
    )


def difference_words(ahead_ns: int) -> str:
    """Say how a reader's clock differs from the writer's; "" where it hardly does.

    Parameters
    ----------
    ahead_ns
        How far the clock that captures is ahead of this one.

    Examples
    --------
    >>> difference_words(20 * NS)
    "this machine's clock is 20 s behind the one that captures"
    >>> difference_words(-20 * NS), difference_words(NS)
    ("this machine's clock is 20 s ahead of the one that captures", '')
    """
    if abs(ahead_ns) <= STEP_NS:
        return ""
    side = "behind" if ahead_ns > 0 else "ahead of"
    return f"this machine's clock is {duration(abs(ahead_ns) / NS)} {side} the one that captures"


def notice(clock: SystemClock, say: Callable[[str], object] | None = None) -> None:
    """Log, count and say each step of a clock since the last call."""
    for step in clock.steps():
        cause = "sleep" if step.slept_ns else "forward" if step.by_ns > 0 else "back"
        seconds = f"{step.by_ns / NS:.1f}"
        telemetry.log(telemetry.CLOCK_STEPPED, (cause,), by_s=seconds, slept_s=f"{step.slept_ns / NS:.1f}")
        if say is not None:
            say(step_words(step))
