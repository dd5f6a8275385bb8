"""Seven exponentially weighted variances and the log-linear forecast built on them (docs/reference/model.md 4.1-4.3).

Everything is deseasonalised: a unit of variance here is the variance of one average session minute. States change only
when a span of time is over; the running minute is added to a copy when a forecast is asked for, so it is never counted
twice. All floats; nothing here knows what time it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, exp2, log, sqrt
from operator import mul
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.constants import (
    HALF_LIVES_MIN,
    HORIZON_UNIT_MIN,
    SESSION_MINUTES,
    Quadratic,
    VarianceCoefficients,
    quadratic,
)
from kalshi_daemon.calibration.constants_file import SHIPPED

Floats = NDArray[np.float64]

PRIOR_MINUTES: Final = 3.0
"""Weight of the prior in every state: three minutes of data balance it."""
FLOOR_SHARE: Final = 1e-3
"""No state falls below this share of the prior variance: a frozen feed must not send its logarithm to -inf."""
_VARIANCE_HALF_LIVES: Final = (*HALF_LIVES_MIN, 90.0)
"""The seven range states, then V90r on squared returns."""
_RATES: Final = tuple(-1.0 / half_life for half_life in _VARIANCE_HALF_LIVES)
_PER_MINUTE: Final = tuple(1.0 / (1.0 - exp2(rate)) for rate in _RATES)
_L90, _L390, _L1950, _L90R = 3, 4, 5, 7
WEEK: Final = _L1950
"""The state with a half-life of five sessions."""

PARKINSON: Final = 1.0 / (4.0 * log(2.0))
"""Expected variance per squared log range of a Brownian path (Parkinson 1980)."""
RATIO_HALF_LIFE_MIN: Final = 5.0 * SESSION_MINUTES
RATIO_PRIOR_MIN: Final = 200.0
RATIO_RANGE: Final = (0.7, 1.5)

DAILY_HALF_LIFE: Final = 22.0
GAP_FLOOR: Final = 0.1
GAP_DECAY_MIN: Final = 60.0
RETURN_CLIP: Final = 4.0
RETURN_30_CLIP: Final = 3.0
EXPONENT_CLIP: Final = 3.0
HORIZON_MIN_MIN: Final = 1.0
"""Below one minute the forecast is the one-minute rate times the mass that is left."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one span of time taught: its length in minutes and two estimates of the variance of an average minute.

    ranged   from the high-low range, brought to the scale of squared returns by the range ratio
    squared  from the squared return over the span
    """

    length_min: float
    ranged: float
    squared: float


@dataclass(slots=True)
class VarianceState:
    """Numerators and denominators of the eight states. Shape (8,) each; plain numbers, so they can be stored."""

    num: Floats
    den: Floats
    floor: float

    @classmethod
    def cold(cls, daily_vol_prior: float) -> "VarianceState":
        """No data yet: every state at the prior daily volatility (0.01 is 1 %), which weighs three minutes.

        `daily_vol_prior`: sigma of a session's log return.
        """
        prior = daily_vol_prior**2 / SESSION_MINUTES
        return cls(np.full(8, PRIOR_MINUTES * prior), np.full(8, PRIOR_MINUTES), FLOOR_SHARE * prior)

    def fold(self, seen: Observation) -> None:
        """Add a finished span. num <- lam^w num + g x, den <- lam^w den + g, with g = (1 - lam^w) / (1 - lam).

        For a whole minute g is 1 (docs/reference/model.md 4.2); for parts of it two spans with the same x add up to
        exactly the update of their union.
        """
        num, den = self._after(seen)
        self.num, self.den = np.array(num), np.array(den)

    def levels(self, running: Observation | None = None) -> Floats:
        """The eight variances, shape (8,), with the running span added when given. Never below the floor."""
        return np.array(self.levels_with(running))

    def levels_with(self, running: Observation | None) -> list[float]:
        """`levels` as plain numbers."""
        num, den = (self.num.tolist(), self.den.tolist()) if running is None else self._after(running)
        floor = self.floor
        return [v if (v := n / d) > floor else floor for n, d in zip(num, den, strict=True)]

    def level_90(self) -> float:
        """Variance of an average minute by the state of ninety minutes."""
        return max(float(self.num[_L90] / self.den[_L90]), self.floor)

    def level_1950(self) -> float:
        """Variance of an average minute by the state of a week, 1 950 minutes."""
        return max(float(self.num[WEEK] / self.den[WEEK]), self.floor)

    def _after(self, seen: Observation) -> tuple[list[float], list[float]]:
        # Eight numbers: plain floats are faster than arrays, and this is asked for at every tick.
        num, den = self.num.tolist(), self.den.tolist()
        length, value = seen.length_min, seen.ranged
        for k, rate in enumerate(_RATES):
            kept = exp2(length * rate)
            gained = (1.0 - kept) * _PER_MINUTE[k]
            if k == _L90R:
                value = seen.squared
            num[k] = kept * num[k] + gained * value
            den[k] = kept * den[k] + gained
        return num, den


@dataclass(slots=True)
class RangeRatio:
    """rho of docs/reference/model.md 4.1: how squared returns compare with range variance on this index, learnt online.

    Cash indices need it: their minute bars show a ratio far from the 1 of a future. Both sums are deseasonalised and
    forget with a half-life of five days; the prior 1.0 weighs 200 minutes and is forgotten at the same rate.
    """

    squares: float = 0.0
    ranges: float = 0.0
    weight: float = 0.0
    prior: float = RATIO_PRIOR_MIN

    def fold(self, length_min: float, squared: float, ranged: float) -> None:
        """Add a span: `squared` r^2 and `ranged` Parkinson variance, both per average minute."""
        kept = 2.0 ** (-length_min / RATIO_HALF_LIFE_MIN)
        self.squares = kept * self.squares + length_min * squared
        self.ranges = kept * self.ranges + length_min * ranged
        self.weight = kept * self.weight + length_min
        self.prior *= kept

    @property
    def value(self) -> float:
        """The clipped ratio; 1.0 before any data."""
        if self.weight <= 0.0 or self.squares <= 0.0:
            return 1.0
        prior = self.prior * self.squares / self.weight
        low, high = RATIO_RANGE
        return min(high, max(low, (self.squares + prior) / (self.ranges + prior)))


def observed(length_min: float, mass: float, log_range: float, log_return: float, ratio: float) -> Observation:
    """A span watched tick by tick, or a bar. `mass` is its share of the session curve, > 0.

    One squared return says as much as one minute, however long the bar: for the others the range speaks.
    """
    ranged, squared = ratio * PARKINSON * log_range**2 / mass, log_return**2 / mass
    if length_min > 1.0:
        squared = ranged + (squared - ranged) / length_min
    return Observation(length_min, ranged, squared)


def unobserved(length_min: float, mass: float, log_return: float, usual: float) -> Observation:
    """A gap in the ticks, folded in as one span of its whole length.

    One squared return says as much as one minute, however long the gap: the other minutes are taken at `usual` (the
    ninety-minute level). Otherwise a quiet pair of prints around an outage would wipe out the short states. `mass`:
    of the session's curve, in average minutes.
    """
    single = log_return**2 / mass
    share = 1.0 / max(1.0, length_min)
    mixed = share * single + (1.0 - share) * usual
    return Observation(length_min, mixed, mixed)


@dataclass(slots=True)
class DailyState:
    """What is remembered from day to day: realised variance and squared overnight gaps, half-life 22 days."""

    variance_num: float = 0.0
    variance_den: float = 0.0
    gap_num: float = 0.0
    gap_den: float = 0.0

    def fold_variance(self, realised: float) -> None:
        """Add a session's realised variance, a sum of squared log returns."""
        kept = 2.0 ** (-1.0 / DAILY_HALF_LIFE)
        self.variance_num = kept * self.variance_num + realised
        self.variance_den = kept * self.variance_den + 1.0

    def fold_gap(self, gap: float) -> None:
        """Add an overnight `gap`, a log return."""
        kept = 2.0 ** (-1.0 / DAILY_HALF_LIFE)
        self.gap_num = kept * self.gap_num + gap**2
        self.gap_den = kept * self.gap_den + 1.0

    def daily_sd(self, level_1950: float) -> float:
        """Standard deviation of a session's return; from the five-day state until a whole day has been seen.

        `level_1950`: variance of an average minute.
        """
        if self.variance_den > 0.0 and self.variance_num > 0.0:
            return sqrt(self.variance_num / self.variance_den)
        return sqrt(SESSION_MINUTES * level_1950)

    def gap_feature(self, gap: float | None) -> float:
        """g = ln((gap^2 + 0.1 G) / (1.1 G)) against the gaps before today's; 0 while either is unknown."""
        if gap is None or self.gap_den <= 0.0 or self.gap_num <= 0.0:
            return 0.0
        usual = self.gap_num / self.gap_den
        return log((gap**2 + GAP_FLOOR * usual) / ((1.0 + GAP_FLOOR) * usual))


