"""What is traded: real increments, and one clear line for a symbol that is not there."""

import csv
import gzip
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from tapewatch.errors import ConfigError
from tapewatch.simulate.products import DELISTED, PRODUCTS, choose, record


def test_at_least_ten_products_each_once() -> None:
    assert len(PRODUCTS) >= 10
    assert len({product.id for product in PRODUCTS}) == len(PRODUCTS)


def test_an_increment_is_small_beside_the_price() -> None:
    for product in PRODUCTS:
        assert 1 / product.ticks_per_unit / product.level < 5e-4, product.id


def test_no_symbols_means_all_and_order_is_kept() -> None:
    assert choose(()) == PRODUCTS
    assert [product.id for product in choose(["ETH-USD", "BTC-USD"])] == ["ETH-USD", "BTC-USD"]


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        (["BTC-USB"], "'BTC-USB' is not simulated; expected one like BTC-USD"),
        (["eth-usd"], "'eth-usd' is not simulated; did you mean ETH-USD?"),
        (["YFI-USD"], "'YFI-USD' is not simulated"),
        (["BTC-USD", "BTC-USD"], "'BTC-USD' is named twice"),
    ],
)
def test_a_wrong_symbol_is_one_clear_line(symbols: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=r"^symbols: ") as caught:
        choose(symbols)
    assert words in str(caught.value)


def test_a_record_shows_increments_as_strings() -> None:
    doge = record(choose(["DOGE-USD"])[0])
    assert (doge["quote_increment"], doge["base_increment"]) == ("0.00001", "0.1")
    assert (doge["status"], doge["trading_disabled"]) == ("online", False)
    assert (record(DELISTED[0])["status"], record(DELISTED[0])["trading_disabled"]) == ("delisted", True)


def decimals(text: str) -> int:
    exponent = Decimal(text).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def test_increments_are_those_of_the_recorded_tapes(shared: Path) -> None:
    compared = 0
    for product in PRODUCTS:
        path = shared / "cascade-2025-10-10" / f"coinbase_trades_2025-10-10_{product.id}.csv.gz"
        if not path.exists():
            continue
        with gzip.open(path, "rt", newline="") as file:
            lines = list(islice(csv.DictReader(file), 20_000))
        assert max(decimals(line["price"]) for line in lines) == product.price_decimals, product.id
        assert max(decimals(line["amount"]) for line in lines) == product.size_decimals, product.id
        compared += 1
    assert compared == 4
