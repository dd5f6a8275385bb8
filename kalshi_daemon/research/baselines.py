"""The two baselines of the model, fitted on past data only (docs/reference/model.md 3).

a  flat: Gaussian, variance per minute = mean realised variance of the last 60 whole days / session length.
b  tuned EWMA x session curve: Gaussian, EWMA of r^2 / s, times the curve's remaining mass. The curve is the mean shape
   of every whole day before the month, the half-life the one of six with the best likelihood of that very target and
   horizon over everything before the month.

Everything is vectorised over a grid of days x bars, which makes the order of use explicit: row d of a matrix is only
ever compared with forecasts made on day d or later, and a month's parameters come from the rows above its first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.bars.sessions import COVER_MIN, Day
from kalshi_daemon.research.metrics import gaussian_log_score

type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]

HALF_LIVES_MIN: Final = (15.0, 30.0, 60.0, 120.0, 195.0, 390.0)
FLAT_DAYS: Final = 60
SHAPE_MAX: Final = 30.0
"""A squared return counts at most this often its day's mean in the curve."""
SHAPE_DAYS_MIN: Final = 20
"""Before as many days the curve is flat."""
CHOICE_MIN: Final = 100
"""Before as many forecasts the half-life is the middle one."""
_SMOOTH: Final = 5
_FIRST_CHOICE: Final = 2
_PRIOR_DAILY: Final = 0.01
_PRIOR_MINUTES: Final = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """All days as one matrix."""

    price: Floats
    """(days, slots + 1), carried forward over missing bars; NaN beyond a short day's close, before the first price."""
    squares: Floats
    """Squared log returns, (days, slots); NaN where unknown."""
    whole: Bools
    """Regular days with nearly all their bars."""
    months: NDArray[np.int64]
    """Number of the month of each day, ascending."""
    bar_minutes: float

    @property
    def slots(self) -> int:
        return int(self.squares.shape[1])


def grid_of(days: Sequence[Day]) -> Grid:
    """Prices of all days side by side, one column a minute; the last price is carried over gaps."""
    slots = max(day.slots for day in days)
    price = np.full((len(days), slots + 1), np.nan)
    whole = np.zeros(len(days), dtype=np.bool_)
    for row, day in enumerate(days):
        price[row, : day.slots + 1] = _carried(day.prices())
        whole[row] = day.slots == slots and len(day.start_s) >= COVER_MIN * slots and np.isfinite(price[row, 0])
    with np.errstate(invalid="ignore"):
        squares = np.square(np.diff(np.log(price), axis=1))
    months = np.array([int(day.session.day[:4]) * 12 + int(day.session.day[5:7]) for day in days], dtype=np.int64)
    return Grid(price, squares, whole, months, days[0].bar_seconds / 60.0)


def _carried(prices: Floats) -> Floats:
    """NaN replaced by the last price before it; leading ones stay."""
    known = np.where(np.isfinite(prices), np.arange(len(prices)), -1)
    last = np.maximum.accumulate(known)
    found: Floats = np.where(last >= 0, prices[np.maximum(last, 0)], np.nan)
    return found


def flat_variance(grid: Grid) -> Floats:
    """Baseline (a): variance per bar, one figure a day from the 60 whole days before it, (days,); NaN before that."""
    daily = np.nansum(grid.squares, axis=1)
    found = np.full(len(daily), np.nan)
    whole = np.flatnonzero(grid.whole)
    sums = np.concatenate(([0.0], np.cumsum(daily[whole])))
    for row in range(len(daily)):
        before = int(np.searchsorted(whole, row))
        if before >= FLAT_DAYS:
            found[row] = (sums[before] - sums[before - FLAT_DAYS]) / FLAT_DAYS / grid.slots
    return found


def curves(grid: Grid) -> Floats:
    """Mean shape of the whole days before each day's month, five-point smooth, mean 1; (days, slots)."""
    shapes = np.zeros_like(grid.squares)
    rows = grid.whole & (np.nansum(grid.squares, axis=1) > 0.0)
    known = np.nan_to_num(grid.squares[rows])
    shapes[rows] = np.minimum(known / known.mean(axis=1, keepdims=True), SHAPE_MAX)
    found = np.ones_like(shapes)
    for month in np.unique(grid.months):
        first = int(np.searchsorted(grid.months, month))
        past = shapes[:first][rows[:first]]
        if len(past) >= SHAPE_DAYS_MIN:
            mean = past.mean(axis=0)
            padded = np.pad(mean, _SMOOTH // 2, mode="edge")
            smooth = np.convolve(padded, np.full(_SMOOTH, 1.0 / _SMOOTH), mode="valid")
            found[grid.months == month] = smooth / smooth.mean()
    return found


def states(grid: Grid, curve: Floats, half_life_min: float) -> Floats:
    """Bias-corrected EWMA of r^2 / s after each bar, (days, slots + 1); [d, 0] is what the evening before left."""
    kept = 2.0 ** (-grid.bar_minutes / half_life_min)
    weight = _PRIOR_MINUTES / grid.bar_minutes
    num, den = weight * _PRIOR_DAILY**2 / grid.slots, weight
    found = np.empty((len(grid.squares), grid.slots + 1))
    adjusted = grid.squares / curve
    for row, values in enumerate(adjusted.tolist()):
        line = [num / den]
        for value in values:
            if value == value:  # noqa: PLR0124 - false for NaN: an unknown return leaves the state as it is
                num, den = kept * num + value, kept * den + 1.0
            line.append(num / den)
        found[row] = line
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """Everything about the baselines that does not depend on the horizon."""

    grid: Grid
    flat: Floats
    masses: Floats
    """Running sum of the curve, (days, slots + 1)."""
    levels: tuple[Floats, ...]
    """States per half-life."""

    def flat_sigma(self, rows: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> Floats:
        """Of the forecasts made on days `rows` after bar `start` for the end of bar `end`; all shapes (n,)."""
        found: Floats = np.sqrt(self.flat[rows] * (end - start))
        return found

    def tuned_sigma(self, rows: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> Floats:
        """Baseline (b), for all forecasts of one target and horizon at once, in order of time.

        The half-life of a month is the likeliest over the forecasts before it.
        """
        mass = self.masses[rows, end] - self.masses[rows, start]
        sigmas = np.stack([np.sqrt(level[rows, start] * mass) for level in self.levels])
        price = self.grid.price
        x = np.log(price[rows, end] / price[rows, start])
        likelihood = np.concatenate(
            (np.zeros((len(sigmas), 1)), np.cumsum(gaussian_log_score(x, sigmas), axis=1)), axis=1
        )
        months = self.grid.months[rows]
        first = np.searchsorted(months, months)
        chosen = np.where(first >= CHOICE_MIN, np.argmax(likelihood[:, first], axis=0), _FIRST_CHOICE)
        found: Floats = sigmas[chosen, np.arange(len(rows))]
        return found


def baselines_of(days: Sequence[Day]) -> Baselines:
    """Everything the baselines need, worked out once for all days."""
    grid = grid_of(days)
    curve = curves(grid)
    masses = np.concatenate((np.zeros((len(curve), 1)), np.cumsum(curve, axis=1)), axis=1)
    return Baselines(grid, flat_variance(grid), masses, tuple(states(grid, curve, life) for life in HALF_LIVES_MIN))
