"""The record of what was forecast and what came, as lines of JSON: one per forecast, per fixing and per event. Pure.

    forecast  one resolved forecast, with its scores
    fixing    what every monitor read once the forecasts of a fixing had been scored
    market    one event whose contracts have results: our probabilities and the market's mids, span by span

Whoever reads takes the last line of a key: what is made again after missed minutes came replaces what was made without
them, as it does in the model.

Versions: 1 has no quantiles in its forecasts; it is still read. 2 is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, sqrt
from typing import Any, Final

import numpy as np
import orjson

from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.recalibration import BUCKET_CENTRES_MIN, BUCKETS
from kalshi_daemon.calibration.resolving import Resolved
from kalshi_daemon.calibration.watch import PROBABILITY_BINS
from kalshi_daemon.domain.forecast import Reading
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.readers import parse_json
from kalshi_daemon.ground.units import Nanos, from_s
from kalshi_daemon.memory.plain import mapping, number, whole, with_baseline

VERSION: Final = 3
_RIVAL: Final = 2
"""Called the baseline's score `rival_crps`, as the version before did."""
_WITHOUT_QUANTILES: Final = 1
BANDS: Final = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
"""Probabilities of a row's quantiles: the median, and the edges of the central 50, 90 and 99 %. Part of the version."""
_DIGITS: Final = 6
"""Of probabilities in the lists."""
_CENTS: Final = 2
"""Digits of levels in the lists: settlement values have no more."""
FORECAST, FIXING, MARKET = "forecast", "fixing", "market"


class NewerVersionError(ValueError):
    """A line that a newer daemon wrote."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version}, the newest known is {VERSION}")
        self.version = version


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """One resolved forecast."""

    index: Index
    session: str
    """Its day, YYYY-MM-DD."""
    target_ns: Nanos
    close: bool
    """The fixing is the session's close."""
    bucket: int
    """Of BUCKET_CENTRES_MIN: minutes before the fixing at which it was made."""
    live: bool
    """Made from prices as they came; False: made again from minutes the vendor's history gave later."""
    level: float
    fixing: float
    """Points, both."""
    sigma: float
    """Of the published distribution."""
    spread: float
    """Its standard deviation, as a log return."""
    crps: float
    baseline_crps: float
    log_gain: float
    pit: float
    square: float
    bins: tuple[tuple[int, float, float], ...]
    """(tenth, mean probability said, share that settled so) of the strikes around the level."""
    quantiles: tuple[float, ...]
    """Of the published distribution at BANDS, points; empty in a line that was written before they were kept."""

    @property
    def made_ns(self) -> Nanos:
        """When it was made."""
        return made_ns(self.target_ns, self.bucket)

    @property
    def horizon_min(self) -> float:
        return BUCKET_CENTRES_MIN[self.bucket]

    @property
    def key(self) -> tuple[object, ...]:
        return FORECAST, self.index, self.target_ns, self.bucket


@dataclass(frozen=True, slots=True)
class FixingRow:
    """The monitors after one fixing."""

    index: Index
    session: str
    target_ns: Nanos
    live: bool
    evidence: float
    """Mean of the detectors."""
    alarmed: bool
    readings: tuple[Reading, ...]

    @property
    def key(self) -> tuple[object, ...]:
        return FIXING, self.index, self.target_ns


@dataclass(frozen=True, slots=True)
class MarketRow:
    """One event against the market."""

    index: Index
    session: str
    target_ns: Nanos
    event: str
    evidence: float
    alarmed: bool
    spans: Mapping[str, tuple[tuple[float, float, bool], ...]]
    """Span -> (our probability, the mid, whether it settled YES) of each contract."""
    readings: tuple[Reading, ...] = ()
    """The monitors of the market's record after it."""

    @property
    def key(self) -> tuple[object, ...]:
        return MARKET, self.index, self.event


type Row = ForecastRow | FixingRow | MarketRow


def forecast_row(
    index: Index, session: str, target_ns: Nanos, one: Resolved, *, close: bool, live: bool
) -> ForecastRow:
    """The row of a resolved forecast. Strikes of one forecast count once in a tenth, as in the monitors."""
    tenths: dict[int, list[tuple[float, bool]]] = {}
    for strike in one.scored.strikes:
        tenths.setdefault(min(PROBABILITY_BINS - 1, int(strike[0] * PROBABILITY_BINS)), []).append(strike)
    bins = ((n, sum(p for p, _ in part) / len(part), sum(y for _, y in part) / len(part)) for n, part in tenths.items())
    taken = one.taken
    distribution = PredictiveDistribution(
        index,
        made_ns(target_ns, taken.bucket),
        target_ns,
        taken.level,
        one.sigma,
        taken.correction.standard_error(),
        taken.model.residual,
        taken.correction.pit_map,
    )
    return ForecastRow(
        index,
        session,
        target_ns,
        close,
        one.taken.bucket,
        live,
        one.taken.level,
        one.fixing,
        one.sigma,
        one.sigma * sqrt(one.taken.model.residual.second_moment),
        one.scored.crps,
        one.scored.baseline_crps,
        one.scored.log_gain,
        one.scored.pit,
        one.scored.square,
        tuple(bins),
        tuple(round(level, _CENTS) for level in distribution.quantiles(_BANDS).tolist()),
    )


def made_ns(target_ns: Nanos, bucket: int) -> Nanos:
    """When a forecast of a bucket for this fixing is made."""
    return Nanos(target_ns - from_s(60.0 * BUCKET_CENTRES_MIN[bucket]))


