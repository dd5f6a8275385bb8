"""An event loop that is stepped: one input, and all that follows from it, until nothing is left to do.

It waits for nothing and reads no clock: whoever drives it hands it an input with the time it came, and it runs until
every task waits again. What its tasks do therefore depends on the inputs, their stamps and their order alone, whatever
else the process does meanwhile. It lives inside another loop (`recording.driver`), or alone (a replay).
"""

import asyncio
import heapq
import threading
from asyncio import events
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, Final, Protocol

from kalshi_daemon.ground.units import SECOND

CALLS_MAX: Final = 200_000
"""Callbacks of one step; what is left then waits for the next one, so that no mistake holds up the process for ever."""
_RESOLUTION_S: Final = 1e-6
"""A timer is due that much early: times are whole nanoseconds here, and floating-point seconds in its callers."""
_CANCELLED_MIN: Final = 100


class Outside(Protocol):
    """What the loop needs of whoever drives it."""

    def wake(self, *, foreign: bool) -> None:
        """Something is scheduled: make a step soon. foreign: by others than the tasks of the loop, between steps."""
        ...

    def run_job(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Do it in a thread; the result comes as an input."""
        ...

    def call_from_thread(self, call: Callable[[], object]) -> None:
        """Another thread, or a signal, wants this called: as an input."""
        ...


class _NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number: groups cancel theirs in the order of a set, which else is one of addresses."""

    def __init__(self, number: int, coro: Any, **options: Any) -> None:  # noqa: ANN401 - as `asyncio.Task`
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SerialLoop(asyncio.BaseEventLoop):
    """See above. Its `time()` is that of the input it works on, in seconds."""

    def __init__(self, outside: Outside, real_ns: int) -> None:
        super().__init__()
        self._ready: deque[asyncio.Handle]
        self._scheduled: list[Any]
        self._timer_cancelled_count: int
        self._thread_id: int | None
        self._outside = outside
        self._real_ns = real_ns
        self._tasks_made = 0
        self.set_task_factory(self._task)

    def _task(self, _loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:  # noqa: ANN401
        self._tasks_made += 1
        return _NumberedTask(self._tasks_made, coro, loop=self, **options)

    def time(self) -> float:
        """Seconds, by the clock that never steps."""
        return self._real_ns / SECOND

    def step(self, real_ns: int, work: Callable[[], object]) -> None:
        """Work on one input that came at `real_ns`, until every task waits again. Raises what ends a process."""
        around = events._get_running_loop()
        events._set_running_loop(self)
        self._thread_id = threading.get_ident()
        self._real_ns = max(self._real_ns, real_ns)
        try:
            self._move_due()
            work()
            self._run_ready()
        finally:
            self._thread_id = None
            events._set_running_loop(around)

    def next_timer_ns(self) -> int | None:
        """When the next timer is due, by the time that `step` is given; None when there is none."""
        timers = self._scheduled
        while timers and timers[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(timers)._scheduled = False
        return round(timers[0]._when * SECOND) if timers else None

    def _move_due(self) -> None:
        """Timers whose time has come are called in this step, earliest first."""
        timers = self._scheduled
        if self._timer_cancelled_count > _CANCELLED_MIN and self._timer_cancelled_count > len(timers) // 2:
            for handle in timers:
                handle._scheduled = not handle._cancelled
            timers = self._scheduled = [handle for handle in timers if not handle._cancelled]
            heapq.heapify(timers)
            self._timer_cancelled_count = 0
        end_s = self.time() + _RESOLUTION_S
        while timers and timers[0]._when <= end_s:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            if handle._cancelled:
                self._timer_cancelled_count -= 1
            else:
                self._ready.append(handle)

    def _run_ready(self) -> None:
        ready, left = self._ready, CALLS_MAX
        while True:
            while ready:
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
                    left -= 1
                    if not left:
                        self._outside.wake(foreign=False)
                        return
            self._move_due()  # one that was set for now, or for the past
            if not ready:
                return

    def call_soon[*Args](
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        """In this step; between two steps, in one that is asked for."""
        handle = events.Handle(callback, args, self, context)
        self._ready.append(handle)
        if self._thread_id is None:
            self._outside.wake(foreign=True)
        return handle

    def call_soon_threadsafe[*Args](
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        """As an input."""
        handle = events.Handle(callback, args, self, context)
        self._outside.call_from_thread(handle._run)
        return handle

    def run_in_executor[*Args, Result](
        self, _executor: Executor | None, func: Callable[[*Args], Result], *args: *Args
    ) -> asyncio.Future[Result]:
        """In a thread of whoever drives this loop."""
        return self._outside.run_job(lambda: func(*args))
