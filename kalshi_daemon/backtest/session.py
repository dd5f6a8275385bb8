"""One session of the daemon's core against the simulated venue, in this process and in virtual time.

The parts are those of the live daemon, built by `app.core` and joined by its router; REST client, stream client and
feed client are the live ones too, over connections without a wire. What is left out: log lines, files of artifacts and
recordings, the watches of a machine (disk, kill switch, time of the machine).
"""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import SecretStr

from kalshi_daemon.app.clients import Clients, Endpoints
from kalshi_daemon.app.core import Core, Plan, Ports, build_core
from kalshi_daemon.app.session_end import summarise
from kalshi_daemon.artifacts.session import SessionTotals
from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.backtest.local_http import BASE_URL, LocalSession
from kalshi_daemon.backtest.local_sockets import Dial, FeedSide, StreamSide
from kalshi_daemon.backtest.recorded.recorded_day import read_day
from kalshi_daemon.backtest.recorded.recorded_world import RecordedPlan, RecordedWorld, span_of
from kalshi_daemon.backtest.virtual_time import VirtualLoop
from kalshi_daemon.backtest.warm_memory import Memory
from kalshi_daemon.ground.clock import Clock, ManualClock
from kalshi_daemon.ground.durable import write_whole
from kalshi_daemon.ground.units import SECOND, Nanos, from_s
from kalshi_daemon.memory.store import memory_path
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.simulator.exchange.faults import Faults
from kalshi_daemon.simulator.exchange.sim_auth import KeyRing
from kalshi_daemon.simulator.exchange.ws_server import StreamHub
from kalshi_daemon.simulator.latency import Delays, Latency
from kalshi_daemon.simulator.world import World, WorldPlan, start_of
from kalshi_daemon.state import DaemonState, DiskState
from kalshi_daemon.windows.macro import MacroWatch

_STREAM_URL: Final = "ws://backtest/trade-api/ws/v2"
_FEED_URL: Final = "ws://backtest/indices"
_ROOM_BYTES: Final = 1 << 40
_SESSION_ENDED: Final = "the session ended"


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What to play: the world, the daemon's settings, and how far both are apart."""

    world: WorldPlan | RecordedPlan
    settings: Settings
    latency: Latency = field(default_factory=Latency)
    memory: Memory = field(default_factory=dict)
    """What the daemon has learnt before; {}: nothing, a cold start."""


class NoSignature:
    """Signs nothing: there is nobody to check it."""

    algorithm = "none"
    fingerprint = ""

    def headers(self, _method: str, _target: str, _timestamp_ms: int) -> dict[str, str]:
        """None."""
        return {}


class Unwritten(ArtifactWriter):
    """Artifacts of a session that leaves no files."""

    def _take(self, _job: object) -> None:
        """Nobody reads it."""

    def audit(self, _entry: object) -> None:
        """Nobody reads it."""


type Watch = Callable[[World | RecordedWorld, DaemonState], Callable[[Nanos], None]]


@dataclass(slots=True)
class Played:
    """A session after its end: everything it knew."""

    world: World | RecordedWorld
    state: DaemonState
    summary: SessionTotals
    events: int
    """Frames of stream and feed, and answers, that reached the core."""


def play(plan: SessionPlan, watch: Watch | None = None) -> Played:
    """Play one session to its end. `watch` is given world and state and makes what is called each second.

    Raises what the parts raise, and NothingDue when they wait for one another.
    """
    with tempfile.TemporaryDirectory(prefix="kalshi-daemon-backtest-") as folder:
        starts_ns, make_world = _world_of(plan.world)
        loop = VirtualLoop(starts_ns)
        world = make_world(loop.clock)
        wires = LocalWires(world, loop.clock, Delays(plan.latency, plan.world.seed))
        try:
            return loop.run_until_complete(Session(plan, world, wires, loop.clock, Path(folder)).run(watch))
        finally:
            drain(loop)
            loop.close()


class Wires(Protocol):
    """What lies between the daemon's clients and the venue."""

    where: Endpoints
    http: Any
    """What the REST client calls its session."""

    @property
    def stream(self) -> Callable[..., Any] | None:
        """What dials the stream; None: the client's own way."""
        ...

    @property
    def feed(self) -> Callable[..., Any] | None:
        """What dials the feed, likewise."""
        ...

    @property
    def events(self) -> int:
        """Frames of stream and feed, and answers, so far."""
        ...


