"""State that the two rules on a grid of seconds share: the second in progress and the completed samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapewatch.detect.kernels import SAMPLE, SECOND, room
from tapewatch.detect.rule import RuleState, Work, drain

QUEUES = {"second": SECOND, "samples": SAMPLE}


def scan(
    loop: Callable[..., tuple[int, int]], work: Work, state: RuleState, keep: int, params: tuple[Any, ...]
) -> list[NDArray[np.void]]:
    """Run a rule's loop over one lane's new rows and keep the last `keep` samples.

    A second is completed by the first trade of a later one, which sees it as completed.
    """
    second = room(state.queues["second"], 1)[:1]
    if not len(state.queues["second"]):
        second[:] = 0
    taken = room(state.queues["samples"], len(work.row))
    ends = np.array([0, len(state.queues["samples"])], dtype=np.int64)
    columns = work[:6]
    events = drain(
        lambda start: loop(*columns, start, *params, second, taken, ends, state.slots, work.events),
        work,
        len(work.row),
    )
    state.queues["second"] = second
    state.queues["samples"] = taken[max(ends[0], ends[1] - keep) : ends[1]].copy()
    return events
