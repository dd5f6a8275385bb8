"""The retention task: packs finished days and lets the oldest go, piece by piece, in a thread, while nothing is quoted.

A day is finished when New York has the next date. A session of the built-in exchange that ran to its end packs its own
day too (`at_stop`): its exchange is gone. Whatever goes wrong is one warning; what could not be packed is tried again
the next day.
"""

import asyncio
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Never

import structlog

from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.units import MEGABYTE, MINUTE, Nanos
from kalshi_daemon.retention.packing import Piece, Work, pack, pending
from kalshi_daemon.retention.pruning import Pruned, prune
from kalshi_daemon.settings.model import RetentionSettings
from kalshi_daemon.state import DaemonState

LOOK_EVERY: Final = Nanos(10 * MINUTE)
AT_STOP_WITHIN_S: Final = 20.0
"""Real time the end of a simulated session gives it; no supervisor waits there."""
_BUSY: Final = frozenset({Phase.OPEN, Phase.HOLD, Phase.CUTOFF})
_SAID_MAX: Final = 1_000

log = structlog.get_logger()


class RetentionKeeper:
    """Reads the state only. `files_lock`: the artifact writer's, held for each piece."""

    def __init__(
        self, mode_dir: Path, state: DaemonState, clock: Clock, limits: RetentionSettings, files_lock: threading.Lock
    ) -> None:
        self._mode_dir = mode_dir
        self._paths = ArtifactPaths(mode_dir)
        self._state = state
        self._clock = clock
        self._limits = limits
        self._lock = files_lock
        self._given_up: set[Work] = set()
        self._said: set[str] = set()
        self._pruned_day: date | None = None

    async def run(self) -> Never:
        """Until cancelled. A piece that is under way then ends in its thread."""
        while True:
            today = eastern_day(self._clock.now_ns())
            await self._keep(today - timedelta(days=1), self._quiet)
            await self._clock.sleep(LOOK_EVERY)

    async def at_stop(self) -> None:
        """Pack every day, this process's too, within AT_STOP_WITHIN_S. Never raises for the disk."""
        try:
            async with asyncio.timeout(AT_STOP_WITHIN_S):
                await self._keep(date.max, lambda: True)
        except TimeoutError:
            log.warning("retention.not_finished", waited_s=AT_STOP_WITHIN_S)

    def _quiet(self) -> bool:
        """Whether nothing is quoted now that a thread at work could delay."""
        phases = {status.phase for status in self._state.windows.values()}
        return not phases & _BUSY and not self._state.live_orders()

    async def _keep(self, last: date, may: Callable[[], bool]) -> None:
        if not may():
            return
        try:
            notes: list[str] = []
            works = await asyncio.to_thread(pending, self._paths, last.isoformat(), notes)
            for note in notes:
                self._say_once("retention.file_left", note)
            for work in works:
                if work not in self._given_up and not await self._pack(work, may):
                    return
            today = eastern_day(self._clock.now_ns())
            if self._pruned_day != today and may():
                self._say_pruned(await asyncio.to_thread(prune, self._mode_dir, today, self._limits))
                self._pruned_day = today
                self._given_up.clear()
        except Exception as problem:  # noqa: BLE001 - tidying: nothing it dies of may reach the trading or the stop
            self._say_once("retention.failed", f"{type(problem).__name__}: {problem}")

    async def _pack(self, work: Work, may: Callable[[], bool]) -> bool:
        """All pieces of one work; False when something may be quoted again and the rest has to wait."""
        done = Piece()
        try:
            while may():
                piece = await asyncio.to_thread(self._piece, work)
                done.files += piece.files
                done.bytes_before += piece.bytes_before
                done.bytes_after = piece.bytes_after
                for left in piece.left:
                    self._say_once("retention.file_left", left)
                if not piece.files:
                    self._given_up.add(work)
                if not piece.files or not piece.more:
                    return True
        except Exception as problem:  # noqa: BLE001 - whatever is wrong with one file, the others are packed
            self._given_up.add(work)
            self._say_once("retention.failed", f"{type(problem).__name__}: {problem}")
            return True
        finally:
            if done.files:
                log.info(
                    "retention.packed",
                    day=work.day,
                    what=work.what,
                    files=done.files,
                    bytes_before=done.bytes_before,
                    bytes_after=done.bytes_after,
                )
        return False

    def _piece(self, work: Work) -> Piece:
        """In the thread."""
        with self._lock:
            return pack(self._paths, work)

    def _say_pruned(self, pruned: Pruned) -> None:
        for left in pruned.left:
            self._say_once("retention.file_left", left)
        if pruned.items:
            days = sorted({one.day for one in pruned.items if one.day})
            log.warning(
                "retention.pruned",
                files=pruned.files,
                bytes=pruned.bytes,
                first_day=days[0] if days else None,
                last_day=days[-1] if days else None,
                kinds=sorted({one.kind for one in pruned.items}),
                days_max=self._limits.days_max,
                megabytes_max=self._limits.megabytes_max,
            )
        if pruned.bytes_remaining > self._limits.megabytes_max * MEGABYTE:
            log.warning(
                "retention.limit_exceeded",
                megabytes=pruned.bytes_remaining // MEGABYTE,
                megabytes_max=self._limits.megabytes_max,
            )

    def _say_once(self, event: str, problem: str) -> None:
        if problem in self._said or len(self._said) >= _SAID_MAX:
            return
        self._said.add(problem)
        if event == "retention.failed":
            log.warning("retention.failed", problem=problem)
        else:
            log.warning("retention.file_left", problem=problem)
