"""The slow online layer: how far past forecasts were too narrow, and in which part of the distribution.

Source: docs/reference/model.md 4.5.

Per index and horizon bucket: a factor c^2 on the variance and a map W of the probabilities,
F'(x) = W(F(x / (c sigma))). One forecast per fixing and bucket, taken at the bucket's centre, teaches it. Between two
centres both are mixed in ln h, so that a probability does not jump when the clock crosses a bucket's edge.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BUCKET_CENTRES_MIN: Final = (2.0, 5.0, 10.0, 15.0, 30.0, 45.0, 55.0, 120.0, 240.0, 360.0)
"""Finer than the seven of docs/reference/model.md 4.5: a bucket costs one forecast per fixing and no data of its
neighbours, and the map of a 12-minute forecast left 15-minute ones visibly off (PIT distance 0.018, now below
0.008)."""
BUCKETS: Final = len(BUCKET_CENTRES_MIN)
CASH_SCALE_PRIOR: Final = (1.10, *(1.15,) * (BUCKETS - 1))
"""c^2 of a cold start on a cash index, whose minute returns understate longer ones (docs/reference/model.md 4)."""
SCALE_PRIOR_WEIGHT: Final = 50.0
SCALE_HALF_LIFE_SESSIONS: Final = 120.0
BINS: Final = 20
MAP_TERMS: Final = 4
"""Degree of the polynomial the histogram is smoothed with.

Level, spread, skew and peak of the distribution can be corrected, the noise of single bins cannot get in (worth
0.001..0.004 nat, docs/decisions/0005).
"""
MAP_MASS_MIN: Final = 0.25
"""No bin of the map falls below this share of an even one: the map stays invertible whatever was seen."""
MAP_PRIOR_WEIGHT: Final = 150.0
"""Even observations the map is shrunk with."""
ERROR_PRIOR_WEIGHT: Final = 400.0
"""What an unlearnt map is trusted like.

The frozen distributions were off by 0.01..0.03 on spans they were not fitted on, and sqrt(0.25 / 400) is 0.025.
"""
MAP_HALF_LIFE_SESSIONS: Final = 120.0
GRID: Final[Floats] = np.linspace(0.0, 1.0, BINS + 1)
GRID.flags.writeable = False


def _projection(bins: int, terms: int) -> Floats:
    """Onto the polynomials of degree 1..terms over the bins' middles, less the constant. Shape (bins, bins)."""
    middles = np.linspace(-1.0, 1.0, 2 * bins + 1)[1::2]
    basis, _ = np.linalg.qr(np.vander(middles, terms + 1, increasing=True))
    found: Floats = basis[:, 1:] @ basis[:, 1:].T
    return found


_SMOOTHER: Final = _projection(BINS, MAP_TERMS)
_EVEN: Final = 1.0 / BINS
_MASS_MIN: Final = MAP_MASS_MIN / BINS
_LOG_CENTRES: Final = tuple(log(centre) for centre in BUCKET_CENTRES_MIN)


@dataclass(frozen=True, slots=True, eq=False)
class PitMap:
    """W: piecewise linear, strictly increasing, W(0) = 0 and W(1) = 1. `knots` belong to GRID."""

    knots: Floats

    def apply(self, u: Floats) -> Floats:
        """W: the share of outcomes at or below this quantile."""
        return np.interp(u, GRID, self.knots)

    def slope(self, u: Floats) -> Floats:
        """W'(u), > 0; at a knot the one of the bin above it."""
        at = np.minimum((u * BINS).astype(np.int64), BINS - 1)
        found: Floats = BINS * (self.knots[at + 1] - self.knots[at])
        return found

    def invert(self, w: Floats) -> Floats:
        """The quantile below which this share of outcomes lies."""
        return np.interp(w, self.knots, GRID)


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What the layer says at one horizon."""

    scale_squared: float
    """c^2, a factor on the model's variance."""
    pit_map: PitMap
    concentration: float
    """Observations behind the map, with what the frozen distribution is worth."""

    def standard_error(self, u: float = 0.5) -> float:
        """s_cal, of a probability `u`.

        Sqrt(u (1 - u) / n_eff) with n_eff = concentration + 1, the spread of a Dirichlet distribution of the bins.
        """
        return sqrt(u * (1.0 - u) / (self.concentration + 1.0))


