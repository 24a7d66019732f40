"""What a machine lacks: a test is skipped for it by name, but in CI that is a failure."""

import os
from typing import NoReturn

import pytest


def lacking(what: str, error: Exception) -> NoReturn:
    """Skip the test that needs `what`, and say why it is not there; fail in CI."""
    if "CI" in os.environ:
        pytest.fail(f"in CI there must be {what}: {error}")
    pytest.skip(f"no {what} on this machine: {error}")
