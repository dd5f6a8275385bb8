"""Where the market went after our fills: the others' middle at the fill and 5, 30 and 300 seconds later. Pure.

A fill is seen as an order whose filled count has grown; maker fills trade at the order's own price. What is not known
(no two-sided book at that second) stays None and is never taken for nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price

SPANS: Final = (Nanos(5 * SECOND), Nanos(30 * SECOND), Nanos(300 * SECOND))
KEPT: Final = 256
"""Fills that are remembered, over all markets."""
_LATE: Final = Nanos(5 * SECOND)
"""A middle read later than this after its span says nothing about the span."""


@dataclass(frozen=True, slots=True)
class Markout:
    """One fill of ours. `mids` has one entry a span: None while it has not come, or when it could not be read."""

    market_ticker: str
    side: Side
    price: Price
    count: Count
    filled_ns: Nanos
    mid_at_fill: Price | None
    mids: tuple[Price | None, ...] = (None,) * len(SPANS)

    def gain(self, span: int) -> Price | None:
        """What a contract has gained against the others' middle after SPANS[span], in 1/10 000 dollar."""
        mid = self.mids[span]
        return None if mid is None else Price(self.side.sign * (mid - self.price))


class MarkoutWatch:
    """Bounded: KEPT fills, and one filled count for each order that is still at hand."""

    def __init__(self) -> None:
        self._filled: dict[str, Count] = {}
        self._done: deque[Markout] = deque(maxlen=KEPT)
        self._open: deque[Markout] = deque()
        """Fills that still have a middle to come, all later than those done: a look at every tick reads these alone."""
        self._all: tuple[Markout, ...] | None = ()

    def on_orders(self, orders: Iterable[Order], mid_of: Callable[[str], Price | None], now: Nanos) -> None:
        """Look for fills among our orders; `mid_of` gives the others' middle of a market now."""
        seen: dict[str, Count] = {}
        for order in orders:
            seen[order.client_order_id] = order.filled
            new = order.filled - self._filled.get(order.client_order_id, 0)
            if new > 0:
                ticker = order.market_ticker
                self._open.append(Markout(ticker, order.side, order.price, Count(new), now, mid_of(ticker)))
                self._all = None
        self._filled = seen
        while len(self._open) > KEPT:
            self._done.append(self._open.popleft())

    def look(self, mid_of: Callable[[str], Price | None], now: Nanos) -> None:
        """Read the middles whose time has come."""
        for place, one in enumerate(self._open):
            mids = tuple(
                mid if mid is not None or not span <= now - one.filled_ns <= span + _LATE else mid_of(one.market_ticker)
                for mid, span in zip(one.mids, SPANS, strict=True)
            )
            if mids != one.mids:
                self._open[place] = replace(one, mids=mids)
                self._all = None
        while self._open and (self._open[0].mids[-1] is not None or now - self._open[0].filled_ns > SPANS[-1] + _LATE):
            self._done.append(self._open.popleft())

    def recent(self) -> tuple[Markout, ...]:
        """The fills remembered, oldest first. The same object until one of them changes."""
        if self._all is None:
            self._all = (*self._done, *self._open)[-KEPT:]
        return self._all
