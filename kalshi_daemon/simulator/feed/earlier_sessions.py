"""The days before a made-up session, by the same generator: what somebody who had been there would have seen.

A day's volatility resembles that of the days before. Its logarithm is taken for a Gaussian process with the
autocorrelation that was measured, 0.82, 0.64 and 0.40 after 1, 5 and 22 days (docs/reference/model.md 5): the sum of
one that lasts and one that does not. The session itself stays as it is drawn without a past. Such a process looks the
same in both directions of time, so that its past can be drawn after it: days and session together are a draw from the
joint law, and whoever learns from the days knows of the session what days tell and no more. All else of a day
(minutes, innovations, gap) has draws of its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.domain.window import Session
from kalshi_daemon.simulator.feed.index_path import IndexPath, Paths, session_seconds
from kalshi_daemon.simulator.feed.index_synthetic import LOG_DAY_VOL_SD, log_day_vol_of, synthesize_session

SEEDS_FROM: Final = 1 << 32
"""Seeds of sessions are smaller: no earlier day is one that is played."""
LASTING: Final = (0.735, 0.9727)
"""Share of the variance, and autocorrelation after a day."""
PASSING: Final = (1.0 - LASTING[0], 0.396)


def earlier_sessions(
    sessions: Sequence[Session], session: Session, seed: int, table: Instruments = SHIPPED_INSTRUMENTS
) -> list[dict[Index, IndexPath]]:
    """The paths of `sessions`, ascending and before `session`, as they led to it: the last one ends where it begins."""
    assert all(one.day < session.day for one in sessions), "earlier"
    vols = _log_day_vols(log_day_vol_of(session, seed), len(sessions), np.random.default_rng([SEEDS_FROM, seed]))
    after: Paths = synthesize_session(session, seed, table)
    found: list[dict[Index, IndexPath]] = []
    for day, vol in zip(reversed(sessions), vols, strict=True):
        made = synthesize_session(day, SEEDS_FROM + seed, table, vol)
        after = {index: _ending_at(path, after[index].previous_close) for index, path in made.items()}
        found.append(dict(after))
    return found[::-1]


def _log_day_vols(log_day_vol: float, days: int, rng: np.random.Generator) -> Iterator[float]:
    """Those of the days before one of `log_day_vol`, the latest first."""
    (lasting, keeps), (passing, keeps_less) = LASTING, PASSING
    own = log_day_vol / LOG_DAY_VOL_SD
    # Each part given their sum; then each goes on by itself.
    slow = lasting * own + math.sqrt(lasting * passing) * float(rng.standard_normal())
    fast = own - slow
    for _ in range(days):
        slow = keeps * slow + math.sqrt(lasting * (1.0 - keeps**2)) * float(rng.standard_normal())
        fast = keeps_less * fast + math.sqrt(passing * (1.0 - keeps_less**2)) * float(rng.standard_normal())
        yield LOG_DAY_VOL_SD * (slow + fast)


def _ending_at(path: IndexPath, close: float) -> IndexPath:
    """The same moves at another level."""
    scale = close / float(path.values[session_seconds(path.session)])
    return replace(path, values=path.values * scale, previous_close=path.previous_close * scale)
