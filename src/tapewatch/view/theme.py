"""One table of colours for Streamlit's own widgets, the components and the page's shell, dark and light.

Out: configuration for Streamlit, a style element for the shell, and the palettes that the canvas needs.
Colour is for the abnormal; candles are told by brightness, and one accent marks what is live or chosen.
"""

from typing import Literal, NamedTuple

Mode = Literal["dark", "light"]

FONT_FOLDER = "/_stcore/bidi-components/tapewatch.top/vendor"
SUBSETS = {
    "latin": "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122, "
    "U+2191, U+2193, U+2212, U+2215",
    "greek": "U+0370-03FF",
}
"""Files of the font and the characters that they hold."""

MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"


class Token(NamedTuple):
    """One colour by what it is for.

    Attributes
    ----------
    key
        Of Streamlit's theme, from which components read it as ``--st-…``; None for our own.
    """

    dark: str
    light: str
    key: str | None = None


TOKENS: dict[str, Token] = {
    "ground": Token("#0B0E13", "#FFFFFF", "backgroundColor"),
    "panel": Token("#12161D", "#F5F7F9", "secondaryBackgroundColor"),
    "line": Token("#232B36", "#DCE1E8", "borderColor"),
    "chosen": Token("#1E2631", "#E7EBF0"),
    "text": Token("#E4E8EE", "#141A22", "textColor"),
    "muted": Token("#98A3B3", "#576273", "grayTextColor"),
    "accent": Token("#3CCFB4", "#0B7A6B", "primaryColor"),
    "high": Token("#FF6474", "#C81E3A", "redColor"),
    "high-text": Token("#FF8591", "#B4132B", "redTextColor"),
    "high-tint": Token("#3B141C", "#FDE7EA", "redBackgroundColor"),
    "medium": Token("#D9962B", "#B87400", "orangeColor"),
    "medium-text": Token("#EDB75C", "#855000", "orangeTextColor"),
    "medium-tint": Token("#33260C", "#FCEFD6", "orangeBackgroundColor"),
    "low": Token("#5B9FEA", "#2F77C9", "blueColor"),
    "low-text": Token("#8ABCF5", "#1C5CA8", "blueTextColor"),
    "low-tint": Token("#12263D", "#E3EEFA", "blueBackgroundColor"),
    "up": Token("#C6D0DC", "#8391A5"),
    "down": Token("#64748B", "#2E3A4B"),
    "up-colour": Token("#3FA08F", "#2C8C7B"),
    "down-colour": Token("#A8606B", "#B5606D"),
}


def palette(mode: Mode) -> dict[str, str]:
    """Colours of one theme by name."""
    return {name: getattr(token, mode) for name, token in TOKENS.items()}


def streamlit_theme() -> dict[str, object]:
    """Give both themes as flat keys of Streamlit's configuration."""
    settings: dict[str, object] = {
        "theme.font": "Inter",
        "theme.headingFont": "Inter",
        "theme.codeFont": MONOSPACE,
        "theme.baseFontSize": 13,
        "theme.baseRadius": "4px",
        "theme.buttonRadius": "4px",
        "theme.showWidgetBorder": True,
        "theme.fontFaces": [
            {
                "family": "Inter",
                "url": f"{FONT_FOLDER}/inter-{subset}-wght-normal.woff2",
                "weight": "100 900",
                "style": "normal",
                "unicodeRange": characters,
            }
            for subset, characters in SUBSETS.items()
        ],
    }
    for token in TOKENS.values():
        if token.key is not None:
            settings[f"theme.dark.{token.key}"] = token.dark
            settings[f"theme.light.{token.key}"] = token.light
    return settings


def shell_variables(mode: Mode) -> str:
    """Give one theme's colours to the page's own style sheet, which sees none of Streamlit's variables."""
    return ":root{" + "".join(f"--tw-{name}:{colour};" for name, colour in palette(mode).items()) + "}"
