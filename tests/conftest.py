"""What holds for every test: a property is never judged by how long the machine took for one example."""

import functools
import gc
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.marks import could_be_chosen, unspelled

settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")

PARTS = frozenset({"e2e", "alone", "simulated"})
"""Marks that a run of the suite chooses its tests by."""


@functools.cache
def _text(path: Path) -> str:
    return path.read_text()


def _timeout_s(item):
    mark = item.get_closest_marker("timeout")
    return 0.0 if mark is None else float(mark.args[0])


def pytest_ignore_collect(collection_path, config):
    """Leave files aside of which no test can be chosen."""
    if collection_path.is_file() and config.option.markexpr and collection_path.name.startswith("test_"):
        return None if could_be_chosen(config.option.markexpr, _text(collection_path)) else True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """What may take longest starts first, so that no worker is waited for at the end.

    A mark that comes from elsewhere would let a run overlook its test.
    """
    usual_s = float(config.getini("timeout"))
    items.sort(key=lambda item: -max(usual_s, _timeout_s(item)))
    for item in items:
        missing = unspelled((mark.name for mark in item.iter_markers()), PARTS, _text(item.path))
        if missing:
            raise pytest.UsageError(f"{item.nodeid}: its file has to say pytest.mark.{missing[0]} itself")


def pytest_collection_finish():
    """Thousands of tests and all modules stay: the collector need not walk them again and again while tests run."""
    gc.collect()
    gc.freeze()
