"""Whether the sigma that is quoted on may be true: held against its own slow level. Pure.

A wrong value that was learnt makes sigma many times too wide, and slowly: each state forgets at its own pace, and the
slowest in weeks. So the level it is held against is one that no single minute can move: each minute counts for at most
CLIP times the level it meets.
"""

from dataclasses import dataclass
from math import exp2, log, sqrt
from typing import Final

from kalshi_daemon.calibration.constants import SESSION_MINUTES

HALF_LIFE_MIN: Final = 5.0 * SESSION_MINUTES
CLIP: Final = 30.0
"""Of an average minute's variance, against the level: one wrong minute moves it by 1 % at most."""
PRIOR_MIN: Final = 3.0
"""Weight of the prior: three minutes of data balance it, so a cold start follows the day at once."""
HORIZON_MIN: Final = 30.0
"""Sigma is compared as it is forecast for half an hour."""


@dataclass(slots=True)
class SlowLevel:
    """Variance of an average session minute over about a week, a minute's part bounded."""

    num: float
    den: float

    @classmethod
    def cold(cls, daily_vol_prior: float) -> "SlowLevel":
        """No data yet. `daily_vol_prior`: sigma of a session's log return (0.01 is 1 %)."""
        return cls.of(daily_vol_prior**2 / SESSION_MINUTES, PRIOR_MIN)

    @classmethod
    def of(cls, variance: float, weight: float) -> "SlowLevel":
        """A level known already, per average minute, > 0; `weight` in minutes."""
        return cls(variance * weight, weight)

    @property
    def level(self) -> float:
        return self.num / self.den

    def fold(self, length_min: float, variance: float) -> None:
        """Add a span of `length_min` minutes that showed this variance per average minute."""
        kept = exp2(-length_min / HALF_LIFE_MIN)
        gained = (1.0 - kept) * HALF_LIFE_MIN / log(2.0)
        self.num = kept * self.num + gained * min(variance, CLIP * self.level)
        self.den = kept * self.den + gained


def alarm_of(variance: float, slow: float, ratio_min: float, ratio_max: float) -> str:
    """Both sigmas, as per cent a day, when their ratio is outside the band; "" when it is inside.

    variance: forecast, of an average minute. slow: its slow level; both > 0. `ratio_min` and `ratio_max` bound fast
    sigma over slow sigma.
    """
    ratio = sqrt(variance / slow)
    if ratio_min <= ratio <= ratio_max:
        return ""
    fast_percent, slow_percent = (100.0 * sqrt(SESSION_MINUTES * each) for each in (variance, slow))
    return (
        f"sigma {fast_percent:.3g} % a day against its slow level {slow_percent:.3g} %: "
        f"{ratio:.2f} times, outside {ratio_min:g}..{ratio_max:g}"
    )
