"""The law of the index at a fixing: level, sigma, residual law and online map put together (model.md 4.5 and 6)."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.density import ResidualLaw
from kalshi_daemon.calibration.recalibration import PitMap
from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.index import Index
from kalshi_daemon.units import POINT, SETTLEMENT_STEP, Level, Nanos

Floats = NDArray[np.float64]

_HALF_STEP: Final = SETTLEMENT_STEP // 2
_SMALLEST: Final = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class PredictiveLaw:
    """F(x) = W(R(ln(x / level) / sigma)); implements `domain.forecast.Forecast`.

    sigma already holds the online scale c and the settlement basis. R is the residual law, W the online map.
    """

    index: Index
    asof_ns: Nanos
    target_ns: Nanos
    level: float
    sigma: float
    calibration_error: float
    residual: ResidualLaw
    pit_map: PitMap

    def cdf(self, levels: Floats) -> Floats:
        """P(settlement <= level), points, shape (n,) -> (n,). 0 at and below level 0; NaN stays NaN."""
        z = np.log(np.maximum(levels, _SMALLEST) / self.level) / self.sigma
        return self.pit_map.apply(self.residual.cdf(z))

    def quantiles(self, probabilities: Floats) -> Floats:
        """Levels in points at which the cdf takes these values, shape (n,) -> (n,); 0 gives 0, 1 gives inf."""
        z = self.residual.quantiles(self.pit_map.invert(probabilities))
        found: Floats = self.level * np.exp(self.sigma * z)
        return found

    def probability(self, contract: Contract) -> float:
        """P(YES pays). Raises ValueError for a contract of the other index."""
        return float(self.probabilities((contract,))[0])

    def probabilities(self, contracts: tuple[Contract, ...]) -> Floats:
        """P(YES pays) of each, in one pass over all ends. Raises ValueError for a contract of the other index.

        Settlement values have two decimals, so a contract pays on the grid points from `lowest` to `highest`; their
        outer edges lie half a step (0.005 point) further out (model.md section 6).
        """
        ends = np.empty(2 * len(contracts))
        for position, contract in enumerate(contracts):
            if contract.index is not self.index:
                raise ValueError(f"{contract.market_ticker} settles on {contract.index}, the law is of {self.index}")
            ends[2 * position] = 0.0 if contract.lowest is None else lower_edge(contract.lowest)
            ends[2 * position + 1] = np.inf if contract.highest is None else upper_edge(contract.highest)
        below = self.cdf(ends)
        # An interval without a grid point (never listed) would come out negative: it pays nothing.
        found: Floats = np.maximum(below[1::2] - below[0::2], 0.0)
        return found


def lower_edge(lowest: Level) -> float:
    """Half a step below the first settlement value that is >= lowest, in points."""
    return (-(-lowest // SETTLEMENT_STEP) * SETTLEMENT_STEP - _HALF_STEP) / POINT


def upper_edge(highest: Level) -> float:
    """Half a step above the last settlement value that is <= highest, in points."""
    return (highest // SETTLEMENT_STEP * SETTLEMENT_STEP + _HALF_STEP) / POINT


def settled_sigma(variance: float, scale_squared: float, basis: float) -> float:
    """sigma_eff = sqrt(c^2 sigma^2 + basis^2). `basis` is the sd of (venue print - our last tick) as a fraction."""
    return sqrt(scale_squared * variance + basis**2)
