"""The detector agrees with the oracle on every field: on seeded tapes, on Hypothesis' tapes, on recorded days."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.agreement import agreed
from support.markets import seeded, tapes
from support.oracle import Armed, Verdict
from support.recorded import cascade, quiet
from tapewatch.detect.core import BLOCK, EVENTS
from tapewatch.model import Anomaly, Kind, Rows

TIGHT: Armed = {
    "pct_spike": {"threshold_pct": 0.003, "window_s": 0.3, "quiet_s": 0.5},
    "abs_jump": {"limit_quote": 0.0000000001, "window_s": 1, "quiet_s": 1},
    "vol_breakout": {"sigmas": 1, "returns": 2, "floor_pct": 0.001, "quiet_s": 2},
    "mean_reversion_break": {"sigmas": 0.5, "samples": 2, "floor_quote": 0.0000000003, "quiet_s": 2},
    "slow_move": {"threshold_pct": 0.01, "window_s": 10, "quiet_s": 0.25},
    "hour_move": {"threshold_pct": 0.05, "window_min": 2, "quiet_s": 5},
    "silent_feed": {"limit_s": 0.5},
    "tape_gap": {},
}
WIDE: Armed = {
    "pct_spike": {"threshold_pct": 7.25, "window_s": 600, "quiet_s": 60},
    "vol_breakout": {"sigmas": 2.5, "returns": 90, "floor_quote": 0.0001, "quiet_s": 300},
    "mean_reversion_break": {"sigmas": 1.5, "samples": 90, "floor_pct": 0.037, "quiet_s": 0.25},
    "slow_move": {"threshold_pct": 2.5, "window_s": 120, "quiet_s": 60},
    "hour_move": {"threshold_pct": 5.5, "window_min": 180, "quiet_s": 600},
    "tape_gap": {},
}
BOOKS = {"default": None, "tight": TIGHT, "wide": WIDE}
books = pytest.mark.parametrize("name", BOOKS)
SEEDS = range(16)
ROWS = 3000


@cache
def agreed_on(seed: int, name: str) -> Verdict:
    return agreed(seeded(seed, ROWS), BOOKS[name])


@books
@pytest.mark.parametrize("seed", SEEDS)
def test_seeded_tapes(seed: int, name: str) -> None:
    print(f"seed {seed}, {name} parameters")  # noqa: T201 - shown where the test fails
    assert agreed_on(seed, name).changes


@books
def test_a_long_tape_of_one_lane(name: str) -> None:
    # More rows than the detector folds at a time, and on them more events than a rule writes at a time.
    verdict = agreed(seeded(16, 3 * BLOCK, lanes=1), BOOKS[name])
    assert len(verdict.changes) > EVENTS


@books
def test_a_detector_that_is_stopped_now_and_then(name: str) -> None:
    agreed(seeded(17, ROWS), BOOKS[name], cuts=[1, 2, 500, 501, 501, 777, 1500, 2048, 2900])


@settings(max_examples=100, deadline=None)
@given(rows=tapes(), name=st.sampled_from(sorted(BOOKS)), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_any_tape(rows: Rows, name: str, cuts: list[int]) -> None:
    agreed(rows, BOOKS[name], sorted(min(cut, len(rows.data)) for cut in cuts))


def test_the_seeded_tapes_reach_every_corner() -> None:
    verdicts = [agreed_on(seed, "default") for seed in SEEDS]
    hours = [c for seed in SEEDS for c in agreed_on(seed, "wide").changes if c.anomaly.rule == "hour_move"]
    told = Counter((c.change, c.anomaly.rule, c.anomaly.direction) for v in verdicts for c in v.changes)
    # By default an hour's move ends an hour after it was held last, which is longer than these tapes.
    told += Counter((c.change, c.anomaly.rule, c.anomaly.direction) for c in hours if c.change == "ended")
    market = ("pct_spike", "abs_jump", "vol_breakout", "mean_reversion_break", "slow_move", "hour_move")
    feed = ("silent_feed", "tape_gap", "blind_feed", "new_numbering")
    sides = [*((rule, side) for rule in market for side in ("up", "down")), *((rule, None) for rule in feed)]
    for rule, side in sides:
        assert told["opened", rule, side]
        assert told["ended", rule, side]
        assert told["escalated", rule, side] or rule in ("tape_gap", "new_numbering")
    records = [c.anomaly for v in verdicts for c in v.changes if c.change == "opened"]
    assert {a.quality for a in records} == {"complete", "late", "gap"}
    assert {a.history for a in records} == {True, False}
    assert any("from its last trade" in a.explain for a in records)
    told_new = {pair for seed, v in zip(SEEDS, verdicts, strict=True) for pair in kinds(seed, v)}
    assert told_new == {(kind, new) for kind in Kind for new in (True, False)}
    assert any(len(gaps) == 64 for v in verdicts for _, gaps, _ in v.ledgers.values())


def kinds(seed: int, verdict: Verdict) -> set[tuple[int, bool]]:
    """Name the kinds of rows that were new, and those that were told again."""
    return set(zip(seeded(seed, ROWS).data["kind"].tolist(), verdict.new, strict=True))


def last_records(verdict: Verdict) -> list[Anomaly]:
    """Give every anomaly as it stood at the end of the tape."""
    return list({a.id: a for a in [*(c.anomaly for c in verdict.changes), *verdict.open]}.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("day", "trades", "opened", "triggers", "steps", "largest"),
    [
        ("quiet", 140_489, (0, 384, 451, 360), 51_966, 243, None),
        ("DOGE-USD", 266_395, (130, 0, 175, 266), 177_868, 399, -14.6194),
        ("LINK-USD", 228_597, (158, 0, 185, 272), 162_810, 523, 12.0851),
        ("ADA-USD", 194_374, (106, 0, 167, 239), 178_045, 362, 11.8587),
    ],
)
def test_recorded_days(
    shared: Path, day: str, trades: int, opened: tuple[int, ...], triggers: int, steps: int, largest: float | None
) -> None:
    rows = quiet(shared) if day == "quiet" else cascade(shared, day)
    assert int((rows.data["kind"] == Kind.TRADE).sum()) == trades
    names = ("pct_spike", "abs_jump", "vol_breakout", "mean_reversion_break")
    records = [a for a in last_records(agreed(rows)) if a.rule in names]
    by_rule = Counter(a.rule for a in records)
    assert tuple(by_rule[name] for name in names) == opened
    assert (sum(a.triggers for a in records), sum(a.escalation for a in records)) == (triggers, steps)
    if largest is not None:
        peak = max((a for a in records if a.rule == "pct_spike"), key=lambda a: abs(a.peak_observed))
        assert peak.peak_observed == pytest.approx(largest, abs=5e-5)
        if day == "DOGE-USD":
            assert peak.peak_ts == 1_760_131_294_977_231_000  # 21:21:34.977231 UTC
