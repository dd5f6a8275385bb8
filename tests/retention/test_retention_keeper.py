"""The task: packs what is finished while nothing is quoted, lets the oldest go, and dies of nothing."""

import asyncio
import threading
from collections.abc import MutableMapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.new_york import eastern_midnights
from kalshi_daemon.ground.units import HOUR, Nanos
from kalshi_daemon.retention import keeper as keeping
from kalshi_daemon.retention import packing
from kalshi_daemon.retention.keeper import LOOK_EVERY, RetentionKeeper
from kalshi_daemon.retention.packing import pending
from kalshi_daemon.settings.model import RetentionSettings
from kalshi_daemon.state import DaemonState
from tests.guardrails.guard_rig import WINDOW, order_of
from tests.retention.day_rig import DAY, SERIES, DayRig

TODAY = "2026-11-24"
START = Nanos(eastern_midnights(date(2026, 11, 24))[0] + 8 * HOUR)


class Rig:
    """A keeper on a finished day and on one that lasts."""

    def __init__(self, root, days_max: int = 400, megabytes_max: int = 2_000) -> None:
        self.state, self.clock, self.lock = DaemonState(), ManualClock(START), threading.Lock()
        self.finished, self.lasting = DayRig(root), DayRig(root, TODAY)
        for day in (self.finished, self.lasting):
            day.scan("093500")
            day.scan("093500", SERIES[1])
            day.flush(34_500)
            day.line()
        settings = RetentionSettings.model_construct(days_max=days_max, megabytes_max=megabytes_max)
        self.keeper = RetentionKeeper(root, self.state, self.clock, settings, self.lock)

    def packed(self) -> bool:
        return not pending(self.finished.paths, DAY)

    @asynccontextmanager
    async def running(self):
        with capture_logs() as self.lines:
            async with asyncio.TaskGroup() as group, asyncio.timeout(20):
                task = group.create_task(self.keeper.run())
                await self.look()
                yield
                task.cancel()

    async def look(self) -> None:
        """Until the task waits for its next look."""
        while not self.clock._sleepers._heap:  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.001)

    async def next_look(self) -> None:
        self.clock.advance(LOOK_EVERY)
        await self.look()

    def events(self, name: str) -> list[MutableMapping[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


async def test_a_finished_day_is_packed_at_the_start_and_today_is_not_touched(tmp_path):
    rig = Rig(tmp_path)
    before = rig.finished.seen(), rig.lasting.files()
    async with rig.running():
        assert rig.packed()
    assert rig.finished.seen() == before[0]
    assert len(pending(rig.finished.paths, TODAY)) == 4
    said = rig.events("retention.packed")
    assert [(line["day"], line["what"], line["files"]) for line in said] == [
        (DAY, "audit", 1), (DAY, "index values", 1), (DAY, "scans", 1), (DAY, "scans", 1),
    ]  # fmt: skip


async def test_a_day_is_packed_once_new_york_has_the_next_date(tmp_path):
    rig = Rig(tmp_path)
    async with rig.running():
        rig.clock.advance(Nanos(eastern_midnights(date(2026, 11, 24))[1] - START))
        await rig.look()
        assert pending(rig.finished.paths, TODAY) == []


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.HOLD, Phase.CUTOFF])
async def test_nothing_is_packed_while_a_window_is_quoted(tmp_path, phase):
    rig = Rig(tmp_path)
    rig.state.windows[WINDOW.event_ticker] = WindowStatus(WINDOW, phase)
    async with rig.running():
        await rig.next_look()
        assert not rig.packed()
        rig.state.windows[WINDOW.event_ticker] = WindowStatus(WINDOW, Phase.SETTLING)
        await rig.next_look()
        assert rig.packed()


async def test_nothing_is_packed_while_an_order_lives(tmp_path):
    rig = Rig(tmp_path)
    order = order_of()
    rig.state.orders[order.client_order_id] = order
    async with rig.running():
        assert not rig.packed()


