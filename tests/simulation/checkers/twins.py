"""No order twice: a client id is executed once, and a profile's bin holds one order per side, leaving ones aside."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.domain.order import Order, Status
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


class NoTwins(Checker):
    name: ClassVar[str] = "twins"

    def look(self, stage: Stage) -> Iterable[str]:
        life = stage.daemon.life
        if life is None or not stage.daemon.loaded:
            return
        bins: defaultdict[tuple[str, str, str], list[Order]] = defaultdict(list)
        for resting in stage.exchange.resting():
            order = life.state.orders.get(resting.client_order_id)
            if order is not None and order.status is not Status.PENDING_CANCEL:
                bins[order.profile, order.market_ticker, order.side.value].append(order)
        for key, orders in bins.items():
            if len(orders) > 1:
                yield f"{key} holds {[(o.client_order_id, o.status.value) for o in orders]}"

    def end(self, stage: Stage) -> Iterable[str]:
        names = Counter(order.client_order_id for order in stage.exchange.account.orders.values())
        for name, times in names.items():
            if times > 1:
                yield f"{name} was executed {times} times"
