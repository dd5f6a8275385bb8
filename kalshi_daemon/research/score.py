"""Walk-forward scores of the rolling model against two baselines.

The bars go through the very `RollingCalibration` the daemon runs. A forecast is asked for between two bars, when the
model has seen nothing later than its instant, and what it said is kept as an immutable distribution; the fixing is read
from the bars afterwards: a day's later bars cannot reach an earlier distribution.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from math import log
from types import MappingProxyType
from typing import Final

import numpy as np

from kalshi_daemon.bars.sessions import Day, Sample
from kalshi_daemon.calibration.agenda import fixings
from kalshi_daemon.calibration.constants import ModelConstants
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.recalibration import BUCKETS, CASH_SCALE_PRIOR
from kalshi_daemon.calibration.resolving import OwnRecord
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.memory.documents import remember, restore_slow_parts
from kalshi_daemon.research import metrics
from kalshi_daemon.research.baselines import Baselines, baselines_of
from kalshi_daemon.research.releases import research_calendar
from kalshi_daemon.research.selection import REGULAR_DAYS, Selection
from kalshi_daemon.research.stretches import stretches
from kalshi_daemon.settings.model import CalibrationSettings
from kalshi_daemon.windows.scheduled import ReleaseEvents
from kalshi_daemon.windows.sessions import SessionTable

HOUR_HORIZONS: Final = (55, 45, 30, 15, 10, 5, 2)
CLOSE_HORIZONS: Final = (360, 240, 120, 55, 45, 30, 15, 10, 5, 2)
"""Minutes to the fixing (docs/reference/model.md 3)."""
HOURLY: Final = "hour"
CLOSE: Final = "close"
_SCORED: Final = frozenset({HOURLY, CLOSE})
WARM_UP_SESSIONS: Final = 250
"""Days before the first scored one that the model sees, as far as there are any: what it learns has half-lives of at
most 120 sessions."""
STAND_IN_PRIOR: Final = (1.0,) * BUCKETS
"""c^2 of a cold start on a future or a fund, whose minutes do not understate longer moves as those of an index do."""
_PERCENT: Final = 100.0
_BASIS_POINT: Final = 1e-4

type Key = tuple[str, int]


class Cold(StrEnum):
    """What a model lacks that starts anew every morning."""

    ALL = "all"
    """Everything but the constants: as after the loss of its memory."""
    LEVELS = "levels"
    """What it knew of the last days: the states hold today's prices alone. Session curve and online corrections, which
    age in months, are as learnt before: a memory too old to go on from, and what docs/reference/model.md 4 calls
    cold."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One target and horizon. Ratios below 1, gains above 0 and a negative `dm_t_crps` speak for the model."""

    target: str
    """hour: the next full hour, 10:00..16:00. close: the last fixing of the session."""
    horizon_min: int
    n: int
    crps_bp: float
    crps_ratio_flat: float
    crps_ratio_ewma: float
    crps_ratio_ewma_se: float
    log_gain_ewma: float
    log_gain_ewma_se: float
    """Nats per forecast and its day-clustered standard error."""
    dm_t_crps: float
    dm_t_log: float
    pit_ks: float
    cover90: float
    cover99: float
    """Per cent."""
    residual_rms: float
    """Root mean square of x / sigma."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """All fixings at most an hour ahead together: what a handful of days can tell."""

    n: int
    days: int
    residual_rms: float
    cover90: float
    cover99: float
    """Per cent."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What `score` found."""

    rows: tuple[ScoreRow, ...]
    pooled: Pooled


@dataclass(slots=True)
class Record:
    """Every forecast of one target and horizon, in order of time."""

    row: list[int] = field(default_factory=list)
    """Position of the day in the sample."""
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    """Bar boundaries of the forecast and of the fixing."""
    x: list[float] = field(default_factory=list)
    sigma: list[float] = field(default_factory=list)
    crps: list[float] = field(default_factory=list)
    log_score: list[float] = field(default_factory=list)
    pit: list[float] = field(default_factory=list)

    def extend(self, later: "Record") -> None:
        """Append forecasts made after all of these."""
        for column in fields(self):
            getattr(self, column.name).extend(getattr(later, column.name))


