import re

import pytest

from tapewatch.view.theme import TOKENS, palette, shell_variables, streamlit_theme


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """Source: WCAG 2.2, definition of contrast ratio."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


TEXTS = (
    ("text", "ground"),
    ("text", "panel"),
    ("text", "chosen"),
    ("text", "high-tint"),
    ("text", "medium-tint"),
    ("muted", "ground"),
    ("muted", "panel"),
    ("accent", "ground"),
    ("ground", "high"),
    ("high-text", "high-tint"),
    ("high-text", "ground"),
    ("medium-text", "medium-tint"),
    ("medium-text", "panel"),
    ("low-text", "ground"),
)
SHAPES = tuple(
    (name, "ground") for name in ("high", "medium", "low", "up", "down", "up-colour", "down-colour", "accent")
)


def test_the_measure_of_contrast():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", ["dark", "light"])
@pytest.mark.parametrize(("text", "behind"), TEXTS)
def test_text_can_be_read(mode, text, behind):
    colours = palette(mode)
    assert contrast(colours[text], colours[behind]) >= 4.5


@pytest.mark.parametrize("mode", ["dark", "light"])
@pytest.mark.parametrize(("shape", "behind"), SHAPES)
def test_shapes_can_be_told_from_the_ground(mode, shape, behind):
    colours = palette(mode)
    assert contrast(colours[shape], colours[behind]) >= 3


def test_up_and_down_differ_in_brightness_alone():
    for mode in ("dark", "light"):
        colours = palette(mode)
        assert contrast(colours["up"], colours["down"]) >= 3


def test_every_colour_of_streamlits_stands_in_both_themes():
    settings = streamlit_theme()
    for token in TOKENS.values():
        if token.key:
            assert settings[f"theme.dark.{token.key}"] == token.dark
            assert settings[f"theme.light.{token.key}"] == token.light


def test_fonts_come_from_here():
    assert all(face["url"].startswith("/_stcore/") for face in streamlit_theme()["theme.fontFaces"])


def test_the_shell_sees_every_token():
    text = shell_variables("light")
    assert dict(re.findall(r"--tw-([a-z-]+):(#[0-9A-F]{6});", text)) == palette("light")
