import asyncio
import contextlib

import aiohttp
import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from kalshi_daemon.app.simulated import follow
from kalshi_daemon.app.simulated.follow import ClockFollower, settle
from kalshi_daemon.ground.clock import ElasticClock
from kalshi_daemon.ground.errors import VenueUnreachable
from kalshi_daemon.ground.units import HOUR, MILLISECOND, SECOND, Nanos
from kalshi_daemon.simulator.time import timekeeper as timekeeper_module
from kalshi_daemon.simulator.time.timekeeper import LEAD_QUANTA, Timekeeper, quantum_ns

pytestmark = pytest.mark.alone

START = Nanos(1_800_000_000 * SECOND)
SPEED = 200.0
QUANTUM = quantum_ns(SPEED)


@pytest.mark.parametrize(
    ("speed", "expected"), [(1.0, 20), (10.0, 20), (25.0, 50), (100.0, 200), (200.0, 400), (10_000.0, 1_000)]
)
def test_a_quantum_is_two_real_milliseconds_within_bounds(speed, expected):
    assert quantum_ns(speed) == expected * MILLISECOND


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.001)


class Rig:
    def __init__(self, length_s, **options):
        self.clock = ElasticClock(START, SPEED)
        self.steps: list[Nanos] = []
        self.timekeeper = Timekeeper(self.clock, SPEED, self.steps.append, Nanos(START + length_s * SECOND), **options)
        self.url = ""

    @property
    def now(self):
        return self.steps[-1] if self.steps else START


@contextlib.asynccontextmanager
async def serving(length_s=20, **options):
    rig = Rig(length_s, **options)
    app = web.Application()
    app.router.add_get("/clock", rig.timekeeper.handle_follow)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    rig.url = f"http://127.0.0.1:{runner.addresses[0][1]}/clock"
    try:
        yield rig
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def raw_follower(rig):
    async with aiohttp.ClientSession() as session, session.ws_connect(rig.url) as socket:
        yield socket


async def read(socket):
    async with asyncio.timeout(5):
        message = await socket.receive()
    assert message.type is aiohttp.WSMsgType.TEXT
    return orjson.loads(message.data)


# ------------------------------------------------------------- the keeper


async def test_without_followers_time_runs_at_its_speed_step_by_step():
    rig = Rig(40)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await rig.timekeeper.run()
    took = loop.time() - began
    assert rig.steps == [START + step * QUANTUM for step in range(1, 40 * SECOND // QUANTUM + 1)]
    assert rig.clock.now_ns() == START + 40 * SECOND
    assert 40 / SPEED * 0.95 <= took < 10 * 40 / SPEED


async def test_the_clock_shows_exactly_the_instant_that_is_being_executed():
    seen = []
    clock = ElasticClock(START, SPEED)
    keeper = Timekeeper(clock, SPEED, lambda now: seen.append((now, clock.now_ns())), Nanos(START + 20 * SECOND))
    await keeper.run()
    assert all(now == shown for now, shown in seen)


async def test_a_follower_that_says_nothing_holds_time_up_until_it_is_dropped():
    with capture_logs() as logs:
        async with serving(20, silence_s_max=0.4) as rig, raw_follower(rig) as socket:
            await read(socket)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(rig.timekeeper.run())
                await until(lambda: rig.now == START + LEAD_QUANTA * QUANTUM)
                await asyncio.sleep(0.1)  # twenty steps' worth of real time
                assert rig.now == START + LEAD_QUANTA * QUANTUM
                assert rig.clock.now_ns() == rig.now
            assert rig.now == START + 20 * SECOND
            assert rig.timekeeper.followers == 0
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["timekeeper.follower_dropped"]


async def test_each_acknowledgement_lets_time_go_two_quanta_further_and_no_more():
    async with serving(20) as rig, raw_follower(rig) as socket:
        first = await read(socket)
        assert first == {"now_ns": START, "horizon_ns": START, "speed": SPEED}
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(rig.timekeeper.run())
            for acked in range(5):
                limit = START + (acked + LEAD_QUANTA) * QUANTUM
                await until(lambda limit=limit: rig.now == limit)
                message = await read(socket)
                while message["now_ns"] < limit:
                    message = await read(socket)
                assert message["horizon_ns"] == limit
                await socket.send_str(f'{{"ack_ns":{START + (acked + 1) * QUANTUM}}}')
            task.cancel()


async def test_an_answer_that_comes_slowly_keeps_the_follower():
    async with serving(20, silence_s_max=0.3) as rig, raw_follower(rig) as socket, asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.timekeeper.run())
        for _ in range(4):
            message = await read(socket)
            await asyncio.sleep(0.15)  # slower than life, quicker than the bound
            await socket.send_str(orjson.dumps({"ack_ns": message["now_ns"]}).decode())
        assert rig.timekeeper.followers == 1
        while rig.now < START + 20 * SECOND:
            await socket.send_str(orjson.dumps({"ack_ns": (await read(socket))["now_ns"]}).decode())


async def test_nobody_can_acknowledge_the_future():
    async with serving(20, silence_s_max=5.0) as rig, raw_follower(rig) as socket:
        await read(socket)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(rig.timekeeper.run())
            await socket.send_str(f'{{"ack_ns":{START + HOUR}}}')
            await until(lambda: rig.now >= START + LEAD_QUANTA * QUANTUM)
            await asyncio.sleep(0.05)
            assert rig.now <= START + 2 * LEAD_QUANTA * QUANTUM
            task.cancel()


@pytest.mark.parametrize("nonsense", ["x", "[]", "{}", '{"ack_ns":"1"}', '{"ack_ns":true}'])
async def test_a_follower_that_talks_nonsense_is_let_go(nonsense):
    async with serving() as rig, raw_follower(rig) as socket:
        await read(socket)
        await socket.send_str(nonsense)
        await until(lambda: rig.timekeeper.followers == 0)


async def test_a_follower_that_leaves_frees_time_at_once():
    async with serving(20) as rig:
        async with asyncio.TaskGroup() as tasks, raw_follower(rig) as socket:
            await read(socket)
            tasks.create_task(rig.timekeeper.run())
            await until(lambda: rig.now == START + LEAD_QUANTA * QUANTUM)
        assert rig.now == START + 20 * SECOND


async def test_time_can_wait_for_its_first_follower_but_not_forever():
    async with serving(2, hold_for_follower_s=5.0) as rig, asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.timekeeper.run())
        await asyncio.sleep(0.05)
        assert rig.now == START
        async with raw_follower(rig) as socket:
            await read(socket)
            await until(lambda: rig.now > START)
    lonely = Rig(2, hold_for_follower_s=0.05)
    with capture_logs() as logs:
        await lonely.timekeeper.run()
    assert lonely.now == START + 2 * SECOND
    assert "timekeeper.nobody_follows" in [each["event"] for each in logs]


