"""What the decision loop is given: the parts it works with, its rules, and whom it asks and tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kalshi_daemon.artifacts.writer import ArtifactWriter
from kalshi_daemon.calibration.market_record import MarketRecord
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Profile
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.guardrails.chain import Chain
from kalshi_daemon.orders.manager import OrderManager
from kalshi_daemon.state import DaemonState
from kalshi_daemon.trading.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class TraderParts:
    """The parts the loop works with."""

    state: DaemonState
    chain: Chain
    orders: OrderManager
    artifacts: ArtifactWriter
    clock: Clock
    policy: Policy[Any]
    market_records: Mapping[Index, MarketRecord]
    """Our probabilities against the mids, by index: new ones, or as they were remembered."""


@dataclass(frozen=True, slots=True)
class TraderRules:
    """What is quoted, and how often it may be looked at."""

    profiles: tuple[Profile, ...]
    rescan_ns_min: Nanos
    """Least time between scans of a window that an event triggered."""


@dataclass(frozen=True, slots=True)
class TraderCallbacks:
    """What the loop asks and tells."""

    plan_ids: Callable[[], str]
    """A new plan id, never the same twice."""
    on_progress: Callable[[], None]
    """Called at every turn of the watch: feeds the watchdog."""
    on_settled: Callable[[str], None]
    """Told the event ticker once every position of ours in it has been paid."""
