"""The browser's own arithmetic, module by module, held against its twins in Python and against laws."""

from random import Random

import msgspec
import numpy as np
import pytest

from support.views import NOW, SOME, anomaly, silence
from tapewatch.model import NS
from tapewatch.store.bars import CHART, fold
from tapewatch.view.indicators import bollinger
from tapewatch.view.queries import Filter
from tapewatch.view.verdict import grouped
from tapewatch.view.wire import row

pytestmark = pytest.mark.browser


@pytest.fixture(params=range(3), ids=lambda seed: f"seed-{seed}")
def random(request):
    return Random(request.param)  # noqa: S311  # a market, not a secret


def walk(random: Random, count: int, start: float = 114_210.0) -> list[list[float]]:
    bars, price, time, trade_id = [], start, 1_760_131_960, 1
    for _ in range(count):
        time += 10 * random.choice([1, 1, 1, 2, 5])
        before, price = price, price * (1 + random.gauss(0, 1e-3))
        high, low = max(before, price) * 1.0001, min(before, price) * 0.9999
        trades = random.randrange(1, 9)
        bars.append([time, before, high, low, price, random.random(), trades, trade_id, trade_id + trades - 1])
        trade_id += trades
    return bars


@pytest.mark.parametrize(("bars", "sigmas"), [(20, 2.0), (2, 0.5), (200, 3.0)])
def test_bands_are_those_of_the_terminal(module, random, bars, sigmas):
    rows = walk(random, 300)
    body = """
      const series = new m.Series(10);
      series.prepend(x.rows.slice(0, 200).flat());
      const bands = new m.Bands(series, x.bars, x.sigmas);
      for (const row of x.rows.slice(200)) bands.update(series.merge(row));
      return bands.values.map((value) => value && [value.mean, value.upper, value.lower]);
    """
    found = module("lib/series chart/bands", body, {"rows": rows, "bars": bars, "sigmas": sigmas})
    expected = bollinger(np.array([each[4] for each in rows]), bars, sigmas)
    assert [value is None for value in found] == np.isnan(expected.mean).tolist()
    np.testing.assert_allclose(found[bars - 1 :], np.transpose([part[bars - 1 :] for part in expected]), rtol=1e-12)


def test_bands_begin_anew_behind_a_hole(module, random):
    rows = walk(random, 60)
    for each in rows[30:]:
        each[7] += 5  # five trades are missing before the thirty-first bar
        each[8] += 5
    body = """
      const series = new m.Series(10, true);
      series.prepend(x.flat());
      return new m.Bands(series, 20, 2).values.map(Boolean);
    """
    known = module("lib/series chart/bands", body, rows)
    assert known == [False] * 19 + [True] * 11 + [False] * 19 + [True] * 11


def test_bands_follow_a_bar_that_changes_late(module, random):
    rows = walk(random, 60)
    late = [*rows[30]]
    late[4] *= 1.01
    body = """
      const series = new m.Series(10);
      series.prepend(x.rows.flat());
      const bands = new m.Bands(series, 20, 2);
      const moved = bands.update(series.merge(x.late));
      return [moved, bands.values.at(-1).mean, bands.values[40].mean];
    """
    moved, last, middle = module("lib/series chart/bands", body, {"rows": rows, "late": late})
    rows[30] = late
    expected = bollinger(np.array([each[4] for each in rows]), 20, 2).mean
    assert moved == list(range(30, 50))
    assert (last, middle) == pytest.approx((expected[-1], expected[40]), rel=1e-12)


def test_bars_that_come_in_any_order_are_those_that_come_at_once(module, random):
    rows = walk(random, 80)
    shuffled = random.sample(rows, len(rows))
    body = """
      const [one, other] = [new m.Series(10), new m.Series(10)];
      one.prepend(x.rows.flat());
      for (const row of x.shuffled) other.merge(row);
      for (const row of x.shuffled) other.merge(row);
      const plain = (series) => series.bars.map((bar) => Object.values(bar));
      const found = other.bars.every((bar, i) => other.at(bar.time + 3) === bar && other.positions.get(bar.time) === i);
      return [plain(one), plain(other), found];
    """
    one, other, found = module("lib/series", body, {"rows": rows, "shuffled": shuffled})
    assert one == other == rows
    assert found


