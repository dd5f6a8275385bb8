"""An event loop whose time jumps: nothing waits, the next thing that is due is due now.

Everything runs in one thread: work for another thread is done at once, where it is handed over. So a run depends on
nothing but its inputs, and a session takes as long as it computes.
"""

import asyncio
import math
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos

_RESOLUTION_S: Final = 1e-9


class NothingDue(RuntimeError):  # noqa: N818 - a fact about the loop
    """Every task waits for another one: time cannot go on."""


class VirtualTime:
    """What makes a loop's time jump: `clock` is the time of those who live on it; `time()` the same, s since its start.

    Work for another thread is done at once, where it is handed over.
    """

    def __init__(self, start_ns: Nanos) -> None:
        self.clock = ManualClock(start_ns)
        self._start_ns = int(start_ns)

    def time(self) -> float:
        """Seconds since the start."""
        return (self.clock.now_ns() - self._start_ns) / SECOND

    def jump(self, timer_s: float | None) -> None:
        """Go on to what is due next: a timer of the loop in `timer_s`, or a sleeper of the clock.

        Raises NothingDue when there is neither.
        """
        now = int(self.clock.now_ns())
        sleeper = self.clock.next_due()
        due = [] if sleeper is None else [sleeper]
        if timer_s is not None:
            due.append(now + math.ceil(timer_s * SECOND))
        if not due:
            raise NothingDue("every task waits for another one")
        self.clock.set(Nanos(max(now, min(due))))

    def run_in_executor[*Args, Result](
        self, _executor: Executor | None, func: Callable[[*Args], Result], *args: *Args
    ) -> asyncio.Future[Result]:
        """Do it now."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(func(*args))
        except Exception as problem:  # noqa: BLE001 - whoever awaits it is told
            future.set_exception(problem)
        return future


class VirtualLoop(VirtualTime, asyncio.BaseEventLoop):
    """An event loop without sockets, whose time jumps."""

    def __init__(self, start_ns: Nanos) -> None:
        VirtualTime.__init__(self, start_ns)
        asyncio.BaseEventLoop.__init__(self)
        self._clock_resolution = _RESOLUTION_S
        self._selector = _Jump(self)

    def _process_events(self, _event_list: object) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake the loop for."""


class _Jump(selectors.BaseSelector):
    """Stands where a loop waits for its sockets."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._loop.jump(timeout)
        return []

    def register(self, _fileobj: object, _events: int, _data: object = None) -> selectors.SelectorKey:
        raise NotImplementedError("no sockets in virtual time")

    def unregister(self, _fileobj: object) -> selectors.SelectorKey:
        raise NotImplementedError("no sockets in virtual time")

    def get_map(self) -> dict[Any, selectors.SelectorKey]:
        return {}