class LocalWires:
    """None at all: both ends in one process, each message after its delay."""

    def __init__(self, world: World | RecordedWorld, clock: ManualClock, delays: Delays) -> None:
        exchange, account = world.exchange, world.account
        hub = StreamHub(exchange, KeyRing(), Faults(), ())
        world.set_listener(hub)
        signer: Any = NoSignature()
        self.where = Endpoints(BASE_URL, _STREAM_URL, _FEED_URL, signer)
        self.http = LocalSession(exchange, account, clock, delays.request_ns)
        self._stream = StreamSide(exchange, hub, account.name, clock)
        self._feed = FeedSide(world.paths, clock)
        world.publish = self._feed.publish
        self.stream = Dial(lambda: self._stream.opened(delays.stream_ns))
        self.feed = Dial(lambda: self._feed.opened(delays.feed_ns))

    @property
    def events(self) -> int:
        """As `Wires` has it."""
        return self._stream.sent + self._feed.sent + self.http.requests


class Session:
    """World and daemon around one clock."""

    def __init__(
        self, plan: SessionPlan, world: World | RecordedWorld, wires: Wires, clock: ManualClock, folder: Path
    ) -> None:
        self.world = world
        self._wires = wires
        self._clock = clock
        self.settings = _local(plan.settings, folder)
        self.state = DaemonState(plan.world.table)
        self._seed = plan.world.seed
        for index, content in plan.memory.items():
            write_whole(memory_path(self.settings.mode_dir, index), content, "what the model has learnt")

    async def run(self, watch: Watch | None) -> Played:
        """Play it to its end. `watch`: as `play` has it."""
        settings, clock, state = self.settings, self._clock, self.state
        plan = Plan("backtest", self._seed.to_bytes(16), armed=True, force_gate_pass=False, on_progress=_nothing)
        wires = self._wires
        clients = Clients(settings, clock, wires.where, wires.http, state, armed=True, entropy=plan.entropy)
        rest, stream = clients.exchange()
        stream.dial = wires.stream or stream.dial
        folder = settings.mode_dir
        journal = Journal.open(journal_path(folder), clock.now_ns(), synchronous="off")
        artifacts = Unwritten(folder, clock, run_id="backtest", mode="sim")
        ports = Ports(clock, rest, stream, None, journal, artifacts, None)
        core = build_core(settings, plan, ports, clients.router, state)
        feed = clients.feed(core.learning.models, core.snapshots)
        feed.dial = wires.feed or feed.dial
        macro = MacroWatch(state, clock, settings.macro)
        look = None if watch is None else watch(self.world, state)
        works = (feed.run(), stream.run(), macro.run(), core.monitor.run(), core.scheduler.run(), core.trader.run())
        try:
            async with asyncio.TaskGroup() as group:
                world = group.create_task(self._run_world(look), name="backtest.world")
                core.orders.load()
                await core.orders.start()
                await rest.load_limits()
                tasks = [group.create_task(work, name="backtest.part") for work in (*works, core.orders.run())]
                await world
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                summary = await self._end(core)
        finally:
            journal.close()
        return Played(self.world, state, summary, wires.events)

    async def _end(self, core: Core) -> SessionTotals:
        """The shutdown sequence, and what the session came to."""
        state, now = self.state, self._clock.now_ns()
        state.latch.closed, state.latch.reason, state.latch.closed_ns = True, _SESSION_ENDED, now
        stopped = await core.orders.cancel_all(
            _SESSION_ENDED, Nanos(now + from_s(self.settings.orders.stop_deadline_s))
        )
        return await summarise(core.orders, state, stopped)

    async def _run_world(self, look: Callable[[Nanos], None] | None) -> None:
        """From one instant of the world to the next: second by second, or as it was recorded."""
        world, clock = self.world, self._clock
        self.state.kill_switch = False
        while clock.now_ns() < world.end_ns:
            # There is no disk to run out of: the guard that asks sees one with room for everything.
            self.state.disk = DiskState(_ROOM_BYTES, None, clock.now_ns(), "")
            await clock.sleep_until(world.next_instant(clock.now_ns()))
            now = clock.now_ns()
            world.run_until(now)
            if look is not None and now % SECOND == 0:
                look(now)


def _world_of(plan: WorldPlan | RecordedPlan) -> tuple[Nanos, Callable[[Clock], World | RecordedWorld]]:
    """When the world begins, and what makes it."""
    if isinstance(plan, WorldPlan):
        return start_of(plan), lambda clock: World(plan, clock)
    day = read_day(plan.folder, plan.day, plan.table)
    return span_of(day, plan.minutes)[0], lambda clock: RecordedWorld(plan, day, clock)


def _nothing() -> None:
    return None


def _local(settings: Settings, folder: Path) -> Settings:
    """The settings of a daemon that talks to nobody but the venue in this process."""
    feed = settings.index_feed.model_copy(update={"api_key": SecretStr("backtest"), "rest_url": "", "record": False})
    kalshi = settings.kalshi.model_copy(update={"subaccount": 0})
    return settings.model_copy(update={"state_dir": folder, "index_feed": feed, "kalshi": kalshi})


def drain(loop: VirtualLoop) -> None:
    """Let every task that is left end before its loop is gone."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
