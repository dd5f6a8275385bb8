"""Feed, keeper, follower and consumer together: a minute and a half of market at 200 times life."""

import asyncio
import random
from datetime import UTC, datetime

import pytest
from aiohttp import web
from pydantic import SecretStr

from kalshi_daemon.app.simulated.follow import ClockFollower
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import ElasticClock
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners
from kalshi_daemon.settings.model import IndexFeedSettings
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from kalshi_daemon.simulator.time.timekeeper import Timekeeper
from kalshi_daemon.state import DaemonState
from tests.support.instruments import INDICES

pytestmark = pytest.mark.alone

OPEN_NS = Nanos(int(datetime(2026, 11, 23, 14, 30, tzinfo=UTC).timestamp()) * SECOND)
SESSION = Session("2026-11-23", OPEN_NS, Nanos(OPEN_NS + 13 * HOUR // 2), half_day=False)
SPEED = 200.0
START_NS = Nanos(OPEN_NS - 10 * SECOND)
END_NS = Nanos(OPEN_NS + 90 * SECOND)


async def test_every_value_arrives_fresh_at_two_hundred_times_life():
    server_clock, clock = ElasticClock(START_NS, SPEED), ElasticClock(START_NS, SPEED)
    server = FeedServer(synthesize_session(SESSION, 1), server_clock, "K")
    keeper = Timekeeper(server_clock, SPEED, server.publish, END_NS, hold_for_follower_s=5.0)
    app = web.Application()
    app.router.add_get("/clock", keeper.handle_follow)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    state = DaemonState()
    ages: dict[Index, list[int]] = {index: [] for index in INDICES}
    feed = IndexFeed(
        state,
        IndexFeedSettings(api_key=SecretStr("K"), agreeing_values_min=1),
        clock,
        await server.start(0),
        FeedListeners(lambda tick: ages[tick.index].append(clock.now_ns() - tick.event_ns), lambda _bar: None),
        FeedContext(lambda: clock.now_ns() >= OPEN_NS),
        rng=random.Random(1),
    )
    follower = ClockFollower(f"http://127.0.0.1:{runner.addresses[0][1]}/clock", clock)
    try:
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(feed.run())
            async with asyncio.timeout(5):
                while not state.feed.connected:  # noqa: ASYNC110 - what the daemon's own guards look at
                    await asyncio.sleep(0.001)
            following = tasks.create_task(follower.run())
            await keeper.run()
            await keeper.aclose()
            await following
            feeding.cancel()
    finally:
        await server.aclose()
        await runner.cleanup()
    assert state.feed.sessions == 1
    for index in INDICES:
        assert len(ages[index]) == 91  # one a second, both ends included, none lost or refused
        assert state.index[index].refused == 0
        assert max(ages[index]) <= 2 * SECOND
        bar = state.index[index].last_bar
        assert bar is not None
        assert bar.end_ns == OPEN_NS + MINUTE
    assert abs(state.skew["index_feed"].offset_ns) <= 2 * SECOND
