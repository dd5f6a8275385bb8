"""The distribution of the standardised residual z = ln(P_T / P_t) / sigma: a two-piece Student t, tabulated for speed.

The cdf is linear between table entries, which run from probability 1e-12 to 1 - 1e-12, densely in the tails; beyond
them the Student t itself, which meets the table without a step. Laws between two tabulated horizons are mixed quantile
by quantile in ln h.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from math import exp, log, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr, stdtrit

from kalshi_daemon.calibration.constants import HORIZON_UNIT_MIN, ResidualFigures, quadratic
from kalshi_daemon.calibration.constants_file import SHIPPED

Floats = NDArray[np.float64]

TAIL: Final = 1e-12
"""Probability beyond which the Student t is evaluated itself, on either side: what a price would never show."""
_CENTRE: Final = 0.005
"""From here outwards the entries follow in a ratio of 0.9 instead of by half a per cent: a wide ladder has half of its
strikes there, and one look into a table costs a tenth of evaluating the tail."""
_PROBABILITY_MIN: Final = 1e-200
SQUARE_MAX: Final = 9.0
"""A squared residual counts at most as that of three sigma when the scale is learnt."""
_OUTWARDS: Final[Floats] = np.geomspace(TAIL, _CENTRE, 213)
NODES: Final[Floats] = np.concatenate(
    (_OUTWARDS, [0.0075], np.round(np.linspace(0.01, 0.99, 197), 6), [0.9925], 1.0 - _OUTWARDS[::-1])
)
"""Probabilities of the table entries."""
NODES.flags.writeable = False
HORIZONS_MIN: Final = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 22.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 390.0)
"""Horizons a distribution is tabulated for; beyond them the nearest one's shape holds."""
_MOMENT_GRID: Final[Floats] = (np.arange(4_000) + 0.5) / 4_000


@dataclass(frozen=True, slots=True)
class Shape:
    """A two-piece Student t. Raises ValueError for scales or degrees of freedom without a variance."""

    location: float
    below: float
    """Scale on the lower side of the location, above on the upper one; in residual sd."""
    above: float
    nu: float

    def __post_init__(self) -> None:
        """Refuse what has no finite variance."""
        if not (self.below > 0.0 and self.above > 0.0 and self.nu > 2.0):  # noqa: PLR2004 - variance of a t
            raise ValueError(f"a residual shape needs positive scales and more than two degrees of freedom: {self}")

    @property
    def share_below(self) -> float:
        """P(Z < location); the density is continuous there."""
        return self.below / (self.below + self.above)

    def cdf(self, z: Floats) -> Floats:
        """Probabilities of at most `z`, a move in units of its sigma."""
        away = z - self.location
        low = 2.0 * self.share_below * stdtr(self.nu, np.minimum(away, 0.0) / self.below)
        high = 2.0 * (1.0 - self.share_below) * (stdtr(self.nu, np.maximum(away, 0.0) / self.above) - 0.5)
        found: Floats = low + high
        return found

    def quantiles(self, probabilities: Floats) -> Floats:
        """Moves in units of their sigma, by probability."""
        share = self.share_below
        low = self.below * stdtrit(self.nu, np.minimum(probabilities / (2.0 * share), 0.5))
        high = -self.above * stdtrit(self.nu, np.minimum((1.0 - probabilities) / (2.0 * (1.0 - share)), 0.5))
        found: Floats = self.location + np.where(probabilities < share, low, high)
        return found