def test_older_bars_go_in_front_and_none_twice(module, random):
    rows = walk(random, 50)
    body = """
      const series = new m.Series(10);
      series.prepend(x.slice(20).flat());
      const added = series.prepend(x.slice(0, 25).flat());
      const [first, end] = series.between(x[10][0], x[12][0]);
      series.trim(30);
      return [added, first, end, series.bars.map((bar) => bar.time), series.before(x[49][0] + 500).time];
    """
    added, first, end, times, last = module("lib/series", body, rows)
    assert added == 20
    assert (first, end) == (10, 13)
    assert times == [each[0] for each in rows[20:]]
    assert last == rows[-1][0]


def test_trades_a_minute(module):
    now = 1_760_131_980
    rows = [[now - 90 + i, 1, 1, 1, 1, 1, 2, 2 * i, 2 * i + 1] for i in range(90)]
    body = """
      return [1, 10, 60].map((width) => {
        const series = new m.Series(width);
        series.prepend(x[width].flat());
        return series.tradesAMinute(x.now);
      });
    """
    fine = np.array([tuple(each) for each in rows], dtype=CHART)
    folded = {width: [list(each.item()) for each in fold(fine, width)] for width in (10, 60)}
    one, ten, minute = module("lib/series", body, {"now": now, 1: rows, **folded})
    assert one == 2 * 59
    assert ten == 2 * 50
    assert minute == 2 * 60


def test_a_filter_lists_the_same_here_and_there(module, random):
    def some(values: list[str]) -> tuple[str, ...]:
        return tuple(random.sample(values, random.randrange(len(values) + 1)))

    spans = [(60, None), (300, None), (3_600, None), (86_400, None), (3_600, NOW - 50 * NS)]
    filters = [
        Filter(
            severities=some(["high", "medium", "low"]) or ("high",),
            rules=some(["pct_spike", "vol_breakout", "silent_feed"]),
            directions=some(["up", "down"]),
            symbols=some(["BTC-USD", "LINK-USD"]),
            recency_s=recency_s,
            min_size=random.choice([0.0, 0.0, 2.0, 12.0]),
            until_ns=until_ns,
        )
        for recency_s, until_ns in random.choices(spans, k=60)
    ]
    argument = {
        "rows": [msgspec.to_builtins(row(each)) for each in SOME],
        "filters": [
            {
                **msgspec.structs.asdict(each),
                "recency": each.recency_s,
                "size": each.min_size,
                "hour": None if each.until_ns is None else each.until_ns / NS - 3_600,
            }
            for each in filters
        ],
        "now": NOW / NS,
    }
    body = (
        "return x.filters.map((filter) => x.rows.filter((row) => m.matches(row, filter, x.now)).map((row) => row.id))"
    )
    expected = [[each.id for each in SOME if wanted.matches(each, NOW)] for wanted in filters]
    assert module("lib/rows", body, argument) == expected


def test_a_silence_of_several_lanes_is_one_row_here_and_there(module):
    found = [
        silence("a", "BTC-USD", ago_s=47, seconds=30, ended=True),
        silence("b", "LINK-USD", ago_s=46, seconds=47),
        silence("c", "ETH-USD", ago_s=20),
        anomaly("x", ago_s=30),
    ]
    newest_first = sorted(found, key=lambda each: -each.opened_ts)
    names = ("id", "symbol", "peak", "state", "sentence", "explain")
    body = f"return m.grouped(x).map((row) => {list(names)}.map((name) => row[name]))"
    expected = [row(entry.anomaly) for entry in grouped(found)]
    assert module("lib/rows", body, [msgspec.to_builtins(row(each)) for each in newest_first]) == [
        [getattr(each, name) for name in names] for each in expected
    ]


