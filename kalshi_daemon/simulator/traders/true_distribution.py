"""What the simulated market knows: the real volatility of the path being played.

Informed traders price with it; makers price with an error on it. It is an oracle on purpose
(docs/reference/model.md 7.5): the path's realised variance, spread over the session by the session curve.
"""

import math

import numpy as np

from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.simulator.feed.index_path import IndexPath, session_seconds
from kalshi_daemon.simulator.feed.index_synthetic import minute_shares

_MINUTE_S = 60


class TrueDistribution:
    """Standard deviation of the log return between two instants of one path."""

    def __init__(self, path: IndexPath) -> None:
        seconds = session_seconds(path.session)
        minutes = seconds // _MINUTE_S
        logs = np.log(path.values[: seconds + 1 : _MINUTE_S])
        shares = minute_shares(minutes)
        per_share = float(np.sum(np.diff(logs) ** 2)) / float(np.sum(shares))
        self._open_ns = int(path.open_ns)
        self._mass = np.concatenate(([0.0], np.cumsum(shares))) * per_share

    def sigma(self, now_ns: Nanos, target_ns: Nanos) -> float:
        """From `now` to `target`; before the open nothing has been used up."""
        return math.sqrt(max(0.0, self._used(target_ns) - self._used(now_ns)))

    def _used(self, at_ns: Nanos) -> float:
        minutes = (at_ns - self._open_ns) / (_MINUTE_S * SECOND)
        return float(np.interp(minutes, np.arange(len(self._mass)), self._mass))
