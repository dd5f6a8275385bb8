"""What a live report shows, as plain figures: from the daemon's own record of forecasts, not from bars.

The baseline of every score is the plain Gaussian the monitors use. Errors are clustered by session, or by fixing while
there are fewer than five sessions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import inf, log, sqrt
from typing import Final

import numpy as np

from kalshi_daemon.calibration.market_record import SPANS_MIN
from kalshi_daemon.calibration.recalibration import Recalibration
from kalshi_daemon.calibration.watch import PROBABILITY_BINS
from kalshi_daemon.domain.forecast import Reading, Standing
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.memory.forecast_record import Kept
from kalshi_daemon.memory.record_rows import FixingRow, ForecastRow, MarketRow
from kalshi_daemon.research import metrics
from kalshi_daemon.research.fan_days import RecordedDay, recorded_day
from kalshi_daemon.research.report_figures import (
    BP,
    PIT_HORIZONS,
    BucketMap,
    Month,
    ProbabilityBin,
    Spread,
    maps_of,
    pit_counts,
    probability_bin,
    spread_of,
)
from kalshi_daemon.research.score import CLOSE, HOURLY

_HOURLY_MIN_MAX: Final = 60.0
_SESSIONS_TO_CLUSTER: Final = 5
DAYS_MAX: Final = 90
"""Of a span shown day by day; a longer one goes by months."""
_BINS_FROM: Final = ((200, 20), (60, 10), (10, 5))
"""(Forecasts from which on, bins of the PIT)."""


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One horizon. A full-hour row holds the close as well, as one of the hours."""

    target: str
    horizon_min: int
    n: int
    crps_bp: float
    crps_ratio: float
    crps_ratio_se: float
    log_gain: float
    log_gain_se: float
    pit_ks: float
    pit_ks_max: float
    """95 % of right models of n forecasts stay below."""
    cover90: float
    cover99: float
    rms_z: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The e-detectors' mean after a fixing or an event."""

    place: int
    """Of all fixings of the span, from 0."""
    value: float
    alarmed: bool


@dataclass(frozen=True, slots=True)
class Alarm:
    """A figure outside its limits, from one fixing to another."""

    monitor: str
    group: str
    first_ns: Nanos
    last_ns: Nanos
    """The last fixing after which it stood."""
    open: bool
    """It stood after the last fixing of the record."""
    worst: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Gains:
    """How much better than the mids we were, per event."""

    name: str
    """Of the span before the fixing, or of the day or month."""
    n: int
    log_gain: float
    log_gain_se: float
    brier_gain: float
    brier_gain_se: float


@dataclass(frozen=True, slots=True)
class MarketFigures:
    """Against the market."""

    events: int
    spans: tuple[Gains, ...]
    periods: tuple[Gains, ...]
    """Of all spans together."""
    ours: tuple[ProbabilityBin, ...]
    mids: tuple[ProbabilityBin, ...]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the model knew when it was last saved."""

    saved_ns: Nanos
    shipped_curve: tuple[float, ...]
    curve: tuple[float, ...]
    maps: tuple[BucketMap, ...]


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """Everything on the page."""

    index: str
    first: str
    last: str
    sessions: int
    live: int
    """Forecasts made from prices as they came."""
    again: int
    """Made again from minutes that history gave later."""
    unreadable: int
    rows: tuple[LiveRow, ...]
    spreads: tuple[Spread, ...]
    pits: Mapping[int, tuple[int, ...]]
    reliability: tuple[ProbabilityBin, ...]
    by_month: bool
    periods: tuple[Month, ...]
    """Days or months: full hours of all horizons, each in units of its own mean baseline score."""
    days: tuple[tuple[int, str], ...]
    """Where each session begins among the fixings."""
    evidence: tuple[Evidence, ...]
    market_evidence: tuple[Evidence, ...]
    readings: tuple[Reading, ...]
    """The last ones."""
    alarms: tuple[Alarm, ...]
    market: MarketFigures | None
    learnt: Learnt | None
    day: RecordedDay
    """Of the fan chart."""


def live_figures(index: Index, kept: Kept, learnt: Learnt | None, day: RecordedDay | None = None) -> LiveFigures | None:
    """Every figure of a record; None when no forecast is in it. day: of the fan chart, the last one if not given."""
    rows = kept.forecasts
    if not rows:
        return None
    sessions = sorted({row.session for row in rows})
    by_key: dict[tuple[str, int], list[ForecastRow]] = defaultdict(list)
    for row in rows:
        horizon = round(row.horizon_min)
        if row.horizon_min <= _HOURLY_MIN_MAX:
            by_key[HOURLY, horizon].append(row)
        if row.close:
            by_key[CLOSE, horizon].append(row)
    keys = sorted(by_key, key=lambda key: (key[0] != HOURLY, -key[1]))
    hourly = [row for row in rows if row.horizon_min <= _HOURLY_MIN_MAX]
    places = {at: place for place, at in enumerate(sorted({row.target_ns for row in kept.fixings}))}
    by_month = len(sessions) > DAYS_MAX
    period_of = _period_of(by_month=by_month)
    return LiveFigures(
        index=index.value,
        first=sessions[0],
        last=sessions[-1],
        sessions=len(sessions),
        live=sum(row.live for row in rows),
        again=sum(not row.live for row in rows),
        unreadable=kept.unreadable,
        rows=tuple(_row(key, by_key[key]) for key in keys),
        spreads=tuple(_spread(key, by_key[key]) for key in keys),
        pits=_pits(by_key),
        reliability=_reliability(rows),
        by_month=by_month,
        periods=_periods(hourly, period_of),
        days=_days(kept.fixings, places),
        evidence=tuple(Evidence(places[row.target_ns], row.evidence, row.alarmed) for row in kept.fixings),
        market_evidence=_market_evidence(kept.markets, places),
        readings=(
            *(kept.fixings[-1].readings if kept.fixings else ()),
            *(kept.markets[-1].readings if kept.markets else ()),
        ),
        alarms=(*alarms_of(kept.fixings), *alarms_of(kept.markets)),
        market=_market(kept.markets, period_of),
        learnt=learnt,
        day=recorded_day(date.fromisoformat(sessions[-1]), rows) if day is None else day,
    )


def learnt_of(
    saved_ns: Nanos, shipped_curve: Sequence[float], curve: Sequence[float], hour_layer: Recalibration
) -> Learnt:
    """The model's slow parts. Curves: per minute of a session, mean 1."""
    return Learnt(saved_ns, tuple(shipped_curve), tuple(curve), maps_of(hour_layer))


