"""Time for deadlines of the network: whether an answer is late."""

from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import SECOND


class NetworkTime:
    """Runs at the clock's rate, and at life's while the clock is held up. Never backwards.

    A simulated clock stands while somebody is busy: an answer is no later by that, and at four hundred times life's
    speed forty milliseconds of work on the other side would be a quarter of a minute of silence. It never stands
    altogether, so that an exchange that is dead, and holds time up for ever, is noticed.
    """

    def __init__(self, clock: Clock, real_s: float) -> None:
        """`real_s`: the loop's time now."""
        self._clock = clock
        self._real_ns = int(real_s * SECOND)
        self._mono_ns = int(clock.mono_ns())
        self._net_ns = 0

    def read(self, real_s: float) -> int:
        """Nanoseconds since it was made; `real_s`: the loop's time now."""
        real_ns, mono_ns = int(real_s * SECOND), int(self._clock.mono_ns())
        lived_ns, ran_ns = real_ns - self._real_ns, mono_ns - self._mono_ns
        at_its_rate_ns = int(lived_ns / self._clock.real_seconds(SECOND))
        self._net_ns += max(0, min(at_its_rate_ns, max(lived_ns, ran_ns)))
        self._real_ns, self._mono_ns = real_ns, mono_ns
        return self._net_ns
