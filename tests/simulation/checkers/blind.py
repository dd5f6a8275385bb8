"""No order is made in a market of which nothing has come for longer than the detectors of a silent book may take.

The exchange knows which market's frames it withholds; the daemon has only its own detectors (docs/order-safety.md).
"""

from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.order import Order
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage

_BOUND_S = 40.0
"""20 s of silence, 10 s for an answer, two rounds of upkeep."""
_SLACK_S = 15.0
"""Frames on the slowest link, and a clock of ours that steps back 5 s meanwhile."""


class NotBlind(Checker):
    name: ClassVar[str] = "blind"

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._lag_s = 0.0

    def look(self, stage: Stage) -> Iterable[str]:
        stream = stage.exchange.server.faults.stream
        self._since = {ticker: self._since.get(ticker, stage.now_s) for ticker in stream.withheld}
        self._lag_s = max(self._lag_s, stream.lag_s) if self._since else stream.lag_s
        return ()

    def intent(self, stage: Stage, life: DaemonRun, order: Order) -> Iterable[str]:
        del life
        since = max(stage.healed_s, self._since.get(order.market_ticker, stage.now_s))
        if stage.now_s - since > _BOUND_S + _SLACK_S + self._lag_s:
            yield f"{order.client_order_id} was made in a market silent for {stage.now_s - since:.1f} s"