def pit_bins(n: int) -> int:
    """Bins a PIT histogram of n forecasts may have: each should hold ten at least; 0: too few to show."""
    return next((bins for least, bins in _BINS_FROM if n >= least), 0)


def clusters_of(rows: Sequence[ForecastRow | MarketRow]) -> metrics.Counts:
    """What moves together: a session, or a fixing while there are few sessions. Shape (n,)."""
    sessions = {row.session: number for number, row in enumerate(rows)}
    few = len(sessions) < _SESSIONS_TO_CLUSTER
    return np.array([row.target_ns if few else sessions[row.session] for row in rows], dtype=np.int64)


def _row(key: tuple[str, int], rows: Sequence[ForecastRow]) -> LiveRow:
    clusters = clusters_of(rows)
    crps, baseline, gain, pit, square = (
        metrics.pooled([getattr(row, name) for row in rows])
        for name in ("crps", "baseline_crps", "log_gain", "pit", "square")
    )
    return LiveRow(
        *key,
        len(rows),
        BP * float(crps.mean()),
        *metrics.ratio_error(crps, baseline, clusters),
        *metrics.clustered_mean(gain, clusters),
        metrics.ks_distance(pit),
        1.36 / sqrt(len(rows)),
        100.0 * metrics.coverage(pit, 0.9),
        100.0 * metrics.coverage(pit, 0.99),
        sqrt(float(square.mean())),
    )


def _spread(key: tuple[str, int], rows: Sequence[ForecastRow]) -> Spread:
    squares = metrics.pooled([log(row.fixing / row.level) ** 2 for row in rows])
    return spread_of(key, squares, [row.spread**2 for row in rows], clusters_of(rows))


def _pits(by_key: Mapping[tuple[str, int], Sequence[ForecastRow]]) -> dict[int, tuple[int, ...]]:
    found = {}
    for horizon in PIT_HORIZONS:
        rows = by_key.get((HOURLY, horizon), ())
        bins = pit_bins(len(rows))
        if bins:
            found[horizon] = pit_counts([row.pit for row in rows], bins)
    return found


def _reliability(rows: Sequence[ForecastRow]) -> tuple[ProbabilityBin, ...]:
    parts: list[list[tuple[float, float, ForecastRow]]] = [[] for _ in range(PROBABILITY_BINS)]
    for row in rows:
        for place, said, came in row.bins:
            parts[place].append((said, came, row))
    return _probability_bins(parts)


def _probability_bins[Row: ForecastRow | MarketRow](
    parts: Sequence[Sequence[tuple[float, float, Row]]],
) -> tuple[ProbabilityBin, ...]:
    columns = (zip(*part, strict=True) for part in parts if part)
    return tuple(probability_bin(said, came, clusters_of(rows)) for said, came, rows in columns)


def _period_of(*, by_month: bool) -> Callable[[str], str]:
    return lambda session: session[:7] if by_month else session


def _periods(rows: Sequence[ForecastRow], period_of: Callable[[str], str]) -> tuple[Month, ...]:
    unit: dict[int, float] = {
        bucket: float(np.mean([row.baseline_crps for row in rows if row.bucket == bucket]))
        for bucket in {row.bucket for row in rows}
    }
    parts: dict[str, list[ForecastRow]] = defaultdict(list)
    for row in rows:
        parts[period_of(row.session)].append(row)
    found = []
    for period, part in sorted(parts.items()):
        clusters = clusters_of(part)
        top, bottom = (
            metrics.pooled([getattr(row, name) / unit[row.bucket] for row in part])
            for name in ("crps", "baseline_crps")
        )
        gains = metrics.pooled([row.log_gain for row in part])
        ratio = metrics.ratio_error(top, bottom, clusters)
        found.append(Month(period, len(part), *ratio, *metrics.clustered_mean(gains, clusters)))
    return tuple(found)


