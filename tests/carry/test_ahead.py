"""Reading ahead changes nothing but the time."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.rows import any_rows
from support.tapes import told
from tapewatch.carry.ahead import ahead
from tapewatch.errors import TapeError
from tapewatch.model import Lane, Rows

BLOCK = Rows.of([Lane("a", "b")], [(1, 2, 3, 4, 5, 6.5, 7, 0, 1, -1, 2)])


@given(st.lists(any_rows(most=3), max_size=12), st.integers(1, 4))
@settings(max_examples=30)
def test_the_same_blocks_in_the_same_order(parts, most):
    with ahead(parts, most) as blocks:
        assert repr(told(blocks)) == repr(told(parts))


def test_an_error_comes_at_its_place():
    def tape() -> Iterator[Rows]:
        yield BLOCK
        yield BLOCK
        raise TapeError("here")

    with ahead(tape()) as blocks:
        assert len([next(blocks), next(blocks)]) == 2
        with pytest.raises(TapeError, match="here"):
            next(blocks)


def test_it_begins_at_once_and_stays_within_its_bound():
    begun, read = threading.Event(), []

    def tape() -> Iterator[Rows]:
        while True:
            begun.set()
            read.append(BLOCK)
            yield BLOCK

    with ahead(tape(), most=3) as blocks:
        assert begun.wait(10)
        for _ in range(20):
            next(blocks)
            assert len(read) <= 20 + 3
    assert len(read) <= 20 + 3


def test_leaving_ends_the_thread():
    with ahead([BLOCK] * 100, most=2) as blocks:
        next(blocks)
        assert any(thread.name.startswith("tape") for thread in threading.enumerate())
    assert not any(thread.name.startswith("tape") for thread in threading.enumerate())