@dataclass(frozen=True, slots=True)
class Mark:
    """A forecast to make: after bar `start` for the end of bar `end`."""

    key: Key
    start: int
    end: int
    target_ns: Nanos


def _unseen(_day: Day, _mark: Mark, _distribution: PredictiveDistribution) -> None:
    """Nobody looks on."""


def score(
    sample: Sample,
    first: date,
    last: date,
    *,
    settings: CalibrationSettings | None = None,
    constants: ModelConstants | Sequence[ModelConstants] = SHIPPED,
    cold: Cold | None = None,
    selection: Selection = REGULAR_DAYS,
) -> Scores:
    """A row per target and horizon with forecasts from `first` to `last`, both included.

    `constants`: several are used one after the other (`stretches`). `cold`: the model starts anew every morning.
    Raises ConfigurationError when there is nothing to score.
    """
    sample.between(first, last)
    records = walks(sample, first, last, settings=settings, constants=constants, cold=cold, selection=selection)
    baselines = baselines_of([day for day in sample.days if day.session.day <= last.isoformat()])
    rows = tuple(
        row_of(key, records[key], baselines)
        for key in keys()
        if key in records and len(comparable(records[key], baselines))
    )
    if not rows:
        raise ConfigurationError(
            f"{first} .. {last}", "nothing to score in this span", "the flat baseline needs 60 whole days before it"
        )
    return Scores(rows, pooled_of(records))


def told(constants: Sequence[ModelConstants], first: date) -> str:
    """Which constants spoke in a span that begins on `first`, and whether they knew its days: then scores flatter."""
    names = "; ".join(f"{one.name}, fitted until {one.fitted_until}" for one in constants)
    known = all(one.fitted_until >= first.isoformat() for one in constants)
    return f"constants {names}" + (": FITTED ON DAYS OF THIS SPAN, so this is no test of them" if known else "")


def pooled_of(records: Mapping[Key, Record]) -> Pooled:
    """Over the forecasts for every fixing at most an hour ahead, the close among them."""
    hourly = [record for key, record in records.items() if key[0] == HOURLY]
    pit = metrics.pooled([value for record in hourly for value in record.pit])
    z = metrics.pooled([x / sigma for record in hourly for x, sigma in zip(record.x, record.sigma, strict=True)])
    days = {row for record in hourly for row in record.row}
    return Pooled(
        n=len(z),
        days=len(days),
        residual_rms=float(np.sqrt(np.mean(np.square(z)))),
        cover90=_PERCENT * metrics.coverage(pit, 0.9),
        cover99=_PERCENT * metrics.coverage(pit, 0.99),
    )


def walks(
    sample: Sample,
    first: date,
    last: date,
    *,
    constants: ModelConstants | Sequence[ModelConstants],
    settings: CalibrationSettings | None = None,
    cold: Cold | None = None,
    selection: Selection = REGULAR_DAYS,
) -> Mapping[Key, Record]:
    """`walk` over every stretch of `stretches`, each warmed up by the sessions before it, as one set of records."""
    records: dict[Key, Record] = defaultdict(Record)
    for one, begin, end in stretches(constants, first, last):
        found = walk(sample, begin, end, settings=settings, constants=one, cold=cold, selection=selection)
        for key, record in found.items():
            records[key].extend(record)
    return records


def keys() -> tuple[Key, ...]:
    """Every cadence and horizon (minutes) that is scored."""
    return (*((HOURLY, horizon) for horizon in HOUR_HORIZONS), *((CLOSE, horizon) for horizon in CLOSE_HORIZONS))


