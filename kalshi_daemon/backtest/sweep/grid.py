"""What a sweep plays: every variant of the settings on the same sessions of every regime. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from kalshi_daemon.backtest.jobs import Job
from kalshi_daemon.ground.errors import ConfigurationError

JOBS_MAX: Final = 1_000_000
AS_SET: Final = "as set"
"""The variant of a sweep in which nothing varies."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One point of the settings: what it is called, and what it sets."""

    name: str
    changes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant in one regime: its sessions."""

    regime: str
    variant: str
    jobs: tuple[Job, ...]


def variants(varied: Mapping[str, Sequence[Any]]) -> list[Variant]:
    """Every combination of the values, in the order given; the first is what the others are compared with.

    Raises ConfigurationError for a key without values, or with one of them twice.
    """
    for key, values in varied.items():
        if not values or len({repr(value) for value in values}) < len(values):
            raise ConfigurationError("--vary", f"{key} has no values, or one of them twice", "e.g. pricing.x=0.3,0.5")
    found = []
    for values in product(*varied.values()):
        changes = tuple(zip(varied, values, strict=True))
        found.append(Variant(" ".join(f"{key}={value}" for key, value in changes) or AS_SET, changes))
    return found


def check_size(cells: Sequence[Cell]) -> int:
    """How many sessions there are. Raises ConfigurationError when that is more than anybody waits for."""
    count = sum(len(cell.jobs) for cell in cells)
    if count > JOBS_MAX:
        raise ConfigurationError("sweep", f"is {count} sessions", f"at most {JOBS_MAX}: fewer values, regimes or hours")
    return count
