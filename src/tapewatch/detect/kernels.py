"""Compiled numerics that rules share: exact shares of prices, samples of seconds.

One source serves twice: numba compiles it, and with ``NUMBA_DISABLE_JIT=1`` the same lines run as
plain Python. No fastmath: sums keep their order, products are not fused (see `docs/decisions`).
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tapewatch.model import NS, PRICE_SCALE

F = TypeVar("F", bound=Callable[..., Any])

NEVER = np.int64(np.iinfo(np.int64).min)
"""A time before all times."""

FOREVER = 2**63 - 1
"""A time after all times; a move that no move reaches."""

SAMPLE = np.dtype([("price", "i8"), ("ts", "i8"), ("change", "f8")])
"""Last price of a completed second, the effective time of its trade, and the return from the sample before."""

SECOND = np.dtype([("price", "i8"), ("ts", "i8"), ("end", "i8")])
"""The second in progress: last price, its time, and the first ns of the next second (0: none in progress)."""


_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
"""Kernels allocate nothing, so they need no reference counts (`_nrt`): numba would count those of arrays with locked
instructions at every call between kernels, which cost more than the loops themselves."""


def kernel(function: F) -> F:
    """Compile a plain loop, cached on disk, without the interpreter's lock."""
    return cast("F", njit(**_OPTIONS)(function))


@kernel
def ceil_share(value: int, num: int, den: int) -> int:
    """⌈value · num / den⌉ without overflow: the product is split by quotient and remainder."""
    quotient = value // den
    return quotient * num + ((value - quotient * den) * num + den - 1) // den


@kernel
def reaches(move: int, value: int, limit: int, num: int, den: int, share: float) -> bool:
    """Compare a move with a fixed limit, or with den > 0 with ⌈value · num / den⌉, exactly.

    `share` is num/den in float64. It decides nearly every row without the exact limit's divisions:
    the margin of 1e-12 is thousands of times the rounding of the operations.
    """
    if den == 0:
        return move >= limit
    near = share * float(value)
    if float(move) < near * (1.0 - 1e-12):
        return False
    if float(move) > near * (1.0 + 1e-12):
        return True
    return move >= ceil_share(value, num, den)


@kernel
def least_of(value: int, limit: int, den: int, share: float) -> int:
    """Find a move below which `reaches` is false for `value` and everything above it."""
    return limit if den == 0 else int(share * float(value) * (1.0 - 1e-12))


@kernel
def limit_of(spread: float, base: float, floor_units: int, num: int, den: int) -> float:
    """Print the larger of so many σ and the floor, both in units of 1e-10, in the quote currency."""
    floor = base * float(num) / float(den) if den != 0 else float(floor_units)
    return max(spread, floor) / float(PRICE_SCALE)


@kernel
def complete_second(second: NDArray[np.void], samples: NDArray[np.void], head: int, tail: int) -> int:
    """Turn the second in progress into a sample, the newest of head … tail; return the new tail."""
    price = second[0]["price"]
    samples[tail]["price"] = price
    samples[tail]["ts"] = second[0]["ts"]
    samples[tail]["change"] = float(price) / float(samples[tail - 1]["price"]) - 1.0 if tail > head else 0.0
    second[0]["end"] = 0
    return tail + 1


@kernel
def enter_second(second: NDArray[np.void], price: int, ts: int) -> None:
    """Make a trade the last one of the second in progress."""
    second[0]["price"] = price
    second[0]["ts"] = ts
    if second[0]["end"] == 0:
        second[0]["end"] = (ts // NS + 1) * NS


@kernel
def sigma_of_returns(samples: NDArray[np.void], tail: int, returns: int) -> float:
    """Compute the population standard deviation of the last `returns` returns between consecutive samples.

    Two passes, float64, plain addition from oldest to newest.
    """
    first = tail - returns
    total = 0.0
    for k in range(first, tail):
        total += samples[k]["change"]
    mean = total / returns
    squares = 0.0
    for k in range(first, tail):
        d = samples[k]["change"] - mean
        squares += d * d
    return float(np.sqrt(squares / returns))


@kernel
def sigma_of_prices(samples: NDArray[np.void], tail: int, count: int) -> float:
    """Compute the population standard deviation of the last `count` samples, in units of 1e-10.

    Two passes, float64, plain addition from oldest to newest.
    """
    total = 0.0
    for k in range(tail - count, tail):
        total += float(samples[k]["price"])
    mean = total / count
    squares = 0.0
    for k in range(tail - count, tail):
        d = float(samples[k]["price"]) - mean
        squares += d * d
    return float(np.sqrt(squares / count))


# The exact σ waits for one addition after another. Most rows stand clearly above or below it, and
# bounds of it, from four sums at a time, decide those; their margins are a thousand times what rounding can do.


@kernel
def bounds_of_returns(samples: NDArray[np.void], tail: int, returns: int) -> tuple[float, float]:
    """Find two numbers that `sigma_of_returns` lies between."""
    sums, squares = np.float64(0.0), np.float64(0.0)
    for k in range(tail - returns, tail):
        change = samples[k]["change"]
        sums += change
        squares += change * change
    mean, square = sums / returns, squares / returns
    variance, margin = square - mean * mean, 1e-12 * square
    return float(np.sqrt(max(variance - margin, 0.0))) * (1.0 - 1e-9), float(np.sqrt(variance + margin)) * (1.0 + 1e-9)


@kernel
def bounds_of_prices(samples: NDArray[np.void], tail: int, count: int, total: int) -> tuple[float, float]:
    """Find two numbers that `sigma_of_prices` lies between, given the sum of its samples."""
    even, odd = 0.0, 0.0
    for k in range(tail - count, tail - 1, 2):
        d, e = float(count * samples[k]["price"] - total), float(count * samples[k + 1]["price"] - total)
        even += d * d
        odd += e * e
    if count % 2 == 1:
        d = float(count * samples[tail - 1]["price"] - total)
        odd += d * d
    sigma = float(np.sqrt((even + odd) / count)) / count
    margin = 1e-12 * (float(total) / count)  # the exact one rounds each price to float64
    return max(sigma * (1.0 - 1e-9) - margin, 0.0), sigma * (1.0 + 1e-9) + margin


@kernel
def slide_sum(samples: NDArray[np.void], total: int, summed: int, tail: int, n: int) -> int:
    """Σ of the n samples before `tail`, given the sum of the n samples before `summed`."""
    if summed == tail - 1 and summed >= n:
        return total + samples[tail - 1]["price"] - samples[tail - 1 - n]["price"]  # type: ignore[no-any-return]
    total = 0
    for k in range(tail - n, tail):
        total += samples[k]["price"]
    return total


# Between the loops records are kept as bytes: numpy copies, joins and selects structured arrays field
# by field, which costs more than the loops themselves.


class Scratch:
    """Buffers that loops work in, one per name, reused from call to call.

    Fresh memory for each block would be cleared and mapped anew each time.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, bytearray] = {}

    def room(self, name: str, kept: bytes, dtype: np.dtype[np.void], more: int) -> NDArray[np.void]:
        """Put kept records to the front of a buffer with place for `more`; what lies behind them is anything."""
        size = len(kept) + more * dtype.itemsize
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name] = bytearray(2 * size)
        buffer[: len(kept)] = kept
        return np.frombuffer(buffer, dtype, size // dtype.itemsize)


def writable(records: bytes, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Copy records to an array that can be changed."""
    return np.frombuffer(bytearray(records), dtype)
