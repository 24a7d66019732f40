"""What a cool-down held back is one row."""

import pytest

pytestmark = pytest.mark.browser


def alert(seq: int, *, muted: bool = True, symbol: str = "ENA-USD", direction: str = "up", size: float = 2.0):
    told = {"seq": seq, "channel": "desk", "symbol": symbol, "type": "Fast move", "direction": direction, "at": seq}
    return told | {"size": size, "muted": muted, "word": "", "peak": f"{size} %", "why": f"until {seq}"}


ROWS = [  # newest first
    alert(9),
    alert(8, symbol="LINK-USD"),
    alert(7, size=16.0),
    alert(6, direction="down"),
    alert(5),
    alert(4, muted=False, direction="down"),
    alert(3),
    alert(2),
]


@pytest.fixture
def fold(server, chromium):
    page = chromium.new_page()
    page.goto(f"{server.url}/api/health")
    base = f"{server.url}/_stcore/bidi-components/tapewatch.top/telling/folding.js"
    body = f"""async ([rows, open]) => {{
      const {{ folded }} = await import("{base}");
      const seqs = (members) => members?.map(({{ seq }}) => seq) ?? null;
      return folded(rows, new Set(open)).map((row) => [row.key, seqs(row.members), Boolean(row.inside)]);
    }}"""
    yield lambda rows, unfolded=(): page.evaluate(body, [rows, list(unfolded)])
    page.close()


def test_what_was_muted_between_two_that_were_told_is_one_row_for_each_symbol_and_direction(fold):
    assert fold(ROWS) == [
        ["fold 5:desk", [9, 7, 5], False],
        ["8:desk", None, False],
        ["6:desk", None, False],
        ["4:desk", None, False],
        ["fold 2:desk", [3, 2], False],
    ]


def test_what_is_unfolded_stands_behind_its_row(fold):
    listed = fold(ROWS, ["fold 2:desk"])
    assert listed[-3:] == [["fold 2:desk", [3, 2], False], ["3:desk", None, True], ["2:desk", None, True]]


def test_a_fold_keeps_its_name_while_new_ones_come(fold):
    assert fold([alert(10), *ROWS])[0] == ["fold 5:desk", [10, 9, 7, 5], False]
