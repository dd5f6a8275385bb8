"""The record of our own forecasts, scored as they resolve: rolling figures, each with its limits.

One forecast per fixing and bucket comes in (`learn`); sums per group of horizons fade with a half-life of 20 sessions,
so that the figures speak of the last two to three months and heal by themselves when the forecasts do. The limits and
how often each is crossed by mistake are in docs/monitors.md, measured by `benchmarks/monitor_rates.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, exp, isfinite, log, sqrt
from typing import Any, Final

import numpy as np

from kalshi_daemon.calibration.density import ResidualDistribution
from kalshi_daemon.calibration.monitor import THRESHOLD, RecordMonitor
from kalshi_daemon.calibration.recalibration import BUCKET_CENTRES_MIN, BUCKETS, PitMap, Recalibration
from kalshi_daemon.calibration.scores import gaussian_crps, gaussian_log_score, published_crps
from kalshi_daemon.domain.forecast import Reading, Standing

HALF_LIFE_SESSIONS: Final = 20.0
NEAR, HOUR, LONG = "near", "hour", "long"
GROUPS: Final = (NEAR, HOUR, LONG)
_PLAIN_STATES: Final = (2, 4)
"""Of the variance states: half an hour up to an hour ahead, a session beyond (what tuning chooses,
docs/reference/model.md 3)."""
_NEAR_MIN_MAX: Final = 10.0
_HOUR_MIN_MAX: Final = 60.0
GROUP_OF: Final = tuple(
    NEAR if centre <= _NEAR_MIN_MAX else HOUR if centre <= _HOUR_MIN_MAX else LONG for centre in BUCKET_CENTRES_MIN
)
BINS: Final = 20
"""Of the PIT."""
PROBABILITY_BINS: Final = 10
"""Of the strikes' probabilities."""
BIN_COUNT_MIN: Final = 120.0
"""Forecasts a probability bin must have before its gap counts."""
"""Points between two hourly strikes (docs/reference/venue.md 7)."""
_STRIKE_REACH: Final = 2.5
_STRIKES_MAX: Final = 20
_SETTLED_HALF_STEP: Final = 0.005
N_MIN: Final = {NEAR: 150.0, HOUR: 200.0, LONG: 60.0}
"""Forecasts before a group is judged: some ten sessions (a session has 21, 27 and 3)."""
SCALE_N_MIN: Final = 60.0

type Limits = tuple[float | None, float | None]
LIMITS: Final[Mapping[str, Mapping[str, Limits]]] = {
    "crps_ratio": {NEAR: (None, 1.02), HOUR: (None, 1.02), LONG: (None, 1.06)},
    "log_gain": {NEAR: (-0.02, None), HOUR: (-0.02, None), LONG: (-0.08, None)},
    "pit_ks": {NEAR: (None, 0.13), HOUR: (None, 0.12), LONG: (None, 0.25)},
    "cover90": {NEAR: (0.845, 0.955), HOUR: (0.84, 0.96), LONG: (0.78, None)},
    "cover99": {NEAR: (0.965, None), HOUR: (0.965, None), LONG: (0.92, None)},
    "rms_z": {NEAR: (0.82, 1.15), HOUR: (0.77, 1.18), LONG: (0.68, 1.35)},
    "reliability": {NEAR: (None, 0.15), HOUR: (None, 0.13), LONG: (None, 0.25)},
}
"""Inclusive limits per figure and group."""
SCALE_LIMITS: Final[Limits] = (0.75, 1.33)
"""c, against where it started."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One forecast after its fixing."""

    crps: float
    baseline_crps: float
    """Of the plain Gaussian made at the same instant."""
    log_gain: float
    """Log score minus the Gaussian's; nats."""
    pit: float
    square: float
    """Squared residual against what its distribution expects, capped at three sigma.

    Mean 1 while the distribution is right.
    """
    strikes: tuple[tuple[float, bool], ...] = ()
    """(probability of settling at or above, whether it did) of the strikes around the level."""


def scored(
    log_move: float,
    sigma: float,
    residual: ResidualDistribution,
    pit_map: PitMap,
    baseline_sigma: float,
    ladder: Sequence[float],
) -> Scored:
    """Score the published distribution W(R(x / sigma)) and its baseline N(0, baseline_sigma^2) at the move that came.

    ladder: log distances of strikes from the level, ascending.
    """
    z = log_move / sigma
    at = np.array([z, *(strike / sigma for strike in ladder)])
    raw = residual.cdf(at)
    published = pit_map.apply(raw)
    log_score = float(residual.log_density(at[:1])[0] + np.log(pit_map.slope(raw[:1]))[0]) - log(sigma)
    return Scored(
        crps=published_crps(log_move, sigma, residual, pit_map),
        baseline_crps=gaussian_crps(log_move, baseline_sigma),
        log_gain=log_score - gaussian_log_score(log_move, baseline_sigma),
        pit=float(published[0]),
        square=residual.relative_square(z),
        strikes=tuple((1.0 - float(p), log_move >= k) for p, k in zip(published[1:], ladder, strict=True)),
    )


