"""No order rests longer than the lease and a second without a living daemon that knows it.

The expiry is written by our clock: what it is ahead of the exchange's comes on top.
"""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.ground.units import SECOND
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage

_GRACE_S = 1.0


class WithinLease(Checker):
    name: ClassVar[str] = "lease"

    def __init__(self) -> None:
        self._alone_since: dict[str, float] = {}
        self.longest_s = 0.0

    def look(self, stage: Stage) -> Iterable[str]:
        resting = {order.client_order_id: order for order in stage.exchange.resting()}
        owned = stage.daemon.loaded
        alone = {}
        for name in resting:
            if not owned or not stage.daemon.knows(name):
                alone[name] = self._alone_since.get(name, stage.now_s)
        self._alone_since = alone
        most = stage.scenario.lease_s + _GRACE_S + stage.clock_ahead_ns_max / SECOND
        for name, since in alone.items():
            rested = stage.now_s - since
            self.longest_s = max(self.longest_s, rested)
            if rested > most:
                yield f"{name} has rested alone for more than {most:.0f} s"
