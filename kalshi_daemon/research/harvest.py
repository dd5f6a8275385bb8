"""What the model knew at every forecast of a span, as plain arrays: the material `calibrate` fits on.

The bars go through the daemon's own updater, so a row holds nothing that was not known at its instant; only the move
`x` to the fixing is read off afterwards.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.bars.sessions import Day, Sample
from kalshi_daemon.calibration.agenda import fixings
from kalshi_daemon.calibration.constants import HORIZON_UNIT_MIN, ModelConstants
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.calibration.variance import EXPONENT_CLIP, anchor_of, features, forecast_of
from kalshi_daemon.ground.units import MINUTE, SECOND
from kalshi_daemon.research.score import model_of

type Floats = NDArray[np.float64]
type Counts = NDArray[np.int64]
type Bools = NDArray[np.bool_]

HOUR_MIN: Final = (55, 45, 30, 15, 10, 5, 2)
CLOSE_MIN: Final = (360, 300, 240, 180, 150, 120, 90, 75)
"""Horizons of the fit: full hours, the close among them, and the close from further away."""
PROBES_MIN: Final = (0, 270)
"""Minutes after the open at which the level alone is kept: the bell, and 14:00."""
PROBE_HORIZON_MIN: Final = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Harvest:
    """One row per forecast, in order of time. Shapes (n,), features (n, 12), probes (days, 2)."""

    day: Counts
    """Position of the day in the sample."""
    horizon_min: Floats
    half_day: Bools
    x: Floats
    """ln(fixing / level)."""
    log_anchor: Floats
    """ln of the anchor of docs/reference/model.md 4.3, the curve's mass included."""
    features: Floats
    probes: Floats
    """Forecast variance of an average minute over the hour after each probe, events left out; NaN where not asked."""


def probes(sample: Sample, constants: ModelConstants) -> Floats:
    """The probes alone, shape (days, 2): what the effects are measured against."""
    return _fed(sample, constants, fixings_too=False)[2]


def harvest(sample: Sample, constants: ModelConstants) -> Harvest:
    """Feed every day in order and keep what each forecast was made from."""
    rows, known, levels = _fed(sample, constants, fixings_too=True)
    table = np.array(rows)
    return Harvest(
        day=table[:, 0].astype(np.int64),
        horizon_min=table[:, 1],
        half_day=table[:, 2] > 0,
        x=table[:, 3],
        log_anchor=table[:, 4],
        features=np.array(known),
        probes=levels,
    )


def _fed(
    sample: Sample, constants: ModelConstants, *, fixings_too: bool
) -> tuple[list[tuple[float, ...]], list[Floats], Floats]:
    model = model_of(sample, constants=constants, learns=False)
    rows: list[tuple[float, ...]] = []
    known: list[Floats] = []
    levels = np.full((len(sample.days), len(PROBES_MIN)), np.nan)
    for number, day in enumerate(sample.days):
        for minute, seen in _instants(model, day):
            if minute in PROBES_MIN:
                levels[number, PROBES_MIN.index(minute)] = _level(model)
            for target, fixing in seen if fixings_too else ():
                found = _row(model, day, minute, target, fixing)
                if found is not None:
                    rows.append((number, *found[0]))
                    known.append(found[1])
    return rows, known, levels


def _instants(model: RollingCalibration, day: Day) -> Iterator[tuple[int, Sequence[tuple[int, float]]]]:
    """Feed the day; gives each bar boundary, in minutes after the open, with the fixings to forecast there.

    A fixing is its minute and its level. The model has seen nothing later than the instant when it is given.
    """
    due = _due(day)
    bell = day.bell(model.index)
    if bell is not None:
        model.on_tick(bell)
        yield 0, due.get(0, ())
    for bar in day.bars(model.index):
        model.on_bar(bar)
        minute = (bar.end_ns - day.session.open_ns) // MINUTE
        yield minute, due.get(minute, ())


def _due(day: Day) -> dict[int, list[tuple[int, float]]]:
    """By minute after the open: minute and level of the fixings to forecast then."""
    due: dict[int, list[tuple[int, float]]] = defaultdict(list)
    prices = day.prices()
    step = day.bar_seconds * SECOND // MINUTE
    for target_ns in fixings(day.session):
        target = (target_ns - day.session.open_ns) // MINUTE
        far = CLOSE_MIN if target_ns == day.session.close_ns else ()
        for horizon in (*HOUR_MIN, *far):
            start = target - horizon
            if start < 0 or start % step or target % step:
                continue
            if np.isfinite(prices[start // step]) and np.isfinite(prices[target // step]):
                due[start].append((target, float(prices[target // step])))
    return due


def _level(model: RollingCalibration) -> float:
    inputs = model.inputs()
    if inputs is None:
        return float("nan")
    return forecast_of(*inputs, model.constants.variance).variance(PROBE_HORIZON_MIN, 1.0)


def _row(
    model: RollingCalibration, day: Day, start: int, target: int, fixing: float
) -> tuple[tuple[float, ...], Floats] | None:
    inputs, today = model.inputs(), model.today
    if inputs is None or today is None or today.path is None:
        return None
    levels, conditions = inputs
    mass = today.curve.mass(float(start), float(target))
    figures = (
        float(target - start),
        float(day.session.half_day),
        log(fixing / today.path.last),
        log(anchor_of(levels) * mass),
    )
    return figures, features(levels, conditions)


def variances(found: Harvest, constants: ModelConstants) -> Floats:
    """sigma^2 of every row under these coefficients, before the online layer (docs/reference/model.md 4.3)."""
    coefficients = constants.variance
    unit = log_horizons(found)
    level, slope, bend = coefficients.intercept
    exponent = level + slope * unit + bend * unit * unit
    exponent += found.features @ coefficients.level + (found.features @ coefficients.by_log_horizon) * unit
    sigma_squared: Floats = np.exp(found.log_anchor + np.clip(exponent, -EXPONENT_CLIP, EXPONENT_CLIP))
    return sigma_squared


def log_horizons(found: Harvest) -> Floats:
    """ln(h / 15), shape (n,)."""
    logs: Floats = np.log(found.horizon_min / HORIZON_UNIT_MIN)
    return logs
