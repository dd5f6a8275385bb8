"""What the simulated market knows of an index: how far it may still move until an instant, and where to.

Of a made-up path that is the law it was drawn from, exactly: the variance of each minute, and the part of the overnight
gap that the first minute still holds back. A day played back has no law; there the market estimates, from what has
happened until then alone, and knows no more than anybody could.
"""

import math
from typing import Final

import numpy as np

from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.simulator.feed.index_path import IndexPath, PathLaw, Values, session_seconds
from kalshi_daemon.simulator.feed.index_synthetic import DAY_VOL_MEDIAN, minute_shares
from kalshi_daemon.simulator.traders.traders import Law

_MINUTE_S: Final = 60
PRIOR_SHARE: Final = 0.25
"""How much an ordinary day weighs in the estimate of a day played back: as much as this part of one, seen."""


class TrueDistribution:
    """The log return between two instants of one path: its standard deviation, and its mean."""

    def __init__(self, path: IndexPath) -> None:
        self._open_ns = int(path.open_ns)
        self._law = path.law
        if path.law is not None:
            self._mass = np.concatenate(([0.0], np.cumsum(path.law.minute_variance)))
            return
        minutes = session_seconds(path.session) // _MINUTE_S
        self._mass = np.concatenate(([0.0], np.cumsum(minute_shares(minutes))))
        self._day_variance = _estimates(path.values[: minutes * _MINUTE_S + 1 : _MINUTE_S], self._mass)

    def to(self, now_ns: Nanos, target_ns: Nanos) -> Law:
        """The law of the log return from `now` to `target`."""
        return Law(self.sigma(now_ns, target_ns), self.drift(now_ns, target_ns))

    def sigma(self, now_ns: Nanos, target_ns: Nanos) -> float:
        """From `now` to `target`; before the open nothing has been used up."""
        left = max(0.0, self._used(target_ns) - self._used(now_ns))
        return math.sqrt(left if self._law is not None else left * self._estimate(now_ns))

    def drift(self, now_ns: Nanos, target_ns: Nanos) -> float:
        """The mean: what is bound to come between the two instants. 0 for a day played back."""
        return _left(self._law, now_ns - self._open_ns) - _left(self._law, target_ns - self._open_ns)

    def _used(self, at_ns: Nanos) -> float:
        minutes = (at_ns - self._open_ns) / (_MINUTE_S * SECOND)
        return float(np.interp(minutes, np.arange(len(self._mass)), self._mass))

    def _estimate(self, now_ns: Nanos) -> float:
        """Variance of a whole day, as of the last minute that has ended."""
        ended = (now_ns - self._open_ns) // (_MINUTE_S * SECOND)
        return float(self._day_variance[min(max(ended, 0), len(self._day_variance) - 1)])


def _left(law: PathLaw | None, since_open_ns: int) -> float:
    if law is None:
        return 0.0
    second = max(0, since_open_ns // SECOND)
    return float(law.drift_left[second]) if second < len(law.drift_left) else 0.0


def _estimates(values: Values, mass: Values) -> Values:
    """After each minute: squared returns so far and an ordinary day's, weighted. The stale first one is left out."""
    squares = np.diff(np.log(values)) ** 2
    squares[0] = 0.0
    seen = np.concatenate(([0.0, 0.0], mass[2:] - mass[1]))
    realised = np.concatenate(([0.0], np.cumsum(squares)))
    ordinary = DAY_VOL_MEDIAN**2
    found: Values = (PRIOR_SHARE * ordinary + realised) / (PRIOR_SHARE + seen)
    return found
