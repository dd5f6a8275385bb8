"""The decision core: all that decides, built from ports by one function. It opens no socket and no file of its own.

A driver makes the ports, hands what happens to `Core.router` and runs the tasks: `assembly` is the driver of the live
and the simulated daemon; a replay or a backtest is another one.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kalshi_daemon.app.event_router import EventRouter, Listeners
from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.domain.quote import Profile
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.sight import PLAIN_SIGHT, Sight
from kalshi_daemon.ground.units import from_s, price_from_float
from kalshi_daemon.guardrails.chain import build_chain
from kalshi_daemon.index_feed.history import HistoryClient
from kalshi_daemon.index_feed.recorder import Recorder
from kalshi_daemon.index_feed.snapshot_witness import SnapshotWitness
from kalshi_daemon.kalshi.api import MarketDataApi, OrderApi, PortfolioApi, StreamControl
from kalshi_daemon.memory.models import Learning, build_learning
from kalshi_daemon.orders.ids import ClientOrderIds
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.manager import OrderCallbacks, OrderManager, OrderPorts
from kalshi_daemon.settings.model import ProfileSettings, Settings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.trading.loop import Trader, TraderCallbacks, TraderParts, TraderRules
from kalshi_daemon.trading.policy.named import build_policy
from kalshi_daemon.venue.monitor import MonitorCallbacks, VenueMonitor
from kalshi_daemon.windows.macro import load_macro_calendar
from kalshi_daemon.windows.scheduler import WindowScheduler
from kalshi_daemon.windows.sessions import SessionTable, load_sessions_ahead
from kalshi_daemon.windows.table import enabled_series


class ExchangePort(MarketDataApi, OrderApi, PortfolioApi, Protocol):
    """Every request the core makes of the exchange."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the core is built on."""

    clock: Clock
    api: ExchangePort
    stream: StreamControl
    """Its events come through the router."""
    history: HistoryClient | None
    """None: nobody to ask for minutes that were missed."""
    journal: Journal
    artifacts: ArtifactWriter
    recorder: Recorder | None
    """None: index values are not kept."""


type Note = Callable[[list[Any]], None]
"""Takes down what was decided, for a recording."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run was asked for, beyond the settings."""

    run_id: str
    entropy: bytes
    """For order ids: never the same twice."""
    armed: bool
    force_gate_pass: bool
    on_progress: Callable[[], None]
    sight: Sight = PLAIN_SIGHT
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Core:
    """The parts that decide, joined. Nothing runs yet."""

    sessions: SessionTable
    learning: Learning
    snapshots: SnapshotWitness | None
    scheduler: WindowScheduler
    monitor: VenueMonitor
    orders: OrderManager
    trader: Trader


def build_core(settings: Settings, plan: Plan, ports: Ports, router: EventRouter, state: DaemonState) -> Core:
    """Make the parts that decide and join them to the router. Raises ConfigurationError; starts nothing."""
    clock = ports.clock
    state.armed, state.force_gate_pass = plan.armed, plan.force_gate_pass
    sessions = load_sessions_ahead(clock.now_ns(), settings.windows.calendar_end_days)
    macro_calendar = load_macro_calendar(settings.macro)
    learning = build_learning(settings, clock, ports.history, sessions, macro_calendar)
    state.calibration.update(learning.models)
    state.correlations.update(learning.memory.correlations)
    series = enabled_series(settings)
    scheduler = WindowScheduler(state, clock, sessions, settings.windows, series, on_phase=router.on_phase)
    monitor = VenueMonitor(
        state,
        ports.api,
        ports.stream,
        clock,
        settings,
        series,
        MonitorCallbacks(scheduler.listing_changed, ports.artifacts.monitor),
    )
    chain = build_chain(settings, session_of=sessions.session_of, release_near=macro_calendar.release_near)
    orders = _orders(settings, plan, ports, router, state)
    trader = Trader(
        TraderParts(state, chain, orders, ports.artifacts, clock, build_policy(settings), learning.memory.records),
        TraderRules(profiles_of(settings), from_s(settings.pricing.rescan_s_min)),
        TraderCallbacks(_counter(plan.run_id), plan.on_progress, scheduler.settled),
    )
    snapshots = None
    if ports.history is not None:
        snapshots = SnapshotWitness(ports.history, clock, from_s(settings.index_feed.snapshot_every_s))
    router.join(Listeners(learning, trader, monitor, orders, ports.recorder, snapshots))
    return Core(sessions, learning, snapshots, scheduler, monitor, orders, trader)


def _orders(settings: Settings, plan: Plan, ports: Ports, router: EventRouter, state: DaemonState) -> OrderManager:
    return OrderManager(
        state,
        OrderPorts(ports.api, ports.journal, ports.clock, ports.artifacts.audit, ClientOrderIds(plan.entropy)),
        settings.orders,
        OrderCallbacks(
            on_change=router.on_orders_changed,
            renewals_allowed=router.renewals_allowed,
            closed_guard=router.closed_guard,
            on_crossed=router.on_crossed,
        ),
        profiles=tuple(profile.name for profile in profiles_of(settings)),
    )


def profiles_of(settings: Settings) -> tuple[Profile, ...]:
    """The enabled profiles, in the order of docs/reference/predecessor.md 2."""
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


def _counter(run_id: str) -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{run_id}-{next(numbers)}"
