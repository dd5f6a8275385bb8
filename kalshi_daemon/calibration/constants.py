"""The frozen figures of the model as one typed value (docs/reference/model.md 4.1-4.5); `constants_file` reads them.

Coefficients are in log-variance per unit of their feature. What is fitted lies in the file; what is structure (which
half-lives, which features) lies here, because code depends on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
type Quadratic = tuple[float, float, float]
"""Coefficients of 1, ln(h / 15) and its square; h the horizon in minutes."""

SESSION_MINUTES: Final = 390
"""Minutes of a regular session, 09:30..16:00 New York."""

HALF_LIVES_MIN: Final = (3.0, 10.0, 30.0, 90.0, 390.0, 1950.0, 8580.0)
"""Half-lives of the exponentially weighted variances, in session minutes."""

FEATURES: Final = (
    "L3-L30",
    "L10-L30",
    "L30-L90",
    "L90-L390",
    "L390-L1950",
    "L1950-L8580",
    "gap*exp(-t/60)",
    "min(R,0)",
    "max(R,0)",
    "min(R30,0)",
    "t/390-0.5",
    "ln V90r-L90",
)
"""The features, in the order of the two coefficient vectors."""

HORIZON_UNIT_MIN: Final = 15.0
"""Horizons enter as ln(h / 15)."""


def quadratic(coefficients: Quadratic, log_horizon: float) -> float:
    """Value at ln(h / 15). `log_horizon` is ln(h / 15), h in minutes."""
    level, slope, bend = coefficients
    return level + slope * log_horizon + bend * log_horizon * log_horizon


@dataclass(frozen=True, slots=True, eq=False)
class VarianceCoefficients:
    """What turns features into a variance (docs/reference/model.md 4.3)."""

    intercept: Quadratic
    level: tuple[float, ...]
    """Effect of each feature at a horizon of 15 minutes."""
    by_log_horizon: tuple[float, ...]
    """How each effect changes with ln(h / 15)."""


@dataclass(frozen=True, slots=True)
class ResidualFigures:
    """The shape of z = ln(P_T / P_t) / sigma: a two-piece Student t (Fernandez and Steel 1998) by horizon.

    Its density is 2 / (g + 1/g) / s * t_nu(k (z - m) / s), where k is g below m and 1/g above. docs/decisions/0005.
    """

    location: Quadratic
    """m, the mode: moves up are smaller and more frequent, the more so the longer the horizon."""
    log_scale: Quadratic
    log_skew: Quadratic
    """ln g; negative: the lower side is the wider one."""
    log_freedom: Quadratic
    """ln nu."""


type Steps = tuple[tuple[float, float, float], ...]
"""(from, to, multiplier) in minutes, half open and ascending."""


def check_steps(steps: Steps) -> None:
    """Raises ValueError unless they ascend and every multiplier is one of a variance."""
    edge = 0.0
    for start, end, multiplier in steps:
        if not (edge <= start <= end < float("inf") and 0.0 < multiplier < float("inf")):
            raise ValueError(f"variance event steps must ascend with positive multipliers: {steps}")
        edge = end


@dataclass(frozen=True, slots=True)
class EventEffect:
    """What a kind of release does to the variance after it.

    `steps` count from it. With `decay_min` the last step's excess over 1 dies off exponentially from that step's end
    instead of ending there.
    """

    steps: Steps
    decay_min: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be a multiple of a variance. Raises ValueError."""
        check_steps(self.steps)
        if not self.steps or not 0.0 <= self.decay_min < float("inf"):
            raise ValueError(f"variance event needs a step and a finite decay: {self}")


@dataclass(frozen=True, slots=True, eq=False)
class ModelConstants:
    """Everything that was fitted, with where it comes from."""

    name: str
    fitted_until: str
    """YYYY-MM-DD, the last day whose bars were used."""
    variance: VarianceCoefficients
    residual: ResidualFigures
    diurnal: Floats
    """Variance of each session minute relative to the day's mean, shape (390,), mean 1, read-only."""
    half_day: Steps
    """What a session of 210 minutes does to the curve `session_curve.shaped` gives it, minutes after the open."""
    events: Mapping[str, EventEffect]
    """By kind of release, as the release calendar names it."""
    provenance: Mapping[str, object]
