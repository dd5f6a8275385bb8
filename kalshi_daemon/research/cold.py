"""What a start without memory costs: the same forecasts, cold every morning and with full history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from kalshi_daemon.bars.sessions import Sample
from kalshi_daemon.calibration.constants import ModelConstants
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.research import metrics
from kalshi_daemon.research.score import Cold, Record, keys, walks

COLD_MIN: Final = Nanos(15 * MINUTE)
"""Before 09:45 a model without memory knows next to nothing and does not quote (docs/reference/model.md 0.3)."""


@dataclass(frozen=True, slots=True)
class ColdRow:
    """One target and horizon, started anew every morning, against the same forecasts with full history."""

    target: str
    horizon_min: int
    n: int
    crps_ratio_full: float
    """CRPS cold over CRPS with full history."""
    crps_ratio_full_se: float
    """Clustered by day."""


def cold_against_full(
    sample: Sample,
    first: date,
    last: date,
    *,
    cold: Cold = Cold.ALL,
    constants: ModelConstants | Sequence[ModelConstants] = SHIPPED,
) -> tuple[ColdRow, ...]:
    """What a start without memory, or with the slow parts of one, costs from a quarter of an hour after the bell on.

    Both walks have the same constants. Raises ConfigurationError as `stretches` does.
    """
    anew, full = (walks(sample, first, last, constants=constants, cold=one) for one in (cold, None))
    rows = []
    for key in (key for key in keys() if key in anew):
        ours, theirs = (_late_crps(found[key], sample.bar_seconds) for found in (anew, full))
        both = sorted(ours.keys() & theirs.keys())
        if not both:
            continue
        days = np.array([row for row, _ in both], dtype=np.int64)
        ratio, error = metrics.ratio_error(
            metrics.pooled([ours[at] for at in both]), metrics.pooled([theirs[at] for at in both]), days
        )
        rows.append(ColdRow(key[0], key[1], len(both), ratio, error))
    return tuple(rows)


def _late_crps(record: Record, bar_seconds: int) -> dict[tuple[int, int], float]:
    """CRPS by day and bar of the forecasts made late enough after the bell."""
    least = COLD_MIN // (bar_seconds * SECOND)
    rows = zip(record.row, record.start, record.crps, strict=True)
    return {(row, start): crps for row, start, crps in rows if start >= least}
