"""How far an index value may be from the one before while the market is calm. Pure: believed values in, a share out."""

from collections import deque
from collections.abc import Iterable
from math import log, sqrt
from typing import Final

from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos

CALM_MIN: Final = 0.0025
"""Natural log."""
CALM_STEPS: Final = 40.0
"""Standard deviations a second: a day of 1 % has CALM_MIN; of the openings of March 2020 most keep `jump_min`."""
VALUES_MAX: Final = 300
VALUES_MIN: Final = 30
WITHIN_NS: Final = Nanos(5 * MINUTE)
_MEAN: Final = 0.7979
"""Of the absolute value of a standard normal variable. The mean: a burst counts, and one wrong step is one of many."""


class UsualStep:
    """What the values of the last WITHIN_NS, VALUES_MAX at the most, moved per square root of a second."""

    def __init__(self) -> None:
        self._last: tuple[Nanos, float] | None = None
        self._steps: deque[tuple[Nanos, float]] = deque()
        self._total = 0.0

    def add(self, at_ns: Nanos, value: float) -> None:
        """The next value in the order of the stamps, points."""
        last, self._last = self._last, (at_ns, value)
        if last is not None and at_ns > last[0]:
            step = abs(log(value / last[1])) / sqrt((at_ns - last[0]) / SECOND)
            self._steps.append((at_ns, step))
            self._total += step
        while self._steps and (len(self._steps) > VALUES_MAX or at_ns - self._steps[0][0] > WITHIN_NS):
            self._total -= self._steps.popleft()[1]

    def begin_again(self, values: Iterable[tuple[Nanos, float]]) -> None:
        """Know these values alone, oldest first."""
        self._last, self._total = None, 0.0
        self._steps.clear()
        for at_ns, value in values:
            self.add(at_ns, value)

    def least_far(self, jump_min: float) -> float:
        """CALM_STEPS of it, natural log: between CALM_MIN and `jump_min`; that when it is smaller, or steps are few."""
        if jump_min <= CALM_MIN or len(self._steps) < VALUES_MIN:
            return jump_min
        return max(CALM_MIN, min(jump_min, CALM_STEPS * self._total / len(self._steps) / _MEAN))
