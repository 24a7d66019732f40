"""What the screen looks like, cell by cell; after a wanted change: pytest tests/view/terminal --snapshot-update."""

import pytest

from support.screens import alerted, calm, market, press, screen, settle
from tapewatch.store.sql import Store
from tapewatch.view.terminal.palette import LIGHT


@pytest.fixture
def looks_as_before(snap_compare):
    """Compare the screen with its stored picture, after some keys."""

    def check(reader, size, *keys, **kwargs) -> bool:
        async def prepare(pilot):
            await settle(pilot)
            await press(pilot, *keys)

        return snap_compare(screen(reader, **kwargs), terminal_size=size, run_before=prepare)

    return check


def test_market(looks_as_before, tmp_path):
    assert looks_as_before(market(tmp_path / "x.db"), (144, 42), "down", "down", "enter")


def test_market_in_a_small_window(looks_as_before, tmp_path):
    assert looks_as_before(market(tmp_path / "x.db"), (80, 24))


def test_market_in_a_light_room(looks_as_before, tmp_path):
    assert looks_as_before(market(tmp_path / "x.db"), (100, 30), palette=LIGHT)


def test_stale(looks_as_before, tmp_path):
    assert looks_as_before(market(tmp_path / "x.db", frame_ago_s=47, silent=True), (100, 30))


def test_calm(looks_as_before, tmp_path):
    assert looks_as_before(calm(tmp_path / "x.db"), (100, 30))


def test_nothing_yet(looks_as_before, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of the database is on the screen
    assert looks_as_before(Store.read("data/tapewatch.db"), (80, 24))


def test_alerts(looks_as_before, tmp_path):
    assert looks_as_before(alerted(tmp_path / "x.db"), (120, 40), "A", "down", "down", "down", "down", "down", "enter")


def test_alerts_in_a_small_window(looks_as_before, tmp_path):
    assert looks_as_before(alerted(tmp_path / "x.db"), (80, 24), "A", "down")


def test_nobody_to_tell(looks_as_before, tmp_path):
    assert looks_as_before(calm(tmp_path / "x.db"), (80, 24), "A")


def test_help(looks_as_before, tmp_path):
    assert looks_as_before(market(tmp_path / "x.db"), (100, 50), "question_mark")