# Monitors


def _days(fixings: Sequence[FixingRow], places: Mapping[Nanos, int]) -> tuple[tuple[int, str], ...]:
    found: dict[str, int] = {}
    for row in fixings:
        found.setdefault(row.session, places[row.target_ns])
    return tuple((place, session) for session, place in found.items())


def _market_evidence(markets: Sequence[MarketRow], places: Mapping[Nanos, int]) -> tuple[Evidence, ...]:
    """By fixing; the close and its hour are one piece of evidence, the later row says where it stands."""
    last = {places[row.target_ns]: row for row in markets if row.target_ns in places}
    return tuple(Evidence(place, row.evidence, row.alarmed) for place, row in sorted(last.items()))


def alarms_of(rows: Sequence[FixingRow | MarketRow]) -> tuple[Alarm, ...]:
    """Every stretch of fixings after which a figure stood outside its limits, by its first one. Rows by time."""
    running: dict[tuple[str, str], Alarm] = {}
    over: list[Alarm] = []
    for row in rows:
        for one in row.readings:
            key = one.monitor, one.group
            before = running.get(key)
            if one.standing is Standing.ALERT and one.value is not None:
                running[key] = _standing(before, one, row.target_ns)
            elif before is not None:
                over.append(running.pop(key))
    last_ns = rows[-1].target_ns if rows else Nanos(0)
    still = [replace(one, last_ns=last_ns, open=True) for one in running.values()]
    return tuple(sorted([*over, *still], key=lambda one: (one.first_ns, one.monitor, one.group)))


def _standing(before: Alarm | None, one: Reading, at_ns: Nanos) -> Alarm:
    value = one.value if one.value is not None else inf
    worst = value if before is None or _beyond(value, one) >= _beyond(before.worst, one) else before.worst
    first_ns = at_ns if before is None else before.first_ns
    return Alarm(one.monitor, one.group, first_ns, at_ns, open=False, worst=worst, low=one.low, high=one.high)


def _beyond(value: float, one: Reading) -> float:
    """How far outside the limits."""
    return max(-inf if one.low is None else one.low - value, -inf if one.high is None else value - one.high)


# Against the market


def _market(rows: Sequence[MarketRow], period_of: Callable[[str], str]) -> MarketFigures | None:
    if not rows:
        return None
    spans: dict[str, list[tuple[MarketRow, float, float]]] = defaultdict(list)
    for row in rows:
        for span, pairs in row.spans.items():
            spans[span].append((row, *_gains(pairs)))
    ours, mids = (_market_bins(rows, which) for which in (0, 1))
    periods: dict[str, list[tuple[MarketRow, float, float]]] = defaultdict(list)
    for part in spans.values():
        for one in part:
            periods[period_of(one[0].session)].append(one)
    return MarketFigures(
        len(rows),
        tuple(_mean_gains(span, spans[span]) for span in SPANS_MIN if span in spans),
        tuple(_mean_gains(period, part) for period, part in sorted(periods.items())),
        ours,
        mids,
    )


def _gains(pairs: Iterable[tuple[float, float, bool]]) -> tuple[float, float]:
    """(log gain, Brier gain) over the mids, mean over an event's contracts."""
    logs, briers = [], []
    for ours, mid, came in pairs:
        logs.append(log(ours / mid) if came else log((1.0 - ours) / (1.0 - mid)))
        briers.append((mid - came) ** 2 - (ours - came) ** 2)
    return float(np.mean(logs)), float(np.mean(briers))


def _mean_gains(name: str, part: Sequence[tuple[MarketRow, float, float]]) -> Gains:
    clusters = clusters_of([row for row, _, _ in part])
    log_gain = metrics.clustered_mean(metrics.pooled([gain for _, gain, _ in part]), clusters)
    brier = metrics.clustered_mean(metrics.pooled([gain for _, _, gain in part]), clusters)
    return Gains(name, len(part), *log_gain, *brier)


def _market_bins(rows: Sequence[MarketRow], which: int) -> tuple[ProbabilityBin, ...]:
    """By what we (0) or the market (1) said; contracts of one event and span in one tenth count once."""
    parts: list[list[tuple[float, float, MarketRow]]] = [[] for _ in range(PROBABILITY_BINS)]
    for row in rows:
        for pairs in row.spans.values():
            tenths: dict[int, list[tuple[float, bool]]] = defaultdict(list)
            for pair in pairs:
                said = pair[which]
                tenths[min(PROBABILITY_BINS - 1, int(said * PROBABILITY_BINS))].append((float(said), pair[2]))
            for place, inside in tenths.items():
                said, came = (float(np.mean([one[n] for one in inside])) for n in (0, 1))
                parts[place].append((said, came, row))
    return _probability_bins(parts)