def plain_state(horizon_min: float) -> int:
    """The variance state the plain Gaussian baseline is made of."""
    return _PLAIN_STATES[horizon_min > _HOUR_MIN_MAX]


def ladder_around(step: float, level: float, sigma: float) -> tuple[float, ...]:
    """Log distances of listed hourly strikes within 2.5 sigma of the level, at most 20, evenly thinned; ascending.

    `step` and `level` in points.
    """
    reach = level * (exp(_STRIKE_REACH * sigma) - 1.0)
    step *= max(1, ceil(2.0 * reach / step / _STRIKES_MAX))
    first = ceil((level - reach) / step)
    count = int((level + reach) // step) - first + 1
    strikes = (step * (first + n) - _SETTLED_HALF_STEP for n in range(max(0, min(count, _STRIKES_MAX))))
    return tuple(log(strike / level) for strike in strikes if strike > 0.0)


@dataclass(slots=True)
class Tally:
    """Faded sums of one group. Plain numbers."""

    weight: float = 0.0
    crps: float = 0.0
    baseline_crps: float = 0.0
    log_gain: float = 0.0
    square: float = 0.0
    inside90: float = 0.0
    inside99: float = 0.0
    pits: list[float] = field(default_factory=lambda: [0.0] * BINS)
    seen: list[float] = field(default_factory=lambda: [0.0] * PROBABILITY_BINS)
    """Per probability bin: forecasts that had a strike in it, their mean probability, the share that settled so."""
    said: list[float] = field(default_factory=lambda: [0.0] * PROBABILITY_BINS)
    came: list[float] = field(default_factory=lambda: [0.0] * PROBABILITY_BINS)

    def add(self, one: Scored) -> None:
        """Add one resolved forecast with weight 1."""
        self.weight += 1.0
        self.crps += one.crps
        self.baseline_crps += one.baseline_crps
        self.log_gain += one.log_gain
        self.square += one.square
        self.inside90 += abs(one.pit - 0.5) <= 0.45  # noqa: PLR2004 - the central 90 %
        self.inside99 += abs(one.pit - 0.5) <= 0.495  # noqa: PLR2004 - the central 99 %
        self.pits[min(BINS - 1, int(one.pit * BINS))] += 1.0
        # Strikes of one forecast stand or fall together: what it says about a bin counts once.
        by_bin: dict[int, list[tuple[float, bool]]] = {}
        for strike in one.strikes:
            by_bin.setdefault(min(PROBABILITY_BINS - 1, int(strike[0] * PROBABILITY_BINS)), []).append(strike)
        for place, strikes in by_bin.items():
            self.seen[place] += 1.0
            self.said[place] += sum(p for p, _ in strikes) / len(strikes)
            self.came[place] += sum(y for _, y in strikes) / len(strikes)

    def fade(self, kept: float) -> None:
        """Multiply all weights by `kept`, 0..1."""
        for name in ("weight", "crps", "baseline_crps", "log_gain", "square", "inside90", "inside99"):
            setattr(self, name, kept * getattr(self, name))
        for sums in (self.pits, self.seen, self.said, self.came):
            sums[:] = [kept * value for value in sums]

    def figures(self) -> dict[str, float]:
        """Every figure by its monitor's name; {} before the first forecast."""
        if self.weight <= 0.0:
            return {}
        steps = list(accumulate(self.pits))[:-1]
        found = {
            "crps_ratio": self.crps / self.baseline_crps,
            "log_gain": self.log_gain / self.weight,
            "pit_ks": max(abs(step / self.weight - (n + 1) / BINS) for n, step in enumerate(steps)),
            "cover90": self.inside90 / self.weight,
            "cover99": self.inside99 / self.weight,
            "rms_z": sqrt(self.square / self.weight),
        }
        gaps = [
            (came - said) / seen
            for seen, said, came in zip(self.seen, self.said, self.came, strict=True)
            if seen >= BIN_COUNT_MIN
        ]
        if gaps:
            found["reliability"] = max(abs(gap) for gap in gaps)
        return found


@dataclass(slots=True)
class ForecastWatch:
    """The tallies of one index. Written by the updater; everybody else reads `readings`."""

    tallies: dict[str, Tally] = field(default_factory=lambda: {group: Tally() for group in GROUPS})
    _readings: tuple[Reading, ...] | None = None

    def learn(self, bucket: int, one: Scored) -> None:
        """Add one resolved forecast. A score that is no finite number is left out: it would stay for months.

        `bucket`: of the horizons, from 0.
        """
        self._readings = None
        if isfinite(one.crps) and isfinite(one.log_gain) and isfinite(one.square) and 0.0 <= one.pit <= 1.0:
            self.tallies[GROUP_OF[bucket]].add(one)

    def next_session(self) -> None:
        """A session is over: what was seen counts less from now on."""
        kept = 2.0 ** (-1.0 / HALF_LIFE_SESSIONS)
        for tally in self.tallies.values():
            tally.fade(kept)
        self._readings = None

    def readings(self, monitor: RecordMonitor, layers: Sequence[Recalibration]) -> tuple[Reading, ...]:
        """Every figure with its limits; worked out anew only after a forecast has resolved or a session has begun."""
        if self._readings is None:
            self._readings = (evidence_reading(monitor), *self._figures(), scale_reading(layers))
        return self._readings

    def _figures(self) -> list[Reading]:
        known = {group: (tally.weight, tally.figures()) for group, tally in self.tallies.items()}
        found = []
        for name, limits in LIMITS.items():
            for group, (low, high) in limits.items():
                weight, figures = known[group]
                found.append(Reading(name, group, figures.get(name), weight, N_MIN[group], low=low, high=high))
        return found

    def snapshot(self) -> dict[str, Any]:
        """Plain numbers, lists and names: what `restored` takes back."""
        names = Tally.__slots__
        return {group: {name: _plain(getattr(one, name)) for name in names} for group, one in self.tallies.items()}

    @classmethod
    def restored(cls, document: Mapping[str, Any]) -> "ForecastWatch":
        """The watch of a snapshot. Raises ValueError for anything that is not one."""
        watch = cls()
        for group in GROUPS:
            tally = watch.tallies[group]
            for name in Tally.__slots__:
                setattr(tally, name, _checked(document, group, name, getattr(tally, name)))
        return watch


def evidence_reading(monitor: RecordMonitor, name: str = "evidence") -> Reading:
    """The detectors' mean. An alarm stands until the next session, wherever the mean goes meanwhile."""
    value = max(monitor.mean, THRESHOLD + 1.0) if monitor.alarmed else monitor.mean
    return Reading(name, "all", value, monitor.seen, 0.0, high=THRESHOLD)


def scale_reading(layers: Sequence[Recalibration]) -> Reading:
    """The online scale c that has moved furthest from where it started, over all buckets of all layers."""
    worst, weight = 1.0, 0.0
    for layer in layers:
        for bucket in range(BUCKETS):
            moved = sqrt(layer.scale_squared(bucket) / float(layer.scale_prior[bucket]))
            seen = float(layer.scale_weight[bucket])
            if seen >= SCALE_N_MIN and abs(log(moved)) >= abs(log(worst)):
                worst, weight = moved, seen
    low, high = SCALE_LIMITS
    return Reading("scale_c", "all", worst if weight else None, weight, SCALE_N_MIN, low=low, high=high)


def log_fields(readings: Sequence[Reading]) -> dict[str, float | list[str]]:
    """The figures for a log line, and which of them fail."""
    found: dict[str, float | list[str]] = {
        f"{one.monitor}_{one.group}": round(one.value, 5) for one in readings if one.value is not None
    }
    found["failing"] = [f"{one.monitor}_{one.group}" for one in readings if one.standing is Standing.ALERT]
    return found


def _plain(value: float | list[float]) -> float | list[float]:
    return list(value) if isinstance(value, list) else value


def _checked(document: Mapping[str, Any], group: str, name: str, like: float | list[float]) -> float | list[float]:
    try:
        value = document[group][name]
    except (KeyError, TypeError) as problem:
        raise ValueError(f"no {name} of group {group!r} in the record of forecasts") from problem
    numbers = value if isinstance(value, list) else [value]
    length = len(like) if isinstance(like, list) else 1
    if isinstance(value, list) is not isinstance(like, list) or len(numbers) != length:
        raise ValueError(f"{group}.{name} has another shape: {value!r}")
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and isfinite(one) for one in numbers):
        raise ValueError(f"{group}.{name} is not made of numbers: {value!r}")
    if name != "log_gain" and min(numbers) < 0.0:
        raise ValueError(f"{group}.{name} is negative: {value!r}")
    return [float(one) for one in numbers] if isinstance(like, list) else float(value)
