"""The predictive distribution of an index at a target time, as the rest of the house sees it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.index import Index
from kalshi_daemon.units import Nanos

Floats = NDArray[np.float64]


class Forecast(Protocol):
    """The law of the index at `target_ns` as known at `asof_ns`."""

    @property
    def index(self) -> Index: ...
    @property
    def asof_ns(self) -> Nanos: ...
    @property
    def target_ns(self) -> Nanos: ...
    @property
    def level(self) -> float:
        """The last index value, in points."""
        ...

    @property
    def sigma(self) -> float:
        """Standard deviation scale of ln(P_T / P_t), recalibration included."""
        ...

    @property
    def calibration_error(self) -> float:
        """Standard error of a probability near one half that comes from calibration (s_cal of model.md 7.2)."""
        ...

    def cdf(self, levels: Floats) -> Floats:
        """P(settlement <= level) for each level in points. Shape (n,) -> (n,), non-decreasing, within 0..1."""
        ...

    def quantiles(self, probabilities: Floats) -> Floats:
        """Index levels in points at which the cdf takes these values."""
        ...

    def probability(self, contract: Contract) -> float:
        """P(YES pays). Uses the two-decimal settlement grid: P(X >= K) is taken at K - 0.005."""
        ...

    def probabilities(self, contracts: tuple[Contract, ...]) -> Floats:
        """P(YES pays) for many contracts of this index and target in one pass."""
        ...


@dataclass(frozen=True, slots=True)
class CalibrationHealth:
    """How far the model of one index may be trusted now."""

    ready: bool
    """Enough of today has been seen (first valid print and the warm-up after it)."""
    last_update_ns: Nanos | None
    minutes_seen: float
    """Session minutes folded into the states today."""
    alarms: tuple[str, ...] = ()
    """Names of monitors that say the model must not be used."""
