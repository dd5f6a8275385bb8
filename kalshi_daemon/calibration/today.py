"""What the model keeps for one session, and what it asks the house about a session."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.agenda import Item
from kalshi_daemon.calibration.constants import SESSION_MINUTES
from kalshi_daemon.calibration.density import ResidualDistribution
from kalshi_daemon.calibration.monitor import JumpMonitor
from kalshi_daemon.calibration.path import SessionPath
from kalshi_daemon.calibration.recalibration import Correction, Recalibration
from kalshi_daemon.calibration.session_curve import SessionCurve, VarianceEvent, adapted
from kalshi_daemon.domain.forecast import Minutes
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import Nanos

Floats = NDArray[np.float64]
CURVE_MINUTES_MIN: Final = 380
"""Minutes of a regular day that must have been watched in full for it to bend the curve."""
Sessions = Callable[[Nanos], Session | None]
Events = Callable[[Session], Sequence[VarianceEvent]]


def no_events(_session: Session) -> tuple[VarianceEvent, ...]:
    """A day without scheduled releases."""
    return ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """One horizon as the frozen model sees it, and the online layer it answers to."""

    horizon_min: float
    variance: float
    residual: ResidualDistribution
    layer: Recalibration


@dataclass(frozen=True, slots=True)
class Taken:
    """A forecast of our own, waiting for its fixing."""

    bucket: int
    level: float
    model: Outlook
    correction: Correction
    """The online layer as it was."""
    plain_variance: float
    """The half-hour state alone times the mass that was left: the monitor's plain baseline."""


@dataclass(slots=True)
class Today:
    """Everything that ends with the session."""

    session: Session
    curve: SessionCurve
    base: Floats
    """The regular curve this day started with, to tell events from shape. Shape (390,)."""
    widening: float
    """Factor on sigma: 1 but on half days."""
    opening: float | None = None
    """Last price of the excluded first minute."""
    opening_ns: Nanos = Nanos(0)
    path: SessionPath | None = None
    gap_feature: float = 0.0
    realised: float = 0.0
    realised_mass: float = 0.0
    agenda: tuple[Item, ...] = ()
    next_item: int = 0
    waiting: dict[Nanos, list[Taken]] = field(default_factory=dict)
    """By fixing; at most the agenda's marks."""
    jumps: JumpMonitor = field(default_factory=JumpMonitor)

    @property
    def minutes(self) -> Minutes | None:
        """Its prices by the minute; None before the first."""
        return None if self.path is None else Minutes(self.path.open_ns, self.path.boundaries)

    def bent_base(self, path: SessionPath) -> Floats:
        """The regular curve after this day; minutes not watched in full take its own shape. Shape (390,).

        A day that was not regular, or not seen nearly whole, leaves it as it is.
        """
        if self.curve.minutes != SESSION_MINUTES:
            return self.base
        plain = path.squares * self.base / np.array(self.curve.rates)
        known = ~np.isnan(plain)
        if known.sum() < CURVE_MINUTES_MIN:
            return self.base
        level = float(plain[known].sum() / self.base[known].sum())
        return adapted(self.base, np.where(known, plain, level * self.base))
