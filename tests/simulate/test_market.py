"""A seed determines the market, and its tape moves as recorded ones do."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from support.recorded import cascade
from support.simulated import START_NS, prices, prints_of, trade
from tapewatch.model import NS, PRICE_SCALE, Kind
from tapewatch.simulate.market import Block, Market, Pace, Weather
from tapewatch.simulate.products import PRODUCTS, choose


def same(one: list[Block], other: list[Block]) -> bool:
    return [(b.prints.tobytes(), b.labels, b.muted) for b in one] == [
        (b.prints.tobytes(), b.labels, b.muted) for b in other
    ]


def test_the_same_seed_and_start_give_the_same_tape() -> None:
    assert same(trade(Market(PRODUCTS, 7, START_NS), 40), trade(Market(PRODUCTS, 7, START_NS + 1), 40))
    assert not same(trade(Market(PRODUCTS, 7, START_NS), 40), trade(Market(PRODUCTS, 8, START_NS), 40))


def test_a_later_start_gives_the_same_market_later_with_ids_of_its_own() -> None:
    now, later = (trade(Market(PRODUCTS, 7, START_NS + wait * NS), 30) for wait in (0, 100))
    for one, other in zip(now, later, strict=True):
        assert one.prints["ticks"].tolist() == other.prints["ticks"].tolist()
        assert (one.prints["ts"] + 100 * NS).tolist() == other.prints["ts"].tolist()
    last = {i: prints_of(now, i)["trade_id"][-1] for i in range(len(PRODUCTS))}
    assert all(prints_of(later, i)["trade_id"][0] > last[i] for i in last)
    assert all(prints_of(later, i)["sequence"][0] > prints_of(now, i)["sequence"][-1] for i in last)


def test_a_product_does_not_depend_on_its_neighbours() -> None:
    alone = trade(Market(choose(["ETH-USD"]), 7, START_NS, planted=False), 30)
    among = trade(Market(PRODUCTS, 7, START_NS, planted=False), 30)
    names = [name for name in alone[0].prints.dtype.names or () if name != "product"]
    assert prints_of(alone, 0)[names].tolist() == prints_of(among, 1)[names].tolist()


def test_ids_are_contiguous_and_sequences_rise_with_jumps() -> None:
    market = Market(PRODUCTS, 3, START_NS)
    blocks = market.blocks()
    drawn = [next(blocks) for _ in range(160)]
    for i in range(len(PRODUCTS)):
        prints = prints_of(drawn, i)
        assert np.all(np.diff(prints["trade_id"]) == 1), "from the past into the present"
        steps = np.diff(prints["sequence"])
        swept = np.diff(prints["taker"]) == 0
        assert np.all(steps[swept] == 2)
        assert np.all(steps[~swept] >= 3)
        assert steps.max() > 100


def test_a_block_is_one_second_in_order_and_holds_each_products_prints() -> None:
    for block in trade(Market(PRODUCTS, 3, START_NS), 40):
        assert np.all(np.diff(block.prints["ts"]) >= 0)
        assert np.all((block.prints["ts"] >= block.start_ns) & (block.prints["ts"] < block.start_ns + NS))
        assert np.all(block.prints["ts"] % 1000 == 0)
        for i, prints in enumerate(block.by_product):
            assert block.prints[block.prints["product"] == i].tolist() == prints.tolist()


def test_labels_come_with_the_second_in_which_they_start() -> None:
    found = [(block.start_ns, label) for block in trade(Market(PRODUCTS, 3, START_NS), 240) for label in block.labels]
    assert found[0][1].kind == "flash_crash"
    assert len(found) >= 2
    assert all(start_ns <= label.start_ts < start_ns + NS for start_ns, label in found)


class Character(NamedTuple):
    """What a tape is like, whatever its price and its pace.

    Attributes
    ----------
    bounce
        First autocorrelation of the returns from one aggressor's last print to the next one's.
    unchanged
        Share of trades at the price of the one before.
    sweep
        Prints of one time on average.
    burstiness
        Standard deviation of the time between aggressors over its mean; 1 for a Poisson process.
    dispersion
        Variance of the trades in a second over their mean; 1 for a Poisson process.
    kurtosis
        Of the returns over a second; 3 for a normal distribution.
    clustering
        First autocorrelation of the absolute returns over a second.
    """

    bounce: float
    unchanged: float
    sweep: float
    burstiness: float
    dispersion: float
    kurtosis: float
    clustering: float


def character(ts: np.ndarray, price: np.ndarray) -> Character:
    times, prints = np.unique(ts, return_counts=True)
    aggressors = np.diff(np.log(price[np.cumsum(prints) - 1]))
    waits = np.diff(times)
    second = ts // NS
    grid = np.arange(second[0], second[-1] + 1)
    returns = np.diff(np.log(price[np.searchsorted(second, grid, side="right") - 1]))
    counts = np.bincount(second - second[0])
    size = np.abs(returns)
    return Character(
        bounce=np.corrcoef(aggressors[:-1], aggressors[1:])[0, 1],
        unchanged=np.mean(np.diff(price) == 0),
        sweep=prints.mean(),
        burstiness=waits.std() / waits.mean(),
        dispersion=counts.var() / counts.mean(),
        kurtosis=((returns - returns.mean()) ** 4).mean() / returns.var() ** 2,
        clustering=np.corrcoef(size[:-1], size[1:])[0, 1],
    )


def assert_like_a_market(found: Character) -> None:
    assert -0.5 < found.bounce < -0.02, found
    assert 0.2 < found.unchanged < 0.8, found
    assert 1.5 < found.sweep < 2.3, found
    assert 1.5 < found.burstiness < 5, found
    assert found.dispersion > 4, found
    assert found.kurtosis > 5, found
    assert found.clustering > 0.02, found


SEEDS = (1, 2)
LARGEST = PRODUCTS[:5]


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed{seed}")
def calm(request: pytest.FixtureRequest) -> list[Block]:
    return trade(Market(LARGEST, request.param, START_NS, planted=False), 1500)


@pytest.mark.parametrize("index", range(len(LARGEST)), ids=[product.id for product in LARGEST])
def test_a_simulated_tape_is_like_a_market(calm: list[Block], index: int) -> None:
    prints = prints_of(calm, index)
    assert_like_a_market(character(prints["ts"], prices(prints, PRODUCTS[index])))


@pytest.mark.parametrize("symbol", ["BCH-USD", "ATOM-USD"])
def test_so_is_a_recorded_one(shared: Path, symbol: str) -> None:
    rows = cascade(shared, symbol).data
    rows = rows[rows["kind"] == Kind.TRADE]
    rows = rows[np.argsort(rows["trade_id"])]
    assert_like_a_market(character(np.maximum.accumulate(rows["ts"]), rows["price"] / PRICE_SCALE))


def test_no_shuffle_of_its_returns_clusters_as_much(calm: list[Block]) -> None:
    """The measure of clustering would notice a market without memory."""
    rng = np.random.default_rng(1)
    sizes = []
    for index, product in enumerate(LARGEST):
        prints = prints_of(calm, index)
        last = prices(prints, product)[np.nonzero(np.diff(prints["ts"] // NS))[0]]
        sizes.append(np.abs(np.diff(np.log(last))))

    def clustering(series: list[np.ndarray]) -> float:
        return float(np.mean([np.corrcoef(size[:-1], size[1:])[0, 1] for size in series]))

    shuffles = [clustering([rng.permutation(size) for size in sizes]) for _ in range(40)]
    assert clustering(sizes) > max(shuffles)


def test_bitcoin_moves_less_than_thirty_dollars_in_ten_seconds_when_calm(calm: list[Block]) -> None:
    prints = prints_of(calm, 0)
    second, price = prints["ts"] // NS, prices(prints, PRODUCTS[0])
    grid = np.arange(second[0], second[-1] + 1)
    last = price[np.searchsorted(second, grid, side="right") - 1]
    windows = np.lib.stride_tricks.sliding_window_view(last, 11)
    moves = windows.max(axis=1) - windows.min(axis=1)
    assert np.mean(moves < 30) > 0.995
    assert np.median(moves) > 2, "and yet it moves"


@pytest.mark.parametrize("rate", [1_000.0, 5_000.0])
def test_a_rate_is_kept_over_all_products(rate: float) -> None:
    blocks = trade(Market(PRODUCTS[:10], 7, START_NS, pace=Pace(rate=rate), planted=False), 30)
    assert sum(len(block.prints) for block in blocks) / 30 == pytest.approx(rate, rel=0.1)


def test_bursts_come_on_request() -> None:
    pace = Pace(rate=500.0, burst_rate=4000.0, burst_s=3, burst_every_s=10)
    counts = [len(block.prints) for block in trade(Market(PRODUCTS[:10], 7, START_NS, pace=pace, planted=False), 30)]
    burst = [10, 11, 12, 20, 21, 22]
    assert np.mean([counts[n] for n in burst]) == pytest.approx(4000, rel=0.15)
    assert np.mean([count for n, count in enumerate(counts) if n not in burst]) == pytest.approx(500, rel=0.15)


@pytest.mark.parametrize("seconds", [1, 5, 60])
@pytest.mark.parametrize("rate", [None, 400.0])
def test_a_restart_never_names_an_id_again(seconds: int, rate: float | None) -> None:
    first, again = (
        trade(Market(PRODUCTS[:4], 7, START_NS + wait * NS, pace=Pace(rate=rate), past_s=5), seconds + 1)
        for wait in (0, seconds + 1)
    )
    for i in range(4):
        old, new = prints_of(first, i), prints_of(again, i)
        if len(old) and len(new):
            assert new["trade_id"][0] > old["trade_id"][-1]
            assert new["sequence"][0] > old["sequence"][-1]


def test_volatility_has_slow_moods_and_seconds_of_their_own() -> None:
    weather = Weather(np.random.default_rng(SEEDS[0]), steady=False)
    volatility, activity = np.log(np.array([weather.second() for _ in range(30_000)]).T)
    assert np.exp(2 * volatility).mean() == pytest.approx(1.0, rel=0.2)
    assert np.exp(activity).mean() == pytest.approx(1.0, rel=0.2)
    # Half the logarithm of a χ² with 6 degrees of freedom has variance ψ'(3)/4 = 0.0987; twice that for a difference.
    assert np.diff(volatility).var() == pytest.approx(2 * 0.0987, rel=0.15)
    assert np.corrcoef(volatility[:-1], volatility[1:])[0, 1] > 0.5
    assert np.corrcoef(activity[:-60], activity[60:])[0, 1] > 0.3
    assert np.corrcoef(volatility, activity)[0, 1] > 0.3
