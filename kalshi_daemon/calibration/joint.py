"""Two indices as one bet: an adaptive correlation and a Student-t copula over the two distributions.

Source: docs/reference/model.md 4.7.

The correlation is that of the minute returns both indices were watched for, each divided by the root of its own session
curve, with a half-life of three sessions. The distributions of the two fixings stay exactly as they are; the copula
only says how they move together. Nothing here is random: scenarios come from nodes the caller hands in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from kalshi_daemon.calibration.today import Today
from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.ground.units import MINUTE

Floats = NDArray[np.float64]

HALF_LIFE_MIN: Final = 3.0 * 390.0
PRIOR: Final = 0.9
"""Before any data; between the median day (0.94) and the worst in a hundred (0.74)."""
PRIOR_MIN: Final = 60.0
"""Minutes the prior weighs. It is forgotten like data."""
MOVE_MAX: Final = 6.0
"""A minute counts as at most so many standard deviations of its index: one jump must not be the correlation."""
FLOOR: Final = 0.8
"""For risk the two are never taken for less alike than this."""
STRESS: Final = 0.7
"""What a bet on one against the other must survive as well."""
FREEDOM: Final = 6.0
"""Degrees of freedom of the copula: large moves come together more often than a Gaussian copula has them. Of 3, 4, 6,
10, 30 and the Gaussian the best at 55, 30, 5 and 2 minutes on 135 days of NQ and ES (docs/decisions/0006)."""
_KEPT: Final = 2.0 ** (-1.0 / HALF_LIFE_MIN)
_MAX: Final = 0.9999
_INSIDE: Final = 1e-15
"""Uniforms are kept this far from 0 and 1, where the copula is not defined."""


@dataclass(slots=True)
class Correlation:
    """Of the two indices' minute returns. One writer, who calls `follow`; plain numbers, so that they can be kept."""

    cross: float = 0.0
    first: float = 0.0
    second: float = 0.0
    """Faded sums of x y, x^2 and y^2 over minutes; x and y are variance-per-average-minute returns."""
    weight: float = 0.0
    """Faded count of minutes."""
    prior: float = PRIOR_MIN
    open_ns: int = 0
    """The session `minute` belongs to, by its open."""
    minute: int = 0
    """Minutes of it that were looked at."""

    def follow(self, one: Today | None, other: Today | None) -> None:
        """Fold in the minutes that ended for both since the last call; a minute not watched in full is left out."""
        if one is None or other is None or one.path is None or other.path is None:
            return
        if one.session.open_ns != other.session.open_ns:
            return
        if one.session.open_ns != self.open_ns:
            self.open_ns, self.minute = one.session.open_ns, 0
        done = (min(one.path.span_start_ns, other.path.span_start_ns) - self.open_ns) // MINUTE
        for minute in range(self.minute, done):
            pair = _move(one, minute), _move(other, minute)
            if isfinite(pair[0]) and isfinite(pair[1]):
                self.fold(*pair)
        self.minute = max(self.minute, done)

    def fold(self, x: float, y: float) -> None:
        """Add one minute's log returns, each over the root of the mass of its minute.

        `x` is of the first index, `y` of the second.
        """
        if self.weight > PRIOR_MIN:
            x, y = _capped(x, self.first / self.weight), _capped(y, self.second / self.weight)
        self.cross = _KEPT * self.cross + x * y
        self.first = _KEPT * self.first + x * x
        self.second = _KEPT * self.second + y * y
        self.weight = _KEPT * self.weight + 1.0
        self.prior *= _KEPT

    @property
    def value(self) -> float:
        """The correlation, the prior mixed in by weight; within -0.9999..0.9999."""
        both = self.first * self.second
        seen = self.cross / sqrt(both) if both > 0.0 else PRIOR
        mixed = (self.weight * seen + self.prior * PRIOR) / (self.weight + self.prior)
        return min(_MAX, max(-_MAX, mixed))

    @property
    def cautious(self) -> tuple[float, float]:
        """The two correlations a risk figure must survive: the learnt one, floored, and the stressed one."""
        return max(FLOOR, self.value), STRESS

    def go_back(self, to: "Correlation") -> None:
        """Be as `to` is; whoever holds this one sees it, and `to` stays apart."""
        for name in self.__slots__:
            setattr(self, name, getattr(to, name))

    def snapshot(self) -> dict[str, float]:
        """What `restored` takes back."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def restored(cls, document: Mapping[str, object]) -> "Correlation":
        """The correlation of a snapshot. Raises ValueError for anything that cannot be one."""
        found = cls()
        for name in cls.__slots__:
            value = document.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
                raise ValueError(f"correlation: {name} is no number: {value!r}")
            setattr(found, name, type(getattr(found, name))(value))
        if min(found.first, found.second, found.weight, found.prior, found.minute) < 0.0:
            raise ValueError(f"correlation: a sum of squares or a count is negative: {document!r}")
        if abs(found.cross) > sqrt(found.first * found.second) * (1.0 + 1e-9):
            raise ValueError(f"correlation: beyond 1: {document!r}")
        return found


def _move(today: Today, minute: int) -> float:
    path = today.path
    assert path is not None, "`follow` has looked"
    if not isfinite(path.squares[minute]):
        return float("nan")
    start, end = path.boundaries[minute : minute + 2].tolist()
    return log(end / start) / sqrt(today.curve.rates[minute])


def _capped(move: float, variance: float) -> float:
    most = MOVE_MAX * sqrt(variance)
    return min(most, max(-most, move))


# The copula. u and v are the two distributions' probabilities of what came, or of what is asked.


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioNodes:
    """Points that fill the unit square evenly, with what the copula makes of them before it knows the correlation."""

    u: Floats
    first: Floats
    """Student-t quantiles of u, FREEDOM degrees; shape (n,)."""
    second: Floats
    """Independent Student-t values with one degree more, for the other index given the first."""

    @classmethod
    def of(cls, square: Floats) -> "ScenarioNodes":
        """square: shape (n, 2), strictly between 0 and 1. Raises ValueError."""
        if square.ndim != 2 or square.shape[1] != 2 or not np.all((square > 0.0) & (square < 1.0)):  # noqa: PLR2004
            raise ValueError("scenario nodes are points strictly inside the unit square")
        return cls(square[:, 0], stdtrit(FREEDOM, square[:, 0]), stdtrit(FREEDOM + 1.0, square[:, 1]))


def lattice(count: int) -> Floats:
    """Roberts' R2 sequence: `count` points of the unit square, evenly spread, the same every time. Shape (count, 2)."""
    plastic = 1.324717957244746
    steps = np.arange(1, count + 1)[:, None] * np.array([1.0 / plastic, 1.0 / plastic**2])
    found: Floats = (0.5 + steps) % 1.0
    return found


