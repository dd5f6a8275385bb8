"""What a calibration report shows, as plain figures: one walk through the bars, the very forecasts that are scored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import sqrt
from typing import Final

import numpy as np

from kalshi_daemon.bars.sessions import Day, Sample
from kalshi_daemon.calibration.agenda import fixings
from kalshi_daemon.calibration.constants import ModelConstants
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.recalibration import BUCKET_CENTRES_MIN, Recalibration
from kalshi_daemon.calibration.watch import PROBABILITY_BINS, ladder_around
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.research import metrics
from kalshi_daemon.research import score as harness
from kalshi_daemon.research.baselines import Baselines, baselines_of
from kalshi_daemon.research.fan_days import FAN_PROBABILITIES, Fan, FanDay
from kalshi_daemon.research.score import HOURLY, Key, Mark, Record, ScoreRow

PIT_BINS: Final = 20
PIT_HORIZONS: Final = (55, 30, 10, 2)
FAN_STEP_MIN: Final = 2
FAN_FROM_MIN: Final = 5
"""The first fan starts when the first quotes may: 09:35."""
_CURVE_BUCKET_MIN: Final = 5
_FAN: Final = "fan"
"""Target of the forecasts that a fan is made of."""
BP: Final = 1e4


@dataclass(frozen=True, slots=True)
class Spread:
    """Forecast and realised root mean square of the move at one horizon, basis points."""

    target: str
    horizon_min: int
    n: int
    forecast_bp: float
    realised_bp: float
    realised_se_bp: float


@dataclass(frozen=True, slots=True)
class ProbabilityBin:
    """Strikes whose probability fell into one tenth: what was said and what came, day-clustered."""

    said: float
    came: float
    came_se: float
    n: int
    """Forecasts with a strike in it."""


@dataclass(frozen=True, slots=True)
class Month:
    """Hourly forecasts of a month against the tuned EWMA, each horizon in units of its own mean score."""

    month: str
    n: int
    crps_ratio: float
    crps_ratio_se: float
    log_gain: float
    log_gain_se: float


@dataclass(frozen=True, slots=True)
class BucketMap:
    """The online layer of full hours at one horizon at the end of the span."""

    horizon_min: float
    scale: float
    """c."""
    learnt: float
    """Forecasts behind it."""
    knots: tuple[float, ...]
    """W at 0, 0.05 .. 1."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything on the page."""

    index: str
    cash: bool
    bar_seconds: int
    first: str
    last: str
    days: int
    constants: str
    """Which, until when they were fitted, and whether they knew the span."""
    rows: tuple[ScoreRow, ...]
    shipped_curve: tuple[float, ...]
    curve: tuple[float, ...]
    """As adapted by the last day; per minute, mean 1."""
    realised_curve: tuple[tuple[float, float], ...]
    """(middle minute, mean share) of five-minute stretches of the whole days of the span."""
    spreads: tuple[Spread, ...]
    pits: Mapping[int, tuple[int, ...]]
    """Counts of 20 bins by hourly horizon."""
    reliability: tuple[ProbabilityBin, ...]
    months: tuple[Month, ...]
    maps: tuple[BucketMap, ...]
    fan: FanDay


@dataclass(slots=True)
class _Strikes:
    """Per probability bin: each forecast's mean probability and share of strikes reached, and its day."""

    step: float
    """Points between strikes."""
    nominal: float | None
    """Of a stand-in: the level at which its strikes are as far apart, relatively, as the index's own."""
    said: list[list[float]] = field(default_factory=lambda: [[] for _ in range(PROBABILITY_BINS)])
    came: list[list[float]] = field(default_factory=lambda: [[] for _ in range(PROBABILITY_BINS)])
    days: list[list[int]] = field(default_factory=lambda: [[] for _ in range(PROBABILITY_BINS)])
    variance: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, day: Day, mark: Mark, distribution: PredictiveDistribution) -> None:
        self.variance[mark.key].append(distribution.sigma**2 * distribution.residual.second_moment)
        at = float(day.prices()[mark.end])
        level = distribution.level if self.nominal is None else self.nominal + self.step * (distribution.level % 1.0)
        ladder = np.array(ladder_around(self.step, level, distribution.sigma))
        if not len(ladder):
            return
        said = 1.0 - distribution.cdf(distribution.level * np.exp(ladder))
        came = at >= distribution.level * np.exp(ladder)
        places = np.minimum((said * PROBABILITY_BINS).astype(np.int64), PROBABILITY_BINS - 1)
        for place in np.unique(places).tolist():
            inside = places == place
            self.said[place].append(float(said[inside].mean()))
            self.came[place].append(float(came[inside].mean()))
            self.days[place].append(day.session.open_ns)

    def bins(self) -> tuple[ProbabilityBin, ...]:
        columns = zip(self.said, self.came, self.days, strict=True)
        return tuple(probability_bin(said, came, np.array(days)) for said, came, days in columns if said)


