"""What will happen when: expiries, closes, settlements, in time order."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from kalshi_daemon.ground.units import Nanos

Action = Callable[[Nanos], None]


class Turn(IntEnum):
    """Who goes first at one instant: what expires at the cutoff is gone when the cutoff is recorded."""

    EXPIRY = 0
    RECORD = 1
    CHANGE = 2
    SWEEP = 3
    DETERMINE = 4
    SETTLE = 5


@dataclass(order=True, slots=True)
class _Entry:
    when: int
    turn: int
    number: int
    action: Action = field(compare=False)


class Agenda:
    """A heap of actions. While frozen (exchange pause) only RECORD entries run; the others wait for `thaw`."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._waiting: list[_Entry] = []
        self._numbers = itertools.count()
        self._frozen = False

    def add(self, when_ns: Nanos, turn: Turn, action: Action) -> None:
        """Do this at `when_ns`; at one instant turns decide, then the order of arrival."""
        heapq.heappush(self._heap, _Entry(int(when_ns), int(turn), next(self._numbers), action))

    def next_due(self) -> int | None:
        """When something is due next, in nanoseconds; None: nothing is planned."""
        return self._heap[0].when if self._heap else None

    def run(self, now_ns: Nanos, tell: Callable[[Nanos], None]) -> None:
        """Run everything due up to and including `now_ns`, oldest first; `tell` hears each instant before its action.

        Actions may add entries; those due are run in the same call.
        """
        while self._heap and self._heap[0].when <= now_ns:
            entry = heapq.heappop(self._heap)
            if self._frozen and entry.turn != Turn.RECORD:
                self._waiting.append(entry)
                continue
            when = Nanos(entry.when)
            tell(when)
            entry.action(when)

    def freeze(self) -> None:
        """Nothing happens any more."""
        self._frozen = True

    def thaw(self) -> None:
        """Let what waited become due again; the next `run` executes it."""
        self._frozen = False
        for entry in self._waiting:
            heapq.heappush(self._heap, entry)
        self._waiting.clear()
