"""Arrivals are bursty, in order, and lose nothing between two seconds."""

import numpy as np
import pytest

from tapewatch.model import NS
from tapewatch.simulate.arrivals import Arrivals, busy_share

SEED = 20260707


def draw(rate: float, seconds: int) -> list[np.ndarray]:
    arrivals = Arrivals(np.random.default_rng(SEED))
    return [arrivals.second(second * NS, rate) for second in range(seconds)]


def test_times_lie_in_their_second_ascending_in_whole_microseconds() -> None:
    for second, times in enumerate(draw(20.0, 50)):
        assert np.all((times >= second * NS) & (times < (second + 1) * NS))
        assert np.all(np.diff(times) > 0)
        assert np.all(times % 1000 == 0)


@pytest.mark.parametrize("rate", [0.8, 4.0, 300.0])
def test_the_mean_is_the_rate_and_counts_are_overdispersed(rate: float) -> None:
    counts = np.array([len(times) for times in draw(rate, 4000)])
    # A cluster's size has mean 2.5 and variance 3.75: a count's variance is (2.5² + 3.75)/2.5 = 4 times its mean.
    assert counts.mean() == pytest.approx(rate, abs=5 * np.sqrt(4 * rate / len(counts)))
    assert 2.5 < counts.var() / counts.mean() < 4.5


def test_echoes_of_the_end_of_a_second_come_in_the_next() -> None:
    rng = np.random.default_rng(SEED)
    arrivals = Arrivals(rng)
    arrivals.second(0, 1000.0)
    assert len(arrivals.second(NS, 0.0)) > 0


def test_the_share_of_busy_seconds_is_a_lower_bound() -> None:
    busy = np.mean([len(times) > 0 for times in draw(2.0, 4000)])
    assert 0.5 < busy_share(2.0) < busy
