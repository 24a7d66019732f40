"""A tape is read while what was read before is worked on: blocks in, the same blocks out."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tapewatch.model import Rows

BLOCKS = 8


@contextmanager
def ahead(tape: Iterable[Rows], most: int = BLOCKS) -> Iterator[Iterator[Rows]]:
    """Read a tape in a thread of its own, from now on, at most so many blocks ahead of who iterates.

    Unpacking and parsing run outside of Python's lock, so they cost the other thread little. Whatever reading
    raises is raised at its place in the tape. Leaving the context ends the reading.

    Examples
    --------
    >>> with ahead([Rows.empty(), Rows.empty()]) as blocks:
    ...     [len(rows.data) for rows in blocks]
    [0, 0]
    """
    source = iter(tape)
    pool = ThreadPoolExecutor(1, thread_name_prefix="tape")
    pending = deque(pool.submit(next, source, None) for _ in range(most))

    def blocks() -> Iterator[Rows]:
        while (rows := pending.popleft().result()) is not None:
            pending.append(pool.submit(next, source, None))
            yield rows

    try:
        yield blocks()
    finally:
        pool.shutdown(cancel_futures=True)