async def test_after_its_end_time_stands_still_unless_overtime_is_run():
    rig = Rig(2)
    await rig.timekeeper.run()
    assert rig.clock.now_ns() == START + 2 * SECOND
    async with asyncio.TaskGroup() as tasks:
        began = asyncio.get_running_loop().time()
        task = tasks.create_task(rig.timekeeper.run_overtime())
        await asyncio.wait_for(rig.clock.sleep(Nanos(100 * MILLISECOND)), 5)
        assert asyncio.get_running_loop().time() - began >= 0.09
        task.cancel()


async def test_lost_time_is_made_up_only_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(timekeeper_module, "CATCH_UP_S_MAX", 0.1)
    loop = asyncio.get_running_loop()
    slow: list[float] = []

    def busy(now):
        if not slow:
            end = loop.time() + timekeeper_module.CATCH_UP_S_MAX + 0.2
            while loop.time() < end:
                pass
        slow.append(loop.time())

    clock = ElasticClock(START, 1.0)
    keeper = Timekeeper(clock, 1.0, busy, Nanos(START + 400 * MILLISECOND))
    began = loop.time()
    await keeper.run()
    assert loop.time() - began > 0.4 + 0.15  # the 0.2 s beyond the bound are not made up


async def test_there_is_a_most_of_followers(monkeypatch):
    monkeypatch.setattr(timekeeper_module, "FOLLOWERS_MAX", 1)
    async with serving() as rig, raw_follower(rig):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with raw_follower(rig):
                pass


# ------------------------------------------------------------ the follower


async def test_a_follower_shows_the_keepers_time_and_holds_it_up_while_it_is_busy():
    async with serving(30) as rig:
        clock, pending = ElasticClock(START, 1.0), [True]
        follower = ClockFollower(rig.url, clock, busy=lambda: pending[0])
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(follower.run())
            await follower.followed.wait()
            tasks.create_task(rig.timekeeper.run())
            await until(lambda: rig.now == START + LEAD_QUANTA * QUANTUM)
            await asyncio.sleep(0.1)
            assert rig.now == START + LEAD_QUANTA * QUANTUM
            assert clock.now_ns() <= rig.now
            pending[0] = False
            await asyncio.wait_for(clock.sleep_until(Nanos(START + 30 * SECOND)), 5)
            assert rig.now == START + 30 * SECOND
            assert clock.speed == SPEED
            following.cancel()