@dataclass(slots=True)
class Recalibration:
    """The sums of every bucket. Plain arrays: (10,), (10,), (10,) and (10, 20)."""

    scale_prior: Floats
    scale_sum: Floats
    scale_weight: Floats
    histogram: Floats
    _smooth: "list[_Smooth | None]" = field(
        default_factory=lambda: [None] * BUCKETS, init=False, repr=False, compare=False
    )
    """By bucket; None when something was learnt since."""

    @classmethod
    def fresh(cls, scale_prior: Sequence[float] = CASH_SCALE_PRIOR) -> "Recalibration":
        """No forecast resolved yet. Raises ValueError unless there is one positive c^2 per bucket."""
        prior = np.array(scale_prior, dtype=np.float64)
        if prior.shape != (BUCKETS,) or not np.all(prior > 0.0):
            raise ValueError(f"scale prior must hold {BUCKETS} positive factors: {scale_prior}")
        return cls(prior, np.zeros(BUCKETS), np.zeros(BUCKETS), np.zeros((BUCKETS, BINS)))

    def next_session(self) -> None:
        """Forget a little, scale and map with half-lives of 120 sessions. The priors never fade."""
        self._smooth = [None] * BUCKETS
        kept = 2.0 ** (-1.0 / SCALE_HALF_LIFE_SESSIONS)
        self.scale_sum *= kept
        self.scale_weight *= kept
        self.histogram *= 2.0 ** (-1.0 / MAP_HALF_LIFE_SESSIONS)

    def learn(self, bucket: int, relative_square: float, pit: float) -> None:
        """Add one resolved forecast.

        relative_square: `ResidualDistribution.relative_square` of z with the model's own sigma, before c. Capping alone
        would
            pull c^2 some 4 % below 1 under a right but heavy-tailed distribution; it is divided out there.
        pit: F(z / c) with the c of the moment of the forecast, before the map, within 0..1.
        """
        self._smooth[bucket] = None
        self.scale_sum[bucket] += relative_square
        self.scale_weight[bucket] += 1.0
        self.histogram[bucket, min(BINS - 1, int(pit * BINS))] += 1.0

    def scale_squared(self, bucket: int) -> float:
        """c^2 = (50 c0^2 + sum) / (50 + weight)."""
        top = SCALE_PRIOR_WEIGHT * self.scale_prior[bucket] + self.scale_sum[bucket]
        return float(top / (SCALE_PRIOR_WEIGHT + self.scale_weight[bucket]))

    def at(self, horizon_min: float) -> Correction:
        """The correction at a horizon of `horizon_min` > 0 minutes."""
        where = log(horizon_min)
        right = bisect_left(_LOG_CENTRES, where)
        if right in {0, BUCKETS}:
            return self._mixed(min(right, BUCKETS - 1), min(right, BUCKETS - 1), 0.0)
        left = right - 1
        weight = (where - _LOG_CENTRES[left]) / (_LOG_CENTRES[right] - _LOG_CENTRES[left])
        return self._mixed(left, right, weight)

    def _mixed(self, left: int, right: int, weight: float) -> Correction:
        keep = 1.0 - weight
        near, far = self._bucket(left), self._bucket(right)
        weight_seen = keep * near.weight + weight * far.weight
        share = 1.0 / (MAP_PRIOR_WEIGHT + weight_seen)
        a, b = keep * share, weight * share
        knots: Floats = GRID + (a * near.sums + b * far.sums)
        if _EVEN + a * near.least + b * far.least < _MASS_MIN:
            masses = np.maximum(np.diff(knots), _MASS_MIN)
            knots = np.concatenate(([0.0], np.cumsum(masses / masses.sum())))
            knots[-1] = 1.0
        scale = keep * near.scale_squared + weight * far.scale_squared
        return Correction(scale, PitMap(knots), ERROR_PRIOR_WEIGHT + weight_seen)

    def _bucket(self, bucket: int) -> "_Smooth":
        known = self._smooth[bucket]
        if known is None:
            known = self._smooth[bucket] = self._smoothed(bucket)
        return known

    def _smoothed(self, bucket: int) -> "_Smooth":
        seen = self.histogram[bucket]
        smooth = _SMOOTHER @ seen
        sums = np.concatenate(([0.0], np.cumsum(smooth)))
        sums[-1] = 0.0  # the projection leaves the constant out: they add up to nothing
        return _Smooth(sums, float(smooth.min()), float(seen.sum()), self.scale_squared(bucket))


@dataclass(frozen=True, slots=True, eq=False)
class _Smooth:
    """What one bucket contributes to a correction."""

    sums: Floats
    """Running sum of the smoothed histogram at GRID, shape (21,)."""
    least: float
    """Its smallest bin."""
    weight: float
    scale_squared: float
