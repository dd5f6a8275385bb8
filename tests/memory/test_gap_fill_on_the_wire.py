"""The whole way over sockets: the feed breaks off, comes back, history is asked, the forecast is what it would be."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import date
from functools import partial

import pytest
import structlog
from pydantic import SecretStr

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.history import history_of
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.memory.models import Learning, build_learning
from kalshi_daemon.settings.model import IndexFeedSettings, Settings
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.releases import MacroCalendar
from kalshi_daemon.windows.sessions import load_sessions
from tests.index_feed.feed_rig import KEY, OPEN_NS, paths, until
from tests.support.instruments import INDICES

TABLE = load_sessions(date(2026, 11, 16), date(2026, 11, 24))
TEN = Nanos(OPEN_NS + HOUR // 2)


def at(minute: float) -> Nanos:
    return Nanos(OPEN_NS + round(minute * MINUTE))


class Rig:
    """Vendor, consumer and models of both indices; time moves when a test says so."""

    def __init__(self, server: FeedServer, clock: ManualClock, state: DaemonState, learning: Learning) -> None:
        self.server = server
        self.clock = clock
        self.state = state
        self.learning = learning

    async def play(self, to: Nanos) -> None:
        """Seconds pass one by one, each delivered before the next; a request under way holds time up."""
        while self.clock.now_ns() < to:
            self.clock.advance(SECOND)
            now = self.clock.now_ns()
            self.server.publish(now)
            await until(partial(self._shows, now), "the second arrived")
            await until(lambda: not self.learning.in_flight, "history has answered")

    def _shows(self, now: Nanos) -> bool:
        shown = (index.last for index in self.state.index.values())
        return now < OPEN_NS or all(last is not None and last.event_ns == now for last in shown)

    async def drop(self, back: Nanos) -> None:
        """The line breaks now; nothing comes until `back`, when the consumer's next try succeeds."""
        sessions = self.state.feed.sessions
        self.server.abort()
        await until(lambda: not self.state.feed.connected, "the line broke")
        await until(lambda: self.clock._sleepers.next_due() is not None, "it will be tried again")
        while self.clock.now_ns() < back:
            self.clock.set(min(back, Nanos(self.clock.now_ns() + MINUTE)))
            self.server.publish(self.clock.now_ns())
        await until(lambda: self.state.feed.sessions == sessions + 1, "it is back")

    def said(self, minute: float) -> list[tuple[float, float]]:
        """Level and sigma at ten of each index."""
        distributions = [self.state.calibration[index].forecast(at(minute), TEN) for index in INDICES]
        return [(distribution.level, distribution.sigma) for distribution in distributions if distribution is not None]

    def watched(self, minute: float) -> list[float]:
        return [self.state.calibration[index].health(at(minute)).minutes_seen for index in INDICES]


@contextlib.asynccontextmanager
async def rig(folder, *, start: float = -0.1, gap_fill: bool = True) -> AsyncIterator[Rig]:
    clock, state = ManualClock(at(start)), DaemonState()
    server = FeedServer(paths(), clock, KEY)
    url = await server.start(0)
    feed_settings = IndexFeedSettings(
        agreeing_values_min=1,
        url=url,
        rest_url=server.rest_url,
        api_key=SecretStr(KEY),
        gap_fill=gap_fill,
        ack_timeout_s=5.0,
    )
    chosen = Settings(state_dir=folder, index_feed=feed_settings)
    try:
        async with open_session() as http:
            learning = build_learning(chosen, clock, history_of(feed_settings, clock, http), TABLE, MacroCalendar())
            state.calibration.update(learning.models)
            feed = IndexFeed(
                state,
                feed_settings,
                clock,
                url,
                FeedListeners(learning.on_tick, learning.on_bar, learning.on_session),
                FeedContext(lambda: False),
                rng=random.Random(1),
            )
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.TaskGroup() as tasks:
                    running = [tasks.create_task(feed.run())]
                    if learning.gaps is not None:
                        running.append(tasks.create_task(learning.gaps.run()))
                    await until(lambda: state.feed.connected, "the feed is up")
                    yield Rig(server, clock, state, learning)
                    for task in running:
                        task.cancel()
    finally:
        await server.aclose()


async def test_a_drop_heals_and_the_forecasts_are_those_of_a_feed_that_never_dropped(tmp_path):
    with structlog.testing.capture_logs() as lines:
        async with rig(tmp_path / "a") as made:
            await made.play(at(6.3))
            await made.drop(at(12.4))
            await made.play(at(15))
            healed, watched = made.said(15), made.watched(15)
    async with rig(tmp_path / "b") as made:
        await made.play(at(15))
        steady, whole = made.said(15), made.watched(15)
    async with rig(tmp_path / "c", gap_fill=False) as made:
        await made.play(at(6.3))
        await made.drop(at(12.4))
        await made.play(at(15))
        left, less = made.said(15), made.watched(15)
    assert len(healed) == len(steady) == 2
    for mine, theirs, unhealed in zip(healed, steady, left, strict=True):
        assert mine[0] == theirs[0], "the same level"
        assert mine[1] == pytest.approx(theirs[1], rel=0.003), "sigma within 0.3 % of a feed that never dropped"
        assert abs(mine[1] - theirs[1]) < 0.2 * abs(unhealed[1] - theirs[1]), "and far nearer than without history"
    assert watched == pytest.approx(whole, abs=0.01)
    assert all(few < many - 5 for few, many in zip(less, whole, strict=True))
    filled = [line for line in lines if line["event"] == "calibration.gap_filled"]
    assert [(line["index"], line["minutes"], line["missing"]) for line in filled[-2:]] == [("SPX", 6, 0), ("NDX", 6, 0)]
    assert not [line for line in lines if line["log_level"] == "warning" and line["event"].startswith("calibration")]


async def test_a_life_that_begins_in_the_session_is_ready_at_once(tmp_path):
    async with rig(tmp_path, start=14.2) as made:
        await made.play(at(15))
        assert all(made.state.calibration[index].health(at(15)).ready for index in INDICES)
        assert made.watched(15) == pytest.approx([14.0, 14.0], abs=0.01)


async def test_a_restart_goes_on_from_what_was_kept_and_asks_for_the_time_between(tmp_path):
    async with rig(tmp_path) as made:
        await made.play(at(6.3))
        made.learning.memory.save()
    async with rig(tmp_path, start=12.4) as made:
        assert made.learning.memory.recollections[Index.SPX].restored_ns == at(6.3)
        await made.play(at(15))
        restarted = made.said(15)
    async with rig(tmp_path / "other") as made:
        await made.play(at(6.3))
        await made.drop(at(12.4))
        await made.play(at(15))
        dropped = made.said(15)
    for mine, theirs in zip(restarted, dropped, strict=True):
        assert mine == pytest.approx(theirs, rel=2e-3), "but for the second in which the first price comes back"


async def test_a_vendor_without_history_leaves_the_gap_and_says_so_once(tmp_path):
    with structlog.testing.capture_logs() as lines:
        async with rig(tmp_path) as made:
            made.server.history.faults.refusal = "Your plan doesn't include this data."
            await made.play(at(6.3))
            await made.drop(at(12.4))
            await made.play(at(14))
            assert made.watched(14)[0] < 8
    warnings = [line for line in lines if line["event"] == "calibration.gap_not_filled"]
    assert len(warnings) == 1, "already at the cold start, and never again"
    assert "Your plan doesn't include this data." in warnings[0]["SPX"]
