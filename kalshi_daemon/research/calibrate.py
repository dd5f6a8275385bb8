"""Fitting the constants anew and judging them on days they have not seen.

Walk-forward twice over: the fit reads nothing after its last day, and before a file is written the same fit, ended a
stretch earlier, has to beat the constants in use on that stretch, in the harness and through the updater the daemon
runs. What is then written is the fit on everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.bars.sessions import Sample
from kalshi_daemon.calibration.constants import SESSION_MINUTES, ModelConstants
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import MINUTE, SECOND
from kalshi_daemon.research import effects, fitting, metrics
from kalshi_daemon.research.baselines import Grid, grid_of
from kalshi_daemon.research.effects import Multiplier
from kalshi_daemon.research.harvest import Floats, Harvest, harvest, probes, variances
from kalshi_daemon.research.releases import research_calendar
from kalshi_daemon.research.score import CLOSE, HOUR_HORIZONS, HOURLY, Key, Record, walk
from kalshi_daemon.windows.releases import FOMC_MINUTES, FOMC_PRESS, FOMC_STATEMENT

type Bools = NDArray[np.bool_]

DAYS_MIN: Final = 500
"""Fewer days than this are no ground for figures that are then frozen."""
BURN_IN_DAYS: Final = 60
"""Days at the start whose forecasts are made from states that are still filling."""
JUDGED: Final[tuple[Key, ...]] = (
    *((HOURLY, horizon) for horizon in HOUR_HORIZONS),
    (CLOSE, 360),
    (CLOSE, 240),
    (CLOSE, 120),
)
"""Targets and horizons a fit is judged on, each with the same weight per forecast."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Constants, and how sure their event and half-day figures are."""

    constants: ModelConstants
    events: Mapping[str, Sequence[Multiplier]]
    half_day: Sequence[Multiplier]
    forecasts: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A candidate against the constants in use, on days neither its fit nor its figures saw."""

    first: str
    last: str
    n: int
    log_gain: float
    """Nats per forecast, all horizons together; above 0 the candidate is better."""
    log_gain_se: float
    """Clustered by day."""
    crps_ratio: float
    """Mean over targets and horizons; below 1 the candidate is better."""
    rows: tuple[tuple[str, int, int, float, float], ...]
    """Target, horizon, n, log gain, CRPS ratio."""

    @property
    def worse(self) -> bool:
        """The log score decides; a better one must not be bought with a worse CRPS."""
        return not (self.log_gain >= 0.0 and self.crps_ratio <= 1.0 + CRPS_TOLERANCE)


CRPS_TOLERANCE: Final = 5e-4
"""Differences of the CRPS below 0.1 % are noise (docs/reference/model.md 9); half of that may be lost."""


def fit(sample: Sample, reference: ModelConstants, name: str) -> Fit:
    """New constants from every day of the sample, drawn towards the reference.

    Raises ConfigurationError for anything but minute bars, and for fewer than 500 days.
    """
    if sample.bar_seconds * SECOND != MINUTE:
        raise ConfigurationError("--data", f"bars of {sample.bar_seconds} s", "constants are fitted on minute bars")
    if len(sample.days) < DAYS_MIN:
        raise ConfigurationError("--data", f"{len(sample.days)} sessions", f"at least {DAYS_MIN} are needed")
    grid = grid_of(sample.days)
    half = np.array([day.session.half_day for day in sample.days])
    kinds = _kinds(sample)
    quiet = grid.whole & ~kinds[FOMC_STATEMENT] & ~kinds[FOMC_MINUTES]
    curve = fitting.curve_fit(grid.squares, quiet)
    curve.flags.writeable = False
    shaped = replace(reference, diurnal=curve)
    multipliers, half_day = _effects(grid, probes(sample, shaped), shaped, half, kinds)
    known = replace(shaped, events=effects.effects_of(multipliers), half_day=effects.steps_of(half_day))
    material = harvest(sample, known)
    last = sample.days[-1].session.day
    fitted = replace(_distributions(material, known), name=name, fitted_until=last, provenance={})
    return Fit(fitted, multipliers, half_day, len(material.x))


def _kinds(sample: Sample) -> dict[str, Bools]:
    calendar = research_calendar()
    found = [{one.event for one in calendar.events_for(day.session.day)} for day in sample.days]
    return {kind: np.array([kind in events for events in found]) for kind in (*effects.EDGES_MIN, FOMC_PRESS)}


def _effects(
    grid: Grid, levels: Floats, constants: ModelConstants, half: Bools, kinds: Mapping[str, Bools]
) -> tuple[dict[str, tuple[Multiplier, ...]], tuple[Multiplier, ...]]:
    assert grid.slots == SESSION_MINUTES, "minute bars"
    surprises = effects.surprises_of(grid.squares, levels, constants.diurnal, half)
    listed = {kind: days for kind, days in kinds.items() if kind != FOMC_PRESS}
    return (
        effects.event_multipliers(surprises, listed, kinds[FOMC_PRESS]),
        effects.half_day_multipliers(surprises),
    )


def _distributions(material: Harvest, known: ModelConstants) -> ModelConstants:
    """Coefficients and residual shape, in turn: each is the other's yardstick."""
    rows = ~material.half_day & (material.day >= BURN_IN_DAYS)
    found = known
    for _ in range(fitting.ROUNDS):
        coefficients = fitting.variance_fit(material, rows, known.variance, found.residual)
        found = replace(found, variance=coefficients)
        figures = fitting.shape_fit(material, rows, variances(material, found), found.residual)
        found = replace(found, residual=figures)
    return found


def judge(sample: Sample, candidate: ModelConstants, reference: ModelConstants, first: date, last: date) -> Verdict:
    """Both through the harness from `first` to `last`, paired forecast by forecast.

    Raises ConfigurationError when no forecast lies in those days.
    """
    ours = walk(sample, first, last, constants=candidate)
    theirs = walk(sample, first, last, constants=reference)
    rows, gains, clusters, ratios = [], [], [], []
    for key in JUDGED:
        if key not in ours:
            continue
        one, other = ours[key], theirs[key]
        assert one.row == other.row, "the two models forecast at the same instants"
        gain = metrics.pooled(one.log_score) - metrics.pooled(other.log_score)
        ratio = float(np.mean(one.crps) / np.mean(other.crps))
        rows.append((*key, len(gain), float(np.mean(gain)), ratio))
        gains.append(gain)
        clusters.append(_days(one))
        ratios.append(ratio)
    if not gains:
        raise ConfigurationError(f"{first} .. {last}", "nothing to judge on in this stretch")
    every = np.concatenate(gains)
    mean, error = metrics.clustered_mean(every, np.concatenate(clusters))
    days = [sample.days[at].session.day for at in ours[JUDGED[0]].row]
    return Verdict(days[0], days[-1], len(every), mean, error, float(np.mean(ratios)), tuple(rows))


def _days(record: Record) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(record.row, dtype=np.int64)


def held_back(sample: Sample, sessions: int) -> tuple[Sample, date, date]:
    """What may be fitted on, and the first and last day of the stretch that is kept for judging.

    Raises ConfigurationError when too little is left.
    """
    if len(sample.days) < sessions + DAYS_MIN:
        raise ConfigurationError(
            "--hold-out", f"{len(sample.days)} sessions leave too few beside {sessions}", f"{DAYS_MIN} are needed"
        )
    stretch = sample.days[-sessions:]
    first, last = (date.fromisoformat(day.session.day) for day in (stretch[0], stretch[-1]))
    return replace(sample, days=sample.days[:-sessions]), first, last
