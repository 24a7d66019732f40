import struct
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from msgspec.structs import replace
from PIL import Image

from support.letters import AT, breakout, fast_move, gap, grown, over, silence, stretch
from tapewatch.dispatch import chart as charts
from tapewatch.dispatch.chart import chart
from tapewatch.model import NS

BAR = np.dtype([(name, "f8") for name in ("time", "open", "high", "low", "close", "volume", "count")])

MINUS = "\N{MINUS SIGN}"

TITLE = 120
"""Rows of pixels above the picture's prices."""


def bars_of(*closes: float, start_s: int = AT // NS - 60, wide: float = 0.0) -> np.ndarray:
    bars = np.zeros(len(closes), BAR)
    bars["time"] = start_s + np.arange(len(closes))
    bars["open"] = bars["close"] = closes
    bars["high"], bars["low"] = bars["close"] * (1 + wide), bars["close"] * (1 - wide)
    return bars


BARS = bars_of(*np.linspace(0.2486, 0.2474, 60), *np.linspace(0.2474, 0.22798, 12), wide=1e-3)


def pixels(picture: bytes | None) -> np.ndarray:
    assert picture is not None
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB")).astype(int)


def near(picture: bytes | None, colour: str) -> int:
    """Count the pixels below the title that have a colour, or nearly."""
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return int((np.abs(pixels(picture)[TITLE:] - wanted).max(axis=2) < 12).sum())


def test_it_is_a_small_png_twice_as_fine_as_a_page():
    picture = chart(BARS, grown())
    assert picture is not None
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (1280, 640)
    assert len(picture) < 60_000


def test_the_same_input_gives_the_same_bytes_in_any_thread():
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: chart(BARS, grown()), range(8)))
    assert set(drawn) == {chart(BARS, grown())}


def test_no_bars_no_picture():
    assert chart(BARS[:0], grown()) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"opened_ts": AT - 20 * NS},
        {"last_ts": AT + 30 * NS},
        {"peak_price": 0.23},
        {"peak_ts": AT + 4 * NS},
        {"peak_reference_price": 0.247},
        {"peak_observed": -9.0},
        {"severity": "low"},
        {"direction": "up"},
        {"symbol": "SHIB-USD"},
        {"venue": "kraken"},
        {"rule": "vol_breakout"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_each_mark_is_where_the_anomaly_has_it(fields):
    assert chart(BARS, replace(grown(), **fields)) != chart(BARS, grown())


@pytest.mark.parametrize("name", ["high", "low", "close"])
def test_the_line_and_its_band_are_the_bars(name):
    bars = BARS.copy()
    bars[name][20] *= 1.02 if name == "high" else 0.98
    assert chart(bars, grown()) != chart(BARS, grown())


def test_the_peak_has_the_colour_of_its_severity():
    high, medium = charts.SEVERITY["high"][0], charts.SEVERITY["medium"][0]
    assert near(chart(BARS, grown()), high) > 50
    assert near(chart(BARS, grown()), medium) == 0
    assert near(chart(BARS, grown(severity="medium")), medium) > 50
    assert near(chart(BARS, silence()), high) == 0, "a silent feed has no price to mark"


def test_a_peak_of_before_the_first_bar_is_not_marked():
    late = bars_of(*np.linspace(0.23, 0.231, 60), start_s=AT // NS + 600)
    long = grown(last_ts=AT + 660 * NS)
    assert near(chart(late, long), charts.SEVERITY["high"][0]) == 0
    assert near(chart(late, long), charts.INK) > 100


def test_one_bar_is_a_picture():
    one = chart(bars_of(0.24, wide=0.01, start_s=AT // NS), fast_move())
    assert near(one, charts.INK) > 50
    assert one != chart(bars_of(0.24, start_s=AT // NS), fast_move())


@pytest.mark.parametrize("price", [1e-10, 0.000005, 1.0, 122_000.0, 1e7])
@pytest.mark.parametrize("move", [0.0, 0.5])
def test_any_price_is_drawn_flat_or_not(price, move):
    closes = np.full(60, price)
    closes[30:] *= 1 + move
    anomaly = fast_move(direction="up", peak_price=price * (1 + move), peak_reference_price=price, peak_observed=50.0)
    assert near(chart(bars_of(*closes), anomaly), charts.INK) > 500


@pytest.mark.parametrize("what", [breakout(), stretch(), gap(), silence(seconds=20), over(grown())], ids=lambda a: a.id)
def test_every_kind_of_anomaly_is_drawn(what):
    bars = bars_of(*np.linspace(0.2, 0.3, 100))
    if what.peak_price is not None:
        what = replace(what, peak_price=0.3, peak_reference_price=0.2)
    assert near(chart(bars, what), charts.INK) > 500


def test_names_are_drawn_as_they_are_whatever_is_in_them():
    for name in ("$\\frac{1}{$", "🚀\n<b>", "A" * 500):
        assert chart(BARS, grown(symbol=name)) != chart(BARS, grown())


@pytest.mark.parametrize(
    ("bottom", "top", "places"),
    [
        (0.0, 2e-10, 10),
        (0.9999e-10, 4.0001e-10, 10),
        (5.92e-06, 7.6e-06, 8),
        (0.2279, 0.2487, 5),
        (9_999_000.0, 10_000_000.0, 2),
    ],
)
def test_a_scale_can_be_read_back(bottom, top, places):
    axes = Figure().add_axes((0, 0, 1, 1))
    axes.set_ylim(bottom, top)
    charts._draw_scale(axes, [], places)
    labels = [label.get_text().replace(",", "") for label in axes.get_yticklabels()]
    assert len(set(labels)) == len(labels) >= 3
    assert [float(label.replace(MINUS, "-")) for label in labels] == pytest.approx(axes.get_yticks(), rel=1e-6)
    assert all(len(label.partition(".")[2]) >= places for label in labels)


@pytest.mark.parametrize("seconds", [8, 60, 360, 2_000, 90_000])
def test_times_are_round_and_never_crowded(seconds):
    axes = Figure().add_axes((0, 0, 1, 1))
    axes.set_xlim(AT / NS, AT / NS + seconds)
    charts._draw_times(axes)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert 1 <= len(labels) <= 8
    assert len(set(labels)) == len(labels)


def test_tags_keep_apart():
    axes = Figure().add_axes((0, 0, 1, 1))
    axes.set_ylim(0.0, 1.0)
    for peak in (0.5001, 0.4999):
        reference, top = charts._tags(axes, grown(peak_price=peak, peak_reference_price=0.5))
        assert abs(top.at - reference.at) == pytest.approx(charts.TAG_HEIGHT)
        assert (top.at > reference.at) == (peak > 0.5)
    reference, top = charts._tags(axes, grown(peak_price=0.9, peak_reference_price=0.5))
    assert (reference.at, top.at) == (0.5, 0.9)


def test_many_bars_become_few_and_keep_every_extreme():
    rng = np.random.default_rng(7)
    bars = bars_of(*rng.uniform(1, 2, 5_000), wide=0.1)[rng.random(5_000) < 0.7]
    thin = charts._thinned(bars)
    assert len(thin) <= charts.COLUMNS
    assert (thin["high"].max(), thin["low"].min()) == (bars["high"].max(), bars["low"].min())
    bounds = [*thin["time"], np.inf]
    for bar, after in zip(thin, bounds[1:], strict=True):
        inside = bars[(bars["time"] >= bar["time"]) & (bars["time"] < after)]
        assert (bar["high"], bar["low"]) == (inside["high"].max(), inside["low"].min())
        assert bar["close"] == inside["close"][-1]
