"""The disk watch: how much room the volume of the state directory has, before there is none.

What is asked is what this user may still write (`f_bavail`, `f_favail`: without the blocks kept for root). A file
system that does not count inodes reports none at all; there they are no limit.
"""

import os
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, Never

import structlog

from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.sight import PLAIN_SIGHT, Sight
from kalshi_daemon.ground.units import MEGABYTE, SECOND, Nanos
from kalshi_daemon.settings.model import RetentionSettings
from kalshi_daemon.state import DaemonState, DiskState

LOOK_EVERY: Final = Nanos(30 * SECOND)
_CLEAR_PERCENT: Final = 110
"""Of a limit: room that comes and goes around it is said once, not at every look."""

log = structlog.get_logger()


class Level(IntEnum):
    """How things stand, the better the higher."""

    UNREAD = 0
    SHORT = 1
    """Below a hard limit."""
    LOW = 2
    """Below a soft limit."""
    ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Room:
    """Free bytes, and free inodes where the file system limits them."""

    free_bytes: int
    free_inodes: int | None


def room_of(path: Path) -> Room:
    """The room on the volume of `path`. Blocking. Raises OSError."""
    found = os.statvfs(path)
    return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def level_of(room: Room, limits: RetentionSettings, before: Level) -> Level:
    """Where the room stands. It is better than `before` only once it is past the limit by a tenth."""
    found, clear = (_level(room, limits, percent) for percent in (100, _CLEAR_PERCENT))
    return found if before is Level.UNREAD or found <= before else max(before, clear)


def _level(room: Room, limits: RetentionSettings, percent: int) -> Level:
    def below(megabytes: int, inodes: int) -> bool:
        few = room.free_inodes is not None and room.free_inodes * 100 < inodes * percent
        return few or room.free_bytes * 100 < megabytes * MEGABYTE * percent

    if below(limits.disk_free_hard_megabytes_min, limits.disk_free_hard_inodes_min):
        return Level.SHORT
    if below(limits.disk_free_soft_megabytes_min, limits.disk_free_soft_inodes_min):
        return Level.LOW
    return Level.ENOUGH


class DiskWatch:
    """Owns `state.disk`. Looks off the loop, every LOOK_EVERY; each change of level is said once."""

    def __init__(
        self,
        state: DaemonState,
        clock: Clock,
        limits: RetentionSettings,
        folder: Path,
        sight: Sight = PLAIN_SIGHT,
    ) -> None:
        self._state = state
        self._clock = clock
        self._limits = limits
        self._folder = folder
        self._sight = sight
        self._level = Level.ENOUGH
        self.looking = False
        """Whether a look is on: simulated time waits for it."""

    async def look(self) -> None:
        """One look. Never raises for the disk: what cannot be told closes the guard."""
        self.looking = True
        try:
            free_bytes, free_inodes, problem = await self._sight.look_in_thread("disk", self._seen)
        finally:
            self.looking = False
        if free_bytes is None:
            self._state.disk = DiskState(read_ns=self._clock.now_ns(), problem=problem)
            if self._level is not Level.UNREAD:
                log.error("disk.read_failed", problem=problem)
            self._level = Level.UNREAD
        else:
            self._state.disk = DiskState(free_bytes, free_inodes, self._clock.now_ns(), "")
            self._say(Room(free_bytes, free_inodes))

    def _seen(self) -> tuple[int | None, int | None, str]:
        """Free bytes and inodes, or why they cannot be told."""
        try:
            room = room_of(self._folder)
        except OSError as problem:
            return None, None, f"{self._folder}: {problem.strerror or type(problem).__name__}"
        return room.free_bytes, room.free_inodes, ""

    async def run(self) -> Never:
        """Look every 30 s, forever."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            await self.look()

    def _say(self, room: Room) -> None:
        before, self._level = self._level, level_of(room, self._limits, self._level)
        if self._level is before:
            return
        short, low = self._level is Level.SHORT, self._level is Level.LOW
        level = log.error if short else log.warning if low else log.info
        level(
            "disk.ran_short" if short else "disk.ran_low" if low else "disk.recovered",
            free_megabytes=room.free_bytes // MEGABYTE,
            soft_megabytes=self._limits.disk_free_soft_megabytes_min,
            hard_megabytes=self._limits.disk_free_hard_megabytes_min,
            free_inodes=room.free_inodes,
            path=str(self._folder),
        )