def test_only_what_is_surely_complete_is_listed(module):
    rows = [msgspec.to_builtins(row(anomaly(f"r{i}", ago_s=60 * i))) for i in range(1, 6)]
    filter_ = {
        "severities": ["high"],
        "rules": [],
        "directions": [],
        "symbols": [],
        "recency": 86_400,
        "size": 0,
        "hour": None,
    }
    body = """
      const rows = new m.Rows();
      rows.put(x.rows);
      rows.reach = x.rows[2];
      return [rows.list(x.filter, x.now), rows.ofLane(x.rows[0], x.filter)].map((list) => list.map(({ id }) => id));
    """
    listed, of_lane = module("lib/rows", body, {"rows": rows, "filter": filter_, "now": NOW / NS})
    assert listed == ["r1", "r2", "r3"]
    assert of_lane == ["r1", "r2", "r3", "r4", "r5"]


def test_markers_stand_apart_worst_first(module, random):
    candidates = [
        {
            "row": {
                "id": str(i),
                "severity": random.choice(["high", "medium", "low"]),
                "size": random.uniform(1, 40),
                "peak": "−1.00 %",
                "peak_at": i,
            },
            "x": random.uniform(0, 900),
            "base": random.uniform(40, 300),
            "up": random.random() < 0.5,
        }
        for i in range(120)
    ]
    body = """
      const bounds = { top: 24, bottom: 320, spacing: x.spacing, focus: "7" };
      const markers = m.placeMarkers(x.candidates, bounds);
      return [markers, m.placeLabels(markers, { right: 900, measure: () => 44 })];
    """
    for spacing in (3, 7, 12):
        markers, labels = module("chart/markers", body, {"candidates": candidates, "spacing": spacing})
        assert markers
        for i, one in enumerate(markers):
            for other in markers[:i]:
                near = one["radius"] + other["radius"]
                assert abs(one["x"] - other["x"]) >= near or abs(one["y"] - other["y"]) >= near
            assert 24 <= one["y"] <= 320
            assert one["row"]["id"] == "7" or spacing >= 9 or one["row"]["severity"] != "low"
        ranks = [("high", "medium", "low").index(one["row"]["severity"]) for one in markers]
        assert ranks == sorted(ranks)
        assert len(labels) <= 4
        for label in labels:
            assert label["marker"]["row"]["severity"] == "high"
            assert label["x"] >= 2
            assert label["x"] + label["width"] <= 896


def test_what_peaks_at_one_moment_on_one_side_shares_a_marker(module):
    def candidate(ident: str, peak_at: float, severity: str = "high", *, up: bool = True, size: float = 5.0) -> object:
        row = {"id": ident, "severity": severity, "size": size, "peak": f"+{ident} %", "peak_at": peak_at}
        return {"row": row, "x": 100, "base": 200, "up": up}

    candidates = [
        candidate("low", 1.0, "low"),
        candidate("fast", 1.0),
        candidate("jump", 1.0, size=50.0),
        candidate("down", 1.0, up=False),
        candidate("later", 2.0),
    ]
    body = """
      const markers = m.placeMarkers(x, { top: 24, bottom: 320, spacing: 12, focus: null });
      const walked = [null];
      for (let i = 0; i < 4; i++) walked.push(m.nextOf(markers[0], walked.at(-1)));
      return [markers.map(({ row, rows }) => [row.id, rows.map(({ id }) => id)]), markers.map(m.labelOf), walked];
    """
    markers, labels, walked = module("chart/markers", body, candidates)
    assert markers == [["jump", ["jump", "fast", "low"]], ["down", ["down"]], ["later", ["later"]]]
    assert labels == ["+jump % ×3", "+down %", "+later %"]
    assert walked[1:] == ["jump", "fast", "low", "jump"]


