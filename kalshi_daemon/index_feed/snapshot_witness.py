"""Asks the vendor's REST side for a snapshot while a value of the feed is withheld. One task.

The answer is one witness more (`plausibility`): what another path of the vendor says the index is. It is asked for at
most once per `every_ns`, and not at all while nothing is withheld. A plan that has no snapshots is said once and left
alone until the feed connects again; any other failure is said once a stretch, and asked again.
"""

import asyncio
from collections.abc import Mapping
from typing import Never, Protocol

import structlog

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import HistoryRefused, HistoryUnavailable
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.index_feed.snapshot import SnapshotValue

log = structlog.get_logger()


class Snapshots(Protocol):
    """Who has them: `index_feed.history.HistoryClient`."""

    async def snapshot(self) -> Mapping[Index, SnapshotValue]:
        """The newest value of each index that has one. Raises HistoryRefused, HistoryUnavailable."""
        ...


class SnapshotWitness:
    """`on_withheld` for each value that is not believed; `said` is what the judge is told."""

    def __init__(self, snapshots: Snapshots, clock: Clock, every_ns: Nanos) -> None:
        self._snapshots = snapshots
        self._clock = clock
        self._every_ns = every_ns
        self._wake = asyncio.Event()
        self._off = False
        self._failed = False
        self._values: dict[Index, SnapshotValue] = {}

    def on_session(self) -> None:
        """The feed has connected: the plan may be another one."""
        self._off = False

    def on_withheld(self) -> None:
        """A value is withheld: ask now."""
        if not self._off:
            self._wake.set()

    def said(self, index: Index) -> tuple[Nanos, float] | None:
        """The newest value with its own stamp; None when there is none, or the plan is a delayed one."""
        found = self._values.get(index)
        return None if found is None or found.delayed else (found.at_ns, found.value)

    async def run(self) -> Never:
        """Ask while a value is withheld, forever."""
        while True:
            await self._wake.wait()
            try:
                self._values = dict(await self._snapshots.snapshot())
                self._failed = False
            except HistoryRefused as refused:
                self._off = True
                log.warning("feed.snapshot_refused", problem=refused.message)
            except HistoryUnavailable as problem:
                if not self._failed:
                    log.warning("feed.snapshot_failed", problem=problem.cause)
                self._failed = True
            await self._clock.sleep(self._every_ns)
            self._wake.clear()  # what is still withheld says so with its next value
