"""A module that takes seconds to load, loaded by the test that needs it: every worker of the suite reads every file."""

from typing import Any

import pytest


class Late:
    """Stands for a module; the first look into it loads it, or skips the test where it is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(pytest.importorskip(self._name), attribute)
