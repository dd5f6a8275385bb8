"""The consumer against the feed server on loopback, with time that moves only when a test says so."""

import asyncio
import contextlib
import functools
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from kalshi_daemon.domain.index import Bar, Index, Tick
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import HOUR, SECOND, Nanos, from_s
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners
from kalshi_daemon.settings.model import IndexFeedSettings
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_path import IndexPath, Paths
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from kalshi_daemon.state import DaemonState

KEY = "a-key"
OPEN_NS = Nanos(int(datetime(2026, 11, 23, 14, 30, tzinfo=UTC).timestamp()) * SECOND)
SESSION = Session("2026-11-23", OPEN_NS, Nanos(OPEN_NS + 13 * HOUR // 2), half_day=False)
PATIENCE_S = 5.0
"""Real time a condition may take on a busy machine."""


@functools.cache
def paths() -> dict[Index, IndexPath]:
    return synthesize_session(SESSION, 1)


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for something the loop is about to do; a bound on real time, never a delay hoped to be long enough."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - any condition, not one that somebody could signal
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"never came true: {what or condition}") from None


async def sleepers(clock: ManualClock, due_ns: int | None = None) -> None:
    """Wait until some task sleeps on the clock (until `due_ns` at the earliest)."""
    await until(lambda: (clock._sleepers.next_due() or 0) > (due_ns or 0), "a task sleeps on the clock")


class Rig:
    """One feed server, one consumer."""

    def __init__(self, server: FeedServer, clock: ManualClock, url: str, settings: IndexFeedSettings) -> None:
        self.server = server
        self.clock = clock
        self.url = url
        self.state = DaemonState()
        self.ticks: list[Tick] = []
        self.bars: list[Bar] = []
        self.session_open = True
        self.feed = self.new_feed(self.state, settings)

    def new_feed(self, state: DaemonState, settings: IndexFeedSettings) -> IndexFeed:
        return IndexFeed(
            state,
            settings,
            self.clock,
            self.url,
            FeedListeners(self.ticks.append, self.bars.append),
            FeedContext(session_open=lambda: self.session_open),
            rng=random.Random(1),
        )

    async def opened(self, sessions: int = 1) -> None:
        await until(lambda: self.state.feed.connected and self.state.feed.sessions == sessions, "a session opened")

    def second(self) -> None:
        """One second passes and is published."""
        self.clock.advance(SECOND)
        self.server.publish(self.clock.now_ns())

    async def play(self, seconds: int, index: Index = Index.SPX) -> None:
        """Seconds pass one by one, each delivered before the next."""
        for _ in range(seconds):
            self.second()
            now = Nanos(self.clock.now_ns() // SECOND * SECOND)
            await until(functools.partial(self._shows, index, now))

    def _shows(self, index: Index, at_ns: Nanos) -> bool:
        last = self.state.index[index].last
        return last is not None and last.event_ns == at_ns

    async def retry(self) -> None:
        """Let the back-off that is being slept run out."""
        await until(lambda: not self.state.feed.connected, "the session ended")
        await sleepers(self.clock)
        due = self.clock._sleepers.next_due()
        assert due is not None
        self.clock.set(Nanos(due))


def feed_settings(**changes: object) -> IndexFeedSettings:
    given = IndexFeedSettings(api_key=SecretStr(KEY), ack_timeout_s=PATIENCE_S, agreeing_values_min=1)
    return given.model_copy(update=changes)


@contextlib.asynccontextmanager
async def rig(
    *, before_open_s: float = 1.0, served: Paths | None = None, run: bool = True, **changes: object
) -> AsyncIterator[Rig]:
    """A server and a running consumer. Keyword arguments change `IndexFeedSettings`."""
    clock = ManualClock(Nanos(OPEN_NS - from_s(before_open_s)))
    server = FeedServer(served or paths(), clock, KEY)
    url = await server.start(0)
    try:
        made = Rig(server, clock, url, feed_settings(**changes))
        if not run:
            yield made
            return
        async with running(made.feed.run()):
            yield made
    finally:
        await server.aclose()


@contextlib.asynccontextmanager
async def running(task: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Run a never-ending coroutine beside the block; its failure is the block's failure."""
    try:
        async with asyncio.TaskGroup() as tasks:
            started = tasks.create_task(task)
            yield
            started.cancel()
    except* asyncio.CancelledError:
        pass
