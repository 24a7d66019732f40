"""The colours of the terminal, dark and light; the browser's tokens where a cell can show them.

Colour is for the abnormal: candles are told by brightness, and one accent marks what is live or chosen.
Terminals with 256 colours get the nearest ones; with NO_COLOR shapes and words alone tell severity.
"""

from typing import NamedTuple

from tapewatch.model import Severity


class Palette(NamedTuple):
    """Colours by what they are for, as #RRGGBB.

    Attributes
    ----------
    dim
        For what is only a guide to the eye: dots of a band, the rest of a bar.
    tint
        Behind the medium chip.
    """

    ground: str
    panel: str
    line: str
    selected: str
    text: str
    muted: str
    dim: str
    accent: str
    high: str
    medium: str
    low: str
    tint: str
    up: str
    down: str
    spark: str

    def severity(self, severity: Severity) -> str:
        """Colour of a severity's shape."""
        return {"high": self.high, "medium": self.medium, "low": self.low}[severity]

    def chip(self, severity: Severity) -> str:
        """Style of a severity's chip: high solid, medium tinted, low plain."""
        return {
            "high": f"bold {self.ground} on {self.high}",
            "medium": f"bold {self.medium} on {self.tint}",
            "low": self.low,
        }[severity]


DARK = Palette(
    ground="#0B0E13",
    panel="#12161D",
    line="#2A3340",
    selected="#10292A",
    text="#E4E8EE",
    muted="#98A3B3",
    dim="#4A5668",
    accent="#3CCFB4",
    high="#FF6474",
    medium="#D9962B",
    low="#6FAEF2",
    tint="#33260C",
    up="#E4E8EE",
    down="#7C8CA3",
    spark="#5F6E84",
)

LIGHT = Palette(
    ground="#FFFFFF",
    panel="#F0F3F6",
    line="#C9D1DB",
    selected="#DDF0EC",
    text="#141A22",
    muted="#576273",
    dim="#9AA5B4",
    accent="#0B7A6B",
    high="#C81E3A",
    medium="#855000",
    low="#1C5CA8",
    tint="#FCEFD6",
    up="#8391A5",
    down="#2E3A4B",
    spark="#8391A5",
)
