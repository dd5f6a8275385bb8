"""Proper scores of one forecast, cheap enough to be taken live (Gneiting and Raftery 2007). Pure.

x is the log return to the fixing. CRPS is in the unit of x and lower is better; the log score is in nats, higher is
better.
"""

from math import erf, exp, log, pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.density import NODES, ResidualDistribution
from kalshi_daemon.calibration.recalibration import PitMap

Floats = NDArray[np.float64]

_ROOT_TWO: Final = sqrt(2.0)
_ROOT_PI: Final = sqrt(pi)
_ROOT_TWO_PI: Final = sqrt(2.0 * pi)


def crps_of_quantiles(quantiles: Floats, probabilities: Floats, x: float) -> float:
    """Integral of (F(y) - 1{y >= x})^2 for the cdf that is linear between the quantiles, shapes (n,), ascending.

    Exact for such a cdf: on a stretch of length d from F = a to F = b the integral of F^2 is d (a^2 + a b + b^2) /
    3. Beyond the outermost quantiles F counts as 0 and 1. In the unit of `x`.
    """
    if x <= quantiles[0]:
        return float(quantiles[0] - x) + _squared(quantiles, 1.0 - probabilities)
    if x >= quantiles[-1]:
        return float(x - quantiles[-1]) + _squared(quantiles, probabilities)
    at = int(quantiles.searchsorted(x, side="right"))
    reached = float(np.interp(x, quantiles, probabilities))
    places, values = _with(quantiles, at, x), _with(probabilities, at, reached)
    return _squared(places[: at + 1], values[: at + 1]) + _squared(places[at:], 1.0 - values[at:])


def published_crps(x: float, sigma: float, residual: ResidualDistribution, pit_map: PitMap) -> float:
    """CRPS of W(R(x / sigma)), read at the residual's own nodes: the tails beyond 0.5 % count as empty.

    Between two nodes R is linear and W has its knots at nodes, so that the middle is exact; what the tails would add
    is below 1e-3 of the score unless x itself lies in one, where the score comes out up to 0.5 % large.
    """
    return crps_of_quantiles(sigma * residual.nodes, pit_map.apply(NODES), x)


def gaussian_crps(x: float, sigma: float) -> float:
    """Closed form for N(0, sigma^2), sigma > 0. `x` in the unit of `sigma`, and so is the score."""
    z = x / sigma
    density = exp(-0.5 * z * z) / _ROOT_TWO_PI
    return sigma * (z * erf(z / _ROOT_TWO) + 2.0 * density - 1.0 / _ROOT_PI)


def gaussian_log_score(x: float, sigma: float) -> float:
    """ln density of N(0, sigma^2) at x, sigma > 0; nats."""
    z = x / sigma
    return -0.5 * z * z - log(sigma * _ROOT_TWO_PI)


def bernoulli_log_score(probability: float, *, happened: bool) -> float:
    """ln of the probability given to what came, > 0; nats."""
    return log(probability if happened else 1.0 - probability)


def brier(probability: float, *, happened: bool) -> float:
    """(p - y)^2, lower is better. Of probabilities, 0..1."""
    return (probability - happened) ** 2


def _with(values: Floats, at: int, one: float) -> Floats:
    """`np.insert`, which takes five times as long for a single value."""
    found = np.empty(len(values) + 1)
    found[:at], found[at], found[at + 1 :] = values[:at], one, values[at:]
    return found


def _squared(places: Floats, values: Floats) -> float:
    a, b = values[:-1], values[1:]
    return float(np.add.reduce((places[1:] - places[:-1]) * (a * a + a * b + b * b)) / 3.0)
