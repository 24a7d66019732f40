"""State that the two rules on a grid of seconds share: the second in progress and the completed samples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tapewatch.detect.kernels import SAMPLE, SECOND, writable
from tapewatch.detect.rule import RuleState, Work, drain

QUEUES = {"second": SECOND, "samples": SAMPLE}


def lacking(state: RuleState, wanted: int) -> bool:
    """Tell whether there are fewer completed samples than a rule wants."""
    return len(state.queues["samples"]) // SAMPLE.itemsize < wanted


def scan(
    loop: Callable[..., tuple[int, int]], work: Work, state: RuleState, keep: int, params: tuple[Any, ...]
) -> bytes:
    """Run a rule's loop over one lane's new rows and keep the last `keep` samples.

    A second is completed by the first trade of a later one, which sees it as completed.
    """
    second = writable(state.queues["second"] or bytes(SECOND.itemsize), SECOND)
    taken = work.scratch.room("samples", state.queues["samples"], SAMPLE, len(work.row))
    ends = np.array([0, len(state.queues["samples"]) // SAMPLE.itemsize], dtype=np.int64)
    columns = (*work[:6], work.pieces.first, work.pieces.low, work.pieces.high)
    events = drain(
        lambda start: loop(*columns, start, *params, second, taken, ends, state.slots, work.events),
        work,
        len(work.pieces.first) - 1,
    )
    state.queues["second"] = second.tobytes()
    state.queues["samples"] = taken[max(ends[0], ends[1] - keep) : ends[1]].tobytes()
    return events
