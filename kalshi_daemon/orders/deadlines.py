"""Waiting for the exchange, but never longer than a deadline of our clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import DaemonError
from kalshi_daemon.ground.units import MILLISECOND, Nanos

EXCHANGE_ERRORS: Final = (DaemonError, OSError)
"""What talking to the exchange may end in besides an answer; everything else is a bug and is not caught."""


class DeadlinePassed(Exception):  # noqa: N818 - errors are nouns
    """The clock reached the deadline first; the request was abandoned."""


async def within[T](clock: Clock, deadline_ns: Nanos, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises what it raises, or DeadlinePassed when the deadline comes first."""
    results: list[T] = []
    problems: list[Exception] = []

    async def guarded() -> None:
        try:
            results.append(await work)
        except Exception as problem:  # noqa: BLE001 - raised again below, outside the group
            problems.append(problem)

    async with asyncio.TaskGroup() as group:
        working = group.create_task(guarded(), name="orders.within")
        waiting = group.create_task(clock.sleep_until(deadline_ns), name="orders.deadline")
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        waiting.cancel()
    if problems:
        raise problems[0]
    if not results:
        raise DeadlinePassed
    return results[0]


class Backoff:
    """Growing pauses by subject: `first_ms`, doubling up to `ms_max`. One entry per subject not yet forgotten."""

    def __init__(self, first_ms: int, ms_max: int) -> None:
        self._first = first_ms
        self._max = ms_max
        self._tries: dict[str, int] = {}
        self._next: dict[str, Nanos] = {}

    def due(self, key: str, now: Nanos) -> bool:
        """Whether the pause of this key is over."""
        return now >= self._next.get(key, Nanos(0))

    def hold(self, key: str, now: Nanos) -> None:
        """One more try is being made: the next is due after a pause."""
        tries = self._tries.get(key, 0)
        pause = doubled(self._first, tries, self._max)
        self._tries[key] = tries + 1
        self._next[key] = Nanos(now + pause * MILLISECOND)

    def forget_all_but(self, keys: set[str]) -> None:
        """Drop subjects that are done with."""
        self._tries = {key: tries for key, tries in self._tries.items() if key in keys}
        self._next = {key: due for key, due in self._next.items() if key in keys}
