"""What faults and checkers are given: both machines, the scenario, and a place for what was found."""

import random
from collections import Counter
from dataclasses import dataclass, field

from simloop import SimLoop

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import Level, Nanos
from tests.simulation.daemon_host import DaemonHost
from tests.simulation.exchange_host import ExchangeHost
from tests.simulation.scenario import Scenario
from tests.simulation.virtual_time import LoopClock


@dataclass(slots=True)
class Stage:
    """One seed's play. `daemon_clock` is the daemon's; the exchange's own tells the truth."""

    loop: SimLoop
    scenario: Scenario
    rng: random.Random
    exchange: ExchangeHost
    daemon: DaemonHost
    daemon_clock: LoopClock
    faults: Counter[str] = field(default_factory=Counter)
    """By kind: how often one really happened."""
    ready_at_end: bool = False
    healed_s: float = 0.0
    """When the network was last made whole again; what was held back until then comes afterwards."""
    fixed_first: dict[tuple[Index, Nanos], Level] = field(default_factory=dict)
    """What an index was fixed at before the exchange decided a ladder again; no value may explain that."""
    clock_ahead_ns_max: int = 0
    """How far the daemon's clock has been ahead at most."""

    @property
    def now_s(self) -> float:
        return self.loop.time()
