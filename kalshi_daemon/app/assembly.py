"""Makes the parts and joins them: the one place that names a concrete class of every room.

`Components.of` builds everything without starting anything; `daemon` runs the tasks and owns the stop.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import aiohttp

from kalshi_daemon.app.board import Board
from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.domain.index import SERIES, Index
from kalshi_daemon.domain.quote import Profile
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import Nanos, from_ms, from_s, price_from_float
from kalshi_daemon.guardrails.chain import Chain, build_chain
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.history import history_of
from kalshi_daemon.index_feed.recorder import Recorder
from kalshi_daemon.index_feed.snapshot_witness import SnapshotWitness
from kalshi_daemon.index_feed.witnesses import OutsideLevels
from kalshi_daemon.kalshi.auth import Signer
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.stream import KalshiStream
from kalshi_daemon.memory.models import Learning, build_learning, last_prices
from kalshi_daemon.operations.disk_watch import DiskWatch
from kalshi_daemon.operations.group_reset import GroupResetWatch
from kalshi_daemon.operations.kill_switch import KillSwitch, KillSwitchWatch, kill_switch_path
from kalshi_daemon.orders.ids import ClientOrderIds
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.orders.manager import OrderManager
from kalshi_daemon.retention.keeper import RetentionKeeper
from kalshi_daemon.settings.model import PROFILE_NAMES, ProfileSettings, Settings
from kalshi_daemon.state import ClockSkew, DaemonState
from kalshi_daemon.trading.inputs import outside_levels
from kalshi_daemon.trading.loop import Trader, TraderParts
from kalshi_daemon.trading.policy.named import build_policy
from kalshi_daemon.venue.monitor import VenueMonitor, enabled_series
from kalshi_daemon.windows.macro import MacroWatch, load_macro_calendar
from kalshi_daemon.windows.releases import MacroCalendar
from kalshi_daemon.windows.scheduler import WindowScheduler
from kalshi_daemon.windows.sessions import SessionTable, load_sessions_ahead


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the daemon talks to and as whom."""

    rest_url: str
    ws_url: str
    feed_url: str
    signer: Signer


@dataclass(slots=True)
class Components:
    """The parts, joined."""

    settings: Settings
    clock: Clock
    state: DaemonState
    sessions: SessionTable
    macro_calendar: MacroCalendar
    learning: Learning
    rest: KalshiRest
    stream: KalshiStream
    feed: IndexFeed
    snapshots: SnapshotWitness | None
    recorder: Recorder
    scheduler: WindowScheduler
    monitor: VenueMonitor
    macro: MacroWatch
    kill_watch: KillSwitchWatch
    disk_watch: DiskWatch
    group_resets: GroupResetWatch
    journal: Journal
    orders: OrderManager
    chain: Chain
    artifacts: ArtifactWriter
    trader: Trader
    retention: RetentionKeeper

    @property
    def awaiting(self) -> bool:
        """Whether an answer is on its way, of a venue or of the disk."""
        return self.rest.in_flight > 0 or self.learning.in_flight > 0 or self.disk_watch.looking


