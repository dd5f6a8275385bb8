"""Makes the parts and joins them: the one place that names a concrete class of every room.

`House.of` builds everything without starting anything; `daemon` runs the tasks and owns the stop.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import structlog

from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.clock import Clock
from kalshi_daemon.domain.index import SERIES, Bar, Index, Tick
from kalshi_daemon.domain.quote import Profile
from kalshi_daemon.domain.window import WindowStatus
from kalshi_daemon.events import FillEvent, OrderGroupUpdate, StreamDown, StreamUp, UserOrder, VenueEvent
from kalshi_daemon.guardrails.chain import Chain, build_chain
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.recorder import Recorder
from kalshi_daemon.kalshi.auth import Signer
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.stream import KalshiStream
from kalshi_daemon.operations.kill_switch import KillSwitchWatch, kill_switch_path
from kalshi_daemon.orders.ids import ClientOrderIds
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.manager import OrderManager
from kalshi_daemon.settings import Mode, ProfileSettings, Settings
from kalshi_daemon.state import ClockSkew, DaemonState
from kalshi_daemon.trader import Trader, TraderParts
from kalshi_daemon.units import Nanos, from_s, price_from_float
from kalshi_daemon.venue.monitor import VenueMonitor, enabled_series
from kalshi_daemon.windows.macro import MacroCalendar, MacroWatch, load_macro_calendar
from kalshi_daemon.windows.scheduler import WindowScheduler
from kalshi_daemon.windows.sessions import SessionTable, load_sessions_ahead

log = structlog.get_logger()

_ORDER_EVENTS: Final = (FillEvent, UserOrder, OrderGroupUpdate, StreamUp, StreamDown)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the daemon talks to and as whom."""

    rest_url: str
    ws_url: str
    feed_url: str
    feed_api_key: str
    signer: Signer


@dataclass(slots=True)
class House:
    """The parts, joined."""

    settings: Settings
    clock: Clock
    state: DaemonState
    sessions: SessionTable
    macro_calendar: MacroCalendar
    rest: KalshiRest
    stream: KalshiStream
    feed: IndexFeed
    recorder: Recorder
    scheduler: WindowScheduler
    monitor: VenueMonitor
    macro: MacroWatch
    kill_watch: KillSwitchWatch
    journal: Journal
    orders: OrderManager
    chain: Chain
    artifacts: ArtifactWriter
    trader: Trader


def profiles_of(settings: Settings) -> tuple[Profile, ...]:
    """The enabled profiles, in the runbook's order."""
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
