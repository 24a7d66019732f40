"""What is planted in the market, and when: a seeded, endless schedule of labelled anomalies.

Seed, start and products in; labels out. The first one shows within twenty seconds, then one comes every
one to three minutes on changing symbols.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from tapewatch.model import NS, Direction
from tapewatch.simulate.arrivals import busy_share
from tapewatch.simulate.plants import Kind, Label
from tapewatch.simulate.products import Product
from tapewatch.simulate.sweeps import PRINTS_MEAN

_FIRST_S = (15.0, 20.0)
_EVERY_S = (61.0, 179.0)  # one to three minutes, with room for rounding to a whole second
_APART_S = 75.0  # on one symbol, so that a plant does not stand in the samples of the next
_SAMPLES = 61  # completed seconds until the rules that need a history are armed

_KINDS: tuple[Kind, ...] = ("flash_crash", "jump", "slide", "volatility_regime", "fat_finger", "silence")

# Size (in the label's unit) and duration in seconds, both drawn evenly between two bounds. A silence takes all of a
# product's frames, its heartbeats too: long enough for `silent_feed`, and too short for a client of that product alone
# to take its connection for dead (`capture.silence_s`), so that it looks the same with one product or many.
_DRAWS: dict[Kind, tuple[tuple[float, float], tuple[float, float]]] = {
    "flash_crash": ((0.8, 2.2), (9.0, 12.0)),
    "jump": ((0.45, 1.0), (3.0, 3.0)),
    "slide": ((0.5, 0.5), (9.0, 9.0)),
    "volatility_regime": ((15.0, 18.0), (60.0, 75.0)),
    "fat_finger": ((1.5, 4.0), (0.0, 0.0)),
    "silence": ((6.0, 8.0), (0.0, 0.0)),
}

# Rules that see a plant of each kind for certain: with an empty history, and in addition with a full, calm one.
_SEEN: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "flash_crash": (("pct_spike", "abs_jump"), ("vol_breakout", "mean_reversion_break")),
    "jump": (("pct_spike", "abs_jump"), ("vol_breakout", "mean_reversion_break")),
    "slide": (("pct_spike", "abs_jump"), ("mean_reversion_break",)),
    "volatility_regime": (("abs_jump",), ("mean_reversion_break",)),
    "fat_finger": (("pct_spike", "abs_jump"), ("vol_breakout", "mean_reversion_break")),
    "silence": (("silent_feed",), ()),
}
_DOLLARS = "abs_jump"  # armed on bitcoin alone


class Scenario:
    """The schedule of one market; iterating yields labels in ascending order of their start, without end.

    Parameters
    ----------
    seed, products
        The same seed and products give the same schedule, moved to the start.
    start_ns
        When the market opens, ns, a whole second.

    Examples
    --------
    >>> from itertools import islice
    >>> from tapewatch.simulate.products import PRODUCTS
    >>> [(label.kind, label.symbol) for label in islice(Scenario(7, PRODUCTS, 0), 1)]
    [('flash_crash', 'BTC-USD')]
    """

    def __init__(self, seed: int, products: Sequence[Product], start_ns: int) -> None:
        self._rng = np.random.default_rng([seed, len(products)])
        self._products = {product.id: product for product in products}
        self._open_ns = start_ns
        self._ends = dict.fromkeys(self._products, start_ns)  # end of the last plant of each symbol

    def __iter__(self) -> Iterator[Label]:
        names = list(self._products)
        first = names.index("BTC-USD") if "BTC-USD" in names else 0
        kinds = self._deck(len(_KINDS), avoid=_KINDS.index("flash_crash"))
        symbols = self._deck(len(names), avoid=first)
        label = self._label("flash_crash", names[first], self._open_ns + self._draw_ns(_FIRST_S))
        while True:
            yield label
            symbol = names[next(symbols)]
            start_ns = max(label.start_ts + self._draw_ns(_EVERY_S), self._ends[symbol] + int(_APART_S * NS))
            label = self._label(_KINDS[next(kinds)], symbol, start_ns)

    def _label(self, kind: Kind, symbol: str, start_ns: int) -> Label:
        sizes, durations = _DRAWS[kind]
        size = round(self._rng.uniform(*sizes), 2)
        seconds = self._rng.uniform(*durations)
        direction: Direction | None = ("up", "down")[int(self._rng.integers(2))]
        if kind == "flash_crash":
            direction = "down"
        elif kind in {"silence", "volatility_regime"}:
            # Both begin and end with a whole second, like the market's blocks.
            direction, start_ns = None, start_ns // NS * NS
            size, seconds = (float(round(size)),) * 2 if kind == "silence" else (size, round(seconds))
        rules = self._seen(kind, symbol, start_ns)
        end_ns = start_ns + int(seconds * 1_000_000) * 1000
        self._ends[symbol] = end_ns
        unit = {"silence": "s", "volatility_regime": "times"}.get(kind, "percent")
        return Label(kind, symbol, direction, start_ns, end_ns, size, unit, rules)  # type: ignore[arg-type]

    def _seen(self, kind: Kind, symbol: str, start_ns: int) -> tuple[str, ...]:
        product = self._products[symbol]
        busy = busy_share(product.trades_per_s / PRINTS_MEAN)
        history_s = 1.3 * _SAMPLES / busy + 10.0
        always, warm = _SEEN[kind]
        rules = always + (warm if start_ns - self._ends[symbol] >= history_s * NS else ())
        return tuple(rule for rule in rules if rule != _DOLLARS or symbol.startswith("BTC-"))

    def _draw_ns(self, bounds: tuple[float, float]) -> int:
        return int(self._rng.uniform(*bounds) * 1_000_000) * 1000

    def _deck(self, cards: int, avoid: int) -> Iterator[int]:
        """Deal the cards in random order, again and again, and none twice running unless it is the only one."""
        last = avoid
        while True:
            order = self._rng.permutation(cards).tolist()
            if order[0] == last:
                order.append(order.pop(0))
            yield from order
            last = order[-1]
