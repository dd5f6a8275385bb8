"""Two reasons not to believe the model for now: the record of its own forecasts, and a jump just seen.

The record is watched by a Shiryaev-Roberts detector, R <- (R + 1) LR: while the published laws are right, R - n is a
martingale, so the mean number of fixings between false alarms is at least the threshold. LR compares three rivals with
the published law: the same law 1.6 times as wide, 0.6 times as wide, and the half-hour volatility with a Gaussian.
One forecast per fixing feeds it, from windows that do not overlap.
"""

from dataclasses import dataclass
from math import exp, inf, log, pi, sqrt
from typing import Final

import numpy as np

from kalshi_daemon.calibration.density import ResidualLaw
from kalshi_daemon.calibration.recalibration import PitMap
from kalshi_daemon.units import SECOND, Nanos

MONITORED_BUCKET: Final = 4
"""The 40-60 minute bucket: at most one window per fixing, none overlapping another."""
THRESHOLD: Final = 1_750.0
"""Fixings in a year, seven a session: a right model is stopped by mistake once a year at most, on average."""
WIDTHS: Final = (0.6, 1.6)
_STEP: Final = 0.1
"""Half width, in residual sd, over which a density is read off the cdf."""

JUMP_SIZE: Final = 6.0
"""Minute moves beyond this many standard deviations (about 3 in 10 000, model.md section 5) are jumps."""
JUMP_PAUSE: Final = Nanos(20 * SECOND)
"""How long a jump silences the model (model.md section 8)."""


@dataclass(slots=True)
class RecordMonitor:
    """The detector's statistic. Once it has spoken it stays so until the next session."""

    evidence: float = 0.0
    alarmed: bool = False

    def learn(self, ratio: float) -> None:
        """Add one likelihood ratio, rivals over the published law, >= 0 (inf allowed)."""
        self.evidence = (self.evidence + 1.0) * ratio
        if not self.evidence < THRESHOLD:
            self.alarmed = True

    def next_session(self) -> None:
        """After an alarm the next session starts without a record."""
        if self.alarmed:
            self.evidence = 0.0
        self.alarmed = False


@dataclass(slots=True)
class JumpMonitor:
    """Watches the move since the start of the running minute."""

    limit: float = inf
    """Relative move that counts as a jump in this minute; inf once it was seen."""
    seen_ns: Nanos | None = None

    def arm(self, minute_variance: float) -> None:
        """A new minute starts, with this expected variance of its log return."""
        self.limit = JUMP_SIZE * sqrt(minute_variance)

    def watch(self, at_ns: Nanos, relative_move: float) -> None:
        if relative_move > self.limit or relative_move < -self.limit:
            self.seen_ns = at_ns
            self.limit = inf

    def active(self, now_ns: Nanos) -> bool:
        return self.seen_ns is not None and now_ns - self.seen_ns < JUMP_PAUSE


def likelihood_ratio(
    log_move: float, sigma: float, residual: ResidualLaw, pit_map: PitMap, gaussian_sigma: float
) -> float:
    """Mean density of the rivals over that of the published law W(R(x / sigma)) at the move that came, >= 0."""
    published = _density(log_move, sigma, residual, pit_map)
    z = log_move / gaussian_sigma
    rivals = exp(-0.5 * z * z - log(gaussian_sigma * sqrt(2.0 * pi)))
    rivals += sum(_density(log_move, width * sigma, residual, pit_map) for width in WIDTHS)
    return inf if published <= 0.0 else rivals / (1.0 + len(WIDTHS)) / published


def _density(log_move: float, sigma: float, residual: ResidualLaw, pit_map: PitMap) -> float:
    z = log_move / sigma
    edges = np.array([z - _STEP, z + _STEP])
    low, high = pit_map.apply(residual.cdf(edges))
    return float(high - low) / (2.0 * _STEP * sigma)