async def test_what_a_follower_does_about_an_instant_is_done_before_the_instant_is_left():
    """The point of it all: at 200 times life a chain of loop turns still happens at one simulated time."""
    async with serving(30) as rig:
        clock = ElasticClock(START, 1.0)
        late = []

        async def decide_every_second():
            due = START
            while due < START + 25 * SECOND:
                due = Nanos(due + SECOND)
                await clock.sleep_until(due)
                for _ in range(5):
                    await asyncio.sleep(0)
                late.append(rig.now - due)

        async with asyncio.TaskGroup() as tasks:
            follower = ClockFollower(rig.url, clock)
            following = tasks.create_task(follower.run())
            await follower.followed.wait()  # without a follower time simply runs
            working = tasks.create_task(decide_every_second())
            tasks.create_task(rig.timekeeper.run())
            await working
            await until(lambda: rig.now == START + 30 * SECOND)
            following.cancel()
        assert max(late) <= LEAD_QUANTA * QUANTUM


async def test_a_clock_is_let_go_when_the_link_ends_so_that_nobody_hangs_on_it():
    clock = ElasticClock(START, SPEED)
    async with serving(20) as rig:
        follower = ClockFollower(rig.url, clock)
        following = asyncio.gather(follower.run(), return_exceptions=True)
        await follower.followed.wait()
        assert clock.now_ns() == START
    (ended,) = await following
    assert isinstance(ended, VenueUnreachable)
    await asyncio.wait_for(clock.sleep(Nanos(10 * SECOND)), 5)


async def test_a_simulator_that_ends_in_order_ends_its_followers_without_an_error():
    async with serving(20) as rig, asyncio.TaskGroup() as tasks:
        follower = ClockFollower(rig.url, ElasticClock(START, 1.0))
        following = tasks.create_task(follower.run())
        await follower.followed.wait()
        await rig.timekeeper.run()
        await rig.timekeeper.aclose()
        await following
        assert rig.timekeeper.followers == 0


async def test_a_follower_that_does_not_leave_is_cut_off():
    async with serving(20, leave_s_max=0.05) as rig, raw_follower(rig) as socket:
        await read(socket)
        await rig.timekeeper.aclose()
        assert rig.timekeeper.followers == 0


async def test_a_dropped_follower_knows_that_its_link_broke():
    async with serving(20, silence_s_max=0.05) as rig:
        follower = ClockFollower(rig.url, ElasticClock(START, 1.0), busy=lambda: rig.timekeeper.followers == 1)
        following = asyncio.gather(follower.run(), return_exceptions=True)
        await follower.followed.wait()
        await rig.timekeeper.run()
        (ended,) = await following
    assert isinstance(ended, VenueUnreachable)
    assert "clock" in str(ended)


async def test_a_simulator_that_is_not_there_is_unreachable():
    async with serving() as rig:
        url = rig.url
    with pytest.raises(VenueUnreachable, match="follow the simulator's clock"):
        await ClockFollower(url, ElasticClock(START, 1.0)).run()


async def test_a_clock_that_talks_nonsense_is_unreachable():
    async def nonsense(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"now_ns": 1}')
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_get("/clock", nonsense)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with pytest.raises(VenueUnreachable, match="not a message about time"):
            await ClockFollower(f"http://127.0.0.1:{runner.addresses[0][1]}/clock", ElasticClock(START, 1.0)).run()
    finally:
        await runner.cleanup()


async def test_settling_waits_for_quiet_turns_in_a_row_and_is_bounded():
    looks = iter([False, True, True, False, False, False])
    asked = []

    def busy():
        asked.append(next(looks))
        return asked[-1]

    assert await settle(busy, turns=3)
    assert asked == [False, True, True, False, False, False]
    began = asyncio.get_running_loop().time()
    assert not await settle(lambda: True, s_max=0.05)
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_look_that_waited_for_a_processor_counts_as_a_look_of_an_idle_machine(monkeypatch):
    loop, turn_s, looks = asyncio.get_running_loop(), 0.0, 0
    real = loop.time

    def late():
        nonlocal turn_s
        turn_s += 1.0  # each question for the time finds a second gone
        return real() + turn_s

    def busy():
        nonlocal looks
        looks += 1
        return looks < 50

    monkeypatch.setattr(loop, "time", late)
    assert await settle(busy, s_max=2.0)
    looks = 0
    assert not await settle(lambda: True, s_max=2.0), "and there is a bound all the same"


def test_both_sides_have_the_same_last_word():
    assert follow.ENDED == timekeeper_module.ENDED
