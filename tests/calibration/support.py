"""A made-up session and prices for it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kalshi_daemon.calibration.constants_file import SHIPPED, read_constants
from kalshi_daemon.calibration.density import family_of
from kalshi_daemon.calibration.path import SessionPath
from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.recalibration import BUCKETS
from kalshi_daemon.calibration.today import Today
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import DAY, MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.plausibility import PlausibleValues
from kalshi_daemon.index_feed.ruling import PlausibilityLimits
from kalshi_daemon.settings.model import CalibrationSettings

FIRST_CONSTANTS = read_constants(Path(__file__).parents[2] / "docs" / "evidence" / "research-2014-2019.json")
"""Those the golden cases were worked out with; the shipped ones change with every fit."""
RESIDUALS = family_of(SHIPPED.residual)
BASE_CURVE = SHIPPED.diurnal
MONDAY_OPEN = Nanos(1_763_994_600 * SECOND)
"""2025-11-24 09:30 New York."""
PLAIN = CalibrationSettings(first_minute_excluded=False, settlement_basis_bp=0.0)
UNIT_PRIOR = (1.0,) * BUCKETS
JUDGE_LIMITS = PlausibilityLimits(jump_min=0.0075, values_min=3, confirm_ns=Nanos(30 * SECOND))


def session(day: int = 0, *, minutes: int = 390) -> Session:
    """The day'th calendar day after Monday."""
    start = Nanos(MONDAY_OPEN + day * DAY)
    return Session(f"2025-11-{24 + day}", start, Nanos(start + minutes * MINUTE), half_day=minutes < 390)


def calendar(*sessions: Session):
    """Sessions as the updater wants them; like the real calendar, an instant outside every session has none."""

    def at(ns: Nanos) -> Session | None:
        return next((one for one in sessions if one.open_ns <= ns <= one.close_ns), None)

    return at


def model(*sessions: Session, settings: CalibrationSettings = PLAIN, **changes) -> RollingCalibration:
    changes.setdefault("scale_prior", UNIT_PRIOR)
    return RollingCalibration(Index.SPX, settings, calendar(*(sessions or (session(),))), **changes)


def at(minute: float, day: int = 0) -> Nanos:
    """An instant, in minutes after that day's open, to the nanosecond."""
    return Nanos(MONDAY_OPEN + day * DAY + round(minute * MINUTE))


def tick(minute: float, value: float, day: int = 0) -> Tick:
    ns = at(minute, day)
    return Tick(Index.SPX, Channel.VALUE, value, ns, ns)


def bar(minute: int, first: float, high: float, low: float, last: float, day: int = 0) -> Bar:
    """The bar that STARTS `minute` minutes after the open."""
    return Bar(Index.SPX, Channel.MINUTE, first, high, low, last, at(minute, day), at(minute + 1, day), at(minute + 1))


def feed(one: RollingCalibration, ticks: Iterable[Tick]) -> RollingCalibration:
    for item in ticks:
        one.on_tick(item)
    return one


def judged(
    one: RollingCalibration, ticks: Iterable[Tick], values: PlausibleValues | None = None
) -> tuple[RollingCalibration, PlausibleValues]:
    """Feed what the feed's judge believes; the judge goes on when it is given."""
    values = values or PlausibleValues(JUDGE_LIMITS)
    for item in ticks:
        for believed in values.judge(item, ()).ticks:
            one.on_tick(believed)
    return one, values


def walk(
    minutes: float, *, seed: int = 1, step_s: float = 5.0, day: int = 0, start: float = 0.0, level: float = 6_800.0
):
    """Ticks every `step_s` seconds of a Gaussian walk of 1 % a day."""
    count = int(minutes * 60 / step_s) + 1
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, 0.01 * np.sqrt(step_s / 60 / 390), count)
    values = level * np.exp(np.cumsum(moves))
    return [tick(start + n * step_s / 60, float(value), day) for n, value in enumerate(values)]


def known[T](value: T | None) -> T:
    """The value, which must be there."""
    assert value is not None
    return value


def day_of(one: RollingCalibration) -> Today:
    return known(one.today)


def path_of(one: RollingCalibration) -> SessionPath:
    return known(day_of(one).path)


def distribution_at(one: RollingCalibration, minute: float, target: Nanos, day: int = 0) -> PredictiveDistribution:
    return known(one.forecast(at(minute, day), target))


def memory(one: RollingCalibration) -> tuple:
    """Everything the model has learnt, comparable bit for bit."""
    path = one.today.path if one.today is not None else None
    day = () if path is None else (path.first, path.last, path.last_ns, path.high, path.low, path.watched_min)
    return (
        one.variance.num.tolist(),
        one.variance.den.tolist(),
        (one.ratio.squares, one.ratio.ranges, one.ratio.weight, one.ratio.prior),
        (one.daily.variance_num, one.daily.gap_num),
        one.hour_layer.histogram.tolist(),
        one.hour_layer.scale_sum.tolist(),
        one.close_layer.histogram.tolist(),
        day,
    )
