"""Two actions timed in turns, so that a busy machine slows both alike."""

from collections.abc import Callable
from statistics import median
from time import process_time_ns
from typing import NamedTuple

type Action = Callable[[], object]


class Compared(NamedTuple):
    """Microseconds of CPU per run (the fastest of all rounds) and the median of the rounds' ratios."""

    one_us: float
    other_us: float
    ratio: float


def compare(one: Action, other: Action, *, rounds: int = 41, runs: int = 100) -> Compared:
    """CPU time of `one` over `other`. Each round times both, in alternating order."""
    ours, theirs = [], []
    for number in range(rounds):
        spent = {action: _timed(action, runs) for action in ((one, other), (other, one))[number % 2]}
        ours.append(spent[one])
        theirs.append(spent[other])
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    return Compared(min(ours), min(theirs), ratio)


def _timed(action: Action, runs: int) -> float:
    start = process_time_ns()
    for _ in range(runs):
        action()
    return (process_time_ns() - start) / runs / 1e3
