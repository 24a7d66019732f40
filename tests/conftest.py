"""Fixtures that every part of the tests may use."""

from pathlib import Path

import pytest
from hypothesis import settings

# A timing is no assertion: compiling a kernel or a busy machine is no failure.
settings.register_profile("tapewatch", deadline=None, print_blob=True)
settings.load_profile("tapewatch")

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real recordings, which carry no licence to be part of the project."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"real recordings are not at hand: expected them in {RECORDINGS}")
    return RECORDINGS
