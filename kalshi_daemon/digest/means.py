"""Means per contract with their standard errors: fills of one window share its fate, so windows are what is counted."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kalshi_daemon.digest.records import FillRecord
from kalshi_daemon.ground.units import CONTRACT

_WINDOWS_MIN = 2


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean per contract, weighted by contracts. `per_contract` None: no fill of it is known."""

    fills: int
    missing: int
    per_contract: float | None
    dollars: float
    windows: int = 0
    error: float | None = None
    """Standard error of `per_contract`, clustered by window; None for fewer than two."""


def mean_of(pairs: Iterable[tuple[FillRecord, float | None]]) -> Mean:
    """Of the fills whose value (dollars a contract) is known; the others are counted."""
    windows: dict[str, list[float]] = {}
    fills = missing = 0
    for record, value in pairs:
        if value is None:
            missing += 1
            continue
        fills += 1
        count = record.booked.fill.count / CONTRACT
        sums = windows.setdefault(record.booked.event_ticker, [0.0, 0.0])
        sums[0] += count
        sums[1] += count * value
    contracts, dollars = sum(count for count, _ in windows.values()), sum(value for _, value in windows.values())
    if not contracts:
        return Mean(fills, missing, None, dollars, len(windows))
    return Mean(fills, missing, dollars / contracts, dollars, len(windows), ratio_error(windows.values()))


def ratio_error(clusters: Iterable[Iterable[float]]) -> float | None:
    """Standard error of (sum of values) / (sum of counts) over clusters of (count, value); None for fewer than two.

    The linearised ratio estimator (Cochran, Sampling Techniques, 6.3): what each cluster adds beyond its share.
    """
    found = [tuple(one) for one in clusters]
    counts, values = sum(one[0] for one in found), sum(one[1] for one in found)
    if len(found) < _WINDOWS_MIN or not counts:
        return None
    mean = values / counts
    squares = sum((value - mean * count) ** 2 for count, value in found)
    return math.sqrt(squares * len(found) / (len(found) - 1)) / counts
