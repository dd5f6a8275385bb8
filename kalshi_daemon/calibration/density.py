"""The law of the standardised residual z = ln(P_T / P_t) / sigma (model.md section 4.5).

Between the 0.5 % and the 99.5 % quantile the cdf is linear between table entries; beyond them a Student t, scaled so
that it meets the table without a step. Laws between two fitted horizons are mixed quantile by quantile in ln h.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr, stdtrit

from kalshi_daemon.calibration.constants_density import CLOSE_TABLES, HOUR_TABLES, LEVELS, ResidualTable

Floats = NDArray[np.float64]

TAIL: Final = 0.005
"""Probability beyond which the Student t takes over, on either side."""
_PROBABILITY_LEAST: Final = 1e-200
SPACING_LEAST: Final = 1e-6
"""Least distance of two neighbouring quantiles, in residual sd: keeps the cdf invertible."""
SQUARE_MOST: Final = 9.0
"""A squared residual counts at most as that of three sigma when the scale is learnt."""
_INSIDE: Final = tuple(position for position, level in enumerate(LEVELS) if TAIL - 1e-12 <= level <= 1.0 - TAIL + 1e-12)
NODES: Final[Floats] = np.array([LEVELS[position] for position in _INSIDE])
NODES.flags.writeable = False
_MOMENT_GRID: Final[Floats] = (np.arange(4_000) + 0.5) / 4_000


@dataclass(frozen=True, slots=True, eq=False)
class ResidualLaw:
    """A strictly increasing, continuous cdf on the whole line."""

    nodes: Floats
    """Values at the probabilities NODES, strictly increasing."""
    nu: float
    scale: float
    second_moment: float
    """E[z^2] under this law: what a squared residual is compared with."""
    capped_share: float
    """E[min(z^2, 9 E[z^2])] / E[z^2]: what is left of it when one residual counts as three sigma at most."""

    def cdf(self, z: Floats) -> Floats:
        """P(Z <= z), shape (n,) -> (n,). +-inf are allowed; NaN stays NaN."""
        found: Floats = np.interp(z, self.nodes, NODES)
        low, high = self.nodes[0], self.nodes[-1]
        below, above = z < low, z > high
        if below.any():
            found[below] = TAIL * stdtr(self.nu, z[below] / self.scale) / stdtr(self.nu, low / self.scale)
        if above.any():
            found[above] = 1.0 - TAIL * stdtr(self.nu, -z[above] / self.scale) / stdtr(self.nu, -high / self.scale)
        return found

    def log_density(self, z: Floats) -> Floats:
        """ln of the derivative of `cdf`, shape (n,) -> (n,): constant between two nodes, a Student t in the tails."""
        at = np.clip(np.searchsorted(self.nodes, z) - 1, 0, len(NODES) - 2)
        found: Floats = np.log((NODES[at + 1] - NODES[at]) / (self.nodes[at + 1] - self.nodes[at]))
        low, high = self.nodes[0], self.nodes[-1]
        for outside, end in ((z < low, -low), (z > high, high)):
            if outside.any():
                share = TAIL / stdtr(self.nu, -end / self.scale)
                found[outside] = log(share / self.scale) + _student_log_density(self.nu, z[outside] / self.scale)
        return found

    def relative_square(self, z: float) -> float:
        """z^2 against what this law expects of it, capped at three sigma; its mean under the law is 1."""
        return min(z * z / self.second_moment, SQUARE_MOST) / self.capped_share

    def quantiles(self, probabilities: Floats) -> Floats:
        """The inverse of `cdf`, shape (n,) -> (n,); 0 and 1 give -inf and +inf."""
        found: Floats = np.interp(probabilities, NODES, self.nodes)
        low, high = self.nodes[0], self.nodes[-1]
        below, above = probabilities < TAIL, probabilities > 1.0 - TAIL
        if below.any():
            share = probabilities[below] / TAIL
            found[below] = self.scale * _student_quantiles(self.nu, share * stdtr(self.nu, low / self.scale))
        if above.any():
            share = (1.0 - probabilities[above]) / TAIL
            found[above] = -self.scale * _student_quantiles(self.nu, share * stdtr(self.nu, -high / self.scale))
        return found


def _student_quantiles(nu: float, probabilities: Floats) -> Floats:
    """The t quantile with its limit: scipy's `stdtrit` answers +inf at and next to probability 0."""
    found: Floats = np.where(probabilities > _PROBABILITY_LEAST, stdtrit(nu, probabilities), -np.inf)
    return found