@dataclass(frozen=True, slots=True)
class Conditions:
    """Today so far, as the features want it."""

    minutes_since_open: float
    gap_feature: float
    return_since_open: float
    """Natural log; 0 when the open was not seen."""
    return_30: float
    """Natural log, over the last 30 minutes or what there is of them."""
    daily_sd: float


@dataclass(frozen=True, slots=True)
class VarianceForecast:
    """The forecast at one instant for any horizon: three numbers hold all features."""

    anchor: float
    """exp(0.5 L90 + 0.3 L390 + 0.2 L1950), variance of an average minute."""
    effect: float
    effect_by_horizon: float
    intercept: Quadratic

    def variance(self, horizon_min: float, mass: float) -> float:
        """sigma^2 of ln(P_T / P_t) for `horizon_min` minutes that weigh `mass`; 0 when mass is 0.

        Source: docs/reference/model.md 4.3.
        """
        lh = log(max(horizon_min, HORIZON_MIN_MIN) / HORIZON_UNIT_MIN)
        exponent = quadratic(self.intercept, lh) + self.effect + self.effect_by_horizon * lh
        return self.anchor * mass * exp(min(EXPONENT_CLIP, max(-EXPONENT_CLIP, exponent)))


def features(levels: Iterable[float], today: Conditions) -> Floats:
    """The twelve features of docs/reference/model.md 4.3 in their coefficients' order. levels: shape (8,), all > 0."""
    return np.array(_features([log(level) for level in levels], today))