def profiles_of(settings: Settings) -> tuple[Profile, ...]:
    """The enabled profiles, in the order of docs/reference/runbook.md 2."""
    found: list[tuple[str, ProfileSettings]] = [
        ("wide", settings.profiles.wide),
        ("size", settings.profiles.size),
        ("close", settings.profiles.close),
    ]
    return tuple(
        Profile(
            name=name,
            series=chosen.series,
            lots=chosen.lots,
            bins=chosen.bins,
            impact_cap=price_from_float(chosen.impact_cap),
            min_ev=price_from_float(chosen.min_ev),
            scan_every=from_s(chosen.scan_every_s),
        )
        for name, chosen in found
        if chosen.enabled
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run was asked for, beyond the settings."""

    run_id: str
    entropy: bytes
    """For order ids: never the same twice."""
    armed: bool
    force_gate_pass: bool
    on_progress: Callable[[], None]


def build_components(
    settings: Settings, plan: Plan, clock: Clock, where: Endpoints, session: aiohttp.ClientSession, state: DaemonState
) -> Components:
    """Make and join the parts. Raises ConfigurationError and StateCorrupt; starts nothing."""
    state.armed = plan.armed
    state.force_gate_pass = plan.force_gate_pass
    return _Builder(settings, plan, clock, where, session, state).components()


class _Builder:
    """Makes each part once, in the order in which they need one another."""

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
        # The parts that must hear of each other are joined through this small board of late-bound callbacks.
        self._board = Board()

    def components(self) -> Components:
        settings, clock, state = self._settings, self._clock, self._state
        sessions = load_sessions_ahead(clock.now_ns(), settings.windows.calendar_end_days)
        macro_calendar = load_macro_calendar(settings.macro)
        learning = build_learning(
            settings, clock, history_of(settings.index_feed, clock, self._session), sessions, macro_calendar
        )
        state.calibration.update(learning.models)
        state.correlation = learning.memory.correlation
        artifacts = ArtifactWriter(settings.mode_dir, clock, run_id=self._plan.run_id, mode=settings.mode.value)
        recorder = Recorder(settings.mode_dir, clock, flush_every_s=settings.index_feed.record_flush_s)
        scheduler = WindowScheduler(
            state,
            clock,
            sessions,
            settings.windows,
            tuple(enabled_series(settings).values()),
            on_phase=self._board.on_phase,
        )
        rest, stream = self._wire()
        monitor = VenueMonitor(
            state,
            rest,
            stream,
            clock,
            settings,
            listing_changed=scheduler.listing_changed,
            repeated=lambda: stream.repeated,
            on_report=artifacts.monitor,
        )
        journal, orders = self._orders(rest, artifacts)
        chain = build_chain(settings, session_of=sessions.session_of, release_near=macro_calendar.release_near)
        trader = self._trader(chain, orders, artifacts, scheduler, learning)
        artifacts.monitor(learning.memory.monitor())
        snapshots = self._snapshots(learning)
        kept = recorder if settings.index_feed.record else None
        self._board.join(learning, kept, trader, monitor, orders, snapshots)
        return Components(
            settings=settings,
            clock=clock,
            state=state,
            sessions=sessions,
            macro_calendar=macro_calendar,
            learning=learning,
            rest=rest,
            stream=stream,
            feed=self._feed(learning, snapshots),
            snapshots=snapshots,
            recorder=recorder,
            scheduler=scheduler,
            monitor=monitor,
            macro=MacroWatch(state, clock, settings.macro),
            kill_watch=self._kill_watch(trader),
            disk_watch=DiskWatch(state, clock, settings.retention, settings.mode_dir),
            group_resets=GroupResetWatch(settings.mode_dir, PROFILE_NAMES, orders.reset_group),
            journal=journal,
            orders=orders,
            chain=chain,
            artifacts=artifacts,
            trader=trader,
            retention=RetentionKeeper(settings.mode_dir, state, clock, settings.retention, artifacts.files_lock),
        )

    def _wire(self) -> tuple[KalshiRest, KalshiStream]:
        """REST and stream. Un-armed, the client itself refuses every write before a byte leaves."""
        state, clock, where = self._state, self._clock, self._where
        server_clock = ServerClock(from_ms(self._settings.guards.clock_skew_ms_max))

        def skew(offset_ns: Nanos, round_trip_ns: Nanos) -> None:
            state.skew["kalshi"] = ClockSkew(offset_ns, clock.now_ns(), round_trip_ns)

        rest = KalshiRest(
            where.rest_url,
            where.signer,
            clock,
            self._settings.kalshi,
            session=self._session,
            read_only=not self._plan.armed,
            on_server_time=skew,
            may_create=lambda: self._plan.armed and not state.latch.closed and not state.kill_switch,
            server_clock=server_clock,
        )
        stream = KalshiStream(
            where.ws_url,
            where.signer,
            clock,
            self._settings.kalshi,
            self._board.on_venue_event,
            rng=self._jitter,
            server_clock=server_clock,
            is_ours=lambda ticker: ticker.partition("-")[0] in SERIES,
        )
        return rest, stream

    def _orders(self, rest: KalshiRest, artifacts: ArtifactWriter) -> tuple[Journal, OrderManager]:
        settings = self._settings
        journal = Journal.open(
            journal_path(settings.mode_dir),
            self._clock.now_ns(),
            synchronous=settings.orders.journal_synchronous,
        )
        orders = OrderManager(
            self._state,
            rest,
            journal,
            self._clock,
            settings.orders,
            ids=ClientOrderIds(self._plan.entropy),
            on_change=self._board.on_orders_changed,
            audit=artifacts.audit,
            profiles=tuple(profile.name for profile in profiles_of(settings)),
            renew_allowed=self._board.renewal_allowed,
            closed_guard=self._board.closed_guard,
            on_crossed=self._board.on_crossed,
        )
        return journal, orders

    def _trader(
        self,
        chain: Chain,
        orders: OrderManager,
        artifacts: ArtifactWriter,
        scheduler: WindowScheduler,
        learning: Learning,
    ) -> Trader:
        return Trader(
            TraderParts(
                state=self._state,
                chain=chain,
                orders=orders,
                artifacts=artifacts,
                clock=self._clock,
                policy=build_policy(self._settings),
                rescan_ns_min=from_s(self._settings.pricing.rescan_s_min),
                profiles=profiles_of(self._settings),
                plan_ids=_counter(self._plan.run_id),
                on_progress=self._plan.on_progress,
                on_settled=scheduler.settled,
                market_records=learning.memory.records,
            )
        )

    def _kill_watch(self, trader: Trader) -> KillSwitchWatch:
        def changed(found: KillSwitch) -> None:
            trader.on_kill_switch(engaged=found.engaged)

        return KillSwitchWatch(self._state, kill_switch_path(self._settings.mode_dir), on_change=changed)

    def _snapshots(self, learning: Learning) -> SnapshotWitness | None:
        """Nobody to ask where there is no history."""
        if learning.history is None:
            return None
        every_ns = from_s(self._settings.index_feed.snapshot_every_s)
        return SnapshotWitness(learning.history, self._clock, every_ns)

    def _feed(self, learning: Learning, snapshots: SnapshotWitness | None) -> IndexFeed:
        state = self._state

        def outside(index: Index) -> OutsideLevels:
            found = outside_levels(state, self._settings.pricing, index, self._clock.now_ns())
            return found if snapshots is None else replace(found, snapshot=snapshots.said(index))

        return IndexFeed(
            state,
            self._settings.index_feed,
            self._clock,
            self._where.feed_url,
            on_tick=self._board.on_tick,
            on_bar=self._board.on_bar,
            session_open=lambda: state.session_open,
            rng=self._jitter,
            on_session=self._board.on_session,
            known=last_prices(learning.models),
            beliefs=self._board,
            outside=outside,
        )


def _counter(run_id: str) -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{run_id}-{next(numbers)}"