def figures_of(
    sample: Sample, first: date, last: date, *, constants: ModelConstants = SHIPPED, fan_day: date | None = None
) -> Figures:
    """Every figure of the sessions from `first` to `last`. Raises ConfigurationError when there is nothing to score.

    fan_day: the session of the fan chart, the last one of the span by default.
    """
    days = sample.between(first, last)
    fan_row = _row_of(sample, last if fan_day is None else fan_day, chosen=fan_day is not None)
    model = harness.model_of(sample, constants=constants)
    row, step = sample.table.rows[sample.index], sample.table.strike_step(sample.index)
    strikes = _Strikes(step, None if sample.cash else row.level)
    fan = _FanTaker(sample.days[fan_row])
    on_the_way = sample.days[fan_row] in days

    def take(day: Day, mark: Mark, distribution: PredictiveDistribution) -> None:
        (fan if mark.key[0] == _FAN else strikes).take(day, mark, distribution)

    beside = {fan_row: fan.marks} if on_the_way else {}
    records = harness.walk(sample, first, last, model=model, seen=take, beside=beside)
    baselines = baselines_of([day for day in sample.days if day.session.day <= last.isoformat()])
    wanted = harness.keys()
    known = [key for key in wanted if key in records and len(harness.comparable(records[key], baselines))]
    if not known:
        raise ConfigurationError(
            f"{first} .. {last}", "nothing to score in this span", "the flat baseline needs 60 whole days before it"
        )
    return Figures(
        index=sample.index.value,
        cash=sample.cash,
        bar_seconds=sample.bar_seconds,
        first=days[0].session.day,
        last=days[-1].session.day,
        days=len(days),
        constants=harness.told([constants], first),
        rows=tuple(harness.row_of(key, records[key], baselines) for key in known),
        shipped_curve=tuple(model.constants.diurnal.tolist()),
        curve=tuple(model.base.tolist()),
        realised_curve=_realised_curve(days),
        spreads=tuple(
            spread_of(key, np.square(records[key].x), strikes.variance[key], np.array(records[key].row))
            for key in known
        ),
        pits={h: pit_counts(records[HOURLY, h].pit, PIT_BINS) for h in PIT_HORIZONS if (HOURLY, h) in known},
        reliability=strikes.bins(),
        months=_months(sample, {key: records[key] for key in known if key[0] == HOURLY}, baselines),
        maps=maps_of(model.hour_layer),
        fan=fan.fans() if on_the_way else _fan_day(sample, fan_row, constants),
    )


def spread_of(key: Key, squares: metrics.Floats, variance: Sequence[float], clusters: metrics.Counts) -> Spread:
    """squares: of the moves' logs; variance: as forecast for each; clusters: what moves together. All of one length."""
    mean, error = metrics.clustered_mean(squares, clusters)
    rms = sqrt(mean)
    return Spread(
        *key,
        n=len(squares),
        forecast_bp=BP * sqrt(float(np.mean(variance))),
        realised_bp=BP * rms,
        realised_se_bp=BP * error / (2.0 * rms) if rms > 0.0 else 0.0,
    )


def pit_counts(pits: Sequence[float], bins: int) -> tuple[int, ...]:
    """A histogram over 0..1; exactly 1 belongs to the last bin."""
    places = np.minimum((metrics.pooled(pits) * bins).astype(np.int64), bins - 1)
    return tuple(np.bincount(places, minlength=bins).tolist())


def probability_bin(said: Sequence[float], came: Sequence[float], clusters: metrics.Counts) -> ProbabilityBin:
    """One dot of a reliability chart: a probability said and a share that came for each of a cluster's members."""
    mean, error = metrics.clustered_mean(metrics.pooled(came), clusters)
    return ProbabilityBin(float(np.mean(said)), mean, error, len(said))


def _months(sample: Sample, records: Mapping[Key, Record], baselines: Baselines) -> tuple[Month, ...]:
    """Day-clustered. A month's ratio is a mean over forecasts, each in units of its horizon's mean baseline score."""
    parts: dict[str, list[list[float]]] = defaultdict(lambda: [[], [], [], []])
    for record in records.values():
        use = harness.comparable(record, baselines)
        rows, start, end = (np.array(column, dtype=np.int64) for column in (record.row, record.start, record.end))
        tuned = baselines.tuned_sigma(rows, start, end)[use]
        x, crps, log_score = (metrics.pooled(column)[use] for column in (record.x, record.crps, record.log_score))
        baseline = metrics.gaussian_crps(x, tuned)
        gain = log_score - metrics.gaussian_log_score(x, tuned)
        unit = float(baseline.mean())
        for values in zip(rows[use].tolist(), crps / unit, baseline / unit, gain, strict=True):
            for column, value in zip(parts[sample.days[values[0]].session.day[:7]], values, strict=True):
                column.append(float(value))
    found = []
    for month, (days, top, bottom, gains) in sorted(parts.items()):
        clusters = np.array(days, dtype=np.int64)
        ratio = metrics.ratio_error(np.array(top), np.array(bottom), clusters)
        found.append(Month(month, len(days), *ratio, *metrics.clustered_mean(np.array(gains), clusters)))
    return tuple(found)


