"""Time as an argument. Nothing outside this file reads the machine's clock.

`now_ns` is the venue-comparable wall time; `mono_ns` runs at the same rate and never steps, for durations.
`ElasticClock` is the simulator's time: it runs `speed` times faster than life but never past a horizon, so that
a follower that is busy holds time up instead of falling behind. Code that awaits a clock cannot tell which one it has.
"""

import asyncio
import heapq
import itertools
import time
from typing import Protocol

from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos


class Clock(Protocol):
    """What every task is given instead of the machine's time."""

    def now_ns(self) -> Nanos:
        """Nanoseconds since the Unix epoch, comparable with the venues' stamps; may step."""
        ...

    def mono_ns(self) -> Nanos:
        """Nanoseconds from an arbitrary start; same rate as `now_ns`, never steps."""
        ...

    def real_seconds(self, duration_ns: Nanos) -> float:
        """How long that takes on the machine, at least: for time-outs that only ask for another look."""
        ...

    async def sleep_until(self, when_ns: Nanos) -> None:
        """Return once `now_ns() >= when_ns`; at once when that is already so."""
        ...

    async def sleep(self, duration_ns: Nanos) -> None:
        """Return after `duration_ns` of this clock's time."""
        ...


class SystemClock:
    """The machine's time."""

    def now_ns(self) -> Nanos:
        return Nanos(time.time_ns())

    def mono_ns(self) -> Nanos:
        return Nanos(time.monotonic_ns())

    def real_seconds(self, duration_ns: Nanos) -> float:
        return duration_ns / SECOND

    async def sleep_until(self, when_ns: Nanos) -> None:
        # Re-checked because the wall clock may be stepped while we sleep; one second bounds the error of a step.
        while (remaining := when_ns - self.now_ns()) > 0:
            await asyncio.sleep(min(remaining / SECOND, 1.0))

    async def sleep(self, duration_ns: Nanos) -> None:
        await asyncio.sleep(max(0, duration_ns) / SECOND)


class ManualClock:
    """Time that moves only when a test says so. `set` and `advance` wake the sleepers that are due."""

    def __init__(self, start_ns: Nanos) -> None:
        self._now = int(start_ns)
        self._origin = int(start_ns)
        self._sleepers = _Sleepers()

    def now_ns(self) -> Nanos:
        return Nanos(self._now)

    def mono_ns(self) -> Nanos:
        return Nanos(self._now - self._origin)

    def real_seconds(self, duration_ns: Nanos) -> float:
        return duration_ns / SECOND

    async def sleep_until(self, when_ns: Nanos) -> None:
        if when_ns > self._now:
            await self._sleepers.add(when_ns)

    async def sleep(self, duration_ns: Nanos) -> None:
        await self.sleep_until(Nanos(self._now + max(0, duration_ns)))

    def set(self, now_ns: Nanos) -> None:
        """Move to an instant and wake who sleeps until then; never back."""
        self._now = max(self._now, int(now_ns))
        self._sleepers.wake(self._now)

    def advance(self, duration_ns: Nanos) -> None:
        """Let time pass and wake whose sleep is over."""
        self.set(Nanos(self._now + duration_ns))

    def next_due(self) -> int | None:
        """When the next sleeper wants to wake, in nanoseconds; None when nobody sleeps."""
        return self._sleepers.next_due()


