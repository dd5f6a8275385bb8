"""The venue's clock, from its own stamps. Pure.

An answer that carries a stamp S of resolution R, asked at t0 and received at t1 by our clock, says that the venue's
clock showed something in [S, S + R) at some moment of [t0, t1]. So ours minus theirs lies in (t0 - S - R, t1 - S].
One `Date` header (R = 1 s) bounds it to a second; a handful of them, taken at different fractions of the second,
intersect to about a round trip. Our own clock alone never enters: it would always agree with itself.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.readers import epoch_s
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, Nanos

SAMPLES_MAX: Final = 32
"""The oldest sample leaves."""
SAMPLE_LIFE: Final = Nanos(5 * MINUTE)
"""Clocks drift and are stepped: older samples no longer bound the offset."""
SKEW_MAX: Final = Nanos(1_500 * MILLISECOND)
"""What is allowed unless the settings say otherwise."""


type SkewListener = Callable[[Nanos, Nanos], None]
"""Called with the offset (positive: ours is ahead) and the round trip, both in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Skew:
    """`offset_ns` is positive when our clock is ahead; the truth lies within `offset_ns` +- `uncertainty_ns`."""

    offset_ns: Nanos
    uncertainty_ns: Nanos
    round_trip_ns: Nanos


class SkewEstimator:
    """Intersects what recent answers say."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=SAMPLES_MAX)

    def observe(self, sent_ns: Nanos, recv_ns: Nanos, stamp_ns: Nanos, resolution_ns: Nanos) -> Skew:
        """Add one answer, return the estimate. Older samples count as long as they agree with the newer ones."""
        low, high = sent_ns - stamp_ns - resolution_ns, recv_ns - stamp_ns
        self._samples.append((recv_ns, low, high))
        for at_ns, older_low, older_high in reversed(self._samples):
            narrowed = max(low, older_low), min(high, older_high)
            if not 0 <= recv_ns - at_ns <= SAMPLE_LIFE or narrowed[0] > narrowed[1]:
                break  # a step of a clock: what came before no longer holds
            low, high = narrowed
        return Skew(Nanos((low + high) // 2), Nanos((high - low + 1) // 2), Nanos(recv_ns - sent_ns))


class ServerClock:
    """Our clock against the venue's, and whether the difference is proven to be more than is allowed.

    `skew_ns_max` is the same bound as that of the `clock_skew` guard (`guards.clock_skew_ms_max`).
    """

    __slots__ = ("_at_ns", "_estimator", "_on_measured", "_skew", "skew_ns_max")

    def __init__(self, skew_ns_max: Nanos = SKEW_MAX, on_measured: SkewListener | None = None) -> None:
        """`on_measured(offset_ns, round_trip_ns)` hears every estimate that is told."""
        self.skew_ns_max = skew_ns_max
        self._on_measured = on_measured
        self._estimator = SkewEstimator()
        self._skew: Skew | None = None
        self._at_ns = Nanos(0)

    def observe(self, sent_ns: Nanos, recv_ns: Nanos, stamp_ns: Nanos, resolution_ns: Nanos) -> Skew:
        """Take in one stamp of the venue; returns the estimate with it."""
        self._skew, self._at_ns = self._estimator.observe(sent_ns, recv_ns, stamp_ns, resolution_ns), recv_ns
        return self._skew

    def tell(self, skew: Skew) -> None:
        """Hand an estimate to whoever follows our clock against the venue's."""
        if self._on_measured is not None:
            self._on_measured(skew.offset_ns, skew.round_trip_ns)

    def beyond(self, now_ns: Nanos) -> Nanos | None:
        """The offset (positive: ours is ahead) when even its smallest possible value is out of bounds, else None.

        None too when the venue was not measured within SAMPLE_LIFE: without a number nothing is put on the clock.
        """
        skew = self._skew
        if skew is None or not 0 <= now_ns - self._at_ns <= SAMPLE_LIFE:
            return None
        return skew.offset_ns if abs(skew.offset_ns) - skew.uncertainty_ns > self.skew_ns_max else None


def date_header_ns(value: str | None) -> Nanos | None:
    """An HTTP `Date` header in nanoseconds, or None when absent or unreadable (it is advice, not data)."""
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return None if moment.tzinfo is None else Nanos(epoch_s(int(moment.timestamp()), "Date"))
    except (ValueError, TypeError, OverflowError, MalformedField):
        return None
