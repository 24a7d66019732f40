"""Prints of aggressors: how many, how deep, how large."""

import numpy as np
import pytest

from tapewatch.simulate import sweeps
from tapewatch.simulate.products import PRODUCTS, Product, choose


@pytest.fixture(params=[11], ids=lambda seed: f"seed{seed}")
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def test_most_aggressors_leave_one_print_and_a_few_leave_many(rng: np.random.Generator) -> None:
    counts = sweeps.print_counts(rng, 200_000)
    assert counts.min() == 1
    assert counts.max() == 40
    assert counts.mean() == pytest.approx(sweeps.PRINTS_MEAN, rel=0.02)
    # P(n ≥ 2) = 2 ** -1.9 = 0.268, P(n ≥ 10) = 10 ** -1.9 = 0.0126
    assert np.mean(counts >= 2) == pytest.approx(0.268, abs=0.005)
    assert np.mean(counts >= 10) == pytest.approx(0.0126, abs=0.001)


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.id)
def test_a_sweep_begins_at_the_touch_and_never_turns_back(product: Product, rng: np.random.Generator) -> None:
    counts = sweeps.print_counts(rng, 5000)
    ticks = product.level * product.ticks_per_unit
    level = sweeps.levels(rng, product, counts, ticks)
    first = np.cumsum(counts) - counts
    assert np.all(level[first] == 0)
    inside = np.setdiff1d(np.arange(1, len(level)), first)
    assert np.all(level[inside] >= level[inside - 1])
    assert level.max() <= 1.2e-4 * ticks


def test_sweeps_of_a_fine_increment_do_reach_deeper_levels(rng: np.random.Generator) -> None:
    bitcoin = choose(["BTC-USD"])[0]
    counts = np.full(100, 20)
    level = sweeps.levels(rng, bitcoin, counts, bitcoin.level * bitcoin.ticks_per_unit)
    assert np.mean(level[19::20] > 0) > 0.9


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.id)
def test_sizes_are_heavy_tailed_multiples_of_the_increment(product: Product, rng: np.random.Generator) -> None:
    size = sweeps.sizes(rng, product, np.full(50_000, product.level))
    assert size.min() > 0
    assert np.all(size % 10 ** (8 - product.size_decimals) == 0)
    median, far = np.quantile(size, [0.5, 0.99])
    assert far > 100 * median
