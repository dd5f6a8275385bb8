import asyncio

from kalshi_daemon.ground import clock as clocks
from kalshi_daemon.ground.clock import ElasticClock, ManualClock, SystemClock
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos

START = Nanos(1_800_000_000 * SECOND)


async def test_a_manual_clock_wakes_sleepers_in_order_and_only_when_due():
    clock = ManualClock(START)
    woken = []

    async def sleeper(seconds):
        await clock.sleep(Nanos(seconds * SECOND))
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2):
            group.create_task(sleeper(seconds))
        await asyncio.sleep(0)
        clock.advance(Nanos(2 * SECOND))
        await asyncio.sleep(0)
        assert woken == [1, 2]
        clock.advance(SECOND)
    assert woken == [1, 2, 3]
    assert clock.mono_ns() == 3 * SECOND


async def test_a_manual_clock_never_runs_backwards():
    clock = ManualClock(START)
    clock.advance(SECOND)
    clock.set(START)
    assert clock.now_ns() == START + SECOND
    await clock.sleep_until(START)


async def test_an_elastic_clock_stands_still_at_its_horizon():
    clock = ElasticClock(START, speed=1e6)
    clock.steer(START, Nanos(START + SECOND))
    await clock.sleep_until(Nanos(START + SECOND))
    assert clock.now_ns() == START + SECOND
    woken = asyncio.Event()

    async def late():
        await clock.sleep_until(Nanos(START + 2 * SECOND))
        woken.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(late())
        for _turn in range(20):
            await asyncio.sleep(0)
        assert not woken.is_set(), "time passed the horizon"
        clock.steer(Nanos(START + 2 * SECOND), Nanos(START + 3 * SECOND))
    assert woken.is_set()


async def test_an_elastic_clock_is_never_steered_backwards():
    clock = ElasticClock(START, speed=1.0)
    clock.steer(Nanos(START + 5 * SECOND), Nanos(START + 6 * SECOND))
    clock.steer(START, START)
    assert clock.now_ns() >= START + 5 * SECOND
    assert clock.mono_ns() >= 5 * SECOND


async def test_an_elastic_clock_runs_on_its_own_between_steerings():
    clock = ElasticClock(START, speed=1_000.0)
    clock.steer(START, Nanos(START + 3_600 * SECOND))
    await clock.sleep(Nanos(500 * MILLISECOND))
    assert clock.now_ns() >= START + 500 * MILLISECOND


async def test_a_cancelled_sleeper_is_forgotten():
    clock = ManualClock(START)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(SECOND))
        await asyncio.sleep(0)
        task.cancel()
    clock.advance(Nanos(2 * SECOND))


async def test_the_system_clock_agrees_with_itself():
    clock = SystemClock()
    before = clock.mono_ns()
    await clock.sleep_until(Nanos(clock.now_ns() + MILLISECOND))
    await clock.sleep(Nanos(0))
    assert clock.mono_ns() - before >= MILLISECOND // 2


def test_stamps_are_utc_with_microseconds():
    assert clocks.iso_utc(Nanos(1_795_449_300_000_184_000)) == "2026-11-23T15:55:00.000184Z"
    assert clocks.age_ms(Nanos(5_310 * MILLISECOND), Nanos(0)) == 5_310
