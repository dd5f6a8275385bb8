"""The driver of the live and the simulated daemon: real sockets, real files, and the core built on them.

`build_components` makes everything without starting anything; `daemon` runs the tasks and owns the stop.
"""

from dataclasses import dataclass

import aiohttp

from kalshi_daemon.app.clients import Clients, Endpoints
from kalshi_daemon.app.core import Core, Plan, Ports, build_core
from kalshi_daemon.artifacts.noted import NotedArtifacts
from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.history import history_of
from kalshi_daemon.index_feed.recorder import Recorder
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.stream import KalshiStream
from kalshi_daemon.operations.disk_watch import DiskWatch
from kalshi_daemon.operations.group_reset import GroupResetWatch
from kalshi_daemon.operations.kill_switch import KillSwitch, KillSwitchWatch, kill_switch_path
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.retention.keeper import RetentionKeeper
from kalshi_daemon.settings.model import PROFILE_NAMES, Settings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.trading.loop import Trader
from kalshi_daemon.windows.macro import MacroWatch


@dataclass(frozen=True, slots=True)
class Wire:
    """What is on the network."""

    rest: KalshiRest
    stream: KalshiStream
    feed: IndexFeed


@dataclass(frozen=True, slots=True)
class Files:
    """What is written, and kept tidy."""

    journal: Journal
    artifacts: ArtifactWriter
    recorder: Recorder
    retention: RetentionKeeper


@dataclass(frozen=True, slots=True)
class Watches:
    """What is looked at now and then."""

    macro: MacroWatch
    kill_switch: KillSwitchWatch
    disk: DiskWatch
    group_resets: GroupResetWatch


@dataclass(frozen=True, slots=True)
class Components:
    """The parts, joined: the core, and what only a process of its own needs."""

    settings: Settings
    core: Core
    wire: Wire
    files: Files
    watches: Watches

    @property
    def awaiting(self) -> bool:
        """Whether an answer is on its way, of a venue or of the disk."""
        return self.wire.rest.in_flight > 0 or self.core.learning.in_flight > 0 or self.watches.disk.looking


def build_components(
    settings: Settings, plan: Plan, clock: Clock, where: Endpoints, session: aiohttp.ClientSession, state: DaemonState
) -> Components:
    """Make and join the parts. Raises ConfigurationError and StateCorrupt; starts nothing."""
    return _Builder(settings, plan, clock, where, session, state).components()


class _Builder:
    """Makes the ports, the core on them, and what only a process of its own needs."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        clock: Clock,
        where: Endpoints,
        session: aiohttp.ClientSession,
        state: DaemonState,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._clock = clock
        self._session = session
        self._state = state
        self._clients = Clients(settings, clock, where, session, state, armed=plan.armed, entropy=plan.entropy)

    def components(self) -> Components:
        settings, clock, state, folder = self._settings, self._clock, self._state, self._settings.mode_dir
        rest, stream = self._clients.exchange()
        artifacts = self._artifacts()
        flush_every_s, table = settings.index_feed.record_flush_s, state.instruments
        recorder = Recorder(folder, clock, flush_every_s=flush_every_s, indices=table.indices)
        history = history_of(settings.index_feed, clock, self._session, table.by_feed_ticker)
        journal = Journal.open(journal_path(folder), clock.now_ns(), synchronous=settings.orders.journal_synchronous)
        kept = recorder if settings.index_feed.record else None
        ports = Ports(clock, rest, stream, history, journal, artifacts, kept)
        core = build_core(settings, self._plan, ports, self._clients.router, state)
        artifacts.monitor(core.learning.memory.monitor())
        sight = self._plan.sight
        return Components(
            settings,
            core,
            Wire(rest, stream, self._clients.feed(core.learning.models, core.snapshots)),
            Files(
                journal,
                artifacts,
                recorder,
                RetentionKeeper(folder, state, clock, settings.retention, artifacts.files_lock),
            ),
            Watches(
                MacroWatch(state, clock, settings.macro, sight),
                self._kill_watch(core.trader),
                DiskWatch(state, clock, settings.retention, folder, sight),
                GroupResetWatch(folder, PROFILE_NAMES, core.orders.reset_group, sight),
            ),
        )

    def _artifacts(self) -> ArtifactWriter:
        plan, settings = self._plan, self._settings
        if plan.note is None:
            return ArtifactWriter(settings.mode_dir, self._clock, run_id=plan.run_id, mode=settings.mode.value)
        return NotedArtifacts(settings.mode_dir, self._clock, plan.note, run_id=plan.run_id, mode=settings.mode.value)

    def _kill_watch(self, trader: Trader) -> KillSwitchWatch:
        def changed(found: KillSwitch) -> None:
            trader.on_kill_switch(engaged=found.engaged)

        path, sight = kill_switch_path(self._settings.mode_dir), self._plan.sight
        return KillSwitchWatch(self._state, path, on_change=changed, sight=sight)