def model_of(
    sample: Sample,
    settings: CalibrationSettings | None = None,
    constants: ModelConstants = SHIPPED,
    *,
    learns: bool = True,
) -> RollingCalibration:
    """The daemon's model for this instrument.

    A stand-in opens at the bell like its own market, so its first minute
    counts, its last price is the fixing itself, and its minutes need no cash prior.
    """
    chosen = settings
    if chosen is None:
        chosen = CalibrationSettings() if sample.cash else _stand_in_settings()
    table = _table(sample.days)
    return RollingCalibration(
        sample.index,
        chosen,
        table.session_of,
        events=ReleaseEvents(research_calendar(), constants.events),
        scale_prior=CASH_SCALE_PRIOR if sample.cash else STAND_IN_PRIOR,
        constants=constants,
        record=OwnRecord(sample.table.strike_step(sample.index), learns=learns),
    )


def walk(
    sample: Sample,
    first: date,
    last: date,
    *,
    settings: CalibrationSettings | None = None,
    constants: ModelConstants = SHIPPED,
    cold: Cold | None = None,
    selection: Selection = REGULAR_DAYS,
    model: RollingCalibration | None = None,
    seen: Callable[[Day, Mark, PredictiveDistribution], None] = _unseen,
    beside: Mapping[int, Sequence[Mark]] = MappingProxyType({}),
) -> Mapping[Key, Record]:
    """Feed the days in order, warm-up included, and score every forecast of the days from `first` on.

    model: the one to feed, to be looked at afterwards; a new one otherwise. beside: by position of their day in the
    sample, forecasts to make that are not scored. seen: told every distribution.
    """
    names = [day.session.day for day in sample.days]
    begin = next((row for row, name in enumerate(names) if name >= first.isoformat()), len(names))
    records: dict[Key, Record] = defaultdict(Record)
    model = model_of(sample, settings, constants) if model is None else model
    for row in range(begin if cold is Cold.ALL else max(0, begin - WARM_UP_SESSIONS), len(names)):
        day = sample.days[row]
        if names[row] > last.isoformat():
            break
        marks = marks_of(day, selection) if row >= begin and selection.wanted(day.session) else ()
        speaker = model
        if cold is not None and marks:
            speaker = model_of(sample, settings, constants)
            if cold is Cold.LEVELS:
                restore_slow_parts(speaker, remember(model))
        for mark, distribution in forecasts(speaker, day, (*marks, *beside.get(row, ()))):
            if mark.key[0] in _SCORED:
                _keep(records[mark.key], row, mark, distribution, day)
            seen(day, mark, distribution)
        if speaker is not model and cold is Cold.LEVELS:
            forecasts(model, day, ())  # it goes on learning
    return records


def forecasts(
    model: RollingCalibration, day: Day, marks: Sequence[Mark]
) -> Sequence[tuple[Mark, PredictiveDistribution]]:
    """Feed one day; the distributions of the marks whose instant was seen, made before any later bar was."""
    due: dict[Nanos, list[Mark]] = defaultdict(list)
    step = day.bar_seconds * SECOND
    for mark in marks:
        due[Nanos(day.session.open_ns + mark.start * step)].append(mark)
    found: list[tuple[Mark, PredictiveDistribution]] = []

    def ask(now_ns: Nanos) -> None:
        for mark in due.get(now_ns, ()):
            distribution = model.forecast(now_ns, mark.target_ns)
            if distribution is not None:
                found.append((mark, distribution))

    bell = day.bell(model.index)
    if bell is not None:
        model.on_tick(bell)
        ask(bell.event_ns)
    for bar in day.bars(model.index):
        model.on_bar(bar)
        ask(bar.end_ns)
    return found


