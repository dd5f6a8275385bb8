"""Time of a simulated loop: the exchange's is true, the daemon's may be stepped."""

import asyncio

from simloop import SimLoop

from kalshi_daemon.ground.units import SECOND, Nanos

_LOOK_AGAIN_S = 1.0


class LoopClock:
    """A `Clock` on the loop's virtual time; like the machine's, its wall time may step and its monotonic never does."""

    def __init__(self, loop: SimLoop, start_ns: Nanos) -> None:
        self._loop = loop
        self._start = int(start_ns)
        self.offset_ns = 0
        """How far the wall time is wrong."""

    def now_ns(self) -> Nanos:
        return Nanos(self._start + self._ran() + self.offset_ns)

    def mono_ns(self) -> Nanos:
        return Nanos(self._ran())

    def real_seconds(self, duration_ns: Nanos) -> float:
        return duration_ns / SECOND

    async def sleep_until(self, when_ns: Nanos) -> None:
        while (remaining := when_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - the wall time may step meanwhile
            await asyncio.sleep(min(remaining / SECOND, _LOOK_AGAIN_S))

    async def sleep(self, duration_ns: Nanos) -> None:
        await asyncio.sleep(max(0, duration_ns) / SECOND)

    def _ran(self) -> int:
        return round(self._loop.time() * SECOND)
