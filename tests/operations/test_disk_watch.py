"""The room on the state directory's volume: what the state holds of it, and what is said once."""

import asyncio
import errno
import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MEGABYTE, SECOND, Nanos
from kalshi_daemon.operations import disk_watch
from kalshi_daemon.operations.disk_watch import LOOK_EVERY, DiskWatch, Level, Room, level_of, room_of
from kalshi_daemon.settings.model import RetentionSettings
from kalshi_daemon.state import DaemonState, DiskState

START = Nanos(1_795_000_000 * SECOND)
LIMITS = RetentionSettings()
SOFT, HARD = LIMITS.disk_free_soft_megabytes_min, LIMITS.disk_free_hard_megabytes_min


def megabytes(count: int, inodes: int | None = 1_000_000) -> Room:
    return Room(count * MEGABYTE, inodes)


class Volume:
    """Answers in turn, the last one for ever; an error is raised."""

    def __init__(self, *answers: Room | OSError) -> None:
        self.answers = list(answers)

    def __call__(self, _path) -> Room:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


async def said(monkeypatch, tmp_path, *answers: Room | OSError) -> tuple[list[str], DaemonState]:
    """The events of one look per answer, and the state after them."""
    state, clock = DaemonState(), ManualClock(START)
    monkeypatch.setattr(disk_watch, "room_of", Volume(*answers))
    watch = DiskWatch(state, clock, LIMITS, tmp_path)
    with capture_logs() as lines:
        for _ in answers:
            await watch.look()
            assert not watch.looking
    return [f"{line['log_level']} {line['event']}" for line in lines], state


async def test_each_limit_is_said_once_and_room_again_once(monkeypatch, tmp_path):
    rooms = [
        megabytes(count) for count in (5_000, SOFT, SOFT - 1, SOFT - 2, HARD - 1, 10, HARD * 2, SOFT, 1_099, 1_100)
    ]
    events, state = await said(monkeypatch, tmp_path, *rooms)
    assert events == ["warning disk.ran_low", "error disk.ran_short", "warning disk.ran_low", "info disk.recovered"]
    assert state.disk == DiskState(1_100 * MEGABYTE, 1_000_000, START, "")


async def test_files_that_run_out_are_room_that_runs_out_unless_they_are_not_limited(monkeypatch, tmp_path):
    few = [megabytes(5_000, inodes) for inodes in (19_999, 4_999, 1_000_000, None)]
    events, state = await said(monkeypatch, tmp_path, *few)
    assert events == ["warning disk.ran_low", "error disk.ran_short", "info disk.recovered"]
    assert state.disk.free_inodes is None


async def test_what_cannot_be_told_is_unknown_and_said_once(monkeypatch, tmp_path):
    broken = OSError(errno.EIO, "Input/output error")
    events, state = await said(monkeypatch, tmp_path, megabytes(5_000), broken, broken)
    assert events == ["error disk.read_failed"]
    assert state.disk == DiskState(None, None, START, f"{tmp_path}: Input/output error")
    events, state = await said(monkeypatch, tmp_path, broken, megabytes(5_000))
    assert events == ["error disk.read_failed", "info disk.recovered"]
    assert state.disk.problem == ""


async def test_the_task_looks_every_half_minute(tmp_path):
    state, clock = DaemonState(), ManualClock(START)
    watch = DiskWatch(state, clock, LIMITS, tmp_path)
    async with asyncio.TaskGroup() as group, asyncio.timeout(5):
        task = group.create_task(watch.run())
        for turn in range(1, 4):
            await asyncio.sleep(0)
            clock.advance(LOOK_EVERY)
            while state.disk.read_ns != START + turn * LOOK_EVERY:  # noqa: ASYNC110 - a thread sets no event
                await asyncio.sleep(0.001)
        task.cancel()
    free = os.statvfs(tmp_path)
    assert state.disk.free_bytes == pytest.approx(free.f_bavail * free.f_frsize, rel=0.2)


def test_a_folder_that_is_gone_raises(tmp_path):
    assert room_of(tmp_path).free_bytes > 0
    with pytest.raises(FileNotFoundError):
        room_of(tmp_path / "gone")


@given(st.lists(st.integers(0, 2 * SOFT), min_size=2, max_size=30))
def test_the_level_never_flatters_and_leaves_a_limit_only_well_past_it(counts):
    level, levels = Level.ENOUGH, []
    for count in counts:
        level = level_of(megabytes(count), LIMITS, level)
        levels.append(level)
        assert (level is Level.SHORT) >= (count < HARD)
        assert level is not Level.ENOUGH or count >= SOFT
    for (before, after), count in zip(pairwise([Level.ENOUGH, *levels]), counts, strict=True):
        if after > before:
            assert count * 100 >= 110 * (SOFT if after is Level.ENOUGH else HARD)