def test_a_marker_weighs_what_its_anomaly_does(module):
    body = "return x.map((size) => m.weightOf({ severity: 'high', size }))"
    weights = module("chart/markers", body, [1, 2, 8, 32, 500, None])
    radii, alphas = ([each[name] for each in weights] for name in ("radius", "alpha"))
    assert radii[:4] == sorted(set(radii[:4]))
    assert alphas[:3] == sorted(set(alphas[:3]))
    assert (radii[3], alphas[3]) == (radii[4], alphas[4]) == (radii[3], 1.0)
    assert weights[5] == weights[0]
    assert radii[3] > 2 * radii[0]


@pytest.mark.parametrize(("worst", "marked"), [("high", []), ("medium", ["m"]), ("low", ["l"])])
def test_of_the_worst_that_is_chosen_all_are_marked(module, worst, marked):
    def candidate(ident: str, severity: str) -> object:
        row = {"id": ident, "severity": severity, "size": 1.1, "peak": "", "peak_at": 1.0}
        return {"row": row, "x": 100, "base": 200, "up": True}

    body = "return m.placeMarkers(x[0], { top: 24, bottom: 320, spacing: 3, focus: null, worst: x[1] })"
    candidates = [candidate("m", "medium"), candidate("l", "low")]
    chosen = candidates if worst != "low" else candidates[1:]
    found = module("chart/markers", body, [chosen, worst])
    assert [each["row"]["id"] for each in found] == marked


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (503, {"asked": 1, "again": 1, "focus": "chosen", "unknown": None}),
        (400, {"asked": 1, "again": 0, "focus": "chosen", "unknown": "linked"}),
        (200, {"asked": 1, "again": 0, "focus": "linked", "unknown": None}),
    ],
)
def test_what_a_link_leads_to_is_sought_until_a_person_looks_at_something_else(module, status, expected):
    body = """
      const { fetch, setTimeout } = globalThis;
      const [waiting, asked] = [[], []];
      const chosen = { ...x.row, id: "chosen", symbol: "BTC-USD" };
      const filter = { severities: [], rules: [], directions: [], recency: 60, one: false };
      Object.assign(m.store, { settings: { filter }, socket: { say: () => null }, watch: [chosen] });
      await m.store.select(chosen).catch(() => null);
      m.store.look("chosen");
      const headers = { "content-type": "application/json" };
      let { status } = x;
      globalThis.setTimeout = (work) => waiting.push(work);
      globalThis.fetch = async (url) => {
        if (String(url).includes("api/anomaly?")) asked.push(url);
        return new Response(JSON.stringify(status === 200 ? { row: x.row } : { error: "locked" }), { status, headers });
      };
      try {
        await m.store.find("linked");
        const { unknown } = m.store;
        const again = status === 503 ? waiting.length : 0;
        if (status !== 200) m.store.look("chosen");
        status = 200;
        for (const work of waiting.splice(0)) await work();
        return { asked: asked.length, again, focus: m.store.focus, unknown };
      } finally {
        Object.assign(globalThis, { fetch, setTimeout });
      }
    """
    linked = msgspec.to_builtins(row(anomaly("linked")))
    assert module("lib/store", body, {"row": linked, "status": status}) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("number(-1234.5, 2)", "−1,234.50"),
        ("number(-0.001, 2)", "0.00"),
        ("number(0.00000751, 8)", "0.00000751"),
        ("volume(950)", "950"),
        ("volume(12_000)", "12 k"),
        ("volume(3_400_000)", "3.4 M"),
        ("volume(10_000_000_000)", "10 bn"),
        ("volume(0.25)", "0.25"),
        ("took(0.4)", "< 1 s"),
        ("took(89)", "89 s"),
        ("took(240)", "4 min"),
        ("took(18720)", "5 h 12 min"),
        ("took(273600)", "3 d 4 h"),
        ("clock(1760131968)", "21:32:48"),
        ("moment(1760131968, 1760131999)", "21:32:48"),
        ("moment(1760131968, 1760231999)", "10-10 21:32:48"),
        ("minute(1760131968, 1760131999)", "21:32"),
        ("minute(1760131968, 1760231999)", "10-10 21:32"),
    ],
)
def test_figures(module, call, expected):
    assert module("lib/figures", f"return m.{call}", None) == expected