def marks_of(day: Day, selection: Selection = REGULAR_DAYS) -> tuple[Mark, ...]:
    """Every forecast of docs/reference/model.md 3 whose instant and fixing both fall on bar boundaries with a price."""
    known = np.isfinite(day.prices())
    found: list[Mark] = []
    for target_ns in fixings(day.session):
        if not selection.first_min <= (target_ns - day.session.open_ns) // MINUTE <= selection.last_min:
            continue
        end = _boundary(day, target_ns)
        horizons: Iterable[Key] = ((HOURLY, horizon) for horizon in HOUR_HORIZONS)
        if target_ns == day.session.close_ns:
            horizons = keys()
        for key in horizons:
            start = _boundary(day, Nanos(target_ns - key[1] * MINUTE))
            if start is not None and end is not None and known[start] and known[end]:
                found.append(Mark(key, start, end, target_ns))
    return tuple(found)


def row_of(key: Key, record: Record, baselines: Baselines) -> ScoreRow:
    """The figures of one target and horizon, over the forecasts that all three can make."""
    use = comparable(record, baselines)
    rows, start, end = (np.array(column, dtype=np.int64) for column in (record.row, record.start, record.end))
    x, crps, log_score, pit = (
        metrics.pooled(column)[use] for column in (record.x, record.crps, record.log_score, record.pit)
    )
    tuned, flat = baselines.tuned_sigma(rows, start, end)[use], baselines.flat_sigma(rows, start, end)[use]
    baseline = metrics.gaussian_crps(x, tuned)
    gain = log_score - metrics.gaussian_log_score(x, tuned)
    days = rows[use]
    ratio, ratio_se = metrics.ratio_error(crps, baseline, days)
    gained, gained_se = metrics.clustered_mean(gain, days)
    return ScoreRow(
        target=key[0],
        horizon_min=key[1],
        n=len(use),
        crps_bp=float(np.mean(crps)) / _BASIS_POINT,
        crps_ratio_flat=float(np.mean(crps) / np.mean(metrics.gaussian_crps(x, flat))),
        crps_ratio_ewma=ratio,
        crps_ratio_ewma_se=ratio_se,
        log_gain_ewma=gained,
        log_gain_ewma_se=gained_se,
        dm_t_crps=metrics.diebold_mariano(crps - baseline, days),
        dm_t_log=metrics.diebold_mariano(gain, days),
        pit_ks=metrics.ks_distance(pit),
        cover90=_PERCENT * metrics.coverage(pit, 0.9),
        cover99=_PERCENT * metrics.coverage(pit, 0.99),
        residual_rms=float(np.sqrt(np.mean(np.square(x / metrics.pooled(record.sigma)[use])))),
    )


def comparable(record: Record, baselines: Baselines) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Positions of the forecasts for which the flat baseline has its 60 days."""
    return np.flatnonzero(np.isfinite(baselines.flat[np.array(record.row, dtype=np.int64)]))


def _keep(record: Record, row: int, mark: Mark, distribution: PredictiveDistribution, day: Day) -> None:
    prices = day.prices()
    fixing = float(prices[mark.end])
    crps, log_score, pit = metrics.distribution_scores(distribution, fixing)
    record.row.append(row)
    record.start.append(mark.start)
    record.end.append(mark.end)
    record.x.append(log(fixing / distribution.level))
    record.sigma.append(distribution.sigma)
    record.crps.append(crps)
    record.log_score.append(log_score)
    record.pit.append(pit)


def _boundary(day: Day, at_ns: Nanos) -> int | None:
    """The number of the bar that ends at this instant (0: the bell), None when no bar could."""
    whole, part = divmod(at_ns - day.session.open_ns, day.bar_seconds * SECOND)
    return whole if part == 0 and 0 <= whole <= day.slots else None


def _stand_in_settings() -> CalibrationSettings:
    return CalibrationSettings(first_minute_excluded=False, settlement_basis_bp=0.0)


def _table(days: Sequence[Day]) -> SessionTable:
    sessions = [day.session for day in days]
    return SessionTable(sessions, start_ns=sessions[0].open_ns, end_ns=Nanos(sessions[-1].close_ns + 1))
