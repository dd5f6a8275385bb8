"""Two reasons not to believe the model for now: the record of its own forecasts, and a jump just seen.

The record is watched by e-detectors of the CUSUM kind, M <- max(M, 1) LR, one per baseline of the published
distribution: the same distribution 0.6 and 1.6 times as wide, and the half-hour volatility with a Gaussian (Shin,
Ramdas and Rinaldo 2024). Each stays below its Shiryaev-Roberts twin R <- (R + 1) LR, whose mean minus n is a martingale
while the published distributions are right, so the mean number of fixings between false alarms is at least the
threshold (measured: far more, docs/monitors.md), and unlike R, which counts up by itself, M stays where it is when
baseline and distribution say the same. One forecast per fixing feeds them, from windows that do not overlap.
"""

from dataclasses import dataclass
from math import exp, inf, pi, sqrt
from typing import Final

import numpy as np

from kalshi_daemon.calibration.density import ResidualDistribution
from kalshi_daemon.calibration.recalibration import PitMap
from kalshi_daemon.ground.units import SECOND, Nanos

MONITORED_BUCKET: Final = 6
"""The 55 minute bucket: at most one window per fixing, none overlapping another."""
THRESHOLD: Final = 1_750.0
"""Fixings in a year, seven a session: a right model is stopped by mistake once a year at most, on average."""
WIDTHS: Final = (0.6, 1.6)
RIVALS: Final = 1 + len(WIDTHS)
RATIO_MAX: Final = 1e6
"""One fixing is never worth more than this, and always enough for an alarm at this."""
_SQUARE_MAX: Final = 1_400.0
_STEP: Final = 0.1
"""Half width, in residual sd, over which a density is read off the cdf."""

JUMP_SIZE: Final = 6.0
"""Minute moves beyond this many standard deviations (about 3 in 10 000, docs/reference/model.md 5) are jumps."""
JUMP_PAUSE: Final = Nanos(20 * SECOND)
"""How long a jump silences the model (docs/reference/model.md 8)."""


@dataclass(slots=True)
class RecordMonitor:
    """One detector per baseline. Once their mean has passed the threshold the alarm stays until the next session."""

    evidence: tuple[float, ...] = (0.0,) * RIVALS
    alarmed: bool = False
    seen: int = 0
    """Fixings since the record began."""

    def learn(self, ratios: tuple[float, ...]) -> None:
        """Add one fixing: the likelihood of each baseline over the published distribution, >= 0, at most RATIO_MAX."""
        self.evidence = tuple(max(was, 1.0) * ratio for was, ratio in zip(self.evidence, ratios, strict=True))
        self.seen += 1
        if self.mean >= THRESHOLD:
            self.alarmed = True

    @property
    def mean(self) -> float:
        """The mean of the detectors: what is held against the threshold."""
        return sum(self.evidence) / len(self.evidence)

    def next_session(self) -> None:
        """After an alarm the next session starts without a record."""
        if self.alarmed:
            self.evidence = (0.0,) * len(self.evidence)
            self.seen = 0
        self.alarmed = False


@dataclass(slots=True)
class JumpMonitor:
    """Watches the move since the start of the running minute."""

    limit: float = inf
    """Relative move that counts as a jump in this minute; inf once it was seen."""
    seen_ns: Nanos | None = None

    def arm(self, minute_variance: float) -> None:
        """A new minute starts, with this expected variance of its log return.

        `minute_variance` is a squared log return.
        """
        self.limit = JUMP_SIZE * sqrt(minute_variance)

    def watch(self, at_ns: Nanos, relative_move: float) -> None:
        """Note a jump. `relative_move`: a fraction of the price since the minute began."""
        if relative_move > self.limit or relative_move < -self.limit:
            self.seen_ns = at_ns
            self.limit = inf

    def active(self, now_ns: Nanos) -> bool:
        """Whether a jump was seen within the last JUMP_PAUSE."""
        return self.seen_ns is not None and now_ns - self.seen_ns < JUMP_PAUSE


def likelihood_ratios(
    log_move: float, sigma: float, residual: ResidualDistribution, pit_map: PitMap, gaussian_sigma: float
) -> tuple[float, ...]:
    """Density of each baseline over the published W(R(x / sigma)) at the move that came, 0..RATIO_MAX.

    `log_move`, `sigma` and `gaussian_sigma` in log price.
    """
    published = _density(log_move, sigma, residual, pit_map)
    z = log_move / gaussian_sigma
    gaussian = exp(-0.5 * min(z * z, _SQUARE_MAX)) / (gaussian_sigma * sqrt(2.0 * pi))
    baselines = (gaussian, *(_density(log_move, width * sigma, residual, pit_map) for width in WIDTHS))
    if published <= 0.0:
        return (RATIO_MAX,) * RIVALS
    return tuple(min(baseline / published, RATIO_MAX) for baseline in baselines)


def _density(log_move: float, sigma: float, residual: ResidualDistribution, pit_map: PitMap) -> float:
    z = log_move / sigma
    edges = np.array([z - _STEP, z + _STEP])
    low, high = pit_map.apply(residual.cdf(edges))
    return float(high - low) / (2.0 * _STEP * sigma)