def _realised_curve(days: Sequence[Day]) -> tuple[tuple[float, float], ...]:
    """Mean squared return of each five minutes of the regular days, each day in units of its own mean."""
    regular = [day for day in days if not day.session.half_day]
    bucket = max(_CURVE_BUCKET_MIN, regular[0].bar_seconds // 60) if regular else _CURVE_BUCKET_MIN
    shapes = []
    for day in regular:
        with np.errstate(invalid="ignore"):
            squares = np.square(np.diff(np.log(day.prices())))
        groups = squares.reshape(-1, bucket * 60 // day.bar_seconds)
        sums = np.nanmean(np.where(np.isfinite(groups), groups, np.nan), axis=1) if np.isfinite(groups).all() else None
        if sums is not None and sums.mean() > 0.0:
            shapes.append(sums / sums.mean())
    if not shapes:
        return ()
    mean = np.mean(shapes, axis=0)
    return tuple((bucket * (n + 0.5), float(value)) for n, value in enumerate(mean))


def maps_of(layer: Recalibration) -> tuple[BucketMap, ...]:
    """The map and scale of every bucket that has learnt anything."""
    found = []
    for bucket, centre in enumerate(BUCKET_CENTRES_MIN):
        correction = layer.at(centre)
        knots = tuple(correction.pit_map.knots.tolist())
        found.append(BucketMap(centre, sqrt(correction.scale_squared), float(layer.scale_weight[bucket]), knots))
    return tuple(one for one in found if one.learnt > 0.0)


def _row_of(sample: Sample, wanted: date, *, chosen: bool) -> int:
    """Where a day stands in the sample, the one before it when it was not asked for. Raises ConfigurationError."""
    rows = [row for row, day in enumerate(sample.days) if day.session.day <= wanted.isoformat()]
    if not rows or (chosen and sample.days[rows[-1]].session.day != wanted.isoformat()):
        raise ConfigurationError(str(wanted), "no session with bars on this day", "choose another --day")
    return rows[-1]


def _fan_day(sample: Sample, row: int, constants: ModelConstants) -> FanDay:
    """The fans of a session that is not scored, by a model warmed up on the days before it."""
    model = harness.model_of(sample, constants=constants)
    for day in sample.days[max(0, row - harness.WARM_UP_SESSIONS) : row]:
        harness.forecasts(model, day, ())
    fan = _FanTaker(sample.days[row])
    for mark, distribution in harness.forecasts(model, fan.day, fan.marks):
        fan.take(fan.day, mark, distribution)
    return fan.fans()


class _FanTaker:
    """A fan from 09:35 and from every fixing on, up to the next fixing, made at its start."""

    def __init__(self, day: Day) -> None:
        step = day.bar_seconds * SECOND
        targets = [(target - day.session.open_ns) // step for target in fixings(day.session)]
        first = -(-FAN_FROM_MIN * MINUTE // step)
        every = max(1, FAN_STEP_MIN * MINUTE // step)
        self.day = day
        self._fans: dict[int, list[tuple[float, tuple[float, ...]]]] = defaultdict(list)
        self.marks = [
            Mark((_FAN, start), start, slot, Nanos(day.session.open_ns + slot * step))
            for start, end in zip([first, *targets[:-1]], targets, strict=True)
            for slot in sorted({*range(start + every, end, every), end})
            if slot > start
        ]

    def take(self, day: Day, mark: Mark, distribution: PredictiveDistribution) -> None:
        if not self._fans[mark.start]:
            at_once = (distribution.level,) * len(FAN_PROBABILITIES)
            self._fans[mark.start].append((_minutes(mark.start, day), at_once))
        levels = tuple(distribution.quantiles(np.array(FAN_PROBABILITIES)).tolist())
        self._fans[mark.start].append((_minutes(mark.end, day), levels))

    def fans(self) -> FanDay:
        day = self.day
        path = {_minutes(slot, day): float(price) for slot, price in enumerate(day.prices()) if np.isfinite(price)}
        ends = ((steps, steps[-1][0]) for _, steps in sorted(self._fans.items()))
        return FanDay(
            day.session.day,
            tuple(path.items()),
            tuple(Fan(tuple(steps), (end, path[end]) if end in path else None) for steps, end in ends),
        )


def _minutes(slot: int, day: Day) -> float:
    return slot * day.bar_seconds / 60.0
