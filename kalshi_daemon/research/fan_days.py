"""One session as a fan chart shows it: the path of the index, and the bands its fixings were given. Values in and out.

On bars a fan opens from an instant to the fixing after it. The live record holds no distribution but those of the
fixings, so there a fan closes: what the fixing was given at one instant after the other, the last one two minutes
before it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Final

from kalshi_daemon.calibration.agenda import HOURLY_MIN_MAX
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.memory.record_rows import BANDS, ForecastRow

FAN_PROBABILITIES: Final = BANDS
_OPEN: Final = time(9, 30)

type Place = tuple[float, float]
"""(minute after the open, level in points)."""


@dataclass(frozen=True, slots=True)
class Fan:
    """Bands towards one fixing."""

    steps: tuple[tuple[float, tuple[float, ...]], ...]
    """(minute after the open, levels at FAN_PROBABILITIES)."""
    fixing: Place | None
    """What came."""

    @property
    def start_min(self) -> float:
        return self.steps[0][0]


@dataclass(frozen=True, slots=True)
class FanDay:
    """One session's path, and the fans made along it."""

    day: str
    path: tuple[Place, ...]
    fans: tuple[Fan, ...]


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """A session as far as the live record has it."""

    day: str
    path: tuple[Place, ...]
    """The index at every instant of a forecast and at every fixing."""
    hours: tuple[Fan, ...]
    """Towards each full hour, the close as the last, from at most an hour before; none where no row has bands."""
    close: Fan | None
    """Towards the close from hours before; None when no such forecast has come due."""
    forecasts: int
    without_bands: int
    """Forecasts whose lines were written before bands were kept."""
    again: int
    """Made again from minutes that history gave later."""


def recorded_day(day: date, forecasts: Sequence[ForecastRow]) -> RecordedDay:
    """The rows of this session alone are used; without any of them everything is empty."""
    open_ns = eastern_ns(day, _OPEN)
    own = sorted(
        (row for row in forecasts if row.session == day.isoformat()), key=lambda row: (row.made_ns, row.target_ns)
    )
    path: dict[float, float] = {}
    by_fixing: dict[Nanos, list[ForecastRow]] = defaultdict(list)
    for row in own:
        path[_minute(row.target_ns, open_ns)] = row.fixing
        path[_minute(row.made_ns, open_ns)] = row.level
        by_fixing[row.target_ns].append(row)
    hours = (
        _fan([row for row in rows if row.horizon_min <= HOURLY_MIN_MAX], open_ns)
        for _, rows in sorted(by_fixing.items())
    )
    long = any(row.close and row.horizon_min > HOURLY_MIN_MAX and row.quantiles for row in own)
    return RecordedDay(
        day.isoformat(),
        tuple(sorted(path.items())),
        tuple(one for one in hours if one is not None),
        _fan([row for row in own if row.close], open_ns) if long else None,
        len(own),
        sum(not row.quantiles for row in own),
        sum(not row.live for row in own),
    )


def _fan(rows: Sequence[ForecastRow], open_ns: Nanos) -> Fan | None:
    """Rows of one fixing, in order of time."""
    steps = tuple((_minute(row.made_ns, open_ns), row.quantiles) for row in rows if row.quantiles)
    if not steps:
        return None
    return Fan(steps, (_minute(rows[0].target_ns, open_ns), rows[0].fixing))


def _minute(at_ns: Nanos, open_ns: Nanos) -> float:
    return (at_ns - open_ns) / MINUTE
