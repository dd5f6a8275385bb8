"""Our view of open orders covers the exchange's: what rests there is live in our books, on disk while we are dead."""

from collections.abc import Iterable
from typing import ClassVar

from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


class Covered(Checker):
    name: ClassVar[str] = "covered"

    def look(self, stage: Stage) -> Iterable[str]:
        for order in stage.exchange.resting():
            if not stage.daemon.knows(order.client_order_id):
                where = "memory" if stage.daemon.loaded else "the journal"
                yield f"{order.client_order_id} rests in {order.market.spec.ticker} and is not live in {where}"
