"""What stood ahead of each of our orders when it came to rest, and what became of it."""

from kalshi_daemon.backtest.recorded.recorded_world import RecordedWorld
from kalshi_daemon.backtest.results import OrderRow
from kalshi_daemon.ground.units import CONTRACT, SECOND
from kalshi_daemon.simulator.world import World


class OrderMeasures:
    """Looks on each second: an order that came and went between two looks is not seen."""

    def __init__(self, world: World | RecordedWorld) -> None:
        self._world = world
        self._ahead: dict[str, float] = {}
        """Order id -> contracts, in the order they came."""

    def look(self) -> None:
        """Take in what rests now."""
        for of_market in self._world.account.resting.values():
            for order_id, order in of_market.items():
                if order_id not in self._ahead:
                    self._ahead[order_id] = self._world.ahead_of(order) / CONTRACT

    def rows(self) -> tuple[OrderRow, ...]:
        """One for each order that was seen."""
        orders = self._world.account.orders
        return tuple(
            OrderRow(
                market_ticker=order.market.spec.ticker,
                created_ns=order.created_ns,
                rested_s=(order.updated_ns - order.created_ns) / SECOND,
                contracts=order.initial / CONTRACT,
                filled=order.filled / CONTRACT,
                ahead=ahead,
            )
            for order_id, ahead in self._ahead.items()
            if (order := orders.get(order_id)) is not None
        )
