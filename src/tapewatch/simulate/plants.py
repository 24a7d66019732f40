"""How a planted anomaly bends the market between its start and its end.

A label in, a plant out: offsets of the log price, additional arrivals, a side that presses, a pace.
"""

from typing import ClassVar, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tapewatch.model import NS, Direction

Times = NDArray[np.int64]
Kind = Literal["flash_crash", "jump", "slide", "volatility_regime", "fat_finger", "silence"]


class Label(Struct, frozen=True):
    """One line of the labels file: what was planted, and which rules must see it with their defaults.

    `size` counts in `unit`: ``percent`` of the price, ``s`` of silence, or ``times`` the calm volatility.
    `rules` names those that fire for certain; a rule that is still warming up is left out.
    """

    kind: Kind
    symbol: str
    direction: Direction | None
    start_ts: int
    end_ts: int
    size: float
    unit: Literal["percent", "s", "times"]
    rules: tuple[str, ...]


class Plant:
    """One anomaly in the making: how it bends the market between its start and its end.

    Attributes
    ----------
    volatility
        Multiplies the product's calm volatility, in place of what the volatility process says; None: leaves it.
    activity
        Multiplies the rate of arrivals.
    cadence_ns
        Distance of additional arrivals, so that a thin product shows the path too; 0: none.
    stays
        Share of the move that is never undone.
    mute
        Whether nothing at all happens, neither trades nor heartbeats.
    """

    volatility: float | None = None
    activity: float = 1.0
    cadence_ns: ClassVar[int] = 0
    stays: ClassVar[float] = 0.0
    mute: ClassVar[bool] = False

    def __init__(self, label: Label) -> None:
        self.label = label
        self.start_ns = label.start_ts
        self.end_ns = label.end_ts
        self.sign = {"up": 1, "down": -1, None: 0}[label.direction]
        self.full = float(np.log1p(self.sign * label.size / 100.0)) if label.unit == "percent" else 0.0

    @property
    def lasting(self) -> float:
        """What it leaves in the log price for ever."""
        return self.stays * self.full

    def bend(self, ts: Times) -> NDArray[np.float64]:
        """Offset of the log price at each time, shape (n,); after the end it equals `lasting`."""
        return np.zeros(len(ts))

    def drift(self, ts: Times) -> NDArray[np.int8]:
        """Side that presses at each time, shape (n,): +1 buyers, -1 sellers, 0 neither."""
        return np.where(self.covers(ts), np.int8(self.sign), np.int8(0))

    def slip(self, ts: Times) -> NDArray[np.float64]:
        """Offset of the log price of the prints of single aggressors, shape (n,); the market itself stays."""
        return np.zeros(len(ts))

    def mutes(self, start_ns: int) -> bool:
        """Whether nothing at all happens in the second that begins at `start_ns`."""
        return self.mute and self.start_ns <= start_ns < self.end_ns

    def covers(self, ts: Times) -> NDArray[np.bool_]:
        """Whether each time lies between start and end, both included."""
        return (ts >= self.start_ns) & (ts <= self.end_ns)

    def extra_arrivals(self, start_ns: int) -> Times:
        """Additional arrivals in the second that begins at `start_ns`: the first at the start, the last at the end."""
        if not self.cadence_ns:
            return np.empty(0, dtype=np.int64)
        k = np.arange((self.end_ns - self.start_ns) // self.cadence_ns)
        # Multiples of the golden ratio spread evenly without a rhythm that the eye would catch.
        times = self.start_ns + ((k + 0.6 * (k * 0.6180339887 % 1.0)) * self.cadence_ns / 1000).astype("i8") * 1000
        times = np.append(times, self.end_ns)
        return times[(times >= start_ns) & (times < start_ns + NS)]


class FlashCrash(Plant):
    """Falls in three seconds, comes back most of the way in the rest."""

    volatility = 2.0
    activity = 6.0
    cadence_ns = 40_000_000
    stays = 0.1
    _FALL_NS = 3 * NS

    def bend(self, ts: Times) -> NDArray[np.float64]:
        """Fall, then come back."""
        fall = _smooth((ts - self.start_ns) / self._FALL_NS)
        back = _smooth((ts - self.start_ns - self._FALL_NS) / (self.end_ns - self.start_ns - self._FALL_NS))
        return self.full * (fall - (1.0 - self.stays) * back)

    def drift(self, ts: Times) -> NDArray[np.int8]:
        """Sellers press while it falls, buyers while it comes back."""
        pressing = np.where(ts < self.start_ns + self._FALL_NS, self.sign, -self.sign).astype(np.int8)
        return np.where(self.covers(ts), pressing, np.int8(0))


class Jump(Plant):
    """One step from a print to the next; the new level stays."""

    activity = 5.0
    cadence_ns = 150_000_000
    stays = 1.0

    def bend(self, ts: Times) -> NDArray[np.float64]:
        """Be elsewhere from the start on."""
        return np.where(ts >= self.start_ns, self.full, 0.0)


class Slide(Plant):
    """Crawls to a new level in steps too small for anyone who looks from trade to trade."""

    volatility = 0.3
    activity = 2.0
    cadence_ns = 120_000_000
    stays = 1.0

    def bend(self, ts: Times) -> NDArray[np.float64]:
        """Move evenly."""
        return self.full * np.clip((ts - self.start_ns) / (self.end_ns - self.start_ns), 0.0, 1.0)


class VolatilityRegime(Plant):
    """A minute of turbulence around no direction at all."""

    activity = 3.0

    def __init__(self, label: Label) -> None:
        super().__init__(label)
        self.volatility = label.size


class FatFinger(Plant):
    """One print far off the market; the next one is where the market was."""

    cadence_ns = 1

    def slip(self, ts: Times) -> NDArray[np.float64]:
        """Miss the market once."""
        return np.where(ts == self.start_ns, self.full, 0.0)


class Silence(Plant):
    """Matching stops: no trade and no heartbeat, and no trade is missing afterwards."""

    mute = True


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.clip(share, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


_CLASSES: dict[Kind, type[Plant]] = {
    "flash_crash": FlashCrash,
    "jump": Jump,
    "slide": Slide,
    "volatility_regime": VolatilityRegime,
    "fat_finger": FatFinger,
    "silence": Silence,
}


def plant(label: Label) -> Plant:
    """Make the plant that a label describes."""
    return _CLASSES[label.kind](label)