class ElasticClock:
    """Runs at `speed` times life between `steer` calls, never past the horizon last given."""

    def __init__(self, start_ns: Nanos, speed: float) -> None:
        self._anchor = int(start_ns)
        self._anchor_real = time.monotonic_ns()
        self._horizon = int(start_ns)
        self._origin = int(start_ns)
        self.speed = speed
        self._sleepers = _Sleepers()
        self._timer: asyncio.TimerHandle | None = None

    def now_ns(self) -> Nanos:
        ran = self._anchor + int((time.monotonic_ns() - self._anchor_real) * self.speed)
        return Nanos(min(ran, self._horizon))

    def mono_ns(self) -> Nanos:
        return Nanos(self.now_ns() - self._origin)

    def real_seconds(self, duration_ns: Nanos) -> float:
        return duration_ns / SECOND / self.speed

    def steer(self, now_ns: Nanos, horizon_ns: Nanos) -> None:
        """Set the time to `now_ns` (never backwards) and allow it to run on to `horizon_ns`."""
        current = self.now_ns()
        self._anchor = max(int(now_ns), current)
        self._anchor_real = time.monotonic_ns()
        self._horizon = max(self._horizon, int(horizon_ns))
        self._wake()

    async def sleep_until(self, when_ns: Nanos) -> None:
        if when_ns > self.now_ns():
            waiter = self._sleepers.add(when_ns)
            self._arm()
            await waiter

    async def sleep(self, duration_ns: Nanos) -> None:
        await self.sleep_until(Nanos(self.now_ns() + max(0, duration_ns)))

    def _wake(self) -> None:
        self._sleepers.wake(self.now_ns())
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._sleepers.next_due()
        if due is None or due > self._horizon:
            return  # the next `steer` decides
        wait_s = max(0.0, (due - self.now_ns()) / self.speed / SECOND)
        self._timer = asyncio.get_running_loop().call_later(wait_s + 1e-5, self._wake)


class StampedClock:
    """Time that stands while one input is worked on: it shows the stamps of that input, set by whoever delivers it.

    rate: real seconds to a second of this clock. What sleeps until an instant wakes by the wall time, which may step;
    what sleeps for a duration by the time that never does.
    """

    def __init__(self, now_ns: Nanos, mono_ns: Nanos, rate: float = 1.0) -> None:
        self._now = int(now_ns)
        self._mono = int(mono_ns)
        self.rate = rate
        self._until = _Sleepers()
        self._for = _Sleepers()

    def now_ns(self) -> Nanos:
        return Nanos(self._now)

    def mono_ns(self) -> Nanos:
        return Nanos(self._mono)

    def real_seconds(self, duration_ns: Nanos) -> float:
        return duration_ns / SECOND * self.rate

    async def sleep_until(self, when_ns: Nanos) -> None:
        while when_ns > self._now:  # again, because the wall time may have been set back meanwhile
            await self._until.add(when_ns)

    async def sleep(self, duration_ns: Nanos) -> None:
        if duration_ns > 0:
            await self._for.add(self._mono + duration_ns)
        else:
            await asyncio.sleep(0)

    def stamp(self, now_ns: Nanos, mono_ns: Nanos) -> None:
        """Show these from now on, and wake whose sleep is over."""
        self._now, self._mono = int(now_ns), int(mono_ns)
        self._until.wake(self._now)
        self._for.wake(self._mono)

    def due_in(self, now_ns: Nanos, mono_ns: Nanos) -> tuple[int | None, int | None]:
        """Nanoseconds from these stamps to the next sleeper that waits for the wall time, and for the other one."""
        until, after = self._until.next_due(), self._for.next_due()
        return None if until is None else until - now_ns, None if after is None else after - mono_ns


class _Sleepers:
    """Futures by due time. A cancelled sleeper is dropped when its turn comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def add(self, when_ns: int) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (int(when_ns), next(self._order), future))
        return future

    def next_due(self) -> int | None:
        while self._heap and self._heap[0][2].done():
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def wake(self, now_ns: int) -> None:
        while self._heap and self._heap[0][0] <= now_ns:
            future = heapq.heappop(self._heap)[2]
            if not future.done():
                future.set_result(None)


def iso_utc(ns: Nanos) -> str:
    """RFC 3339 in UTC with microseconds and a Z, the form of our logs and of the venue."""
    seconds, rest = divmod(int(ns), SECOND)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{rest // 1_000:06d}Z"


def age_ms(now_ns: Nanos, then_ns: Nanos) -> int:
    """Whole milliseconds between two stamps of one clock, rounded down; negative when `then` lies ahead."""
    return (now_ns - then_ns) // MILLISECOND