@lru_cache(maxsize=8)
def copula_points(rho: float, nodes: ScenarioNodes) -> Floats:
    """(u, v) of each node under this correlation, shape (n, 2), read-only: asked again for every quote, and kept."""
    second = rho * nodes.first + _spread(rho, nodes.first) * nodes.second
    found: Floats = np.stack((nodes.u, stdtr(FREEDOM, second)), axis=1)
    found.setflags(write=False)
    return found


def joint_scenarios(one: Forecast, other: Forecast, rho: float, nodes: ScenarioNodes) -> Floats:
    """Levels in points of the two indices at their common fixing, equally likely, shape (n, 2).

    Each column has its own distribution, together they have the copula. Raises ValueError for two different fixings.
    """
    _same_fixing(one, other)
    points = np.clip(copula_points(rho, nodes), _INSIDE, 1.0 - _INSIDE)
    return np.stack((one.quantiles(points[:, 0]), other.quantiles(points[:, 1])), axis=1)


def _spread(rho: float, first: Floats | float) -> Floats:
    """Scale of the second index's t, one degree more, given the first's."""
    found: Floats = np.sqrt((FREEDOM + np.square(first)) * (1.0 - rho * rho) / (FREEDOM + 1.0))
    return found


def _same_fixing(one: Forecast, other: Forecast) -> None:
    if one.target_ns != other.target_ns:
        raise ValueError(f"two fixings, {one.target_ns} and {other.target_ns}: the copula is for one instant")
