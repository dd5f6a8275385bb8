"""One index over one session, second by second: the single truth that feed, fixings and traders all read.

The settlement rule is a single print: the last value at or before the fixing (docs/reference/venue.md 7), hence
`value_at`. The 16:00 fixing is the print at the close's instant, not the official close: prints go on for AFTER_HOURS_S
and differ slightly from it (docs/reference/feed.md 1.8, 4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.domain.index import Bar, Channel, Index
from kalshi_daemon.domain.instruments import IndexRow
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import SECOND, Nanos

Values = NDArray[np.float64]

AFTER_HOURS_S: Final = 300
"""Seconds of prints after the close."""
OFFICIAL_CLOSE_BP: Final = 1.0
"""Mean absolute distance of the official close from the last print, in basis points (docs/reference/model.md 6)."""
_OFFICIAL_CLOSE_SECONDS: Final = (1, 40)
"""The first late print comes within this many seconds after the close."""


@dataclass(frozen=True, slots=True, eq=False)
class PathLaw:
    """What the generator of a made-up path knew before it drew: variance of each minute, and what was bound to come.

    minute_variance: of the log return of each minute of the session.
    drift_left: at each second from the open, the log move still to come whatever is drawn; 0 beyond its end.
    """

    minute_variance: Values
    drift_left: Values


@dataclass(frozen=True, slots=True, eq=False)
class IndexPath:
    """`values[k]` is the value published at `session.open_ns + k seconds`, through the close and AFTER_HOURS_S beyond.

    previous_close: the level before the open; nothing is published then, but somebody may ask. law: None for a path
    that was not made up.
    """

    index: Index
    session: Session
    previous_close: float
    values: Values
    law: PathLaw | None = None

    def __post_init__(self) -> None:
        assert len(self.values) == session_seconds(self.session) + AFTER_HOURS_S + 1, "a value for every second"
        assert bool(np.all(np.isfinite(self.values)) and np.all(self.values > 0)), "levels are positive"
        self.values.setflags(write=False)

    @property
    def open_ns(self) -> Nanos:
        return self.session.open_ns

    @property
    def close_ns(self) -> Nanos:
        return self.session.close_ns

    @property
    def last_ns(self) -> Nanos:
        """When the last late print is published."""
        return Nanos(self.open_ns + (len(self.values) - 1) * SECOND)

    def value_at(self, at_ns: Nanos) -> float:
        """The last value at or before; the previous close before the open. In points."""
        second = (at_ns - self.open_ns) // SECOND
        if second < 0:
            return self.previous_close
        return float(self.values[min(second, len(self.values) - 1)])

    def bar(self, channel: Channel, start_ns: Nanos, end_ns: Nanos) -> Bar | None:
        """The aggregate of what is published in [start, end); None when nothing is (no bar is emitted then)."""
        first = max(0, -(-(start_ns - self.open_ns) // SECOND))
        last = min(len(self.values), -(-(end_ns - self.open_ns) // SECOND))
        if first >= last:
            return None
        part = self.values[first:last]
        prices = (float(part[0]), float(part.max()), float(part.min()), float(part[-1]))
        return Bar(self.index, channel, *prices, start_ns, end_ns, end_ns)


Paths = Mapping[Index, IndexPath]


def session_seconds(session: Session) -> int:
    """Seconds from open to close: 23 400 on a full day."""
    return (session.close_ns - session.open_ns) // SECOND


def as_published(row: IndexRow, values: Values) -> Values:
    """SPX is published with two decimals, NDX with full precision (docs/reference/feed.md 1.5)."""
    return values if row.full_precision else np.round(values, 2)


def late_prints(last: float, rng: np.random.Generator, count: int) -> Values:
    """`count` prints after the close: the last value repeated, then the official close, then one small correction.

    The official close lies OFFICIAL_CLOSE_BP away on average (Gaussian, so sd = 1.25 x mean absolute).
    """
    prints = np.full(count, last)
    official = last * (1 + rng.normal(0.0, 1.2533e-4 * OFFICIAL_CLOSE_BP))
    first = int(rng.integers(*_OFFICIAL_CLOSE_SECONDS))
    second = int(rng.integers(first + 1, max(first + 2, count)))
    prints[first:] = official
    prints[second:] = official * (1 + rng.normal(0.0, 0.1e-4))
    return prints