def to_line(row: Row) -> bytes:
    """One line, with its end."""
    document: dict[str, Any] = {"v": VERSION, "index": row.index.value, "session": row.session, "at": row.target_ns}
    match row:
        case ForecastRow():
            document |= {"kind": FORECAST, "close": row.close, "bucket": row.bucket, "live": row.live}
            document |= {name: getattr(row, name) for name in _NUMBERS}
            document["bins"] = [[n, round(said, _DIGITS), round(came, _DIGITS)] for n, said, came in row.bins]
            document["quantiles"] = list(row.quantiles)
        case FixingRow():
            document |= {"kind": FIXING, "live": row.live, "evidence": row.evidence, "alarmed": row.alarmed}
            document["readings"] = _readings_plain(row.readings)
        case MarketRow():
            document |= {"kind": MARKET, "event": row.event, "evidence": row.evidence, "alarmed": row.alarmed}
            document["spans"] = {
                span: [[round(ours, _DIGITS), round(mid, _DIGITS), int(came)] for ours, mid, came in pairs]
                for span, pairs in row.spans.items()
            }
            document["readings"] = _readings_plain(row.readings)
    return orjson.dumps(document) + b"\n"


def from_line(line: bytes) -> Row:
    """The row of a line. Raises NewerVersionError, ValueError for anything else that is no row of ours."""
    try:
        found = mapping(parse_json(line, "a row"), "a row")
    except MalformedField as problem:
        raise ValueError(str(problem)) from None
    version = whole(found.get("v"), "v")
    if version > VERSION:
        raise NewerVersionError(version)
    if version < _WITHOUT_QUANTILES:
        raise ValueError(f"version {version} instead of {VERSION}")
    if version != VERSION:
        found = with_baseline(found)
    try:
        return _READERS[str(found["kind"])](found)
    except KeyError as problem:
        raise ValueError(f"not a row of the record: lacks {problem}") from problem
    except (TypeError, IndexError) as problem:
        raise ValueError(f"not a row of the record: {problem!r}") from problem


_NUMBERS: Final = ("level", "fixing", "sigma", "spread", "crps", "baseline_crps", "log_gain", "pit", "square")
_POSITIVE: Final = ("level", "fixing", "sigma", "spread", "baseline_crps")
_BANDS: Final = np.array(BANDS)


def _named(found: Mapping[str, Any]) -> tuple[Index, str, Nanos]:
    return Index(found["index"]), str(found["session"]), Nanos(whole(found["at"], "at"))


def _forecast(found: Mapping[str, Any]) -> ForecastRow:
    figures = {name: number(found[name], name) for name in _NUMBERS}
    bucket = whole(found["bucket"], "bucket")
    if min(figures[name] for name in _POSITIVE) <= 0.0 or not 0.0 <= figures["pit"] <= 1.0:
        raise ValueError("prices, sigma and scores must be positive and a PIT within 0..1")
    if not 0 <= bucket < BUCKETS:
        raise ValueError(f"bucket {bucket} of {BUCKETS}")
    bins = tuple((whole(n, "bins"), number(said, "bins"), number(came, "bins")) for n, said, came in found["bins"])
    if any(not 0 <= n < PROBABILITY_BINS for n, _, _ in bins):
        raise ValueError(f"a strike in none of {PROBABILITY_BINS} bins")
    index, session, at = _named(found)
    return ForecastRow(
        index,
        session,
        at,
        close=bool(found["close"]),
        bucket=bucket,
        live=bool(found["live"]),
        bins=bins,
        quantiles=() if found["v"] == _WITHOUT_QUANTILES else _quantiles(found["quantiles"]),
        **figures,
    )


def _quantiles(found: Sequence[Any]) -> tuple[float, ...]:
    levels = tuple(number(one, "quantiles") for one in found)
    if len(levels) != len(BANDS) or levels[0] <= 0.0 or any(low > high for low, high in pairwise(levels)):
        raise ValueError(f"{len(BANDS)} positive quantiles in order are wanted")
    return levels


def _fixing(found: Mapping[str, Any]) -> FixingRow:
    readings = tuple(_reading(one) for one in found["readings"])
    evidence = number(found["evidence"], "evidence")
    return FixingRow(*_named(found), bool(found["live"]), evidence, bool(found["alarmed"]), readings)


def _readings_plain(readings: Sequence[Reading]) -> list[list[Any]]:
    return [[one.monitor, one.group, one.value, one.n, one.n_min, one.low, one.high] for one in readings]


def _reading(found: Sequence[Any]) -> Reading:
    monitor, group, value, n, n_min, low, high = found
    known = [None if one is None else number(one, "a reading") for one in (value, low, high)]
    return Reading(str(monitor), str(group), known[0], number(n, "n"), number(n_min, "n_min"), known[1], known[2])


def _market(found: Mapping[str, Any]) -> MarketRow:
    spans = {
        str(span): tuple((number(ours, "ours"), number(mid, "mid"), bool(came)) for ours, mid, came in pairs)
        for span, pairs in mapping(found["spans"], "spans").items()
    }
    if any(not (0.0 < ours < 1.0 and 0.0 < mid < 1.0) for pairs in spans.values() for ours, mid, _ in pairs):
        raise ValueError("a probability beside 0..1")
    if not all(spans.values()):
        raise ValueError("a span without contracts")
    evidence = number(found["evidence"], "evidence")
    readings = tuple(_reading(one) for one in found["readings"])
    return MarketRow(*_named(found), str(found["event"]), evidence, bool(found["alarmed"]), spans, readings)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Row]]] = {
    FORECAST: _forecast,
    FIXING: _fixing,
    MARKET: _market,
}


def sound(row: ForecastRow) -> bool:
    """Whether it can be written: a score that is no finite number teaches nothing and would not be read back."""
    return all(isfinite(value) for value in (*(getattr(row, name) for name in _NUMBERS), *row.quantiles))
