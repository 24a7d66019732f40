"""Nothing is compiled while rows wait: the warm-up has been through every kernel, with the types that come later."""

import subprocess
import sys
from pathlib import Path

CODE = """
import gc, sys
sys.path.insert(0, sys.argv[1])
from numba.core.dispatcher import Dispatcher
from support.markets import seeded
from tapewatch.detect.bars import fold
from tapewatch.detect.core import Detector
from tapewatch.detect.rules import RuleBook
from tapewatch.runtime.warmup import warm_up

def compiled():
    kernels = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
    ours = [each for each in kernels if each.py_func.__module__.startswith("tapewatch")]
    return {each.py_func.__qualname__: each.signatures for each in ours}

warm_up()
before = compiled()
rows = seeded(1, 3000, 3)
detector = Detector(RuleBook.default())
fold(rows, detector.update(rows).new)
fold(rows.part(0, 9), detector.update(rows.part(0, 9)).new)
detector.open_anomalies()
Detector.restore(RuleBook.default(), detector.snapshot()).update(rows)
assert before and compiled() == before, [name for name, kept in compiled().items() if before.get(name) != kept]
"""


def test_a_tape_of_every_kind_compiles_nothing_more() -> None:
    tests = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", CODE, str(tests)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
