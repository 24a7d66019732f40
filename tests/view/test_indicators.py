import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.view.indicators import bollinger


@given(
    st.lists(st.floats(1e-8, 1e5), min_size=1, max_size=60),
    st.integers(1, 30),
    st.floats(0, 4),
)
def test_each_window_has_its_mean_and_population_deviation(closes, bars, sigmas):
    bands = bollinger(np.array(closes), bars, sigmas)
    for i in range(len(closes)):
        window = closes[max(0, i - bars + 1) : i + 1]
        if len(window) < bars:
            assert np.isnan([bands.mean[i], bands.upper[i], bands.lower[i]]).all()
            continue
        mean, half = statistics.fmean(window), sigmas * statistics.pstdev(window)
        assert bands.mean[i] == pytest.approx(mean)
        assert bands.upper[i] == pytest.approx(mean + half, abs=1e-6 * mean)
        assert bands.lower[i] == pytest.approx(mean - half, abs=1e-6 * mean)


def test_no_bars_no_bands():
    assert all(len(line) == 0 for line in bollinger(np.array([])))


def test_by_hand():
    bands = bollinger(np.array([1.0, 2.0, 3.0, 4.0]), bars=4, sigmas=2)
    assert bands.mean[3] == 2.5
    assert bands.upper[3] == pytest.approx(2.5 + 2 * 1.25**0.5)