def _student_log_density(nu: float, t: Floats) -> Floats:
    constant = gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0) - 0.5 * log(nu * pi)
    found: Floats = constant - (nu + 1.0) / 2.0 * np.log1p(t * t / nu)
    return found


def strictly_increasing(values: Sequence[float]) -> Floats:
    """The quantiles with flat runs opened up: futures move in ticks, so several levels may share the value 0.

    Half of the way to either neighbour is given to the run, and its entries are spread evenly over it. Neighbours that
    would still be closer than SPACING_LEAST are pushed apart. Raises ValueError when the table falls.
    """
    found = np.array(values, dtype=np.float64)
    if not np.all(np.isfinite(found)) or np.any(np.diff(found) < 0.0):
        raise ValueError("a quantile table must be finite and must not fall")
    spread = found.copy()
    start = 0
    while start < len(found):
        end = start
        while end + 1 < len(found) and found[end + 1] == found[start]:
            end += 1
        if end > start:
            left = (found[start - 1] + found[start]) / 2 if start > 0 else found[start]
            right = (found[end] + found[end + 1]) / 2 if end + 1 < len(found) else found[end]
            spread[start : end + 1] = np.linspace(left, right, end - start + 1)
        start = end + 1
    steps = np.arange(len(spread)) * SPACING_LEAST
    lifted: Floats = np.maximum.accumulate(spread - steps) + steps
    return lifted


def law_of(table: ResidualTable) -> ResidualLaw:
    """The law of one fitted table. Raises ValueError when the table is not one."""
    nodes = strictly_increasing([table.quantiles[position] for position in _INSIDE])
    if not nodes[0] < 0.0 < nodes[-1]:
        raise ValueError("a residual law must have mass on both sides of zero")
    squares = np.square(ResidualLaw(nodes, table.nu, table.scale, 1.0, 1.0).quantiles(_MOMENT_GRID))
    moment = float(np.mean(squares))
    share = float(np.mean(np.minimum(squares, SQUARE_MOST * moment))) / moment
    return ResidualLaw(nodes, table.nu, table.scale, moment, share)


@dataclass(frozen=True, slots=True, eq=False)
class LawFamily:
    """Laws by horizon; between two of them quantiles are mixed linearly in ln h, outside the nearest one holds."""

    log_horizons: tuple[float, ...]
    laws: tuple[ResidualLaw, ...]

    def at(self, horizon_min: float) -> ResidualLaw:
        """The law at a horizon of `horizon_min` > 0 minutes."""
        where = log(horizon_min)
        if where <= self.log_horizons[0]:
            return self.laws[0]
        for right in range(1, len(self.laws)):
            if where <= self.log_horizons[right]:
                break
        else:
            return self.laws[-1]
        left = right - 1
        near, far = self.laws[left], self.laws[right]
        weight = (where - self.log_horizons[left]) / (self.log_horizons[right] - self.log_horizons[left])
        keep = 1.0 - weight
        return ResidualLaw(
            keep * near.nodes + weight * far.nodes,
            keep * near.nu + weight * far.nu,
            keep * near.scale + weight * far.scale,
            keep * near.second_moment + weight * far.second_moment,
            keep * near.capped_share + weight * far.capped_share,
        )


def _family(tables: Sequence[ResidualTable]) -> LawFamily:
    return LawFamily(tuple(log(table.horizon_min) for table in tables), tuple(law_of(table) for table in tables))


CLOSE_FAMILY: Final = _family(CLOSE_TABLES)
_LONG_TABLES: Final = tuple(table for table in CLOSE_TABLES if table.horizon_min > HOUR_TABLES[-1].horizon_min)
HOUR_FAMILY: Final = _family((*HOUR_TABLES, *_LONG_TABLES))
"""Full-hour targets were fitted up to 55 minutes; beyond, the long laws of the close stand in for them."""
