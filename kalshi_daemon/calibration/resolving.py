"""What becomes of our own forecasts when their fixing has come: they are scored, and teach their online layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

import numpy as np

from kalshi_daemon.calibration.monitor import MONITORED_BUCKET, RecordMonitor, likelihood_ratios
from kalshi_daemon.calibration.predictive import settled_sigma
from kalshi_daemon.calibration.today import Taken
from kalshi_daemon.calibration.watch import ForecastWatch, Scored, ladder_around, scored
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import Nanos


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """One forecast as it was made, and what came."""

    taken: Taken
    fixing: float
    """Points."""
    sigma: float
    """Of the published distribution, in log return."""
    scored: Scored


type OnResolved = Callable[[Session, Nanos, Sequence[Resolved]], None]
"""Told of a fixing: its session, its instant, and its forecasts, the longest ahead first."""


def no_listener(_session: Session, _target_ns: Nanos, _resolved: Sequence[Resolved]) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """What a model does with its own forecasts once their fixing has come."""

    strike_step: float | None = None
    """Points between the strikes they are scored at; None: as the shipped table has it."""
    learns: bool = True
    """Keep the record, and correct by it."""


AS_SHIPPED: Final = OwnRecord()


@dataclass(frozen=True, slots=True)
class Terms:
    """What the forecasts of an index are scored on."""

    basis: float
    """Standard deviation of the print that settles against our last price, in log return."""
    strike_step: float
    """Points between strikes."""

    @classmethod
    def of(cls, index: Index, basis: float, strike_step: float | None) -> "Terms":
        """strike_step: None as the shipped table has it. Raises ValueError when nothing there settles on the index.

        `basis` is a log return, `strike_step` points.
        """
        return cls(basis, SHIPPED_INSTRUMENTS.strike_step(index) if strike_step is None else strike_step)


def resolve(
    waiting: Sequence[Taken], fixing: float, terms: Terms, *, monitor: RecordMonitor, watch: ForecastWatch
) -> list[Resolved]:
    """Score the forecasts of one fixing as they were made; their layers, the detectors and the watch learn from them.

    fixing: points. `basis`: sd of (venue print - our last tick) as a fraction.
    """
    return [_resolve(taken, fixing, terms, monitor, watch) for taken in waiting]


def _resolve(taken: Taken, fixing: float, terms: Terms, monitor: RecordMonitor, watch: ForecastWatch) -> Resolved:
    basis = terms.basis
    moved = log(fixing / taken.level)
    model, correction = taken.model, taken.correction
    sigma = settled_sigma(model.variance, correction.scale_squared, basis)
    plain = settled_sigma(taken.plain_variance, 1.0, basis)
    if taken.bucket == MONITORED_BUCKET:
        monitor.learn(likelihood_ratios(moved, sigma, model.residual, correction.pit_map, plain))
    pit = float(model.residual.cdf(np.array([moved / sigma]))[0])
    model.layer.learn(taken.bucket, model.residual.relative_square(moved / sqrt(model.variance)), pit)
    ladder = ladder_around(terms.strike_step, taken.level, sigma)
    found = scored(moved, sigma, model.residual, correction.pit_map, plain, ladder)
    watch.learn(taken.bucket, found)
    return Resolved(taken, fixing, sigma, found)
