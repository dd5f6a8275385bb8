"""A loop whose time jumps: in order, to the nanosecond, and never on its own."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.backtest.virtual_time import NothingDue, VirtualLoop
from kalshi_daemon.ground.units import SECOND, Nanos

START = Nanos(1_795_447_800 * SECOND)


def run(work, start=START):
    loop = VirtualLoop(start)
    try:
        return loop.run_until_complete(work(loop))
    finally:
        loop.close()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30 * SECOND)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_whatever_sleeps_wakes_in_the_order_of_its_time(sleepers):
    """Sleepers of the clock and timers of the loop, mixed."""
    woke: list[tuple[int, int]] = []

    async def one(loop, of_loop, wait_ns):
        await (asyncio.sleep(wait_ns / SECOND) if of_loop else loop.clock.sleep(Nanos(wait_ns)))
        woke.append((loop.clock.now_ns() - START, wait_ns))

    async def all_of_them(loop):
        await asyncio.gather(*(one(loop, *sleeper) for sleeper in sleepers))

    run(all_of_them)
    assert [late for late, _ in woke] == sorted(late for late, _ in woke)
    assert all(0 <= late - wait <= 1_000 for late, wait in woke), "floats of the loop are good to a microsecond"


def test_a_sleeper_of_the_clock_wakes_to_the_nanosecond():
    async def sleeps(loop):
        await loop.clock.sleep_until(Nanos(START + 23_400 * SECOND + 1))
        return loop.clock.now_ns() - START

    assert run(sleeps) == 23_400 * SECOND + 1


def test_a_deadline_of_the_loop_passes_in_virtual_time():
    async def waits(loop):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        return loop.clock.now_ns() - START

    assert run(waits) == pytest.approx(3600 * SECOND, abs=1_000)


def test_tasks_that_wait_for_one_another_are_told():
    async def stuck(_loop):
        await asyncio.Event().wait()

    with pytest.raises(NothingDue):
        run(stuck)


def test_work_for_a_thread_is_done_at_once():
    async def works(_loop):
        done = await asyncio.to_thread(lambda: 7)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return done

    assert run(works) == 7
