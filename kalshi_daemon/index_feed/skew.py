"""Our clock against the vendor's, from one-way stamps.

A value cannot arrive before it was made, so `receipt - stamp` is the clock offset plus a delay that is never negative.
The least of the last values is the best estimate one-way stamps can give; it is biased up by the least delay (tens of
milliseconds, plus whatever the vendor waits before it sends). A 15-minute delayed key shows as a 15-minute offset,
which is what a guard on skew should see.
"""

from collections import deque
from typing import Final

from kalshi_daemon.domain.index import Tick
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.state import ClockSkew

MEMORY_NS: Final = Nanos(60 * SECOND)
"""Measurements older than this are forgotten, so that a stepped clock is seen within a minute."""


class SkewEstimate:
    """A sliding minimum over MEMORY_NS, O(1) amortised; holds at most one entry per tick of that span."""

    def __init__(self) -> None:
        self._min: deque[tuple[Nanos, Nanos]] = deque()

    def update(self, tick: Tick) -> ClockSkew:
        """The estimate including this tick. `round_trip_ns` is 0: there is no return path to measure."""
        offset = Nanos(tick.recv_ns - tick.event_ns)
        while self._min and self._min[-1][1] >= offset:
            self._min.pop()
        self._min.append((tick.recv_ns, offset))
        while abs(tick.recv_ns - self._min[0][0]) > MEMORY_NS:  # abs: our own clock may step back too
            self._min.popleft()
        return ClockSkew(self._min[0][1], tick.recv_ns, Nanos(0))
