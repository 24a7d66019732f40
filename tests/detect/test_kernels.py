"""What the loops take for granted: bounds that hold the exact σ between them, and a numba that counts no references."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from tapewatch.detect import kernels
from tapewatch.detect.kernels import SAMPLE, SECOND
from tapewatch.model import PRICE_MAX, PRICE_SCALE

HIGHEST = PRICE_MAX * PRICE_SCALE
COUNT_MAX = 90


def near(base: int) -> st.SearchStrategy[list[int]]:
    """Draw seconds that hardly move, where the squares of returns and prices nearly cancel."""
    moves = st.lists(st.integers(-3, 3), min_size=3, max_size=COUNT_MAX + 1)
    return moves.map(lambda all_moves: [min(max(base + move, 1), HIGHEST) for move in all_moves])


anything = st.lists(st.integers(1, HIGHEST), min_size=3, max_size=COUNT_MAX + 1)
seconds = st.one_of(anything, st.integers(1, HIGHEST).flatmap(near), st.sampled_from((1, 10**6, HIGHEST)).flatmap(near))


def taken(prices: list[int]) -> NDArray[np.void]:
    """Complete one second for each price."""
    second, samples = np.zeros(1, SECOND), np.zeros(len(prices), SAMPLE)
    for number, price in enumerate(prices):
        second[0]["price"] = price
        kernels.complete_second(second, samples, 0, number)
    return samples


def decided_alike(exact: float, bounds: tuple[float, float], sigmas: float, ulps: int) -> None:
    """Hold what the bounds decide of sizes around the limit, and far from it, against the exact σ."""
    at_least, at_most = bounds
    assert at_least <= exact <= at_most
    limit = sigmas * exact
    edges = (limit, sigmas * at_least, sigmas * at_most)
    for size in (*edges, *(edge + ulps * math.ulp(edge) for edge in edges), 0.5 * limit, 2.0 * limit):
        if size < sigmas * at_least:
            assert size < limit, "too small by the bound, so too small"
        if size >= sigmas * at_most:
            assert size >= limit, "large enough by the bound, so large enough"


sigmas_and_ulps = {"sigmas": st.floats(0.1, 100), "ulps": st.integers(-4, 4)}


@settings(max_examples=300, deadline=None)
@given(prices=seconds, **sigmas_and_ulps)
@example(prices=[HIGHEST] * 91, sigmas=3.0, ulps=-1)
@example(prices=[1, HIGHEST] * 45, sigmas=3.0, ulps=1)
def test_bounds_of_returns_decide_like_the_exact_sigma(prices: list[int], sigmas: float, ulps: int) -> None:
    samples, tail, count = taken(prices), len(prices), len(prices) - 1
    exact = kernels.sigma_of_returns(samples, tail, count)
    decided_alike(exact, kernels.bounds_of_returns(samples, tail, count), sigmas, ulps)


@settings(max_examples=300, deadline=None)
@given(prices=seconds, **sigmas_and_ulps)
@example(prices=[HIGHEST] * 90, sigmas=2.0, ulps=-1)
@example(prices=[1, HIGHEST] * 45, sigmas=2.0, ulps=1)
def test_bounds_of_prices_decide_like_the_exact_sigma(prices: list[int], sigmas: float, ulps: int) -> None:
    prices = prices[:COUNT_MAX]
    samples, count = taken(prices), len(prices)
    exact = kernels.sigma_of_prices(samples, count, count)
    decided_alike(exact, kernels.bounds_of_prices(samples, count, count, sum(prices)), sigmas, ulps)


@pytest.mark.parametrize("step", [0.001, 0.01, 0.1])
def test_bounds_are_close_where_seconds_move(step: float) -> None:
    """Bounds that decide nothing would hold as well."""
    samples = taken([int(10**15 * (1 + step * math.sin(number))) for number in range(61)])
    low, high = kernels.bounds_of_returns(samples, 61, 60)
    assert high - low < 1e-6 * kernels.sigma_of_returns(samples, 61, 60)
    low, high = kernels.bounds_of_prices(samples, 61, 60, int(samples["price"][1:].sum()))
    assert high - low < 1e-6 * kernels.sigma_of_prices(samples, 61, 60)


def test_this_numba_compiles_without_counting_references() -> None:
    """`_nrt` is a private option: a numba that refuses it, or takes no notice of it, fails here and says why."""

    @njit(cache=False, **{name: value for name, value in kernels._OPTIONS.items() if name != "cache"})
    def inner(values: NDArray[np.int64], other: NDArray[np.int64]) -> int:
        return int(values[0] + other[0])

    @njit(cache=False, **{name: value for name, value in kernels._OPTIONS.items() if name != "cache"})
    def outer(values: NDArray[np.int64]) -> int:
        return int(inner(values, values))

    try:
        assert outer(np.ones(1, np.int64)) == 2
    except KeyError as error:
        pytest.fail(f"this numba lacks the option `_nrt` that kernels are compiled with: {error}")
    (compiled,) = outer.inspect_llvm().values()
    assert "NRT_incref" not in compiled, "this numba ignores `_nrt`: kernels count references and lose half their speed"
