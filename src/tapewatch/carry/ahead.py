"""A tape is read while what was read before is worked on: blocks in, the same blocks out."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tapewatch.model import Rows

BLOCKS = 8


def ahead(tape: Iterable[Rows], most: int = BLOCKS) -> Iterator[Rows]:
    """Read a tape in a thread of its own, from now on, at most so many blocks ahead of who iterates.

    Unpacking and parsing run outside of Python's lock, so they cost the other thread little. Whatever reading
    raises is raised at its place in the tape.

    Examples
    --------
    >>> [len(rows.data) for rows in ahead([Rows.empty(), Rows.empty()])]
    [0, 0]
    """
    blocks = iter(tape)
    pool = ThreadPoolExecutor(1, thread_name_prefix="tape")
    pending = deque(pool.submit(next, blocks, None) for _ in range(most))

    def read() -> Iterator[Rows]:
        try:
            while (rows := pending.popleft().result()) is not None:
                pending.append(pool.submit(next, blocks, None))
                yield rows
        finally:
            pool.shutdown(cancel_futures=True)

    return read()
