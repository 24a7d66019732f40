"""The colours of the terminal, dark and light; the browser's tokens where a cell can show them.

Colour is for the abnormal: candles are told by brightness, and one accent marks what is live or chosen.
Terminals with 256 colours get the nearest ones; with NO_COLOR shapes and words alone tell severity.
"""

from typing import NamedTuple

from tapewatch.model import Severity
from tapewatch.view import theme
from tapewatch.view.theme import Mode


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


def _palette(mode: Mode, medium: str, **own: str) -> Palette:
    shared = theme.palette(mode)
    same = {name: shared[name] for name in ("ground", "panel", "text", "muted", "accent", "high")}
    return Palette(**same, medium=shared[medium], low=shared["low-text"], **own)


# Among 256 colours these own ones become: lines gray, the chosen row a dark teal, the medium chip's ground black.
# The browser's would there become teal, black and dark red.
DARK = _palette(
    "dark",
    "medium",
    line="#2F353D",
    selected="#103033",
    dim="#4A5668",
    tint="#2E230B",
    up="#E4E8EE",
    down="#7C8CA3",
    spark="#5F6E84",
)

LIGHT = _palette(
    "light",
    "medium-text",
    line="#C9D1DB",
    selected="#D7EFEA",
    dim="#9AA5B4",
    tint="#FCEFD6",
    up="#8391A5",
    down="#2E3A4B",
    spark="#8391A5",
)
