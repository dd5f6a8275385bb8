"""The distribution of the index at a fixing.

Level, sigma, residual distribution and online map put together (docs/reference/model.md 4.5, 6).
"""

from dataclasses import dataclass, field
from math import log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.density import ResidualDistribution
from kalshi_daemon.calibration.recalibration import PitMap
from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import POINT, SETTLEMENT_STEP, Nanos

Floats = NDArray[np.float64]
Levels = NDArray[np.int64]

_OPEN: Final = np.iinfo(np.int64).min
"""Stands for an end that is open."""
_HALF_STEP: Final = SETTLEMENT_STEP // 2
_SMALLEST: Final = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class PredictiveDistribution:
    """F(x) = W(R(ln(x / level) / sigma)); implements `domain.forecast.Forecast`.

    sigma already holds the online scale c and the settlement basis. R is the residual distribution, W the online map.
    """

    index: Index
    asof_ns: Nanos
    target_ns: Nanos
    level: float
    sigma: float
    calibration_error: float
    residual: ResidualDistribution
    pit_map: PitMap

    def cdf(self, levels: Floats) -> Floats:
        """P(settlement <= level), points, shape (n,) -> (n,). 0 at and below level 0; NaN stays NaN."""
        z = (np.log(np.maximum(levels, _SMALLEST)) - log(self.level)) / self.sigma
        return self.pit_map.apply(self.residual.cdf(z))

    def log_density(self, levels: Floats) -> Floats:
        """ln of the density of ln(settlement / level) at these levels > 0 in points, shape (n,) -> (n,); nats."""
        z = np.log(levels / self.level) / self.sigma
        slope = self.pit_map.slope(self.residual.cdf(z))
        found: Floats = self.residual.log_density(z) + np.log(slope) - log(self.sigma)
        return found

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
        outer edges lie half a step (0.005 point) further out (docs/reference/model.md 6). Equal to the cdf at the two
        edges up to the 1e-12 that the table leaves out on either side.
        """
        ladder = LADDERS.edges(contracts)
        if ladder.index is not None and ladder.index != self.index:
            ticker = contracts[0].market_ticker
            raise ValueError(f"{ticker} settles on {ladder.index}, the distribution is of {self.index}")
        z = (ladder.log_edges - log(self.level)) / self.sigma
        below = self.pit_map.apply(self.residual.tabulated(z))
        count = len(contracts)
        found: Floats = 1.0 - below if ladder.open_above else below[count:] - below[:count]
        # An interval without a grid point (never listed) would come out negative: it pays nothing.
        return np.maximum(found, 0.0) if ladder.empty else found


@dataclass(frozen=True, slots=True, eq=False)
class LadderEdges:
    """What a ladder asks a distribution, worked out once."""

    contracts: tuple[Contract, ...]
    index: Index | None
    """None: no contracts."""
    log_edges: Floats
    """ln of the lower edges in points, then of the upper ones; shape (n,) when no contract has one, else (2 n,)."""
    open_above: bool
    empty: bool
    """Whether a contract holds no settlement value at all."""

    @classmethod
    def of(cls, contracts: tuple[Contract, ...]) -> "LadderEdges":
        """Raises ValueError for contracts of two indices."""
        indices = {contract.index for contract in contracts}
        if len(indices) > 1:
            raise ValueError(
                f"contracts of {' and '.join(sorted(indices))} in one ladder: one distribution cannot price them"
            )
        lowest = np.array([_OPEN if contract.lowest is None else contract.lowest for contract in contracts], np.int64)
        highest = np.array(
            [_OPEN if contract.highest is None else contract.highest for contract in contracts], np.int64
        )
        low = np.where(lowest == _OPEN, 0.0, lower_edges(lowest))
        high = np.where(highest == _OPEN, np.inf, upper_edges(highest))
        open_above = bool(np.all(highest == _OPEN))
        edges = low if open_above else np.concatenate((low, high))
        log_edges = np.full(len(edges), -np.inf)
        np.log(edges, out=log_edges, where=edges > 0.0)
        return cls(contracts, next(iter(indices), None), log_edges, open_above, bool(np.any(low > high)))


@dataclass(slots=True)
class LadderMemo:
    """Edges of the ladders priced last. A cache of a pure function: contracts are frozen and compared by value."""

    most: int = 32
    """A life sees two indices, a few fixings ahead and parts of a ladder; more are forgotten together."""
    _kept: dict[tuple[str, str, int], LadderEdges] = field(default_factory=dict)

    def edges(self, contracts: tuple[Contract, ...]) -> LadderEdges:
        """`LadderEdges.of(contracts)`; the same contracts in a new tuple cost a comparison of pointers."""
        if not contracts:
            return LadderEdges.of(contracts)
        key = (contracts[0].market_ticker, contracts[-1].market_ticker, len(contracts))
        found = self._kept.get(key)
        if found is None or (found.contracts is not contracts and found.contracts != contracts):
            found = LadderEdges.of(contracts)
            if len(self._kept) >= self.most:
                self._kept.clear()
            self._kept[key] = found
        return found


LADDERS: Final = LadderMemo()


def lower_edges(lowest: Levels) -> Floats:
    """Half a step below the first settlement value that is >= lowest; 1/10 000 point in, points out."""
    return (-(-lowest // SETTLEMENT_STEP) * SETTLEMENT_STEP - _HALF_STEP) / POINT


def upper_edges(highest: Levels) -> Floats:
    """Half a step above the last settlement value that is <= highest; 1/10 000 point in, points out."""
    return (highest // SETTLEMENT_STEP * SETTLEMENT_STEP + _HALF_STEP) / POINT


def settled_sigma(variance: float, scale_squared: float, basis: float) -> float:
    """sigma_eff = sqrt(c^2 sigma^2 + basis^2). `basis` is the sd of (venue print - our last tick) as a fraction.

    `scale_squared` is c^2, a plain factor.
    """
    return sqrt(scale_squared * variance + basis**2)
