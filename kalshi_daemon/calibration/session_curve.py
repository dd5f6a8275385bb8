"""How variance is spread over a session: diurnal curve, half days, scheduled events (docs/reference/model.md 4.1, 4.4).

Time inside a session is a float of minutes after the open. The unit of mass is one average minute of a regular session:
the whole regular session weighs 390. Half days keep that unit, so the variance states mean the same on every day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.constants import SESSION_MINUTES, EventEffect, Steps
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import MINUTE, Nanos

Floats = NDArray[np.float64]

END_EFFECT_MIN: Final = 60
"""Length of the rise into the close that a half day keeps, moved to its own close."""
BLEND_MIN: Final = 30
"""Minutes over which a half day passes from the morning's curve to the closing one."""
SHORTEST_SESSION_MIN: Final = END_EFFECT_MIN + BLEND_MIN
ADAPTATION_PER_DAY: Final = 1.0 / 120.0
"""How fast five neighbouring minutes move together."""
OWN_ADAPTATION_PER_DAY: Final = 1.0 / 240.0
"""How fast one minute moves against its neighbours: slower, because it has a fifth of their data."""
DAY_SHAPE_MAX: Final = 30.0
"""A minute's squared return counts at most this often the day's mean: one jump must not bend the curve."""


@dataclass(frozen=True, slots=True)
class VarianceEvent:
    """A scheduled release: from `start_ns` on, also before the open, variance is a multiple of its usual size."""

    start_ns: Nanos
    effect: EventEffect

    def mean_excess(self, start: float, end: float) -> float:
        """Mean of (multiplier - 1) over [start, end), minutes after the event; 0 before it."""
        total = 0.0
        for low, high, multiplier in self.effect.steps:
            total += (multiplier - 1.0) * max(0.0, min(end, high) - max(start, low))
        _, high, multiplier = self.effect.steps[-1]
        decay = self.effect.decay_min
        if decay > 0.0 and end > high:
            near, far = (max(start, high) - high) / decay, (end - high) / decay
            total += (multiplier - 1.0) * decay * (exp(-near) - exp(-far))
        return total / (end - start)


def decaying(multiplier: float, decay_min: float) -> EventEffect:
    """Variance jumps to `multiplier` and returns with time constant `decay_min`: the operator's own events.

    Raises ValueError when a number cannot be one.
    """
    return EventEffect(((0.0, 0.0, multiplier),), decay_min)


@dataclass(frozen=True, slots=True, eq=False)
class SessionCurve:
    """Variance per minute of one session, with its running sum so that any span's mass costs two look-ups."""

    minutes: int
    rates: tuple[float, ...]
    """Mass of each minute, events included."""
    cumulative: tuple[float, ...]
    """Mass from the open to each minute boundary; minutes + 1 entries."""

    def until(self, minute: float) -> float:
        """Mass from the open to `minute`; instants outside the session count as its nearer end."""
        if minute <= 0.0:
            return 0.0
        whole = int(minute)
        if whole >= self.minutes:
            return self.cumulative[-1]
        return self.cumulative[whole] + (minute - whole) * self.rates[whole]

    def mass(self, start: float, end: float) -> float:
        """Mass of [start, end] in average minutes; 0 when end <= start.

        Inside one minute it is the product itself, not a difference of sums: exact down to nanoseconds.
        """
        if end <= start:
            return 0.0
        whole = int(start)
        if start >= 0.0 and end <= whole + 1 and whole < self.minutes:
            return (end - start) * self.rates[whole]
        return self.until(end) - self.until(start)


def curve_of(
    base: Floats, session: Session, events: Sequence[VarianceEvent] = (), half_day: Steps = SHIPPED.half_day
) -> SessionCurve:
    """The curve of one session. `base` is the regular day's (390, mean 1). Raises ValueError for other lengths.

    `half_day`: what a short session is on top of its shape. Overlapping events multiply.
    """
    minutes = (session.close_ns - session.open_ns) // MINUTE
    rates = shaped(base, minutes)
    if minutes < SESSION_MINUTES:
        rates = rates * stepped(half_day, minutes)
    for event in events:
        offset = (session.open_ns - event.start_ns) / MINUTE
        excess = [event.mean_excess(offset + minute, offset + minute + 1.0) for minute in range(minutes)]
        rates = rates * (1.0 + np.array(excess))
    cumulative = np.concatenate(([0.0], np.cumsum(rates)))
    return SessionCurve(minutes, tuple(rates.tolist()), tuple(cumulative.tolist()))


def shaped(base: Floats, minutes: int) -> Floats:
    """The regular curve fitted to a session of `minutes`: the morning as it is, the end effect moved to the new close.

    The two parts are cross-faded over half an hour. How much quieter than that half days are is measured apart
    (`ModelConstants.half_day`). Raises ValueError for a session longer than 390 or shorter than 90 minutes.
    """
    if base.shape != (SESSION_MINUTES,):
        raise ValueError(f"diurnal curve has shape {base.shape}, not ({SESSION_MINUTES},)")
    if minutes == SESSION_MINUTES:
        return base.copy()
    if not SHORTEST_SESSION_MIN <= minutes < SESSION_MINUTES:
        raise ValueError(f"no variance curve for a session of {minutes} minutes")
    fade_from = minutes - END_EFFECT_MIN - BLEND_MIN
    weight = np.clip((np.arange(minutes) - fade_from + 0.5) / BLEND_MIN, 0.0, 1.0)
    blended: Floats = (1.0 - weight) * base[:minutes] + weight * base[SESSION_MINUTES - minutes :]
    return blended


def stepped(steps: Steps, minutes: int) -> Floats:
    """The multiplier of every minute, shape (minutes,); 1 outside the steps."""
    found = np.ones(minutes)
    for start, end, multiplier in steps:
        found[round(start) : round(end)] = multiplier
    return found


def adapted(base: Floats, day_squares: Floats) -> Floats:
    """The regular curve after one more full day: docs/reference/model.md 4.1, done to the day's ratio to s.

    day_squares: squared minute returns of the day, shape (390,), events already divided out.
    With q = min(x, 30) / s and q5 its mean over five minutes, s <- s (1 + eta (q5 - 1) + own (q - q5)), mean kept at 1;
    eta and own are ADAPTATION_PER_DAY and OWN_ADAPTATION_PER_DAY.
    Smoothing the ratio leaves a standing peak where it is (10:00, 15:50, the last minute); smoothing the day itself
    washes it into its neighbours within months. A day without variance teaches nothing.
    """
    mean = float(day_squares.mean())
    if not mean > 0.0:
        return base
    ratio = np.minimum(day_squares / mean, DAY_SHAPE_MAX) / base
    smooth = np.convolve(np.pad(ratio, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    moved: Floats = base * (1.0 + ADAPTATION_PER_DAY * (smooth - 1.0) + OWN_ADAPTATION_PER_DAY * (ratio - smooth))
    return moved * (SESSION_MINUTES / float(moved.sum()))
