"""From frame received to row committed: times in, percentiles over the last seconds out."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from tapewatch import telemetry
from tapewatch.model import NS

WINDOW_NS = 60 * NS
"""How far the percentiles look back."""

REFRESH_NS = NS
"""How often they are computed anew."""

MS_NS = 1_000_000


class Latency:
    """Percentiles over a sliding window.

    Attributes
    ----------
    p50_ms, p99_ms
        None until something was committed.
    """

    def __init__(self) -> None:
        self.p50_ms: float | None = None
        self.p99_ms: float | None = None
        self._window: deque[tuple[int, NDArray[np.int64]]] = deque()
        self._refreshed_ns = 0

    def add(self, received: NDArray[np.int64], committed_ns: int) -> None:
        """Note a commit and the receive times of the frames in it, ns."""
        if len(received) == 0:
            return
        waited = committed_ns - received
        for seconds in (waited / NS).tolist():
            telemetry.LATENCY_SECONDS.observe(seconds)
        self._window.append((committed_ns, waited))
        if committed_ns - self._refreshed_ns >= REFRESH_NS:
            self._refreshed_ns = committed_ns
            while self._window[0][0] < committed_ns - WINDOW_NS:
                self._window.popleft()
            p50, p99 = np.percentile(np.concatenate([part for _, part in self._window]), [50, 99]).tolist()
            self.p50_ms, self.p99_ms = round(p50 / MS_NS, 1), round(p99 / MS_NS, 1)
