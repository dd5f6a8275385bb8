"""Proper scores, calibration figures and their errors. Pure; arrays in, arrays or figures out.

Scores are of the log return x to the fixing and lower is better, except the log score, where higher is better.
CRPS is in the unit of x, the log score in nats. Conventions as in Gneiting and Raftery (2007).
"""

from collections.abc import Sequence
from math import pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.scores import crps_of_quantiles

type Floats = NDArray[np.float64]
type Counts = NDArray[np.int64]

_FAR: Final = 1e-9
"""Probability beyond which a distribution's tail adds nothing to a score (its share of the CRPS is below 1e-15)."""
_TAIL_STEPS: Final = 40
_EDGE: Final = 0.005
GRID: Final[Floats] = np.concatenate(
    (
        np.geomspace(_FAR, _EDGE, _TAIL_STEPS, endpoint=False),
        np.linspace(_EDGE, 1.0 - _EDGE, 991),
        1.0 - np.geomspace(_FAR, _EDGE, _TAIL_STEPS, endpoint=False)[::-1],
    )
)
"""Probabilities at which a distribution is read off; it is taken as linear in between."""
GRID.flags.writeable = False
_ROOT_PI: Final = sqrt(pi)
_ROOT_TWO_PI: Final = sqrt(2.0 * pi)


def distribution_scores(distribution: PredictiveDistribution, fixing: float) -> tuple[float, float, float]:
    """(CRPS, log score, PIT) of one distribution at the level in points the index was fixed at.

    `fixing` is that level.
    """
    at = np.array([fixing])
    x = float(np.log(fixing / distribution.level))
    quantiles = np.log(distribution.quantiles(GRID) / distribution.level)
    return crps_of_quantiles(quantiles, GRID, x), float(distribution.log_density(at)[0]), float(distribution.cdf(at)[0])


def gaussian_crps(x: Floats, sigma: Floats) -> Floats:
    """Closed form for N(0, sigma^2), sigma > 0. Shapes broadcast."""
    z = x / sigma
    density = np.exp(-0.5 * z * z) / _ROOT_TWO_PI
    found: Floats = sigma * (z * (2.0 * ndtr(z) - 1.0) + 2.0 * density - 1.0 / _ROOT_PI)
    return found


def gaussian_log_score(x: Floats, sigma: Floats) -> Floats:
    """Log density of N(0, sigma^2) at x, both in log price."""
    z = x / sigma
    found: Floats = -0.5 * z * z - np.log(sigma * _ROOT_TWO_PI)
    return found


def brier(probabilities: Floats, happened: Floats) -> Floats:
    """(p - y)^2, y 1 or 0. Shapes broadcast."""
    found: Floats = np.square(probabilities - happened)
    return found


def ks_distance(pits: Floats) -> float:
    """Largest distance between the PITs' empirical cdf and the uniform one.

    95 % of right models of n forecasts stay below 1.36 / sqrt(n). Raises ValueError without any.
    """
    if not len(pits):
        raise ValueError("no forecasts")
    ordered = np.sort(pits)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))


def coverage(pits: Floats, share: float) -> float:
    """Part of the fixings inside the central interval of probability `share`."""
    tail = (1.0 - share) / 2.0
    return float(np.mean((pits >= tail) & (pits <= 1.0 - tail)))


def clustered_mean(values: Floats, clusters: Counts) -> tuple[float, float]:
    """The mean and its standard error when values of one cluster (a day) move together. 0 error for one cluster.

    se = sqrt(sum over days of (sum of deviations)^2) / n, with the usual days / (days - 1).
    """
    mean = float(np.mean(values))
    _, position = np.unique(clusters, return_inverse=True)
    sums = np.bincount(position, weights=values - mean)
    if len(sums) < 2:  # noqa: PLR2004 - one day has no spread
        return mean, 0.0
    return mean, sqrt(float(np.sum(sums * sums)) * len(sums) / (len(sums) - 1)) / len(values)


def ratio_error(top: Floats, bottom: Floats, clusters: Counts) -> tuple[float, float]:
    """mean(top) / mean(bottom) and its clustered standard error by the delta method."""
    ratio = float(np.mean(top) / np.mean(bottom))
    _, error = clustered_mean(top - ratio * bottom, clusters)
    return ratio, error / float(np.mean(bottom))


def diebold_mariano(differences: Floats, clusters: Counts) -> float:
    """t of the mean score difference, clustered by day. NaN when it has no spread."""
    mean, error = clustered_mean(differences, clusters)
    return mean / error if error > 0.0 else float("nan")


def pooled(values: Sequence[float]) -> Floats:
    """Scores as an array."""
    return np.asarray(values, dtype=np.float64)
