"""Maximum-likelihood fits of the frozen figures: curve, variance coefficients, residual shape.

The likelihood is that of the moves under the two-piece Student t, so a crash pulls on a coefficient no harder than a
three-sigma day: that is the robustness. Coefficients are drawn towards those of a reference by a ridge, in units of
their features' spread.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

from kalshi_daemon.calibration.constants import (
    SESSION_MINUTES,
    Quadratic,
    ResidualFigures,
    VarianceCoefficients,
)
from kalshi_daemon.calibration.density import HORIZONS_MIN, shape_at
from kalshi_daemon.calibration.variance import EXPONENT_CLIP
from kalshi_daemon.research.harvest import Harvest, log_horizons

type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]

RIDGE: Final = 10_000.0
"""Weight of the reference's coefficients, per squared standard deviation of a feature; a year of bars holds about
14,000 forecasts. Anything from 300 to 100,000 scores the same within 0.0005 nat (docs/calibration.md)."""
ROUNDS: Final = 2
"""Coefficients and shape are fitted in turn."""
SHAPE_MAX: Final = 30.0
CURVE_HALF_LIFE_DAYS: Final = 250.0
"""A year: the end of the day changes its shape that fast, and a cold start has nothing but this curve
(docs/decisions/0008)."""
_SMOOTH: Final = 5
_FREEDOM_MIN: Final = 3.0
_IMPOSSIBLE: Final = 1e3
"""Loss of a shape that is none: finite, so that a difference quotient across the edge is a number."""


def curve_fit(squares: Floats, days: Bools) -> Floats:
    """The diurnal curve, shape (390,), mean 1, from squared minute returns (days, 390) of the chosen days.

    Recent days count more. Five minutes are averaged, and a minute's own figure comes back as far as it stands out of
    that by more than its standard error (positive-part James-Stein): the bell, 10:00 and the last minute keep theirs.
    """
    age = np.arange(len(squares))[::-1][days]
    weight = 2.0 ** (-age / CURVE_HALF_LIFE_DAYS)
    chosen = np.nan_to_num(squares[days])
    shapes = np.minimum(chosen / chosen.mean(axis=1, keepdims=True), SHAPE_MAX)
    share = weight / weight.sum()
    mean = share @ shapes
    error_squared = np.square(share) @ np.square(shapes - mean)
    smooth = np.convolve(np.pad(mean, _SMOOTH // 2, mode="edge"), np.full(_SMOOTH, 1.0 / _SMOOTH), mode="valid")
    stands_out = np.square(mean - smooth)
    keep = np.maximum(0.0, 1.0 - error_squared / np.maximum(stands_out, 1e-12))
    curve: Floats = smooth + keep * (mean - smooth)
    return curve * (SESSION_MINUTES / float(curve.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class _Shapes:
    """The residual distribution of every row. Shapes (n,)."""

    location: Floats
    below: Floats
    above: Floats
    nu: Floats


def _shapes(found: Harvest, figures: ResidualFigures) -> _Shapes:
    horizons, at = np.unique(found.horizon_min, return_inverse=True)
    shapes = [shape_at(float(horizon), figures) for horizon in horizons]
    columns = np.array([(one.location, one.below, one.above, one.nu) for one in shapes])[at].T
    return _Shapes(*columns)


def _log_density(z: Floats, distribution: _Shapes) -> tuple[Floats, Floats]:
    """ln of the density of z, and its derivative."""
    scale = np.where(z < distribution.location, distribution.below, distribution.above)
    t = (z - distribution.location) / scale
    half = (distribution.nu + 1.0) / 2.0
    constant = gammaln(half) - gammaln(distribution.nu / 2.0) - 0.5 * np.log(distribution.nu * np.pi)
    constant += np.log(2.0 / (distribution.below + distribution.above))
    spread = 1.0 + t * t / distribution.nu
    return constant - half * np.log(spread), -(distribution.nu + 1.0) * t / (distribution.nu * scale * spread)


def design(found: Harvest) -> Floats:
    """Columns of the linear predictor: 1, ln(h / 15), its square, the features, the features times ln(h / 15)."""
    unit = log_horizons(found)[:, None]
    stacked: Floats = np.hstack((np.ones_like(unit), unit, unit * unit, found.features, found.features * unit))
    return stacked


def packed(coefficients: VarianceCoefficients) -> Floats:
    """In the order of `design`."""
    return np.concatenate((coefficients.intercept, coefficients.level, coefficients.by_log_horizon))


def unpacked(values: Floats) -> VarianceCoefficients:
    """Coefficients from the optimiser's vector; the reverse of `packed`."""
    count = (len(values) - 3) // 2
    level, by = values[3 : 3 + count].tolist(), values[3 + count :].tolist()
    return VarianceCoefficients(_quadratic(values[:3]), tuple(level), tuple(by))


def variance_fit(
    found: Harvest, rows: Bools, reference: VarianceCoefficients, figures: ResidualFigures, ridge: float = RIDGE
) -> VarianceCoefficients:
    """Coefficients under a given residual shape, over the chosen rows.

    `ridge`: weight of the distance to the reference, per coefficient.
    """
    columns, x, anchor = design(found)[rows], found.x[rows], found.log_anchor[rows]
    distribution = _Shapes(*(part[rows] for part in _parts(_shapes(found, figures))))
    start = packed(reference)
    spread = columns.std(axis=0)
    spread[spread == 0.0] = 1.0
    count = len(x)

    def loss(values: Floats) -> tuple[float, Floats]:
        log_variance = anchor + np.clip(columns @ values, -EXPONENT_CLIP, EXPONENT_CLIP)
        z = x * np.exp(-0.5 * log_variance)
        score, slope = _log_density(z, distribution)
        pull = (values - start) * spread
        gradient = columns.T @ (-0.5 - 0.5 * z * slope)
        value = -float(np.sum(score - 0.5 * log_variance)) + ridge * float(pull @ pull)
        return value / count, (-gradient + 2.0 * ridge * pull * spread) / count

    return unpacked(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x)


def shape_fit(found: Harvest, rows: Bools, variances: Floats, reference: ResidualFigures) -> ResidualFigures:
    """The twelve figures of the residual distribution of z = x / sqrt(variances), over the chosen rows."""
    z = found.x[rows] / np.sqrt(variances[rows])
    horizons, at = np.unique(found.horizon_min[rows], return_inverse=True)
    count = len(z)

    def loss(values: Floats) -> float:
        figures = _figures(values)
        try:
            freest = min(shape_at(horizon, figures).nu for horizon in HORIZONS_MIN)
            shapes = [shape_at(float(horizon), figures) for horizon in horizons]
        except ValueError:
            return _IMPOSSIBLE
        if freest < _FREEDOM_MIN:
            return _IMPOSSIBLE
        columns = np.array([(one.location, one.below, one.above, one.nu) for one in shapes])[at].T
        return -float(np.sum(_log_density(z, _Shapes(*columns))[0])) / count

    start = np.array([*reference.location, *reference.log_scale, *reference.log_skew, *reference.log_freedom])
    return _figures(minimize(loss, start, method="L-BFGS-B", options={"maxiter": 60}).x)


def _figures(values: Floats) -> ResidualFigures:
    return ResidualFigures(*(_quadratic(values[at : at + 3]) for at in (0, 3, 6, 9)))


def _quadratic(values: Floats) -> Quadratic:
    level, slope, bend = (float(value) for value in values)
    return level, slope, bend


def _parts(distribution: _Shapes) -> tuple[Floats, Floats, Floats, Floats]:
    return distribution.location, distribution.below, distribution.above, distribution.nu
