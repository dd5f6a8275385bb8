"""Orders by client order id, with the live ones at hand: those are asked for at every tick, ended ones hardly ever."""

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView

from kalshi_daemon.domain.order import Order


class OrderTable(MutableMapping[str, Order]):
    """A mapping that keeps its live orders apart. Every change goes through it, so the two never differ."""

    __slots__ = ("_all", "_by_market", "_live", "_tuple")

    def __init__(self) -> None:
        self._all: dict[str, Order] = {}
        self._live: dict[str, Order] = {}
        self._tuple: tuple[Order, ...] | None = ()
        self._by_market: dict[str, tuple[Order, ...]] | None = {}

    def live_in(self, market_ticker: str) -> tuple[Order, ...]:
        """The live orders of one market, in the same order. Sorted by market once after each change."""
        if self._by_market is None:
            found: dict[str, list[Order]] = {}
            for order in self._live.values():
                found.setdefault(order.market_ticker, []).append(order)
            self._by_market = {ticker: tuple(orders) for ticker, orders in found.items()}
        return self._by_market.get(market_ticker, ())

    def live(self) -> tuple[Order, ...]:
        """The live orders, in the order in which they became live. The same object until one of them changes."""
        if self._tuple is None:
            self._tuple = tuple(self._live.values())
        return self._tuple

    def __setitem__(self, client_order_id: str, order: Order) -> None:
        self._all[client_order_id] = order
        if order.status.live:
            self._live[client_order_id] = order
            self._tuple = self._by_market = None
        elif self._live.pop(client_order_id, None) is not None:
            self._tuple = self._by_market = None

    def __delitem__(self, client_order_id: str) -> None:
        del self._all[client_order_id]
        if self._live.pop(client_order_id, None) is not None:
            self._tuple = self._by_market = None

    def __getitem__(self, client_order_id: str) -> Order:
        return self._all[client_order_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, client_order_id: object) -> bool:
        return client_order_id in self._all

    def values(self) -> ValuesView[Order]:
        """All orders, live and ended."""
        return self._all.values()

    def items(self) -> ItemsView[str, Order]:
        """All orders by client order id, live and ended."""
        return self._all.items()

    def __repr__(self) -> str:
        return f"OrderTable({self._all!r})"
