"""What a fault is to whoever plays it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.stage import Stage


def _nothing() -> None:
    """Nothing has to be put back."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Effect:
    """A fault that has begun. `hit()`: whether anything has felt it so far; `end()` puts everything back."""

    hit: Callable[[], bool] = _always
    end: Callable[[], None] = _nothing


Begin = Callable[[Stage, float], Effect]
"""Begins a fault; the seconds are how long it will last."""
