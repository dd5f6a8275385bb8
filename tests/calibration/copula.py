"""The bivariate Student copula by quadrature: the judge of the scenarios that `calibration.joint` draws from nodes."""

from math import lgamma, log, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from kalshi_daemon.calibration.joint import _INSIDE, FREEDOM, _same_fixing, _spread
from kalshi_daemon.domain.forecast import Forecast

Floats = NDArray[np.float64]

_LEGENDRE: Final[tuple[Floats, Floats]] = np.polynomial.legendre.leggauss(64)
_REACH: Final = 8.0
_FLAT: Final = 1e-3


def copula_cdf(u: float, v: float, rho: float) -> float:
    """P(U <= u, V <= v), within 1e-5: Gauss-Legendre over the first index of the second's distribution given it."""
    if min(u, v) <= 0.0:
        return 0.0
    if max(u, v) >= 1.0:
        return min(u, v)
    places, weights = _LEGENDRE
    bound = float(stdtrit(FREEDOM, v))
    # The conditional distribution steps from 1 to 0 around first = bound / rho: pieces on both sides, where it is
    # smooth.
    step = bound / rho if abs(rho) > _FLAT else 0.0
    around = step + _REACH * _spread(rho, step) * np.array([-1.0, -0.2, 0.0, 0.2, 1.0])
    cuts = np.unique([0.0, 1e-4 * u, 1e-2 * u, *np.minimum(stdtr(FREEDOM, around), u), u])
    low, high = cuts[:-1, None], cuts[1:, None]
    first = stdtrit(FREEDOM, 0.5 * (high - low) * places + 0.5 * (high + low))
    given = stdtr(FREEDOM + 1.0, (bound - rho * first) / _spread(rho, first))
    return min(u, v, float(np.sum(0.5 * (high - low) * weights * given)))


def joint_cdf(one: Forecast, other: Forecast, levels: tuple[float, float], rho: float) -> float:
    """P(one <= levels[0] and other <= levels[1]) at their common fixing. Raises ValueError for different fixings."""
    _same_fixing(one, other)
    u, v = (
        float(distribution.cdf(np.array([level]))[0]) for distribution, level in zip((one, other), levels, strict=True)
    )
    return copula_cdf(u, v, rho)


def copula_log_density(u: Floats, v: Floats, rho: float) -> Floats:
    """ln of the copula's density, nats, shape (n,): what the joint distribution's log score gains over independence."""
    a, b = (stdtrit(FREEDOM, np.clip(one, _INSIDE, 1.0 - _INSIDE)) for one in (u, v))
    nu, rest = FREEDOM, 1.0 - rho * rho
    q = (a * a - 2.0 * rho * a * b + b * b) / rest
    both = lgamma(nu / 2.0 + 1.0) - lgamma(nu / 2.0) - log(nu * pi) - 0.5 * log(rest)
    found: Floats = both - (nu / 2.0 + 1.0) * np.log1p(q / nu) - _log_student(nu, a) - _log_student(nu, b)
    return found


def _log_student(nu: float, t: Floats) -> Floats:
    constant = lgamma((nu + 1.0) / 2.0) - lgamma(nu / 2.0) - 0.5 * log(nu * pi)
    found: Floats = constant - (nu + 1.0) / 2.0 * np.log1p(t * t / nu)
    return found
