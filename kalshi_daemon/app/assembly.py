"""The driver of the live and the simulated daemon: real sockets, real files, and the core built on them.

`build_components` makes everything without starting anything; `daemon` runs the tasks and owns the stop.
"""

import random
from dataclasses import dataclass, replace

import aiohttp

from kalshi_daemon.app.core import Core, Plan, Ports, build_core
from kalshi_daemon.app.event_router import EventRouter
from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import Nanos, from_ms
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.history import history_of
from kalshi_daemon.index_feed.recorder import Recorder
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners
from kalshi_daemon.index_feed.witnesses import OutsideLevels
from kalshi_daemon.kalshi.auth import Signer
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.stream import KalshiStream, StreamSink
from kalshi_daemon.kalshi.transport import WriteGate
from kalshi_daemon.memory.models import last_prices
from kalshi_daemon.operations.disk_watch import DiskWatch
from kalshi_daemon.operations.group_reset import GroupResetWatch
from kalshi_daemon.operations.kill_switch import KillSwitch, KillSwitchWatch, kill_switch_path
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.retention.keeper import RetentionKeeper
from kalshi_daemon.settings.model import PROFILE_NAMES, Settings
from kalshi_daemon.state import ClockSkew, DaemonState
from kalshi_daemon.trading.inputs import outside_levels
from kalshi_daemon.trading.loop import Trader
from kalshi_daemon.windows.macro import MacroWatch


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the daemon talks to and as whom."""

    rest_url: str
    ws_url: str
    feed_url: str
    signer: Signer


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
        self._where = where
        self._session = session
        self._state = state
        self._jitter = random.Random(plan.entropy)  # noqa: S311 - spreads reconnects, guards nothing
        self._router = EventRouter()

    def components(self) -> Components:
        settings, clock, state, folder = self._settings, self._clock, self._state, self._settings.mode_dir
        rest, stream = self._wire()
        artifacts = ArtifactWriter(folder, clock, run_id=self._plan.run_id, mode=settings.mode.value)
        flush_every_s, table = settings.index_feed.record_flush_s, state.instruments
        recorder = Recorder(folder, clock, flush_every_s=flush_every_s, indices=table.indices)
        history = history_of(settings.index_feed, clock, self._session, table.by_feed_ticker)
        journal = Journal.open(journal_path(folder), clock.now_ns(), synchronous=settings.orders.journal_synchronous)
        kept = recorder if settings.index_feed.record else None
        ports = Ports(clock, rest, stream, history, journal, artifacts, kept)
        core = build_core(settings, self._plan, ports, self._router, state)
        artifacts.monitor(core.learning.memory.monitor())
        return Components(
            settings,
            core,
            Wire(rest, stream, self._feed(core)),
            Files(
                journal,
                artifacts,
                recorder,
                RetentionKeeper(folder, state, clock, settings.retention, artifacts.files_lock),
            ),
            Watches(
                MacroWatch(state, clock, settings.macro),
                self._kill_watch(core.trader),
                DiskWatch(state, clock, settings.retention, folder),
                GroupResetWatch(folder, PROFILE_NAMES, core.orders.reset_group),
            ),
        )

    def _wire(self) -> tuple[KalshiRest, KalshiStream]:
        """REST and stream. Un-armed, the client itself refuses every write before a byte leaves."""
        state, clock, where = self._state, self._clock, self._where

        def skew(offset_ns: Nanos, round_trip_ns: Nanos) -> None:
            state.skew["kalshi"] = ClockSkew(offset_ns, clock.now_ns(), round_trip_ns)

        def may_create() -> bool:
            return self._plan.armed and not state.latch.closed and not state.kill_switch

        server_clock = ServerClock(from_ms(self._settings.guards.clock_skew_ms_max), on_measured=skew)
        rest = KalshiRest(
            where.rest_url,
            where.signer,
            clock,
            self._settings.kalshi,
            session=self._session,
            writes=WriteGate(read_only=not self._plan.armed, may_create=may_create),
            server_clock=server_clock,
        )
        stream = KalshiStream(
            where.ws_url,
            where.signer,
            clock,
            self._settings.kalshi,
            StreamSink(
                self._router.on_venue_event, is_ours=lambda ticker: ticker.partition("-")[0] in state.instruments.series
            ),
            rng=self._jitter,
            server_clock=server_clock,
        )
        return rest, stream

    def _kill_watch(self, trader: Trader) -> KillSwitchWatch:
        def changed(found: KillSwitch) -> None:
            trader.on_kill_switch(engaged=found.engaged)

        return KillSwitchWatch(self._state, kill_switch_path(self._settings.mode_dir), on_change=changed)

    def _feed(self, core: Core) -> IndexFeed:
        state, snapshots = self._state, core.snapshots

        def outside(index: Index) -> OutsideLevels:
            found = outside_levels(state, self._settings.pricing, index, self._clock.now_ns())
            return found if snapshots is None else replace(found, snapshot=snapshots.said(index))

        listeners = FeedListeners(
            self._router.on_tick, self._router.on_bar, self._router.on_session, beliefs=self._router
        )
        context = FeedContext(lambda: state.session_open, last_prices(core.learning.models), outside)
        feed_settings, url = self._settings.index_feed, self._where.feed_url
        return IndexFeed(state, feed_settings, self._clock, url, listeners, context, rng=self._jitter)
