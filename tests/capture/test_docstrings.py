"""The examples in the station's docstrings run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["coinbase", "completeness", "config", "subscribing", "text"])
def test_the_examples_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"tapewatch.capture.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
