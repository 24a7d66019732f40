"""Bars become the lines that traders draw over them.

In: closes of consecutive bars. Out: arrays of the same length, NaN where there are too few bars yet.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Bands(NamedTuple):
    """A moving average and a band around it; each of shape (n,), float64, in the quote currency."""

    mean: NDArray[np.float64]
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]


def bollinger(closes: NDArray[np.float64], bars: int = 20, sigmas: float = 2.0) -> Bands:
    """Compute the moving average of closes and the band of `sigmas` population standard deviations around it.

    Parameters
    ----------
    closes
        Shape (n,), float64.
    bars
        Window, 1 … n; the bar itself is the last one in it.
    sigmas
        Half the band's width in standard deviations, ≥ 0.

    Notes
    -----
    Each window is taken by itself: running sums would lose the digits that matter on prices near 1e5.
    Source: J. Bollinger, Bollinger on Bollinger Bands (2001), which takes the population's deviation.
    """
    assert bars >= 1, "a window has at least one bar"
    mean = np.full(len(closes), np.nan)
    sigma = np.full(len(closes), np.nan)
    if len(closes) >= bars:
        windows = np.lib.stride_tricks.sliding_window_view(closes, bars)
        mean[bars - 1 :] = windows.mean(axis=1)
        sigma[bars - 1 :] = windows.std(axis=1)
    return Bands(mean, mean + sigmas * sigma, mean - sigmas * sigma)
