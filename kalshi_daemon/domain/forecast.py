"""The predictive distribution of an index at a target time, as the rest of the house sees it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import Nanos

Floats = NDArray[np.float64]


class Forecast(Protocol):
    """The distribution of the index at `target_ns` as known at `asof_ns`."""

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
        """Standard error that calibration gives a probability near one half (s_cal of docs/reference/model.md 7.2)."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """The prices of a session as it has gone so far."""

    open_ns: Nanos
    prices: Floats
    """In points, at each minute boundary from the open on, shape (minutes + 1,); NaN where none was seen."""


class Standing(StrEnum):
    """What a monitor says now."""

    OK = "OK"
    ALERT = "ALERT"
    LEARNING = "NO_DATA"
    """Fewer forecasts than it takes to say anything: neither good nor bad."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of the record of past forecasts, with its limits (docs/monitors.md)."""

    monitor: str
    group: str
    """Which forecasts it is about: `near` 2..10 minutes to the fixing, `hour` 15..60, `long` more; or `all`."""
    value: float | None
    """None before the first forecast was scored."""
    n: float
    """Forecasts behind it; those of earlier sessions count less."""
    n_min: float
    low: float | None = None
    high: float | None = None
    """Inclusive; None: no limit on that side."""

    @property
    def standing(self) -> Standing:
        """A value that is not a number is an alert once there should be one."""
        if self.value is None or self.n < self.n_min:
            return Standing.LEARNING
        above = self.low is None or self.value >= self.low
        below = self.high is None or self.value <= self.high
        return Standing.OK if above and below else Standing.ALERT


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
    readings: tuple[Reading, ...] = ()
    """The record of its own forecasts, monitor by monitor."""
    memory: str = "cold"
    """What it started from: "cold", with the reason, or when what it took over was saved."""