def _features(logs: Sequence[float], today: Conditions) -> tuple[float, ...]:
    since_open = min(RETURN_CLIP, max(-RETURN_CLIP, today.return_since_open / today.daily_sd))
    last_30 = min(RETURN_30_CLIP, max(-RETURN_30_CLIP, today.return_30 / today.daily_sd))
    l3, l10, l30, l90, l390, l1950, l8580, l90r = logs
    return (
        l3 - l30,
        l10 - l30,
        l30 - l90,
        l90 - l390,
        l390 - l1950,
        l1950 - l8580,
        today.gap_feature * exp(-today.minutes_since_open / GAP_DECAY_MIN),
        min(since_open, 0.0),
        max(since_open, 0.0),
        min(last_30, 0.0),
        today.minutes_since_open / SESSION_MINUTES - 0.5,
        l90r - l90,
    )


def anchor_of(levels: Iterable[float]) -> float:
    """exp(0.5 L90 + 0.3 L390 + 0.2 L1950) of docs/reference/model.md 4.3, variance of an average minute."""
    return _anchor([log(level) for level in levels])


def _anchor(logs: Sequence[float]) -> float:
    return exp(0.5 * logs[_L90] + 0.3 * logs[_L390] + 0.2 * logs[_L1950])


def forecast_of(
    levels: Iterable[float], today: Conditions, coefficients: VarianceCoefficients = SHIPPED.variance
) -> VarianceForecast:
    """Everything about the variance that does not depend on the target."""
    logs = [log(level) for level in levels]
    found = _features(logs, today)
    effect = sum(map(mul, coefficients.level, found))
    by_horizon = sum(map(mul, coefficients.by_log_horizon, found))
    return VarianceForecast(_anchor(logs), effect, by_horizon, coefficients.intercept)
