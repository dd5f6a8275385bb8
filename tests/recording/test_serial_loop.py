"""A stepped loop: one input and all that follows from it, and nothing in between."""

import asyncio
from typing import Any

import pytest

from kalshi_daemon.ground.clock import StampedClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.recording import serial_loop
from kalshi_daemon.recording.serial_loop import SerialLoop


class Around:
    """Whoever drives the loop."""

    loop: SerialLoop

    def __init__(self):
        self.woken: list[Any] = []
        self.jobs: list[Any] = []

    def wake(self, *, foreign):
        self.woken.append(foreign)

    def run_job(self, work):
        self.jobs.append(work)
        return self.loop.create_future()

    def call_from_thread(self, call):
        self.woken.append(call)


@pytest.fixture
def around():
    found = Around()
    found.loop = SerialLoop(found, 0)
    yield found
    found.loop.close()


def at(loop, seconds, work=lambda: None):
    loop.step(int(seconds * SECOND), work)


def test_a_step_runs_until_every_task_waits_again(around):
    loop, seen = around.loop, list[Any]()

    async def chain(depth):
        seen.append(depth)
        await asyncio.sleep(0)
        if depth:
            await loop.create_task(chain(depth - 1), name="x")

    at(loop, 1, lambda: loop.create_task(chain(5), name="x"))
    assert seen == [5, 4, 3, 2, 1, 0]
    assert around.woken == []
    assert not asyncio.all_tasks(loop)


def test_timers_come_in_the_step_that_reaches_their_time_and_cancelled_ones_never(around):
    loop, seen = around.loop, list[Any]()
    at(loop, 0, lambda: [loop.call_later(delay, seen.append, delay) for delay in (2, 1, 3)])
    dropped = list[Any]()
    at(loop, 0, lambda: dropped.append(loop.call_later(0.5, seen.append, "never")))
    dropped[0].cancel()
    assert loop.next_timer_ns() == SECOND
    at(loop, 0.999)
    assert seen == []
    at(loop, 2)
    assert seen == [1, 2]
    at(loop, 1, lambda: seen.append(loop.time()))
    assert seen[-1] == 2.0, "its time never goes back"


def test_many_cancelled_timers_leave_no_trace(around):
    loop = around.loop
    for _ in range(5):
        at(loop, 0, lambda: [handle.cancel() for handle in [loop.call_later(9, print) for _ in range(200)]])
    assert len(loop._scheduled) <= 400


def test_what_is_scheduled_between_two_steps_is_foreign(around):
    loop, seen = around.loop, list[Any]()
    loop.call_soon(seen.append, 1)
    assert (seen, around.woken) == ([], [True])
    at(loop, 0)
    assert seen == [1]


def test_a_task_that_never_waits_does_not_hold_up_the_process(around, monkeypatch):
    monkeypatch.setattr(serial_loop, "CALLS_MAX", 50)
    loop, seen = around.loop, list[Any]()

    async def spin():
        while len(seen) < 120:
            seen.append(1)
            await asyncio.sleep(0)

    at(loop, 0, lambda: loop.create_task(spin(), name="spin"))
    assert 40 < len(seen) < 60
    assert around.woken == [False]
    at(loop, 0)
    at(loop, 0)
    assert len(seen) == 120


def test_a_group_cancels_its_tasks_in_the_order_they_were_made(around):
    loop, ended = around.loop, list[Any]()

    async def waits(number):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def group():
        async with asyncio.TaskGroup() as tasks:
            for number in range(40):
                tasks.create_task(waits(number), name="x")

    made = list[Any]()
    at(loop, 0, lambda: made.append(loop.create_task(group(), name="group")))
    at(loop, 1, made[0].cancel)
    assert ended == list(range(40)), "a set of tasks is one of addresses else"


def test_it_lives_inside_a_running_loop():
    async def outer():
        found = Around()
        loop = found.loop = SerialLoop(found, 0)
        seen = list[Any]()

        async def inner():
            seen.append(asyncio.get_running_loop() is loop)
            async with asyncio.timeout(1.0):
                await asyncio.sleep(0)

        running = asyncio.get_running_loop()
        done = running.create_future()

        def step():
            loop.step(0, lambda: loop.create_task(inner(), name="x"))
            done.set_result(asyncio.get_running_loop() is running)

        running.call_soon(step)
        assert await done
        assert seen == [True]
        loop.close()

    asyncio.run(outer())


def test_a_stamped_clock_stands_and_wakes_by_the_time_that_was_asked_for(around):
    loop, clock, seen = around.loop, StampedClock(Nanos(1_000), Nanos(0), rate=0.5), list[Any]()

    async def until():
        await clock.sleep_until(Nanos(5_000))
        seen.append("until")

    async def after():
        await clock.sleep(Nanos(3_000))
        seen.append("after")

    at(loop, 0, lambda: (loop.create_task(until(), name="x"), loop.create_task(after(), name="x")))
    assert clock.due_in(Nanos(1_000), Nanos(0)) == (4_000, 3_000)
    assert clock.real_seconds(Nanos(2 * SECOND)) == 1.0
    at(loop, 0, lambda: clock.stamp(Nanos(900), Nanos(3_000)))
    assert seen == ["after"], "the wall time was set back"
    at(loop, 0, lambda: clock.stamp(Nanos(5_000), Nanos(3_001)))
    assert seen == ["after", "until"]
    assert (clock.now_ns(), clock.mono_ns()) == (5_000, 3_001)
