"""What an aggressor leaves on the tape: one print or many, up or down the book, in heavy-tailed sizes.

Aggressors in, their prints' counts, levels and sizes out; all arrays, no state.
"""

import numpy as np
from numpy.typing import NDArray

from tapewatch.simulate.products import Product

PRINTS_MEAN = 1.71
"""Prints of an aggressor on average."""

_PRINTS_TAIL = 1.9  # P(prints ≥ n) = n ** -1.9; recorded tapes show 1.6 to 1.9 prints on average
_PRINTS_MAX = 40
_LEVEL_SHARE = 0.35  # prints of a sweep that reach the book's next level
_REACH_BP = 1.2  # how deep a sweep goes at most; behind a coarse increment the touch is never exhausted
_NOTIONAL_MEDIAN = 60.0  # of one print, in the quote currency
_NOTIONAL_SPREAD = 2.4  # standard deviation of its logarithm: the 99th percentile is 266 times the median
_ROUND_SHARE = 0.25  # prints of a size that a person would type


def print_counts(rng: np.random.Generator, aggressors: int) -> NDArray[np.int64]:
    """Draw how many prints each aggressor leaves, shape (n,), 1 … 40, by a power law."""
    counts = (1.0 - rng.random(aggressors)) ** (-1.0 / _PRINTS_TAIL)
    return np.minimum(counts, _PRINTS_MAX).astype(np.int64)


def levels(rng: np.random.Generator, product: Product, counts: NDArray[np.int64], ticks: float) -> NDArray[np.int64]:
    """Draw how far behind the touch each print lies.

    Parameters
    ----------
    counts
        Prints of each aggressor, shape (n,).
    ticks
        Present price in increments.

    Returns
    -------
    NDArray
        Shape (sum of counts,), increments ≥ 0, not falling within an aggressor, 0 at its first print.
    """
    total = int(counts.sum())
    gaps = 1 + rng.exponential(product.depth_bp * 1e-4 * ticks, total).astype(np.int64)
    steps = np.where(rng.random(total) < _LEVEL_SHARE, gaps, 0)
    starts = np.cumsum(counts) - counts
    steps[starts] = 0
    walked = np.cumsum(steps)
    walked -= np.repeat(walked[starts], counts)
    level: NDArray[np.int64] = np.minimum(walked, int(_REACH_BP * 1e-4 * ticks))
    return level


def sizes(rng: np.random.Generator, product: Product, price: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw the size of each print in units of 1e-8, a multiple of the product's size increment.

    Parameters
    ----------
    price
        Of each print in the quote currency, shape (n,).
    """
    base = np.exp(rng.normal(np.log(_NOTIONAL_MEDIAN), _NOTIONAL_SPREAD, len(price))) / price
    magnitude = 10.0 ** np.floor(np.log10(base))
    typed = np.maximum(np.round(base / magnitude), 1.0) * magnitude
    base = np.where(rng.random(len(price)) < _ROUND_SHARE, typed, base)
    steps = np.maximum(np.rint(base * 10**product.size_decimals), 1).astype(np.int64)
    units: NDArray[np.int64] = steps * 10 ** (8 - product.size_decimals)
    return units
