"""Days of minute bars whose distribution is known, and the oracle that knows it.

Minute log returns are Gaussian with variance s(m) v_d: s is a session curve, ln v_d an AR(1) over days (so the level
has to be learnt, and moves). Given the day's v the move over any span is Gaussian with a known variance: that is the
oracle's distribution, and no forecast can be better. The model is told nothing of v.

Dates are real ones, and the model knows what was released on them: `events` lets that come true. Without, it expects on
some 16 afternoons a year a jump that never comes, which costs the close 1.5 % two hours before.
"""

from dataclasses import dataclass
from datetime import date
from math import sqrt

import numpy as np

from kalshi_daemon.bars.sessions import Day, Sample
from kalshi_daemon.calibration.session_curve import curve_of
from kalshi_daemon.calibration.today import Events, no_events
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.windows.sessions import load_sessions

STEPS = 20
"""Prices inside a minute, from which its range is read."""
DAILY_SD = 0.01
MINUTES = 390


@dataclass(frozen=True)
class Known:
    """A sample, and the true variance of every minute of it."""

    sample: Sample
    variance: np.ndarray
    """(days, 390)."""

    def sigma(self, rows, start, end):
        """Of the log moves on days `rows` from minute `start` to minute `end`; the oracle's."""
        sums = np.concatenate((np.zeros((len(self.variance), 1)), np.cumsum(self.variance, axis=1)), axis=1)
        return np.sqrt(sums[rows, end] - sums[rows, start])


def known_days(
    days: int, curve: np.ndarray, *, seed: int, log_vol_sd: float, stay: float = 0.98, events: Events = no_events
) -> Known:
    """The last `days` regular sessions before 2025. log_vol_sd: of ln(daily variance); stay: its autocorrelation."""
    sessions = [one for one in load_sessions(date(2015, 1, 2), date(2024, 12, 31)).sessions if not one.half_day][-days:]
    rng = np.random.default_rng(seed)
    shape = np.asarray(curve) / np.mean(curve)
    level, state = 5_000.0, rng.normal()
    made, variances = [], []
    for session in sessions:
        rates = np.array(curve_of(shape, session, events(session)).rates)
        variance = DAILY_SD**2 / MINUTES * np.exp(log_vol_sd * state) * rates
        state = stay * state + sqrt(1.0 - stay**2) * rng.normal()
        level *= float(np.exp(rng.normal(0.0, 0.5 * DAILY_SD)))
        moves = rng.normal(size=(MINUTES, STEPS)) * np.sqrt(variance / STEPS)[:, None]
        prices = level * np.exp(np.cumsum(moves.ravel())).reshape(MINUTES, STEPS)
        opened = np.concatenate(([level], prices[:-1, -1]))
        high = np.maximum(opened, prices.max(axis=1))
        low = np.minimum(opened, prices.min(axis=1))
        level = float(prices[-1, -1])
        starts = session.open_ns // SECOND + 60 * np.arange(MINUTES)
        made.append(Day(session, 60, starts, opened, high, low, prices[:, -1]))
        variances.append(variance)
    return Known(_sample(tuple(made)), np.array(variances))


def _sample(days):
    given = {"index": Index.NDX, "days": days, "cash": False, "bar_seconds": 60}
    if "files" in Sample.__dataclass_fields__:
        given["files"] = ()
    return Sample(**given)