def shape_at(horizon_min: float, figures: ResidualFigures = SHIPPED.residual) -> Shape:
    """The fitted shape at a horizon of `horizon_min` > 0 minutes."""
    where = log(min(HORIZONS_MIN[-1], max(HORIZONS_MIN[0], horizon_min)) / HORIZON_UNIT_MIN)
    log_scale, log_skew = quadratic(figures.log_scale, where), quadratic(figures.log_skew, where)
    return Shape(
        quadratic(figures.location, where),
        exp(log_scale - log_skew),
        exp(log_scale + log_skew),
        exp(quadratic(figures.log_freedom, where)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class ResidualDistribution:
    """A strictly increasing, continuous cdf on the whole line."""

    nodes: Floats
    """Values at the probabilities NODES, strictly increasing."""
    shapes: tuple[Shape, Shape, float]
    """Whose tails these are: two shapes and the weight of the second."""
    second_moment: float
    """E[z^2] under this distribution: what a squared residual is compared with."""
    capped_share: float
    """E[min(z^2, 9 E[z^2])] / E[z^2]: what is left of it when one residual counts as three sigma at most."""

    @property
    def shape(self) -> Shape:
        """The mixed shape. Worked out when asked for: a price needs the table only."""
        return _mixed(*self.shapes)

    def cdf(self, z: Floats) -> Floats:
        """P(Z <= z), shape (n,) -> (n,). +-inf are allowed; NaN stays NaN."""
        found: Floats = np.interp(z, self.nodes, NODES)
        low, high = self.nodes[0], self.nodes[-1]
        below, above = z < low, z > high
        if below.any():
            found[below] = TAIL * self._lower(z[below]) / self._lower(low)
        if above.any():
            found[above] = 1.0 - TAIL * self._upper(z[above]) / self._upper(high)
        return found

    def tabulated(self, z: Floats) -> Floats:
        """`cdf` with 0 and 1 beyond the table, where it is 1e-12 away from them: what a price needs, in one look-up."""
        found: Floats = np.interp(z, self.nodes, NODES, left=0.0, right=1.0)
        return found

    def log_density(self, z: Floats) -> Floats:
        """ln of the derivative of `cdf`, shape (n,) -> (n,): constant between two nodes, a Student t in the tails."""
        at = np.minimum(np.maximum(self.nodes.searchsorted(z) - 1, 0), len(NODES) - 2)
        found: Floats = np.log((NODES[at + 1] - NODES[at]) / (self.nodes[at + 1] - self.nodes[at]))
        low, high = self.nodes[0], self.nodes[-1]
        below, above = z < low, z > high
        if below.any():
            found[below] = self._tail_log_density(z[below], self.shape.below, self._lower(low))
        if above.any():
            found[above] = self._tail_log_density(z[above], self.shape.above, self._upper(high))
        return found

    def _tail_log_density(self, z: Floats, scale: float, beyond: Floats) -> Floats:
        """`beyond`: what a whole Student t has further out than the table, where this distribution has TAIL."""
        shape = self.shape
        return log(TAIL / beyond / scale) + _student_log_density(shape.nu, (z - shape.location) / scale)

    def relative_square(self, z: float) -> float:
        """z^2 against what this distribution expects of it, capped at three sigma.

        Its mean under the distribution is 1.
        """
        return min(z * z / self.second_moment, SQUARE_MAX) / self.capped_share

    def quantiles(self, probabilities: Floats) -> Floats:
        """The inverse of `cdf`, shape (n,) -> (n,); 0 and 1 give -inf and +inf."""
        found: Floats = np.interp(probabilities, NODES, self.nodes)
        shape = self.shape
        below, above = probabilities < TAIL, probabilities > 1.0 - TAIL
        if below.any():
            share = probabilities[below] / TAIL * self._lower(self.nodes[0])
            found[below] = shape.location + shape.below * _student_quantiles(shape.nu, share)
        if above.any():
            share = (1.0 - probabilities[above]) / TAIL * self._upper(self.nodes[-1])
            found[above] = shape.location - shape.above * _student_quantiles(shape.nu, share)
        return found

    def _lower(self, z: Floats) -> Floats:
        found: Floats = stdtr(self.shape.nu, (z - self.shape.location) / self.shape.below)
        return found

    def _upper(self, z: Floats) -> Floats:
        found: Floats = stdtr(self.shape.nu, (self.shape.location - z) / self.shape.above)
        return found


def _student_quantiles(nu: float, probabilities: Floats) -> Floats:
    """The t quantile with its limit: scipy's `stdtrit` answers +inf at and next to probability 0."""
    found: Floats = np.where(probabilities > _PROBABILITY_MIN, stdtrit(nu, probabilities), -np.inf)
    return found


def _student_log_density(nu: float, t: Floats) -> Floats:
    constant = gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0) - 0.5 * log(nu * pi)
    found: Floats = constant - (nu + 1.0) / 2.0 * np.log1p(t * t / nu)
    return found


def distribution_of(shape: Shape) -> ResidualDistribution:
    """The tabulated distribution of a shape.

    Raises ValueError when it does not have 0.5 % on both sides of its location.
    """
    nodes = shape.quantiles(NODES)
    low, high = shape.quantiles(np.array([_CENTRE, 1.0 - _CENTRE]))
    if not low < shape.location < high:
        raise ValueError("a residual distribution must have both tails on their own sides of its location")
    shapes = (shape, shape, 0.0)
    squares = np.square(ResidualDistribution(nodes, shapes, 1.0, 1.0).quantiles(_MOMENT_GRID))
    moment = float(np.mean(squares))
    return ResidualDistribution(
        nodes, shapes, moment, float(np.mean(np.minimum(squares, SQUARE_MAX * moment))) / moment
    )


@dataclass(frozen=True, slots=True, eq=False)
class DistributionFamily:
    """Laws by horizon; between two of them quantiles are mixed linearly in ln h, outside the nearest one holds."""

    log_horizons: tuple[float, ...]
    distributions: tuple[ResidualDistribution, ...]
    steps: tuple[Floats, ...] = field(init=False)
    """From each distribution's nodes to the next one's."""

    def __post_init__(self) -> None:
        """Work out the steps."""
        steps = tuple(far.nodes - near.nodes for near, far in pairwise(self.distributions))
        object.__setattr__(self, "steps", steps)

    def at(self, horizon_min: float) -> ResidualDistribution:
        """The distribution at a horizon of `horizon_min` > 0 minutes."""
        where = log(horizon_min)
        right = bisect_left(self.log_horizons, where)
        if right == 0:
            return self.distributions[0]
        if right == len(self.distributions):
            return self.distributions[-1]
        left = right - 1
        near, far = self.distributions[left], self.distributions[right]
        weight = (where - self.log_horizons[left]) / (self.log_horizons[right] - self.log_horizons[left])
        keep = 1.0 - weight
        return ResidualDistribution(
            near.nodes + weight * self.steps[left],
            (near.shapes[0], far.shapes[0], weight),
            keep * near.second_moment + weight * far.second_moment,
            keep * near.capped_share + weight * far.capped_share,
        )


def _mixed(near: Shape, far: Shape, weight: float) -> Shape:
    if weight == 0.0:
        return near
    keep = 1.0 - weight
    return Shape(
        keep * near.location + weight * far.location,
        keep * near.below + weight * far.below,
        keep * near.above + weight * far.above,
        keep * near.nu + weight * far.nu,
    )


@cache
def family_of(figures: ResidualFigures) -> DistributionFamily:
    """The distributions of these figures, tabulated at HORIZONS_MIN."""
    return DistributionFamily(
        tuple(log(h) for h in HORIZONS_MIN), tuple(distribution_of(shape_at(h, figures)) for h in HORIZONS_MIN)
    )
