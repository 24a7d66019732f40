"""The rule that docs/scale.md has its readers write, written as they would."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from support.markets import Tape
from tapewatch.detect import core, rules
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.model import Lane

DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"


def test_the_exercise_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.+?)```", DOCUMENT.read_text(), re.DOTALL)
    file = tmp_path / "minute_move.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location("minute_move", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "minute_move", module)
    spec.loader.exec_module(module)
    more = (*rules.RULES, module.RULE)
    for place in (rules, core):
        monkeypatch.setattr(place, "RULES", more)

    tape = Tape(Lane("coinbase", "SOL-USD"))
    for second in range(0, 90, 3):  # two tenths of a percent in ten seconds: too slow for the fast rules
        tape.trade(second, f"{100 + 0.02 * second:.2f}")
    told = Detector(RuleBook.default()).update(tape.rows()).changes
    assert [(change.change, change.anomaly.rule) for change in told] == [("opened", "minute_move")]
    assert told[0].anomaly.explain.startswith("SOL-USD rose 1.0")
    assert "(limit 1.00 % in 60 s)" in told[0].anomaly.explain
