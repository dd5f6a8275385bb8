"""What makes a run on the simulated loop the same every time, and its end quiet."""

import asyncio
import itertools
from typing import Any

from simloop import SimLoop


class Steps:
    """Stands in for the loop's recorder: a running checksum instead of a list without end.

    Hashes of strings are equal from process to process because the hash seed is fixed.
    """

    def __init__(self) -> None:
        self.digest = 0
        self._count = 0

    def record(self, kind: str, when: float, seq: int, label: str, host: str = "") -> None:
        self._count += 1
        self.digest = hash((self.digest, kind, when, seq, label, host))

    def __len__(self) -> int:
        return self._count


class _NumberedTask(asyncio.Task[Any]):
    """Task groups keep their tasks in a set: its order must come from the run, not from addresses in memory."""

    def __init__(self, number: int, coro: Any, **options: Any) -> None:
        self._number = number  # first: the constructor puts the task into sets already
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


class NumberedTasks:
    """A task factory."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> _NumberedTask:
        return _NumberedTask(next(self._numbers), coro, loop=loop, **options)


def drain(loop: SimLoop) -> None:
    """Let every task that is left end, so that none speaks up after its loop is gone."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()

    async def ended() -> None:
        await asyncio.gather(*left, return_exceptions=True)

    if left:
        loop.run_until_complete(ended())
