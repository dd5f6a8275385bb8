"""One market's resting orders by price and time, on the YES scale.

Levels are insertion-ordered dicts, so first in time is first in the dict and a cancel costs O(1); the best price of
each side is cached and searched again only when its level empties.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Price


class BookOrder(Protocol):
    """What the book must know of an order. It never changes one."""

    @property
    def order_id(self) -> str: ...

    @property
    def side(self) -> Side: ...

    @property
    def price(self) -> Price: ...

    @property
    def remaining(self) -> Count: ...


class BookLevel[O: BookOrder]:
    """The queue at one price. `total` is in 1/100 contract."""

    __slots__ = ("orders", "total")

    def __init__(self) -> None:
        self.orders: dict[str, O] = {}
        self.total = 0


class BookSide[O: BookOrder]:
    """All levels of one side."""

    __slots__ = ("best", "is_bid", "levels")

    def __init__(self, *, is_bid: bool) -> None:
        self.levels: dict[int, BookLevel[O]] = {}
        self.best: int | None = None
        self.is_bid: Final = is_bid

    def add(self, order: O) -> None:
        """Join the back of the queue at the order's price."""
        price = order.price
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = BookLevel()
            if self.best is None or (price > self.best if self.is_bid else price < self.best):
                self.best = price
        level.orders[order.order_id] = order
        level.total += order.remaining

    def shrink(self, order: O, count: int) -> None:
        """Take `count` off a resting order's place; the caller lowers `order.remaining` itself, before or after."""
        self.levels[order.price].total -= count

    def remove(self, order: O) -> None:
        """Take the order out with whatever it still has."""
        level = self.levels[order.price]
        del level.orders[order.order_id]
        level.total -= order.remaining
        if not level.orders:
            assert level.total == 0, "an empty level holds no contracts"
            del self.levels[order.price]
            if order.price == self.best:
                self.best = (max if self.is_bid else min)(self.levels, default=None)

    def front(self) -> O | None:
        """The order that trades next."""
        if self.best is None:
            return None
        return next(iter(self.levels[self.best].orders.values()))

    def __iter__(self) -> Iterator[tuple[Price, Count]]:
        """Levels from the worst price to the best, as the venue lists its own bids (best last)."""
        for price in sorted(self.levels, reverse=not self.is_bid):
            yield Price(price), Count(self.levels[price].total)


class SimBook[O: BookOrder]:
    """Both sides."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids: BookSide[O] = BookSide(is_bid=True)
        self.asks: BookSide[O] = BookSide(is_bid=False)

    def side(self, side: Side) -> BookSide[O]:
        """The side an order of `side` rests on."""
        return self.bids if side is Side.BID else self.asks

    def against(self, side: Side) -> BookSide[O]:
        """The side an order of `side` trades with."""
        return self.asks if side is Side.BID else self.bids

    @property
    def best_bid(self) -> Price | None:
        return None if self.bids.best is None else Price(self.bids.best)

    @property
    def best_ask(self) -> Price | None:
        return None if self.asks.best is None else Price(self.asks.best)

    def would_cross(self, side: Side, price: int) -> bool:
        """Whether a limit at `price` meets a resting order of the other side."""
        best = self.against(side).best
        if best is None:
            return False
        return price >= best if side is Side.BID else price <= best

    def orders(self) -> Iterator[O]:
        """Every resting order, in no particular order."""
        for half in (self.bids, self.asks):
            for level in half.levels.values():
                yield from level.orders.values()

    def ahead_of(self, order: O) -> Count:
        """Contracts that trade before this order: better prices first, then earlier orders at its own price."""
        half = self.side(order.side)
        ahead = 0
        for price, level in half.levels.items():
            if price > order.price if half.is_bid else price < order.price:
                ahead += level.total
        for other in half.levels[order.price].orders.values():
            if other is order:
                break
            ahead += other.remaining
        return Count(ahead)
