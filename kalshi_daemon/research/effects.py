"""What scheduled releases and half days do to variance, measured against what the model expected without them.

For each window of minutes the realised variance of a day is divided by the forecast made before it (at the bell, or at
14:00). A window's multiplier is the squared mean of the root of that ratio on the days of the kind over the same figure
on all other days: between the median, which forgets that some days are violent, and the mean, which three of them own.
Days count by age, and what a few days say is shrunk towards no effect by its standard error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.constants import EventEffect, Steps
from kalshi_daemon.calibration.session_curve import shaped
from kalshi_daemon.windows.releases import CPI, FOMC_MINUTES, FOMC_STATEMENT, JOBLESS_CLAIMS, NFP

type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]

AGE_HALF_LIFE_DAYS: Final = 1_250.0
"""Five years of sessions: what figures move the market changes with the times."""
PRIOR_SD: Final = 0.5
"""Of the log of a multiplier, before anything was measured."""
PRIOR_SD_STATEMENT: Final = 2.0
"""The same for the committee's own releases, of which everybody knows that they move the market a lot."""
DAYS_MIN: Final = 8
"""Fewer days of a kind say nothing."""
_AFTERNOON: Final = (0, 1, 2, 5, 10, 20, 30, 35, 45, 60, 90, 120)
_MORNING: Final = (60, 65, 75, 90, 120, 180, 450)
EDGES_MIN: Final[Mapping[str, tuple[int, ...]]] = {
    FOMC_STATEMENT: _AFTERNOON,
    FOMC_MINUTES: _AFTERNOON,
    CPI: _MORNING,
    NFP: _MORNING,
    JOBLESS_CLAIMS: _MORNING,
}
"""Windows per kind, minutes after the release. The press conference is part of its statement's effect."""
RELEASE_MIN: Final[Mapping[str, int]] = {
    FOMC_STATEMENT: 270,
    FOMC_MINUTES: 270,
    CPI: -60,
    NFP: -60,
    JOBLESS_CLAIMS: -60,
}
"""Minutes after the open."""
HALF_DAY_MIN: Final = 210
HALF_DAY_EDGES_MIN: Final = (0, 15, 30, 60, 90, 120, 150, 180, 195, 205, 209, 210)
_DECIMALS: Final = 3


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Of one window: the measured one, its standard error, and what is left of it after shrinking."""

    start: int
    end: int
    measured: float
    error: float
    days: int
    shrunk: float


@dataclass(frozen=True, slots=True, eq=False)
class Surprises:
    """Squared minute returns over what was expected of them. Row per day, column per session minute; NaN: unknown."""

    morning: Floats
    """Against the forecast at the bell, shape (days, 390)."""
    afternoon: Floats
    """Against the forecast at 14:00."""
    short: Floats
    """Half days against the forecast at the bell on the curve of a half day; other days likewise, the shape's minutes
    taken from their own clock; shape (days, 210)."""
    half: Bools


def surprises_of(squares: Floats, probes: Floats, curve: Floats, half: Bools) -> Surprises:
    """squares (days, 390), probes (days, 2) as harvested, curve (390,), half (days,)."""
    short_curve = shaped(curve, HALF_DAY_MIN)
    late = len(curve) - HALF_DAY_MIN
    turn = HALF_DAY_MIN - 60
    clock = np.where(np.arange(HALF_DAY_MIN) < turn, 0, late) + np.arange(HALF_DAY_MIN)
    moved = np.where(half[:, None], squares[:, :HALF_DAY_MIN], squares[:, clock])
    expected = np.where(half[:, None], short_curve, curve[clock])
    return Surprises(
        morning=squares / (probes[:, :1] * curve),
        afternoon=squares / (probes[:, 1:] * curve),
        short=moved / (probes[:, :1] * expected),
        half=half,
    )


def measured(
    ratios: Floats, days: Bools, others: Bools, edges: Sequence[int], shift: int, prior_sd: float = PRIOR_SD
) -> tuple[Multiplier, ...]:
    """Multipliers of the windows between `edges`, which lie `shift` minutes after the columns' start.

    `prior_sd`: sd of a multiplier before data, a plain factor.
    """
    age = np.arange(len(ratios))[::-1]
    weight = 2.0 ** (-age / AGE_HALF_LIFE_DAYS)
    found = []
    for start, end in pairwise(edges):
        window = ratios[:, start + shift : end + shift]
        known = np.isfinite(window).sum(axis=1) >= (end - start) / 2
        root = np.sqrt(np.nansum(window, axis=1) / np.maximum(np.isfinite(window).sum(axis=1), 1))
        kind, rest = days & known, others & known
        if kind.sum() < DAYS_MIN or rest.sum() < DAYS_MIN:
            continue
        mean, error = _weighted(root[kind], weight[kind])
        usual, _ = _weighted(root[rest], weight[rest])
        ratio, log_error = (mean / usual) ** 2, 2.0 * error / mean
        kept = prior_sd**2 / (prior_sd**2 + log_error**2)
        found.append(Multiplier(start, end, ratio, ratio * log_error, int(kind.sum()), exp(kept * log(ratio))))
    return tuple(found)


def _weighted(values: Floats, weights: Floats) -> tuple[float, float]:
    """Mean and its standard error."""
    share = weights / weights.sum()
    mean = float(share @ values)
    return mean, float(np.sqrt(np.sum(np.square(share * (values - mean)))))


def event_multipliers(found: Surprises, kinds: Mapping[str, Bools], press: Bools) -> dict[str, tuple[Multiplier, ...]]:
    """By kind of release. `kinds`: its days, shape (days,); `press`: days with a press conference.

    Claims are measured on days without other figures. Statements without a press conference are left out: today every
    one has one.
    """
    busy = np.any(list(kinds.values()), axis=0) | found.half
    used = dict(kinds)
    used[FOMC_STATEMENT] = kinds[FOMC_STATEMENT] & press
    used[JOBLESS_CLAIMS] = kinds[JOBLESS_CLAIMS] & ~kinds[CPI] & ~kinds[NFP]
    result = {}
    for kind, edges in EDGES_MIN.items():
        at = RELEASE_MIN[kind]
        ratios = found.morning if at < 0 else found.afternoon
        prior = PRIOR_SD if at < 0 else PRIOR_SD_STATEMENT
        result[kind] = measured(ratios, used[kind] & ~found.half, ~busy, edges, at, prior)
    return result


def half_day_multipliers(found: Surprises) -> tuple[Multiplier, ...]:
    """Sigma on half days against whole ones, by minutes of the session."""
    return measured(found.short, found.half, ~found.half, HALF_DAY_EDGES_MIN, 0)


def steps_of(multipliers: Sequence[Multiplier]) -> Steps:
    """Multipliers as the constants file writes them: from, to (minutes), factor."""
    return tuple((float(one.start), float(one.end), round(one.shrunk, _DECIMALS)) for one in multipliers)


def effects_of(multipliers: Mapping[str, Sequence[Multiplier]]) -> dict[str, EventEffect]:
    """Kinds that could be measured."""
    return {kind: EventEffect(steps_of(found)) for kind, found in multipliers.items() if found}