async def test_a_window_that_opens_meanwhile_stops_the_work_between_two_pieces(tmp_path, monkeypatch):
    rig = Rig(tmp_path)

    def pack(*args):
        rig.state.windows[WINDOW.event_ticker] = WindowStatus(WINDOW, Phase.OPEN)
        return packing.pack(*args)

    monkeypatch.setattr(keeping, "pack", pack)
    async with rig.running():
        assert len(pending(rig.finished.paths, DAY)) == 3


async def test_a_piece_waits_for_whoever_writes_and_the_loop_does_not(tmp_path):
    rig = Rig(tmp_path)
    with capture_logs():
        async with asyncio.TaskGroup() as group, asyncio.timeout(20):
            with rig.lock:
                task = group.create_task(rig.keeper.run())
                for _ in range(50):
                    await asyncio.sleep(0.001)
                assert not rig.packed()
            while not rig.packed():  # noqa: ASYNC110 - a thread sets no event
                await asyncio.sleep(0.001)
            task.cancel()


async def test_what_cannot_be_read_or_written_is_said_once_and_the_rest_is_packed(tmp_path, monkeypatch):
    rig = Rig(tmp_path)
    broken = rig.finished.scan("100000")
    broken.write_bytes(b"{")

    def pack(paths, work):
        if work.what == "audit":
            raise OSError(28, "No space left on device")
        return packing.pack(paths, work)

    monkeypatch.setattr(keeping, "pack", pack)
    async with rig.running():
        await rig.next_look()
        monkeypatch.setattr(keeping, "pack", packing.pack)
        await rig.next_look()
        assert {work.what for work in pending(rig.finished.paths, DAY)} == {"audit", "scans"}, "not again that day"
        rig.clock.advance(Nanos(20 * HOUR))
        await rig.look()
        await rig.next_look()
    assert {work.what for work in pending(rig.finished.paths, DAY)} == {"scans"}
    assert [str(broken) in line["problem"] for line in rig.events("retention.file_left")] == [True]
    assert ["No space" in line["problem"] for line in rig.events("retention.failed")] == [True]


async def test_a_bug_is_one_warning_and_no_end(tmp_path, monkeypatch):
    rig = Rig(tmp_path)

    def broken(*_args):
        raise RuntimeError("a bug")

    monkeypatch.setattr(keeping, "pending", broken)
    async with rig.running():
        await rig.next_look()
    assert [line["problem"] for line in rig.events("retention.failed")] == ["RuntimeError: a bug"]


async def test_what_goes_is_said_with_its_numbers_once_a_day(tmp_path):
    rig = Rig(tmp_path, days_max=400, megabytes_max=2_000)
    old = DayRig(tmp_path, (date(2026, 11, 24) - timedelta(days=401)).isoformat())
    old.scan("093500")
    old.line()
    async with rig.running():
        await rig.next_look()
    (said,) = rig.events("retention.pruned")
    assert (said["files"], said["first_day"], said["last_day"]) == (1, old.day, old.day)
    assert (said["kinds"], said["days_max"]) == (["scans"], 400)
    assert old.lines() == [2], "the trail of orders stays"


async def test_more_than_the_limit_that_must_stay_is_said(tmp_path):
    rig = Rig(tmp_path, megabytes_max=0)
    async with rig.running():
        await rig.next_look()
    (said,) = rig.events("retention.limit_exceeded")
    assert said["megabytes_max"] == 0


async def test_the_end_of_a_simulated_session_packs_its_own_day(tmp_path):
    rig = Rig(tmp_path)
    before = rig.lasting.seen()
    await rig.keeper.at_stop()
    assert pending(rig.finished.paths, "9999-12-31") == []
    assert rig.lasting.seen() == before


async def test_a_stop_does_not_wait_longer_than_its_bound(tmp_path, monkeypatch):
    rig = Rig(tmp_path)
    monkeypatch.setattr(keeping, "AT_STOP_WITHIN_S", 0.02)
    with capture_logs() as lines:
        with rig.lock:
            await rig.keeper.at_stop()
        assert [line["event"] for line in lines] == ["retention.not_finished"]
