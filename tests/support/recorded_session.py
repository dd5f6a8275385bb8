"""A session in process, recorded as a live one is: the whole run of the daemon, with its files, on a serial loop.

The market is that of a backtest, in virtual time; the daemon is not the bare core but `app.daemon.DaemonRun` with all
its tasks, so that its recording is one of a life, and several lives may follow one another.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from kalshi_daemon.app.clients import Endpoints
from kalshi_daemon.app.daemon import RunOptions, recordable_run, run_id_of
from kalshi_daemon.app.recorded import Recorded, begin_recording
from kalshi_daemon.backtest.local_http import BASE_URL, LocalSession
from kalshi_daemon.backtest.local_sockets import Dial, FeedSide, StreamSide
from kalshi_daemon.backtest.session import NoSignature, SessionPlan, drain
from kalshi_daemon.backtest.virtual_time import VirtualLoop
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations.logging import LineSink
from kalshi_daemon.recording.driver import Driver
from kalshi_daemon.recording.wire import WireDial, WireSession
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.simulator.exchange.faults import Faults
from kalshi_daemon.simulator.exchange.sim_auth import KeyRing
from kalshi_daemon.simulator.exchange.ws_server import StreamHub
from kalshi_daemon.simulator.latency import Delays
from kalshi_daemon.simulator.world import World, WorldPlan, start_of

type Wrap = Callable[[Any], Any]
"""Puts something between the daemon and the market: what stands for the client session, or for a way to connect."""

_STREAM_URL: Final = "ws://backtest/trade-api/ws/v2"
_FEED_URL: Final = "ws://backtest/indices"
_OPTIONS: Final = RunOptions(armed=True, force_gate_pass=False, show_progress=False, environ={})


@dataclass(frozen=True, slots=True)
class Lives:
    """How the daemon lives through the session."""

    killed_at: Sequence[Nanos] = ()
    """Instants at which it is killed, rising; the next life begins at once on what is on disk."""
    wrap_http: Wrap = field(default=lambda far: far)
    wrap_dial: Wrap = field(default=lambda far: far)


@dataclass(slots=True)
class Lived:
    """One life: where its recording is, and how it ended; None: killed."""

    recording: Path
    code: ExitCode | None


def record_session(plan: SessionPlan, folder: Path, lives: Lives = Lives()) -> list[Lived]:
    """Play one session, each life in a folder of its own below `folder`. Raises what the parts raise."""
    assert isinstance(plan.world, WorldPlan), "a made-up session"
    loop = VirtualLoop(start_of(plan.world))
    try:
        return loop.run_until_complete(_RecordedSession(plan, loop, folder, lives).run())
    finally:
        drain(loop)
        loop.close()


class _RecordedSession:
    def __init__(self, plan: SessionPlan, loop: VirtualLoop, folder: Path, lives: Lives) -> None:
        assert isinstance(plan.world, WorldPlan), "a made-up session"
        self._plan = plan
        self._clock = loop.clock
        self._folder = folder
        self._lives = lives
        delays = Delays(plan.latency, plan.world.seed)
        self.world = World(plan.world, loop.clock)
        exchange, account = self.world.exchange, self.world.account
        hub = StreamHub(exchange, KeyRing(), Faults(), ())
        exchange.set_listener(hub)
        stream = StreamSide(exchange, hub, account.name, loop.clock)
        feed = FeedSide(self.world.paths, loop.clock)
        self.world.publish = feed.publish
        self._http = lives.wrap_http(LocalSession(exchange, account, loop.clock, delays.request_ns))
        self._dials: Mapping[str, Any] = {
            _STREAM_URL: lives.wrap_dial(Dial(lambda: stream.opened(delays.stream_ns))),
            _FEED_URL: lives.wrap_dial(Dial(lambda: feed.opened(delays.feed_ns))),
        }

    async def run(self) -> list[Lived]:
        async with asyncio.TaskGroup() as group:
            world = group.create_task(self._run_world(), name="backtest.world")
            lived = [await self._live(number, group) for number in range(len(self._lives.killed_at) + 1)]
            world.cancel()
        return lived

    async def _run_world(self) -> None:
        """Second by second, also a little beyond its end: the way down takes its time."""
        while True:
            now = self._clock.now_ns()
            await self._clock.sleep_until(Nanos(now - now % SECOND + SECOND))
            if self._clock.now_ns() <= self.world.end_ns:
                self.world.run_until(self._clock.now_ns())

    async def _live(self, number: int, group: asyncio.TaskGroup) -> Lived:
        killed_at = self._lives.killed_at[number] if number < len(self._lives.killed_at) else None
        folder = self._folder / str(number + 1)
        if number:
            shutil.copytree(self._folder / str(number), folder, ignore=shutil.ignore_patterns("recordings"))
        settings = _settings(self._plan.settings, folder)
        entropy = sha256(f"{self._plan.world.seed} {number}".encode()).digest()[:16]
        driver = Driver(self._clock, self._clock.mono_ns, slack_s=0.0)
        sink = LineSink(stdout=False, path=None, bytes_max=1_000)
        run = recordable_run(settings, _OPTIONS, driver.desk, entropy, sink)
        signer: Any = NoSignature()
        near = partial(WireDial, driver.desk)
        where = Endpoints(BASE_URL, _STREAM_URL, _FEED_URL, signer, near=lambda _far, secret: near(self._dial, secret))
        http: Any = WireSession(driver.desk, self._http)
        end_ns = self.world.end_ns
        recorded = Recorded(run_id_of(entropy), entropy, _OPTIONS.recorded | {"on_time": False}, where, end_ns)
        writer = begin_recording(settings, driver, recorded, self._clock.now_ns())
        assert writer is not None, "there is room for it"
        life = group.create_task(driver.live(partial(run.trade, where, http, end_ns=end_ns)), name="backtest.life")
        if killed_at is None:
            code = await life
            writer.close()
            return Lived(writer.path, code)
        await self._clock.sleep_until(killed_at)
        writer.abandon()
        driver.abandon()
        life.cancel()
        await asyncio.wait({life})
        return Lived(writer.path, None)

    def _dial(self, url: str, **options: Any) -> Any:
        return self._dials[url](url, **options)


def _settings(settings: Settings, folder: Path) -> Settings:
    feed = settings.index_feed.model_copy(update={"api_key": SecretStr("backtest"), "rest_url": ""})
    kalshi = settings.kalshi.model_copy(update={"subaccount": 0})
    orders = settings.orders.model_copy(update={"journal_synchronous": "normal"})
    changed = {"state_dir": folder, "index_feed": feed, "kalshi": kalshi, "orders": orders}
    return settings.model_copy(update=changed)
