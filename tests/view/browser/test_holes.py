"""Where the chart says that data are missing."""

import pytest

pytestmark = pytest.mark.browser


def test_where_trades_are_missing_there_is_a_hole_and_where_nobody_traded_there_is_none(module):
    # time, four prices, volume, count, first and last id
    bars = [
        [100, 1, 1, 1, 1, 1, 3, 1, 3],
        [160, 1, 1, 1, 1, 1, 2, 4, 5],  # a quiet minute before it
        [170, 1, 1, 1, 1, 1, 2, 15, 16],  # nine trades are missing between its neighbour and it
        [180, 1, 1, 1, 1, 1, 3, 17, 24],  # and five within this one
        [300, 1, 1, 1, 1, 1, 4, 1, 4],  # the numbering begins anew
        [400, 1, 1, 1, 1, 1, 1, 5, 5],  # the feed was silent before it
    ]
    body = """
      const series = new m.Series(10, x.counted);
      series.prepend(x.bars.flat());
      series.silences = [[320, 395]];
      return series.bars.map((_, i) => [series.holeBefore(i), series.missingIn(i)]);
    """
    counted = module("lib/series", body, {"bars": bars, "counted": True})
    anew, silent = {"from": 190, "to": 300, "missing": 0}, {"from": 310, "to": 400, "missing": 0}
    nine = {"from": 170, "to": 170, "missing": 9}
    assert counted == [[None, 0], [None, 0], [nine, 0], [None, 5], [anew, 0], [silent, 0]]
    uncounted = module("lib/series", body, {"bars": bars, "counted": False})
    assert uncounted == [[None, 0]] * 5 + [[silent, 0]]


def test_two_trades_that_stand_in_each_other_s_bar_are_no_hole(module):
    bars = [[100, 1, 1, 1, 1, 1, 3, 1, 4], [110, 1, 1, 1, 1, 1, 3, 3, 6]]
    body = """
      const series = new m.Series(10, true);
      series.prepend(x.flat());
      return [0, 1].map((i) => [series.holeBefore(i), series.missingIn(i)]);
    """
    assert module("lib/series", body, bars) == [[None, 0], [None, 0]]


@pytest.mark.parametrize(
    ("hole", "words"),
    [
        ({"from": 0, "to": 52, "missing": 499}, ["No data for 52 s", "499 trades missing"]),
        ({"from": 0, "to": 300, "missing": 0}, ["No data for 5 min"]),
        ({"from": 10, "to": 10, "missing": 1}, ["1 trade missing"]),
        ({"from": 10, "to": 10, "missing": 0}, ["No data"]),
    ],
)
def test_what_is_said_of_a_hole(module, hole, words):
    assert module("chart/holes", "return m.holeWords(x)", hole) == words
