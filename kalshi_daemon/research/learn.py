"""What the models would know had the daemon watched these bars: its own models, fed session by session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from kalshi_daemon.bars.sessions import Day, Sample
from kalshi_daemon.calibration.joint import Correlation
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Pair
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.research.score import forecasts
from kalshi_daemon.windows.sessions import SessionTable, load_sessions


@dataclass(frozen=True, slots=True)
class Lessons:
    """What one index was fed."""

    index: str
    sessions: int
    first: str
    last: str
    last_price: str
    resolved_weight: float
    """Forecasts of its own that the online layers learnt from, the old ones faded; to one decimal."""


def table_of(samples: Mapping[Index, Sample]) -> SessionTable:
    """The calendar of all their days."""
    days = [date.fromisoformat(day.session.day) for sample in samples.values() for day in sample.days]
    return load_sessions(min(days), max(days))


def learn(
    models: Mapping[Index, RollingCalibration],
    samples: Mapping[Index, Sample],
    pairs: Sequence[Pair] = SHIPPED_INSTRUMENTS.pairs,
) -> Mapping[Pair, Correlation]:
    """Feed each sample to its model, which must have seen nothing later, all indices day by day.

    Returns the correlation of each pair, at its prior where there is one index of it alone.
    """
    days: dict[str, dict[Index, Day]] = {}
    for index, sample in samples.items():
        for day in sample.days:
            days.setdefault(day.session.day, {})[index] = day
    correlations = {pair: Correlation() for pair in pairs}
    for _, every in sorted(days.items()):
        for index, day in every.items():
            forecasts(models[index], day, ())
        for (one, other), correlation in correlations.items():
            correlation.follow(models[one].today, models[other].today)
    for model in models.values():
        if model.today is not None:
            # The last fixing would be scored at the daemon's first price, and stand in the record as the daemon's own.
            model.today.waiting.clear()
    return correlations


def lessons_of(model: RollingCalibration, sample: Sample) -> Lessons:
    """What a model has learnt of the bars, in numbers for people."""
    last_ns = model.last_seen_ns
    assert last_ns is not None, "it was fed"
    layers = (model.hour_layer, model.close_layer)
    return Lessons(
        model.index.value,
        len(sample.days),
        sample.days[0].session.day,
        sample.days[-1].session.day,
        iso_utc(last_ns),
        round(sum(float(layer.scale_weight.sum()) for layer in layers), 1),
    )
