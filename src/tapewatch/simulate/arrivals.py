"""When aggressors arrive: clustered, and livelier in some minutes than in others.

A second and a rate in, sorted event times in whole microseconds out. Arrivals excite further arrivals
(a branching process, the cluster view of a Hawkes process), and the rate itself follows a slow
log-normal autoregression, so counts are overdispersed at every scale, as on real tapes.

Source: Hawkes & Oakes (1974), "A cluster process representation of a self-exciting process".
"""

import math

import numpy as np
from numpy.typing import NDArray

from tapewatch.model import NS

CLUSTER_MEAN = 2.5
"""Arrivals in a cluster on average, its first one included."""

_ECHO_NS = 120e6  # mean delay of an excited arrival behind its cluster's first
_MICROSECOND = 1_000


def busy_share(arrivals_per_s: float) -> float:
    """Share of seconds with at least one arrival, from below.

    Examples
    --------
    >>> round(busy_share(4.0), 2), round(busy_share(0.8), 2)
    (0.8, 0.27)
    """
    return 1.0 - math.exp(-arrivals_per_s / CLUSTER_MEAN)


class Arrivals:
    """Arrival times of one product, second after second.

    Parameters
    ----------
    rng
        Drawn from in a fixed order, so the same generator gives the same times.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pending = np.empty(0, dtype=np.int64)  # excited arrivals that fell behind the end of their second

    def second(self, start_ns: int, arrivals_per_s: float) -> NDArray[np.int64]:
        """Draw the arrivals of one second.

        Parameters
        ----------
        start_ns
            Start of the second, ns; seconds are asked for in ascending order.
        arrivals_per_s
            Mean number of arrivals of a second like this one.

        Returns
        -------
        NDArray
            Shape (n,), int64 ns, strictly ascending, whole microseconds within the second.
        """
        rng = self._rng
        firsts = start_ns + rng.random(rng.poisson(arrivals_per_s / CLUSTER_MEAN)) * NS
        echoes = rng.geometric(1.0 / CLUSTER_MEAN, len(firsts)) - 1
        delays = rng.exponential(_ECHO_NS, int(echoes.sum()))
        times = np.concatenate(
            [self._pending, firsts.astype(np.int64), (np.repeat(firsts, echoes) + delays).astype("i8")]
        )
        later = times >= start_ns + NS
        self._pending = times[later]
        return np.unique(times[~later] // _MICROSECOND * _MICROSECOND)
